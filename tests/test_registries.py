"""The registry that adds up all workers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, CollectorRegistry

from geomon import registries


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
