"""README's programs run, and it names what there is."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

import geomon
from geomon.errors import ERROR_TYPES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.split("\n\n")[1][:40])
def test_every_program_runs(program: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", program]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)


def test_every_metric_is_named() -> None:
    registry = CollectorRegistry()
    geomon.configure(registry=registry).close()
    made = {
        metric.name + ("_total" if metric.type == "counter" else "")
        for metric in registry.collect()
    }
    assert made == {name for name in made if f"`{name}`" in README}


def test_every_argument_of_configure_is_named() -> None:
    arguments = inspect.signature(geomon.configure).parameters
    assert [name for name in arguments if f"`{name}`" not in README] == []


def test_every_error_type_is_named() -> None:
    assert [name for name in ERROR_TYPES if f"`{name}`" not in README] == []


def test_everything_public_has_a_docstring() -> None:
    public = [getattr(geomon, name) for name in geomon.__all__ if name != "__version__"]
    assert [thing for thing in public if not inspect.getdoc(thing)] == []


def test_the_version_is_the_same_everywhere() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert re.findall(r'^version = "(.*)"', project, re.MULTILINE) == [geomon.__version__]
