"""How often is looked: groups with intervals of their own, and windows that are too short."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Gauge

from geomon.alerts.conditions import error_ratio_above
from geomon.alerts.defaults import default_rules
from geomon.alerts.intervals import step
from geomon.alerts.manager import AlertManager
from geomon.alerts.rule import AlertRule, RuleGroup
from geomon.promql import query
from geomon.series import SeriesStore


@pytest.mark.parametrize(
    ("intervals", "seconds"),
    [
        ([15], 15),
        ([15, 60], 15),
        ([15, 20], 5),
        ([60, 7.5], 7.5),
        ([15, 7, 11], 1),
        ([1, 0.5], 1),
        ([1.001, 2], 1),
    ],
)
def test_a_step_divides_every_interval_and_is_a_second_or_more(
    intervals: list[float], seconds: float
) -> None:
    assert step(intervals) == seconds


def test_groups_are_evaluated_at_their_own_intervals_and_nothing_is_scraped_in_between() -> None:
    registry = CollectorRegistry()
    Gauge("up", "-", registry=registry).set(1)
    groups = [RuleGroup(f"every {s} s", [AlertRule(f"A{s}", "up")], interval=s) for s in (15, 20)]
    manager = AlertManager(groups, interval=30, registry=registry)
    evaluated: list[set[float]] = [set(), set()]
    for at in range(0, 61, 5):
        manager.tick(at=at)
        for times, rule in zip(evaluated, manager.status()["rules"], strict=True):
            times.add(rule["evaluated_at"])
    assert evaluated == [{0, 15, 30, 45, 60}, {0, 20, 40, 60}]
    (series,) = query("up[2m]", manager.store, 60)  # type: ignore[misc] # a list of one series
    assert [time for time, _ in series.points] == [0, 15, 20, 30, 40, 45, 60]
    manager.close()


@pytest.mark.parametrize(
    ("rules", "interval", "says"),
    [
        (
            [error_ratio_above(0.1, window="15s")],
            15,
            r"the rule 'AIErrorRatioHigh' looks at how a counter grew in 15s, which takes two "
            "samples, and they come every 15 s: write a window of 1m or more",
        ),
        ([AlertRule("A", "1 + irate(x[1m]) > 0")], 60, "a window of 4m or more"),
        ([RuleGroup("g", [AlertRule("A", "rate(x[1m])")], interval=300)], 60, "every 60 s"),
        (default_rules(), 600, r"default_rules\(interval=600\)"),
    ],
)
def test_a_window_that_holds_one_sample_is_an_error(rules: Any, interval: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        AlertManager(rules, interval=interval, registry=CollectorRegistry())


@pytest.mark.parametrize(
    ("rules", "arguments"),
    [
        ([AlertRule("A", "rate(x[16s])")], {}),
        ([AlertRule("A", "avg_over_time(x[15s])")], {}),
        ([AlertRule("A", "rate(x[15s])")], {"interval": 5}),
        ([RuleGroup("g", [AlertRule("A", "rate(x[15s])")], interval=5)], {}),
        ([AlertRule("A", "rate(x[15s])")], {"store": SeriesStore()}),
        (default_rules(interval=600), {"interval": 600}),
    ],
)
def test_a_window_that_can_hold_two_samples_is_none(rules: Any, arguments: Any) -> None:
    AlertManager(rules, **{"registry": CollectorRegistry(), **arguments}).close()
