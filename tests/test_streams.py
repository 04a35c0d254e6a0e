"""Generators and clients' streams: what they keep, how their calls end, and how long they last."""

import asyncio
import contextlib
import gc
import inspect
import logging
import threading
import types
import warnings
from contextvars import copy_context
from typing import Any

import prometheus_client
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import geomon
from geomon import context, dispatch, streams, track_ai
from geomon.testing import capture_calls


def outcomes(calls: list[geomon.Call]) -> list[tuple[str | None, str]]:
    return [(call.type, call.outcome) for call in calls]


@track_ai("x")
def numbers(n: int = 3) -> Any:
    """Counts up."""
    yield from range(n)
    return "done"


@track_ai("x")
async def async_numbers(n: int = 3) -> Any:
    for i in range(n):
        yield i


@track_ai("x")
def echo() -> Any:
    got = []
    while len(got) < 3:
        try:
            got.append((yield len(got)))
        except KeyError as error:
            got.append(error)
    return got


@track_ai("x")
async def async_echo() -> Any:
    got = []
    while len(got) < 3:
        try:
            got.append((yield len(got)))
        except KeyError:
            got.append("KeyError")


class Stream:
    """A client's stream: an iterator with attributes, closed by `with` or `close`."""

    def __init__(self, items: Any = (0, 1, 2), error: BaseException | None = None) -> None:
        self.items, self.error, self.closed = iter(items), error, 0
        self.response = object()

    def __iter__(self):
        return self

    def __next__(self):
        for item in self.items:
            return item
        if self.error is not None:
            raise self.error
        raise StopIteration

    def close(self):
        self.closed += 1

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class AsyncStream:
    """The same, asynchronous."""

    def __init__(self, items: Any = (0, 1, 2), error: BaseException | None = None) -> None:
        self.items, self.error, self.closed = iter(items), error, 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        for item in self.items:
            return item
        if self.error is not None:
            raise self.error
        raise StopAsyncIteration

    async def close(self):
        self.closed += 1

    aclose = close

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        await self.close()


class BothStream(Stream):
    """Read with `for` or `async for`, as litellm's."""

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return next(self)
        except StopIteration:
            raise StopAsyncIteration from None

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        self.close()


def sync_sources() -> list[Any]:
    """Functions that give `0, 1, 2` in every synchronous way."""
    return [
        pytest.param(numbers, id="generator"),
        pytest.param(track_ai("x")(lambda: Stream()), id="stream object"),
        pytest.param(track_ai("x")(lambda: iter([0, 1, 2])), id="iterator"),
        pytest.param(track_ai("x")(lambda: (i for i in range(3))), id="generator returned"),
        pytest.param(track_ai("x")(lambda: BothStream()), id="both"),
    ]


async def _async_stream():
    return AsyncStream()


async def _async_generator():
    for i in range(3):
        yield i


async def _async_generator_returned():
    return _async_generator()


def async_sources() -> list[Any]:
    """Functions that give `0, 1, 2` in every asynchronous way, some to be awaited first."""
    return [
        pytest.param(async_numbers, id="async generator"),
        pytest.param(track_ai("x")(lambda: AsyncStream()), id="stream object"),
        pytest.param(track_ai("x")(_async_stream), id="async function"),
        pytest.param(track_ai("x")(lambda: _async_stream()), id="coroutine"),
        pytest.param(track_ai("x")(lambda: _async_generator()), id="generator returned"),
        pytest.param(track_ai("x")(_async_generator_returned), id="generator from async"),
        pytest.param(track_ai("x")(lambda: BothStream()), id="both"),
    ]


EACH_SOURCE = pytest.mark.parametrize("source", sync_sources())
EACH_ASYNC_SOURCE = pytest.mark.parametrize("source", async_sources())


async def opened(source: Any) -> Any:
    stream = source()
    return await stream if inspect.isawaitable(stream) else stream


# --- outcomes


@EACH_SOURCE
def test_a_stream_read_to_its_end_is_ok(calls, source):
    assert list(source()) == [0, 1, 2]
    assert outcomes(calls) == [("x", "ok")]


@EACH_ASYNC_SOURCE
def test_an_async_stream_read_to_its_end_is_ok(calls, source):
    async def main():
        return [item async for item in await opened(source)]

    assert asyncio.run(main()) == [0, 1, 2]
    assert outcomes(calls) == [("x", "ok")]


@EACH_SOURCE
def test_a_stream_is_an_open_call_until_its_end(calls, source):
    stream = source()
    assert [next(stream), next(stream), next(stream)] == [0, 1, 2]
    assert calls == []
    assert next(stream, None) is None
    assert outcomes(calls) == [("x", "ok")]


