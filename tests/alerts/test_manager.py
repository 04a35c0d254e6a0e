"""The manager: scraping, evaluating, telling notifiers what changed, over restarts and gaps."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge

from geomon import losses
from geomon.alerts.alert import Alert
from geomon.alerts.given import plain_alert
from geomon.alerts.manager import AlertManager
from geomon.alerts.rule import AlertRule, RecordingRule, RuleGroup
from geomon.series import SeriesStore
from geomon.testing import MovableClock
from tests.alerts.watched import UP, Told, World


@pytest.fixture
def clock() -> Iterator[MovableClock]:
    with MovableClock() as clock:
        yield clock


@pytest.fixture
def world(clock: MovableClock) -> Iterator[World]:
    made = World(clock)
    yield made
    made.manager.close()


def eventually(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


# --- what is told


def test_a_change_is_told_once_and_its_end_too(world: World) -> None:
    world.tick(1, 0, 0, 0, 1, 1)
    assert world.messages() == [[("Down", "firing")], [("Down", "resolved")]]


def test_all_that_changed_in_one_evaluation_is_one_list(clock: MovableClock) -> None:
    rules = [AlertRule(f"Down{number}", "up == 0") for number in range(40)]
    world = World(clock, rules=rules)
    world.tick(0)
    assert [len(message) for message in world.messages()] == [40]
    world.manager.close()


def test_what_still_fires_is_told_again_after_the_repeat_interval(clock: MovableClock) -> None:
    world = World(clock, repeat_interval=60)
    world.tick(0, 0, 0, 0)
    assert len(world.messages()) == 1
    world.tick(0, 0)
    assert len(world.messages()) == 2
    world.manager.close()


def test_what_was_only_pending_is_told_to_nobody(clock: MovableClock) -> None:
    world = World(clock, rules=[AlertRule("Down", "up == 0", for_=60)])
    assert world.tick(0, 0, 1) == ["pending", "pending", ""]
    assert world.messages() == []
    world.manager.close()


def test_default_rules_go_to_the_log_only(
    clock: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world = World(clock, rules=None)
    world.manager._say_what_is_watched()
    assert "AIErrorRatioHigh" in caplog.text
    assert "alerts go to: log" in caplog.text
    memory = Gauge("memory_usage_bytes", "-", registry=world.registry)
    limit = Gauge("memory_limit_bytes", "-", registry=world.registry)
    memory.set(99)
    limit.set(100)
    world.tick(*[1] * 65)
    world.messages()
    assert "MemoryHigh" in [alert.name for alert in world.manager.alerts]
    assert "alert firing: MemoryHigh" in caplog.text
    assert world.told.messages == []
    world.manager.close()


def test_an_alert_carries_labels_annotations_and_value(clock: MovableClock) -> None:
    rule = AlertRule(
        "Down",
        "up == 0",
        labels={"severity": "page"},
        annotations={"summary": "{{ $labels.severity }}up is {{ $value }}"},
    )
    world = World(clock, rules=[rule])
    world.tick(0)
    (alert,) = world.manager.alerts
    assert (dict(alert.labels), dict(alert.annotations), alert.value) == (
        {"alertname": "Down", "severity": "page"},
        {"summary": "up is 0"},
        0.0,
    )
    world.manager.close()


# --- evaluation


def test_a_recording_rule_feeds_the_rules_after_it(clock: MovableClock) -> None:
    group = RuleGroup(
        "g", [RecordingRule("down", "1 - up"), AlertRule("Down", "down > 0")], interval=15
    )
    world = World(clock, rules=[group])
    assert world.tick(1, 0, 1) == ["", "firing", ""]
    world.manager.close()


def test_hysteresis_can_be_written_with_alerts(clock: MovableClock) -> None:
    expr = 'up > 90 or up > 70 and on() ALERTS{alertname="Full",alertstate="firing"}'
    world = World(clock, rules=[AlertRule("Full", expr)])
    assert world.tick(80, 95, 80, 75, 60, 80) == ["", "firing", "firing", "firing", "", ""]
    world.manager.close()


def test_the_first_error_of_a_counter_is_seen(clock: MovableClock) -> None:
    world = World(clock, rules=[AlertRule("Errors", "increase(errors_total[1m]) > 0")])
    errors = Counter("errors", "-", ["type"], registry=world.registry)
    world.tick(1, 1)
    errors.labels("timeout").inc()
    assert world.tick(1) == ["firing"]
    world.manager.close()


def test_a_group_with_an_interval_of_its_own_is_evaluated_then(clock: MovableClock) -> None:
    world = World(clock, rules=[RuleGroup("slow", [UP], interval=60)])
    assert world.tick(0, 0, 1, 1, 1) == ["firing"] * 4 + [""]
    world.manager.close()


def test_a_rule_that_fails_keeps_its_alerts_and_says_so_once(
    clock: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    many = 'abs({__name__=~"up|other"})'
    world = World(clock, rules=[AlertRule("Down", many), AlertRule("Other", "up == 0")])
    other = Gauge("other", "-", registry=world.registry)
    other.set(5)
    assert world.tick(0, 0) == ["firing", "firing"]  # the rule after it goes on
    assert [alert.name for alert in world.manager.alerts] == ["Other"]
    assert caplog.text.count("rule Down cannot be evaluated") == 1
    (failed, fine) = world.manager.status()["rules"]
    assert ("same labelset" in failed["error"], fine["error"]) == (True, None)
    assert losses.counts()[("alerts", "evaluation")] >= 2
    world.manager.close()


@pytest.mark.parametrize("expr", ["up / 0", "up / (up - up)", "vector(1)", "absent(nothing)"])
def test_an_expression_that_gives_infinity_or_no_labels_is_evaluated(
    clock: MovableClock, expr: str
) -> None:
    world = World(clock, rules=[AlertRule("A", expr)])
    assert world.tick(1) == ["firing"]
    world.manager.close()


def test_a_window_of_a_day_holds_for_names_that_a_regex_chooses(clock: MovableClock) -> None:
    rule = AlertRule("Spend", 'sum(increase({__name__=~"cost.*_total"}[1d])) > 50')
    world = World(clock, rules=[rule])
    cost = Counter("cost", "-", registry=world.registry)
    world.tick(1)
    for _ in range(9):
        cost.inc(6)
        world.tick(1, seconds=3600)
    assert [alert.state for alert in world.manager.alerts] == ["firing"]
    world.manager.close()


def test_ten_thousand_alerts_are_one_message(clock: MovableClock) -> None:
    store = SeriesStore()
    told = Told()
    manager = AlertManager([UP], [told], store=store)
    for number in range(10_000):
        store.append({"__name__": "up", "i": str(number)}, 1000, 0)
    assert len(manager.evaluate(at=1000)) == 10_000
    eventually(lambda: sum(map(len, told.messages)) == 10_000)
    manager.close()


def test_by_hand_on_a_filled_store_nothing_is_scraped() -> None:
    store = SeriesStore()
    store.append({"__name__": "up", "job": "a"}, 0, 0)
    manager = AlertManager([AlertRule("Down", "up == 0", for_=300)], store=store)
    assert [alert.state for alert in manager.evaluate(at=0)] == ["pending"]
    store.append({"__name__": "up", "job": "a"}, 300, 0)
    (alert,) = manager.evaluate(at=300)
    assert (alert.state, alert.active_since, alert.fired_at) == ("firing", 0, 300)
    assert len(store) > 1  # ALERTS and ALERTS_FOR_STATE stand in it


def test_nobody_is_told_of_an_end_while_a_rule_is_over_its_limit(clock: MovableClock) -> None:
    queue = AlertRule("Full", "queue > 0")
    world = World(clock, rules=[RuleGroup("g", [queue], limit=2)])
    sizes = Gauge("queue", "-", ["name"], registry=world.registry)
    sizes.labels("a").set(1)
    world.tick(1)
    for name in "abcd":
        sizes.labels(name).set(name != "a")
    world.tick(1, 1)
    assert world.messages() == [[("Full", "firing")]]
    sizes.clear()
    world.tick(1)
    assert world.messages() == [[("Full", "firing")], [("Full", "resolved")]]
    world.manager.close()


# --- clocks and gaps


def test_a_stepped_wall_clock_changes_nothing(clock: MovableClock) -> None:
    world = World(clock, rules=[AlertRule("Down", "up == 0", for_=60)])
    world.tick(0)
    clock.set_wall(2_000_000_000)
    assert world.tick(0) == ["pending"]
    clock.set_wall(1_000_000_000)
    assert world.tick(0, 0, 0) == ["pending", "pending", "firing"]
    world.manager.close()


def test_a_suspended_machine_fires_nothing_early(clock: MovableClock) -> None:
    world = World(clock, rules=[AlertRule("Down", "up == 0", for_=60)])
    world.tick(0)
    clock.move(3600)
    assert world.tick(0, 0, 0, 0) == ["pending", "pending", "pending", "firing"]
    world.manager.close()


def test_a_suspended_machine_resolves_nothing_early(clock: MovableClock) -> None:
    rule = AlertRule("Errors", "increase(errors_total[1m]) > 0")
    world = World(clock, rules=[rule])
    errors = Counter("errors", "-", registry=world.registry)

    def failing() -> list[str]:
        errors.inc()
        return world.tick(1)

    failing()
    assert failing() == ["firing"]
    clock.move(3600)
    assert [failing() for _ in range(6)] == [["firing"]] * 6
    assert world.tick(*[1] * 8)[-1] == ""
    assert world.messages() == [[("Errors", "firing")], [("Errors", "resolved")]]
    world.manager.close()


def test_a_short_stall_resolves_a_long_window_hardly_later(clock: MovableClock) -> None:
    world = World(clock, rules=[AlertRule("Errors", "increase(errors_total[1h]) > 0")])
    errors = Counter("errors", "-", registry=world.registry)
    world.tick(1)
    errors.inc()
    assert world.tick(*[1] * 200)[-1] == "firing"
    clock.move(40)
    assert world.tick(*[1] * 35)[-1] == "firing"
    assert world.tick(*[1] * 3)[-1] == ""
    world.manager.close()


# --- over a restart


def restarted(world: World, path: Path, seconds: float = 0) -> World:
    world.messages()
    world.manager.close()
    world.clock.move(seconds)
    other = World(world.clock, rules=world.manager.rules, state_path=path)
    other.up.set(0)
    return other


def test_alerts_go_on_over_a_restart_and_are_not_told_again(
    clock: MovableClock, tmp_path: Path
) -> None:
    path = tmp_path / "deep" / "alerts.state"
    first = World(clock, state_path=path)
    first.tick(1, 0)
    second = restarted(first, path)
    assert [alert.state for alert in second.manager.alerts] == ["firing"]
    second.tick(0, 0)
    assert second.messages() == []
    second.tick(*[1] * 30)
    assert second.messages() == [[("Down", "resolved")]]
    second.manager.close()


def test_a_pending_alert_does_not_start_anew(clock: MovableClock, tmp_path: Path) -> None:
    path = tmp_path / "state"
    first = World(clock, rules=[AlertRule("Down", "up == 0", for_=60)], state_path=path)
    first.tick(0, 0, 0)
    second = restarted(first, path)
    assert second.tick(0, 0) == ["pending", "firing"]
    second.manager.close()


def test_long_windows_go_on(clock: MovableClock, tmp_path: Path) -> None:
    path = tmp_path / "state"
    rule = AlertRule("Spend", "increase(spent_total[1d]) > 50")
    first = World(clock, rules=[rule], state_path=path)
    spent = Counter("spent", "-", registry=first.registry)
    first.tick(1)
    spent.inc(40)
    first.tick(*[1] * 4, seconds=900)
    second = restarted(first, path)
    again = Counter("spent", "-", registry=second.registry)  # a new process counts from 0
    second.tick(1)
    again.inc(20)
    assert second.tick(1) == ["firing"]
    second.manager.close()


@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense", b"geomon alerts 2\n", b"geomon alerts 2\n" + b"\x01" * 40],
)
def test_a_corrupt_state_is_said_and_left(
    clock: MovableClock, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    path = tmp_path / "state"
    path.write_bytes(content)
    world = World(clock, state_path=path)
    assert world.tick(0) == ["firing"]
    assert "cannot be used, and alerts start anew" in caplog.text
    world.manager.close()


def test_a_changed_byte_is_noticed(clock: MovableClock, tmp_path: Path) -> None:
    path = tmp_path / "state"
    first = World(clock, state_path=path)
    first.tick(0)
    first.manager.close()
    data = bytearray(path.read_bytes())
    for place in range(len(data)):
        changed = data[:]
        changed[place] ^= 0x01
        path.write_bytes(bytes(changed))
        other = World(clock, state_path=path)
        assert other.manager.alerts == []
        other.manager.close()
        path.write_bytes(bytes(changed))


def test_a_state_from_the_future_is_said_and_left(
    clock: MovableClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state"
    first = World(clock, state_path=path)
    first.tick(0)
    first.manager.close()
    clock.set_wall(1_600_000_000)
    second = World(clock, state_path=path)
    assert second.manager.alerts == []
    assert "from the future" in caplog.text
    second.manager.close()


def test_a_state_that_cannot_be_written_is_a_counted_loss(
    clock: MovableClock, tmp_path: Path
) -> None:
    world = World(clock, state_path=tmp_path / "file" / "state")
    (tmp_path / "file").write_text("")
    before = losses.counts().get(("alerts", "state_not_written"), 0)
    world.tick(0)
    world.manager.close()
    assert losses.counts()[("alerts", "state_not_written")] > before
    assert world.told.messages == [[("Down", "firing")]]


def test_what_was_told_is_resolved_though_its_rule_is_gone(
    clock: MovableClock, tmp_path: Path
) -> None:
    path = tmp_path / "state"
    first = World(clock, state_path=path)
    first.tick(0)
    first.manager.close()
    second = World(clock, rules=[], state_path=path)
    second.tick(0)
    assert second.messages() == [[("Down", "resolved")]]
    second.manager.close()


# --- the thread


def test_the_thread_evaluates_and_ends() -> None:
    registry, told = CollectorRegistry(), Told()
    Gauge("up", "-", registry=registry).set(0)
    with AlertManager([UP], [told], interval=1, registry=registry) as manager:
        eventually(lambda: told.messages == [[("Down", "firing")]])
        assert manager.status()["running"]
    assert not manager.status()["running"]
    assert [one for one in threading.enumerate() if one.name == "geomon-alerts"] == []


def test_after_close_and_start_it_tells_again() -> None:
    registry, told = CollectorRegistry(), Told()
    up = Gauge("up", "-", registry=registry)
    with AlertManager([UP], [told], interval=1, registry=registry) as manager:
        eventually(lambda: told.messages == [[("Down", "firing")]])
    up.set(1)
    with manager:
        eventually(lambda: told.messages == [[("Down", "firing")], [("Down", "resolved")]])


def test_what_close_could_not_deliver_is_told_after_start() -> None:
    registry, told = CollectorRegistry(), Told()
    Gauge("up", "-", registry=registry)
    fails = [OSError(111, "refused")] * 2

    def notify(alerts: Sequence[Alert]) -> None:
        if fails:
            raise fails.pop()
        told(alerts)

    manager = AlertManager([UP], [notify], interval=1, registry=registry)
    manager.evaluate()
    eventually(lambda: len(fails) == 1)
    manager.close()
    with manager:
        eventually(lambda: told.messages == [[("Down", "firing")]])


def test_close_takes_no_longer_than_it_may_however_many_notifiers_hang() -> None:
    registry, release = CollectorRegistry(), threading.Event()
    Gauge("up", "-", registry=registry)
    hanging: list[Any] = [lambda _: release.wait(60) for _ in range(9)]
    manager = AlertManager([UP], hanging, registry=registry)
    manager.evaluate()
    before, begun = losses.counts().get(("notify", "closed"), 0), time.monotonic()
    manager.close(0.5)
    assert time.monotonic() - begun < 3
    assert losses.counts()[("notify", "closed")] == before + 9
    release.set()


def test_close_does_not_wait_for_a_collector_that_hangs_and_counts_what_is_not_saved(
    tmp_path: Path,
) -> None:
    registry, hangs, release = CollectorRegistry(), threading.Event(), threading.Event()

    class Slow:
        scrapes = 0

        def collect(self) -> Any:
            self.scrapes += 1
            if self.scrapes > 1:
                hangs.set()
                release.wait(60)
            return []

        def describe(self) -> Any:
            return []

    registry.register(Slow())
    told = Told()
    manager = AlertManager([UP], [told], 1, registry, tmp_path / "state").start()
    assert hangs.wait(20)
    Gauge("up", "-", registry=registry)
    before, begun = losses.counts().get(("alerts", "state_not_written"), 0), time.monotonic()
    manager.close(0.2)
    assert time.monotonic() - begun < 3
    assert losses.counts()[("alerts", "state_not_written")] == before + 1
    release.set()
    eventually(lambda: "geomon-alerts" not in [one.name for one in threading.enumerate()])
    assert (told.messages, manager.status()["leading"]) == ([], False)


def test_a_collector_that_raises_does_not_end_the_thread() -> None:
    registry, told = CollectorRegistry(), Told()

    class Broken:
        def collect(self) -> Any:
            raise RuntimeError("broken")

        def describe(self) -> Any:
            return []

    registry.register(Broken())
    Gauge("up", "-", registry=registry).set(0)
    from geomon.testing import contained_failures

    with contained_failures(), AlertManager([UP], [told], interval=1, registry=registry):
        eventually(lambda: told.messages == [[("Down", "firing")]])


def test_a_program_ends_while_it_is_watched() -> None:
    program = """
        from prometheus_client import Gauge
        from geomon.alerts.manager import AlertManager
        from geomon.alerts.rule import AlertRule
        Gauge("up", "-").set(0)
        def slow(alerts):
            import time
            time.sleep(0.2)
            print([alert.state for alert in alerts], flush=True)
        AlertManager([AlertRule("Down", "up == 0")], [slow], interval=1).start()
        import time
        time.sleep(0.3)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "['firing']\n")


