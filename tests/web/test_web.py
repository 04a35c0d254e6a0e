"""Metrics and health over HTTP: applications, the server, and a real Prometheus that scrapes."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

import geomon
from geomon.web import health_app, health_wsgi, metrics_app, metrics_wsgi, serve
from tests.servers import require


@pytest.fixture
def registry() -> Iterator[CollectorRegistry]:
    registry = CollectorRegistry()
    with geomon.configure(registry=registry, console=False, rules=[]):
        with geomon.track_ai("chat", model="m"):
            pass
        yield registry


def get(
    port: int, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def asgi(app: Any, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.request(method, path, headers=named)

    return asyncio.run(ask())


# --- /metrics


def test_metrics_are_those_of_configure(registry: CollectorRegistry) -> None:
    with serve(port=0) as server:
        status, headers, body = get(server.port, "/metrics")
    assert (status, headers["Content-Type"].split(";")[0]) == (200, "text/plain")
    assert b'ai_requests_total{model="m",type="chat"} 1.0' in body


def test_a_scraper_that_asks_for_openmetrics_gets_it(registry: CollectorRegistry) -> None:
    answer = asgi(metrics_app(), "/", accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [("gzip", True), ("deflate, GZIP;q=0.5", True), ("*", True), ("gzip;q=0", False), ("", False)],
)
def test_a_body_is_gzipped_where_that_is_accepted(
    registry: CollectorRegistry, accepted: str, zipped: bool
) -> None:
    with serve(port=0) as server:
        _, headers, body = get(server.port, "/metrics", Accept_Encoding=accepted)
    assert (headers.get("Content-Encoding") == "gzip") is zipped
    assert b"ai_requests_total" in (gzip.decompress(body) if zipped else body)


def test_a_registry_can_be_named() -> None:
    own = CollectorRegistry()
    Counter("own", "-", registry=own).inc()
    assert "own_total 1.0" in asgi(metrics_app(own), "/").text


def test_promtool_finds_no_fault(registry: CollectorRegistry) -> None:
    with geomon.track_request("GET", "/"):
        pass
    with serve(port=0) as server:
        _, _, body = get(server.port, "/metrics")
    promtool = require("promtool", package="prometheus")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=body, capture_output=True, timeout=60, check=False
    )
    lint = done.stderr.decode().splitlines()
    # names of the original design, which promtool's style would have otherwise
    assert [line for line in lint if "error_rate" not in line] == []


def test_a_large_registry_does_not_hold_the_event_loop_up() -> None:
    large = CollectorRegistry()
    counter = Counter("large", "-", ["n"], registry=large)
    for number in range(20_000):
        counter.labels(str(number)).inc()
    app = metrics_app(large)

    async def scrape_and_go_on() -> int:
        turns, done = 0, asyncio.Event()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                done.set()

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        task = asyncio.ensure_future(app(scope, None, send))
        while not done.is_set():
            await asyncio.sleep(0.001)
            turns += 1
        await task
        return turns

    assert asyncio.run(scrape_and_go_on()) > 5


# --- /health


def test_health_answers_as_the_original_did(registry: CollectorRegistry) -> None:
    with geomon.track_request("GET", "/"):
        pass
    with serve(port=0) as server:
        status, headers, body = get(server.port, "/health")
    found = json.loads(body)
    assert (status, headers["Content-Type"], found["status"]) == (
        200,
        "application/json",
        found["status"],
    )
    assert found["status"] in ("healthy", "degraded")
    assert found["request_count"] == 1
    assert {"memory_usage", "cpu_usage", "request_latency"} <= found.keys()


@pytest.mark.parametrize("critical", [True, False])
def test_a_failing_check_ends_readiness_where_it_is_critical(
    registry: CollectorRegistry, critical: bool
) -> None:
    @geomon.health.check("database", critical=critical)
    def database() -> bool:
        raise RuntimeError("password=hunter2")

    try:
        answers = [asgi(health_app(), path) for path in ("/ready", "/live", "/")]
        with serve(port=0) as server:
            served = get(server.port, "/health/ready")
    finally:
        geomon.health.unregister("database")
    ready = 503 if critical else 200
    assert [answer.status_code for answer in answers] == [ready, 200, 200]
    assert served[0] == ready
    assert "hunter2" not in "".join(answer.text for answer in answers) + served[2].decode()


def test_details_are_shown_redacted_and_to_callers_that_are_accepted(
    registry: CollectorRegistry,
) -> None:
    def is_admin(scope: Any) -> bool:
        return (b"authorization", b"Bearer s3cret") in scope["headers"]

    @geomon.health.check("database")
    def database() -> dict[str, Any]:
        return {"pool": 3, "password": "hunter2", "urls": ["postgres://app:hunter2@db/app"]}

    options = geomon.health.HealthOptions(details=is_admin)
    try:
        with geomon.configure(registry=registry, console=False, rules=[], health=options):
            shown, hidden = (
                asgi(health_app(), "/ready", Authorization=f"Bearer {token}").json()
                for token in ("s3cret", "other")
            )
    finally:
        geomon.health.unregister("database")
    details = shown["checks"]["database"]["details"]
    assert details == {
        "pool": 3,
        "password": "[redacted]",
        "urls": ["postgres://[redacted]@db/app"],
    }
    assert hidden["checks"] == {"database": {"status": "ok"}}


@pytest.mark.parametrize("asked", [True, False])
def test_an_alert_that_fires_degrades_the_answer_where_that_is_asked_for(
    registry: CollectorRegistry, asked: bool
) -> None:
    options = geomon.health.HealthOptions(
        details=True, alerts=asked, memory_above=100, cpu_above=100
    )
    with geomon.configure(
        registry=registry,
        console=False,
        rules=[geomon.alerts.AlertRule("Always", "vector(1)")],
        health=options,
    ) as handle:
        before = asgi(health_app(), "/").json()
        assert handle.alerts is not None
        handle.alerts.evaluate()
        after = asgi(health_app(), "/").json()
    assert (before["status"], before.get("alerts")) == ("healthy", [] if asked else None)
    assert after["status"] == ("degraded" if asked else "healthy")
    assert after.get("alerts") == (["Always"] if asked else None)


def test_an_unknown_path_and_method_are_said_to_be(registry: CollectorRegistry) -> None:
    with serve(port=0) as server:
        found = [get(server.port, path)[0] for path in ("/", "/metricsx", "/health/other")]
        posted = get(server.port, "/metrics", "POST")
        headed = get(server.port, "/metrics", "HEAD")
    assert found == [404, 404, 404]
    assert (posted[0], posted[1]["Allow"]) == (405, "GET, HEAD")
    assert (headed[0], headed[2]) == (200, b"")
    assert asgi(metrics_app(), "/", "POST").status_code == 405
    assert asgi(health_app(), "/other").status_code == 404


def test_wsgi_applications_answer_alike(registry: CollectorRegistry) -> None:
    with httpx.Client(transport=httpx.WSGITransport(metrics_wsgi())) as client:
        assert "ai_requests_total" in client.get("http://app/").text
    with httpx.Client(transport=httpx.WSGITransport(health_wsgi())) as client:
        assert client.get("http://app/live").json() == {"status": "alive"}


# --- serve()


def test_a_token_is_asked_for_on_every_path(registry: CollectorRegistry) -> None:
    with serve(port=0, token="s3cret") as server:
        refused = [get(server.port, path)[0] for path in ("/metrics", "/health", "/")]
        wrong = get(server.port, "/metrics", Authorization="Bearer other")[0]
        right = get(server.port, "/metrics", Authorization="Bearer s3cret")[0]
    assert (refused, wrong, right) == ([401, 401, 401], 401, 200)


def test_a_taken_port_is_no_error_and_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with serve(port=0) as first, serve(port=first.port) as second:
        assert (first.serving, second.serving, second.port) == (True, False, first.port)
        assert get(second.port, "/health/live")[0] == 200
    assert [one.message for one in caplog.records if one.name == "geomon.web"] == [
        f"port {first.port} is taken; what serves there serves for this process too"
    ]


def test_a_closed_server_answers_no_more_and_can_be_closed_again() -> None:
    server = serve(port=0)
    server.close()
    server.close()
    with socket.socket() as asking:
        assert asking.connect_ex(("127.0.0.1", server.port)) != 0


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"port": "9464"}, TypeError, "write a number, port=9464"),
        ({"port": 70_000}, ValueError, "write a number from 0 to 65535"),
        ({"port": 0, "token": ""}, ValueError, "write a text, or leave it out"),
    ],
)
def test_a_wrong_argument_is_an_error_that_says_what_to_write(
    arguments: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        serve(**arguments)


# --- Prometheus


def test_a_real_prometheus_scrapes_and_answers(registry: CollectorRegistry, tmp_path: Path) -> None:
    prometheus = require("prometheus", package="prometheus")
    with serve(port=0, token="s3cret") as server, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        free.close()
        (tmp_path / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s}\n"
            "scrape_configs:\n"
            "- job_name: app\n"
            "  authorization: {credentials: s3cret}\n"
            f"  static_configs: [{{targets: ['127.0.0.1:{server.port}']}}]\n"
        )
        command = [prometheus, "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb"]
        running = subprocess.Popen(
            [*command, f"--web.listen-address={address}"], cwd=tmp_path, stderr=subprocess.DEVNULL
        )
        try:
            assert _asked(address, "sum by (type) (ai_requests_total)") == [({"type": "chat"}, "1")]
        finally:
            running.terminate()
            running.wait(20)


def _asked(address: str, query: str) -> list[tuple[dict[str, str], str]]:
    deadline = time.monotonic() + 60
    found: list[Any] = []
    while not found and time.monotonic() < deadline:
        try:
            answer = httpx.get(f"http://{address}/api/v1/query", params={"query": query})
            found = answer.json()["data"]["result"]
        except (httpx.HTTPError, ValueError, KeyError):
            found = []
        time.sleep(0.2)
    return [(one["metric"], one["value"][1]) for one in found]
