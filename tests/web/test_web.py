"""Metrics and health over HTTP: applications, the server, and a real Prometheus that scrapes."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    Summary,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics import exposition
from prometheus_client.registry import Collector

import geomon
from geomon.web import health_app, health_wsgi, metrics_app, metrics_wsgi, serve
from tests.servers import require
from tests.web.asking import asgi, get

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


TEXT, OPENMETRICS = "text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html, */*;q=0.8", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text;q=0.9, text/plain;q=0.1", OPENMETRICS),
        ("application/openmetrics-text;q=0.1, text/plain;q=0.9", TEXT),
        ("application/openmetrics-text;q=0, text/plain", TEXT),
        ("application/openmetrics-text;q=0", TEXT),
        ("text/plain;q=0.5, Application/OpenMetrics-Text; version=1.0.0 ; Q=0.6", OPENMETRICS),
        ("text/plain;version=1.0.0;q=0.9, */*;q=0.1", "text/plain; version=1.0.0"),
        ("application/openmetrics-text;version=0.0.1, application/json", TEXT),
        ("application/openmetrics-text;version=new", TEXT),
        (";;q=;,q,,application/openmetrics-text;q=nan", TEXT),
    ],
)
def test_the_format_is_the_one_that_is_liked_best(
    registry: CollectorRegistry, accept: str, kind: str
) -> None:
    answer = asgi(metrics_app(), "/", accept=accept)
    assert (answer.status_code, answer.headers["content-type"].startswith(kind)) == (200, True)


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("*", True),
        ("*;q=0, gzip", True),
        ("gzip;q=0", False),
        ("gzip; q=0.00, *", False),
        ("gzip;q=none", False),
        ("", False),
    ],
)
def test_a_body_is_gzipped_where_that_is_accepted(
    registry: CollectorRegistry, accepted: str, zipped: bool
) -> None:
    with serve(port=0) as server:
        _, headers, body = get(server.port, "/metrics", Accept_Encoding=accepted)
    assert (headers.get("Content-Encoding") == "gzip") is zipped
    assert b"ai_requests_total" in (gzip.decompress(body) if zipped else body)


@pytest.mark.parametrize(
    ("accept", "encode"),
    [
        ("", generate_latest),
        ("application/openmetrics-text", exposition.generate_latest),
    ],
)
def test_the_body_is_what_prometheus_client_makes_of_the_registry(
    registry: CollectorRegistry, accept: str, encode: Callable[[Any], bytes]
) -> None:
    with geomon.bind(traceparent=f"00-{'a' * 32}-{'b' * 16}-01"), geomon.track_request("GET", "/"):
        pass
    fill(registry)
    body = asgi(metrics_app(registry), "/", accept=accept).content
    assert without_machine(body) == without_machine(encode(registry))
    assert len(body.splitlines()) > 1000


def without_machine(body: bytes) -> list[bytes]:
    """The lines, but for those whose numbers are others a moment later."""
    changing = (b"memory_usage_bytes ", b"cpu_usage_percent ")
    return [line for line in body.splitlines(keepends=True) if not line.startswith(changing)]


def fill(registry: CollectorRegistry) -> None:
    """Metrics of every kind; some with more series than are made at a time."""
    counter = Counter("jobs", "With a \\ and a\nline.", ["queue", "user"], registry=registry)
    summary = Summary("size", "-", ["n"], unit="bytes", registry=registry)
    for number in range(500):
        counter.labels(f'q "{number}"', "é\n").inc(number, exemplar={"trace_id": "a"})
        summary.labels(number).observe(number)
    Counter("nobody", "-", ["n"], registry=registry)
    Counter("plain", "-", registry=registry)
    Gauge("now", "-", registry=registry).set_function(lambda: 3)
    Histogram("took", "-", ["n"], registry=registry, namespace="n").labels(1).observe(0.2)
    Info("build", "-", registry=registry).info({"version": "1"})
    Enum("state", "-", ["n"], states=["on", "off"], registry=registry).labels(1).state("off")
    Doubled("twice", "-", registry=registry).set(1)
    registry.register(Custom())
    registry.set_target_info({"env": "test"})


class Doubled(Gauge):
    def collect(self) -> Iterable[Metric]:
        for metric in super().collect():
            metric.samples = [one._replace(value=2 * one.value) for one in metric.samples]
            yield metric


class Custom(Collector):
    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("one", "-", 1)
        yield GaugeMetricFamily("two", "-", 2)


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
