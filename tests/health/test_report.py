"""What the health endpoints answer."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram

import geomon
from geomon import health, losses
from geomon.alerts.alert import Alert
from geomon.health import Answer, Checks, HealthOptions, Report, System, SystemGauges
from geomon.health.details import plain
from geomon.health.memory import Memory
from geomon.testing import MovableClock, contained_failures
from tests.health.test_checks import Held
from tests.health.trees import Fixed, GiB, Tree
from tests.programs import run, until


class Loaded(Fixed):
    """A machine that is used as a test says; its CPUs from the second reading on."""

    def __init__(self, memory: float = 25, cpu: float = 25) -> None:
        super().__init__()
        self.percent = memory
        self.cpu = cpu

    def memory(self) -> Memory:
        return Memory(int(16 * GiB * self.percent / 100), 16 * GiB)

    def cpu_seconds(self) -> tuple[float, float]:
        self.busy, self.total = self.busy + self.cpu, self.total + 100
        return self.busy, self.total


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held.release.set()
    until(lambda: held.ended == held.runs)


@pytest.fixture
def checks() -> Checks:
    return Checks()


def report(
    tree: Tree, checks: Checks, machine: Fixed | None = None, alerts: Any = None, **options: Any
) -> Report:
    system = System(root=tree.root, machine=machine or Loaded())
    chosen = HealthOptions(**options)
    return Report(CollectorRegistry(), "", chosen, checks=checks, system=system, alerts=alerts)


def primed(report: Report) -> Report:
    report.health_answer()
    return report


def ask(report: Report, form: str, name: str, *arguments: Any) -> Answer:
    """The answer in its sync or async form."""
    if form == "sync":
        return getattr(report, f"{name}_answer")(*arguments)  # type: ignore[no-any-return]
    return asyncio.run(getattr(report, f"{name}_answer_async")(*arguments))


forms = pytest.mark.parametrize("form", ["sync", "async"])


# --- health


@forms
def test_health_gives_the_originals_answer(tree: Tree, checks: Checks, form: str) -> None:
    found = ask(primed(report(tree, checks)), form, "health")
    assert found == Answer(
        200,
        {
            "status": "healthy",
            "memory_usage": 25.0,
            "cpu_usage": 25.0,
            "request_count": 0,
            "request_latency": 0.0,
        },
    )


def test_what_is_not_known_yet_is_null_and_healthy(tree: Tree, checks: Checks) -> None:
    class Unread(Fixed):
        def memory(self) -> Memory:
            return Memory(None, None)

    body = report(tree, checks, Unread()).health_answer().body
    assert (body["status"], body["memory_usage"], body["cpu_usage"]) == ("healthy", None, None)


@pytest.mark.parametrize(
    ("memory", "cpu", "status"),
    [(90, 80, "healthy"), (90.1, 0, "degraded"), (0, 80.1, "degraded"), (100, 100, "degraded")],
)
def test_it_is_degraded_past_90_percent_of_the_memory_or_80_of_the_cpu(
    tree: Tree, checks: Checks, memory: float, cpu: float, status: str
) -> None:
    found = primed(report(tree, checks, Loaded(memory, cpu))).health_answer()
    assert (found.status_code, found.body["status"]) == (200, status)


def test_the_bounds_can_be_set(tree: Tree, checks: Checks) -> None:
    found = primed(report(tree, checks, memory_above=20, cpu_above=99)).health_answer()
    assert found.body["status"] == "degraded"


def test_requests_are_summed_over_all_labels(tree: Tree, checks: Checks) -> None:
    registry = CollectorRegistry()
    total = Counter("http_requests", "x", ["method", "endpoint", "status"], registry=registry)
    seconds = Histogram("http_request_duration_seconds", "x", ["method"], registry=registry)
    total.labels("GET", "/a", "200").inc(3)
    total.labels("POST", "/b", "500").inc(4)
    seconds.labels("GET").observe(0.5)
    seconds.labels("POST").observe(1.25)
    system = System(root=tree.root, machine=Loaded())
    body = Report(registry, checks=checks, system=system).health_answer().body
    assert (body["request_count"], body["request_latency"]) == (7, 1.75)


def test_geomons_own_requests_are_counted_under_their_namespace(checks: Checks) -> None:
    registry = CollectorRegistry()
    with geomon.configure(registry=registry, namespace="my", console=False):
        for status in (200, 404):
            with geomon.track_request("GET", "/") as request:
                request.status = status
        body = Report(registry, "my", checks=checks).health_answer().body
    assert body["request_count"] == 2
    assert body["request_latency"] > 0


def test_a_collector_that_fails_or_hangs_does_not_take_health_along(
    tree: Tree, checks: Checks, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging:
        def collect(self) -> list[Any]:
            held()
            return []

    monkeypatch.setattr("geomon.health.report._PATIENCE", 0.05)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Hanging())
    system = System(root=tree.root, machine=Loaded())
    asked = Report(registry, checks=checks, system=system)
    counts = [asked.health_answer().body["request_count"] for _ in range(3)]
    assert (counts, held.runs) == ([None] * 3, 1)


def test_health_brings_the_gauges_up_to_date(tree: Tree, checks: Checks) -> None:
    registry = CollectorRegistry()
    system = System(root=tree.root, machine=Loaded())
    gauges = SystemGauges(registry, system=system)
    primed(Report(registry, checks=checks, system=system, gauges=gauges))
    assert registry.get_sample_value("cpu_usage_percent") == 25


def test_in_several_workers_the_requests_and_gauges_of_all_are_shown(tmp_path: Path) -> None:
    code = """
    import geomon
    from geomon.health import Report, System, SystemGauges
    system = System(interval=3600)
    gauges = SystemGauges(system=system)
    report = Report(system=system, gauges=gauges)
    child = os.fork()
    for status in (200, 500):
        with geomon.track_request("GET", "/") as request: request.status = status
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    while report.health_answer().body["memory_usage"] is None:
        time.sleep(0.01)
    body = report.health_answer().body
    from prometheus_client import CollectorRegistry, multiprocess
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    print(body["request_count"], registry.get_sample_value("memory_usage_bytes") > 0)
    """
    out = run(code, tmp_path, stderr=None, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    assert out == "4 True\n"


# --- checks


@forms
@pytest.mark.parametrize(
    ("critical", "ready", "code"), [(True, "not ready", 503), (False, "ready", 200)]
)
def test_a_failing_check_makes_health_degraded_and_a_critical_one_not_ready(
    tree: Tree, checks: Checks, form: str, critical: bool, ready: str, code: int
) -> None:
    checks.check("a", lambda: True, timeout=30)
    checks.check("b", lambda: False, critical=critical, timeout=30)
    asked = report(tree, checks)
    shown = {"a": {"status": "ok"}, "b": {"status": "failing"}}
    found = ask(asked, form, "health")
    assert (found.status_code, found.body["status"]) == (200, "degraded")
    assert found.body["checks"] == shown
    assert ask(asked, form, "ready") == Answer(code, {"status": ready, "checks": shown})


@forms
def test_without_checks_the_program_is_ready(tree: Tree, checks: Checks, form: str) -> None:
    assert ask(report(tree, checks), form, "ready") == Answer(200, {"status": "ready"})


@forms
def test_another_group_has_an_answer_of_its_own(tree: Tree, checks: Checks, form: str) -> None:
    checks.check("a", lambda: False, group="startup", timeout=30)
    asked = report(tree, checks)
    assert ask(asked, form, "ready").status_code == 200
    assert ask(asked, form, "ready", None, "startup").status_code == 503


@forms
def test_liveness_looks_at_nothing(tree: Tree, checks: Checks, held: Held, form: str) -> None:
    checks.check("a", held)
    asked = report(tree, checks, Loaded(100, 100))
    assert ask(asked, form, "live") == Answer(200, {"status": "alive"})
    assert held.runs == 0


def test_a_hundred_answers_while_a_check_hangs_share_its_run(
    tree: Tree, checks: Checks, held: Held
) -> None:
    checks.check("a", held, timeout=0.2)
    asked = report(tree, checks)

    async def main() -> list[Answer]:
        return await asyncio.gather(*[asked.health_answer_async() for _ in range(100)])

    statuses = {found.body["checks"]["a"]["status"] for found in asyncio.run(main())}
    names = [thread.name for thread in threading.enumerate()]
    assert (statuses, held.runs, names.count("geomon-check-a")) == ({"timed out"}, 1, 1)


# --- details


def detailed(checks: Checks) -> Checks:
    checks.check("a", lambda: {"lag": 3}, timeout=30)
    checks.check("b", lambda: 1 / 0, timeout=30, critical=False)
    return checks


def test_details_are_not_shown_unless_asked_for(tree: Tree, checks: Checks) -> None:
    body = report(tree, detailed(checks)).ready_answer().body
    assert body["checks"] == {"a": {"status": "ok"}, "b": {"status": "error"}}


def test_details_are_shown_where_asked_for(tree: Tree, checks: Checks) -> None:
    shown = report(tree, detailed(checks), details=True).ready_answer().body["checks"]
    assert shown["a"].pop("seconds") >= 0
    assert shown["a"] == {
        "status": "ok",
        "group": "ready",
        "critical": True,
        "details": {"lag": 3},
    }
    assert shown["b"]["details"] == {}


@forms
def test_details_are_shown_to_callers_who_are_accepted(
    tree: Tree, checks: Checks, form: str
) -> None:
    asked = report(tree, detailed(checks), details=lambda caller: caller == "admin")
    found = [ask(asked, form, "ready", who).body["checks"]["a"] for who in ("admin", "x", None)]
    assert ["details" in one for one in found] == [True, False, False]


def test_who_cannot_be_judged_sees_no_details(tree: Tree, checks: Checks) -> None:
    asked = report(tree, detailed(checks), details=lambda caller: caller["user"])
    with contained_failures():
        body = asked.ready_answer().body
    assert body["checks"]["a"] == {"status": "ok"}
    assert losses.counts()["health", "details"] >= 1


def test_details_go_through_redaction(tree: Tree, checks: Checks) -> None:
    checks.check("a", lambda: {"url": "postgres://u:secret@db"}, timeout=30)
    asked = report(tree, checks, details=True, redact=lambda details: dict.fromkeys(details, "***"))
    assert asked.ready_answer().body["checks"]["a"]["details"] == {"url": "***"}


def test_details_whose_redaction_fails_are_not_shown(tree: Tree, checks: Checks) -> None:
    checks.check("a", lambda: {"url": "secret"}, timeout=30)
    asked = report(tree, checks, details=True, redact=lambda details: details["none"])
    with contained_failures():
        body = asked.ready_answer().body
    assert body["checks"]["a"]["details"] == {}


@forms
@pytest.mark.parametrize("details", [True, False])
def test_no_answer_holds_the_text_of_an_exception(
    tree: Tree, checks: Checks, caplog: pytest.LogCaptureFixture, form: str, details: bool
) -> None:
    def sync() -> None:
        raise ValueError("hunter2")

    async def on_a_loop() -> None:
        raise ValueError("hunter2")

    checks.check("a", sync, timeout=30)
    checks.check("b", on_a_loop, timeout=30)
    checks.check("c", on_a_loop, timeout=30, loop="caller")
    checks.check("d", lambda: {"last": ValueError("hunter2")}, timeout=30)
    asked = report(tree, checks, details=details)
    bodies = [ask(asked, form, name).body for name in ("live", "ready", "health")]
    assert "hunter2" not in json.dumps(bodies)
    assert "hunter2" in caplog.text


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    | st.just(ValueError("hunter2")) | st.just(object()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner)
    | st.tuples(inner, inner),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.text() | st.integers() | st.tuples(st.integers()), JSON_VALUES))
def test_details_are_json_whatever_they_hold(details: dict[Any, Any]) -> None:
    text = json.dumps(plain(details), allow_nan=False).encode()
    assert b"hunter2" not in text


def test_details_that_hold_themselves_or_too_much_are_cut() -> None:
    details: dict[str, Any] = {"text": "x" * 10_000, "items": list(range(10_000))}
    details["self"] = details
    assert len(json.dumps(plain(details))) < 10_000


# --- alerts


def alert(name: str, state: Any) -> Alert:
    return Alert(name, state, {}, {}, 1.0, 0.0)


@forms
@pytest.mark.parametrize(("state", "status"), [("firing", "degraded"), ("pending", "healthy")])
def test_an_alert_that_fires_makes_health_degraded_where_asked(
    tree: Tree, checks: Checks, form: str, state: str, status: str
) -> None:
    asked = report(tree, checks, alerts=lambda: [alert("ErrorsHigh", state)], details=True)
    found = ask(asked, form, "health")
    names = ["ErrorsHigh"] if state == "firing" else []
    assert (found.body["status"], found.body["alerts"]) == (status, names)


def test_which_alerts_fire_is_a_detail(tree: Tree, checks: Checks) -> None:
    asked = report(tree, checks, alerts=lambda: [alert("ErrorsHigh", "firing")])
    assert "alerts" not in asked.health_answer().body


def test_alerts_that_cannot_be_asked_leave_the_rest(tree: Tree, checks: Checks) -> None:
    asked = report(tree, checks, alerts=lambda: 1 / 0)
    with contained_failures():
        assert asked.health_answer().body["status"] == "healthy"


# --- arguments, and the report in force


@pytest.mark.parametrize(
    ("error", "text", "arguments"),
    [
        (TypeError, "details=True", {"details": "yes"}),
        (TypeError, "plain def", {"details": Report.live_answer_async}),
        (TypeError, "memory_above=90", {"memory_above": "90"}),
        (ValueError, "cpu_above=90", {"cpu_above": 0}),
        (ValueError, "memory_above=90", {"memory_above": 900}),
        (TypeError, "alerts=True", {"alerts": list}),
        (TypeError, "takes a check's details", {"redact": True}),
    ],
)
def test_a_wrong_argument_is_an_error_that_says_what_to_write(
    error: type[Exception], text: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(error, match=text):
        HealthOptions(**arguments)


def test_alerts_are_given_by_a_function() -> None:
    with pytest.raises(TypeError, match=r"alerts=lambda: manager\.alerts"):
        Report(alerts=[])  # type: ignore[arg-type]


def test_the_functions_ask_the_report_in_force(tree: Tree, checks: Checks) -> None:
    checks.check("mine", lambda: False, timeout=30)
    mine = report(tree, checks)
    assert health.install(mine) is None
    assert health.current() is mine
    assert (
        health.live_answer()
        == asyncio.run(health.live_answer_async())
        == Answer(200, {"status": "alive"})
    )
    assert health.ready_answer() == asyncio.run(health.ready_answer_async())
    assert health.ready_answer().status_code == 503
    assert health.health_answer().body["checks"] == {"mine": {"status": "failing"}}
    assert asyncio.run(health.health_answer_async()).body["status"] == "degraded"
    assert health.install(None) is mine


def test_without_a_report_the_default_checks_are_asked() -> None:
    health.check("database", lambda: False, timeout=30)
    assert health.ready_answer().status_code == 503


def test_readings_that_fail_leave_an_answer(
    tree: Tree, checks: Checks, clock: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Fixed):
        def cpu_seconds(self) -> tuple[float, float]:
            raise OSError("hunter2")

    caplog.set_level(logging.CRITICAL)
    with contained_failures():
        body = report(tree, checks, Broken()).health_answer().body
    assert (body["status"], body["memory_usage"], body["cpu_usage"]) == ("healthy", None, None)
