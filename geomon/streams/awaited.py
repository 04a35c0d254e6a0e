"""Proxies of awaitables."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from geomon.streams.course import Course
from geomon.streams.following import follow
from geomon.streams.managed import AsyncManaged
from geomon.streams.proxied import AsyncSteps, Proxied, Steps

Run = Callable[[Any], Awaitable[Any]]


class Awaited(Proxied):
    """An awaitable object whose call ends when it has been awaited."""

    _self_run: Run

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._self_run(self.__wrapped__).__await__()


class _Iterable(Proxied):
    def __iter__(self) -> Any:
        return follow(self.__wrapped__.__iter__(), self._self_course)


class _AsyncIterable(Proxied):
    def __aiter__(self) -> Any:
        return follow(self.__wrapped__.__aiter__(), self._self_course)


_PARTS: tuple[tuple[str, type], ...] = (
    ("__next__", Steps),
    ("__anext__", AsyncSteps),
    ("__iter__", _Iterable),
    ("__aiter__", _AsyncIterable),
    ("__aenter__", AsyncManaged),
)


def awaited(awaitable: Any, course: Course, run: Run) -> Any:
    """A stand-in that can be awaited, and whatever else the object can be.

    Entered with `async with`, as aiohttp's requests; iterated over, as openai's pages.
    """
    cls = type(awaitable)
    proxy = _made_of(tuple(part for name, part in _PARTS if hasattr(cls, name)))
    arguments = (follow,) if hasattr(cls, "__aenter__") else ()
    proxied = proxy(awaitable, course, *arguments)
    proxied._self_run = run
    return proxied


@functools.cache
def _made_of(parts: tuple[type, ...]) -> Any:
    return type("Awaited", (*parts, Awaited), {})
