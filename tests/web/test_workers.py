"""Several workers whose numbers do not add up: said once, with what to set."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.incoming.test_servers import free_port, serving
from tests.programs import until

SERVERS = {
    "uvicorn": "-m uvicorn --workers {workers} --port {port} tests.web.counted:app",
    "gunicorn": "-m gunicorn -w {workers} -b 127.0.0.1:{port} tests.web.counted:wsgi_app",
}


@contextmanager
def metrics_of(server: str, workers: int, log: Path, **variables: str) -> Iterator[str]:
    port = free_port()
    command = SERVERS[server].format(workers=workers, port=port).split()
    with serving(["-W", "ignore", *command], port, log, **variables) as running:
        yield f"{running.url}/metrics"


def said(log: Path) -> list[str]:
    return re.findall(r"one of (\d) worker processes.*PROMETHEUS_MULTIPROC_DIR", log.read_text())


def asked(url: str) -> bool:
    return httpx.get(url, timeout=20, trust_env=False).status_code == 200


@pytest.mark.parametrize("server", SERVERS)
def test_workers_that_count_for_themselves_are_told_once(server: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with metrics_of(server, 2, log) as url:
        until(lambda: asked(url) and said(log) != [])
        assert all(asked(url) for _ in range(20))
    assert said(log) == ["2"]


@pytest.mark.parametrize("server", SERVERS)
def test_one_process_and_workers_whose_numbers_add_up_are_not(server: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for workers, variables in ((1, {}), (2, {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)})):
        with metrics_of(server, workers, log, **variables) as url:
            assert all(asked(url) for _ in range(20))
        assert said(log) == []
