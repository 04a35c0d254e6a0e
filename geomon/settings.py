"""The frozen settings: arguments, then `GEOMON_*` variables, then defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

AI_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
TOKEN_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1)
HTTP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60)

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


@dataclass(frozen=True)
class Buckets:
    """Upper bounds of the histograms, in seconds."""

    ai: tuple[float, ...] = AI_BUCKETS
    time_per_output_token: tuple[float, ...] = TOKEN_BUCKETS
    http: tuple[float, ...] = HTTP_BUCKETS


@dataclass(frozen=True)
class Settings:
    """What `configure()` was told."""

    namespace: str = ""
    buckets: Buckets = Buckets()
    prices: Mapping[str, Mapping[str, float]] | None = None
    capture_content: bool = False
    label_limit: int = 1000


def disabled() -> bool:
    """Whether `GEOMON_DISABLED` makes all of geomon a no-op."""
    return flag("GEOMON_DISABLED", False)


def flag(name: str, default: bool) -> bool:
    """The environment variable `name` as a truth value.

    Raises:
        ValueError: it is neither a yes nor a no.
    """
    text = os.environ.get(name)
    if text is None:
        return default
    word = text.strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError(f"{name}={text!r} is neither a yes nor a no: write {name}=1 or {name}=0")


def number(name: str, default: int) -> int:
    """The environment variable `name` as a whole number above zero.

    Raises:
        ValueError: it is something else.
    """
    text = os.environ.get(name)
    if text is None:
        return default
    if text.strip().isdecimal() and int(text) > 0:
        return int(text)
    raise ValueError(f"{name}={text!r} is not a whole number above zero: write {name}={default}")
