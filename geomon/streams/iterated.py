"""Proxies of generators and iterators, for `for` and `async for`."""

from __future__ import annotations

from typing import Any

import wrapt

from geomon.streams.course import Course


class Iterated(wrapt.BaseObjectProxy):  # type: ignore[type-arg] # whatever stream
    """A stream read with `for`."""

    def __init__(self, wrapped: Any, course: Course) -> None:
        super().__init__(wrapped)
        self._self_course = course
        self._self_hooked = False

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        stream = self.__wrapped__
        if self._self_hooked:
            return stream.__next__()
        return self._self_course.step(stream, stream.__next__)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__wrapped__, name)
        if name == "close":
            return lambda: self._self_course.closing(value)
        return value


class Generated(Iterated):
    """A generator."""

    def send(self, value: Any) -> Any:
        """As the generator's."""
        stream = self.__wrapped__
        return self._self_course.step(stream, stream.send, value)

    def throw(self, *error: Any) -> Any:
        """As the generator's."""
        stream = self.__wrapped__
        return self._self_course.step(stream, stream.throw, *error)


class IteratedInBlock(Iterated):
    """A stream read with `for`, closed by `with`."""

    def __enter__(self) -> Any:
        entered = self.__wrapped__.__enter__()
        return self if entered is self.__wrapped__ else entered

    def __exit__(self, *exc: Any) -> Any:
        return self._self_course.closing(self.__wrapped__.__exit__, *exc)


class AsyncIterated(wrapt.BaseObjectProxy):  # type: ignore[type-arg] # as above
    """A stream read with `async for`."""

    def __init__(self, wrapped: Any, course: Course) -> None:
        super().__init__(wrapped)
        self._self_course = course
        self._self_hooked = False

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        stream = self.__wrapped__
        if self._self_hooked:
            return await stream.__anext__()
        return await self._self_course.async_step(stream, stream.__anext__)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__wrapped__, name)
        if name in ("aclose", "close"):
            return lambda: self._self_course.async_closing(value)
        return value


class AsyncGenerated(AsyncIterated):
    """An asynchronous generator."""

    async def asend(self, value: Any) -> Any:
        """As the generator's."""
        stream = self.__wrapped__
        return await self._self_course.async_step(stream, stream.asend, value)

    async def athrow(self, *error: Any) -> Any:
        """As the generator's."""
        stream = self.__wrapped__
        return await self._self_course.async_step(stream, stream.athrow, *error)


class AsyncIteratedInBlock(AsyncIterated):
    """A stream read with `async for`, closed by `async with`."""

    async def __aenter__(self) -> Any:
        entered = await self.__wrapped__.__aenter__()
        return self if entered is self.__wrapped__ else entered

    async def __aexit__(self, *exc: Any) -> Any:
        return await self._self_course.async_closing(self.__wrapped__.__aexit__, *exc)


class IteratedEitherWay(IteratedInBlock):
    """A stream read with `for` or `async for`, as litellm's."""

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        stream = self.__wrapped__
        return await self._self_course.async_step(stream, stream.__anext__)

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        if name == "aclose":
            return lambda: self._self_course.async_closing(value)
        return value

    async def __aenter__(self) -> Any:
        entered = await self.__wrapped__.__aenter__()
        return self if entered is self.__wrapped__ else entered

    async def __aexit__(self, *exc: Any) -> Any:
        return await self._self_course.async_closing(self.__wrapped__.__aexit__, *exc)
