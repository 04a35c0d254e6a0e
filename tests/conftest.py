"""Fixtures of the core's tests."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from geomon import Call, dispatch
from geomon.testing import MovableClock, capture_calls

# a slow machine is not a fault of what is tested
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def defaults() -> Iterator[None]:
    """Each test begins as a program does: nothing is configured yet."""
    yield
    used = dispatch.install(None)
    for sink in used.sinks if used is not None else ():
        getattr(sink, "close", lambda: None)()  # else each hears of every loss ever after


@pytest.fixture
def calls() -> Iterator[list[Call]]:
    """The calls that end in this test; no other sink hears of them."""
    with capture_calls(only=True) as captured:
        yield captured


@pytest.fixture
def clock() -> Iterator[MovableClock]:
    """A clock that stands until the test moves it."""
    with MovableClock() as movable:
        yield movable