@EACH_SOURCE
def test_a_stream_asked_again_after_its_end_counts_once(calls, source):
    stream = source()
    list(stream)
    assert list(stream) == []
    del stream
    gc.collect()
    assert outcomes(calls) == [("x", "ok")]


@pytest.mark.parametrize("source", [s for s in sync_sources() if s.id != "iterator"])
def test_a_stream_closed_early_is_cancelled(calls, source):
    stream = source()
    next(stream)
    stream.close()
    assert [(call.outcome, call.error_type, call.error) for call in calls] == [
        ("cancelled", "cancelled", None)
    ]


@pytest.mark.parametrize("source", [s for s in async_sources() if s.id != "both"])
def test_an_async_stream_closed_early_is_cancelled(calls, source):
    async def main():
        stream = await opened(source)
        await anext(stream)
        await stream.aclose()

    asyncio.run(main())
    assert outcomes(calls) == [("x", "cancelled")]


@pytest.mark.parametrize("source", [s for s in sync_sources() if s.id != "iterator"])
def test_a_stream_closed_after_its_end_is_ok(calls, source):
    stream = source()
    list(stream)
    stream.close()
    assert outcomes(calls) == [("x", "ok")]


@pytest.mark.parametrize("source", [s for s in sync_sources() if s.id != "iterator"])
def test_a_stream_closed_twice_counts_once(calls, source):
    stream = source()
    next(stream)
    stream.close()
    stream.close()
    assert outcomes(calls) == [("x", "cancelled")]


@EACH_SOURCE
def test_a_stream_that_is_dropped_is_abandoned(calls, source):
    stream = source()
    next(stream)
    del stream
    gc.collect()
    assert outcomes(calls) == [("x", "abandoned")]


@EACH_ASYNC_SOURCE
def test_an_async_stream_that_is_dropped_is_abandoned(calls, source):
    async def main():
        stream = await opened(source)
        await anext(stream)
        del stream
        gc.collect()
        await asyncio.sleep(0)

    asyncio.run(main())
    assert outcomes(calls) == [("x", "abandoned")]


def test_a_stream_that_a_loop_breaks_off_is_abandoned(calls):
    for _ in numbers():
        break
    gc.collect()
    assert outcomes(calls) == [("x", "abandoned")]


def test_a_stream_in_a_reference_cycle_is_abandoned_when_it_is_collected(calls):
    stream = numbers()
    next(stream)
    cycle = [stream]
    cycle.append(cycle)
    del stream, cycle
    gc.collect()
    assert calls == []  # the collector may have come while any lock is held
    dispatch.settle()
    assert outcomes(calls) == [("x", "abandoned")]


@pytest.mark.parametrize("source", [numbers, async_numbers, echo])
def test_a_generator_that_is_never_iterated_is_no_call(calls, source):
    source()
    gc.collect()
    assert calls == []


def test_a_generator_closed_before_its_first_step_is_no_call(calls):
    numbers().close()
    assert calls == []


def test_a_client_s_stream_that_is_never_read_is_abandoned(calls):
    track_ai("x")(Stream().__enter__)()
    gc.collect()
    assert outcomes(calls) == [("x", "abandoned")]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ValueError("v"), "error"),
        (asyncio.CancelledError(), "cancelled"),
        (KeyboardInterrupt(), "cancelled"),
    ],
    ids=["error", "cancelled", "interrupt"],
)
@pytest.mark.parametrize("shape", ["generator", "stream object"])
def test_a_stream_that_fails_midway_has_its_exception_s_outcome(calls, error, outcome, shape):
    @track_ai("x")
    def failing():
        yield 0
        raise error

    stream = failing() if shape == "generator" else track_ai("x")(lambda: Stream([0], error))()
    next(stream)
    with pytest.raises(type(error)) as raised:
        next(stream)
    assert raised.value is error
    assert [(call.outcome, call.error) for call in calls] == [(outcome, error)]


def test_an_async_stream_that_fails_midway_is_an_error(calls):
    error = ValueError("v")

    async def main():
        async for _ in track_ai("x")(lambda: AsyncStream([0], error))():
            pass

    with pytest.raises(ValueError, match="v") as raised:
        asyncio.run(main())
    assert raised.value is error
    assert outcomes(calls) == [("x", "error")]


def test_a_task_cancelled_while_it_waits_for_an_item_cancels_the_stream(calls):
    @track_ai("x")
    async def endless():
        yield 0
        await asyncio.Event().wait()

    async def read():
        async for _ in endless():
            pass

    async def main():
        task = asyncio.create_task(read())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    assert outcomes(calls) == [("x", "cancelled")]


