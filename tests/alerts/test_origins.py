"""Counters over a restart: real processes, one after the other, with one state file."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter

from geomon.alerts.manager import AlertManager
from geomon.alerts.rule import AlertRule
from geomon.promql import query
from geomon.testing import MovableClock

SPENT = AlertRule("Spent", "increase(spent_total[1d]) > 0")

LIFE = """
    import sys
    from prometheus_client import Counter
    from geomon.alerts.manager import AlertManager
    from geomon.alerts.rule import AlertRule
    from geomon.promql import query

    Counter("spent", "-", ["type"]).labels("chat").inc(float(sys.argv[1]))
    rule = AlertRule("Spent", "increase(spent_total[1d]) > 50")
    manager = AlertManager([rule], state_path=sys.argv[2])
    manager.tick()
    print([value for _, value in query("spent_total[1d]", manager.store, manager.now())[0].points])
    manager.close()
"""
ANEW = ["[5.0]\n", "[5.0, 0.0, 8.0]\n", "[5.0, 0.0, 8.0, 0.0, 20.0]\n"]
ON = ["[5.0]\n", "[5.0, 13.0]\n", "[5.0, 13.0, 33.0]\n"]


@pytest.mark.parametrize(
    ("common", "emptied", "found"),
    [(False, False, ANEW), (True, True, ANEW), (True, False, ON)],
    ids=["one process", "workers' directory emptied", "workers' directory kept"],
)
def test_counters_begin_from_0_with_each_process_or_with_the_workers_directory(
    tmp_path: Path, common: bool, emptied: bool, found: list[str]
) -> None:
    directory = tmp_path / "workers"
    directory.mkdir()
    own = {"PROMETHEUS_MULTIPROC_DIR": str(directory)} if common else {}
    printed = []
    for spent in ("5", "8", "20"):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(LIFE), spent, str(tmp_path / "state")],
            env=os.environ | own,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        printed.append(done.stdout)
        for file in list(directory.iterdir()) if emptied else []:
            file.unlink()
    assert printed == found


def test_a_registry_that_outlives_the_manager_is_not_counted_twice(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    spent = Counter("spent", "-", registry=registry)
    spent.inc(100)
    with MovableClock() as clock:
        for more in (3, 4):
            manager = AlertManager([SPENT], registry=registry, state_path=tmp_path / "state")
            manager.tick()
            spent.inc(more)
            clock.move(15)
            manager.tick()
            (series,) = query("spent_total[1d]", manager.store, manager.now())  # type: ignore[misc] # one
            manager.close()
            clock.move(15)
    assert [value for _, value in series.points] == [100, 103, 103, 107]
