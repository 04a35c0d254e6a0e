"""What is decorated keeps its type, for every shape of function."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Coroutine, Generator, Iterator
from typing import Any, TypeVar, assert_type

import geomon

T = TypeVar("T")


# --- functions


@geomon.track_ai
def bare(text: str, *, times: int = 1) -> list[str]:
    return [text] * times


@geomon.track_ai("summarize", model="gpt-4o", provider="openai", merge=False)
def named(text: str, *, times: int = 1) -> list[str]:
    return [text] * times


@geomon.track_ai()
def empty(text: str, *, times: int = 1) -> list[str]:
    return [text] * times


@geomon.track_request("POST", "/v1/render")
def served(text: str, *, times: int = 1) -> list[str]:
    return [text] * times


@geomon.bind(request_id="r-1")
def bound(text: str, *, times: int = 1) -> list[str]:
    return [text] * times


@geomon.bind(user_id="u-7")
@geomon.track_request("POST", "/v1/render")
@geomon.track_ai("summarize")
def stacked(text: str, *, times: int = 1) -> list[str]:
    return [text] * times


assert_type(bare("a", times=2), list[str])
assert_type(named("a", times=2), list[str])
assert_type(empty("a", times=2), list[str])
assert_type(served("a", times=2), list[str])
assert_type(bound("a", times=2), list[str])
assert_type(stacked("a", times=2), list[str])


@geomon.track_ai
def generic(value: T) -> T:
    return value


assert_type(generic(1), int)
assert_type(generic("a"), str)

assert_type(geomon.track_ai(len)([1]), int)
assert_type(geomon.track_ai("count")(len)([1]), int)


# --- coroutines


@geomon.track_ai
async def bare_async(text: str) -> int:
    return len(text)


@geomon.track_ai("summarize")
async def named_async(text: str) -> int:
    return len(text)


@geomon.track_request("GET", "/")
async def served_async(text: str) -> int:
    return len(text)


@geomon.bind(request_id="r-1")
async def bound_async(text: str) -> int:
    return len(text)


@geomon.track_ai
def awaitable(text: str) -> Awaitable[int]:
    return bare_async(text)


async def awaits() -> None:
    coroutine: Coroutine[Any, Any, int] = bare_async("a")
    assert_type(await coroutine, int)
    assert_type(await bare_async("a"), int)
    assert_type(await named_async("a"), int)
    assert_type(await served_async("a"), int)
    assert_type(await bound_async("a"), int)
    assert_type(await awaitable("a"), int)


# --- generators


@geomon.track_ai
def words(text: str) -> Iterator[str]:
    yield from text.split()


@geomon.track_ai("echo")
def echo(first: str) -> Generator[str, int, bytes]:
    received = yield first
    return bytes(received)


@geomon.track_ai("words")
async def words_async(text: str) -> AsyncIterator[str]:
    for word in text.split():
        yield word


@geomon.bind(request_id="r-1")
def bound_words(text: str) -> Iterator[str]:
    yield from text.split()


assert_type(words("a b"), Iterator[str])
assert_type(echo("a"), Generator[str, int, bytes])
assert_type(echo("a").send(1), str)
assert_type(words_async("a b"), AsyncIterator[str])
assert_type(bound_words("a b"), Iterator[str])


# --- methods


class Agent:
    @geomon.track_ai
    def answer(self, text: str) -> int:
        return len(text)

    @geomon.track_ai("answer")
    async def answer_async(self, text: str) -> int:
        return len(text)

    @classmethod
    @geomon.track_ai("create")
    def create(cls, name: str) -> Agent:
        return cls()

    @geomon.track_ai("create")
    @classmethod
    def create_above(cls, name: str) -> Agent:
        return cls()

    @staticmethod
    @geomon.track_ai
    def count(text: str) -> int:
        return len(text)

    @geomon.track_ai
    @staticmethod
    def count_above(text: str) -> int:
        return len(text)

    @geomon.track_ai("words")
    def words(self, text: str) -> Iterator[str]:
        yield from text.split()

    @property
    @geomon.track_ai
    def size(self) -> int:
        return 1

    @geomon.bind(request_id="r-1")
    def bound(self, text: str) -> int:
        return len(text)

    @geomon.track_ai("called")
    def __call__(self, text: str) -> int:
        return len(text)


agent = Agent()
assert_type(agent.answer("a"), int)
assert_type(Agent.create("a"), Agent)
assert_type(Agent.create_above("a"), Agent)
assert_type(Agent.count("a"), int)
assert_type(Agent.count_above("a"), int)
assert_type(agent.words("a"), Iterator[str])
assert_type(agent.size, int)
assert_type(agent.bound("a"), int)
assert_type(agent("a"), int)


async def awaits_a_method() -> None:
    assert_type(await agent.answer_async("a"), int)
