"""No label value breaks a scrape, and no number of them fills the memory."""

from __future__ import annotations

import logging
from enum import Enum
from http import HTTPMethod, HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import geomon
from geomon import dispatch, losses
from geomon.call import Attempt, Call, Usage
from geomon.sinks import labels
from geomon.sinks.prometheus import PrometheusSink

MODEL_METRICS = [
    "ai_requests_total",
    "ai_request_duration_seconds_count",
    "ai_errors_total",
    "ai_attempts_total",
    "ai_tokens_total",
    "ai_cost_usd_total",
    "ai_time_to_first_token_seconds_count",
    "ai_time_per_output_token_seconds_count",
]


def finished(**fields: Any) -> Call:
    usual: dict[str, Any] = dict.fromkeys(Call._fields)
    model = fields.get("model", "m")
    usual |= {"kind": "ai", "type": "chat", "model": model, "model_at_start": model}
    usual |= {"outcome": "ok", "duration": 0.2}
    usual |= {"usage": (), "attempts": (), "rate_limit_remaining": {}, "context": {}}
    usual |= {"finish_reasons": (), "attributes": {}, "started_at": 0.0, "metered": True}
    return Call(**(usual | fields))


def rich(type: Any, model: Any) -> Call:
    """A call that counts in every metric of (type, model)."""
    return finished(
        type=type,
        model=model,
        model_at_start=model,
        outcome="error",
        error_type="timeout",
        usage=(Usage(model, None, 1, None, cost=1.0),),
        attempts=(Attempt(model, "ok"),),
        time_to_first_token=0.1,
        time_per_output_token=0.1,
    )


class Scrape:
    """A sink in a registry of its own."""

    def __init__(self, limit: int = 1000) -> None:
        self.registry = CollectorRegistry()
        self.sink = PrometheusSink(self.registry, label_limit=limit)

    def take(self, call: Call) -> None:
        self.sink.started(call)
        self.sink(call)

    def values(self, sample_name: str, *names: str) -> dict[tuple[str, ...], float]:
        found: dict[tuple[str, ...], float] = {}
        for family in self.registry.collect():
            for sample in family.samples:
                if sample.name == sample_name:
                    key = tuple(sample.labels[name] for name in names)
                    found[key] = found.get(key, 0) + sample.value
        return found


