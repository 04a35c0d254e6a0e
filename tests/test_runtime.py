"""`configure()`: what it takes, what it refuses, what it replaces."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

import geomon
from geomon import dispatch, losses
from geomon.alerts import Alert, AlertRule
from geomon.call import Call
from geomon.settings import AI_BUCKETS, HTTP_BUCKETS, TOKEN_BUCKETS, Settings
from geomon.testing import MovableClock, contained_failures

VARIABLES = ["GEOMON_NAMESPACE", "GEOMON_CAPTURE_CONTENT", "GEOMON_LABEL_LIMIT", "GEOMON_DISABLED"]
RESPONSE = {
    "object": "chat.completion",
    "model": "gpt-4o-2024-08-06",
    "choices": [],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500},
}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    earlier = dispatch.install(None)
    yield
    used = dispatch.install(earlier)
    for sink in used.sinks if used is not None else ():
        getattr(sink, "close", lambda: None)()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


class Sink:
    """Keeps calls; tells whether it was closed."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.closed = 0

    def __call__(self, call: Call) -> None:
        self.calls.append(call)

    def close(self) -> None:
        self.closed += 1


def names(registry: CollectorRegistry) -> set[str]:
    system = {"memory_usage_bytes", "memory_limit_bytes", "cpu_usage_percent", "active_users"}
    found = {family.name for family in registry.collect()}
    return {name for name in found if not name.endswith(tuple(system))}  # they come when known


def count(type: str = "chat") -> None:
    with geomon.track_ai(type):
        pass


def counted(registry: CollectorRegistry, type: str = "chat") -> float | None:
    return registry.get_sample_value("ai_requests_total", {"type": type, "model": "unknown"})


# --- arguments, variables, defaults


def test_without_arguments_and_variables_the_defaults_hold(registry: CollectorRegistry) -> None:
    assert geomon.configure(registry=registry).settings == Settings(
        namespace="",
        buckets=geomon.Buckets(
            ai=AI_BUCKETS, time_per_output_token=TOKEN_BUCKETS, http=HTTP_BUCKETS
        ),
        prices=None,
        capture_content=False,
        label_limit=1000,
    )


VALUES = [
    ("GEOMON_NAMESPACE", "mine", "namespace", "mine", "yours"),
    ("GEOMON_CAPTURE_CONTENT", "yes", "capture_content", True, False),
    ("GEOMON_CAPTURE_CONTENT", "0", "capture_content", False, True),
    ("GEOMON_LABEL_LIMIT", "5", "label_limit", 5, 7),
]


@pytest.mark.parametrize(("variable", "text", "name", "value", "argument"), VALUES)
def test_a_variable_wins_over_a_default(
    registry: CollectorRegistry,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    text: str,
    name: str,
    value: Any,
    argument: Any,
) -> None:
    monkeypatch.setenv(variable, text)
    assert getattr(geomon.configure(registry=registry).settings, name) == value


@pytest.mark.parametrize(("variable", "text", "name", "value", "argument"), VALUES)
def test_an_argument_wins_over_a_variable(
    registry: CollectorRegistry,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    text: str,
    name: str,
    value: Any,
    argument: Any,
) -> None:
    monkeypatch.setenv(variable, text)
    handle = geomon.configure(registry=registry, **{name: argument})
    assert getattr(handle.settings, name) == argument


def test_settings_are_frozen(registry: CollectorRegistry) -> None:
    handle = geomon.configure(registry=registry)
    with pytest.raises(AttributeError):
        handle.settings.namespace = "later"  # type: ignore[misc]


@pytest.mark.parametrize("text", ["1", "true", "YES", " on "])
def test_a_yes_is_a_yes(registry: CollectorRegistry, monkeypatch: Any, text: str) -> None:
    monkeypatch.setenv("GEOMON_CAPTURE_CONTENT", text)
    assert geomon.configure(registry=registry).settings.capture_content is True


@pytest.mark.parametrize("text", ["0", "false", "No", "off", ""])
def test_a_no_is_a_no(registry: CollectorRegistry, monkeypatch: Any, text: str) -> None:
    monkeypatch.setenv("GEOMON_CAPTURE_CONTENT", text)
    assert geomon.configure(registry=registry).settings.capture_content is False


