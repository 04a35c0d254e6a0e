"""What a call keeps alive, and calls whose streams are dropped where sinks must not run."""

from __future__ import annotations

import asyncio
import gc
import queue
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

import geomon
from geomon import tracking
from geomon.testing import capture_calls
from geomon.tracking.active import ActiveCall


@geomon.track_ai("stream")
def stream() -> Iterator[int]:
    yield 1
    yield 2


class Cycle:
    """Keeps a started stream until the garbage collector comes."""

    def __init__(self) -> None:
        self.me = self
        self.stream = stream()
        next(self.stream)


def abandoned(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("ai_requests_total", {"type": "stream", "model": "unknown"})


def in_progress(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value(
        "ai_requests_in_progress", {"type": "stream", "model": "unknown"}
    )


def test_five_thousand_streams_dropped_by_one_collection_are_all_counted() -> None:
    registry = CollectorRegistry()
    with geomon.configure(registry=registry):
        gc.disable()
        try:
            for _ in range(5000):
                Cycle()
        finally:
            gc.enable()
        gc.collect()
        assert (abandoned(registry), in_progress(registry)) == (5000, 0)


def test_five_thousand_streams_collected_while_a_sink_runs_are_all_counted() -> None:
    registry, collected = CollectorRegistry(), []

    def collecting(call: geomon.Call) -> None:
        if call.type == "trigger" and not collected:
            collected.append(gc.collect())

    with geomon.configure(registry=registry, sinks=[collecting]):
        gc.disable()
        try:
            for _ in range(5000):
                Cycle()
            with geomon.track_ai("trigger"):
                pass
        finally:
            gc.enable()
        assert (abandoned(registry), in_progress(registry)) == (5000, 0)


def test_a_collection_inside_a_queue_of_the_program_s_waits_for_nothing() -> None:
    class Collecting(queue.Queue[Any]):
        def _get(self) -> Any:
            gc.collect()  # with the queue's own lock held
            return super()._get()

    calls = Collecting()
    with geomon.configure(registry=CollectorRegistry(), sinks=[calls.put]):
        Cycle()
        with geomon.track_ai("first"):
            pass
        assert calls.get().type == "first"
        with geomon.track_ai("second"):  # its begin ends what was dropped
            pass
        assert [calls.get_nowait().type for _ in range(2)] == ["stream", "second"]


def test_a_scrape_in_another_thread_ends_what_was_dropped() -> None:
    registry, seen = CollectorRegistry(), []
    with geomon.configure(registry=registry):
        Cycle()
        gc.collect()
        thread = threading.Thread(target=lambda: seen.append(abandoned(registry)))
        thread.start()
        thread.join()
    assert seen == [1]


def test_the_last_calls_hold_what_was_dropped() -> None:
    with geomon.configure(registry=CollectorRegistry()) as handle:
        Cycle()
        gc.collect()
        assert [(call.type, call.outcome) for call in handle.recent] == [("stream", "abandoned")]


def live_calls() -> int:
    gc.collect()
    return sum(1 for thing in gc.get_objects() if type(thing) is ActiveCall)


def test_a_relay_of_overlapping_tasks_keeps_no_ended_call() -> None:
    async def relay() -> int:
        ended = asyncio.Event()
        most = 0

        async def step(left: int) -> None:
            nonlocal most
            with geomon.track_ai("relay"):
                if left:
                    task = asyncio.create_task(step(left - 1))
                    running.add(task)  # a task that is done would keep its context
                    task.add_done_callback(running.discard)
                else:
                    most = live_calls()
                    ended.set()
                await asyncio.sleep(0)
                await asyncio.sleep(0)

        running: set[asyncio.Task[None]] = set()
        await step(500)
        await ended.wait()
        return most

    with capture_calls(only=True) as calls:
        before = live_calls()
        most = asyncio.run(relay())
    assert (len(calls), most - before < 20) == (501, True)


def test_a_task_that_outlives_its_call_does_not_keep_the_response() -> None:
    class Response(dict[str, Any]):
        pass

    async def main() -> None:
        released = asyncio.Event()
        with geomon.track_ai("outer") as call:
            background = asyncio.create_task(released.wait())
            response = Response(object="chat.completion", model="m", choices=[], usage={})
            call.record(response)
        gone = weakref.ref(response)
        del response, call
        gc.collect()
        assert gone() is None
        released.set()
        await background

    with capture_calls(only=True):
        asyncio.run(main())


def test_what_is_set_after_the_end_leaves_the_record_alone() -> None:
    with capture_calls(only=True) as calls:
        with geomon.track_ai("x") as call:
            call.set(a=1)
        call.set(a=2, b=2)
    assert dict(calls[0].attributes) == {"a": 1}


def test_a_record_s_attributes_cannot_be_changed() -> None:
    with capture_calls(only=True) as calls, geomon.track_ai("x") as call:
        call.first_token()
    with pytest.raises(TypeError):
        calls[0].attributes["a"] = 1  # type: ignore[index]


def test_an_outer_call_does_not_count_again_what_a_hundred_inner_ones_read() -> None:
    class Response(dict[str, Any]):
        pass

    responses = [
        Response(
            object="chat.completion",
            model="m",
            choices=[],
            usage={"prompt_tokens": 1, "completion_tokens": 1},
        )
        for _ in range(100)
    ]
    with geomon.meter() as m, capture_calls(only=True), geomon.track_ai("outer") as outer:
        for response in responses:
            with geomon.track_ai("inner") as inner:
                inner.record(response)
        for response in responses:
            outer.record(response)
    assert m.tokens == 200


def chunks() -> Iterator[dict[str, Any]]:
    yield {
        "type": "message_start",
        "message": {"type": "message", "model": "c", "usage": {"input_tokens": 100}},
    }
    yield {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "hi"}}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"input_tokens": 100, "output_tokens": 50},
    }


