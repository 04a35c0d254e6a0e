"""The rules that are there when the program names none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter

from geomon.alerts import conditions
from geomon.alerts.defaults import THRESHOLDS, default_rules, watchdog
from geomon.alerts.manager import AlertManager
from geomon.alerts.rule import AlertRule, RuleGroup
from geomon.alerts.rule_files import load_rules
from geomon.alerts.rule_writing import dump_rules
from geomon.alerts.templates import Template
from geomon.promql import Sample
from geomon.promql.needs import narrowest
from geomon.settings import Buckets
from geomon.sinks.families import families_of
from tests.alerts import promtool
from tests.alerts.test_conditions import CHAT, GET, HTTP_SECONDS, NOTHING, gauges
from tests.alerts.worlds import World, calls, fire_in_promtool, fires_here, steady

RULES = {rule.name: rule for rule in default_rules()}
SHIPPED = [
    *default_rules(),
    watchdog(),
    conditions.latency_above(30, type="chat"),
    conditions.spend_above(50),
    conditions.tokens_above(1e6, model='a"\\b'),
    conditions.tokens_above(500, window="5m", model='a"\\b'),
    conditions.burn_rate(0.99),
    conditions.cpu_above(0.9, resolve_below=0.5, name="CPUVeryHigh"),
    conditions.error_ratio_above(0.5, by=["type", "model"], resolve_below=0.1, name="ByModel"),
]


def ai(requests: list[float | None], minutes: int = 30, **errors: list[float | None]) -> World:
    failed = {
        f'ai_errors_total{{{CHAT}, error_type="{name}"}}': counts for name, counts in errors.items()
    }
    return World({f"ai_requests_total{{{CHAT}}}": requests, **failed}, minutes)


def slow(minutes: int) -> World:
    late = [0.0] * (30 - minutes) * 4 + [float(step) for step in range(minutes * 4 + 1)]
    series = {
        f'{HTTP_SECONDS}_bucket{{{GET}, le="1"}}': [0.0],
        f'{HTTP_SECONDS}_bucket{{{GET}, le="5"}}': late,
        f'{HTTP_SECONDS}_bucket{{{GET}, le="+Inf"}}': late,
    }
    return World(series)


def high(cpu: float, minutes: int = 16) -> World:
    world = gauges(cpu, cpu=cpu)
    return World(world.series, minutes)


RESTARTED = ai([*calls(100, 3, 100), 0.0, 4.0], timeout=[*calls(10, 3, 100), None])
"""Of 100 calls 10 failed before a restart, and none of 4 after it."""

CASES = [
    ("AIErrorRatioHigh", ai(calls(20), 9, timeout=calls(3)), True),
    ("AIErrorRatioHigh", ai(calls(20), 9, timeout=calls(2)), False),
    ("AIErrorRatioHigh", ai(calls(19), 9, timeout=calls(19)), False),
    ("AIErrorRatioHigh", ai(calls(20), 9, cancelled=calls(20)), False),
    ("HTTPLatencyHigh", slow(30), True),
    ("HTTPLatencyHigh", slow(5), False),
    ("HTTPLatencyHigh", NOTHING, False),
    ("MemoryHigh", high(91), True),
    ("MemoryHigh", high(91, minutes=14), False),
    ("MemoryHigh", high(90), False),
    ("CPUHigh", high(81), True),
    ("CPUHigh", high(81, minutes=14), False),
    ("CPUHigh", high(80), False),
    ("AIAuthenticationFailing", ai(steady(1), authentication=steady(1)), True),
    ("AIAuthenticationFailing", ai(steady(1), authentication=calls(1, 1, 90)), False),
    ("AIAuthenticationFailing", ai(steady(1), timeout=steady(1)), False),
    ("AIRateLimited", ai(steady(10), rate_limit=steady(3)), True),
    ("AIRateLimited", ai(steady(10), rate_limit=steady(2)), False),
    ("AIRateLimited", ai(calls(1, 1, 100), rate_limit=calls(1, 1, 100)), False),
    ("AICallsAllFail", ai(calls(3, 3, 80), timeout=calls(3, 3, 80)), True),
    ("AICallsAllFail", ai(calls(2, 2, 80), timeout=calls(2, 2, 80)), False),
    ("AICallsAllFail", ai(calls(4, 4, 80), timeout=calls(3, 3, 80)), False),
    ("AICallsAllFail", ai(steady(40), timeout=steady(30), other=steady(10)), True),
    ("AICallsAllFail", ai(steady(40), timeout=steady(30)), False),
    ("AICallsAllFail", ai(calls(9, 3, 80), cancelled=calls(9, 3, 80)), False),
    ("AICallsAllFail", ai(calls(100, 3, 80), timeout=calls(96, 3, 80)), False),
    ("AICallsAllFail", ai(calls(1001, 40, 70), timeout=calls(1000, 40, 70)), False),
    ("AICallsAllFail", RESTARTED, False),
    (
        "AICallsAllFail",
        ai(calls(300, 40, 70), timeout=calls(200, 40, 70), other=calls(100, 9, 101)),
        True,
    ),
]


@pytest.mark.parametrize(("name", "world", "fires"), CASES)
def test_a_default_rule_fires_where_it_should(name: str, world: World, fires: bool) -> None:
    rule = RULES[name]
    assert fire_in_promtool(rule, world) is fires
    if fires or not rule.for_:
        assert fires_here(rule, world) is fires


@pytest.mark.parametrize("name", RULES)
def test_no_default_rule_fires_without_data(name: str) -> None:
    assert not fire_in_promtool(RULES[name], NOTHING)
    assert not fires_here(RULES[name], NOTHING)


def test_there_are_seven() -> None:
    assert list(RULES) == [
        "AIErrorRatioHigh",
        "HTTPLatencyHigh",
        "MemoryHigh",
        "CPUHigh",
        "AIAuthenticationFailing",
        "AIRateLimited",
        "AICallsAllFail",
    ]
    assert THRESHOLDS == {"error_rate": 0.1, "latency": 1.0, "memory": 0.9, "cpu": 0.8}


@pytest.mark.parametrize("interval", [15, 60, 600, 3600])
def test_windows_hold_four_samples_however_long_the_interval_is(interval: float) -> None:
    assert min(narrowest(rule.expr) for rule in default_rules("", interval)) >= 4 * interval


@pytest.mark.parametrize("interval", [15, 1000])
def test_calls_that_all_fail_are_seen_at_any_interval(interval: float) -> None:
    registry = CollectorRegistry()
    calls = Counter("ai_requests", "-", registry=registry)
    errors = Counter("ai_errors", "-", ["error_type"], registry=registry)
    manager = AlertManager(registry=registry, interval=interval)
    manager.tick(at=0)
    calls.inc(30)
    errors.labels("timeout").inc(30)
    manager.tick(at=interval)
    assert [alert.name for alert in manager.alerts] == ["AIErrorRatioHigh", "AICallsAllFail"]
    manager.close()


def test_the_watchdog_always_fires() -> None:
    assert fire_in_promtool(watchdog(), NOTHING)


@pytest.mark.parametrize("namespace", ["", "app"])
def test_what_is_shipped_passes_promtools_lint(namespace: str, tmp_path: Path) -> None:
    rules = [
        rule.in_namespace(namespace) if isinstance(rule, conditions.Condition) else rule
        for rule in [*SHIPPED[7:], *default_rules(namespace)]
    ]
    path = tmp_path / "rules.yml"
    path.write_text(dump_rules(rules))
    assert promtool.run("check", "rules", "--lint=all", "--lint-fatal", str(path)).returncode == 0
    plain = [
        AlertRule(
            rule.name, rule.expr, rule.for_, rule.keep_firing_for, rule.labels, rule.annotations
        )
        for rule in rules
    ]
    assert load_rules(path) == [RuleGroup("geomon", plain, file=str(path))]


@pytest.mark.parametrize("rule", SHIPPED, ids=lambda rule: rule.name)
def test_the_texts_of_a_rule_can_be_read_at_night(rule: AlertRule) -> None:
    labels = {"type": "chat", "model": "m"}
    answers = [Sample(labels, 0.5)]
    for text in rule.annotations.values():
        shown = Template(text).expand(labels, 0.5, lambda _: answers)
        assert not re.search(r"<error|no value|\{\{|\0|%!", shown), shown
    assert rule.labels["severity"] in ("warning", "critical", "none")
    assert {"summary", "description"} <= set(rule.annotations)
    assert len(Template(rule.annotations["summary"]).expand(labels, 0.5)) < 80


@pytest.mark.parametrize("rule", SHIPPED, ids=lambda rule: rule.name)
def test_a_rule_speaks_of_metrics_that_there_are(rule: AlertRule) -> None:
    families = families_of(CollectorRegistry(), "", Buckets(), check=False)
    known = {name for group in families._groups for name in group._metrics}
    known |= {"memory_usage_bytes", "memory_limit_bytes", "cpu_usage_percent"}
    text = rule.expr + str(rule.annotations)
    named = set(re.findall(r"\b(?:ai|http|memory|cpu|error|geomon)_[a-z_]+", text))
    named = {re.sub(r"_(bucket|count)$", "", name) for name in named}
    assert named - {"error_type"} <= known
