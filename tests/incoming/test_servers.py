"""Real servers: uvicorn, and gunicorn with its own and with uvicorn's workers."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.programs import environment, until

UVICORN = """
import sys, uvicorn
from geomon.logs import setup
setup(console=True, log_dir=None)
uvicorn.run(f"tests.incoming.site:{sys.argv[1]}", port=int(sys.argv[2]), log_config=None)
"""
SCRAPE = """
import sys
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
sys.stdout.write(generate_latest(registry).decode())
"""
ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class Running:
    """A server's address, and what it has written to standard error."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self._log = log

    def records(self, **wanted: Any) -> list[dict[str, Any]]:
        """The JSON lines with these values."""
        found = []
        for line in self._log.read_text().splitlines():
            if line.startswith("{"):
                record = json.loads(line)
                if wanted.items() <= record.items():
                    found.append(record)
        return found


@contextmanager
def serving(command: list[str], port: int, log: Path, **variables: str) -> Iterator[Running]:
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=environment(**variables),
            stdout=stderr,
            stderr=stderr,
            start_new_session=True,
        )
    try:
        until(lambda: process.poll() is not None or answers(port))
        assert process.poll() is None, log.read_text()
        yield Running(f"http://127.0.0.1:{port}", log)
        process.terminate()
        process.wait(20)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def uvicorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with uvicorn_of("app", tmp_path_factory.mktemp("uvicorn")) as running:
        yield running


def uvicorn_of(app: str, tmp_path: Path) -> Any:
    port = free_port()
    return serving(["-c", UVICORN, app, str(port)], port, tmp_path / "log")


def gunicorn(app: str, tmp_path: Path, *more: str, **variables: str) -> Any:
    port = free_port()
    command = ["-W", "ignore", "-m", "gunicorn", "-b", f"127.0.0.1:{port}", *more]
    return serving([*command, f"tests.incoming.site:{app}"], port, tmp_path / "log", **variables)


def test_uvicorns_access_line_has_the_requests_id(uvicorn: Running) -> None:
    httpx.get(f"{uvicorn.url}/jobs/1", headers={"X-Request-ID": "access-1"})
    wanted = {"request_id": "access-1"}
    until(lambda: len(uvicorn.records(**wanted)) == 2)
    assert {record["logger"] for record in uvicorn.records(**wanted)} == {
        "uvicorn.access",
        "geomon.http",
    }


def test_uvicorn_logs_no_exception_that_we_have_logged(uvicorn: Running) -> None:
    response = httpx.get(f"{uvicorn.url}/boom", headers={"X-Request-ID": "boom-1"})
    assert (response.status_code, response.headers["x-request-id"]) == (500, "boom-1")
    until(lambda: uvicorn.records(endpoint="/boom", status=500))
    httpx.get(f"{uvicorn.url}/jobs/2")  # what uvicorn has to say is said by then
    tracebacks = [record for record in uvicorn.records() if "exception" in record]
    assert [(one["request_id"], one["logger"]) for one in tracebacks] == [("boom-1", "geomon.http")]


def test_nothing_stays_for_the_next_request_of_a_connection(uvicorn: Running) -> None:
    with httpx.Client(base_url=uvicorn.url) as client:
        first = client.get("/sync", headers={"X-Request-ID": "one", "X-User": "u-1"}).json()
        second = client.get("/sync").json()
    assert (first["request_id"], first["user_id"]) == ("one", "b'u-1'")
    assert second.keys() == {"request_id"}
    assert second["request_id"] != "one"


def test_what_a_large_request_bound_stays_in_it(uvicorn: Running) -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    with httpx.Client(base_url=uvicorn.url) as client:
        headers = {"X-User": "alice", "traceparent": trace}
        client.post("/upload", content=b"x" * 300_000, headers=headers).raise_for_status()
        found = [client.get("/sync").json() for _ in range(3)]
    assert [one.keys() for one in found] == [{"request_id"}] * 3
    assert len({one["request_id"] for one in found}) == 3