def test_a_generator_that_fails_while_it_is_closed_is_an_error(calls):
    @track_ai("x")
    def stubborn():
        try:
            yield 0
        finally:
            raise ValueError("v")

    stream = stubborn()
    next(stream)
    with pytest.raises(ValueError, match="v"):
        stream.close()
    assert outcomes(calls) == [("x", "error")]


def test_a_generator_that_goes_on_after_close_raises_as_undecorated(calls):
    @track_ai("x")
    def stubborn():
        try:
            yield 0
        except GeneratorExit:
            yield 1

    stream = stubborn()
    next(stream)
    with pytest.raises(RuntimeError, match="generator ignored GeneratorExit"):
        stream.close()
    assert outcomes(calls) == [("x", "error")]


def test_a_generator_that_is_busy_raises_and_goes_on(calls):
    @track_ai("x")
    def reentrant():
        with pytest.raises(ValueError, match="generator already executing"):
            next(stream)
        yield 1

    stream = reentrant()
    assert list(stream) == [1]
    assert outcomes(calls) == [("x", "ok")]


def test_a_stream_that_is_iterated_in_another_thread_counts_once(calls):
    stream = numbers()
    next(stream)
    thread = threading.Thread(target=list, args=(stream,))
    thread.start()
    thread.join()
    assert outcomes(calls) == [("x", "ok")]


def test_a_stream_that_many_threads_read_counts_once(calls):
    lock = threading.Lock()
    stream = track_ai("x")(lambda: iter(range(1000)))()
    got = []

    def read():
        while True:
            with lock:
                item = next(stream, None)
            if item is None:
                return
            got.append(item)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(1000))
    assert outcomes(calls) == [("x", "ok")]


def test_an_async_stream_that_is_read_in_several_tasks_counts_once(calls):
    async def main():
        stream = async_numbers(4)
        return [await asyncio.create_task(_next(stream)) for _ in range(5)]

    async def _next(stream):
        return await anext(stream, None)

    assert asyncio.run(main()) == [0, 1, 2, 3, None]
    assert outcomes(calls) == [("x", "ok")]


def test_an_async_generator_closed_in_another_task_is_cancelled(calls):
    async def main():
        stream = async_numbers()
        await anext(stream)
        await asyncio.create_task(_close(stream))
        return geomon.current_call()

    async def _close(stream):
        await stream.aclose()
        return geomon.current_call()

    assert asyncio.run(main()) is None
    assert outcomes(calls) == [("x", "cancelled")]


def test_an_async_generator_left_open_at_the_loop_s_end_ends_once(calls):
    kept = []

    async def main():
        kept.append(async_numbers())
        await anext(kept[0])

    asyncio.run(main())
    kept.clear()
    gc.collect()
    assert outcomes(calls) == [("x", "abandoned")]


def test_a_stream_closed_by_its_with_block_before_its_end_is_cancelled(calls):
    with track_ai("x")(lambda: Stream())() as stream:
        assert next(stream) == 0
    assert stream.closed == 1
    assert outcomes(calls) == [("x", "cancelled")]


def test_a_stream_read_to_its_end_in_its_with_block_is_ok(calls):
    with track_ai("x")(lambda: Stream())() as stream:
        assert list(stream) == [0, 1, 2]
    assert stream.closed == 1
    assert outcomes(calls) == [("x", "ok")]


def test_an_async_stream_closed_by_its_with_block_is_cancelled(calls):
    async def main():
        async with track_ai("x")(lambda: AsyncStream())() as stream:
            assert await anext(stream) == 0
        return stream.closed

    assert asyncio.run(main()) == 1
    assert outcomes(calls) == [("x", "cancelled")]


def test_a_dual_stream_closed_by_its_async_with_block_is_cancelled(calls):
    async def main():
        async with track_ai("x")(lambda: BothStream())() as stream:
            assert await anext(stream) == 0
        return stream.closed

    assert asyncio.run(main()) == 1
    assert outcomes(calls) == [("x", "cancelled")]


def test_an_exception_in_a_stream_s_with_block_is_the_program_s(calls):
    error = ValueError("v")
    stream = track_ai("x")(lambda: Stream())()
    with pytest.raises(ValueError, match="v") as raised, stream:
        raise error
    assert raised.value is error
    assert outcomes(calls) == [("x", "cancelled")]


class StreamManager:
    """As openai's and anthropic's `client.stream(...)`: gives its stream when it is entered."""

    __module__ = "anthropic.lib.streaming"

    def __enter__(self):
        self.stream = Stream()
        return self.stream

    def __exit__(self, *exc):
        self.stream.close()