@pytest.fixture
def unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has been logged once yet."""
    monkeypatch.setattr(losses, "_said", set())


def test_a_hundred_thousand_models_are_bounded_and_none_is_lost(
    unsaid: None, caplog: pytest.LogCaptureFixture
) -> None:
    scrape = Scrape()
    before = losses.counts().get(("labels", "model"), 0)
    with caplog.at_level(logging.WARNING, "geomon"):
        for number in range(100_000):
            scrape.take(finished(model=f"model-{number}"))
    shown = scrape.values("ai_requests_total", "model")
    assert len(shown) == 1001
    assert shown["other",] == 99_000
    assert sum(shown.values()) == 100_000
    assert losses.counts()["labels", "model"] > before
    assert [record.getMessage() for record in caplog.records] == [
        "geomon lost something (further ones are only counted): "
        "more than 1000 values of model: new ones count as 'other'"
    ]


def test_what_a_guard_remembers_is_bounded() -> None:
    scrape = Scrape(limit=10)
    for number in range(10_000):
        scrape.take(finished(model=f"model-{number}"))
        scrape.take(http("request", f"/{number}"))
    sink = scrape.sink
    kept: list[Any] = [sink._ai, sink._served, sink._sent, sink._open, sink._errors]
    assert max(map(len, kept)) <= 4096 + 10


@pytest.mark.parametrize("name", MODEL_METRICS)
def test_a_call_past_the_limit_is_the_same_other_in_every_metric(name: str) -> None:
    scrape = Scrape(limit=2)
    for model in ("a", "b", "c", "d", "a"):
        scrape.take(rich("chat", model))
    assert scrape.values(name, "type", "model") == {
        ("chat", "a"): 2,
        ("chat", "b"): 1,
        ("chat", "other"): 2,
    }


def test_the_type_is_given_up_last() -> None:
    scrape = Scrape(limit=2)
    for type, model in [("a", "m"), ("b", "m"), ("a", "n"), ("b", "n"), ("c", "m"), ("c", "n")]:
        scrape.take(rich(type, model))
    assert scrape.values("ai_requests_total", "type", "model") == {
        ("a", "m"): 1,
        ("b", "m"): 1,
        ("a", "other"): 1,
        ("b", "other"): 1,
        ("other", "other"): 2,
    }


def test_a_hundred_thousand_types_are_bounded() -> None:
    scrape = Scrape(limit=100)
    for number in range(100_000):
        scrape.take(finished(type=f"type-{number}"))
    shown = scrape.values("ai_requests_total", "type", "model")
    assert len(shown) <= 201
    assert sum(shown.values()) == 100_000


def test_every_in_progress_gauge_is_back_at_zero_past_the_limit() -> None:
    scrape = Scrape(limit=3)
    open_calls = [rich(f"t{number % 7}", f"m{number}") for number in range(50)]
    for call in open_calls:
        scrape.sink.started(call)
    for call in reversed(open_calls):
        scrape.sink(call)
    assert {*scrape.values("ai_requests_in_progress", "type", "model").values()} == {0.0}


def http(kind: str, place: Any, **fields: Any) -> Call:
    name = "endpoint" if kind == "request" else "host"
    usual = {"kind": kind, "type": None, "model": None, "method": "GET", "status": 200, name: place}
    return finished(**(usual | fields))


@pytest.mark.parametrize(
    ("kind", "metric", "label"),
    [
        ("request", "http_requests_total", "endpoint"),
        ("client_request", "http_client_requests_total", "host"),
    ],
)
def test_endpoints_and_hosts_are_bounded(kind: str, metric: str, label: str) -> None:
    scrape = Scrape(limit=10)
    for number in range(1000):
        scrape.take(http(kind, f"place-{number}"))
    shown = scrape.values(metric, label)
    assert len(shown) == 11
    assert shown["other",] == 990


def test_endpoints_hosts_and_models_have_a_limit_each() -> None:
    scrape = Scrape(limit=1)
    scrape.take(finished(model="m"))
    scrape.take(http("request", "/"))
    scrape.take(http("client_request", "a.example"))
    assert scrape.values("ai_requests_total", "model") == {("m",): 1}
    assert scrape.values("http_requests_total", "endpoint") == {("/",): 1}
    assert scrape.values("http_client_requests_total", "host") == {("a.example",): 1}


def test_configuring_again_does_not_double_the_bound() -> None:
    scrape = Scrape(limit=5)
    for number in range(10):
        scrape.take(finished(model=f"early-{number}"))
    scrape.sink.close()
    scrape.sink = PrometheusSink(scrape.registry, label_limit=5)
    for number in range(10):
        scrape.take(finished(model=f"late-{number}"))
    assert len(scrape.values("ai_requests_total", "model")) == 6


class Unprintable:
    def __str__(self) -> str:
        raise ValueError("no")


class Unhashable:
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise ValueError("no")

    def __str__(self) -> str:
        return "unhashable"


class Unequal(str):
    """A text whose comparison and hash fail."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("no")

    def __hash__(self) -> int:
        raise ValueError("no")


class Liar(str):
    """A text whose methods say something else."""

    def __str__(self) -> str:
        return "lie"

    def __len__(self) -> int:
        return 10**6

    def isascii(self) -> bool:
        raise ValueError("no")


class Model(str, Enum):  # noqa: UP042 - programs write it, and its str() is "Model.MINE"
    MINE = "mine"


VALUES = [
    (None, "unknown"),
    ("", "unknown"),
    (5, "5"),
    (2.5, "2.5"),
    (b"m", "b'm'"),
    (["a"], "['a']"),
    ({"a": 1}, "{'a': 1}"),
    (Unhashable(), "unhashable"),
    (Unprintable(), "Unprintable"),
    ("a\ud800b", "a?b"),
    ("gp\u00fc", "gp\u00fc"),
    ('a"b\\c\nd', 'a"b\\c\nd'),
    ("x" * 200, "x" * 200),
    ("x" * 10_000, "x" * 199 + "\u2026"),
]


@pytest.mark.parametrize(("value", "shown"), VALUES)
@pytest.mark.parametrize("setting", ["attribute", "set"])
def test_any_model_becomes_a_label(value: Any, shown: str, setting: str) -> None:
    registry = CollectorRegistry()
    earlier = dispatch.install(None)
    with geomon.configure(registry=registry), geomon.track_ai("chat") as call:
        if setting == "set":
            call.set(model=value, provider=value)
        else:
            call.model = call.provider = value
        call.first_token()
    dispatch.install(earlier)
    for name in ("ai_requests_total", "ai_time_to_first_token_seconds_count"):
        assert registry.get_sample_value(name, {"type": "chat", "model": shown}) == 1
    assert list(text_string_to_metric_families(generate_latest(registry).decode())) != []


