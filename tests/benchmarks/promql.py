"""What an evaluation of alert rules costs, beside the interval that it is done in."""

from __future__ import annotations

import itertools
import json
import math
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge

from geomon.promql import query, query_range
from geomon.series import SeriesStore
from geomon.settings import AI_BUCKETS
from tests.benchmarks.measure import interleaved, show

INTERVAL = 15
HOUR = 3600
BOUNDS = [*map(str, AI_BUCKETS), "+Inf"]


def labelled(pairs: int) -> Iterable[dict[str, str]]:
    """20 series a pair of type and model: requests, errors, the 17 buckets, and their count."""
    for pair in range(pairs):
        labels = {"type": f"type{pair % 10}", "model": f"model{pair // 10}"}
        yield {"__name__": "ai_requests_total", **labels}
        yield {"__name__": "ai_errors_total", **labels}
        yield {"__name__": "ai_request_duration_seconds_count", **labels}
        for bound in BOUNDS:
            yield {"__name__": "ai_request_duration_seconds_bucket", "le": bound, **labels}


def filled(pairs: int = 50, seconds: int = HOUR) -> SeriesStore:
    """A store with counters that rise at every scrape."""
    store = SeriesStore(retention=2 * seconds)
    series = list(labelled(pairs))
    for at in range(0, seconds + 1, INTERVAL):
        for place, labels in enumerate(series):
            store.append(labels, at, at * (1 + place % 7))
    return store


def rules(window: str = "5m") -> list[str]:
    """A hundred: a rate, an error ratio and a 95th percentile for every type, then by model."""
    rate, errors, p95 = (
        "sum by (model) (rate(ai_requests_total{{{0}}}[{1}])) < 0.1",
        "sum by (type) (rate(ai_errors_total{{{0}}}[{1}])) "
        "/ sum by (type) (rate(ai_requests_total{{{0}}}[{1}])) > 0.05",
        "histogram_quantile(0.95, sum by (le, type) "
        "(rate(ai_request_duration_seconds_bucket{{{0}}}[{1}]))) > 30",
    )
    choices = ["", 'model!="model9"', 'type=~"type.*"', *(f'type="type{n}"' for n in range(10))]
    made = [rule.format(choice, window) for choice in choices for rule in (rate, errors, p95)]
    return list(itertools.islice(itertools.cycle(made), 100))


def milliseconds(work: Callable[[], object]) -> Callable[[], float]:
    def once() -> float:
        begin = time.process_time()  # of one core: what else the machine does is left out
        work()
        return (time.process_time() - begin) * 1e3

    return once


def evaluation(store: SeriesStore, exprs: list[str], at: float = HOUR) -> Callable[[], float]:
    return milliseconds(lambda: [query(expr, store, at) for expr in exprs])


def percent_of_interval() -> None:
    store = filled()
    for title, exprs in (("most over one type", rules()), ("each over every type", wide_rules())):
        results = interleaved({"geomon": evaluation(store, exprs)}, 5)
        results["Prometheus 2.42 (Debian), wall time"] = prometheus(exprs)
        results["the interval"] = INTERVAL * 1e3
        show(f"100 rules, {title}, over {len(store)} series with an hour", results, "geomon", "ms")


def wide_rules() -> list[str]:
    """The same hundred, all without a choice of series."""
    return list(itertools.islice(itertools.cycle(e for e in rules() if "{}" in e), 100))


def prometheus(exprs: list[str]) -> float:
    """Milliseconds that a real Prometheus needs for them over the same samples."""
    if shutil.which("prometheus") is None:
        return math.nan
    with tempfile.TemporaryDirectory() as folder:
        write_samples(Path(folder))
        write_rules(Path(folder), exprs)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        command = ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb"]
        server = subprocess.Popen(
            [*command, f"--web.listen-address={address}"], cwd=folder, stderr=subprocess.DEVNULL
        )
        try:
            return statistics.median(durations(f"http://{address}/metrics"))
        finally:
            server.terminate()
            server.wait()


