"""The counts of what was lost: nothing of geomon's fails silently, and nothing raises.

A part of geomon that cannot do its work calls `count` or `failed`. The Prometheus sink shows the
counts as `geomon_losses_total{part, reason}`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import suppress

from geomon import locks

Listener = Callable[[str, str, int], None]
"""Takes part, reason, and how many were lost so far."""

raising = False
"""Whether `failed` raises; `geomon.testing` sets it: a test sees what production contains."""

_log = logging.getLogger("geomon")
_lock = locks.lock_of(sys.modules[__name__])
_counts: dict[tuple[str, str], int] = {}
_listeners: list[Listener] = []
_said: set[tuple[str, str, str]] = set()
_MOST_SAID = 1000


def count(part: str, reason: str, amount: int = 1) -> None:
    """Adds to the losses of `part`. Both words become metric labels: keep them few."""
    with _lock:
        key = (part, reason)
        _counts[key] = _counts.get(key, 0) + amount
        for listener in _listeners:
            listener(part, reason, _counts[key])


def failed(part: str, reason: str, error: BaseException, detail: str = "") -> None:
    """Counts a failure inside geomon and logs the first of its kind.

    Args:
        part: What failed: `sink`, `prices`.
        reason: How: `failed`, `setup_failed`.
        error: What was raised.
        detail: Which one failed: each is logged once. No text of the program's own.

    Raises:
        BaseException: `error` itself, while `raising` is set.
    """
    if raising:
        raise error
    with suppress(Exception):
        count(part, reason)
        say_once(part, reason, f"{detail or part}: {type(error).__name__}", error)


def say_once(part: str, reason: str, text: str, error: BaseException | None = None) -> None:
    """Logs a warning the first time that `part` loses something for `reason` with this text."""
    said = (part, reason, text)
    with _lock:
        if said in _said or len(_said) >= _MOST_SAID:
            return
        _said.add(said)
    trace = (type(error), error, error.__traceback__) if error is not None else None
    with suppress(Exception):  # the program goes on, even when its own logging is what fails
        _log.warning(
            "geomon lost something (further ones are only counted): %s", text, exc_info=trace
        )


def counts() -> dict[tuple[str, str], int]:
    """What has been lost so far, by part and reason."""
    with _lock:
        return dict(_counts)


def subscribe(listener: Listener) -> Callable[[], None]:
    """Tells `listener` of every loss, past ones first; gives the function that ends it."""
    with _lock:
        for (part, reason), amount in _counts.items():
            listener(part, reason, amount)
        _listeners.append(listener)
    return lambda: _unsubscribe(listener)


def _unsubscribe(listener: Listener) -> None:
    with _lock:
        if listener in _listeners:
            _listeners.remove(listener)
