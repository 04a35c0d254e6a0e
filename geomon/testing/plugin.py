"""pytest's plugin, loaded where geomon is installed.

Under it failures inside geomon raise, so that a test sees what production contains. Turn that off
with `geomon_raise_failures = false` in pytest's configuration, or for a block with
`geomon.testing.contained_failures()`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the setting `geomon_raise_failures`."""
    parser.addini(
        "geomon_raise_failures", "whether failures inside geomon raise", type="bool", default=True
    )


def pytest_configure(config: pytest.Config) -> None:
    """Makes failures inside geomon raise, and keeps it from writing files of its own accord."""
    from geomon import losses, settings

    settings.under_pytest = True
    losses.raising = bool(config.getini("geomon_raise_failures"))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Restores production's ways."""
    from geomon import losses, settings

    settings.under_pytest = False
    losses.raising = False


@pytest.fixture
def geomon_calls() -> Iterator[list[object]]:
    """The calls of this test, as `geomon.testing.capture_calls(only=True)` gives them."""
    from geomon.testing import capture_calls

    with capture_calls(only=True) as calls:
        yield calls  # type: ignore[misc] # a list of Call; named loosely to import late
