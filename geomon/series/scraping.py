"""Reading a prometheus-client registry."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from geomon import forks, losses

_COUNTING = frozenset(("counter", "histogram", "summary"))


class Reading(NamedTuple):
    """One sample of a registry; `counts` when it is a counter's, or a histogram's."""

    name: str
    labels: Mapping[str, str]
    value: float
    counts: bool


class Found(NamedTuple):
    """What a scrape gave.

    Attributes:
        samples: All of them.
        names: What was asked for; all when None.
        complete: Whether every collector answered.
    """

    samples: Sequence[Reading] = ()
    names: frozenset[str] | None = None
    complete: bool = False

    def would_have(self, name: str) -> bool:
        """Whether a metric of that name would have been seen, had it been there."""
        return self.complete and (self.names is None or name in self.names)

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
                samples += list(_readings(collector.collect(), wanted))
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


def _readings(metrics: Iterable[Any], wanted: frozenset[str] | None) -> Iterator[Reading]:
    for metric in metrics:
        counting = metric.type in _COUNTING
        for sample in metric.samples:
            name, labels = sample.name, sample.labels
            if wanted is not None and name not in wanted:
                continue
            if "" in labels.values():
                labels = {key: text for key, text in labels.items() if text != ""}
            counts = counting and not name.endswith("_created") and "quantile" not in labels
            yield Reading(name, labels, float(sample.value), counts)


def _target_info(registry: Any, wanted: frozenset[str] | None) -> list[Reading]:
    if wanted is not None and "target_info" not in wanted:
        return []
    labels: dict[str, str] | None = getattr(registry, "get_target_info", dict)()
    return [Reading("target_info", labels, 1.0, False)] if labels else []
