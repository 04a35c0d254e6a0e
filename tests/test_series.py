"""The store of samples: what it takes, what it keeps, and what a scrape of a registry means."""

from __future__ import annotations

import math
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from geomon import losses
from geomon.promql import needs, query
from geomon.promql.needs import narrowest
from geomon.series import STALE, Samples, SeriesStore
from geomon.series.samples import Series

UP = {"__name__": "up", "job": "a"}


def points(store: SeriesStore, expr: str, at: float) -> dict[str, list[tuple[float, float]]]:
    """The points of a range vector by the values of its labels."""
    found: Any = query(expr, store, at)
    return {"/".join(one.labels.values()): one.points for one in found}


def values(store: SeriesStore, expr: str, at: float) -> list[float]:
    found: Any = query(expr, store, at)
    return [sample.value for sample in found]


def refused() -> int:
    return losses.counts().get(("series", "out_of_order"), 0)


# --- append


def test_a_sample_is_found_at_its_time() -> None:
    store = SeriesStore()
    assert store.append(UP, 15.0, 1.0)
    assert points(store, "up[1m]", 15.0) == {"up/a": [(15.0, 1.0)]}


def test_labels_are_the_same_in_any_order_and_an_empty_one_is_none() -> None:
    store = SeriesStore()
    store.append({"__name__": "up", "a": "1", "b": "2"}, 1, 1)
    store.append({"b": "2", "a": "1", "c": "", "__name__": "up"}, 2, 2)
    assert len(store) == 1
    assert points(store, "up[1m]", 2) == {"up/1/2": [(1.0, 1.0), (2.0, 2.0)]}


def test_a_series_may_have_no_name() -> None:
    store = SeriesStore()
    store.append({"job": "a"}, 1, 1)
    assert values(store, '{job="a"}', 1) == [1]


def test_the_callers_labels_are_not_kept() -> None:
    store, labels = SeriesStore(), dict(UP)
    store.append(labels, 1, 1)
    labels["job"] = "b"
    assert values(store, 'up{job="a"}', 1) == [1]


@pytest.mark.parametrize("time", [15.0, 14.9, 15.0004])
def test_out_of_order_and_duplicate_times_are_refused_and_counted(time: float) -> None:
    store, earlier = SeriesStore(), refused()
    store.append(UP, 15.0, 1.0)
    assert not store.append(UP, time, 2.0)
    assert (store.refused, refused() - earlier) == (1, 1)
    assert points(store, "up[1m]", 30) == {"up/a": [(15.0, 1.0)]}


def test_nothing_comes_before_the_end_of_a_series() -> None:
    store = SeriesStore()
    store.append(UP, 10, 1)
    store.append(UP, 30, STALE)
    assert not store.append(UP, 20, 2)
    assert not store.append(UP, 30, 2)
    assert store.append(UP, 31, 2)


def test_another_series_has_its_own_order() -> None:
    store = SeriesStore()
    store.append(UP, 100, 1)
    assert store.append({**UP, "job": "b"}, 50, 1)


@pytest.mark.parametrize("time", [math.nan, math.inf, -math.inf, 1e300])
def test_what_is_no_time_is_an_error(time: float) -> None:
    with pytest.raises(ValueError, match="not a time"):
        SeriesStore().append(UP, time, 1.0)


def test_times_before_the_epoch_are_times() -> None:
    store = SeriesStore()
    store.append(UP, -10.5, 1.0)
    assert points(store, "up[1m]", -10) == {"up/a": [(-10.5, 1.0)]}


# --- the end of a series


def test_stale_is_prometheus_marker_bit_by_bit() -> None:
    assert struct.pack(">d", STALE).hex() == "7ff0000000000002"


