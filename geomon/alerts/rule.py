"""Rules, as Prometheus has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from geomon.alerts import durations, rule_checks
from geomon.alerts.rule_errors import Fault, RuleError

__all__ = ["AlertRule", "Fault", "RecordingRule", "RuleError", "RuleGroup"]


@dataclass(frozen=True)
class AlertRule:
    """A rule that makes alerts of what its expression gives.

    Args:
        name: The alert's name.
        expr: PromQL; each series that it gives is an alert.
        for_: How long the expression has to give it before it fires: seconds, or as `"5m"`; seconds
            once the rule is made.
        keep_firing_for: How long it fires on after the expression gives it no more; likewise.
        labels: Labels that are added; the values are templates.
        annotations: Texts for people; the values are templates.

    Raises:
        TypeError: An argument has the wrong type.
        RuleError: A ValueError with every fault, and what to write instead.
    """

    name: str
    expr: str
    for_: float | str = 0.0
    keep_firing_for: float | str = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rule_checks.check_texts("AlertRule", name=self.name, expr=self.expr)
        for name in ("labels", "annotations"):
            rule_checks.check_mapping("AlertRule", name, getattr(self, name))
            object.__setattr__(self, name, dict(getattr(self, name)))
        faults = [*rule_checks.alert_name(self.name), *rule_checks.expression(self.expr)]
        for name in ("for_", "keep_firing_for"):
            faults += _normalise(self, name)
        faults += rule_checks.of_labels(self.labels, are_templates=True)
        faults += rule_checks.of_annotations(self.annotations)
        _raise(f"the rule {self.name!r}", faults)


@dataclass(frozen=True)
class RecordingRule:
    """A rule that writes what its expression gives into the store, under its own name.

    Args:
        record: The name, such as `job:errors:rate5m`.
        expr: PromQL.
        labels: Labels that are added.

    Raises:
        TypeError: An argument has the wrong type.
        RuleError: A ValueError with every fault, and what to write instead.
    """

    record: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rule_checks.check_texts("RecordingRule", record=self.record, expr=self.expr)
        rule_checks.check_mapping("RecordingRule", "labels", self.labels)
        object.__setattr__(self, "labels", dict(self.labels))
        faults = [*rule_checks.record_name(self.record), *rule_checks.expression(self.expr)]
        faults += rule_checks.of_labels(self.labels, are_templates=False)
        _raise(f"the rule {self.record!r}", faults)


@dataclass(frozen=True)
class RuleGroup:
    """Rules that are evaluated one after the other, at the same time.

    Args:
        name: The group's name.
        rules: Its rules, in order.
        interval: Seconds between two evaluations, or as `"1m"`; seconds once the group is made.
            None, or zero: the manager's.
        limit: How many alerts, or series, a rule may give at most; 0: any number.
        file: Where it was read from.

    Raises:
        TypeError: An argument has the wrong type.
        RuleError: A ValueError with every fault, and what to write instead.
    """

    name: str
    rules: Sequence[AlertRule | RecordingRule]
    interval: float | str | None = None
    limit: int = 0
    file: str | None = None

    def __post_init__(self) -> None:
        rule_checks.check_texts("RuleGroup", name=self.name)
        rule_checks.check_rules(self.rules, (AlertRule, RecordingRule))
        object.__setattr__(self, "rules", tuple(self.rules))
        faults = [*rule_checks.group_name(self.name), *rule_checks.limit(self.limit)]
        if self.interval is not None:
            faults += _normalise(self, "interval")
        if self.interval == 0:
            object.__setattr__(self, "interval", None)
        _raise(f"the group {self.name!r}", faults)


def _normalise(made: object, name: str) -> list[Fault]:
    try:
        seconds = durations.seconds(getattr(made, name), name)
    except ValueError as error:
        return [Fault(str(error), name)]
    object.__setattr__(made, name, seconds)
    return []


def _raise(what: str, faults: Sequence[Fault]) -> None:
    if faults:
        raise RuleError(f"{what} is wrong", faults)
