"""The memory of the container, as Kubernetes counts it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from geomon.health.cgroups import Place, number, table


class Memory(NamedTuple):
    """What is used of what there is, in bytes; None where it cannot be read."""

    used: int | None
    limit: int | None

    @property
    def percent(self) -> float | None:
        """What is used, 0 to 100 of the limit."""
        if self.used is None or not self.limit:
            return None
        return min(100.0, 100.0 * self.used / self.limit)


def container_memory(place: Place | None, machine: int | None) -> Memory | None:
    """The memory of the group whose limit is the lowest; of several, the outermost.

    That is the group in which the kernel would kill first. What is used is the working set: the
    usage of the group, and of those below, less the page cache that can be dropped at once.

    Args:
        place: The process's group under the controller `memory`.
        machine: The memory that there is in all, in bytes.

    Returns:
        None where no group has a limit below the machine's memory: then the machine's counts.
    """
    least: tuple[int, Path] | None = None
    for group in place.levels() if place is not None else ():
        limit = _limit(group)
        if limit and (least is None or limit <= least[0]):
            least = limit, group
    if least is None or (machine is not None and least[0] >= machine):
        return None
    return Memory(_working_set(least[1]), least[0])


def _limit(group: Path) -> int | None:
    """What binds the group; version 1 also tells of ancestors that cannot be seen."""
    files = ("memory.max", "memory.limit_in_bytes")
    limits = [number(group / name) for name in files]
    limits.append(table(group / "memory.stat").get("hierarchical_memory_limit"))
    return min((limit for limit in limits if limit is not None), default=None)


def _working_set(group: Path) -> int | None:
    for name, cache in (
        ("memory.current", "inactive_file"),
        ("memory.usage_in_bytes", "total_inactive_file"),
    ):
        usage = number(group / name)
        if usage is not None:
            return max(0, usage - table(group / "memory.stat").get(cache, 0))
    return None