def test_a_stale_series_is_gone_until_it_has_a_sample_again() -> None:
    store = SeriesStore()
    for time, value in ((10, 1.0), (20, STALE), (30, 3.0)):
        store.append(UP, time, value)
    assert [values(store, "up", at) for at in (19, 20, 29, 30)] == [[1], [], [], [3]]
    assert points(store, "up[1m]", 30) == {"up/a": [(10.0, 1.0), (30.0, 3.0)]}


def test_nan_is_a_value() -> None:
    store = SeriesStore()
    store.append(UP, 10, 1.0)
    store.append(UP, 20, math.nan)
    [value] = values(store, "up", 25)
    assert math.isnan(value)


# --- retention


@pytest.mark.parametrize("retention", [0, -1, math.nan, math.inf])
def test_a_retention_is_a_time_above_0(retention: float) -> None:
    with pytest.raises(ValueError, match=r"retention|time"):
        SeriesStore(retention=retention)


def test_old_samples_are_dropped() -> None:
    store = SeriesStore(retention=60)
    for time in range(0, 1001, 10):
        store.append(UP, time, time)
    [kept] = points(store, "up[1h]", 1000).values()
    assert [time for time, _ in kept] == [float(time) for time in range(940, 1001, 10)]


def test_a_metric_is_kept_as_long_as_is_asked_for_it() -> None:
    store = SeriesStore(retention=60)
    store.retain("up", 500)
    store.retain("up", 100)
    store.retain("down", 1)
    for time in range(0, 1001, 10):
        store.append(UP, time, time)
        store.append({"__name__": "down"}, time, time)
    kept = points(store, '{__name__=~"up|down"}[1h]', 1000)
    assert kept["down"][0][0] == 940
    assert 460 < kept["up/a"][0][0] <= 500  # dropped a few at a time


def test_a_series_without_new_samples_is_forgotten() -> None:
    store = SeriesStore(retention=60)
    store.append(UP, 0, 1)
    for time in range(0, 101, 10):
        store.append({"__name__": "other"}, time, 1)
    assert len(store) == 1
    assert points(store, "up[1h]", 100) == {}


def test_a_series_that_is_filled_in_later_is_kept() -> None:
    store = SeriesStore(retention=60)
    for job in ("a", "b"):
        for time in range(0, 1001, 10):
            store.append({**UP, "job": job}, time, 1)
    assert [len(found) for found in points(store, "up[1h]", 1000).values()] == [7, 7]


@given(st.lists(st.integers(1, 100), min_size=1, max_size=300), st.integers(1, 2000))
def test_what_is_not_yet_old_is_all_there(gaps: list[int], retention: int) -> None:
    store, time, times = SeriesStore(retention=retention), 0, []
    for gap in gaps:
        time += gap
        times.append(time)
        store.append(UP, time, time)
    [kept] = points(store, "up[10h]", time).values()
    assert [at for at, _ in kept][-len([t for t in times if t >= time - retention]) :] == [
        at for at in times if at >= time - retention
    ]


def test_a_long_series_takes_at_most_20_bytes_a_sample() -> None:
    series = Series({})
    sizes = []
    for time in range(60_000):
        series.append(time, 1.5)
        series.drop(time - 20_000)
        if time > 30_000:
            size = sys.getsizeof(series.times) + sys.getsizeof(series.values)
            sizes.append(size / 20_001)
    assert max(sizes) <= 20


# --- scrape


class Failing:
    """A collector that answers or not."""

    def __init__(self) -> None:
        self.fails = False

    def describe(self) -> Iterator[Any]:
        yield GaugeMetricFamily("failing", "-")

    def collect(self) -> Iterator[Any]:
        if self.fails:
            raise OSError("no answer")
        yield GaugeMetricFamily("failing", "-", value=7)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def test_a_scrape_takes_every_series(registry: CollectorRegistry) -> None:
    Gauge("g", "-", ["a"], registry=registry).labels("x").set(2)
    Histogram("h", "-", buckets=[1], registry=registry).observe(0.5)
    store = SeriesStore()
    store.scrape(registry, 100)
    found: Any = query('{__name__=~".+", __name__!~".*_created"}', store, 100)
    assert {
        (s.labels["__name__"], s.labels.get("le", s.labels.get("a")), s.value) for s in found
    } == {
        ("g", "x", 2),
        ("h_bucket", "1.0", 1),
        ("h_bucket", "+Inf", 1),
        ("h_count", None, 1),
        ("h_sum", None, 0.5),
    }