WORKER = """
    import os, sys, time
    from prometheus_client import Gauge
    from geomon.alerts.manager import AlertManager
    from geomon.alerts.rule import AlertRule

    down = Gauge("down", "-", multiprocess_mode="mostrecent")
    directory = sys.argv[1]
    def notify(alerts):
        with open(f"{directory}/told.txt", "a") as file:
            for alert in alerts:
                file.write(f"{os.getpid()} {alert.name} {alert.state}\\n")
    rules = [AlertRule("Down", "down > 0")]
    with AlertManager(rules, [notify], interval=1) as manager:
        print("ready", flush=True)
        for line in sys.stdin:
            down.set(float(line))
            print(len(manager.alerts), flush=True)
"""


def test_one_of_several_workers_notifies_and_another_takes_over(tmp_path: Path) -> None:
    directory = tmp_path / "prometheus"
    directory.mkdir()
    told = tmp_path / "told.txt"
    told.touch()
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WORKER), str(tmp_path)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]

    def lines() -> list[list[str]]:
        return [line.split() for line in told.read_text().splitlines()]

    def say(worker: subprocess.Popen[str], value: int) -> int:
        """Sets the gauge; gives how many alerts the worker has."""
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(f"{value}\n")
        worker.stdin.flush()
        return int(worker.stdout.readline())

    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        eventually(lambda: all(say(worker, 1) for worker in workers))
        eventually(lambda: len(lines()) == 1)
        leader = int(lines()[0][0])
        state = directory / "geomon-alerts.state"
        eventually(lambda: state.exists() and b'notify": [[{' in state.read_bytes())
        os.kill(leader, signal.SIGKILL)
        living = [worker for worker in workers if worker.pid != leader]
        say(living[0], 0)
        eventually(lambda: len(lines()) == 2)
        assert [line[1:] for line in lines()] == [["Down", "firing"], ["Down", "resolved"]]
        assert int(lines()[1][0]) in [worker.pid for worker in living]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait(10)
            for stream in (worker.stdin, worker.stdout):
                if stream is not None:
                    stream.close()


