"""What the helpers' rules fire on, as promtool and geomon's own engine say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomon.alerts.condition import Condition
from geomon.alerts.conditions import (
    burn_rate,
    cpu_above,
    error_ratio_above,
    latency_above,
    memory_above,
    request_latency_above,
    spend_above,
    tokens_above,
)
from geomon.alerts.expressions import selector
from geomon.alerts.manager import AlertManager
from geomon.alerts.rule import RuleError
from geomon.alerts.templates import Template
from geomon.promql.parsing import parse
from geomon.promql.tree import Select
from geomon.series import SeriesStore
from tests.alerts.worlds import (
    World,
    calls,
    filled,
    fire_in_promtool,
    fires_here,
    steady,
    values_here,
)
from tests.promql.notation import read_labels

CHAT = 'type="chat", model="m"'


def ai(requests: int, minutes: int = 4, ns: str = "", **errors: int) -> World:
    """So many AI calls, and errors by type, within four minutes."""
    failed = {
        f'{ns}ai_errors_total{{{CHAT}, error_type="{name}"}}': calls(count)
        for name, count in errors.items()
    }
    return World({f"{ns}ai_requests_total{{{CHAT}}}": calls(requests), **failed}, minutes)


def durations(metric: str, labels: str, **buckets: int) -> World:
    """A histogram: how many observations each bucket holds, by upper bound."""
    bounds = {name.removeprefix("le_").replace("inf", "+Inf"): n for name, n in buckets.items()}
    series = {f'{metric}_bucket{{{labels}, le="{le}"}}': calls(n) for le, n in bounds.items()}
    return World({**series, f"{metric}_count{{{labels}}}": calls(bounds["+Inf"])}, 4)


AI_SECONDS = "ai_request_duration_seconds"
SLOW = durations(AI_SECONDS, CHAT, le_10=18, le_30=18, le_60=20, le_inf=20)
FAST = durations(AI_SECONDS, CHAT, le_10=18, le_30=20, le_60=20, le_inf=20)
HTTP_SECONDS = "http_request_duration_seconds"
GET = 'method="GET", endpoint="/a"'


def gauges(memory: float, limit: float | None = 100.0, cpu: float = 0.0) -> World:
    series: dict[str, list[float | None]] = {
        "memory_usage_bytes": [memory],
        "cpu_usage_percent": [cpu],
    }
    return World({**series, **({} if limit is None else {"memory_limit_bytes": [limit]})}, 1)


def failing(percent: float, minutes: int, over: int = 360) -> World:
    """100 calls a scrape, of which a part fails in the last minutes."""
    good = (over - minutes) * 4
    errors = [0.0] * good + [percent * step for step in range(minutes * 4 + 1)]
    series = {
        f"ai_requests_total{{{CHAT}}}": steady(100, over),
        f'ai_errors_total{{{CHAT}, error_type="timeout"}}': errors,
    }
    return World(series, over)


NOTHING = World({"other": [1.0]}, 4)
ratio = error_ratio_above(0.1)
tokens = {
    f'ai_tokens_total{{{CHAT}, token_type="{name}"}}': calls(count)
    for name, count in {"input": 600, "output": 500, "cached_input": 5000}.items()
}
CASES = {
    "a ratio above": (ratio, ai(20, timeout=3), True),
    "a ratio of several types above": (ratio, ai(20, timeout=1, rate_limit=1, other=1), True),
    "a ratio at the threshold": (ratio, ai(20, timeout=2), False),
    "too few calls": (ratio, ai(19, timeout=19), False),
    "few calls where few are enough": (error_ratio_above(0.1, min_calls=1), ai(1, other=1), True),
    "no errors": (ratio, ai(20), False),
    "no errors above nothing": (error_ratio_above(0), ai(20), False),
    "errors of the caller": (ratio, ai(20, bad_request=9, cancelled=9, content_filter=9), False),
    "errors of one type": (error_ratio_above(0.1, error_types=["timeout"]), ai(20, other=9), False),
    "no calls": (ratio, ai(0, timeout=0), False),
    "no data for a ratio": (ratio, NOTHING, False),
    "errors long ago": (ratio, ai(20, minutes=20, timeout=20), False),
    "another type": (error_ratio_above(0.1, type="other"), ai(20, timeout=9), False),
    "this type": (error_ratio_above(0.1, type="chat", model="m"), ai(20, timeout=9), True),
    "by model": (error_ratio_above(0.1, by=["model"]), ai(20, timeout=9), True),
    "another namespace": (error_ratio_above(0.1, namespace="x"), ai(20, timeout=9), False),
    "its namespace": (ratio.in_namespace("x"), ai(20, ns="x_", timeout=9), True),
    "slow calls": (latency_above(30), SLOW, True),
    "slow calls of a type": (latency_above(30, type="chat", by=["model"]), SLOW, True),
    "slow calls of another type": (latency_above(30, type="x"), SLOW, False),
    "slow calls, but few": (latency_above(30, min_calls=21), SLOW, False),
    "slow calls, and enough": (latency_above(30, min_calls=20), SLOW, True),
    "a slow tenth at the median": (latency_above(30, quantile=0.5), SLOW, False),
    "fast calls": (latency_above(30), FAST, False),
    "no durations": (latency_above(30), NOTHING, False),
    "no calls that take time": (latency_above(0), durations(AI_SECONDS, CHAT, le_inf=0), False),
    "slow requests": (
        request_latency_above(1),
        durations(HTTP_SECONDS, GET, le_1=5, le_5=9, le_inf=9),
        True,
    ),
    "slow requests elsewhere": (
        request_latency_above(1, endpoint="/b"),
        durations(HTTP_SECONDS, GET, le_1=5, le_5=9, le_inf=9),
        False,
    ),
    "fast requests": (
        request_latency_above(1),
        durations(HTTP_SECONDS, GET, le_1=9, le_5=9, le_inf=9),
        False,
    ),
    "spend above": (spend_above(50), World({f"ai_cost_usd_total{{{CHAT}}}": calls(51)}), True),
    "spend at it": (spend_above(50), World({f"ai_cost_usd_total{{{CHAT}}}": calls(50)}), False),
    "no spend": (spend_above(0), NOTHING, False),
    "tokens above": (tokens_above(1099), World(tokens), True),
    "tokens at it": (tokens_above(1100), World(tokens), False),
    "tokens of another model": (tokens_above(0, model="x"), World(tokens), False),
    "memory above": (memory_above(0.9), gauges(91), True),
    "memory at it": (memory_above(0.9), gauges(90), False),
    "memory of no limit": (memory_above(0.9), gauges(91, limit=None), False),
    "memory of a limit of 0": (memory_above(0.9), gauges(91, limit=0), False),
    "cpu above": (cpu_above(0.8), gauges(0, cpu=81), True),
    "cpu at it": (cpu_above(0.8), gauges(0, cpu=80), False),
    "no cpu": (cpu_above(0.8), NOTHING, False),
    "a fast burn": (burn_rate(0.99), failing(20, minutes=60), True),
    "a fast burn that began now": (burn_rate(0.99), failing(20, minutes=3), False),
    "a slow burn": (burn_rate(0.99), failing(7, minutes=360), True),
    "a burn within the objective": (burn_rate(0.99), failing(5, minutes=360), False),
    "a burn of few calls": (burn_rate(0.99), ai(10, timeout=10), False),
}


@pytest.mark.parametrize("name", CASES)
def test_a_condition_fires_where_it_should(name: str) -> None:
    rule, world, fires = CASES[name]
    assert (fire_in_promtool(rule, world), fires_here(rule, world)) == (fires, fires)


def test_a_ratio_without_errors_is_zero() -> None:
    expr = error_ratio_above(0.1).expr.split(" > ")[0]
    assert values_here(expr, ai(20)) == [0.0]
    assert values_here(expr, NOTHING) == []


LEVELS = {"above": 90.0, "between": 70.0, "below": 50.0}


@pytest.mark.parametrize(
    ("levels", "fires"),
    [
        (["above"], True),
        (["between"], False),
        (["above", "between"], True),
        (["above", "between", "below"], False),
        (["above", "below", "between"], False),
        (["above", "between", "above", "between"], True),
    ],
)
@pytest.mark.parametrize("labels", [{}, {"severity": "page", "team": "a"}])
def test_an_alert_goes_on_until_it_is_below(
    levels: list[str], fires: bool, labels: dict[str, str]
) -> None:
    rule = cpu_above(0.8, resolve_below=0.6, labels=labels)
    values: list[float | None] = [LEVELS[level] for level in levels for _ in range(8)]
    series = {'cpu_usage_percent{instance="a", job="b"}': values}
    world = World(series, minutes=2 * len(levels))
    assert (fire_in_promtool(rule, world), _fires_in_geomon(rule, world)) == (fires, fires)


def _fires_in_geomon(rule: Condition, world: World) -> bool:
    store = SeriesStore(retention=100_000)
    manager = AlertManager(rules=[rule], store=store)
    for step in range(world.steps):
        for name in world.series:
            value = world.full(name)[step]
            if value is not None:
                store.append(read_labels(name)[0], step * 15.0, value)
        manager.evaluate(at=step * 15.0)
    return [alert.state for alert in manager.alerts] == ["firing"]


def test_an_alert_by_model_goes_on_for_that_model_alone() -> None:
    rule = error_ratio_above(0.5, by=["model"], resolve_below=0.2, window="1m", min_calls=1)
    more = [100.0 * step for step in range(41)]
    bad = [80.0 * step for step in range(20)]
    world = World(
        {
            'ai_requests_total{model="a"}': more,
            'ai_requests_total{model="b"}': more,
            'ai_errors_total{model="a", error_type="other"}': [
                *bad,
                *[bad[-1] + 30 * step for step in range(1, 22)],
            ],
            'ai_errors_total{model="b", error_type="other"}': [30.0 * step for step in range(41)],
        },
        minutes=10,
    )
    assert fire_in_promtool(rule, world)
    assert "and ignoring (alertname, alertstate, severity, window) ALERTS{" in rule.expr


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_label_value_stands_in_quotes(text: str) -> None:
    node = parse(selector("x", type=text).replace("\0", ""))
    assert isinstance(node, Select)
    assert [(matcher.operator, matcher.value) for matcher in node.matchers.others] == [("=", text)]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_label_value_makes_a_rule_that_has_it_as_label(text: str) -> None:
    rule = latency_above(30, model=text, namespace="ns", resolve_below=20)
    assert Template(rule.labels["model"]).expand({}, 0.0) == text
    assert f"ns_{AI_SECONDS}_bucket" in rule.expr


def test_the_namespace_is_put_in_later_unless_it_was_given() -> None:
    rule = memory_above(0.9)
    other = rule.in_namespace("app")
    assert other.expr == "app_memory_usage_bytes / (app_memory_limit_bytes > 0) > 0.9"
    assert "app_memory_usage_bytes is" in other.annotations["description"]
    assert other.in_namespace("") == rule
    assert memory_above(0.9, namespace="b").in_namespace("app") == memory_above(0.9, namespace="b")
    assert "\0" not in str([rule, other])


def test_what_the_caller_says_comes_first() -> None:
    rule = error_ratio_above(
        0.1,
        type="chat",
        name="Mine",
        for_="5m",
        keep_firing_for=60,
        labels={"severity": "page"},
        annotations={"summary": "x", "runbook": "y"},
    )
    assert (rule.name, rule.for_, rule.keep_firing_for) == ("Mine", 300.0, 60.0)
    assert rule.labels == {"severity": "page", "type": "chat", "window": "5m"}
    assert list(rule.annotations) == ["summary", "description", "runbook"]
    assert rule.annotations["summary"] == "x"


def test_only_spend_needs_prices() -> None:
    made = [ratio, latency_above(1), tokens_above(1), memory_above(0.5), burn_rate(0.99)]
    assert [rule.needs_prices for rule in made] == [False] * 5
    assert spend_above(5).needs_prices
    assert spend_above(5).in_namespace("x").needs_prices


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: error_ratio_above(10), "ratio=10: write a number from 0 to 1, such as 0.1"),
        (lambda: error_ratio_above("0.1"), "ratio='0.1': write a number"),
        (lambda: error_ratio_above(True), "ratio=True: write a number"),
        (lambda: error_ratio_above(float("nan")), "ratio=nan: write a number"),
        (lambda: error_ratio_above(0.1, window="1.5h"), "window: '1.5h' is no duration"),
        (lambda: error_ratio_above(0.1, window=0), "window=0: write a duration above zero"),
        (lambda: error_ratio_above(0.1, window=None), "window=None: write seconds"),
        (lambda: error_ratio_above(0.1, min_calls=-1), "min_calls=-1: write a number from 0"),
        (lambda: error_ratio_above(0.1, min_calls=1.5), "min_calls=1.5: write a whole number"),
        (lambda: error_ratio_above(0.1, type=5), "type=5: write a str"),
        (lambda: error_ratio_above(0.1, by=["user"]), 'write a list of "type" and "model"'),
        (lambda: error_ratio_above(0.1, by="type"), 'write a list of "type" and "model"'),
        (lambda: error_ratio_above(0.1, error_types=["time"]), "some of timeout, rate_limit"),
        (lambda: error_ratio_above(0.1, error_types="timeout"), "write a list"),
        (lambda: error_ratio_above(0.1, resolve_below=0.2), "below the threshold, 0.1"),
        (lambda: error_ratio_above(0.1, foo=1), "the option foo is not known: write one of name"),
        (lambda: latency_above(-1), "seconds=-1: write a number from 0 up"),
        (lambda: latency_above(30, quantile=95), "quantile=95: write a number from 0 to 1"),
        (lambda: latency_above(30, quantile=0), "quantile=0: write a number above 0 and below 1"),
        (lambda: request_latency_above(1, endpoint=5), "endpoint=5: write a str"),
        (lambda: spend_above(usd=-5), "usd=-5: write a number from 0 up"),
        (lambda: tokens_above(float("inf")), "tokens=inf: write a number"),
        (lambda: cpu_above(80), "ratio=80: write a number from 0 to 1"),
        (lambda: burn_rate(0.9), "objective=0.9: write one above 0.931"),
        (lambda: burn_rate(99), "objective=99: write a number from 0 to 1"),
    ],
)
def test_a_wrong_argument_says_what_to_write(make: Callable[[], Any], says: str) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        make()


def test_a_namespace_that_cannot_be_is_refused() -> None:
    with pytest.raises(RuleError, match="expr: "):
        memory_above(0.9, namespace="a b")


def test_rules_that_differ_in_their_window_alone_make_alerts_of_their_own() -> None:
    rules = [tokens_above(1099, window="1h"), tokens_above(500, window="5m")]
    manager = AlertManager(rules, store=filled(World(tokens)))
    assert [(alert.state, alert.labels["window"]) for alert in manager.evaluate(at=240)] == [
        ("firing", "1h"),
        ("firing", "5m"),
    ]


def test_a_condition_is_a_rule_and_can_be_compared() -> None:
    assert isinstance(ratio, Condition)
    assert ratio == error_ratio_above(0.1)
    assert ratio != error_ratio_above(0.2)