def test_a_vanished_series_ends(registry: CollectorRegistry) -> None:
    gauge = Gauge("g", "-", ["a"], registry=registry)
    gauge.labels("x").set(1)
    gauge.labels("y").set(2)
    store = SeriesStore()
    store.scrape(registry, 15)
    gauge.remove("x")
    store.scrape(registry, 30)
    assert values(store, "g", 29) == [1, 2]
    assert values(store, "g", 30) == [2]


def test_a_counter_that_appears_between_two_scrapes_was_0(registry: CollectorRegistry) -> None:
    counter = Counter("c", "-", ["a"], registry=registry)
    store = SeriesStore()
    store.scrape(registry, 15)
    counter.labels("x").inc(3)
    store.scrape(registry, 30)
    assert points(store, "c_total[1m]", 30) == {"c_total/x": [(15.0, 0.0), (30.0, 3.0)]}


def test_so_were_histograms_and_summaries(registry: CollectorRegistry) -> None:
    histogram = Histogram("h", "-", ["a"], buckets=[1], registry=registry)
    summary = Summary("s", "-", ["a"], registry=registry)
    store = SeriesStore()
    store.scrape(registry, 15)
    histogram.labels("x").observe(0.5)
    summary.labels("x").observe(2)
    store.scrape(registry, 30)
    begun = points(store, '{__name__=~"(h|s)_(bucket|count|sum)"}[1m]', 30)
    assert len(begun) == 6
    assert {found[0] for found in begun.values()} == {(15.0, 0.0)}


def test_a_gauge_was_nothing(registry: CollectorRegistry) -> None:
    gauge = Gauge("g", "-", ["a"], registry=registry)
    store = SeriesStore()
    store.scrape(registry, 15)
    gauge.labels("x").set(3)
    store.scrape(registry, 30)
    assert points(store, "g[1m]", 30) == {"g/x": [(30.0, 3.0)]}


def test_counters_of_the_first_scrape_may_be_old(registry: CollectorRegistry) -> None:
    Counter("c", "-", registry=registry).inc(1000)
    store = SeriesStore()
    store.scrape(registry, 15)
    assert points(store, "c_total[1m]", 15) == {"c_total": [(15.0, 1000.0)]}


def test_so_may_counters_that_were_not_asked_for_before(registry: CollectorRegistry) -> None:
    Counter("c", "-", registry=registry).inc(1000)
    store = SeriesStore()
    store.scrape(registry, 15, names={"other"})
    store.scrape(registry, 30, names={"other", "c_total"})
    assert points(store, "c_total[1m]", 30) == {"c_total": [(30.0, 1000.0)]}


def test_a_counter_that_comes_back_is_not_new(registry: CollectorRegistry) -> None:
    counter = Counter("c", "-", ["a"], registry=registry)
    store = SeriesStore()
    counter.labels("x").inc(5)
    store.scrape(registry, 15)
    counter.remove("x")
    store.scrape(registry, 30)
    counter.labels("x").inc(2)
    store.scrape(registry, 45)
    assert points(store, "c_total[1m]", 45) == {"c_total/x": [(15.0, 5.0), (45.0, 2.0)]}


def earlier(store: SeriesStore) -> list[Samples]:
    """What an earlier process kept of a counter."""
    store.append({"__name__": "c_total", "a": "x"}, 15, 5)
    return store.dump({None: 60}, 15)