def test_a_forked_child_leaves_notifying_to_its_parent() -> None:
    registry, told = CollectorRegistry(), Told()
    Gauge("up", "-", registry=registry).set(0)
    with AlertManager([UP], [told], interval=1, registry=registry) as manager:
        child = os.fork()
        if child == 0:
            os._exit(int(manager.status()["running"]))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# --- the original calls


def test_check_metrics_gives_what_is_above_its_threshold() -> None:
    manager = AlertManager([])
    found = manager.check_metrics({"error_rate": 0.2, "latency": 0.4, "memory": 0.95, "cpu": 0.1})
    assert found == [
        {"type": "error_rate", "value": 0.2, "threshold": 0.1},
        {"type": "memory", "value": 0.95, "threshold": 0.9},
    ]


@pytest.mark.parametrize("metrics", [{}, {"latency": None}, {"other": 5}, {"cpu": "high"}])
def test_missing_keys_and_what_is_no_number_are_no_error(metrics: Any) -> None:
    assert AlertManager([]).check_metrics(metrics) == []


def test_thresholds_can_be_changed() -> None:
    manager = AlertManager([])
    manager.thresholds["latency"] = 0.3
    assert manager.check_metrics({"latency": 0.4}) == [
        {"type": "latency", "value": 0.4, "threshold": 0.3}
    ]


