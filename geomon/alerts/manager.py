"""Watches a registry: scrapes it, evaluates rules, and hands what changed to the notifiers."""

from __future__ import annotations

import logging
import math
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from geomon import clock, losses, registries, workers
from geomon.alerts.alert import Alert, Notifier
from geomon.alerts.checks import check_notifier
from geomon.alerts.condition import Condition
from geomon.alerts.defaults import THRESHOLDS
from geomon.alerts.evaluation import Group, needed
from geomon.alerts.given import Rules, groups_of, is_number, listed, plain_alert, seconds
from geomon.alerts.leader import Alone, Leader, Locked
from geomon.alerts.notifiers.log import LogNotifier
from geomon.alerts.outlet import Outlet, named
from geomon.alerts.rule import AlertRule, RecordingRule
from geomon.alerts.saving import Saving
from geomon.series import SeriesStore

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_log = logging.getLogger("geomon.alerts")
_REPEAT = 4 * 3600.0
_MISSED = 2.5  # intervals between two ticks: more, and the machine slept or was overloaded


class AlertManager:
    """Evaluates rules over a registry every few seconds, in a thread of its own.

        with AlertManager(rules=load_rules("rules.yml"), notifiers=[notify]):
            ...

    Alerts always go to the logger `geomon.alerts` too. Where several workers share a registry
    (`PROMETHEUS_MULTIPROC_DIR`), each evaluates, and the one that holds a lock notifies.

    Args:
        rules: Rules, groups of them, or the name of a rule file; None: the defaults, whose alerts
            go to the log only (`rules=default_rules()` sends them to the notifiers too).
        notifiers: Callables that take a list of `Alert`, such as those of
            `geomon.alerts.notifiers`.
        interval: Seconds between two evaluations, where a group does not say; 1 or more.
        registry: What is scraped; prometheus-client's default, merged over all workers.
        state_path: A file that carries alerts and samples over a restart.
        store: Samples to evaluate instead: then nothing is scraped.
        repeat_interval: Seconds after which notifiers hear again of what still fires.
        namespace: Put before geomon's metric names, in the default rules.
        metrics: Further metrics to scrape; None: those that the rules need, and no others.

    Raises:
        TypeError, ValueError: an argument has the wrong type, or a value that cannot be.
        RuleError: a rule file has faults.
    """

    def __init__(
        self,
        rules: Rules | None = None,
        notifiers: Iterable[Notifier] = (),
        interval: float = 15.0,
        registry: CollectorRegistry | None = None,
        state_path: str | os.PathLike[str] | None = None,
        *,
        store: SeriesStore | None = None,
        repeat_interval: float = _REPEAT,
        namespace: str = "",
        metrics: Iterable[str] | None = None,
    ) -> None:
        self.interval = seconds("interval", interval, 1.0)
        self.thresholds: dict[str, float] = dict(THRESHOLDS)
        """What `check_metrics` compares with."""
        self.store = store if store is not None else SeriesStore()
        """The samples."""
        self._groups = [
            Group(group, self.store, self.interval) for group in groups_of(rules, namespace)
        ]
        self._shortest = min([self.interval, *(group.interval for group in self._groups)])
        repeat = seconds("repeat_interval", repeat_interval, 1.0)
        chosen = [LogNotifier(), *listed("notifiers", notifiers)]
        for notifier in chosen:
            check_notifier(notifier)
        self._outlets = [
            Outlet(name, notifier, repeat, self._notice) for name, notifier in named(chosen)
        ]
        self._told = self._outlets[:1] if rules is None else self._outlets
        self._registry = None if store is not None else _checked(registry)
        self._names = self._wanted(metrics)
        self._leader = _leader()
        self._leads = False
        self._saving = _saving(state_path, self)
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._wake = threading.Event()
        self._wall, self._boot = clock.wall(), clock.boot()
        self._ticked: float | None = None
        if state_path is not None:
            self._saving.load(self.now())
        _managers.add(self)

    # --- running

    def start(self) -> AlertManager:
        """Begins to watch, in a daemon thread. Can be repeated."""
        with self._lock:
            if self._thread is None:
                self._say_what_is_watched()
                self._begin()
        return self

    def close(self, timeout: float = 5.0) -> None:
        """Stops watching; sends what waits, for at most `timeout` seconds. Can be repeated."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._stopping = True
            self._wake.set()
            thread.join(timeout)
        for outlet in self._outlets:
            outlet.delivery.close(timeout)
        if self._leads:
            self._saving.save(self.now())
        self._leads = False
        self._leader.close()

    def __enter__(self) -> AlertManager:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def now(self) -> float:
        """The store's time: the wall clock when the manager was made, and what passed since."""
        return self._wall + (clock.boot() - self._boot)

    def evaluate(self, at: float | None = None) -> list[Alert]:
        """One evaluation of all rules, by hand; gives the alerts that are pending or firing.

        Args:
            at: Seconds since the epoch; now.
        """
        with self._lock:
            moment = self.now() if at is None else float(at)
            self._scrape(moment)
            for group in self._groups:
                group.evaluate(moment)
            self._notify(moment)
        return self.alerts

    def tick(self, at: float | None = None) -> None:
        """What the thread does every interval: scrape, evaluate the groups that are due, notify.

        Args:
            at: Seconds since the epoch; now. The thread says when it was due, so that a tick that
                comes late makes no `for` longer.
        """
        with self._lock:
            at = self.now() if at is None else at
            self._scrape(at)
            missed = self._ticked is not None and at - self._ticked > _MISSED * self._shortest
            for group in self._groups:
                if missed:
                    group.skip(at)
                if group.is_due(at):
                    group.evaluate(at)
            self._ticked = at
            self._notify(at)
        self._save()

    # --- what there is

    @property
    def alerts(self) -> list[Alert]:
        """Those that are pending or firing."""
        return [alert for alert in self._all() if alert.state != "resolved"]

    @property
    def rules(self) -> list[AlertRule | RecordingRule]:
        """The rules that are evaluated."""
        return [rule.rule for group in self._groups for rule in group.rules]

    @property
    def needs_prices(self) -> bool:
        """Whether there is a rule that can never fire where no prices are known."""
        return any(isinstance(rule, Condition) and rule.needs_prices for rule in self.rules)

    def status(self) -> dict[str, Any]:
        """How rules and notifiers fare, as plain values."""
        return {
            "running": self._thread is not None,
            "leading": self._leads,
            "interval": self.interval,
            "series": len(self.store),
            "alerts": {
                state: sum(alert.state == state for alert in self._all())
                for state in ("pending", "firing", "resolved")
            },
            "rules": [
                {
                    "group": group.name,
                    "name": rule.name,
                    "expr": rule.expr,
                    "error": rule.health.error,
                    "duration": rule.health.duration,
                    "evaluated_at": rule.health.at,
                }
                for group in self._groups
                for rule in group.rules
            ],
            "notifiers": [outlet.delivery.status() for outlet in self._outlets],
        }

    # --- the original calls

    def check_metrics(self, metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Which of these values are above their thresholds.

        Args:
            metrics: Any of `error_rate` (a ratio), `latency` (seconds), `memory` (a ratio) and
                `cpu` (a ratio); see `thresholds`.

        Returns:
            For each `{"type": ..., "value": ..., "threshold": ...}`.
        """
        return [
            {"type": name, "value": metrics[name], "threshold": threshold}
            for name, threshold in self.thresholds.items()
            if is_number(metrics.get(name)) and metrics[name] > threshold
        ]

    def send_alert(self, alert: Alert | Mapping[str, Any]) -> None:
        """Hands an alert of the program's own, or one of `check_metrics`, to every notifier."""
        made = alert if isinstance(alert, Alert) else plain_alert(alert, self.now())
        for outlet in self._outlets:
            outlet.delivery.send([made])

    # ---

    def _all(self) -> list[Alert]:
        return [alert for group in self._groups for alert in group.alerts()]

    def _begin(self) -> None:
        self._stopping, self._wake = False, threading.Event()
        self._thread = threading.Thread(target=self._run, name="geomon-alerts", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        due = clock.boot()
        while not self._stopping:
            now = clock.boot()
            if now >= due:
                due += self._shortest * math.floor((now - due) / self._shortest)  # what was missed
                self._contained(partial(self.tick, self._wall + (due - self._boot)))
                due += self._shortest
            elif self._wake.wait(due - now):  # a notifier was told something
                self._wake.clear()
                self._contained(self._save)

    def _save(self) -> None:
        with self._lock:
            if self._leads:
                self._saving.save_if_due(self.now())

    def _contained(self, step: Callable[[], object]) -> None:
        try:
            step()
        except BaseException as error:  # the thread outlives whatever a rule or collector does
            losses.count("alerts", "tick")
            losses.say_once("alerts", "tick", f"an evaluation: {error!r}", error)

    def _notice(self, alerts: Sequence[Alert], error: BaseException | None) -> None:
        """A notifier was told something, or could not be: what it was told is saved soon."""
        self._wake.set()

    def _scrape(self, at: float) -> None:
        if self._registry is None:
            return
        workers.look()
        self.store.scrape(self._registry, at, self._names)

    def _notify(self, at: float) -> None:
        leads = self._leader.leads()
        if leads and not self._leads:
            self._saving.take_over(at)
        self._leads = leads
        if leads:
            alerts = self._all()
            for outlet in self._told:
                outlet.take(alerts, at)

    def _wanted(self, metrics: Iterable[str] | None) -> set[str] | None:
        """The names to scrape; None: all. What a rule looks back for is kept as long."""
        windows = needed(self._groups)
        for name, window in windows.items():
            if name is not None:
                self.store.retain(name, window + 2 * self.interval)
        if None in windows:
            return None
        return {name for name in windows if name is not None} | set(metrics or ())

    def _say_what_is_watched(self) -> None:
        rules = ", ".join(rule.name for group in self._groups for rule in group.rules)
        if rules:
            told = ", ".join(outlet.delivery.name for outlet in self._told)
            _log.info("watching every %g s: %s; alerts go to: %s", self.interval, rules, told)

    def _after_fork(self) -> None:
        """A worker goes on by itself; any other child leaves it to its parent."""
        running, self._thread = self._thread is not None, None
        self._lock = threading.RLock()
        if running and isinstance(self._leader, Locked):
            self._begin()


_managers: weakref.WeakSet[AlertManager] = weakref.WeakSet()


def _after_fork() -> None:
    for manager in list(_managers):
        manager._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _checked(registry: CollectorRegistry | None) -> Any:
    if registry is not None and not hasattr(registry, "collect"):
        raise TypeError(f"registry={registry!r}: write registry=CollectorRegistry()")
    return registries.merged(registry)


def _saving(state_path: str | os.PathLike[str] | None, manager: AlertManager) -> Saving:
    """Where the state goes; workers without a path keep what was told, for who leads next."""
    directory = registries.directory()
    if state_path is None and directory is not None:
        return Saving(Path(directory, "geomon-alerts.state"), manager, whole=False)
    return Saving(state_path, manager)


def _leader() -> Leader:
    directory = registries.directory()
    return Alone() if directory is None else Locked(directory)
