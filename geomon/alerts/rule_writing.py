"""Writing rules as a Prometheus rule file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from geomon.alerts import durations
from geomon.alerts.rule import AlertRule, RecordingRule, RuleGroup


def dump_rules(rules: Iterable[AlertRule | RecordingRule | RuleGroup], name: str = "geomon") -> str:
    """The text of a rule file, for Prometheus or for `load_rules`.

    Args:
        rules: Rules and groups of them; rules without a group become one.
        name: That group's name.

    Raises:
        ValueError: Two groups have one name.
    """
    given = list(rules)
    single = [rule for rule in given if not isinstance(rule, RuleGroup)]
    groups = [RuleGroup(name, single)] if single else []
    groups += [rule for rule in given if isinstance(rule, RuleGroup)]
    _check_names(groups)
    return str(
        yaml.dump(
            {"groups": [_group(group) for group in groups]},
            Dumper=_Dumper,
            sort_keys=False,
            allow_unicode=True,
            width=1_000_000,
        )
    )


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    lines = text.split("\n")
    style = "|" if len(lines) > 1 else None
    if not all(line.isprintable() for line in lines):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _text)


def _group(group: RuleGroup) -> dict[str, Any]:
    optional = {"interval": _duration(group.interval), "limit": group.limit}
    return {
        "name": group.name,
        **_present(optional),
        "rules": [_rule(rule) for rule in group.rules],
    }


def _rule(rule: AlertRule | RecordingRule) -> dict[str, Any]:
    if isinstance(rule, RecordingRule):
        optional = {"labels": dict(rule.labels)}
        return {"record": rule.record, "expr": rule.expr, **_present(optional)}
    return {
        "alert": rule.name,
        "expr": rule.expr,
        **_present(
            {
                "for": _duration(rule.for_),
                "keep_firing_for": _duration(rule.keep_firing_for),
                "labels": dict(rule.labels),
                "annotations": dict(rule.annotations),
            }
        ),
    }


def _duration(seconds: float | str | None) -> str | None:
    return durations.text(float(seconds)) if seconds else None


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _check_names(groups: list[RuleGroup]) -> None:
    names = [group.name for group in groups]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two groups are named {name!r}: write dump_rules(rules, name=…)")
