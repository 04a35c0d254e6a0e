"""What a manager makes of the rules that it is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from geomon.alerts.conditions import error_ratio_above, memory_above
from geomon.alerts.given import groups_of
from geomon.alerts.rule import AlertRule, RecordingRule, RuleGroup

UP = AlertRule("Down", "up == 0")


def test_helpers_follow_the_namespace_wherever_they_stand() -> None:
    group = RuleGroup("slo", [error_ratio_above(0.1), UP], interval=60)
    groups = groups_of([group, [memory_above(0.9)]], "app", 15)
    assert groups == [
        RuleGroup("slo", [error_ratio_above(0.1).in_namespace("app"), UP], interval=60),
        RuleGroup("rules", [memory_above(0.9).in_namespace("app")]),
    ]
    assert "app_ai_errors_total" in groups[0].rules[0].expr


def test_rules_and_lists_of_rules_are_one_group() -> None:
    other, third = AlertRule("B", "b"), RecordingRule("c", "d")
    assert groups_of([[UP, (other,)], third], "", 15) == [RuleGroup("rules", [UP, other, third])]


@pytest.mark.parametrize(
    "rules",
    [
        [UP, UP],
        [UP, RuleGroup("g", [AlertRule("Down", "up == 1")])],
        [error_ratio_above(0.1), error_ratio_above(0.5)],
    ],
)
def test_two_rules_whose_alerts_nobody_could_tell_apart_are_an_error(
    rules: list[AlertRule | RuleGroup],
) -> None:
    with pytest.raises(ValueError, match=r'write name="\.\.\." or labels=\{\.\.\.\} for one'):
        groups_of(rules, "", 15)


def test_rules_that_differ_in_a_label_are_two() -> None:
    page = error_ratio_above(0.5, labels={"severity": "page"})
    (group,) = groups_of([error_ratio_above(0.1), page], "", 15)
    assert len(group.rules) == 2


def test_a_rule_file_may_hold_them_as_in_prometheus(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(
        "groups: [{name: g, rules: [{alert: A, expr: up == 0}, {alert: A, expr: down > 1}]}]"
    )
    (group,) = groups_of(path, "", 15)
    assert [rule.name for rule in group.rules if isinstance(rule, AlertRule)] == ["A", "A"]
    assert groups_of([group], "", 15) == [group]
