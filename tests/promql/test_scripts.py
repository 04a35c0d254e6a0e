"""PromQL by scripts: the cases in `cases/`, in the language of Prometheus's own tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.promql.scripts import Case, read_scripts

CASES = dict(read_scripts(Path(__file__).with_name("cases")))


@pytest.mark.parametrize("name", CASES)
def test_a_case_gives_what_prometheus_gives(name: str) -> None:
    case: Case = CASES[name]
    case.check()