@pytest.mark.parametrize(
    ("begun", "points_then"),
    [
        (20, [(15.0, 5.0), (20.0, 0.0), (30.0, 8.0)]),
        (10, [(15.0, 5.0), (15.001, 0.0), (30.0, 8.0)]),
        (None, [(15.0, 5.0), (30.0, 8.0)]),
    ],
)
def test_a_restored_counter_began_from_0_where_the_process_is_another(
    registry: CollectorRegistry, begun: float | None, points_then: list[tuple[float, float]]
) -> None:
    store = SeriesStore()
    store.restore(earlier(SeriesStore()), begun)
    Counter("c", "-", ["a"], registry=registry).labels("x").inc(8)
    store.scrape(registry, 30)
    assert points(store, "c_total[1m]", 30) == {"c_total/x": points_then}


@pytest.mark.parametrize("begun", [20, None])
def test_a_restored_counter_that_appears_between_two_scrapes_was_0(
    registry: CollectorRegistry, begun: float | None
) -> None:
    store = SeriesStore()
    store.restore(earlier(SeriesStore()), begun)
    counter = Counter("c", "-", ["a"], registry=registry)
    store.scrape(registry, 30)
    counter.labels("x").inc(8)
    store.scrape(registry, 45)
    assert points(store, "c_total[1m]", 45) == {"c_total/x": [(15, 5), (30, 0), (45, 8)]}


def test_a_collector_of_the_programs_own_may_go_on_over_a_restart(
    registry: CollectorRegistry,
) -> None:
    class Database:
        def collect(self) -> Iterator[Any]:
            for name, label, value in (("c", "x", 8), ("d", "y", 1000)):
                family = CounterMetricFamily(name, "-", labels=["a"])
                family.add_metric([label], value)
                yield family

    registry.register(Database())
    store = SeriesStore()
    store.restore(earlier(SeriesStore()), 20)
    store.scrape(registry, 30)
    assert points(store, '{a=~"x|y"}[1m]', 30) == {
        "c_total/x": [(15.0, 5.0), (30.0, 8.0)],
        "d_total/y": [(30.0, 1000.0)],
    }


def test_only_what_is_asked_for_is_scraped(registry: CollectorRegistry) -> None:
    Histogram("h", "-", buckets=[1], registry=registry).observe(0.5)
    foreign = Gauge("foreign", "-", registry=registry)
    foreign.set_function(lambda: pytest.fail("a foreign collector was run"))
    store = SeriesStore()
    store.scrape(registry, 15, names={"h_count", "absent"})
    assert len(store) == 1
    assert values(store, "h_count", 15) == [1]


def test_a_collector_without_known_names_is_asked_too(registry: CollectorRegistry) -> None:
    class Unknown:
        def collect(self) -> Iterator[Any]:
            yield GaugeMetricFamily("a", "-", value=1)
            yield GaugeMetricFamily("b", "-", value=2)

    registry.register(Unknown())
    store = SeriesStore()
    store.scrape(registry, 15, names={"b"})
    assert len(store) == 1
    assert values(store, "b", 15) == [2]


def test_target_info_is_a_series() -> None:
    store = SeriesStore()
    store.scrape(CollectorRegistry(target_info={"service": "s"}), 15)
    assert values(store, 'target_info{service="s"}', 15) == [1]


def test_a_collector_that_fails_does_not_stop_the_others(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "raising", False)
    failing, store = Failing(), SeriesStore()
    registry.register(failing)
    counter = Counter("c", "-", ["a"], registry=registry)
    store.scrape(registry, 15)
    failing.fails = True
    counter.labels("x").inc()
    earlier = losses.counts().get(("series", "collector"), 0)
    store.scrape(registry, 30)
    assert losses.counts()["series", "collector"] == earlier + 1
    assert values(store, "c_total", 30) == [1]
    assert values(store, "failing", 30) == []
    counter.labels("y").inc(100)  # it may have been there at the scrape that failed
    store.scrape(registry, 45)
    assert points(store, 'c_total{a="y"}[1m]', 45) == {"c_total/y": [(45.0, 100.0)]}


