"""Which results are followed as streams and blocks, and which are given back as they are."""

import asyncio
import codecs
import contextlib
import io
import sqlite3
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock, NonCallableMagicMock, create_autospec

import anthropic
import openai
import pytest

import geomon
from geomon import track_ai


def outcomes(calls: list[geomon.Call]) -> list[tuple[str | None, str]]:
    return [(call.type, call.outcome) for call in calls]


def numbers():
    yield from range(3)


async def async_numbers():
    for i in range(3):
        yield i


class NotAClients:
    """Has what openai's streams have, and is none of them."""

    def __init__(self) -> None:
        self._iterator, self._raw_stream = iter([1]), None

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._iterator)


# --- blocks


def contextmanaged(function: Any) -> Any:
    return track_ai("x")(contextlib.contextmanager(function))


def test_a_block_of_contextlib_is_a_call_to_its_end(calls, clock):
    @contextmanaged
    def block():
        clock.move(1)
        yield "given"

    with block() as given:
        clock.move(2)
        assert (given, calls) == ("given", [])
    assert [(call.outcome, call.duration) for call in calls] == [("ok", 3.0)]


def test_a_failure_in_a_block_is_its_call_s(calls):
    error = ValueError("v")

    @contextmanaged
    def block():
        yield

    with pytest.raises(ValueError, match="v") as raised, block():
        raise error
    assert raised.value is error
    assert [(call.outcome, call.error) for call in calls] == [("error", error)]


def test_a_failure_that_a_block_handles_is_none(calls):
    @contextmanaged
    def block():
        with contextlib.suppress(ValueError):
            yield

    with block():
        raise ValueError
    assert outcomes(calls) == [("x", "ok")]


def test_a_block_that_fails_to_open_is_an_error(calls):
    @contextmanaged
    def block():
        raise ValueError("v")
        yield

    with pytest.raises(ValueError, match="v"), block():
        pass
    assert outcomes(calls) == [("x", "error")]


def test_a_stream_in_a_block_ends_the_call_at_its_end(calls):
    @contextmanaged
    def block():
        yield numbers()

    with block() as stream:
        assert list(stream) == [0, 1, 2]
        assert outcomes(calls) == [("x", "ok")]
    with block() as stream:
        next(stream)
    assert outcomes(calls) == [("x", "ok"), ("x", "cancelled")]


def test_an_async_block_of_contextlib_is_a_call_to_its_end(calls):
    @track_ai("x")
    @contextlib.asynccontextmanager
    async def block(given):
        yield given

    async def main():
        async with block("given") as given:
            assert (given, calls) == ("given", [])
        async with block(async_numbers()) as stream:
            async for _ in stream:
                pass
        with pytest.raises(ValueError, match="v"):
            async with block(None):
                raise ValueError("v")

    asyncio.run(main())
    assert outcomes(calls) == [("x", "ok"), ("x", "ok"), ("x", "error")]


def test_a_block_that_is_used_as_a_decorator_still_decorates(calls):
    @contextmanaged
    def block():
        entered.append(1)
        yield

    entered: list[int] = []
    function = block()(lambda: "done")
    assert (function(), function(), entered) == ("done", "done", [1, 1])
    assert outcomes(calls) == [("x", "ok")]


def test_an_exit_stack_enters_a_block(calls):
    @contextmanaged
    def block():
        yield "given"

    with contextlib.ExitStack() as stack:
        assert stack.enter_context(block()) == "given"
        assert calls == []
    assert outcomes(calls) == [("x", "ok")]


def test_a_block_of_a_block_counts_for_both_trackers(calls):
    @track_ai("outer")
    def outer():
        return inner()

    @contextmanaged
    def inner():
        yield "given"

    with outer() as given:
        assert (given, calls) == ("given", [])
    assert sorted(outcomes(calls)) == [("outer", "ok"), ("x", "ok")]


# --- what is no stream


@pytest.mark.parametrize("mock", [MagicMock, AsyncMock, NonCallableMagicMock, Mock])
def test_a_mock_is_given_back_itself(calls, mock):
    made = mock()
    assert track_ai("x")(lambda: made)() is made
    assert outcomes(calls) == [("x", "ok")]


def test_a_mock_in_a_client_s_place_is_given_back_itself(calls):
    client = MagicMock(spec=openai.OpenAI)
    stream = create_autospec(openai.Stream, instance=True)
    client.chat.completions.create.return_value = stream
    assert track_ai("x")(lambda: client.chat.completions.create())() is stream
    with track_ai("y") as call:
        assert call.record(stream) is stream
    assert outcomes(calls) == [("x", "ok"), ("y", "ok")]


def test_a_database_s_cursor_is_given_back_itself(calls):
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        made = database.execute("select 1")
        assert track_ai("x")(lambda: made)() is made
        assert outcomes(calls) == [("x", "ok")]


def test_what_reads_as_a_file_is_given_back_itself(calls):
    made = codecs.getreader("utf-8")(io.BytesIO(b"text"))
    assert track_ai("x")(lambda: made)() is made
    assert outcomes(calls) == [("x", "ok")]


@pytest.mark.parametrize("make", [openai.OpenAI, anthropic.AsyncAnthropic])
def test_a_client_is_given_back_itself(calls, make):
    client = make(api_key="k")
    assert track_ai("x")(lambda: client)() is client
    assert outcomes(calls) == [("x", "ok")]


def test_what_is_only_called_as_a_client_s_manager_is_given_back_itself(calls):
    class VideoStreamManager:
        def __enter__(self): ...
        def __exit__(self, *exc): ...

    made = VideoStreamManager()
    assert track_ai("x")(lambda: made)() is made
    assert outcomes(calls) == [("x", "ok")]


def test_the_inside_of_a_stream_is_left_alone_unless_a_client_made_it(calls):
    made = NotAClients()
    inside = made._iterator
    list(track_ai("x")(lambda: made)())
    assert made._iterator is inside


def test_what_a_block_gives_may_have_a_class_that_raises(calls):
    class Meta(type):
        def __getattr__(cls, name):
            raise RuntimeError

    class Raising(metaclass=Meta): ...

    @contextmanaged
    def block():
        yield made

    made = Raising()
    with block() as given:
        assert given is made
    assert outcomes(calls) == [("x", "ok")]
