"""The parts that proxies are made of."""

from __future__ import annotations

from typing import Any

import wrapt

from geomon.streams.course import Course


class Proxied(wrapt.BaseObjectProxy):  # type: ignore[type-arg] # whatever a client gives
    """Stands in for what a client gave, and tells the call when it is closed."""

    def __init__(self, wrapped: Any, course: Course) -> None:
        super().__init__(wrapped)
        self._self_course = course
        self._self_hooked = False

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__wrapped__, name)
        if name in ("close", "aclose"):
            return lambda: self._self_course.closing(value)
        return value

    def _opened(self, entered: Any) -> Any:
        """What `with` gives for what it gave."""
        return self if entered is self.__wrapped__ else entered


class Steps:
    """Read with `for`."""

    _self_course: Course
    _self_hooked: bool
    __wrapped__: Any

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        stream = self.__wrapped__
        if self._self_hooked:
            return stream.__next__()
        return self._self_course.step(stream, stream.__next__)


class AsyncSteps:
    """Read with `async for`."""

    _self_course: Course
    _self_hooked: bool
    __wrapped__: Any

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        stream = self.__wrapped__
        if self._self_hooked:
            return await stream.__anext__()
        return await self._self_course.async_step(stream, stream.__anext__)


class Block(Proxied):
    """Entered with `with`."""

    def __enter__(self) -> Any:
        return self._opened(self._self_course.opening(self.__wrapped__.__enter__))

    def __exit__(self, *exc: Any) -> Any:
        return self._self_course.leaving(self.__wrapped__.__exit__, *exc)


class AsyncBlock(Proxied):
    """Entered with `async with`."""

    async def __aenter__(self) -> Any:
        return self._opened(await self._self_course.async_opening(self.__wrapped__.__aenter__))

    async def __aexit__(self, *exc: Any) -> Any:
        return await self._self_course.async_leaving(self.__wrapped__.__aexit__, *exc)
