"""Fixtures of the tests of what is served."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

import geomon
from geomon.health.checks import CHECKS


@pytest.fixture(autouse=True)
def _only_its_own_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CHECKS, "_checks", {})  # programs of other tests have some


@pytest.fixture
def registry() -> Iterator[CollectorRegistry]:
    registry = CollectorRegistry()
    with geomon.configure(registry=registry, console=False, rules=[]):
        with geomon.track_ai("chat", model="m"):
            pass
        yield registry
