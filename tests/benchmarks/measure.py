"""Timing by interleaved repeats: every contestant meets the same noise."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping

CALLS = 10_000
REPEATS = 15


def interleaved(run: Mapping[str, Callable[[], float]], repeats: int = REPEATS) -> dict[str, float]:
    """The median of each contestant's results, each run in turn."""
    results: dict[str, list[float]] = {name: [] for name in run}
    for _ in range(repeats):
        for name, once in run.items():
            results[name].append(once())
    return {name: statistics.median(values) for name, values in results.items()}


def of_calls(function: Callable[[int], object], calls: int = CALLS) -> Callable[[], float]:
    """Microseconds a call of `function(1)`."""

    def once() -> float:
        begin = time.perf_counter()
        for _ in range(calls):
            function(1)
        return (time.perf_counter() - begin) / calls * 1e6

    return once


def of_awaits(
    function: Callable[[int], Awaitable[object]], calls: int = CALLS
) -> Callable[[], float]:
    """Microseconds a call of `await function(1)`."""

    async def all_calls() -> float:
        begin = time.perf_counter()
        for _ in range(calls):
            await function(1)
        return (time.perf_counter() - begin) / calls * 1e6

    return lambda: asyncio.run(all_calls())


def show(title: str, results: Mapping[str, float], base: str, unit: str = "µs") -> None:
    """Prints the results, and each one's ratio to `base`."""
    print(f"\n{title}")
    for name, value in results.items():
        print(f"  {name:<44} {value:>10.2f} {unit}   {value / results[base]:>7.2f}")
