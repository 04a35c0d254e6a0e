"""What users need to test tracked code; everything here restores what it changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from geomon import clock, dispatch, losses
from geomon.call import Call

__all__ = ["MovableClock", "capture_calls", "contained_failures", "raised_failures"]


@contextmanager
def capture_calls(*, only: bool = False) -> Iterator[list[Call]]:
    """The calls that begin and end inside the block, in the order in which they end.

    Args:
        only: Whether the usual sinks (metrics, log) are left out meanwhile.
    """
    calls: list[Call] = []
    usual = dispatch.current()
    if only:
        usual = dispatch.Pipeline((), usual.cost)
    captured = usual.with_sinks(calls.append)
    earlier = dispatch.install(captured)
    try:
        yield calls
    finally:
        dispatch.settle()
        if dispatch.pipeline is captured:  # else configure() was called meanwhile
            dispatch.install(earlier)


class MovableClock:
    """A clock that stands until it is moved; a with-block puts it in force.

    Args:
        wall: Seconds since the epoch at the start.
    """

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self._monotonic = 0.0
        self._wall = wall
        self._earlier: list[tuple[Any, Any, Any]] = []

    def move(self, seconds: float) -> None:
        """Lets time pass."""
        self._monotonic += seconds
        self._wall += seconds

    def set_wall(self, wall: float) -> None:
        """Steps the wall clock, as an administrator or NTP does; durations do not notice."""
        self._wall = wall

    def __enter__(self) -> MovableClock:
        self._earlier.append((clock.monotonic, clock.wall, clock.boot))
        clock.monotonic = lambda: self._monotonic
        clock.wall = lambda: self._wall
        clock.boot = lambda: self._monotonic
        return self

    def __exit__(self, *exc: object) -> None:
        clock.monotonic, clock.wall, clock.boot = self._earlier.pop()


@contextmanager
def raised_failures(raising: bool = True) -> Iterator[None]:
    """Failures inside geomon raise, as they do under geomon's pytest plugin."""
    earlier, losses.raising = losses.raising, raising
    try:
        yield
    finally:
        losses.raising = earlier


def contained_failures() -> Any:
    """Failures inside geomon are counted and logged, as in production."""
    return raised_failures(False)
