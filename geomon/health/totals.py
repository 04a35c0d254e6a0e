"""How many requests were served, and how long they took in all: sums over all labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from geomon import registries
from geomon.series.scraping import collected

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class Totals(NamedTuple):
    """Of the requests that were served; over all workers in multiprocess mode."""

    requests: int | None = None
    seconds: float | None = None


def reader(registry: CollectorRegistry | None, namespace: str) -> Callable[[], Totals]:
    """What reads a registry: prometheus-client's default where None, merged over the workers."""
    from prometheus_client import multiprocess  # noqa: F401 - not in a thread: a fork may cut it off

    prefix = f"{namespace}_" if namespace else ""
    requests = f"{prefix}http_requests_total"
    seconds = f"{prefix}http_request_duration_seconds_sum"
    return lambda: _totals(registries.merged(registry), requests, seconds)


def _totals(source: Any, requests: str, seconds: str) -> Totals:
    sums = {requests: 0.0, seconds: 0.0}
    found = collected(source, sums)
    for reading in found.samples:
        sums[reading.name] += reading.value
    if not (found.samples or found.complete):
        return Totals()
    return Totals(int(sums[requests]), sums[seconds])
