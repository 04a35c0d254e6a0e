"""The lifecycle of alerts: by hand, and hundreds of random ones against the real promtool."""

from __future__ import annotations

import inspect
import random
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from geomon.alerts import lifecycle as product
from geomon.alerts.evaluation import Group
from geomon.alerts.lifecycle import EvaluationError, Lifecycle
from geomon.alerts.rule import AlertRule, RuleGroup
from geomon.promql import query
from geomon.series import STALE, SeriesStore
from tests.servers import require

STEP = 15
STEPS = 60
CASES = 300


def described(labels: Any, value: float) -> tuple[dict[str, str], dict[str, str]]:
    return dict(labels) | {"alertname": "A"}, {}


class Rule:
    """A rule of one alert, told what the expression gives at each second given."""

    def __init__(self, for_: float = 0, keep: float = 0, limit: int = 0) -> None:
        self.lifecycle = Lifecycle("A", "up == 0", for_, keep, limit)

    def at(self, time: float, *values: float) -> list[tuple[str, float]]:
        found = [({"i": str(number)}, value) for number, value in enumerate(values)]
        self.lifecycle.update(found, time, described)
        return [(alert.state, alert.active_since) for alert in self.lifecycle.alerts()]


# --- by hand


def test_without_for_an_alert_fires_at_once() -> None:
    assert Rule().at(10, 1) == [("firing", 10)]


def test_an_alert_is_pending_until_for_has_passed() -> None:
    rule = Rule(for_=60)
    assert [rule.at(time, 1) for time in (0, 59, 60)] == [
        [("pending", 0)],
        [("pending", 0)],
        [("firing", 0)],
    ]


def test_a_pending_alert_that_is_not_given_is_forgotten() -> None:
    rule = Rule(for_=60)
    rule.at(0, 1)
    assert [rule.at(30), rule.at(60, 1)] == [[], [("pending", 60)]]


def test_a_firing_alert_that_is_not_given_is_resolved_and_kept_for_a_quarter_of_an_hour() -> None:
    rule = Rule()
    rule.at(0, 1)
    assert [rule.at(15), rule.at(15 + 900), rule.at(15 + 901)] == [
        [("resolved", 0)],
        [("resolved", 0)],
        [],
    ]


def test_keep_firing_for_begins_when_the_expression_first_gives_nothing() -> None:
    rule = Rule(keep=60)
    rule.at(0, 1)
    states = [rule.at(time)[0][0] for time in (300, 330, 359, 360)]
    assert states == ["firing", "firing", "firing", "resolved"]


def test_an_alert_that_comes_back_begins_keep_firing_for_anew() -> None:
    rule = Rule(keep=60)
    rule.at(0, 1)
    rule.at(15)
    rule.at(30, 1)
    assert [rule.at(time)[0][0] for time in (45, 104, 105)] == ["firing", "firing", "resolved"]


def test_a_resolved_alert_that_comes_back_is_a_new_one() -> None:
    rule = Rule(for_=15)
    rule.at(0, 1)
    rule.at(15, 1)
    rule.at(30)
    assert rule.at(45, 1) == [("pending", 45)]


def test_more_alerts_than_the_limit_are_an_error_and_clear_them() -> None:
    rule = Rule(limit=2)
    rule.at(0, 1, 1)
    with pytest.raises(EvaluationError, match="exceeded limit of 2 with 3 alerts"):
        rule.at(15, 1, 1, 1)
    assert rule.lifecycle.alerts() == []


def test_what_fired_is_unsure_while_there_are_more_alerts_than_the_limit() -> None:
    rule = Rule(limit=2)
    rule.at(0, 1)
    for time in (15, 30):
        with pytest.raises(EvaluationError):
            rule.lifecycle.update([({"i": str(i)}, 1.0) for i in (5, 6, 7)], time, described)
        assert [(a.labels["i"], a.state) for a in rule.lifecycle.unsure()] == [("0", "firing")]
    rule.at(45)
    assert rule.lifecycle.unsure() == []


def test_two_results_that_would_be_one_alert_are_an_error_and_change_nothing() -> None:
    rule = Rule()
    rule.at(0, 1)
    with pytest.raises(EvaluationError, match="same labelset after applying alert labels"):
        rule.lifecycle.update([({"i": "0"}, 1.0), ({"i": "0"}, 2.0)], 15, described)
    assert [alert.state for alert in rule.lifecycle.alerts()] == ["firing"]


def test_time_that_nobody_looked_counts_for_no_for() -> None:
    rule = Rule(for_=60)
    rule.at(0, 1)
    rule.lifecycle.skip(3600, 3615, window=300)
    assert [rule.at(3615, 1), rule.at(3660, 1)] == [[("pending", 3600)], [("firing", 3600)]]


def test_after_a_gap_nothing_is_resolved_until_the_window_is_filled_again() -> None:
    rule = Rule()
    rule.at(0, 1)
    rule.lifecycle.skip(3600, 3615, window=300)
    states = [rule.at(time)[0][0] for time in (3615, 3900, 3915)]
    assert states == ["firing", "firing", "resolved"]


def test_after_a_gap_shorter_than_the_window_nothing_is_resolved_for_as_long() -> None:
    rule = Rule()
    rule.at(0, 1)
    rule.lifecycle.skip(40, 55, window=86400)
    states = [rule.at(time)[0][0] for time in (55, 94, 95)]
    assert states == ["firing", "firing", "resolved"]


def test_a_second_gap_does_not_cut_the_first_one_short() -> None:
    rule = Rule()
    rule.at(0, 1)
    rule.lifecycle.skip(3600, 3615, window=300)
    rule.lifecycle.skip(40, 3700, window=300)
    assert [rule.at(time)[0][0] for time in (3914, 3915)] == ["firing", "resolved"]