class AsyncStreamManager:
    __module__ = "anthropic.lib.streaming"

    async def __aenter__(self):
        return AsyncStream()

    async def __aexit__(self, *exc):
        return None


def test_a_stream_manager_s_call_ends_with_its_stream(calls):
    with track_ai("x")(lambda: StreamManager())() as stream:
        assert list(stream) == [0, 1, 2]
        assert outcomes(calls) == [("x", "ok")]
    assert outcomes(calls) == [("x", "ok")]


def test_a_stream_manager_left_before_the_end_is_cancelled(calls):
    with track_ai("x")(lambda: StreamManager())() as stream:
        next(stream)
    assert outcomes(calls) == [("x", "cancelled")]


def test_a_stream_manager_that_is_never_entered_is_abandoned(calls):
    track_ai("x")(lambda: StreamManager())()
    gc.collect()
    assert outcomes(calls) == [("x", "abandoned")]


def test_an_async_stream_manager_s_call_ends_with_its_stream(calls):
    async def main():
        async with track_ai("x")(lambda: AsyncStreamManager())() as stream:
            return [item async for item in stream]

    assert asyncio.run(main()) == [0, 1, 2]
    assert outcomes(calls) == [("x", "ok")]


def test_a_response_manager_lasts_to_the_end_of_its_block(calls, clock):
    class ResponseContextManager:
        __module__ = "openai._response"

        def __enter__(self):
            clock.move(1)
            return "response"

        def __exit__(self, *exc):
            return None

    with track_ai("x")(lambda: ResponseContextManager())() as response:
        clock.move(2)
    assert response == "response"
    assert [(call.outcome, call.duration) for call in calls] == [("ok", 3.0)]


# --- closing


class ClosedAtOnce(AsyncStream):
    """Read with `async for`, and closed by a function that is none to be awaited."""

    def close(self):
        self.closed += 1
        return "closed"


def test_an_async_stream_may_be_closed_at_once(calls):
    async def main():
        stream = track_ai("x")(lambda: ClosedAtOnce())()
        await anext(stream)
        return stream.close(), stream.closed

    assert asyncio.run(main()) == ("closed", 1)
    assert outcomes(calls) == [("x", "cancelled")]


def test_a_close_that_is_never_awaited_is_warned_of_once(calls):
    stream = track_ai("x")(lambda: AsyncStream())()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        stream.close()
        gc.collect()
    assert len(warned) == 1


def test_the_current_call_is_restored_where_a_dropped_stream_s_call_fails():
    class Failing:
        def stream_dropped(self, at):
            raise RuntimeError

    before = context.current_call.get()
    course = streams.Course(Failing())
    del course
    assert context.current_call.get() is before


def test_a_task_s_generator_is_given_back_itself(calls):
    async def main():
        async def inner():
            return made

        made = _async_generator()
        task = track_ai("x")(lambda: asyncio.ensure_future(inner()))()
        return [item async for item in await task], await task is made

    assert asyncio.run(main()) == ([0, 1, 2], True)
    assert outcomes(calls) == [("x", "ok")]


# --- what a stream keeps


def test_a_generator_stays_a_generator():
    stream = numbers()
    assert (isinstance(stream, types.GeneratorType), inspect.isgenerator(stream)) == (True, True)


def test_an_async_generator_stays_one():
    stream = async_numbers()
    assert (isinstance(stream, types.AsyncGeneratorType), inspect.isasyncgen(stream)) == (
        True,
        True,
    )


def test_a_generator_s_state_can_be_inspected():
    stream = numbers()
    before = inspect.getgeneratorstate(stream)
    next(stream)
    assert (before, inspect.getgeneratorstate(stream)) == ("GEN_CREATED", "GEN_SUSPENDED")


def test_a_generator_s_name_is_kept():
    assert numbers().__qualname__ == "numbers"


def test_a_generator_iterates_over_itself():
    stream = numbers()
    assert iter(stream) is stream


def test_a_generator_s_return_value_is_kept(calls):
    def delegating():
        return (yield from numbers(1))

    stream = delegating()
    assert next(stream) == 0
    with pytest.raises(StopIteration) as stopped:
        next(stream)
    assert stopped.value.value == "done"
    assert outcomes(calls) == [("x", "ok")]


def test_a_generator_takes_what_is_sent(calls):
    stream = echo()
    assert [next(stream), stream.send("a"), stream.send("b")] == [0, 1, 2]
    with pytest.raises(StopIteration) as stopped:
        stream.send("c")
    assert stopped.value.value == ["a", "b", "c"]
    assert outcomes(calls) == [("x", "ok")]


