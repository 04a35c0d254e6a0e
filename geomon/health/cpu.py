"""The CPU use of the container, against its quota or its CPUs; else of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from geomon import clock
from geomon.health.cgroups import Cgroups, Place, number, read, table, whole
from geomon.health.machine import Machine

_MICRO, _NANO = 1e-6, 1e-9


class Limit(NamedTuple):
    """CPUs that a group may use, and the directory that tells what it has used."""

    cores: float
    usage: Path


class CpuMeter:
    """Measures CPU use from one reading to the next.

    Args:
        cgroups: Where the process is.
        machine: What there is in all.
    """

    def __init__(self, cgroups: Cgroups, machine: Machine) -> None:
        self._cgroups = cgroups
        self._machine = machine
        self._source: Limit | None = None
        self._last: tuple[float, float] | None = None
        self._percent: float | None = None

    def percent(self) -> float | None:
        """Use since the last reading, 0 to 100 of what the limit allows.

        None at the first reading, and at the first after the limit or the process's group changed.
        """
        source = cpu_limit(self._cgroups, self._machine.cores())
        now = self._seconds(source)
        last, self._last = (self._last if source == self._source else None), now
        self._source = source
        if last is None or now is None or now[0] < last[0]:
            self._percent = None
        elif now[1] > last[1]:  # else too soon to tell
            self._percent = min(100.0, 100.0 * (now[0] - last[0]) / (now[1] - last[1]))
        return self._percent

    def _seconds(self, limit: Limit | None) -> tuple[float, float] | None:
        """Seconds used so far, and those that could have been."""
        if limit is None:
            return self._machine.cpu_seconds()
        used = _used(limit.usage)
        return None if used is None else (used, limit.cores * clock.monotonic())


def cpu_limit(cgroups: Cgroups, machine: int) -> Limit | None:
    """The lowest limit of the process's groups; of several, the outermost group's.

    Where a cpuset is the lowest, other groups may share its CPUs: their use is not counted.

    Returns:
        None where no group may use fewer CPUs than the machine has: then the machine's count.
    """
    least: Limit | None = None
    for limit in _limits(cgroups):
        if least is None or limit.cores <= least.cores:
            least = limit
    return None if least is None or least.cores >= machine else least


def _limits(cgroups: Cgroups) -> Iterator[Limit]:
    usage = cgroups.place("cpuacct")  # of version 1; version 2 has one tree for all
    for controller, cores_of in (("cpuset", _cpuset), ("cpu", _quota)):
        place = cgroups.place(controller)
        if place is None or usage is None:
            continue
        for group in place.levels():
            cores = cores_of(group)
            if cores:
                yield Limit(cores, _same(group, place, usage))


def _same(group: Path, place: Place, usage: Place) -> Path:
    """The group of the same path in the hierarchy that counts usage."""
    same = usage.top / group.relative_to(place.top)
    return same if same.is_dir() else usage.own


def _quota(group: Path) -> float | None:
    texts = (read(group / "cpu.max") or "").split()
    if len(texts) == 2:
        quota, period = whole(texts[0]), whole(texts[1])
    else:
        quota, period = number(group / "cpu.cfs_quota_us"), number(group / "cpu.cfs_period_us")
    return quota / period if quota and period else None


def _cpuset(group: Path) -> float | None:
    for name in ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"):
        cpus = (read(group / name) or "").strip()
        if cpus:
            return sum(map(_length, cpus.split(",")))
    return None


def _length(span: str) -> int:
    """How many CPUs `3` and `0-7` are."""
    first, _, last = span.partition("-")
    start, end = whole(first), whole(last or first)
    return end - start + 1 if start is not None and end is not None and end >= start else 0


def _used(group: Path) -> float | None:
    micros = table(group / "cpu.stat").get("usage_usec")
    if micros is not None:
        return micros * _MICRO
    nanos = number(group / "cpuacct.usage")
    return None if nanos is None else nanos * _NANO
