"""The FastAPI router with metrics and health, inside an application of the program's own."""

from __future__ import annotations

import gzip
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

import geomon
from geomon.frameworks.fastapi import router
from geomon.health import HealthOptions


def client(*, include: dict[str, Any] | None = None, **options: Any) -> TestClient:
    app = FastAPI()
    app.include_router(router(**options), **(include or {}))
    return TestClient(app)


def test_it_serves_metrics_and_health(registry: CollectorRegistry) -> None:
    asking = client()
    metrics, health = asking.get("/metrics"), asking.get("/health")
    assert 'ai_requests_total{model="m",type="chat"} 1.0' in metrics.text
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert health.json()["request_count"] == 0
    assert asking.get("/health/live").json() == {"status": "alive"}
    assert asking.get("/health/ready").json() == {"status": "ready"}


def test_it_answers_in_the_form_that_is_asked_for(registry: CollectorRegistry) -> None:
    asked = {"Accept": "application/openmetrics-text", "Accept-Encoding": "gzip"}
    with client().stream("GET", "/metrics", headers=asked) as answer:
        body = b"".join(answer.iter_raw())
    assert gzip.decompress(body).endswith(b"# EOF\n")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")


def test_it_answers_head_and_nothing_that_changes(registry: CollectorRegistry) -> None:
    asking = client()
    for path in ("/metrics", "/health", "/health/live"):
        assert asking.head(path).status_code == 200
        assert asking.post(path).status_code == 405


def test_paths_can_be_others_and_stand_below_a_prefix(registry: CollectorRegistry) -> None:
    asking = client(metrics="/numbers/", health="/state", include={"prefix": "/internal"})
    paths = ("/internal/numbers", "/internal/state", "/internal/state/ready")
    assert [asking.get(path).status_code for path in paths] == [200, 200, 200]
    assert [asking.get(path).status_code for path in ("/numbers", "/metrics")] == [404, 404]


@pytest.mark.parametrize("left_out", ["metrics", "health"])
def test_each_can_be_left_out(registry: CollectorRegistry, left_out: str) -> None:
    asking = client(**{left_out: None})
    statuses = {name: asking.get(f"/{name}").status_code for name in ("metrics", "health")}
    assert statuses == {"metrics": 200, "health": 200, left_out: 404}


def test_dependencies_hold_for_it(registry: CollectorRegistry) -> None:
    def authenticated(x_key: Annotated[str, Header()] = "") -> None:
        if x_key != "s3cret":
            raise HTTPException(401)

    asking = client(include={"dependencies": [Depends(authenticated)]})
    for path in ("/metrics", "/health", "/health/live", "/health/ready"):
        assert asking.get(path).status_code == 401
        assert asking.get(path, headers={"X-Key": "s3cret"}).status_code == 200


def test_an_unready_program_is_503_and_details_are_for_callers_that_are_accepted(
    registry: CollectorRegistry,
) -> None:
    def is_admin(scope: Any) -> bool:
        return scope["path"] == "/internal/health/ready" and (b"x-admin", b"1") in scope["headers"]

    @geomon.health.check("database")
    def database() -> tuple[bool, dict[str, int]]:
        return False, {"pool": 3}

    asking = client(include={"prefix": "/internal"})
    options = HealthOptions(details=is_admin)
    try:
        with geomon.configure(registry=registry, console=False, rules=[], health=options):
            hidden = asking.get("/internal/health/ready")
            shown = asking.get("/internal/health/ready", headers={"X-Admin": "1"})
    finally:
        geomon.health.unregister("database")
    assert (hidden.status_code, hidden.headers["cache-control"]) == (503, "no-store")
    assert hidden.json()["checks"] == {"database": {"status": "failing"}}
    assert shown.json()["checks"]["database"]["details"] == {"pool": 3}


@pytest.mark.parametrize(("options", "listed"), [({}, 0), ({"include_in_schema": True}, 4)])
def test_it_is_in_the_schema_only_where_asked(options: Any, listed: int) -> None:
    asking = client(**options)
    assert len(asking.get("/openapi.json").json()["paths"]) == listed


def test_its_requests_are_counted_by_template_unless_left_out(
    registry: CollectorRegistry,
) -> None:
    app = geomon.instrument(FastAPI(), exclude=["/health.*"])
    app.include_router(router())
    asking = TestClient(app)
    for path in ("/metrics", "/health/live"):
        asking.get(path)
    counted = [line for line in asking.get("/metrics").text.splitlines() if "endpoint=" in line]
    assert 'http_requests_total{endpoint="/metrics",method="GET",status="200"} 1.0' in counted
    assert not any("/health" in line for line in counted)


def test_a_path_that_cannot_be_is_an_error() -> None:
    with pytest.raises(ValueError, match='write metrics="/metrics"'):
        router(metrics="metrics")