def test_a_stream_that_a_block_records_is_read_as_it_passes() -> None:
    with capture_calls(only=True) as calls, geomon.track_ai("block") as call:
        for _ in call.record(chunks()):
            assert geomon.current_call() is call
    (record,) = calls
    assert (record.outcome, record.tokens, record.finish_reasons) == ("ok", 150, ("end_turn",))
    assert record.time_to_first_token is not None


def test_a_stream_that_a_function_records_ends_with_the_function() -> None:
    @geomon.track_ai("text")
    def text() -> str:
        for _ in geomon.record(chunks()):
            pass
        return "hi"

    with capture_calls(only=True) as calls:
        text()
    assert [(call.type, call.outcome, call.tokens) for call in calls] == [("text", "ok", 150)]


def test_a_recorded_stream_that_outlives_its_block_changes_nothing() -> None:
    with capture_calls(only=True) as calls:
        with geomon.track_ai("block") as call:
            rest = call.record(chunks())
            next(rest)
        assert len(list(rest)) == 2
    assert [(call.type, call.outcome) for call in calls] == [("block", "ok")]


def test_a_recorded_stream_that_outlives_its_block_may_make_calls() -> None:
    def calling() -> Iterator[int]:
        for i in range(2):
            with geomon.track_ai("inner"):
                yield i

    with geomon.track_ai("outer") as call:
        stream = call.record(calling())
    assert list(stream) == [0, 1]


def test_record_gives_back_what_it_was_given() -> None:
    response = {"object": "chat.completion"}
    with capture_calls(only=True), geomon.track_ai("x"):
        assert geomon.record(response) is response
    assert geomon.record(response) is response


def test_a_block_in_an_exit_stack_stands_where_the_stack_does() -> None:
    import contextlib

    with capture_calls(only=True) as calls, contextlib.ExitStack() as stack:
        stack.enter_context(geomon.track_ai())
    ((file, _, function),) = [call.code for call in calls if call.code is not None]
    assert (file, function) == (
        __file__,
        "test_a_block_in_an_exit_stack_stands_where_the_stack_does",
    )


def test_drain_without_dropped_streams_does_nothing() -> None:
    with capture_calls(only=True) as calls:
        tracking.drain()
    assert calls == []
