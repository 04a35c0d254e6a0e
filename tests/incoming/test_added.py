"""Metrics and health beside an application's own paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from flask import Flask
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

import geomon


@pytest.fixture(autouse=True)
def _configured() -> Iterator[None]:
    with geomon.configure(registry=CollectorRegistry(), console=False, rules=[]):
        yield


def fastapi() -> FastAPI:
    app = FastAPI()

    @app.get("/health/db")
    @app.get("/metrics/business")
    def own() -> str:
        return "own"

    @app.post("/health")
    def post() -> str:
        return "posted"

    return app


def flask() -> Flask:
    app = Flask(__name__)
    for path in ("/health/db", "/metrics/business"):
        app.add_url_rule(path, path, lambda: '"own"')
    app.add_url_rule("/health", "post", lambda: '"posted"', methods=["POST"])
    return app


def client_of(app: Any) -> Any:
    if isinstance(app, FastAPI):
        return TestClient(app)
    return httpx.Client(transport=httpx.WSGITransport(app), base_url="http://app")


@pytest.mark.parametrize("make", [fastapi, flask])
def test_only_the_paths_themselves_are_taken_and_only_where_they_are_read(make: Any) -> None:
    app = make()
    geomon.instrument(app, metrics="/metrics", health="/health")
    client = client_of(app)
    assert client.get("/health").json()["status"] in ("healthy", "degraded")
    assert client.get("/health/live").json() == {"status": "alive"}
    assert client.get("/health/ready").status_code == 200
    assert "geomon_build_info" in client.get("/metrics").text
    assert client.get("/health/db").json() == "own"
    assert client.get("/metrics/business").json() == "own"
    assert client.post("/health").json() == "posted"


@pytest.mark.parametrize("root", ["/api", "/m"])
@pytest.mark.parametrize("stripped", [True, False])
def test_behind_a_proxy_they_stand_below_the_root(root: str, stripped: bool) -> None:
    app = geomon.instrument(fastapi(), metrics="/metrics", health="/health")
    prefix = "" if stripped else root
    client = TestClient(app, root_path=root)
    assert client.get(f"{prefix}/health/live").json() == {"status": "alive"}
    assert client.get(f"{prefix}/metrics").status_code == 200
    assert client.get(f"{prefix}/health/db").json() == "own"


@pytest.mark.parametrize("make", [fastapi, flask])
def test_an_application_that_is_instrumented_again_gets_the_paths(make: Any) -> None:
    app = make()
    geomon.instrument(app)
    geomon.instrument(app, metrics="/numbers")
    assert client_of(app).get("/numbers").status_code == 200
