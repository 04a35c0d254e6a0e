"""What a manager goes on with: after a restart, in another worker, in place of an earlier one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge

from geomon import losses
from geomon.alerts import state
from geomon.alerts.alert import Alert
from geomon.alerts.manager import AlertManager
from geomon.alerts.notifiers import WebhookNotifier
from geomon.alerts.rule import AlertRule, RuleGroup
from geomon.testing import MovableClock
from tests.alerts.servers_http import receiver
from tests.alerts.watched import UP, Told, World


class Named(Told):
    """One with a name of its own."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


def restarted(world: World, **arguments: Any) -> World:
    world.messages()
    world.manager.close()
    return World(world.clock, **arguments)


# --- over a restart


@pytest.mark.parametrize("expr", ["up / 0", "-up / 0", "0 * up / 0"])
def test_an_infinite_value_and_none_at_all_come_back(
    clock: MovableClock, tmp_path: Path, expr: str
) -> None:
    values: list[str] = []

    def keep(alerts: Sequence[Alert]) -> None:
        values.extend(str(alert.value) for alert in alerts)

    path = tmp_path / "state"
    first = World(clock, rules=[AlertRule("A", expr)], notifiers=[keep], state_path=path)
    first.tick(1)
    second = restarted(first, rules=[], notifiers=[keep], state_path=path)
    second.tick(1)
    second.manager.close()
    assert len(values) == 2
    assert values[0] == values[1] in ("inf", "-inf", "nan")


def test_groups_of_one_name_and_another_interval_lose_no_alert(
    clock: MovableClock, tmp_path: Path
) -> None:
    rules = [RuleGroup("main", [AlertRule(name, "up == 0", for_=60)]) for name in "AB"]
    path = tmp_path / "state"
    first = World(clock, rules=rules, state_path=path)
    first.tick(*[0] * 6)
    second = restarted(first, rules=rules, state_path=path, interval=30)
    assert [(one.name, one.state) for one in second.manager.alerts] == [
        ("A", "firing"),
        ("B", "firing"),
    ]
    second.tick(0, 0)
    assert second.messages() == []
    second.manager.close()


def test_a_lone_surrogate_in_a_label_comes_back(clock: MovableClock, tmp_path: Path) -> None:
    rule, path = AlertRule("A", "foreign > 0"), tmp_path / "state"
    first = World(clock, rules=[rule], state_path=path)
    Gauge("foreign", "-", ["k"], registry=first.registry).labels("a\udc80").set(1)
    first.tick(1)
    second = restarted(first, rules=[rule], state_path=path)
    assert [alert.labels["k"] for alert in second.manager.alerts] == ["a\udc80"]
    second.manager.close()


