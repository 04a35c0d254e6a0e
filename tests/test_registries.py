"""The registry that adds up all workers, and one that is read in pieces."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter
from prometheus_client.samples import Sample

from geomon import registries
from geomon.sinks import store


def test_a_registry_of_the_programs_own_is_read_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = CollectorRegistry()
    assert registries.merged(own) is own
    assert registries.merged(None) is REGISTRY
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    assert registries.merged(own) is own
    assert registries.merged(None) is not REGISTRY


def test_a_worker_that_opens_its_files_at_this_moment_is_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "a[b]"  # no pattern
    place.mkdir()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(place))
    program = "from prometheus_client import Counter; Counter('a', '-').inc(3)"
    subprocess.run([sys.executable, "-c", program], check=True, env=dict(os.environ))
    (place / "counter_1.db").touch()
    (place / "gauge_liveall_1.db").symlink_to(place / "gone")
    assert registries.merged(None).get_sample_value("a_total") == 3


def test_a_directory_that_is_not_there_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "missing"))
    with pytest.raises(ValueError, match="not a directory"):
        registries.merged(None)


def test_a_metrics_samples_are_never_all_there_while_they_are_read() -> None:
    registry = CollectorRegistry()
    counter = Counter("a", "-", ["n"], registry=registry)
    own = store.Histogram("b", "-", ["n"], [1, 2])
    registry.register(own)
    for number in range(5000):
        counter.labels(number).inc()
        own.labels(str(number)).observe(1)
    for metric in registries.Steady(registry).collect():
        samples = iter(metric.samples)
        next(samples)
        assert sum(type(one) is Sample for one in gc.get_objects()) < 1000
        assert sum(1 for _ in samples) == 5000 * (2 if metric.name == "a" else 5) - 1
