"""What users get to test their tracked code."""

from __future__ import annotations

from contextlib import suppress

import pytest

import geomon
from geomon import clock, dispatch, losses, testing

pytest_plugins = ["pytester"]


def chat(type: str = "chat") -> None:
    with geomon.track_ai(type):
        pass


# --- capture_calls


def test_capture_calls_gives_the_calls_of_the_block() -> None:
    chat("before")
    with testing.capture_calls() as calls:
        chat("first")
        chat("second")
    chat("after")
    assert [call.type for call in calls] == ["first", "second"]


def test_calls_stand_in_the_order_in_which_they_end() -> None:
    with testing.capture_calls() as calls:
        with geomon.track_ai("outer"), geomon.track_ai("inner"):
            pass
    assert [call.type for call in calls] == ["inner", "outer"]


def test_capture_calls_restores_what_was_in_force() -> None:
    before = dispatch.current()
    with pytest.raises(ZeroDivisionError), testing.capture_calls():
        raise ZeroDivisionError
    assert dispatch.pipeline is before


def test_capture_calls_nests() -> None:
    with testing.capture_calls() as outer:
        with testing.capture_calls() as inner:
            chat("inside")
        chat("outside")
    assert [call.type for call in inner] == ["inside"]
    assert [call.type for call in outer] == ["inside", "outside"]


def test_the_usual_sinks_go_on_while_calls_are_captured() -> None:
    usual: list[geomon.Call] = []
    earlier = dispatch.install(dispatch.Pipeline([usual.append]))
    try:
        with testing.capture_calls() as calls:
            chat()
    finally:
        dispatch.install(earlier)
    assert (len(usual), len(calls)) == (1, 1)


def test_only_leaves_the_usual_sinks_out() -> None:
    usual: list[geomon.Call] = []
    earlier = dispatch.install(dispatch.Pipeline([usual.append]))
    try:
        with testing.capture_calls(only=True) as calls:
            chat()
    finally:
        dispatch.install(earlier)
    assert (len(usual), len(calls)) == (0, 1)


def test_only_still_prices_calls() -> None:
    response = {
        "object": "chat.completion",
        "model": "gpt-4o",
        "choices": [],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }
    with testing.capture_calls(only=True) as calls, geomon.track_ai("chat") as call:
        call.record(response)
    assert calls[0].cost == pytest.approx((10 * 2.5 + 5 * 10) / 1e6)


# --- MovableClock


def test_time_stands_until_it_is_moved() -> None:
    with testing.MovableClock(wall=1000.0) as moved:
        first = clock.monotonic(), clock.wall()
        moved.move(2.5)
        second = clock.monotonic(), clock.wall()
    assert (first, second) == ((0.0, 1000.0), (2.5, 1002.5))


def test_durations_and_timestamps_are_exact() -> None:
    with testing.capture_calls() as calls, testing.MovableClock(wall=1000.0) as moved:
        moved.move(5)
        with geomon.track_ai("chat"):
            moved.move(0.25)
    assert (calls[0].started_at, calls[0].duration) == (1005.0, 0.25)


def test_a_stepped_wall_clock_does_not_change_a_duration() -> None:
    with testing.capture_calls() as calls, testing.MovableClock() as moved:
        with geomon.track_ai("chat"):
            moved.move(0.5)
            moved.set_wall(0.0)
    assert calls[0].duration == 0.5


def test_the_real_clocks_are_restored() -> None:
    before = clock.monotonic, clock.wall
    with pytest.raises(ZeroDivisionError), testing.MovableClock():
        raise ZeroDivisionError
    assert (clock.monotonic, clock.wall) == before


def test_clocks_nest() -> None:
    with testing.MovableClock(wall=1.0):
        with testing.MovableClock(wall=2.0):
            inner = clock.wall()
        assert (inner, clock.wall()) == (2.0, 1.0)


def test_one_clock_may_be_entered_twice() -> None:
    before = clock.monotonic, clock.wall
    moved = testing.MovableClock()
    with moved, moved:
        pass
    assert (clock.monotonic, clock.wall) == before


# --- failures


@pytest.mark.parametrize("earlier", [True, False])
def test_contained_failures_restores(monkeypatch: pytest.MonkeyPatch, earlier: bool) -> None:
    monkeypatch.setattr(losses, "raising", earlier)
    inside = []
    with suppress(ZeroDivisionError), testing.contained_failures():
        inside.append(losses.raising)
        raise ZeroDivisionError
    assert (inside, losses.raising) == ([False], earlier)


@pytest.mark.parametrize("earlier", [True, False])
def test_raised_failures_restores(monkeypatch: pytest.MonkeyPatch, earlier: bool) -> None:
    monkeypatch.setattr(losses, "raising", earlier)
    with testing.raised_failures():
        assert losses.raising is True
    assert losses.raising is earlier


# --- the pytest plugin

BROKEN_SINK = """
    import geomon
    import pytest
    from prometheus_client import CollectorRegistry
    from geomon.testing import contained_failures

    def broken(call):
        raise OSError("disk full")

    @pytest.fixture(autouse=True)
    def configured():
        with geomon.configure(registry=CollectorRegistry(), sinks=[broken]):
            yield

    def call():
        with geomon.track_ai("chat"):
            pass
"""


def test_the_plugin_is_loaded_where_geomon_is_installed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_it(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("geomon")
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_failures_inside_geomon_raise_under_the_plugin(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        BROKEN_SINK
        + """
    def test_raises():
        with pytest.raises(OSError, match="disk full"):
            call()

    def test_contains():
        with contained_failures():
            call()

    def test_raises_again():
        with pytest.raises(OSError, match="disk full"):
            call()
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=3)


def test_the_ini_setting_turns_that_off(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ngeomon_raise_failures = false")
    pytester.makepyfile(
        BROKEN_SINK
        + """
    def test_contains():
        call()
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_without_the_plugin_failures_are_contained(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        BROKEN_SINK
        + """
    def test_contains():
        call()
        """
    )
    pytester.runpytest_subprocess("-p", "no:geomon").assert_outcomes(passed=1)


def test_geomon_calls_gives_the_calls_of_one_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import geomon
        import pytest

        @geomon.track_ai(model="m")
        def summarize():
            return "done"

        @pytest.mark.parametrize("number", [1, 2])
        def test_it(geomon_calls, number):
            summarize()
            assert [(call.type, call.model, call.outcome) for call in geomon_calls] == [
                ("summarize", "m", "ok")
            ]

        def test_restored():
            from geomon import dispatch
            assert all("append" not in repr(sink) for sink in dispatch.current().sinks)
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=3)


def test_under_pytest_geomon_starts_no_thread_and_writes_no_file(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os
        import threading
        import geomon
        from prometheus_client import CollectorRegistry

        def test_it(tmp_path, monkeypatch):
            monkeypatch.chdir(tmp_path)
            with geomon.configure(registry=CollectorRegistry()):
                with geomon.track_ai("chat"):
                    pass
                with geomon.track_request("GET", "/"):
                    pass
                assert threading.enumerate() == [threading.main_thread()]
            assert os.listdir(tmp_path) == []
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_plugin_imports_nothing_of_geomon_but_itself_before_it_is_needed(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it():
            assert "prometheus_client" not in sys.modules
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
