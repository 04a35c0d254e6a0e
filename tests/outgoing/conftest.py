"""Fixtures of the tests of what clients send."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import geomon
from tests.outgoing.clients import ALL, Client
from tests.outgoing.server import Server


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    running.seen.clear()
    return running


@pytest.fixture(autouse=True)
def _uninstrumented() -> Iterator[None]:
    yield
    geomon.uninstrument()


@pytest.fixture
def instrumented() -> None:
    geomon.instrument()


@pytest.fixture(params=ALL, ids=lambda client: client.name)
def client(request: pytest.FixtureRequest) -> Client:
    chosen: Client = request.param
    return chosen