@pytest.mark.parametrize("value", [99, 600, -1, "200", 200.0, [200], 2**70, True, Unhashable()])
def test_any_status_is_counted(value: Any) -> None:
    registry = CollectorRegistry()
    earlier = dispatch.install(None)
    with geomon.configure(registry=registry), geomon.track_request("GET", "/") as call:
        call.status = value
    dispatch.install(earlier)
    counted = [
        sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "http_requests_total"
    ]
    assert counted == [1]


@pytest.mark.parametrize("name", ["type", "endpoint", "host"])
@pytest.mark.parametrize(("value", "shown"), [("a\ud800b", "a?b"), *VALUES[-4:]])
def test_any_text_becomes_a_label(name: str, value: Any, shown: str) -> None:
    scrape = Scrape()
    if name == "type":
        scrape.take(rich(value, "m"))
        metrics = [*MODEL_METRICS, "ai_requests_in_progress"]
    else:
        scrape.take(http("request" if name == "endpoint" else "client_request", value))
        metrics = [f"http_{'client_' if name == 'host' else ''}requests_total"]
    assert {key for metric in metrics for key in scrape.values(metric, name)} == {(shown,)}
    assert list(text_string_to_metric_families(generate_latest(scrape.registry).decode())) != []


TEXTS = [(Unequal("m"), "m"), (Unequal(""), "unknown"), (Liar("m"), "m"), (Model.MINE, "mine")]


@pytest.mark.parametrize(("value", "shown"), TEXTS)
def test_a_text_of_any_class_counts_as_its_characters(value: str, shown: str) -> None:
    scrape = Scrape()
    for _ in range(2):
        scrape.take(rich(value, value))
        scrape.take(http("request", value, method=value))
        scrape.take(http("client_request", value, method=value))
    for metric in MODEL_METRICS:
        assert scrape.values(metric, "type", "model") == {(shown, shown): 2}
    assert scrape.values("ai_requests_in_progress", "type", "model") == {(shown, shown): 0}
    assert scrape.values("http_requests_total", "endpoint") == {(shown,): 2}
    assert scrape.values("http_client_requests_total", "host") == {(shown,): 2}


@pytest.mark.parametrize("value", ["GET", HTTPMethod.GET, Liar("GET"), Unequal("GET")])
def test_a_method_of_any_class_is_the_method(value: str) -> None:
    scrape = Scrape()
    scrape.take(http("request", "/", method=value))
    assert scrape.values("http_requests_total", "method") == {("GET",): 1}
    assert scrape.values("http_requests_in_progress", "method") == {("GET",): 0}


@pytest.mark.parametrize("value", ["get", "BREW", "", None, 5, "x" * 10_000, "\ud800"])
def test_an_unknown_method_is_other(value: Any) -> None:
    scrape = Scrape()
    scrape.take(http("request", "/", method=value))
    assert scrape.values("http_requests_total", "method") == {("other",): 1}
    assert scrape.values("http_requests_in_progress", "method") == {("other",): 0}


@pytest.mark.parametrize(
    ("value", "shown"),
    [(100, "100"), (200, "200"), (HTTPStatus.NOT_FOUND, "404"), (599, "599")],
)
def test_a_status_is_a_label(value: Any, shown: str) -> None:
    scrape = Scrape()
    scrape.take(http("request", "/", status=value))
    assert scrape.values("http_requests_total", "status") == {(shown,): 1}


@pytest.mark.parametrize("value", [99, 600, -1, None, "200", 200.5, 2**70, True])
def test_what_is_no_status_is_unknown(value: Any) -> None:
    scrape = Scrape()
    scrape.take(http("request", "/", status=value))
    assert scrape.values("http_requests_total", "status") == {("unknown",): 1}


@given(st.one_of(st.text(), st.text(st.characters(categories=["Cs"])), st.binary(), st.floats()))
def test_a_label_can_be_encoded_and_is_short(value: Any) -> None:
    text = labels.text(value)
    assert 1 <= len(text) <= 200
    assert text.encode().decode() == text


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8))), st.integers(1, 6))
def test_a_guard_gives_a_key_the_same_answer_for_ever_once_it_is_full(
    keys: list[tuple[int, int]], limit: int
) -> None:
    guard = labels.LabelGuard("property", limit)
    answers = [guard.admit(*map(str, key)) for key in keys]
    assert answers == [guard.admit(*map(str, key)) for key in keys]
    assert len({answer for answer in answers if "other" not in answer}) <= limit
    assert len({answer for answer in answers if answer[0] != "other"}) <= 2 * limit