def test_a_generator_takes_what_is_thrown_and_goes_on(calls):
    error, stream = KeyError("k"), echo()
    next(stream)
    assert stream.throw(error) == 1
    stream.send("b")
    with pytest.raises(StopIteration) as stopped:
        stream.send("c")
    assert stopped.value.value[0] is error
    assert outcomes(calls) == [("x", "ok")]


def test_an_exception_thrown_into_a_generator_that_does_not_take_it_is_its_outcome(calls):
    error, stream = ValueError("v"), echo()
    next(stream)
    with pytest.raises(ValueError, match="v") as raised:
        stream.throw(error)
    assert raised.value is error
    assert outcomes(calls) == [("x", "error")]


def test_send_and_throw_reach_a_generator_through_yield_from(calls):
    def delegating():
        return (yield from echo())

    stream = delegating()
    next(stream)
    assert [stream.send("a"), stream.throw(KeyError("k"))] == [1, 2]
    with pytest.raises(StopIteration) as stopped:
        stream.send("c")
    assert [stopped.value.value[0], stopped.value.value[2]] == ["a", "c"]


def test_closing_a_delegating_generator_cancels_the_inner_call(calls):
    def delegating():
        yield from echo()

    stream = delegating()
    next(stream)
    stream.close()
    assert outcomes(calls) == [("x", "cancelled")]


def test_an_async_generator_takes_what_is_sent_and_thrown(calls):
    async def main():
        stream = async_echo()
        got = [await anext(stream), await stream.asend("a"), await stream.athrow(KeyError("k"))]
        with pytest.raises(StopAsyncIteration):
            await stream.asend("c")
        return got

    assert asyncio.run(main()) == [0, 1, 2]
    assert outcomes(calls) == [("x", "ok")]


def test_a_stream_keeps_its_attributes():
    made = Stream()
    stream = track_ai("x")(lambda: made)()
    stream.note = 1
    assert (stream.response, made.note, stream.items) == (made.response, 1, made.items)


def test_a_stream_keeps_its_class():
    stream = track_ai("x")(lambda: Stream())()
    assert (isinstance(stream, Stream), stream.__class__) == (True, Stream)


def test_a_stream_s_missing_attribute_is_an_attribute_error():
    stream = track_ai("x")(lambda: Stream())()
    with pytest.raises(AttributeError, match="'Stream' object has no attribute 'missing'"):
        stream.missing  # noqa: B018 - it raises


def test_a_file_is_given_back_itself(calls, tmp_path):
    with (tmp_path / "f").open("w") as file:
        assert track_ai("x")(lambda: file)() is file
    assert outcomes(calls) == [("x", "ok")]


@pytest.mark.parametrize("value", ["text", [1], {"a": 1}, range(3), b"x"])
def test_a_collection_is_no_stream(calls, value):
    assert track_ai("x")(lambda: value)() is value
    assert outcomes(calls) == [("x", "ok")]


def test_a_stream_of_a_tracked_generator_counts_for_both_trackers(calls):
    outer = track_ai("outer")(lambda: numbers())
    assert list(outer()) == [0, 1, 2]
    assert sorted(outcomes(calls)) == [("outer", "ok"), ("x", "ok")]


# --- the current call


def test_a_generator_s_call_is_current_inside_its_steps_and_not_between_them(calls):
    @track_ai("x")
    def inside():
        for _ in range(3):
            yield geomon.current_call().type

    got = [(item, geomon.current_call()) for item in inside()]
    assert got == [("x", None)] * 3


def test_an_async_generator_s_call_is_current_inside_its_steps_and_not_between_them(calls):
    @track_ai("x")
    async def inside():
        for _ in range(3):
            await asyncio.sleep(0)
            yield geomon.current_call().type

    async def main():
        return [(item, geomon.current_call()) async for item in inside()]

    assert asyncio.run(main()) == [("x", None)] * 3


def test_what_a_consumer_does_between_items_is_not_a_stream_s_child(calls):
    @track_ai("outer", merge=True)
    def outer():
        yield from range(2)

    for _ in outer():
        with geomon.tracking.track_client("client"):
            pass
    assert [(call.type, len(call.attempts)) for call in calls] == [
        ("client", 0),
        ("client", 0),
        ("outer", 0),
    ]


def test_a_generator_s_call_is_current_while_it_is_closed(calls):
    seen = []

    @track_ai("x")
    def inside():
        try:
            yield
        finally:
            seen.append(geomon.current_call().type)

    stream = inside()
    next(stream)
    stream.close()
    assert (seen, geomon.current_call()) == (["x"], None)


