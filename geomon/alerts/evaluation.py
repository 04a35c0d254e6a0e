"""Evaluates rules over a store, group by group, as Prometheus's rule manager does."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from geomon import losses
from geomon.alerts.alert import Alert
from geomon.alerts.lifecycle import EvaluationError, Labels, Lifecycle
from geomon.alerts.rule import AlertRule, RecordingRule, RuleGroup
from geomon.alerts.templates import Template
from geomon.promql import PromQLError, Sample, needs, query
from geomon.series import STALE, SeriesStore

_log = logging.getLogger("geomon.alerts")

Key = frozenset[tuple[str, str]]


@dataclass
class Health:
    """How a rule fares.

    Attributes:
        error: Why the last evaluation failed; None where it did not.
        duration: Seconds that it took.
        at: When it was, in seconds since the epoch; None before the first.
    """

    error: str | None = None
    duration: float = 0.0
    at: float | None = None


class _Evaluated:
    """A rule, and the series that it gave last."""

    def __init__(self, name: str, expr: str, store: SeriesStore) -> None:
        self.name = name
        self.expr = expr
        self.health = Health()
        self.needs = needs(expr)
        self._store = store
        self._written: dict[Key, dict[str, str]] = {}

    def evaluate(self, at: float) -> None:
        """Evaluates the rule; what fails is kept in `health`, logged once and counted."""
        begin = time.perf_counter()
        try:
            self._write(self._samples(self._vector(at), at), at)
            self.health.error = None
        except (PromQLError, EvaluationError) as error:
            self._failed(str(error))
        except Exception as error:  # of ours: the other rules go on
            losses.failed("alerts", "evaluation", error, self.name)
            self.health.error = f"{type(error).__name__}: {error}"
        self.health.at, self.health.duration = at, time.perf_counter() - begin

    def end(self, at: float) -> None:
        """Ends the series that the rule gave."""
        self._write([], at)

    def _samples(self, vector: list[Sample], at: float) -> Iterable[tuple[dict[str, str], float]]:
        raise NotImplementedError

    def _vector(self, at: float) -> list[Sample]:
        answer = query(self.expr, self._store, at)
        if isinstance(answer, float):
            return [Sample({}, answer)]
        if isinstance(answer, list) and all(isinstance(one, Sample) for one in answer):
            return answer  # type: ignore[return-value] # all of them are
        raise EvaluationError(f"{self.name}: rule result is not a vector or scalar")

    def _write(self, samples: Iterable[tuple[dict[str, str], float]], at: float) -> None:
        written: dict[Key, dict[str, str]] = {}
        for labels, value in samples:
            self._store.append(labels, at, value)
            written[frozenset(labels.items())] = labels
        for key, labels in self._written.items():
            if key not in written:
                self._store.append(labels, at, STALE)
        self._written = written

    def _failed(self, text: str) -> None:
        losses.count("alerts", "evaluation")
        if self.health.error != text:
            _log.warning("rule %s cannot be evaluated: %s", self.name, text)
        self.health.error = text


class Alerting(_Evaluated):
    """A rule that makes alerts."""

    def __init__(self, rule: AlertRule, store: SeriesStore, limit: int = 0) -> None:
        super().__init__(rule.name, rule.expr, store)
        self.rule = rule
        self.lifecycle = Lifecycle(
            rule.name, rule.expr, float(rule.for_), float(rule.keep_firing_for), limit
        )
        self._labels = {name: Template(text) for name, text in rule.labels.items()}
        self._annotations = {name: Template(text) for name, text in rule.annotations.items()}

    def _samples(self, vector: list[Sample], at: float) -> Iterable[tuple[dict[str, str], float]]:
        def described(labels: Labels, value: float) -> tuple[dict[str, str], dict[str, str]]:
            return self._described(labels, value, lambda expr: self._asked(expr, at))

        self.lifecycle.update(vector, at, described)
        return self.lifecycle.samples()

    def _described(
        self, labels: Labels, value: float, ask: Callable[[str], list[Sample]]
    ) -> tuple[dict[str, str], dict[str, str]]:
        given = {name: text for name, text in labels.items() if name != "__name__"}
        full = {
            **given,
            **{name: one.expand(labels, value, ask) for name, one in self._labels.items()},
            "alertname": self.name,
        }
        annotations = {
            name: one.expand(labels, value, ask) for name, one in self._annotations.items()
        }
        return {name: text for name, text in full.items() if text}, annotations

    def _asked(self, expr: str, at: float) -> list[Sample]:
        """What a template's `query` gives."""
        answer = query(expr, self._store, at)
        if isinstance(answer, list):
            return [one for one in answer if isinstance(one, Sample)]
        return [Sample({}, answer)] if isinstance(answer, float) else []


