"""Reading a prometheus-client registry."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from geomon import forks, losses

_COUNTING = frozenset(("counter", "histogram", "summary"))


_FROM_ZERO = ("prometheus_client", "geomon")
"""Whose metrics count from 0 in each process; another's collector may read a database."""


class Reading(NamedTuple):
    """One sample of a registry.

    Attributes:
        counts: Whether it is a counter's, or a histogram's.
        from_zero: Whether it counts from 0 in each process, or in the workers' directory.
    """

    name: str
    labels: Mapping[str, str]
    value: float
    counts: bool
    from_zero: bool = False


class Found(NamedTuple):
    """What a scrape gave.

    Attributes:
        samples: All of them.
        names: What was asked for; all when None.
        complete: Whether every collector answered.
        assumed: Whether nobody looked: the process had not begun to count.
    """

    samples: Sequence[Reading] = ()
    names: frozenset[str] | None = None
    complete: bool = False
    assumed: bool = False

    def would_have(self, reading: Reading) -> bool:
        """Whether that series would have been seen, had it been there."""
        asked = self.complete and (self.names is None or reading.name in self.names)
        return asked and (reading.from_zero or not self.assumed)

    def without_samples(self) -> Found:
        """The same to remember."""
        return self._replace(samples=())


def collected(registry: Any, names: Collection[str] | None) -> Found:
    """Runs the collectors. One that fails is counted in `losses`, and the others go on."""
    wanted = None if names is None else frozenset(names)
    samples: list[Reading] = []
    complete = True
    for collector in _collectors(registry, wanted):
        try:
            with forks.no_fork():  # a child would keep the collector's locks for ever
                samples += list(_readings(collector, wanted))
        except Exception as error:  # a collector is anybody's code
            complete = False
            losses.failed("series", "collector", error, "a collector cannot be scraped")
    samples += _target_info(registry, wanted)
    return Found(samples, wanted, complete)


def _collectors(registry: Any, wanted: frozenset[str] | None) -> list[Any]:
    """Those that may have a wanted name: what does not say its names may have any."""
    known = getattr(registry, "_collector_to_names", None)
    if known is None:
        return [registry]
    with registry._lock:
        return [
            collector
            for collector, names in known.items()
            if wanted is None or not names or not wanted.isdisjoint(names)
        ]


def _readings(collector: Any, wanted: frozenset[str] | None) -> Iterator[Reading]:
    from_zero = type(collector).__module__.partition(".")[0] in _FROM_ZERO
    for metric in collector.collect():
        counting = metric.type in _COUNTING
        for sample in metric.samples:
            name, labels = sample.name, sample.labels
            if wanted is not None and name not in wanted:
                continue
            if "" in labels.values():
                labels = {key: text for key, text in labels.items() if text != ""}
            counts = counting and not name.endswith("_created") and "quantile" not in labels
            yield Reading(name, labels, float(sample.value), counts, from_zero)


def _target_info(registry: Any, wanted: frozenset[str] | None) -> list[Reading]:
    if wanted is not None and "target_info" not in wanted:
        return []
    labels: dict[str, str] | None = getattr(registry, "get_target_info", dict)()
    return [Reading("target_info", labels, 1.0, False)] if labels else []