def test_requests_that_are_sent_at_once_share_nothing(uvicorn: Running) -> None:
    host, port = uvicorn.url.removeprefix("http://").split(":")
    asked = [
        "GET /binding HTTP/1.1\r\nHost: x\r\nX-User: alice\r\nX-Request-ID: first\r\n\r\n",
        "GET /sync HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-ID: second\r\n\r\n",
    ]
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall("".join(asked).encode())
        answers = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    first, second = re.findall(r"^\{.*\}", answers, re.MULTILINE)
    assert json.loads(first) == {
        "request_id": "first",
        "user_id": "b'alice'",
        "tenant": "t-1",
    }
    assert json.loads(second) == {"request_id": "second"}


def test_what_a_middleware_around_ours_binds_is_its_own_requests(tmp_path: Path) -> None:
    with uvicorn_of("outer_app", tmp_path) as running, httpx.Client() as client:
        for number in range(3):
            headers = {"X-Tenant": f"t-{number}", "X-Request-ID": f"r-{number}"}
            client.post(f"{running.url}/upload", content=b"x" * 300_000, headers=headers)
            excluded = client.get(f"{running.url}/sync", headers={"X-Tenant": "t"}).json()
            assert excluded == {"tenant": "t"}
        wanted = {"logger": "geomon.http", "status": 200}
        until(lambda: len(running.records(**wanted)) == 3)
    assert [(one["tenant"], one["request_id"]) for one in running.records(**wanted)] == [
        ("t-0", "r-0"),
        ("t-1", "r-1"),
        ("t-2", "r-2"),
    ]


def test_what_a_middleware_around_ours_answers_is_the_answer(tmp_path: Path) -> None:
    with uvicorn_of("outer_bare_app", tmp_path) as running:
        response = httpx.get(running.url)
    assert (response.status_code, response.text) == (422, "broken")


def test_uvicorn_sends_our_500_and_logs_it_once(tmp_path: Path) -> None:
    with uvicorn_of("bare_asgi_app", tmp_path) as running:
        response = httpx.get(running.url, headers={"X-Request-ID": "r-1"})
    assert (response.status_code, response.text) == (500, "Internal Server Error")
    assert response.headers["x-request-id"] == "r-1"
    tracebacks = [record for record in running.records() if "exception" in record]
    assert [(one["request_id"], one["logger"]) for one in tracebacks] == [("r-1", "geomon.http")]


def test_gunicorns_asgi_worker_logs_what_nobody_hears_from_us(tmp_path: Path) -> None:
    with gunicorn("bare_asgi_app", tmp_path, "-k", "asgi") as running:
        assert httpx.get(running.url).status_code == 500
    assert (tmp_path / "log").read_text().count("ValueError: broken") == 1