def test_a_scrape_at_the_same_time_changes_nothing(registry: CollectorRegistry) -> None:
    gauge = Gauge("g", "-", registry=registry)
    gauge.set(1)
    store = SeriesStore()
    store.scrape(registry, 15)
    gauge.set(2)
    store.scrape(registry, 15)
    assert store.refused == 1
    assert points(store, "g[1m]", 15) == {"g": [(15.0, 1.0)]}


def test_labels_may_hold_any_text(registry: CollectorRegistry) -> None:
    gauge = Gauge("g", "-", ["a"], registry=registry)
    texts = ["", "é☺", "a\nb", '"\\', "\0", "\ud800"]
    for place, text in enumerate(texts):
        gauge.labels(text).set(place)
    store = SeriesStore()
    store.scrape(registry, 15)
    assert sorted(values(store, 'g{a!~"x.*"}', 15)) == [0, 1, 2, 3, 4, 5]
    assert values(store, 'g{a=""}', 15) == [0]
    assert values(store, 'g{a=~"a.b"}', 15) == [2]


IN_MULTIPROCESS_MODE = """
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.multiprocess import MultiProcessCollector
from geomon.promql import needs, query
from geomon.series import SeriesStore

wanted, other = (Counter(name, "-", ["a"]) for name in ("wanted", "other"))
store = SeriesStore()
for at in (15, 30):
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    store.scrape(registry, at, names={"wanted_total"})
    wanted.labels("x").inc(3)
    other.labels("x").inc(3)
print(len(store), query("wanted_total[1m]", store, 30)[0].points)
"""


def test_a_merged_registry_is_scraped_too(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_MULTIPROCESS_MODE],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("1 [(15.0, 0.0), (30.0, 3.0)]\n", "")


# --- what a query needs


@pytest.mark.parametrize(
    ("expr", "seconds"),
    [
        ("x", {"x": 300}),
        ("1 + time()", {}),
        ("x offset 1m - y offset -1m", {"x": 360, "y": 300}),
        ("rate(x[5m]) / sum(x) > 1", {"x": 300}),
        ("rate(x[10m] offset 1m)", {"x": 660}),
        ("max_over_time(rate(x[1m])[1h:] offset 1m)", {"x": 3720}),
        ("-absent(timestamp(x) or topk(scalar(y), z))", {"x": 300, "y": 300, "z": 300}),
        ('{__name__="x"} and {__name__=~"y.*"}', {"x": 300, None: 300}),
        ("+".join(["x"] * 400), {"x": 300}),
    ],
)
def test_a_query_says_how_long_metrics_must_be_kept(
    expr: str, seconds: dict[str | None, float]
) -> None:
    assert needs(expr) == seconds


@pytest.mark.parametrize(
    ("expr", "seconds"),
    [
        ("x", math.inf),
        ("avg_over_time(x[1s])", math.inf),
        ("sum(rate(x[5m])) / -increase(y[1m] offset 1h) > 1", 60),
        ("max_over_time(deriv(x[30s])[1h:])", 30),
        ("rate(x[10s:1s])", math.inf),
    ],
)
def test_a_query_says_how_long_a_window_with_two_samples_is(expr: str, seconds: float) -> None:
    assert narrowest(expr) == seconds


# --- threads


def test_a_query_sees_whole_series_while_another_thread_appends() -> None:
    store, done = SeriesStore(retention=50), threading.Event()

    def append() -> None:
        for time in range(20_000):
            store.append(UP, time, time)
            store.append({"__name__": "other", "n": str(time % 50)}, time, time)
        done.set()

    writer = threading.Thread(target=append)
    writer.start()
    broken = []
    while not done.is_set():
        for found in points(store, '{job="a"}[10y] @ 100000', 0).values():
            broken += [pair for pair in found if pair[0] != pair[1]]
        values(store, "sum(other)", 20_000)
    writer.join()
    assert broken == []
