"""A ring of samples, appended to in one thread and queried in another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol

from geomon import locks, losses
from geomon.series.samples import STALE, Samples, Series, milliseconds
from geomon.series.scraping import Found, Reading, collected

_Key = tuple[str, frozenset[tuple[str, str]]]

_REMEMBERED = 1_000
"""How many choices of series are remembered."""


class Choice(Protocol):
    """Which series are meant: hashable, and the same for ever."""

    @property
    def name(self) -> str | None:
        """The metric's name where it must be this one."""
        ...

    def accepts(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is meant."""
        ...


class SeriesStore:
    """Samples by series. One store holds the samples of one registry.

    Args:
        retention: Seconds that a sample is kept; `retain` says otherwise for one metric. Samples
            are dropped in place, up to a sixteenth of a series later than that.

    Raises:
        ValueError: If `retention` is not positive.

    Attributes:
        refused: How many samples came out of order or at a time that already had one.
    """

    def __init__(self, retention: float = 3600) -> None:
        if not retention > 0:
            raise ValueError(f"a retention is a number of seconds above 0, not {retention!r}")
        self.refused = 0
        self._retentions: dict[str | None, int] = {None: milliseconds(retention)}
        self._families: dict[str, dict[_Key, Series]] = {}
        self._chosen: dict[Choice, list[Series]] = {}
        self._lock = locks.lock_of(self)
        self._scraped_at: int | None = None
        self._scraped: Found = Found()
        self._present: dict[_Key, Series] = {}
        self._swept = self._newest = -(2**62)

    def retain(self, name: str | None, seconds: float) -> None:
        """Keeps the samples of a metric, or where it is None of all, at least that long."""
        with self._lock:
            self._retentions[name] = max(milliseconds(seconds), self._retentions.get(name, 0))

    def append(self, labels: Mapping[str, str], timestamp: float, value: float) -> bool:
        """Adds a sample.

        Args:
            labels: Label names to values, the metric's name as `__name__`. An empty value is
                the same as no label.
            timestamp: Seconds since the epoch, newer than the series' last.
            value: Any float; `STALE` ends the series.

        Returns:
            Whether it was taken. What comes out of order is counted in `losses`.

        Raises:
            ValueError: If the timestamp is not a time.
        """
        time = milliseconds(timestamp)
        own = {name: text for name, text in labels.items() if text != "" and name != "__name__"}
        name = labels.get("__name__", "")
        with self._lock:
            series = self._series((name, frozenset(own.items())), own)
            taken = self._add(name, series, time, float(value))
            self._sweep()
        if not taken:
            losses.count("series", "out_of_order")
        return taken

    def scrape(self, registry: Any, at: float, names: Collection[str] | None = None) -> None:
        """Takes a sample of every series of a prometheus-client registry.

        A series that has vanished since the last scrape ends. A counter that has appeared since
        then is taken to have been 0 at that time, so that `increase` sees its first event.

        Args:
            registry: Also one with a `MultiProcessCollector`.
            at: Seconds since the epoch.
            names: The metrics that are wanted, by the names that PromQL uses (`x_bucket`); all
                when None. Collectors that are known to have none of them are not run.

        Raises:
            ValueError: If `at` is not a time.
        """
        time = milliseconds(at)
        found = collected(registry, names)
        with self._lock:
            refused = self._take(found, time)
        if refused:
            losses.count("series", "out_of_order", refused)

    def select(self, choice: Choice, after: int, until: int) -> list[Samples]:
        """Copies of the samples of the chosen series, milliseconds, open on the left.

        Series that have none there are left out.
        """
        with self._lock:
            series = self._chosen.get(choice)
            if series is None:
                series = self._choose(choice)
            parts = [one.between(after, until) for one in series]
        return [part for part in parts if part.times]

    def dump(self, needs: Mapping[str | None, float], at: float) -> list[Samples]:
        """Copies of what queries need, for `restore` in a later process.

        Args:
            needs: The seconds before `at` that each metric is wanted; None is any metric.
            at: Seconds since the epoch.
        """
        until = milliseconds(at)
        parts: list[Samples] = []
        with self._lock:
            for name, family in self._families.items():
                seconds = max(needs.get(name, 0.0), needs.get(None, 0.0))
                if seconds > 0:
                    after = until - milliseconds(seconds)
                    parts += [series.between(after, until) for series in family.values()]
        return [part for part in parts if part.times]

    def restore(self, parts: Iterable[Samples], begun: float | None = None) -> None:
        """Takes the samples of an earlier process; a series that has samples keeps its own.

        Args:
            parts: What `dump` gave.
            begun: When the counters that will be scraped began anew from 0, in seconds since the
                epoch; None: they are still those that the samples come from.

        Raises:
            ValueError: the parts are not what `dump` gave.
        """
        with self._lock:
            for part in parts:
                own = {name: text for name, text in part.labels.items() if name != "__name__"}
                key = (part.labels.get("__name__", ""), frozenset(own.items()))
                self._series(key, own).restore(part)
                self._newest = max(self._newest, part.times[-1])
            if begun is not None:
                self._scraped_at = max(milliseconds(begun), self._newest + 1)
                self._scraped = Found(complete=True, assumed=True)

    def __len__(self) -> int:
        """How many series there are."""
        return sum(map(len, self._families.values()))

    def _choose(self, choice: Choice) -> list[Series]:
        name = choice.name
        families = self._families.values() if name is None else [self._families.get(name, {})]
        series = [one for family in families for one in family.values()]
        if len(self._chosen) >= _REMEMBERED:
            self._chosen.clear()
        chosen = [one for one in series if choice.accepts(one.labels)]
        self._chosen[choice] = chosen
        return chosen

    def _series(self, key: _Key, labels: Mapping[str, str]) -> Series:
        family = self._families.get(key[0])
        series = family.get(key) if family is not None else None
        if series is None:
            full = {"__name__": key[0], **labels} if key[0] else dict(labels)
            series = self._families.setdefault(key[0], {})[key] = Series(full)
            self._chosen.clear()
        return series

    def _add(self, name: str, series: Series, time: int, value: float) -> bool:
        if not series.append(time, value):
            self.refused += 1
            return False
        series.drop(time - self._kept(name))
        self._newest = max(self._newest, time)
        return True

    def _take(self, found: Found, time: int) -> int:
        present: dict[_Key, Series] = {}
        refused = 0
        for reading in found.samples:
            name, labels, value, counts, _ = reading
            key = (name, frozenset(labels.items()))
            series = present[key] = self._series(key, labels)
            if counts and series.newest != self._scraped_at:
                self._begin(series, reading, time)
            refused += not self._add(name, series, time, value)
        for key, series in self._present.items():
            if key not in present:
                series.append(time, STALE)
        self._sweep()
        self._scraped_at, self._scraped, self._present = time, found.without_samples(), present
        return refused

    def _begin(self, series: Series, reading: Reading, time: int) -> None:
        """Adds the 0 of a counter that the last scrape did not have."""
        if self._scraped_at is None or self._scraped_at >= time:
            return
        if self._scraped.would_have(reading) and (reading.from_zero or not series.times):
            series.append(self._scraped_at, 0.0)

    def _kept(self, name: str | None) -> int:
        return max(self._retentions[None], self._retentions.get(name, 0))

    def _sweep(self) -> None:
        """Forgets series that have had no sample for as long as samples are kept."""
        if self._newest - self._swept < max(self._kept(None) // 8, 1_000):
            return
        self._swept = self._newest
        for name, family in list(self._families.items()):
            oldest = self._newest - self._kept(name)
            self._forget(name, family, oldest)

    def _forget(self, name: str, family: dict[_Key, Series], oldest: int) -> None:
        kept = {key: one for key, one in family.items() if one.newest >= oldest}
        if len(kept) == len(family):
            return
        self._chosen.clear()
        if kept:
            self._families[name] = kept
        else:
            del self._families[name]