def test_two_interleaved_generators_see_their_own_calls(calls):
    def inside():
        for _ in range(3):
            yield geomon.current_call().type

    streams = zip(track_ai("a")(inside)(), track_ai("b")(inside)(), strict=False)
    assert list(streams) == [("a", "b")] * 3


def test_a_generator_records_into_its_own_call(calls):
    @track_ai("x")
    def inside():
        yield 1
        geomon.current_call().set(at="end")

    with track_ai("consumer"):
        list(inside())
    assert [dict(call.attributes) for call in calls] == [{"at": "end"}, {}]


def test_a_block_around_a_yield_is_current_again_in_the_next_step(calls):
    @track_ai("outer")
    def inside():
        with track_ai("inner"):
            yield geomon.current_call().type
            yield geomon.current_call().type
        yield geomon.current_call().type

    assert [(item, geomon.current_call()) for item in inside()] == [
        ("inner", None),
        ("inner", None),
        ("outer", None),
    ]
    assert outcomes(calls) == [("inner", "ok"), ("outer", "ok")]


# --- time


def test_a_stream_lasts_to_its_last_item(calls, clock):
    @track_ai("x")
    def slow():
        for i in range(3):
            clock.move(1)
            yield i

    for _ in slow():
        clock.move(10)  # the consumer's
    # two of the consumer's pauses lie between items; the one after the last is not counted
    assert [(call.time_to_first_token, call.duration) for call in calls] == [(1.0, 23.0)]


def test_work_after_the_last_item_counts(calls, clock):
    @track_ai("x")
    def slow():
        yield 0
        clock.move(4)

    stream = slow()
    next(stream)
    clock.move(10)
    list(stream)
    assert [call.duration for call in calls] == [4.0]


def test_time_before_the_first_step_of_a_generator_does_not_count(calls, clock):
    stream = numbers()
    clock.move(10)
    list(stream)
    assert [call.duration for call in calls] == [0.0]


def test_a_client_s_stream_lasts_from_the_request(calls, clock):
    def request():
        clock.move(2)
        return Stream()

    stream = track_ai("x")(request)()
    next(stream)
    clock.move(10)
    stream.close()
    assert [(call.time_to_first_token, call.duration) for call in calls] == [(2.0, 2.0)]


def test_an_empty_stream_lasts_as_long_as_it_was_waited_for(calls, clock):
    class Slow(Stream):
        def __next__(self):
            clock.move(3)
            raise StopIteration

    stream = track_ai("x")(lambda: Slow())()
    clock.move(10)
    assert list(stream) == []
    assert [(call.time_to_first_token, call.duration) for call in calls] == [(None, 3.0)]


def test_a_dropped_stream_lasts_to_its_last_item(calls, clock):
    stream = track_ai("x")(lambda: Stream())()
    clock.move(1)
    next(stream)
    clock.move(10)
    del stream
    gc.collect()
    assert [call.duration for call in calls] == [1.0]


def test_a_failing_stream_lasts_to_its_failure(calls, clock):
    @track_ai("x")
    def failing():
        clock.move(1)
        yield 0
        clock.move(2)
        raise ValueError

    stream = failing()
    next(stream)
    clock.move(10)
    with pytest.raises(ValueError, match=r"^$"):
        next(stream)
    assert [call.duration for call in calls] == [3.0]


def test_an_async_stream_lasts_to_its_last_item(calls, clock):
    @track_ai("x")
    async def slow():
        for i in range(3):
            clock.move(1)
            yield i

    async def main():
        async for _ in slow():
            clock.move(10)

    asyncio.run(main())
    assert [(call.time_to_first_token, call.duration) for call in calls] == [(1.0, 23.0)]


def test_an_awaited_stream_lasts_from_the_request(calls, clock):
    async def request():
        clock.move(2)
        return AsyncStream([])

    async def main():
        return [item async for item in await track_ai("x")(lambda: request())()]

    assert asyncio.run(main()) == []
    assert [call.duration for call in calls] == [2.0]


def chunk(text: str = "", **more: Any) -> dict[str, Any]:
    return {
        "object": "chat.completion.chunk",
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "delta": {"content": text}}] if text else [],
        **more,
    }


