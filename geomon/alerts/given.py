"""What a manager is given: rules in several forms, lists, numbers, and alerts as plain values."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from geomon.alerts.alert import Alert
from geomon.alerts.condition import Condition
from geomon.alerts.defaults import default_rules
from geomon.alerts.rule import AlertRule, RecordingRule, RuleGroup
from geomon.alerts.rule_files import load_rules

Rules = (
    str | os.PathLike[str] | Iterable[AlertRule | RecordingRule | RuleGroup | Sequence[AlertRule]]
)


def groups_of(rules: Rules | None, namespace: str, interval: float) -> list[RuleGroup]:
    """The groups that rules, a rule file's name, or None for the defaults stand for.

    Raises:
        TypeError: Something else was given.
        ValueError: Two rules of the program's would make the same alerts.
    """
    if rules is None:
        return [RuleGroup("geomon", default_rules(namespace, interval))]
    if isinstance(rules, (str, os.PathLike)):
        return load_rules(Path(rules))
    groups: list[RuleGroup] = []
    single: list[AlertRule | RecordingRule] = []
    for rule in _flat(listed("rules", rules)):
        if isinstance(rule, RuleGroup):
            groups.append(replace(rule, rules=[_placed(one, namespace) for one in rule.rules]))
        elif isinstance(rule, (AlertRule, RecordingRule)):
            single.append(_placed(rule, namespace))
        else:
            raise TypeError(
                f"the rule {rule!r}: write AlertRule(name, expr), or load_rules('rules.yml')"
            )
    found = [*groups, RuleGroup("rules", single)] if single else groups
    _check_distinct(rule for group in found if group.file is None for rule in group.rules)
    return found


def _flat(rules: Iterable[Any]) -> Iterator[Any]:
    for rule in rules:
        yield from _flat(rule) if isinstance(rule, (list, tuple)) else (rule,)


def _placed(rule: AlertRule | RecordingRule, namespace: str) -> AlertRule | RecordingRule:
    return rule.in_namespace(namespace) if isinstance(rule, Condition) else rule


def _check_distinct(rules: Iterable[AlertRule | RecordingRule]) -> None:
    """In a rule file such rules are allowed, as in Prometheus: other labels may tell them apart."""
    seen = set()
    for rule in rules:
        if not isinstance(rule, AlertRule):
            continue
        key = rule.name, frozenset(rule.labels.items())
        if key in seen:
            raise ValueError(
                f"two rules are named {rule.name!r} and have the same labels, so that nobody could "
                'tell their alerts apart: write name="..." or labels={...} for one of them'
            )
        seen.add(key)


def listed(name: str, values: Any) -> list[Any]:
    """The values of an argument that takes a list."""
    if callable(values) or isinstance(values, (str, bytes, Mapping)):
        raise TypeError(f"{name}={values!r}: write a list, {name}=[...]")
    try:
        return list(values)
    except TypeError:
        raise TypeError(f"{name}={values!r}: write a list, {name}=[...]") from None


def seconds(name: str, value: Any, least: float) -> float:
    """The seconds of an argument."""
    if not is_number(value):
        raise TypeError(f"{name}={value!r}: write seconds, as {name}=15")
    if not least <= value < math.inf:
        raise ValueError(f"{name}={value!r}: write {least:g} seconds or more")
    return float(value)


def is_number(value: Any) -> bool:
    """Whether it is a number, and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def plain_alert(alert: Mapping[str, Any], at: float) -> Alert:
    """An alert of plain values, such as `check_metrics` gives."""
    if not isinstance(alert, Mapping):
        raise TypeError(f"the alert {alert!r}: write an Alert, or what check_metrics() gives")
    name = str(alert.get("type") or alert.get("name") or "alert")
    value = alert.get("value")
    number = float(value) if is_number(value) else math.nan  # type: ignore[arg-type]
    texts = {
        str(key): str(text)
        for key, text in alert.items()
        if key not in ("type", "name", "value", "labels", "annotations")
    }
    return Alert(
        name=name,
        state="firing",
        labels={**_texts(alert.get("labels")), "alertname": name},
        annotations={**texts, **_texts(alert.get("annotations"))},
        value=number,
        active_since=at,
        fired_at=at,
    )


def _texts(values: Any) -> dict[str, str]:
    if not isinstance(values, Mapping):
        return {}
    return {str(name): str(text) for name, text in values.items()}