def test_alerts_survive_being_dumped_and_loaded() -> None:
    rule = Rule(for_=60, keep=30)
    rule.at(0, 1, 2)
    rule.at(60, 1)
    other = Rule(for_=60, keep=30)
    other.lifecycle.load(rule.lifecycle.dump(), last=60, covered=0)
    assert other.lifecycle.alerts() == rule.lifecycle.alerts()


# --- against promtool


def random_cases(seed: int) -> list[tuple[dict[str, Any], list[str]]]:
    """Rules with the values that their series has at each step."""
    chance = random.Random(seed)
    return [_case(chance, number) for number in range(CASES)]


def _case(chance: random.Random, number: int) -> tuple[dict[str, Any], list[str]]:
    rule: dict[str, Any] = {"alert": f"A{number}", "expr": f'x{{i="{number}"}} > 0'}
    if chance.random() < 0.8:
        rule["for"] = f"{chance.choice((0, 10, 15, 20, 30, 45, 60, 90, 150))}s"
    if chance.random() < 0.6:
        rule["keep_firing_for"] = f"{chance.choice((0, 10, 15, 20, 30, 45, 60, 90))}s"
    values: list[str] = []
    while len(values) < STEPS:
        value = chance.choice(("0", "0", "1", "1", "2", "stale"))
        values += [value] * chance.choice((1, 1, 2, 3, 5, 8))
    return rule, values[:STEPS]


def predicted(
    cases: Sequence[tuple[dict[str, Any], list[str]]], times: Iterable[int]
) -> dict[int, set[tuple[str, str]]]:
    """Names and states of `ALERTS` at these times, evaluated step by step."""
    store = SeriesStore()
    rules = [
        AlertRule(
            rule["alert"],
            rule["expr"],
            for_=rule.get("for", "0s"),
            keep_firing_for=rule.get("keep_firing_for", "0s"),
        )
        for rule, _ in cases
    ]
    group = Group(RuleGroup("g", rules), store, STEP)
    found: dict[int, set[tuple[str, str]]] = {}
    for step in range(STEPS):
        at = step * STEP
        for number, (_, values) in enumerate(cases):
            value = STALE if values[step] == "stale" else float(values[step])
            store.append({"__name__": "x", "i": str(number)}, at, value)
        group.evaluate(at)
        samples = query("ALERTS", store, at)
        assert isinstance(samples, list)
        found[at] = {(one.labels["alertname"], one.labels["alertstate"]) for one in samples}
    return {at: found[at] for at in times}


def promtool_agrees(
    directory: Path,
    cases: Sequence[tuple[dict[str, Any], list[str]]],
    states: dict[int, set[tuple[str, str]]],
) -> str:
    """What promtool says where it does not agree; empty where it does."""
    rules = {"groups": [{"name": "g", "rules": [rule for rule, _ in cases]}]}
    (directory / "rules.yml").write_text(yaml.safe_dump(rules))
    series = [
        {"series": f'x{{i="{number}"}}', "values": " ".join(values)}
        for number, (_, values) in enumerate(cases)
    ]
    checks = [
        {
            "expr": "ALERTS",
            "eval_time": f"{at}s",
            "exp_samples": [
                {"labels": _labels(name, state, cases), "value": 1} for name, state in sorted(found)
            ],
        }
        for at, found in states.items()
    ]
    test = {"interval": f"{STEP}s", "input_series": series, "promql_expr_test": checks}
    suite = {"rule_files": ["rules.yml"], "evaluation_interval": f"{STEP}s", "tests": [test]}
    (directory / "test.yml").write_text(yaml.safe_dump(suite))
    done = subprocess.run(
        [require("promtool", package="prometheus"), "test", "rules", "test.yml"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _labels(name: str, state: str, cases: Any) -> str:
    return f'ALERTS{{alertname="{name}",alertstate="{state}",i="{name[1:]}"}}'


@pytest.mark.parametrize("seed", [1, 2])
def test_random_rules_give_the_alerts_that_promtool_gives(tmp_path: Path, seed: int) -> None:
    cases = random_cases(seed)
    states = predicted(cases, range(0, STEPS * STEP, STEP))
    assert sum(map(len, states.values())) > 1000
    assert promtool_agrees(tmp_path, cases, states) == ""


MUTANTS = [
    ("at - alert.active_since >= self._for", "at - alert.active_since > self._for"),
    ("at - alert.active_since >= self._for", "at - alert.active_since >= self._for + 1"),
    (
        "at - alert.keep_firing_since < self._keep_firing_for",
        "at - alert.keep_firing_since <= self._keep_firing_for",
    ),
    ("alert.keep_firing_since = None\n            elif", "pass\n            elif"),
    ('if here is None or here.state == "resolved":', "if here is None:"),
    (
        '            del self._active[key]\n        elif alert.state == "firing"',
        '            pass\n        elif alert.state == "firing"',
    ),
]


@pytest.mark.parametrize(("line", "mutant"), MUTANTS)
def test_promtool_finds_a_lifecycle_that_is_wrong_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, mutant: str
) -> None:
    source = inspect.getsource(product)
    assert source.count(line) == 1
    changed: dict[str, Any] = {"__name__": product.__name__}
    exec(compile(source.replace(line, mutant), "mutant", "exec"), changed)
    mutated: Callable[..., Any] = changed["Lifecycle"]
    monkeypatch.setattr("geomon.alerts.evaluation.Lifecycle", mutated)
    cases = random_cases(1)
    states = predicted(cases, range(0, STEPS * STEP, STEP))
    assert promtool_agrees(tmp_path, cases, states) != ""
