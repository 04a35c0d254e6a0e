"""Time. Durations come from `monotonic`, timestamps from `wall`; tests replace both.

Read them through the module (`clock.monotonic()`), never by `from geomon.clock import ...`:
`geomon.testing.MovableClock` swaps them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

monotonic: Callable[[], float] = time.perf_counter
"""Seconds on a clock that never steps."""
wall: Callable[[], float] = time.time
"""Seconds since the epoch."""


def _boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


boot: Callable[[], float] = _boot if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
"""Seconds on a clock that never steps, and goes on while the machine is suspended."""