def test_a_client_that_leaves_an_upload_is_499_and_logged_once_with_the_id(tmp_path: Path) -> None:
    with uvicorn_of("app", tmp_path) as running:
        port = int(running.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as leaving:
            head = "POST /upload HTTP/1.1\r\nHost: x\r\nX-Request-ID: cut-1\r\n"
            leaving.sendall(f"{head}Content-Length: 9\r\n\r\nhalf".encode())
        until(lambda: running.records(status=499))
        httpx.get(f"{running.url}/jobs/1")  # what uvicorn has to say is said by then
        tracebacks = [record for record in running.records() if "exception" in record]
    assert [(one["request_id"], one["logger"]) for one in tracebacks] == [("cut-1", "geomon.http")]


def test_a_client_that_leaves_a_stream_is_499(uvicorn: Running) -> None:
    headers = {"X-Request-ID": "left-1"}
    with httpx.stream("GET", f"{uvicorn.url}/events", headers=headers) as response:
        assert next(response.iter_lines()) == "data: first"
    left = {"request_id": "left-1", "logger": "geomon.http"}
    until(lambda: uvicorn.records(**left))
    assert [(one["status"], one["outcome"]) for one in uvicorn.records(**left)] == [
        (499, "cancelled")
    ]


def test_server_sent_events_pass_one_by_one(uvicorn: Running) -> None:
    with httpx.stream("GET", f"{uvicorn.url}/events") as response:
        lines = response.iter_lines()
        assert next(lines) == "data: first"
        httpx.get(f"{uvicorn.url}/go")
        assert [line for line in lines if line] == ["data: last"]


def test_gunicorns_access_line_has_the_requests_id(tmp_path: Path) -> None:
    logger = ("--logger-class", "tests.incoming.site.ContextLogger", "--access-logfile", "-")
    with gunicorn("wsgi_app", tmp_path, *logger) as running:
        httpx.get(f"{running.url}/hello/you", headers={"X-Request-ID": "r-1"})
        httpx.get(f"{running.url}/hello/you")
        until(lambda: len(running.records(logger="access")) == 2)
    first, second = running.records(logger="access")
    assert (first["request_id"], first["status"]) == ("r-1", "200 OK")
    assert len(second["request_id"]) == 32


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_gunicorn_sends_our_500_and_logs_it_once(worker: str, tmp_path: Path) -> None:
    with gunicorn("bare_app", tmp_path, "-k", worker) as running:
        response = httpx.get(f"{running.url}/", headers={"X-Request-ID": "r-1"})
    assert (response.status_code, response.text) == (500, "Internal Server Error")
    assert response.headers["x-request-id"] == "r-1"
    # nobody hears our records in this program, so that gunicorn's is the one
    assert (tmp_path / "log").read_text().count("ValueError: broken") == 1


def test_a_client_that_leaves_gunicorn_is_499(tmp_path: Path) -> None:
    directory = tmp_path / "metrics"
    directory.mkdir()
    with gunicorn("wsgi_app", tmp_path, PROMETHEUS_MULTIPROC_DIR=str(directory)) as running:
        with httpx.stream("GET", f"{running.url}/endless") as response:
            assert next(response.iter_raw())
        until(lambda: counted(directory))
    assert counted(directory) == {("/endless", "GET", "499"): 1}


@pytest.mark.parametrize("worker", ["uvicorn.workers.UvicornWorker", "asgi"])
def test_the_sums_of_workers_are_right_though_one_is_killed(worker: str, tmp_path: Path) -> None:
    directory = tmp_path / "metrics"
    directory.mkdir()
    four = ("-k", worker, "-w", "4", "--graceful-timeout", "5")
    with gunicorn("app", tmp_path, *four, PROMETHEUS_MULTIPROC_DIR=str(directory)) as running:
        answered, lost, pids = load(running.url, clients=8, requests=100)
    counts = counted(directory)
    assert len(pids) > 1
    assert set(counts) == {("/jobs/{number}", "GET", "200")}
    total = sum(counts.values())
    assert answered - 1 <= total <= answered + lost  # one may die between its answer and its count
    assert counted(directory, "http_request_duration_seconds_count") == {
        ("/jobs/{number}", "GET"): total
    }


def load(url: str, clients: int, requests: int) -> tuple[int, int, set[int]]:
    """How many were answered, how many were not, and by which workers; one is killed meanwhile."""
    pids: list[int] = []
    lost: list[Exception] = []
    half = threading.Event()

    def client() -> None:
        apart = httpx.Limits(max_keepalive_connections=0)  # every request to any worker
        with httpx.Client(base_url=url, limits=apart, timeout=20) as asking:
            for number in range(requests):
                try:
                    pids.append(asking.get(f"/jobs/{number}").json())
                except httpx.HTTPError as error:
                    lost.append(error)
                if len(pids) > clients * requests / 2:
                    half.set()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    half.wait(60)
    os.kill(pids[-1], signal.SIGKILL)
    for thread in threads:
        thread.join()
    assert len(pids) + len(lost) == clients * requests
    return len(pids), len(lost), set(pids)


def counted(directory: Path, name: str = "http_requests_total") -> dict[tuple[str, ...], float]:
    """A metric, merged over the workers."""
    done = subprocess.run(
        [sys.executable, "-c", SCRAPE],
        env=environment(PROMETHEUS_MULTIPROC_DIR=str(directory)),
        capture_output=True,
        text=True,
        check=True,
    )
    samples = (
        sample
        for family in text_string_to_metric_families(done.stdout)
        for sample in family.samples
        if sample.name == name
    )
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for sample in samples
    }
