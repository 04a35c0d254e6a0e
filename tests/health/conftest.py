"""Fixtures of the health tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from geomon.health import CHECKS, install
from tests.health.trees import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture(autouse=True)
def nothing_registered() -> Iterator[None]:
    yield
    CHECKS.clear()
    install(None)
