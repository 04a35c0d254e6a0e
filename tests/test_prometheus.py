"""What a scrape shows: names, labels, buckets, numbers."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

import geomon
from geomon import dispatch, losses
from geomon.call import Attempt, Call, Usage
from geomon.sinks import store
from geomon.sinks.prometheus import PrometheusSink
from geomon.testing import MovableClock, contained_failures

Series = dict[tuple[str, ...], float]

METRICS = {
    "ai_requests": ("counter", ("model", "type")),
    "ai_request_duration_seconds": ("histogram", ("model", "type")),
    "ai_errors": ("counter", ("error_type", "model", "type")),
    "ai_attempts": ("counter", ("model", "outcome", "type")),
    "ai_requests_in_progress": ("gauge", ("model", "type")),
    "ai_tokens": ("counter", ("model", "token_type", "type")),
    "ai_cost_usd": ("counter", ("model", "type")),
    "ai_unmetered_calls": ("counter", ("model", "reason", "type")),
    "ai_time_to_first_token_seconds": ("histogram", ("model", "type")),
    "ai_time_per_output_token_seconds": ("histogram", ("model", "type")),
    "ai_rate_limit_remaining_ratio": ("gauge", ("kind", "model")),
    "error_rate": ("counter", ("type",)),
    "http_requests": ("counter", ("endpoint", "method", "status")),
    "http_request_duration_seconds": ("histogram", ("endpoint", "method")),
    "http_requests_in_progress": ("gauge", ("method",)),
    "http_client_requests": ("counter", ("host", "method", "status")),
    "http_client_request_duration_seconds": ("histogram", ("host", "method")),
    "geomon_losses": ("counter", ("part", "reason")),
    "geomon_build_info": ("gauge", ("version",)),
}
AI_BUCKETS = ".01 .025 .05 .1 .25 .5 1 2.5 5 10 20 30 60 120 300 600"
TOKEN_BUCKETS = ".005 .01 .025 .05 .075 .1 .15 .2 .3 .5 1"
HTTP_BUCKETS = ".005 .01 .025 .05 .075 .1 .25 .5 .75 1 2.5 5 7.5 10 30 60"
BUCKETS = {
    "ai_request_duration_seconds": AI_BUCKETS,
    "ai_time_to_first_token_seconds": AI_BUCKETS,
    "ai_time_per_output_token_seconds": TOKEN_BUCKETS,
    "http_request_duration_seconds": HTTP_BUCKETS,
    "http_client_request_duration_seconds": HTTP_BUCKETS,
}


def finished(**fields: Any) -> Call:
    """A finished AI call; name what is to be otherwise."""
    usual: dict[str, Any] = dict.fromkeys(Call._fields)
    usual |= {"kind": "ai", "type": "chat", "model": "m", "outcome": "ok", "duration": 0.2}
    usual |= {"usage": (), "attempts": (), "rate_limit_remaining": {}, "context": {}}
    usual |= {"finish_reasons": (), "attributes": {}, "started_at": 0.0}
    usual["metered"] = bool(fields.get("usage"))
    return Call(**(usual | fields))


def request(**fields: Any) -> Call:
    return finished(
        **{"kind": "request", "type": None, "model": None, "method": "GET", "endpoint": "/"}
        | {"status": 200}
        | fields
    )


def client_request(**fields: Any) -> Call:
    return request(**{"kind": "client_request", "endpoint": None, "host": "a.example"} | fields)


def series(registry: CollectorRegistry, sample_name: str) -> Series:
    """The values of one sample name, by label values in the order of their labels' names."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == sample_name
    }


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture(autouse=True)
def pipeline_is_restored() -> Iterator[None]:
    earlier = dispatch.install(None)
    yield
    used = dispatch.install(earlier)
    for sink in used.sinks if used is not None else ():
        getattr(sink, "close", lambda: None)()


@pytest.fixture
def scrape(registry: CollectorRegistry) -> Any:
    """Configures geomon; gives the series of a sample name."""
    geomon.configure(registry=registry)
    return lambda sample_name: series(registry, sample_name)


@pytest.fixture
def sink(registry: CollectorRegistry) -> Iterator[PrometheusSink]:
    sink = PrometheusSink(registry)
    yield sink
    sink.close()


