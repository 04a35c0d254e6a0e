"""What can be a sink, and what becomes of calls that are open when it is closed."""

from __future__ import annotations

import functools
import queue
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

import geomon
from geomon import dispatch, losses
from geomon.call import Call
from geomon.testing import contained_failures


async def asynchronous(call: Call) -> None: ...


async def items(call: Call) -> AsyncIterator[Call]:
    yield call


def generator(call: Call) -> Iterator[Call]:
    yield call


class Awaited:
    async def __call__(self, call: Call) -> None: ...

    async def method(self, call: Call) -> None: ...


class Sink:
    """Keeps calls, and whether it was closed when each came."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bool]] = []
        self.closed = False

    def __call__(self, call: Call) -> None:
        self.heard.append((str(call.type), self.closed))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


LAZY = [
    asynchronous,
    items,
    generator,
    functools.partial(asynchronous),
    Awaited(),
    Awaited().method,
]


@pytest.mark.parametrize("sink", LAZY)
def test_a_sink_whose_body_nobody_would_run_is_refused(
    registry: CollectorRegistry, sink: Any
) -> None:
    with pytest.raises(TypeError, match=r"nobody would run: write a plain function"):
        geomon.configure(registry=registry, sinks=[sink])


@pytest.mark.parametrize("sink", [Sink, list])
def test_a_class_is_refused_as_a_sink(registry: CollectorRegistry, sink: Any) -> None:
    with pytest.raises(TypeError, match=rf"is a class: write {sink.__name__}\(\.\.\.\)"):
        geomon.configure(registry=registry, sinks=[sink])


def test_functions_methods_partials_and_objects_are_sinks(registry: CollectorRegistry) -> None:
    heard: list[Call] = []
    calls: queue.SimpleQueue[Call] = queue.SimpleQueue()
    sinks: list[Any] = [heard.append, calls.put, functools.partial(print, end=""), Sink()]
    with geomon.configure(registry=registry, sinks=[*sinks, lambda call: None]):
        with geomon.track_ai("chat"):
            pass
    assert (calls.get().type, [call.type for call in heard]) == ("chat", ["chat"])


def test_a_call_that_is_open_at_close_still_reaches_its_sinks(registry: CollectorRegistry) -> None:
    sink = Sink()
    handle = geomon.configure(registry=registry, sinks=[sink])
    with geomon.track_ai("early"):
        handle.close()
        with geomon.track_ai("late"):
            pass
    assert sink.heard == [("early", True)]
    assert len(handle.recent) == 1


def test_a_call_that_is_open_when_geomon_is_configured_again_ends_where_it_began(
    registry: CollectorRegistry,
) -> None:
    first, second = Sink(), Sink()
    geomon.configure(registry=registry, sinks=[first])
    with geomon.track_ai("early"):
        geomon.configure(registry=registry, sinks=[second])
    assert (first.heard, second.heard) == ([("early", True)], [])
    assert registry.get_sample_value("ai_requests_total", {"type": "early", "model": "unknown"})


def test_what_a_closed_sink_raises_is_contained(registry: CollectorRegistry) -> None:
    class Strict(Sink):
        def __call__(self, call: Call) -> None:
            if self.closed:
                raise ValueError("I/O operation on closed file")

    before = losses.counts().get(("sink", "failed"), 0)
    with contained_failures():
        handle = geomon.configure(registry=registry, sinks=[Strict()])
        with geomon.track_ai("early"):
            handle.close()
    assert losses.counts()["sink", "failed"] == before + 1


class Telling:
    """Its repr shows what it holds."""

    def __call__(self, call: Call) -> None:
        raise OSError

    def __repr__(self) -> str:
        return "a secret prompt"


def test_a_sink_that_fails_is_named_by_its_class_not_its_contents(
    registry: CollectorRegistry, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first(call: Call) -> None:
        raise OSError

    monkeypatch.setattr(losses, "_said", set())
    with contained_failures(), geomon.configure(registry=registry, sinks=[first, Telling()]):
        for _ in range(2):
            with geomon.track_ai("chat"):
                pass
    said = [record.getMessage() for record in caplog.records if record.name == "geomon"]
    assert said == [
        f"geomon lost something (further ones are only counted): sink {name}: OSError"
        for name in (first.__qualname__, "Telling")
    ]


def test_a_pipeline_that_was_closed_is_not_put_in_force_again() -> None:
    closed = dispatch.Pipeline(())
    closed.closed = True
    earlier = dispatch.install(closed)
    try:
        assert dispatch.pipeline is dispatch.OFF
    finally:
        dispatch.install(earlier)