# --- what is refused


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"namespace": 5}, TypeError, "namespace=5: write a str, not int"),
        ({"namespace": "my app"}, ValueError, 'such as namespace="myapp"'),
        ({"namespace": "1st"}, ValueError, 'such as namespace="myapp"'),
        ({"namespace": "a\n"}, ValueError, 'such as namespace="myapp"'),
        ({"buckets": (1, 2)}, TypeError, r"buckets=\(1, 2\): write a Buckets, not tuple"),
        ({"buckets": ()}, TypeError, r"buckets=\(\): write a Buckets, not tuple"),
        ({"capture_content": "yes"}, TypeError, "capture_content='yes': write a bool, not str"),
        ({"capture_content": 1}, TypeError, "capture_content=1: write a bool, not int"),
        ({"label_limit": "5"}, TypeError, "label_limit='5': write an int, not str"),
        ({"label_limit": True}, TypeError, "label_limit=True: write an int, not bool"),
        ({"label_limit": 0}, ValueError, "label_limit=0: write a number above zero"),
        ({"label_limit": -1}, ValueError, "label_limit=-1: write a number above zero"),
        ({"registry": 5}, TypeError, r"registry=5: write registry=CollectorRegistry\(\)"),
        ({"registry": CollectorRegistry}, TypeError, r"write registry=CollectorRegistry\(\)"),
        ({"health": {"details": True}}, TypeError, "write health=HealthOptions"),
        ({"sinks": print}, TypeError, r"configure\(sinks=\[\.\.\.\]\) takes a list of callables"),
        ({"sinks": 5}, TypeError, r"configure\(sinks=\[\.\.\.\]\) takes a list of callables"),
        ({"sinks": None}, TypeError, r"configure\(sinks=\[\.\.\.\]\) takes a list of callables"),
        ({"sinks": [5]}, TypeError, "the sink 5 cannot be called"),
        ({"prices": [1]}, TypeError, "prices must be a dict such as"),
        ({"prices": {"m": {"inputs": 1}}}, ValueError, "has no key 'inputs'; write one of input"),
        ({"prices": {"m": {"input": -1}}}, ValueError, "is -1; write 0 or more"),
        ({"unknown": 1}, TypeError, "unexpected keyword argument 'unknown'"),
    ],
)
def test_a_wrong_argument_is_an_error_that_says_what_to_write(
    registry: CollectorRegistry, arguments: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        geomon.configure(**({"registry": registry} | arguments))


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("GEOMON_CAPTURE_CONTENT", "maybe", "write GEOMON_CAPTURE_CONTENT=1 or"),
        ("GEOMON_LABEL_LIMIT", "many", "is not a whole number above zero: write GEOMON_LABEL_"),
        ("GEOMON_LABEL_LIMIT", "0", "is not a whole number above zero"),
        ("GEOMON_LABEL_LIMIT", "-5", "is not a whole number above zero"),
        ("GEOMON_NAMESPACE", "my app", 'such as namespace="myapp"'),
    ],
)
def test_a_wrong_variable_is_an_error_that_says_what_to_write(
    registry: CollectorRegistry,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    text: str,
    says: str,
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(ValueError, match=says):
        geomon.configure(registry=registry)


@pytest.mark.parametrize(
    "arguments", [{"label_limit": 0}, {"sinks": [5]}, {"prices": [1]}, {"namespace": "my app"}]
)
def test_what_is_refused_changes_nothing(registry: CollectorRegistry, arguments: Any) -> None:
    sink = Sink()
    geomon.configure(registry=registry, sinks=[sink])
    count("before")
    before = names(registry)
    with pytest.raises((TypeError, ValueError)):
        geomon.configure(**({"registry": registry} | arguments))
    count()
    assert (len(sink.calls), sink.closed, names(registry)) == (2, 0, before)


def test_a_wrong_variable_without_configure_is_a_counted_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GEOMON_LABEL_LIMIT", "many")
    before = losses.counts().get(("metrics", "setup_failed"), 0)
    with contained_failures():
        count()
    assert losses.counts()["metrics", "setup_failed"] == before + 1


# --- sinks


def test_sinks_are_added_to_the_usual_ones(registry: CollectorRegistry) -> None:
    sink = Sink()
    with geomon.configure(registry=registry, sinks=(each for each in [sink])):
        count()
    assert [call.type for call in sink.calls] == ["chat"]
    assert counted(registry) == 1


def test_a_sink_that_wants_to_know_hears_of_a_calls_start(registry: CollectorRegistry) -> None:
    class Starts(Sink):
        def started(self, active: Any) -> None:
            heard.append(active.type)

    heard: list[str] = []
    with geomon.configure(registry=registry, sinks=[Starts()]):
        with geomon.track_ai("chat"):
            assert heard == ["chat"]


def test_recent_holds_the_last_thousand_calls(registry: CollectorRegistry) -> None:
    with geomon.configure(registry=registry) as handle:
        for number in range(1001):
            count(f"call-{number}")
        assert [handle.recent[0].type, handle.recent[-1].type] == ["call-1", "call-1000"]
        assert len(handle.recent) == 1000


# --- closing and replacing


def test_after_close_calls_go_nowhere(registry: CollectorRegistry) -> None:
    sink = Sink()
    handle = geomon.configure(registry=registry, sinks=[sink])
    handle.close()
    count()
    assert (sink.calls, counted(registry)) == ([], None)


def test_a_with_block_closes(registry: CollectorRegistry) -> None:
    sink = Sink()
    with pytest.raises(ZeroDivisionError), geomon.configure(registry=registry, sinks=[sink]):
        raise ZeroDivisionError
    assert sink.closed == 1


def test_close_can_be_repeated(registry: CollectorRegistry) -> None:
    sink = Sink()
    handle = geomon.configure(registry=registry, sinks=[sink])
    handle.close()
    handle.close()
    assert sink.closed == 1


def test_configuring_again_closes_the_earlier_sinks(registry: CollectorRegistry) -> None:
    first, second = Sink(), Sink()
    geomon.configure(registry=registry, sinks=[first])
    geomon.configure(registry=registry, sinks=[second])
    count()
    assert (len(first.calls), first.closed) == (0, 1)
    assert (len(second.calls), second.closed) == (1, 0)


def test_a_sink_that_is_used_again_stays_open(registry: CollectorRegistry) -> None:
    sink = Sink()
    geomon.configure(registry=registry, sinks=[sink])
    geomon.configure(registry=registry, sinks=[sink])
    assert sink.closed == 0


def test_closing_an_earlier_handle_leaves_the_later_one(registry: CollectorRegistry) -> None:
    sink = Sink()
    earlier = geomon.configure(registry=registry, sinks=[sink])
    geomon.configure(registry=registry, sinks=[sink])
    earlier.close()
    count()
    assert (len(sink.calls), sink.closed) == (1, 0)


def test_a_closed_program_can_be_configured_again(registry: CollectorRegistry) -> None:
    geomon.configure(registry=registry).close()
    with geomon.configure(registry=registry):
        count()
    assert counted(registry) == 1


class Told:
    """A notifier that keeps what it was told."""

    def __init__(self, name: str = "told") -> None:
        self.name = name
        self.states: list[str] = []

    def __call__(self, alerts: Sequence[Alert]) -> None:
        self.states += [alert.state for alert in alerts]


def evaluated(handle: geomon.Handle) -> list[str]:
    """The states of its alerts now; its notifiers have heard of them."""
    assert handle.alerts is not None
    states = [alert.state for alert in handle.alerts.evaluate()]
    assert all(outlet.delivery.flush() for outlet in handle.alerts._outlets)
    return states


@pytest.mark.parametrize("state_path", [None, "state"])
def test_configuring_again_goes_on_with_the_alerts(
    registry: CollectorRegistry, clock: MovableClock, tmp_path: Path, state_path: str | None
) -> None:
    told, rule = Told(), AlertRule("Always", "vector(1)", for_=30)
    arguments: dict[str, Any] = {"registry": registry, "rules": [rule], "notifiers": [told]}
    if state_path is not None:
        arguments["state_path"] = tmp_path / state_path
    found = []
    for _ in range(4):
        handle = geomon.configure(**arguments)
        found += evaluated(handle)
        clock.move(15)
    handle.close()
    assert (found, told.states) == (["pending", "pending", "firing", "firing"], ["firing"])


def test_configuring_again_tells_the_end_of_what_is_watched_no_more(
    registry: CollectorRegistry,
) -> None:
    kept, dropped, rule = Told("kept"), Told("dropped"), AlertRule("Always", "vector(1)")
    evaluated(geomon.configure(registry=registry, rules=[rule], notifiers=[kept, dropped]))
    with geomon.configure(registry=registry, rules=[], notifiers=[kept]) as handle:
        evaluated(handle)
    assert (kept.states, dropped.states) == (["firing", "resolved"], ["firing", "resolved"])


def test_a_state_file_is_read_after_the_earlier_manager_has_saved(
    registry: CollectorRegistry, tmp_path: Path
) -> None:
    told, path = Told(), tmp_path / "state"
    rules = [AlertRule("Always", "vector(1)")]
    arguments: Any = {"rules": rules, "notifiers": [told], "state_path": path}
    evaluated(geomon.configure(registry=registry, **arguments))
    with geomon.configure(registry=CollectorRegistry(), **arguments) as handle:
        assert evaluated(handle) == ["firing"]
    assert told.states == ["firing"]


def test_wrong_alert_arguments_leave_the_earlier_alerts_as_they_are(
    registry: CollectorRegistry, tmp_path: Path
) -> None:
    told, rule = Told(), AlertRule("Always", "vector(1)")
    with geomon.configure(registry=registry, rules=[rule], notifiers=[told]) as handle:
        for wrong in ({"rules": 5}, {"notifiers": [5]}, {"state_path": tmp_path}):
            with pytest.raises((TypeError, ValueError)):
                geomon.configure(registry=registry, **wrong)  # type: ignore[arg-type]
        assert evaluated(handle) == ["firing"]
    assert told.states == ["firing"]


def test_a_call_that_is_open_at_close_ends_where_it_began(registry: CollectorRegistry) -> None:
    handle = geomon.configure(registry=registry)
    with geomon.track_ai("chat"):
        handle.close()
    assert counted(registry) == 1


def test_a_close_that_fails_closes_the_others_too(registry: CollectorRegistry) -> None:
    class Stuck(Sink):
        def close(self) -> None:
            raise OSError("stuck")

    after = Sink()
    before = losses.counts().get(("sink", "close_failed"), 0)
    with contained_failures(), geomon.configure(registry=registry, sinks=[Stuck(), after]):
        pass
    assert (losses.counts()["sink", "close_failed"], after.closed) == (before + 1, 1)


# --- prices


def cost_of(registry: CollectorRegistry, **arguments: Any) -> float | None:
    with geomon.configure(registry=registry, **arguments) as handle:
        with geomon.track_ai("chat", model="gpt-4o") as call:
            call.record(RESPONSE)
        return handle.recent[-1].cost


def test_the_programs_prices_win(registry: CollectorRegistry) -> None:
    prices = {"gpt-4o": {"input": 1000.0, "output": 4000.0}}
    assert cost_of(registry, prices=prices) == pytest.approx(1.0 + 2.0)
    shown = registry.get_sample_value("ai_cost_usd_total", {"type": "chat", "model": "gpt-4o"})
    assert shown == pytest.approx(3.0)


def test_without_prices_those_of_genai_prices_hold(registry: CollectorRegistry) -> None:
    assert cost_of(registry) == pytest.approx((2.5 * 1000 + 10 * 500) / 1e6)


# --- GEOMON_DISABLED


def run(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


DISABLED = """
import sys, geomon
def plain(): return "done"
seen = []
handle = geomon.configure(sinks=[seen.append])
tracked = geomon.track_ai(plain)
with geomon.track_ai("chat") as call:
    call.set(model="m")
    call.record({})
geomon.record({})
with geomon.meter() as meter: tracked()
with geomon.bind(request_id="r-1"): context = geomon.get_context()
handle.close()
print(tracked is plain, tracked(), seen, handle.recent, meter.calls, context)
print("prometheus_client" in sys.modules)
"""


def test_geomon_disabled_makes_all_of_it_a_no_op() -> None:
    out = run(DISABLED, GEOMON_DISABLED="1")
    assert out == "True done [] [] 0 {'request_id': 'r-1'}\nFalse\n"


def test_geomon_disabled_still_refuses_wrong_arguments() -> None:
    program = (
        "import geomon\n"
        "try: geomon.configure(label_limit=0)\n"
        "except ValueError as error: print(error)"
    )
    assert run(program, GEOMON_DISABLED="1") == "label_limit=0: write a number above zero\n"
