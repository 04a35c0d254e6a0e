"""Watches a registry: scrapes it, evaluates rules, and hands what changed to the notifiers."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from geomon import clock, registries, workers
from geomon.alerts.alert import Alert, Notifier
from geomon.alerts.checks import check_notifier
from geomon.alerts.condition import Condition
from geomon.alerts.defaults import THRESHOLDS
from geomon.alerts.endings import close_all, left
from geomon.alerts.evaluation import Group, needed
from geomon.alerts.given import Rules, groups_of, is_number, listed, plain_alert, seconds
from geomon.alerts.intervals import check_windows, step
from geomon.alerts.leader import Locked, leader
from geomon.alerts.notifiers.log import LogNotifier
from geomon.alerts.outlet import Outlet, by_identity, named, paired
from geomon.alerts.rule import AlertRule, RecordingRule
from geomon.alerts.saving import Saving
from geomon.alerts.ticker import Ticker
from geomon.series import SeriesStore

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_log = logging.getLogger("geomon.alerts")
_REPEAT = 4 * 3600.0
_EARLY = 0.1  # of the step between two ticks: as much as one may come early
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
        state_path: A file that carries alerts, samples and what notifiers were told over a restart.
            A notifier is known again by its `name`, else by where its function or class is defined,
            and by its position among those alike. Workers without a file share one in their
            directory.
        store: Samples to evaluate instead: then nothing is scraped.
        repeat_interval: Seconds after which notifiers hear again of what still fires.
        namespace: Put before geomon's metric names, in the default rules and those of helpers.
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
            Group(group, self.store, self.interval)
            for group in groups_of(rules, namespace, self.interval)
        ]
        intervals = [self.interval, *(group.interval for group in self._groups)]
        self._step = step(intervals)
        self._shortest = max(self._step, min(intervals))
        if store is None:
            check_windows(self._groups, self._shortest)
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
        self._leader = leader()
        self._leads = False
        self._saving = Saving(state_path, self)
        self._restored = self._closed = False
        self._lock = threading.RLock()
        self._gate = threading.RLock()  # held while it starts or closes
        self._ticker = Ticker(self._step, self._due, self._save)
        self._wall, self._boot = clock.wall(), clock.boot()
        self._ticked: float | None = None
        self._scraped = -math.inf
        _managers.add(self)

    # --- running

    def start(self) -> AlertManager:
        """Begins to watch, in a daemon thread; again after `close`. Can be repeated."""
        self._restore()
        with self._gate:
            if self._closed:
                self._closed = False
                for outlet in self._outlets:
                    outlet.open(self.now())
            if not self._ticker.running:
                self._say_what_is_watched()
                self._ticker.start()
        return self

    def close(self, timeout: float = 5.0) -> None:
        """Stops watching, sends and saves what waits; all of it takes at most `timeout` seconds.

        What is not sent or saved by then is counted. Notifiers hear nothing more, until `start`.
        Can be repeated.
        """
        deadline = time.monotonic() + timeout
        if self._gate.acquire(timeout=left(deadline)):
            try:
                self._stop(deadline)
                self._end(deadline)
            finally:
                self._gate.release()

    def take_over(self, earlier: AlertManager, timeout: float = 5.0) -> None:
        """Closes an earlier manager over the same registry, and goes on where it was.

        A notifier that this one has not got hears that what it was told is resolved. So do all of
        them where the two have different state files: then this one goes on from its own.
        """
        deadline = time.monotonic() + timeout
        earlier._stop(deadline)
        at, kept = earlier.now(), set[Outlet]()
        goes_on = earlier._restored and earlier._saving.path == self._saving.path
        if goes_on:
            kept = {old for _, old in paired(by_identity(earlier._outlets), self._outlets)}
        if earlier._leads:
            for outlet in set(earlier._outlets) - kept:
                outlet.take((), at)
        earlier._end(deadline)
        if goes_on:
            self._wall, self._boot = earlier._wall, earlier._boot
            self._saving.replace(earlier._saving, at)
            self._restored = True

    def __enter__(self) -> AlertManager:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.close()

    def now(self) -> float:
        """The store's time: the wall clock when the manager was made, and what passed since."""
        return self._wall + (clock.boot() - self._boot)

    def evaluate(self, at: float | None = None) -> list[Alert]:
        """One evaluation of all rules, by hand; gives the alerts that are pending or firing.

        Args:
            at: Seconds since the epoch; now.
        """
        self._restore()
        with self._lock:
            moment = self.now() if at is None else float(at)
            self._scrape(moment)
            for group in self._groups:
                group.evaluate(moment)
            self._notify(moment)
        return self.alerts

    def tick(self, at: float | None = None) -> None:
        """What the thread does: where something is due, scrape, evaluate what is due, notify.

        Args:
            at: Seconds since the epoch; now. The thread says when it was due, so that a tick that
                comes late makes no `for` longer.
        """
        self._restore()
        with self._lock:
            at = self.now() if at is None else at
            if self._ticked is not None and at - self._ticked > _MISSED * self._shortest:
                for group in self._groups:
                    group.skip(at)
            self._ticked = at
            early = _EARLY * self._step
            due = [group for group in self._groups if group.is_due(at, early)]
            if due or at - self._scraped >= self.interval - early:
                self._scrape(at)
                for group in due:
                    group.evaluate(at)
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
            "running": self._ticker.running,
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
        """Hands an alert of the program's own, or one of `check_metrics`, to every notifier.

        It is told once, as it is. The program itself sends it as resolved, where that matters.
        """
        made = alert if isinstance(alert, Alert) else plain_alert(alert, self.now())
        for outlet in self._outlets:
            outlet.delivery.send([made], once=True)

    # ---

    def _all(self) -> list[Alert]:
        self._restore()
        return [alert for group in self._groups for alert in group.alerts()]

    def _restore(self) -> None:
        """Takes what was saved, before anything is looked at for the first time."""
        if not self._restored:
            with self._lock:
                if not self._restored:
                    self._saving.load(self.now())
                    self._restored = True

    def _due(self, due: float) -> None:
        self.tick(self._wall + (due - self._boot))

    def _save(self) -> None:
        with self._lock:
            if self._leads:
                self._saving.save_if_due(self.now())

    def _notice(self, alerts: Sequence[Alert], error: BaseException | None) -> None:
        """A notifier was told something, or could not be: what it was told is saved soon."""
        self._ticker.wake()

    def _stop(self, deadline: float) -> None:
        """Ends the thread; where it hangs, it tells nobody later."""
        self._ticker.stop(left(deadline))
        self._closed = True

    def _end(self, deadline: float) -> None:
        close_all([outlet.delivery for outlet in self._outlets], deadline)
        if self._leads:
            if self._lock.acquire(timeout=left(deadline)):
                self._saving.save(self.now())
                self._lock.release()
            else:
                self._saving.lose("an evaluation hangs")
        self._leads = False
        self._leader.close()

    def _scrape(self, at: float) -> None:
        self._scraped = at
        if self._registry is None:
            return
        workers.look()
        self.store.scrape(self._registry, at, self._names)

    def _notify(self, at: float) -> None:
        if self._closed:
            return
        leads = self._leader.leads()
        if leads and not self._leads:
            self._lead(at)
        self._leads = leads
        if leads:
            alerts = self._all() + [alert for group in self._groups for alert in group.unsure()]
            for outlet in self._outlets:
                outlet.take(alerts if outlet in self._told else (), at)

    def _lead(self, at: float) -> None:
        if isinstance(self._leader, Locked):
            self._saving.take_over(at)
        for outlet in self._outlets:
            outlet.evaluated_every(self._shortest)

    def _wanted(self, metrics: Iterable[str] | None) -> set[str] | None:
        """The names to scrape; None: all. What a rule looks back for is kept as long."""
        windows = needed(self._groups)
        for name, window in windows.items():
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
        """A worker goes on by itself; any other child leaves it to its parent, its file too."""
        running, self._leads = self._ticker.running, False
        self._ticker.after_fork()
        self._lock, self._gate = threading.RLock(), threading.RLock()
        if not isinstance(self._leader, Locked):
            self._saving.path = None
        elif running:
            self._ticker.start()


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