def run(program: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        env={**os.environ, "GEOMON_CONSOLE": "0", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# --- names, labels, buckets


@pytest.fixture
def full(sink: PrometheusSink, registry: CollectorRegistry) -> CollectorRegistry:
    """A registry in which every metric has a sample."""
    losses.count("part", "reason")
    sink(
        finished(
            outcome="error",
            error_type="timeout",
            usage=(Usage("m", "openai", 10, 5, 4, 3, 2, 0.5),),
            attempts=(Attempt("m", "ok"),),
            time_to_first_token=0.1,
            time_per_output_token=0.01,
            rate_limit_remaining={"requests": 0.5, "tokens": 0.25},
        )
    )
    sink(finished())
    sink(request())
    sink(client_request())
    return registry


def test_the_metrics_of_calls_are_exactly_those_of_the_design(full: CollectorRegistry) -> None:
    shown = {
        family.name: (family.type, tuple(sorted({*family.samples[0].labels} - {"le"})))
        for family in full.collect()
    }
    assert shown == METRICS


@pytest.mark.parametrize("name", [name for name, (kind, _) in METRICS.items() if kind == "counter"])
def test_a_counter_ends_in_total(full: CollectorRegistry, name: str) -> None:
    assert series(full, f"{name}_total") != {}


@pytest.mark.parametrize("name", BUCKETS)
def test_the_buckets_are_those_of_the_design(full: CollectorRegistry, name: str) -> None:
    bounds = {
        float(sample.labels["le"])
        for family in full.collect()
        for sample in family.samples
        if sample.name == f"{name}_bucket"
    }
    assert sorted(bounds) == [*map(float, BUCKETS[name].split()), float("inf")]


def test_all_buckets_can_be_set(registry: CollectorRegistry) -> None:
    buckets = geomon.Buckets(ai=(1, 2), time_per_output_token=[3, 4], http=(5, 6))  # type: ignore[arg-type]
    sink = PrometheusSink(registry, buckets=buckets)
    sink(finished(time_to_first_token=0.1, time_per_output_token=0.1))
    sink(request())
    sink(client_request())
    sink.close()
    bounds = {
        family.name: [sample.labels["le"] for sample in family.samples if "le" in sample.labels]
        for family in registry.collect()
        if family.type == "histogram"
    }
    assert bounds == {
        "ai_request_duration_seconds": ["1.0", "2.0", "+Inf"],
        "ai_time_to_first_token_seconds": ["1.0", "2.0", "+Inf"],
        "ai_time_per_output_token_seconds": ["3.0", "4.0", "+Inf"],
        "http_request_duration_seconds": ["5.0", "6.0", "+Inf"],
        "http_client_request_duration_seconds": ["5.0", "6.0", "+Inf"],
    }


@pytest.mark.parametrize("bounds", [(), (2, 1), (1, 1), (1, float("nan")), ("a",), 5, None])
def test_buckets_that_cannot_be_say_what_to_write(bounds: Any) -> None:
    with pytest.raises(ValueError, match="write seconds in ascending order"):
        geomon.Buckets(ai=bounds)


@pytest.mark.parametrize("value", [0.01, 0.010000001, 0.0, -1.0, 600.0, 601.0, float("inf")])
def test_a_histogram_is_prometheus_clients(value: float) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    sink = PrometheusSink(ours)
    sink(finished(duration=value))
    sink.close()
    usual = Histogram(
        "ai_request_duration_seconds",
        "Duration of AI calls.",
        ("type", "model"),
        buckets=list(map(float, AI_BUCKETS.split())),
        registry=theirs,
    )
    usual.labels("chat", "m").observe(value)
    for part in ("bucket", "sum", "count"):
        name = f"ai_request_duration_seconds_{part}"
        assert series(ours, name) == series(theirs, name)


def test_build_info_tells_the_version(sink: PrometheusSink, registry: CollectorRegistry) -> None:
    assert series(registry, "geomon_build_info") == {(geomon.__version__,): 1.0}


def test_prometheus_clients_text_parser_takes_the_output(full: CollectorRegistry) -> None:
    families = list(parse_text(generate_latest(full).decode()))
    assert {family.name for family in families} >= {*METRICS}


def test_prometheus_clients_openmetrics_parser_takes_the_output(full: CollectorRegistry) -> None:
    families = list(parse_openmetrics(generate_openmetrics(full).decode()))
    assert {family.name for family in families} == {*METRICS}


# --- numbers


def test_a_call_is_one_request_and_one_duration(scrape: Any) -> None:
    with MovableClock() as clock, geomon.track_ai("chat", model="m"):
        clock.move(0.3)
    assert scrape("ai_requests_total") == {("m", "chat"): 1}
    assert scrape("ai_request_duration_seconds_sum") == {("m", "chat"): pytest.approx(0.3)}
    assert scrape("ai_request_duration_seconds_count") == {("m", "chat"): 1}


def test_a_call_without_a_model_counts_as_unknown(scrape: Any) -> None:
    with geomon.track_ai("chat"):
        pass
    assert scrape("ai_requests_total") == {("unknown", "chat"): 1}


@pytest.mark.parametrize(
    ("raised", "error_type"),
    [
        (TimeoutError, "timeout"),
        (ValueError, "other"),
        (asyncio.CancelledError, "cancelled"),
        (KeyboardInterrupt, "cancelled"),
        (GeneratorExit, "cancelled"),
        (SystemExit, "cancelled"),
    ],
)
def test_errors_and_cancellations_count_as_errors(
    scrape: Any, raised: type[BaseException], error_type: str
) -> None:
    with pytest.raises(raised), geomon.track_ai("chat", model="m"):
        raise raised
    assert scrape("ai_errors_total") == {(error_type, "m", "chat"): 1}
    assert scrape("error_rate_total") == {(error_type,): 1}
    assert scrape("ai_requests_total") == {("m", "chat"): 1}


def test_success_and_an_abandoned_stream_are_no_errors(scrape: Any) -> None:
    @geomon.track_ai("words", model="m")
    def words() -> Iterator[str]:
        yield "a"
        yield "b"

    assert list(words()) == ["a", "b"]
    stream = words()
    next(stream)
    del stream
    assert scrape("ai_requests_total") == {("m", "words"): 2}
    assert scrape("ai_errors_total") == {}
    assert scrape("error_rate_total") == {}


def test_tokens_count_by_type_and_model(sink: PrometheusSink, registry: CollectorRegistry) -> None:
    sink(finished(usage=(Usage("m", None, 10, 5, 4, 3, 2, 0.5), Usage("n", None, 1, None))))
    assert series(registry, "ai_tokens_total") == {
        ("m", "input", "chat"): 10,
        ("m", "output", "chat"): 5,
        ("m", "cached_input", "chat"): 4,
        ("m", "cache_write", "chat"): 3,
        ("m", "reasoning", "chat"): 2,
        ("n", "input", "chat"): 1,
    }
    assert series(registry, "ai_cost_usd_total") == {("m", "chat"): 0.5}
    assert series(registry, "ai_unmetered_calls_total") == {("n", "no_price", "chat"): 1}


def test_a_free_call_has_a_cost_of_nothing(
    sink: PrometheusSink, registry: CollectorRegistry
) -> None:
    sink(finished(usage=(Usage("m", None, 10, 5, cost=0.0),)))
    assert series(registry, "ai_cost_usd_total") == {("m", "chat"): 0}
    assert series(registry, "ai_unmetered_calls_total") == {}


def test_a_call_whose_response_was_not_read_is_unmetered(scrape: Any) -> None:
    with geomon.track_ai("chat", model="m"):
        pass
    assert scrape("ai_unmetered_calls_total") == {("m", "no_usage", "chat"): 1}


def test_a_failed_call_is_not_unmetered(scrape: Any) -> None:
    with pytest.raises(ValueError, match="no"), geomon.track_ai("chat", model="m"):
        raise ValueError("no")
    assert scrape("ai_unmetered_calls_total") == {}


def test_a_call_around_a_metered_call_is_metered(scrape: Any) -> None:
    response = {
        "object": "chat.completion",
        "model": "m",
        "choices": [],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }
    with geomon.track_ai("outer", model="m"):
        with geomon.track_ai("inner", model="m") as inner:
            inner.record(response)
    assert scrape("ai_requests_total") == {("m", "outer"): 1, ("m", "inner"): 1}
    assert scrape("ai_unmetered_calls_total") == {("m", "no_price", "inner"): 1}
    assert scrape("ai_tokens_total") == {
        ("m", "input", "inner"): 10,
        ("m", "output", "inner"): 5,
    }


def test_spend_that_is_not_seen_is_counted_by_the_innermost_call_alone(scrape: Any) -> None:
    with geomon.track_ai("outer"), geomon.track_ai("inner"):
        pass
    assert scrape("ai_unmetered_calls_total") == {("unknown", "no_usage", "inner"): 1}


def test_attempts_count_by_outcome(sink: PrometheusSink, registry: CollectorRegistry) -> None:
    sink(finished(attempts=(Attempt("m", "error"), Attempt("m", "error"), Attempt("n", "ok"))))
    assert series(registry, "ai_attempts_total") == {
        ("m", "error", "chat"): 2,
        ("n", "ok", "chat"): 1,
    }


def test_an_attempt_is_no_request(sink: PrometheusSink, registry: CollectorRegistry) -> None:
    sink(finished(attempts=(Attempt("n", "error"), Attempt("m", "ok"))))
    counted = {key for key, value in series(registry, "ai_requests_total").items() if value}
    assert counted == {("m", "chat")}


def test_a_clients_call_inside_is_an_attempt_of_the_call_around_it(scrape: Any) -> None:
    from geomon.tracking import track_client

    with geomon.track_ai("summarize", model="m"):
        with pytest.raises(TimeoutError), track_client("chat", model="m"):
            raise TimeoutError
        with track_client("chat", model="m"):
            pass
    assert scrape("ai_requests_total") == {("m", "summarize"): 1}
    assert scrape("ai_attempts_total") == {
        ("m", "error", "summarize"): 1,
        ("m", "ok", "summarize"): 1,
    }
    assert scrape("ai_errors_total") == {}


def test_stream_times_are_two_histograms(sink: PrometheusSink, registry: CollectorRegistry) -> None:
    sink(finished(time_to_first_token=0.5, time_per_output_token=0.02))
    assert series(registry, "ai_time_to_first_token_seconds_sum") == {("m", "chat"): 0.5}
    assert series(registry, "ai_time_per_output_token_seconds_sum") == {("m", "chat"): 0.02}


def test_the_rate_limit_is_the_last_one_told(
    sink: PrometheusSink, registry: CollectorRegistry
) -> None:
    sink(finished(rate_limit_remaining={"requests": 0.9, "tokens": 0.5}))
    sink(finished(rate_limit_remaining={"requests": 0.8}))
    sink(finished())
    assert series(registry, "ai_rate_limit_remaining_ratio") == {
        ("requests", "m"): 0.8,
        ("tokens", "m"): 0.5,
    }


def test_an_unknown_rate_limit_is_absent(sink: PrometheusSink, registry: CollectorRegistry) -> None:
    sink(finished())
    assert series(registry, "ai_rate_limit_remaining_ratio") == {}


# --- HTTP


def test_a_request_counts_under_its_status(scrape: Any) -> None:
    with geomon.track_request("post", "/v1/render") as call:
        call.status = 201
    assert scrape("http_requests_total") == {("/v1/render", "POST", "201"): 1}
    assert scrape("http_request_duration_seconds_count") == {("/v1/render", "POST"): 1}


@pytest.mark.parametrize(
    ("status", "errors"), [(200, {}), (404, {}), (499, {}), (500, 1), (503, 1), (599, 1)]
)
def test_a_5xx_is_an_error(scrape: Any, status: int, errors: Any) -> None:
    with geomon.track_request("GET", "/") as call:
        call.status = status
    assert scrape("error_rate_total") == ({("server_error",): 1} if errors else {})
    assert scrape("http_requests_total") == {("/", "GET", str(status)): 1}


def test_an_exception_in_a_request_is_a_500_and_an_error(scrape: Any) -> None:
    with pytest.raises(ValueError, match="no"), geomon.track_request("GET", "/"):
        raise ValueError("no")
    assert scrape("http_requests_total") == {("/", "GET", "500"): 1}
    assert scrape("error_rate_total") == {("other",): 1}
    assert scrape("ai_errors_total") == {}


def test_an_exception_that_knows_its_status_gives_it(scrape: Any) -> None:
    class TeapotError(Exception):
        status_code = 418

    with pytest.raises(TeapotError), geomon.track_request("GET", "/"):
        raise TeapotError
    assert scrape("http_requests_total") == {("/", "GET", "418"): 1}


def test_requests_that_are_sent_have_metrics_of_their_own(
    sink: PrometheusSink, registry: CollectorRegistry
) -> None:
    sink(client_request(duration=0.25))
    sink(client_request(status=503, outcome="error", error_type="server_error", duration=0.25))
    assert series(registry, "http_client_requests_total") == {
        ("a.example", "GET", "200"): 1,
        ("a.example", "GET", "503"): 1,
    }
    assert series(registry, "http_client_request_duration_seconds_sum") == {
        ("a.example", "GET"): 0.5
    }
    assert series(registry, "error_rate_total") == {("server_error",): 1}
    assert series(registry, "http_requests_total") == {}


# --- in progress


def test_an_open_call_is_in_progress(scrape: Any) -> None:
    with geomon.track_ai("chat", model="m"), geomon.track_request("GET", "/"):
        assert scrape("ai_requests_in_progress") == {("m", "chat"): 1}
        assert scrape("http_requests_in_progress") == {("GET",): 1}
    assert scrape("ai_requests_in_progress") == {("m", "chat"): 0}
    assert scrape("http_requests_in_progress") == {("GET",): 0}


def test_a_call_is_in_progress_under_what_was_known_at_its_start(scrape: Any) -> None:
    with geomon.track_ai("chat") as call:
        call.model = "late"
        assert scrape("ai_requests_in_progress") == {("unknown", "chat"): 1}
    assert scrape("ai_requests_in_progress") == {("unknown", "chat"): 0}
    assert scrape("ai_requests_total") == {("late", "chat"): 1}


@pytest.mark.parametrize("raised", [None, ValueError, asyncio.CancelledError, KeyboardInterrupt])
@pytest.mark.parametrize("buckets", [None, geomon.Buckets(ai=(1, 2), http=(1, 2))])
@pytest.mark.parametrize("again", [False, True])
def test_nothing_is_in_progress_after_any_outcome(
    registry: CollectorRegistry,
    raised: type[BaseException] | None,
    buckets: geomon.Buckets | None,
    again: bool,
) -> None:
    geomon.configure(registry=registry)
    with pytest.raises(raised) if raised is not None else nullcontext():
        with geomon.track_ai("chat"), geomon.track_request("GET", "/"):
            if again:
                geomon.configure(registry=registry, buckets=buckets)
            if raised is not None:
                raise raised
    assert sum(series(registry, "ai_requests_in_progress").values()) == 0
    assert sum(series(registry, "http_requests_in_progress").values()) == 0


@pytest.mark.parametrize("ending", ["read", "closed", "dropped"])
def test_nothing_is_in_progress_after_a_stream(scrape: Any, ending: str) -> None:
    @geomon.track_ai("words", model="m")
    def words() -> Iterator[str]:
        yield "a"
        yield "b"

    stream = words()
    next(stream)
    assert scrape("ai_requests_in_progress") == {("m", "words"): 1}
    if ending == "read":
        list(stream)
    elif ending == "closed":
        stream.close()  # type: ignore[attr-defined]
    del stream
    assert scrape("ai_requests_in_progress") == {("m", "words"): 0}


def test_a_call_that_outlives_its_configuration_ends_where_it_began(
    registry: CollectorRegistry,
) -> None:
    other = CollectorRegistry()
    geomon.configure(registry=registry)
    with geomon.track_ai("chat"):
        geomon.configure(registry=other)
    assert series(registry, "ai_requests_total") == {("unknown", "chat"): 1}
    assert series(registry, "ai_requests_in_progress") == {("unknown", "chat"): 0}
    assert series(other, "ai_requests_total") == {}


# --- registries and names


def test_importing_geomon_registers_nothing() -> None:
    program = (
        "import prometheus_client as p\n"
        "before = set(p.REGISTRY._names_to_collectors)\n"
        "import geomon, geomon.testing, geomon.sinks.prometheus, geomon.tracking\n"
        "@geomon.track_ai\n"
        "def decorated(): ...\n"
        "print(set(p.REGISTRY._names_to_collectors) - before)"
    )
    assert run(program) == "set()\n"


def test_the_first_call_registers_in_the_default_registry() -> None:
    program = (
        "import geomon, prometheus_client as p\n"
        "with geomon.track_ai('chat', model='m'): pass\n"
        "print(p.REGISTRY.get_sample_value('ai_requests_total', {'type': 'chat', 'model': 'm'}))"
    )
    assert run(program) == "1.0\n"


OWN = {"geomon_losses", "geomon_build_info"}
GROUPS = {
    "ai": {name for name in METRICS if name.startswith("ai_")},
    "served": {name for name in METRICS if name.startswith("http_re")},
    "sent": {name for name in METRICS if name.startswith("http_client_")},
    "errors": {"error_rate"},
}


SYSTEM = ("memory_usage_bytes", "memory_limit_bytes", "cpu_usage_percent", "active_users")


def registered(registry: CollectorRegistry) -> set[str]:
    """The families, but for those of the machine, which come when they are known."""
    return {one.name for one in registry.collect() if not one.name.endswith(SYSTEM)}


def use(*groups: str) -> None:
    """Makes the calls that need these groups."""
    if "ai" in groups:
        with geomon.track_ai("chat"):
            pass
    if "served" in groups:
        with geomon.track_request("GET", "/"):
            pass
    if "sent" in groups or "errors" in groups:
        for sink in dispatch.current().sinks:
            if isinstance(sink, PrometheusSink):
                sink(client_request(error_type="timeout" if "errors" in groups else None))


def test_configure_registers_what_geomon_says_of_itself(registry: CollectorRegistry) -> None:
    geomon.configure(registry=registry)
    assert registered(registry) == OWN


@pytest.mark.parametrize("group", ["ai", "served", "sent"])
def test_a_group_of_metrics_is_registered_when_first_needed(
    registry: CollectorRegistry, group: str
) -> None:
    geomon.configure(registry=registry)
    use(group)
    assert registered(registry) == OWN | GROUPS[group]
    use("ai", "served", "sent", "errors")
    assert registered(registry) == {*METRICS}


def test_configuring_again_registers_no_further_group(registry: CollectorRegistry) -> None:
    for _ in range(2):
        geomon.configure(registry=registry)
        use("ai")
    geomon.configure(registry=registry)
    assert registered(registry) == OWN | GROUPS["ai"]


def test_a_name_that_another_library_takes_later_is_a_loss_of_its_group(
    registry: CollectorRegistry,
) -> None:
    geomon.configure(registry=registry)
    use("ai")
    Counter("http_requests", "Another library's.", registry=registry)
    before = losses.counts().get(("metrics", "setup_failed"), 0)
    with contained_failures():
        use("served", "served", "sent", "ai")
    assert losses.counts()["metrics", "setup_failed"] == before + 1
    assert registered(registry) == OWN | GROUPS["ai"] | GROUPS["sent"] | {"http_requests"}
    assert series(registry, "ai_requests_total") == {("unknown", "chat"): 2}
    assert series(registry, "http_requests_total") == {(): 0}


THE_PROGRAMS_OWN = """
import prometheus_client as p
import geomon
with geomon.track_ai('chat', model='m'): pass
p.Counter("http_requests", "The program's own.", ["handler"])
p.Counter("error_rate", "The program's own.")
print(p.REGISTRY.get_sample_value('ai_requests_total', {'type': 'chat', 'model': 'm'}))
"""


def test_a_program_that_tracks_ai_calls_alone_keeps_the_names_of_http() -> None:
    assert run(THE_PROGRAMS_OWN) == "1.0\n"


@pytest.mark.parametrize(
    "taken", ["ai_requests", "http_requests", "error_rate", "http_requests_in_progress"]
)
def test_a_name_that_is_taken_is_an_error_that_says_what_to_write(
    registry: CollectorRegistry, taken: str
) -> None:
    Counter(taken, "Another library's.", registry=registry)
    with pytest.raises(ValueError, match=r'namespace="myapp"'):
        geomon.configure(registry=registry)


def test_a_name_that_is_taken_leaves_nothing_half_registered(registry: CollectorRegistry) -> None:
    taken = "http_client_request_duration_seconds"
    Gauge(taken, "Another library's, and the last that geomon makes.", registry=registry)
    with pytest.raises(ValueError, match="namespace="):
        geomon.configure(registry=registry)
    assert registered(registry) == {taken}
    geomon.configure(registry=registry, namespace="mine")
    use("ai", "served", "sent", "errors")
    assert registered(registry) == {taken, *(f"mine_{name}" for name in METRICS)}
    assert series(registry, taken) == {(): 0}


def test_other_buckets_that_meet_a_name_that_is_taken_leave_the_earlier_ones(
    registry: CollectorRegistry,
) -> None:
    geomon.configure(registry=registry)
    use("ai")
    Counter("http_requests", "Another library's.", registry=registry)
    with pytest.raises(ValueError, match="namespace="):
        geomon.configure(registry=registry, buckets=geomon.Buckets(ai=(1, 2)))
    use("ai")
    assert series(registry, "ai_requests_total") == {("unknown", "chat"): 2}


def test_a_set_up_that_failed_leaves_the_earlier_one_counting(registry: CollectorRegistry) -> None:
    geomon.configure(registry=registry)
    Counter("mine_error_rate", "Another library's.", registry=registry)
    with pytest.raises(ValueError, match="namespace="):
        geomon.configure(registry=registry, namespace="mine")
    with geomon.track_ai("chat"):
        pass
    assert series(registry, "ai_requests_total") == {("unknown", "chat"): 1}


def test_a_namespace_is_put_before_every_name(registry: CollectorRegistry) -> None:
    geomon.configure(registry=registry, namespace="mine")
    use("ai", "served", "sent", "errors")
    assert registered(registry) == {f"mine_{name}" for name in METRICS}


def test_two_namespaces_share_a_registry(registry: CollectorRegistry) -> None:
    for namespace in ("one", "two"):
        geomon.configure(registry=registry, namespace=namespace)
        with geomon.track_ai("chat"):
            pass
    assert series(registry, "one_ai_requests_total") == {("unknown", "chat"): 1}
    assert series(registry, "two_ai_requests_total") == {("unknown", "chat"): 1}


def test_configuring_again_goes_on_counting(registry: CollectorRegistry) -> None:
    for _ in range(3):
        geomon.configure(registry=registry)
        with geomon.track_ai("chat"):
            pass
    assert series(registry, "ai_requests_total") == {("unknown", "chat"): 3}


def test_configuring_again_with_other_buckets_works(registry: CollectorRegistry) -> None:
    geomon.configure(registry=registry)
    geomon.configure(registry=registry, buckets=geomon.Buckets(ai=(1, 2)))
    with geomon.track_ai("chat"):
        pass
    assert series(registry, "ai_request_duration_seconds_bucket") == {
        ("1.0", "unknown", "chat"): 1,
        ("2.0", "unknown", "chat"): 1,
        ("+Inf", "unknown", "chat"): 1,
    }


def test_configuring_again_brings_unregistered_metrics_back(registry: CollectorRegistry) -> None:
    geomon.configure(registry=registry)
    for collector in list(registry._collector_to_names):
        registry.unregister(collector)
    geomon.configure(registry=registry)
    with geomon.track_ai("chat"):
        pass
    assert series(registry, "ai_requests_total") == {("unknown", "chat"): 1}


def test_other_buckets_bring_unregistered_metrics_back(registry: CollectorRegistry) -> None:
    geomon.configure(registry=registry)
    for collector in list(registry._collector_to_names):
        registry.unregister(collector)
    geomon.configure(registry=registry, buckets=geomon.Buckets(ai=(1, 2)))
    use("ai", "served", "sent", "errors")
    assert registered(registry) == {*METRICS}


RELOADED = """
import sys
import prometheus_client as p
import geomon
buckets = geomon.Buckets(ai=(1, 2)) if sys.argv[1] == "other" else None
geomon.configure()
with geomon.track_ai("chat", model="m"): pass
for name in [name for name in sys.modules if name.split(".")[0] == "geomon"]:
    del sys.modules[name]
import geomon
if sys.argv[1] == "other":
    geomon.configure(buckets=geomon.Buckets(ai=(1, 2)))
elif sys.argv[1] == "configure":
    geomon.configure()
with geomon.track_ai("chat", model="m"): pass
from geomon import losses
losses.count("part", "reason", 2)
print(p.REGISTRY.get_sample_value("ai_requests_total", {"type": "chat", "model": "m"}))
print(p.REGISTRY.get_sample_value("geomon_losses_total", {"part": "part", "reason": "reason"}))
"""


@pytest.mark.parametrize("way", ["configure", "first use"])
def test_reloaded_modules_go_on_counting(way: str) -> None:
    assert run(RELOADED, way) == "2.0\n2.0\n"


def test_reloaded_modules_take_other_buckets() -> None:
    assert run(RELOADED, "other").splitlines()[1] == "2.0"


CLASH = """
import logging, prometheus_client as p
p.Counter("ai_requests", "Another library's.")
p.Counter("error_rate", "Another library's.")
import geomon
from geomon import losses
records = []
class Keep(logging.Handler):
    def emit(self, record): records.append((record.name, record.levelname))
logging.getLogger().addHandler(Keep())
logging.getLogger().setLevel("INFO")
@geomon.track_ai
def work(): return "done"
print(work(), work())
with geomon.track_request("GET", "/"): pass
print(losses.counts())
print(records)
shown = p.REGISTRY.get_sample_value
print(shown("http_requests_total", {"method": "GET", "endpoint": "/", "status": "200"}))
print(shown("geomon_losses_total", {"part": "metrics", "reason": "setup_failed"}))
print(shown("ai_errors_total", {"type": "work", "model": "unknown", "error_type": "other"}))
"""


def test_a_clash_without_configure_is_a_counted_loss_and_the_program_runs() -> None:
    assert run(CLASH) == (
        "done done\n"
        "{('metrics', 'setup_failed'): 1}\n"
        "[('geomon', 'WARNING'), ('geomon.ai', 'INFO'), ('geomon.ai', 'INFO'), "
        "('geomon.http', 'INFO')]\n"
        "1.0\n1.0\nNone\n"
    )


FIRST_USE = """
import sys, threading
sys.setswitchinterval(1e-6)
import prometheus_client as p
import geomon
from geomon import losses
barrier = threading.Barrier(16)
@geomon.track_ai("chat", model="m")
def work(): ...
def first():
    barrier.wait()
    work()
threads = [threading.Thread(target=first) for _ in range(16)]
for t in threads: t.start()
for t in threads: t.join()
work()
print(p.REGISTRY.get_sample_value("ai_requests_total", {"type": "chat", "model": "m"}))
print(losses.counts())
"""


def test_many_threads_may_make_the_first_call_at_once() -> None:
    assert run(FIRST_USE) == "17.0\n{}\n"


def test_no_call_is_lost_between_threads(registry: CollectorRegistry) -> None:
    geomon.configure(registry=registry)
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        for number in range(1000):
            with geomon.track_ai("chat", model=f"m{number % 3}"), geomon.track_request("GET", "/"):
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(usual)
    assert sum(series(registry, "ai_requests_total").values()) == 8000
    assert sum(series(registry, "ai_request_duration_seconds_count").values()) == 8000
    assert sum(series(registry, "http_requests_total").values()) == 8000
    assert {*series(registry, "ai_requests_in_progress").values()} == {0}


# --- losses


def lost(registry: CollectorRegistry, part: str) -> dict[str, float]:
    shown = series(registry, "geomon_losses_total")
    return {reason: value for (of, reason), value in shown.items() if of == part}


def test_losses_of_before_are_shown(registry: CollectorRegistry) -> None:
    losses.count("shown", "before", 3)
    before = losses.counts()["shown", "before"]
    geomon.configure(registry=registry)
    assert lost(registry, "shown") == {"before": before}


def test_new_losses_are_shown(registry: CollectorRegistry) -> None:
    geomon.configure(registry=registry)
    losses.count("new", "now", 2)
    losses.count("new", "now", 5)
    assert lost(registry, "new") == {"now": losses.counts()["new", "now"]}


@pytest.mark.parametrize("last", [None, geomon.Buckets(ai=(1,))])
def test_configuring_again_shows_each_loss_once(
    registry: CollectorRegistry, last: geomon.Buckets | None
) -> None:
    losses.count("again", "before", 3)
    for _ in range(3):
        geomon.configure(registry=registry)
    losses.count("again", "after", 4)
    geomon.configure(registry=registry, buckets=last)
    losses.count("again", "last", 5)
    assert lost(registry, "again") == {
        reason: amount for (part, reason), amount in losses.counts().items() if part == "again"
    }


def test_two_sinks_of_one_registry_show_each_loss_once(registry: CollectorRegistry) -> None:
    sinks = [PrometheusSink(registry), PrometheusSink(registry)]
    losses.count("twice", "now", 3)
    losses.count("twice", "now", 4)
    assert lost(registry, "twice") == {"now": losses.counts()["twice", "now"]}
    for sink in sinks:
        sink.close()


def test_a_sink_that_fails_is_counted_and_the_others_go_on(registry: CollectorRegistry) -> None:
    def fails(call: Call) -> None:
        raise OSError("disk full")

    geomon.configure(registry=registry, sinks=[fails])
    before = losses.counts().get(("sink", "failed"), 0)
    with contained_failures(), geomon.track_ai("chat"):
        pass
    assert losses.counts()["sink", "failed"] == before + 1
    assert lost(registry, "sink")["failed"] == before + 1
    assert series(registry, "ai_requests_total") == {("unknown", "chat"): 1}


# --- what interrupts a count


def ends(work: Any) -> bool:
    """Whether it ends; a thread that waits for a lock it holds itself never does."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(10)
    return not thread.is_alive()


def test_a_number_that_tracks_a_call_when_it_is_read_does_not_deadlock(scrape: Any) -> None:
    class Ratio(float):
        def __float__(self) -> float:
            with geomon.track_ai("inner"):
                return 0.5

    def work() -> None:
        dispatch.current().sinks[0](finished(rate_limit_remaining={"tokens": Ratio(0.5)}))

    assert ends(work)
    assert scrape("ai_rate_limit_remaining_ratio") == {("tokens", "m"): 0.5}


def test_a_finalizer_may_track_a_call_while_a_scrape_reads(registry: CollectorRegistry) -> None:
    geomon.configure(registry=registry)
    made = itertools.count()
    histogram = store.HistogramChild((1.0, float("inf")))

    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            with geomon.track_ai("chat", model=f"m{next(made)}"):
                pass

    def work() -> None:
        for _ in range(100):
            gc.disable()
            Cycle()
            gc.enable()
            histogram.read()  # what it allocates makes the collector run

    usual = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        assert ends(work)
    finally:
        gc.set_threshold(*usual)
    gc.collect()
    assert sum(series(registry, "ai_requests_total").values()) == next(made) == 100


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
def test_a_signal_handler_may_track_a_call_at_any_moment() -> None:
    assert run(SIGNALS).startswith("no hang")


SIGNALS = """
import faulthandler, signal, time, geomon
faulthandler.dump_traceback_later(20, exit=True)
from prometheus_client import CollectorRegistry, generate_latest
registry = CollectorRegistry()
geomon.configure(registry=registry, sinks=[])
number = 0
def tracked():
    global number
    number += 1
    with geomon.track_ai("chat", model=f"m{number % 900}"): pass
for _ in range(100): tracked()
signal.signal(signal.SIGALRM, lambda *_: tracked())
signal.setitimer(signal.ITIMER_REAL, .0002, .0002)
end = time.time() + 2
while time.time() < end:
    tracked()
    for sink in geomon.dispatch.pipeline.sinks[:1]:
        for child in list(sink.families.ai.duration._children.values()): child.read()
signal.setitimer(signal.ITIMER_REAL, 0)
print("no hang")
"""
