"""The bounds of metric labels: how long a value may be, and how many there may be."""

from __future__ import annotations

import sys
from typing import Any

from geomon import locks, losses

OTHER = "other"
UNKNOWN = "unknown"
MOST_CHARACTERS = 200
METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
)
_lock = locks.lock_of(sys.modules[__name__])  # one for all guards: only new values ask them


def text(value: Any) -> str:
    """A label value: a string that can be encoded, of at most 200 characters."""
    if value is None:
        return UNKNOWN
    try:
        plain = _plain(value)
    except Exception:
        return OTHER
    if len(plain) > MOST_CHARACTERS:
        plain = plain[: MOST_CHARACTERS - 1] + "…"
    if not plain.isascii():
        plain = plain.encode("utf-8", "replace").decode()  # lone surrogates
    return plain or UNKNOWN


def _plain(value: Any) -> str:
    """The characters of a text, whatever the methods of its class say."""
    return str.__str__(value if isinstance(value, str) else str(value))


def method(value: Any) -> str:
    """An HTTP method that the standards know, else `other`."""
    name = text(value)
    return name if name in METHODS else OTHER


def status(value: Any) -> str:
    """An HTTP status code, else `unknown`."""
    return str(int(value)) if isinstance(value, int) and 100 <= value <= 599 else UNKNOWN


class LabelGuard:
    """Bounds the values of one label key, over all metrics that carry it.

    Past the limit a new value becomes `other`, for every metric alike, so that one call is never
    split. A key of two labels, (type, model), gives up the model first and the type last.

    Args:
        part: What is bounded, for the count of losses.
        limit: How many keys may be told apart.
    """

    def __init__(self, part: str, limit: int) -> None:
        self._part = part
        self.limit = limit
        self._known: set[tuple[str, ...]] = set()
        self._firsts: set[str] = set()

    def admit(self, first: str, *rest: str) -> tuple[str, ...]:
        """The label values to count under."""
        with _lock:
            admitted = self._admit(first, rest)
        if admitted != (first, *rest):
            losses.count("labels", self._part)
            losses.say_once(
                "labels",
                self._part,
                f"more than {self.limit} values of {self._part}: new ones count as {OTHER!r}",
            )
        return admitted

    def _admit(self, first: str, rest: tuple[str, ...]) -> tuple[str, ...]:
        values = (first, *rest)
        if values in self._known:
            return values
        if first in self._firsts and rest == (UNKNOWN,):
            return values  # one more for each type: a call that has begun and names no model
        if len(self._known) < self.limit:
            self._known.add(values)
            self._firsts.add(first)
            return values
        if rest and (first in self._firsts or len(self._firsts) < self.limit):
            self._firsts.add(first)
            return (first, OTHER)
        return (OTHER,) * len(values)