def test_whatever_fails_in_saving_close_counts_it(
    clock: MovableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise TypeError("cannot be written")

    world = World(clock, state_path=tmp_path / "state")
    world.tick(0)
    monkeypatch.setattr(state, "save", broken)
    before = losses.counts().get(("alerts", "state_not_written"), 0)
    world.manager.close()
    assert losses.counts()[("alerts", "state_not_written")] == before + 1


def test_a_manager_that_looked_at_nothing_leaves_the_file(
    clock: MovableClock, tmp_path: Path
) -> None:
    path = tmp_path / "state"
    World(clock, state_path=path).manager.close()
    assert not path.exists()


# --- which notifier is which


def test_a_notifier_is_known_again_by_its_name(clock: MovableClock, tmp_path: Path) -> None:
    path = tmp_path / "state"
    slack, pager, again = Named("slack"), Named("pager"), Named("slack")
    first = World(clock, notifiers=[slack], state_path=path)
    first.tick(0)
    second = restarted(first, notifiers=[pager, again], state_path=path)
    second.tick(0)
    second.manager.close()
    assert (pager.messages, again.messages) == ([[("Down", "firing")]], [])


def test_where_there_are_more_of_a_kind_than_before_all_hear_it(
    clock: MovableClock, tmp_path: Path
) -> None:
    path, both = tmp_path / "state", [Told(), Told()]
    first = World(clock, state_path=path)
    first.tick(0)
    second = restarted(first, notifiers=both, state_path=path)
    second.tick(0)
    second.manager.close()
    assert [told.messages for told in both] == [[[("Down", "firing")]]] * 2


def test_geomons_notifiers_are_known_again_by_where_they_send_without_secrets(
    clock: MovableClock, tmp_path: Path
) -> None:
    path = tmp_path / "state"
    with receiver() as old, receiver() as new:
        urls = [f"http://user:hunter2@127.0.0.1:{one.port}/token" for one in (old, new)]
        first = World(clock, notifiers=[WebhookNotifier(urls[0])], state_path=path)
        first.tick(0)
        notifiers = [WebhookNotifier(url) for url in reversed(urls)]
        second = restarted(first, notifiers=notifiers, state_path=path)
        second.tick(0)
        second.manager.close()
        assert (len(old.seen), len(new.seen)) == (1, 1)
    assert not any(secret in path.read_bytes() for secret in (b"hunter2", b"token"))


# --- in another worker


class Workers:
    """Two workers over one registry, of which the first leads."""

    def __init__(self, clock: MovableClock, rule: AlertRule) -> None:
        self.clock = clock
        self.rule = rule
        self.first = World(clock, rules=[rule])
        self.errors = Counter("errors", "-", ["type"], registry=self.first.registry)
        self.told = Told()

    def begin_second(self) -> None:
        self.second = AlertManager([self.rule], [self.told], registry=self.first.registry)
        self.second.tick()

    def hand_over(self) -> None:
        self.first.messages()
        self.first.manager.close()

    def tick_second(self, times: int) -> list[str]:
        for _ in range(times):
            self.clock.move(15)
            self.second.tick()
        for outlet in self.second._outlets:
            outlet.delivery.flush(5)
        return [state for message in self.told.messages for _, state in message]


@pytest.fixture
def workers(clock: MovableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workers:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    return Workers(clock, AlertRule("Errors", "sum(increase(errors_total[10m])) > 2"))


def test_a_worker_that_starts_later_goes_on_with_long_windows(workers: Workers) -> None:
    workers.first.tick(1)
    workers.errors.labels("timeout").inc(5)
    assert workers.first.tick(*[1] * 6)[0] == "firing"
    workers.begin_second()
    assert [alert.state for alert in workers.second.alerts] == ["firing"]
    workers.hand_over()
    assert workers.tick_second(33) == []
    assert workers.tick_second(2) == ["resolved"]
    workers.second.close()


def test_a_worker_that_has_not_seen_it_fire_resolves_nothing_before_its_windows_are_full(
    workers: Workers,
) -> None:
    workers.first.tick(1)
    workers.errors.labels("timeout").inc(5)
    workers.begin_second()
    assert workers.second.alerts == []
    assert workers.first.tick(1) == ["firing"]
    workers.hand_over()
    assert workers.tick_second(38) == []
    assert workers.tick_second(4) == ["resolved"]
    workers.second.close()


def test_a_worker_that_leads_then_does_not_fire_what_the_leader_saw_end(workers: Workers) -> None:
    workers.first.tick(1)
    workers.errors.labels("timeout").inc(5)
    workers.first.tick(*[1] * 6)
    workers.begin_second()
    assert [alert.state for alert in workers.second.alerts] == ["firing"]
    assert workers.first.tick(*[1] * 110)[-1] == ""
    workers.hand_over()
    assert workers.tick_second(3) == []
    workers.second.close()


def test_in_workers_the_time_while_none_looked_counts_for_no_keep_firing_for(
    clock: MovableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    rules = [AlertRule("Down", "up == 0", keep_firing_for=1800)]
    first = World(clock, rules=rules)
    assert first.tick(0, 1) == ["firing", "firing"]
    first.manager.close()
    clock.move(3600)
    second = World(clock, rules=rules)
    assert second.tick(*[1] * 119) == ["firing"] * 119
    assert second.tick(1) == [""]
    second.manager.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("several", [False, True])
def test_a_forked_child_leaves_the_file_to_its_parent(
    clock: MovableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, several: bool
) -> None:
    if several:
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    path = tmp_path / "state"
    world = World(clock, state_path=path)
    world.tick(0)
    saved = path.read_bytes()
    clock.move(100)
    for looks in (False, True):
        child = os.fork()
        if child == 0:
            if looks:
                world.manager.evaluate()
            world.manager.close()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert path.read_bytes() == saved
    world.manager.close()


# --- in place of an earlier manager


def later(world: World, *notifiers: Any, **arguments: Any) -> AlertManager:
    manager = AlertManager(
        **{"rules": world.manager.rules, "notifiers": notifiers, "registry": world.registry}
        | arguments
    )
    world.messages()
    manager.take_over(world.manager)
    world.clock.move(15)
    return manager


def test_a_later_manager_tells_nothing_twice_and_what_ends(world: World) -> None:
    world.tick(1, 0)
    manager = later(world, world.told)
    manager.tick()
    world.up.set(1)
    world.clock.move(15)
    manager.tick()
    manager.close()
    assert world.told.messages == [[("Down", "firing")], [("Down", "resolved")]]


def test_under_a_later_manager_for_does_not_begin_anew(clock: MovableClock) -> None:
    world = World(clock, rules=[AlertRule("Down", "up == 0", for_=30)])
    assert world.tick(0, 0) == ["pending", "pending"]
    manager = later(world)
    manager.tick()
    assert [alert.state for alert in manager.alerts] == ["firing"]
    manager.close()


def test_what_a_later_manager_has_no_rule_for_is_told_resolved(world: World) -> None:
    world.tick(0)
    manager = later(world, world.told, rules=[])
    manager.tick()
    manager.close()
    assert world.told.messages == [[("Down", "firing")], [("Down", "resolved")]]


def test_a_notifier_that_a_later_manager_has_not_got_hears_resolved(world: World) -> None:
    world.tick(0)
    other = Named("other")
    manager = later(world, other)
    manager.tick()
    manager.close()
    assert world.told.messages == [[("Down", "firing")], [("Down", "resolved")]]
    assert other.messages == [[("Down", "firing")]]


def test_the_defaults_of_a_later_manager_leave_no_notifier_with_what_fired(world: World) -> None:
    world.tick(0)
    manager = later(world, world.told, rules=None)
    manager.tick()
    manager.close()
    assert world.told.messages == [[("Down", "firing")], [("Down", "resolved")]]


def test_a_later_manager_keeps_the_earlier_ones_time(world: World) -> None:
    world.tick(0)
    world.clock.set_wall(1_000_000_000)
    manager = later(world, world.told)
    manager.tick()
    assert [alert.state for alert in manager.alerts] == ["firing"]
    assert manager.now() == world.manager.now()
    manager.close()


@pytest.fixture
def world(clock: MovableClock) -> World:
    return World(clock)


# --- what cannot be a file


@pytest.mark.parametrize(
    ("state_path", "error", "says"),
    [
        (5, TypeError, "state_path=5: write the name of a file"),
        (b"state", TypeError, "write the name of a file"),
        ("", ValueError, "is a directory: write the name of a file"),
        ("a\0b", ValueError, "without the character NUL"),
        (f"{__file__}/state", ValueError, "is no directory; write another"),
    ],
)
def test_a_state_path_that_cannot_be_a_file_is_an_error_that_says_what_to_write(
    state_path: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        AlertManager([UP], registry=CollectorRegistry(), state_path=state_path)
