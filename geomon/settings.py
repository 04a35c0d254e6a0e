"""The frozen settings: arguments, then `GEOMON_*` variables, then defaults."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

AI_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
TOKEN_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1)
SIZE_BUCKETS = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
HTTP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60)

under_pytest = False
"""Set by geomon's pytest plugin: no thread starts and no file is written that was not asked for."""

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


@dataclass(frozen=True)
class Buckets:
    """Upper bounds of the histograms, in seconds; of `http_size` in bytes."""

    ai: tuple[float, ...] = AI_BUCKETS
    time_per_output_token: tuple[float, ...] = TOKEN_BUCKETS
    http: tuple[float, ...] = HTTP_BUCKETS
    http_size: tuple[float, ...] = SIZE_BUCKETS

    def __post_init__(self) -> None:
        for name, bounds in list(vars(self).items()):
            object.__setattr__(self, name, _bounds(name, bounds))


def _bounds(name: str, bounds: Iterable[float]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(bound) for bound in bounds)
    except (TypeError, ValueError):
        numbers = ()
    if not numbers or not all(low < high for low, high in pairwise((-math.inf, *numbers))):
        raise ValueError(
            f"Buckets({name}={bounds!r}): write seconds in ascending order, {name}=(0.1, 1, 10)"
        )
    return numbers


@dataclass(frozen=True)
class Settings:
    """What `configure()` was told."""

    service: str | None = None
    level: int | str = "INFO"
    console: bool | None = None
    log_dir: str | os.PathLike[str] | None = None
    namespace: str = ""
    buckets: Buckets = Buckets()
    prices: Mapping[str, Mapping[str, float]] | None = None
    capture_content: bool = False
    label_limit: int = 1000
    rules: Any = None
    notifiers: tuple[Any, ...] = ()
    interval: float = 15.0
    state_path: str | os.PathLike[str] | None = None
    health: Any = None

    def __post_init__(self) -> None:
        _expect(str, namespace=self.namespace)
        _expect(Buckets, buckets=self.buckets)
        _expect(bool, capture_content=self.capture_content)
        _expect(int, label_limit=self.label_limit)
        if self.service is not None:
            _expect(str, service=self.service)
        if self.console is not None:
            _expect(bool, console=self.console)
        level_number(self.level)
        if self.namespace and not re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", self.namespace):
            raise ValueError(
                f"namespace={self.namespace!r} cannot begin a metric's name: write letters, digits "
                'and underscores, such as namespace="myapp"'
            )
        if self.label_limit < 1:
            raise ValueError(f"label_limit={self.label_limit}: write a number above zero")


def chosen(**given: Any) -> Settings:
    """The arguments that are not None, then the `GEOMON_*` variables, then the defaults.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument or variable has a value that cannot be.
    """
    values = {name: value for name, value in given.items() if value is not None}
    for name, read in _VARIABLES.items():
        variable = f"GEOMON_{name.upper()}"
        if name not in values and os.environ.get(variable):
            values[name] = read(variable)
    return Settings(**values)


def level_number(level: int | str) -> int:
    """A logging level's number.

    Raises:
        TypeError: it is neither a name nor a number.
        ValueError: nobody has given a level this name.
    """
    if isinstance(level, str):
        number = logging.getLevelNamesMapping().get(level.strip().upper())
        if number is None:
            raise ValueError(f'level={level!r} is not known: write level="INFO", or another one')
        return number
    if isinstance(level, bool) or not isinstance(level, int):
        raise TypeError(f'level={level!r} is no level: write level="INFO" or logging.INFO')
    return level


def _expect(kind: type, **argument: object) -> None:
    for name, value in argument.items():
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            article = "an" if kind is int else "a"
            raise TypeError(
                f"{name}={value!r}: write {article} {kind.__name__}, not {type(value).__name__}"
            )


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


_VARIABLES: Mapping[str, Callable[[str], Any]] = {
    "service": os.environ.__getitem__,
    "level": os.environ.__getitem__,
    "console": lambda name: flag(name, False),
    "log_dir": os.environ.__getitem__,
    "namespace": os.environ.__getitem__,
    "capture_content": lambda name: flag(name, False),
    "label_limit": lambda name: number(name, 1000),
    "rules": os.environ.__getitem__,
    "interval": lambda name: float(number(name, 15)),
    "state_path": os.environ.__getitem__,
}
