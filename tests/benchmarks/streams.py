"""What an item of a tracked stream costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry

import geomon
from tests.benchmarks.measure import interleaved, show

ITEMS = 10_000


def numbers() -> Iterator[str]:
    for _ in range(ITEMS):
        yield "text"


def of_items(function: Callable[[], Iterator[str]]) -> Callable[[], float]:
    def once() -> float:
        begin = time.perf_counter()
        for _ in function():
            pass
        return (time.perf_counter() - begin) / ITEMS * 1e6

    return once


def main() -> None:
    geomon.configure(registry=CollectorRegistry(), console=False)
    tracked = geomon.track_ai("bench")(numbers)
    results = interleaved(
        {"a generator's item": of_items(numbers), "tracked": of_items(tracked)}, 9
    )
    show("An item of a stream", results, "tracked")


if __name__ == "__main__":
    main()
