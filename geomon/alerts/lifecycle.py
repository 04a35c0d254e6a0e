"""One rule's alerts over time: inactive, pending, firing, resolved, as in Prometheus.

https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from geomon.alerts.alert import Alert, State

RESOLVED_KEPT = 15 * 60.0
"""Seconds that a resolved alert is still shown, and told to notifiers that missed it."""

Key = frozenset[tuple[str, str]]
Labels = Mapping[str, str]


class EvaluationError(Exception):
    """A rule that could not be evaluated; its alerts stay as they were."""


@dataclass
class _Active:
    """An alert as the rule holds it."""

    labels: dict[str, str]
    annotations: dict[str, str]
    value: float
    active_since: float
    state: State = "pending"
    fired_at: float | None = None
    resolved_at: float | None = None
    keep_firing_since: float | None = None


class Lifecycle:
    """The alerts of one rule.

    Args:
        name: The rule's name.
        expr: Its expression, for the alerts.
        for_: Seconds until it fires.
        keep_firing_for: Seconds that it fires on.
        limit: How many alerts there may be; 0: any number.
    """

    def __init__(
        self, name: str, expr: str, for_: float, keep_firing_for: float, limit: int = 0
    ) -> None:
        self._name = name
        self._expr = expr
        self._for = for_
        self._keep_firing_for = keep_firing_for
        self._limit = limit
        self._active: dict[Key, _Active] = {}
        self._unsure: dict[Key, _Active] = {}
        self._held_until = -math.inf

    def update(
        self,
        found: Iterable[tuple[Labels, float]],
        at: float,
        described: Callable[[Labels, float], tuple[dict[str, str], dict[str, str]]],
    ) -> None:
        """Takes what the expression gave at `at` seconds.

        Args:
            found: Labels and values, as the query gives them.
            at: Seconds since the epoch.
            described: Makes the alert's labels and annotations of those.

        Raises:
            EvaluationError: two of them would be the same alert, or there are too many.
        """
        given = self._given(found, at, described)
        for key, alert in given.items():
            here = self._active.get(key)
            if here is None or here.state == "resolved":
                self._active[key] = alert
            else:
                here.value, here.annotations = alert.value, alert.annotations
        for key, alert in list(self._active.items()):
            if key in given:
                alert.keep_firing_since = None
            elif not self._goes_on(alert, at):
                self._end(key, alert, at)
                continue
            if alert.state == "pending" and at - alert.active_since >= self._for:
                alert.state, alert.fired_at = "firing", at
        self._check_limit(at)
        self._unsure = {}

    def alerts(self) -> list[Alert]:
        """Those that are pending, firing, or were resolved of late."""
        return [self._alert(alert) for alert in list(self._active.values())]

    def unsure(self) -> list[Alert]:
        """Those that fired when the limit was passed: nobody knows whether they still do."""
        return [self._alert(alert) for alert in list(self._unsure.values())]

    def samples(self) -> list[tuple[dict[str, str], float]]:
        """`ALERTS` and `ALERTS_FOR_STATE`, as Prometheus writes them."""
        found: list[tuple[dict[str, str], float]] = []
        for alert in self._active.values():
            if alert.state != "resolved":
                found.append(
                    ({**alert.labels, "__name__": "ALERTS", "alertstate": alert.state}, 1.0)
                )
                found.append(
                    (
                        {**alert.labels, "__name__": "ALERTS_FOR_STATE"},
                        float(int(alert.active_since)),
                    )
                )
        return found

    # --- gaps: a suspended machine, missed ticks, a restart

    def skip(self, seconds: float, at: float, window: float) -> None:
        """Says that nobody looked for a time, which ends at `at`.

        That time counts for no `for`. What fires is not resolved until the expression's longest
        window is filled again, or has as many new samples as it misses old ones: nothing can be
        said before.
        """
        self._held_until = max(self._held_until, at + min(window, seconds))
        for alert in self._active.values():
            if alert.state == "pending":
                alert.active_since += seconds
            if alert.keep_firing_since is not None:
                alert.keep_firing_since += seconds

    # --- over a restart

    def dump(self) -> list[dict[str, Any]]:
        """The alerts as plain values."""
        return [dict(vars(alert)) for alert in (*self._unsure.values(), *self._active.values())]

    def load(self, dumped: Iterable[Mapping[str, Any]], last: float, covered: float) -> None:
        """Takes another process's alerts, as its evaluation at `last` left them.

        Of those here, what has become active since then stays. A firing one that is not known here
        is not resolved before `covered`, when the store has all that the expression looks at.

        Raises:
            TypeError, ValueError, KeyError: it is not what `dump` gave.
        """
        loaded = {frozenset(one.labels.items()): one for one in map(_loaded, dumped)}
        if any(one.state == "firing" for key, one in loaded.items() if key not in self._active):
            self._held_until = max(self._held_until, covered)
        since = {key: one for key, one in self._active.items() if one.active_since > last}
        self._active = loaded | since

    # ---

    def _given(
        self,
        found: Iterable[tuple[Labels, float]],
        at: float,
        described: Callable[[Labels, float], tuple[dict[str, str], dict[str, str]]],
    ) -> dict[Key, _Active]:
        given: dict[Key, _Active] = {}
        for labels, value in found:
            full, annotations = described(labels, value)
            key = frozenset(full.items())
            if key in given:
                raise EvaluationError(
                    f"{self._name}: vector contains metrics with the same labelset after applying "
                    f"alert labels: {full}"
                )
            given[key] = _Active(full, annotations, value, at)
        return given

    def _goes_on(self, alert: _Active, at: float) -> bool:
        """Whether an alert that the expression does not give any more fires on."""
        if alert.state != "firing":
            return False
        if at < self._held_until:
            return True
        if self._keep_firing_for <= 0:
            return False
        if alert.keep_firing_since is None:
            alert.keep_firing_since = at
        return at - alert.keep_firing_since < self._keep_firing_for

    def _end(self, key: Key, alert: _Active, at: float) -> None:
        if alert.state == "pending":
            del self._active[key]
        elif alert.state == "firing":
            alert.state, alert.resolved_at = "resolved", at
        elif alert.resolved_at is None or at - alert.resolved_at > RESOLVED_KEPT:
            del self._active[key]

    def _check_limit(self, at: float) -> None:
        count = sum(alert.state != "resolved" for alert in self._active.values())
        if 0 < self._limit < count:
            for key, alert in self._active.items():
                if alert.fired_at not in (None, at) and alert.resolved_at in (None, at):
                    self._unsure[key] = replace(alert, state="firing", resolved_at=None)
            self._active.clear()
            raise EvaluationError(
                f"{self._name}: exceeded limit of {self._limit} with {count} alerts"
            )

    def _alert(self, alert: _Active) -> Alert:
        return Alert(
            name=self._name,
            state=alert.state,
            labels=alert.labels,
            annotations=alert.annotations,
            value=alert.value,
            active_since=alert.active_since,
            fired_at=alert.fired_at,
            resolved_at=alert.resolved_at,
            expr=self._expr,
        )


def _loaded(values: Mapping[str, Any]) -> _Active:
    alert = _Active(**values)
    texts = [*alert.labels.items(), *alert.annotations.items()]
    if not all(isinstance(text, str) for pair in texts for text in pair):
        raise ValueError("labels and annotations are texts")
    if alert.state not in ("pending", "firing", "resolved"):
        raise ValueError(f"unknown state {alert.state!r}")
    times = (alert.value, alert.active_since, alert.fired_at, alert.resolved_at)
    if not all(time is None or isinstance(time, (int, float)) for time in times):
        raise ValueError("times are numbers")
    return replace(alert)
