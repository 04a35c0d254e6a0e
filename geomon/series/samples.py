"""One series: 16 bytes a sample. Timestamps are whole milliseconds, as in Prometheus."""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

_STALE_BITS = (0x7FF0000000000002).to_bytes(8, "little")
STALE: float = struct.unpack("<d", _STALE_BITS)[0]
"""Ends a series, as Prometheus's staleness marker does. Any other NaN is a value."""

MAX_TIME = 2**53
"""Milliseconds; a float holds every whole number up to here."""

_NEVER = -(2**62)
_NO_ENDS: array[int] = array("q")


def is_stale(value: float) -> bool:
    """Whether this is `STALE`, bit by bit."""
    return value != value and struct.pack("<d", value) == _STALE_BITS


def milliseconds(seconds: float) -> int:
    """Seconds as whole milliseconds.

    Raises:
        ValueError: If it is no number, or farther than 285,000 years away.
    """
    if not abs(seconds) <= MAX_TIME / 1000:
        raise ValueError(f"{seconds!r} is not a time in seconds")
    return round(seconds * 1000)


class Samples(NamedTuple):
    """A copy of a part of a series. Nobody changes it.

    Attributes:
        labels: Label names to values, with the name.
        times: Milliseconds, rising.
        values: A value for each time.
        ends: When the series ended, in milliseconds, rising.
    """

    labels: Mapping[str, str]
    times: array[int]
    values: array[float]
    ends: array[int]


class Series:
    """The samples of one label set. The store's lock guards it.

    A staleness marker is kept apart from the samples: a window never has to leave it out.
    """

    __slots__ = ("ends", "labels", "newest", "times", "values")

    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels = labels
        self.times = array("q")
        self.values = array("d")
        self.ends = array("q")
        self.newest = _NEVER

    def append(self, time: int, value: float) -> bool:
        """Adds a sample, or the end; False, and nothing, unless it is the newest."""
        if time <= self.newest:
            return False
        if not is_stale(value):
            self.times.append(time)
            self.values.append(value)
        elif self.times and not (self.ends and self.ends[-1] > self.times[-1]):
            self.ends.append(time)
        self.newest = time
        return True

    def restore(self, part: Samples) -> None:
        """Takes samples that were kept elsewhere, where there are none yet.

        Raises:
            ValueError: they are not in order, or not as many values as times.
        """
        times, ends = part.times, part.ends
        rising = all(one < other for one, other in pairwise(times)) and list(ends) == sorted(ends)
        if not times or len(times) != len(part.values) or not rising:
            raise ValueError("samples out of order")
        if not self.times:
            self.times, self.values, self.ends = times[:], part.values[:], ends[:]
            self.newest = max(times[-1], ends[-1] if ends else _NEVER)

    def drop(self, before: int) -> None:
        """Drops samples that are older, once they are a sixteenth of all: that is cheap."""
        times = self.times
        if not times or times[len(times) // 16] >= before:
            return
        old = bisect_right(times, before - 1)
        del times[:old]
        del self.values[:old]
        del self.ends[: bisect_right(self.ends, before - 1)]

    def between(self, after: int, until: int) -> Samples:
        """The samples of a time that is open on the left."""
        times = self.times
        high = len(times)
        if high and times[-1] > until:
            high = bisect_right(times, until)
        low = bisect_right(times, after, 0, high)
        return Samples(
            self.labels,
            times[low:high],
            self.values[low:high],
            self.ends[:] if self.ends else _NO_ENDS,
        )
