"""A real control group with a limit, and a real process in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from geomon.health.cgroups import Cgroups
from tests.health.trees import MiB
from tests.programs import environment, until

LIMIT = 200 * MiB
PROGRAM = """
import json, sys
from geomon.health import System
sys.stdin.readline()  # until it was moved
system = System()
cache = open(sys.argv[1], "rb").read()
del cache
held = bytearray(b"x" * (60 * 2**20))
print(json.dumps(system.sample().memory), flush=True)
"""


def _memory_root() -> Path:
    cgroups = Cgroups()
    cgroups.look()
    place = cgroups.place("memory")
    if place is None:
        pytest.skip("no control groups here")
    return place.top


@pytest.fixture
def group() -> Iterator[Path]:
    """A group with a limit, and one without inside it."""
    outer = _memory_root() / f"geomon-test-{os.getpid()}"
    inner = outer / "inner"
    name = "memory.max" if (outer.parent / "cgroup.controllers").exists() else ""
    try:
        outer.mkdir()
        if name:
            (outer / "cgroup.subtree_control").write_text("+memory")
        (outer / (name or "memory.limit_in_bytes")).write_text(str(LIMIT))
        inner.mkdir()
    except OSError as error:
        with suppress(OSError):
            outer.rmdir()
        pytest.skip(f"this machine lets nobody make a control group: {error}")
    yield inner
    for directory in (inner, outer):
        until(lambda directory=directory: _removed(directory))


def _removed(directory: Path) -> bool:
    with suppress(OSError):  # busy, as long as a process that ended is in it
        directory.rmdir()
    return not directory.exists()


def test_a_process_sees_the_limit_of_the_group_above_its_own(group: Path, tmp_path: Path) -> None:
    file = tmp_path / "cached"
    file.write_bytes(b"x" * (50 * MiB))
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        try:
            (group / "cgroup.procs").write_text(str(process.pid))
        except OSError as error:
            process.kill()
            pytest.skip(f"this machine lets no process be moved: {error}")
        out, _ = process.communicate("go\n", timeout=60)
    used, limit = json.loads(out)
    assert limit == LIMIT
    assert 60 * MiB < used < LIMIT