def write_samples(folder: Path) -> None:
    """The samples of `filled`, ending now, as blocks of a Prometheus."""
    end = int(time.time())
    with open(folder / "samples", "w") as file:
        for place, labels in enumerate(labelled(50)):
            name, *pairs = labels.items()
            text = ",".join(f'{key}="{value}"' for key, value in pairs)
            for at in range(0, HOUR + 1, INTERVAL):
                value = at * (1 + place % 7)
                file.write(f"{name[1]}{{{text}}} {value} {end - HOUR + at}\n")
        file.write("# EOF\n")
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "samples", "tsdb"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def write_rules(folder: Path, exprs: list[str]) -> None:
    made = [{"alert": f"a{n}", "expr": expr} for n, expr in enumerate(exprs)]
    groups = {"groups": [{"name": "bench", "interval": "1s", "rules": made}]}
    (folder / "rules.yml").write_text(json.dumps(groups))
    (folder / "prometheus.yml").write_text(json.dumps({"rule_files": ["rules.yml"]}))


def durations(url: str) -> Iterator[float]:
    """What some evaluations took, in milliseconds."""
    pattern = re.compile(r"^prometheus_rule_group_last_duration_seconds\{.*\} (\S+)$", re.MULTILINE)
    for _ in range(10):
        time.sleep(1)
        try:
            with urllib.request.urlopen(url) as page:
                found = pattern.search(page.read().decode())
        except OSError:  # not yet up
            continue
        if found and float(found[1]):
            yield float(found[1]) * 1e3


def growth() -> None:
    stores = {pairs: filled(pairs) for pairs in (25, 50, 100)}
    results = {f"{len(store)} series": evaluation(store, rules()) for store in stores.values()}
    show("Growth with series", interleaved(results, 5), f"{len(stores[50])} series", "ms")
    windows = {f"a window of {w}": evaluation(stores[50], rules(w)) for w in ("5m", "10m", "20m")}
    show("Growth with the window", interleaved(windows, 5), "a window of 5m", "ms")
    flat = {
        f"{hours} h kept": evaluation(filled(50, hours * HOUR), rules(), hours * HOUR)
        for hours in (1, 2, 4)
    }
    show("Growth with retention", interleaved(flat, 5), "1 h kept", "ms")


def panels() -> None:
    store = filled()
    expr = "sum by (type) (rate(ai_request_duration_seconds_bucket[5m]))"
    results = {
        "240 steps": milliseconds(lambda: query_range(expr, store, 0, HOUR, 15)),
        "60 steps": milliseconds(lambda: query_range(expr, store, 0, HOUR, 60)),
    }
    show("A range query over 850 series", interleaved(results, 3), "240 steps", "ms")


def scrapes() -> None:
    registry = CollectorRegistry()
    foreign = Gauge("foreign", "-", ["n"], registry=registry)
    own = Counter("own", "-", ["n"], registry=registry)
    for n in range(10_000):
        foreign.labels(n).set(n)
    for n in range(1_000):
        own.labels(n).inc()
    everything, asked = SeriesStore(), SeriesStore()
    clock = itertools.count()
    results = {
        "11,000 series": milliseconds(lambda: everything.scrape(registry, next(clock))),
        "the 1,000 asked for": milliseconds(
            lambda: asked.scrape(registry, next(clock), names={"own_total"})
        ),
    }
    show("A scrape", interleaved(results, 5), "11,000 series", "ms")


def bytes_a_sample() -> None:
    import tracemalloc

    tracemalloc.start()
    store = SeriesStore(retention=24 * HOUR)
    samples = 24 * HOUR // INTERVAL
    for n in range(samples * 2):  # the older half is dropped
        for series in range(10):
            store.append({"__name__": "x", "n": str(series)}, n * INTERVAL, float(n))
    used = tracemalloc.get_traced_memory()[0] / (samples * 10)
    tracemalloc.stop()
    print(f"\nBytes a sample, a day at 15 s: {used:.1f}")


def main() -> None:
    percent_of_interval()
    growth()
    panels()
    scrapes()
    bytes_a_sample()


if __name__ == "__main__":
    main()
