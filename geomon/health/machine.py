"""The machine's own memory and CPUs, by psutil."""

from __future__ import annotations

from geomon import forks
from geomon.health.memory import Memory


class Machine:
    """What the whole machine has, and uses."""

    def prepare(self) -> None:
        """Imports psutil: a fork would leave an import by another thread half done in the child."""
        with forks.no_fork():
            import psutil  # noqa: F401 - that is all

    def memory(self) -> Memory:
        """Used is what programs could not get: all that is not available."""
        import psutil

        memory = psutil.virtual_memory()
        return Memory(memory.total - memory.available, memory.total)

    def cores(self) -> int:
        """How many logical CPUs there are."""
        import psutil

        return psutil.cpu_count() or 1

    def cpu_seconds(self) -> tuple[float, float]:
        """The CPUs' busy seconds since boot, and all their seconds.

        Not `psutil.cpu_percent`, which remembers by thread and gives 0.0 to a new one.
        """
        import psutil

        times = psutil.cpu_times()
        twice = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # in user and nice
        total = sum(times) - twice
        return total - times.idle - getattr(times, "iowait", 0.0), total