def test_send_alert_takes_what_check_metrics_gives() -> None:
    told = Told()
    manager = AlertManager([], [told])
    for alert in manager.check_metrics({"memory": 0.95}):
        manager.send_alert(alert)
    manager.close()
    assert told.messages == [[("memory", "firing")]]


def test_what_was_sent_by_send_alert_is_told_once_and_does_not_go_on(
    clock: MovableClock, tmp_path: Path
) -> None:
    world = World(clock, state_path=tmp_path / "state")
    world.told.whole_group = True  # type: ignore[attr-defined]
    world.manager.send_alert({"type": "memory", "value": 0.95})
    world.messages()
    world.tick(0, 1)
    world.manager.close()
    again = World(clock, notifiers=[world.told], state_path=tmp_path / "state")
    again.tick(1)
    again.manager.close()
    assert world.told.messages == [
        [("memory", "firing")],
        [("Down", "firing")],
        [("Down", "resolved")],
    ]


def test_send_alert_tells_an_end_as_the_program_says_it() -> None:
    told = Told()
    manager = AlertManager([], [told])
    alert = plain_alert({"type": "memory", "value": 0.95}, 0)
    manager.send_alert(replace(alert, state="resolved", resolved_at=1))
    manager.close()
    assert told.messages == [[("memory", "resolved")]]


# --- wrong arguments


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"rules": 5}, TypeError, r"write a list, rules=\[\.\.\.\]"),
        ({"rules": [5]}, TypeError, "write AlertRule"),
        ({"rules": {"a": 1}}, TypeError, r"write a list, rules=\[\.\.\.\]"),
        ({"rules": [], "notifiers": print}, TypeError, r"write a list, notifiers=\[\.\.\.\]"),
        ({"rules": [], "notifiers": [5]}, TypeError, "write notifiers="),
        ({"rules": [], "interval": 0}, ValueError, "write 1 seconds or more"),
        ({"rules": [], "interval": "15s"}, TypeError, "write seconds, as interval=15"),
        ({"rules": [], "interval": float("nan")}, ValueError, "write 1 seconds or more"),
        ({"rules": [], "registry": 5}, TypeError, r"write registry=CollectorRegistry\(\)"),
        ({"rules": [], "repeat_interval": -1}, ValueError, "write 1 seconds or more"),
        ({"rules": [], "state_path": "/"}, ValueError, "write the name of a file"),
    ],
)
def test_a_wrong_argument_is_an_error_that_says_what_to_write(
    arguments: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        AlertManager(**arguments)