LAST = chunk(usage={"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12})


def test_a_stream_tells_model_and_tokens(calls):
    list(track_ai("x", model="gpt-4o")(lambda: iter([chunk("a"), chunk("b"), LAST]))())
    assert [
        (call.model, call.response_model, call.usage[0][:4], call.tokens) for call in calls
    ] == [("gpt-4o", "gpt-4o-2024-08-06", ("gpt-4o", "openai", 7, 5), 12)]


def test_a_stream_without_usage_has_unknown_tokens(calls):
    list(track_ai("x")(lambda: iter([chunk("a"), chunk("b")]))())
    assert [(call.model, call.usage, call.tokens, call.metered) for call in calls] == [
        ("gpt-4o-2024-08-06", (), None, False)
    ]


def test_a_chunk_without_content_is_not_the_first_token(calls, clock):
    @track_ai("x")
    def stream():
        clock.move(1)
        yield chunk()
        clock.move(1)
        yield chunk("a")

    list(stream())
    assert [call.time_to_first_token for call in calls] == [2.0]


def test_time_per_output_token_runs_from_the_first_to_the_last_token(calls, clock):
    @track_ai("x")
    def stream():
        clock.move(3)
        yield chunk("a")
        clock.move(2)
        yield chunk("b")
        yield LAST

    list(stream())
    assert [(call.time_to_first_token, call.time_per_output_token) for call in calls] == [
        (3.0, 0.5)
    ]


def test_time_per_output_token_is_unknown_without_tokens(calls):
    list(numbers())
    assert [call.time_per_output_token for call in calls] == [None]


def test_a_stream_that_breaks_off_keeps_what_it_told(calls):
    stream = track_ai("x")(lambda: Stream([chunk("a")], ConnectionError()))()
    with pytest.raises(ConnectionError):
        list(stream)
    assert [(call.model, call.error_type, call.usage) for call in calls] == [
        ("gpt-4o-2024-08-06", "connection", ())
    ]


# --- the garbage collector at a bad moment


class Interrupting:
    """Drops a stream wherever it is called from, as the garbage collector may."""

    def __init__(self) -> None:
        stream = numbers()
        next(stream)
        self.cycle: list[Any] = [stream]
        self.cycle.append(self.cycle)

    def __call__(self, *args: Any) -> float:
        self.__dict__.pop("cycle", None)
        gc.collect()
        return 0.0


class Sensitive(int):
    """A count of calls that drops a stream when it is added to, inside the meter's lock."""

    def __new__(cls, interrupt):
        return super().__new__(cls, 0)

    def __init__(self, interrupt):
        self.interrupt = interrupt

    def __add__(self, other):
        self.interrupt()
        return other


def test_a_stream_dropped_while_metrics_are_collected_is_counted_by_the_next_call(calls):
    registry = prometheus_client.CollectorRegistry()
    gauge = prometheus_client.Gauge("g", "g", registry=registry)
    gauge.set_function(Interrupting())
    prometheus_client.generate_latest(registry)
    assert calls == []
    with track_ai("next"):
        pass
    assert outcomes(calls) == [("x", "abandoned"), ("next", "ok")]


def test_a_stream_dropped_in_a_logging_handler_is_counted_by_the_next_call(calls):
    interrupt = Interrupting()
    logger = logging.Logger("private")
    logger.addFilter(lambda record: interrupt() == 0.0)
    logger.warning("w")
    assert calls == []
    with track_ai("next"):
        pass
    assert outcomes(calls) == [("x", "abandoned"), ("next", "ok")]


def test_a_stream_dropped_in_a_sink_is_counted(calls):
    interrupt = Interrupting()
    pipeline = dispatch.current()
    dispatch.install(pipeline.with_sinks(interrupt))
    with track_ai("next"):
        pass
    dispatch.settle()
    dispatch.install(pipeline)
    assert outcomes(calls) == [("next", "ok"), ("x", "abandoned")]


def test_a_stream_dropped_in_a_sink_that_holds_a_lock_does_not_deadlock(calls):
    interrupt, lock, refused = Interrupting(), threading.Lock(), []

    def sink(call):
        if not lock.acquire(blocking=False):
            refused.append(call.type)
            return
        with contextlib.closing(types.SimpleNamespace(close=lock.release)):
            interrupt()

    dispatch.install(dispatch.current().with_sinks(sink))
    with track_ai("next"):
        pass
    dispatch.settle()
    assert (refused, outcomes(calls)) == ([], [("next", "ok"), ("x", "abandoned")])


def test_a_stream_dropped_while_a_meter_adds_up_does_not_deadlock(calls):
    with geomon.meter() as meter:
        interrupt = Interrupting()
        meter.calls = Sensitive(interrupt)
        with track_ai("next"):
            pass
    dispatch.settle()
    assert outcomes(calls) == [("next", "ok"), ("x", "abandoned")]


def test_a_stream_dropped_while_a_metric_is_locked_does_not_deadlock():
    registry = prometheus_client.CollectorRegistry()
    handle = geomon.configure(registry=registry)
    stream = numbers()
    next(stream)
    holder = [stream]
    del stream

    class Key(str):
        """A label value whose use drops the stream inside prometheus-client."""

        def __str__(self):
            holder.clear()
            return "k"

    with handle:
        prometheus_client.Counter("c", "c", ["k"], registry=registry).labels(Key("k")).inc()
        with track_ai("next"):
            pass
        assert sorted(outcomes(handle.recent)) == [("next", "ok"), ("x", "abandoned")]


# --- as undecorated, step by step


def script_of(steps: list[str]):
    """A generator function that does what a list of words says."""

    def generator():
        got = []
        for number, step in enumerate(steps):
            try:
                if step == "yield":
                    got.append((yield number))
                elif step == "raise":
                    raise ValueError(number)
                elif step == "return":
                    return got
            except KeyError as error:
                got.append(repr(error))
            except GeneratorExit:
                if step == "yield" and number % 3 == 2:
                    return "closed"
                raise
        return got

    return generator


def ran(act) -> Any:
    try:
        return act()
    except BaseException as error:
        value = getattr(error, "value", None)
        return type(error), str(error), value


def operate(stream: Any, operation: tuple[str, int]) -> Any:
    name, value = operation
    if name == "next":
        return ran(lambda: next(stream))
    if name == "send":
        return ran(lambda: stream.send(value))
    if name == "close":
        return ran(stream.close)
    error = KeyError(value) if name == "throw handled" else IndexError(value)
    return ran(lambda: stream.throw(error))


STEPS = st.lists(st.sampled_from(["yield", "yield", "yield", "raise", "return"]), max_size=6)
NAMES = st.sampled_from(["next", "next", "send", "throw handled", "throw", "close"])
OPERATIONS = st.lists(st.tuples(NAMES, st.integers(0, 3)), max_size=8)


@given(STEPS, OPERATIONS)
def test_a_decorated_generator_behaves_as_the_undecorated_one(steps, operations):
    function = script_of(steps)
    plain = function()
    with capture_calls(only=True) as calls:
        decorated = track_ai("x")(function)()
        for operation in operations:
            assert operate(decorated, operation) == operate(plain, operation)
            assert decorated.gi_running == plain.gi_running
        begun = decorated.gi_frame is None or decorated.gi_frame.f_lasti > 0
        del decorated
        gc.collect(0)
    only_closed = all(name == "close" for name, _ in operations)
    assert len(calls) <= 1
    if operations and not only_closed and begun:
        assert len(calls) == 1


def async_script_of(steps: list[str]):
    def make():
        inner = script_of(steps)

        async def generator():
            steps_of = inner()
            try:
                item = next(steps_of)
                while True:
                    await asyncio.sleep(0)
                    try:
                        sent = yield item
                    except KeyError as error:
                        item = steps_of.throw(error)
                    else:
                        item = steps_of.send(sent)
            except StopIteration:
                return

        return generator

    return make()


async def async_ran(act) -> Any:
    try:
        return await act()
    except Exception as error:
        return type(error), str(error)


async def async_operate(stream: Any, operation: tuple[str, int]) -> Any:
    name, value = operation
    if name == "next":
        return await async_ran(stream.__anext__)
    if name == "send":
        return await async_ran(lambda: stream.asend(value))
    if name == "close":
        return await async_ran(stream.aclose)
    error = KeyError(value) if name == "throw handled" else IndexError(value)
    return await async_ran(lambda: stream.athrow(error))


@settings(deadline=None)
@given(STEPS, OPERATIONS)
def test_a_decorated_async_generator_behaves_as_the_undecorated_one(steps, operations):
    function = async_script_of(steps)

    async def main():
        plain, decorated = function(), track_ai("x")(function)()
        for operation in operations:
            assert await async_operate(decorated, operation) == await async_operate(
                plain, operation
            )
        await decorated.aclose()
        await plain.aclose()

    with capture_calls(only=True) as calls:
        asyncio.run(main())
    assert len(calls) <= 1


@given(st.lists(st.integers(0, 2), max_size=12), st.randoms(use_true_random=False))
def test_interleaved_generators_each_count_once(order, random):
    def block(name):
        with tracker as call:
            call.set(name=name)
            yield
            yield

    tracker = track_ai("block")
    with capture_calls(only=True) as calls:
        streams = [block(name) for name in range(3)]
        for index in order:
            next(streams[index], None)
        random.shuffle(streams)
        while streams:
            streams.pop().close()
        assert copy_context().run(geomon.current_call) is None
    assert sorted(call.attributes["name"] for call in calls) == sorted(set(order))