class Recording(_Evaluated):
    """A rule that writes a series of its own."""

    def __init__(self, rule: RecordingRule, store: SeriesStore, limit: int = 0) -> None:
        super().__init__(rule.record, rule.expr, store)
        self.rule = rule
        self._limit = limit

    def _samples(self, vector: list[Sample], at: float) -> Iterable[tuple[dict[str, str], float]]:
        given: dict[Key, tuple[dict[str, str], float]] = {}
        for labels, value in vector:
            full = {**labels, **self.rule.labels, "__name__": self.name}
            key = frozenset(full.items())
            if key in given:
                raise EvaluationError(
                    f"{self.name}: vector contains metrics with the same labelset after applying "
                    f"rule labels: {full}"
                )
            given[key] = (full, value)
        if 0 < self._limit < len(given):
            raise EvaluationError(
                f"{self.name}: exceeded limit of {self._limit} with {len(given)} series"
            )
        return given.values()


class Group:
    """Rules that are evaluated one after the other, at the same time.

    Args:
        group: The rules.
        store: The samples.
        interval: Seconds between two evaluations, where the group does not say.
    """

    def __init__(self, group: RuleGroup, store: SeriesStore, interval: float) -> None:
        self.name = group.name
        self.interval = float(interval if group.interval is None else group.interval)
        self.rules = [
            Alerting(rule, store, group.limit)
            if isinstance(rule, AlertRule)
            else Recording(rule, store, group.limit)
            for rule in group.rules
        ]
        self.last: float | None = None

    def evaluate(self, at: float) -> None:
        """Evaluates every rule at `at` seconds since the epoch."""
        for rule in self.rules:
            rule.evaluate(at)
        self.last = at

    def is_due(self, at: float, early: float) -> bool:
        """Whether an interval has passed, less the `early` seconds that a tick may come early."""
        return self.last is None or at - self.last >= self.interval - early

    def skip(self, at: float) -> None:
        """Says that nobody looked between the last evaluation and `at`: see `Lifecycle.skip`."""
        if self.last is None:
            return
        missed = max(0.0, at - self.last - self.interval)
        for rule in self.alerting():
            rule.lifecycle.skip(missed, at, max(rule.needs.values(), default=0.0))

    def alerting(self) -> Iterator[Alerting]:
        """The rules that make alerts."""
        return (rule for rule in self.rules if isinstance(rule, Alerting))

    def alerts(self) -> list[Alert]:
        """Those of all rules: pending, firing, and resolved of late."""
        return [alert for rule in self.alerting() for alert in rule.lifecycle.alerts()]

    def unsure(self) -> list[Alert]:
        """Those that fired, of rules that cannot say now whether they still do."""
        return [alert for rule in self.alerting() for alert in rule.lifecycle.unsure()]


def needed(groups: Iterable[Group]) -> dict[str | None, float]:
    """How far back each metric is asked for, in seconds; None stands for any metric."""
    found: dict[str | None, float] = {}
    for group in groups:
        for rule in group.rules:
            for name, seconds in rule.needs.items():
                found[name] = max(seconds, found.get(name, 0.0))
    return found
