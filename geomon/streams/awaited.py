"""Proxies of awaitables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any

import wrapt

from geomon.streams.course import Course
from geomon.streams.following import AsyncManaged


class Awaited(wrapt.BaseObjectProxy):  # type: ignore[type-arg] # as above
    """An awaitable object whose call ends when it has been awaited."""

    def __init__(self, wrapped: Any, run: Callable[[Any], Awaitable[Any]]) -> None:
        super().__init__(wrapped)
        self._self_run = run

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._self_run(self.__wrapped__).__await__()


class AwaitedManager(AsyncManaged):
    """What can be awaited or entered with `async with`, as aiohttp's requests."""

    def __init__(self, wrapped: Any, course: Course, run: Callable[[Any], Awaitable[Any]]) -> None:
        super().__init__(wrapped, course)
        self._self_run = run

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._self_run(self.__wrapped__).__await__()


class Unstarted:
    """Holds a coroutine for another that will run it; closes it where that is never run.

    So that a task that is cancelled before its first step leaves no "never awaited" behind.
    """

    __slots__ = ("coroutine",)

    def __init__(self, coroutine: Any) -> None:
        self.coroutine = coroutine

    def __del__(self) -> None:
        self.coroutine.close()
