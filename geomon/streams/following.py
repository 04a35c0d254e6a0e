"""Finds the proxy that follows a stream; those of clients' stream managers are here too."""

from __future__ import annotations

import io
import types
from collections.abc import Callable
from typing import Any

import wrapt

from geomon import clock
from geomon.streams.course import Course
from geomon.streams.iterated import (
    AsyncGenerated,
    AsyncIterated,
    AsyncIteratedInBlock,
    Generated,
    Iterated,
    IteratedEitherWay,
    IteratedInBlock,
)


class Managed(wrapt.BaseObjectProxy):  # type: ignore[type-arg] # as above
    """What a client gives for `with client.stream(...) as stream`."""

    def __init__(self, wrapped: Any, course: Course) -> None:
        super().__init__(wrapped)
        self._self_course = course
        self._self_streams = False

    def __enter__(self) -> Any:
        course, since = self._self_course, clock.monotonic()
        entered = course.inside(self.__wrapped__.__enter__)
        course.passed(since)
        self._self_streams = proxy_for(type(entered)) is not None
        return follow(entered, course)

    def __exit__(self, *exc: Any) -> Any:
        early = self._self_streams or exc[0] is not None
        return self._self_course.closing(self.__wrapped__.__exit__, *exc, early=early)


class AsyncManaged(wrapt.BaseObjectProxy):  # type: ignore[type-arg] # as above
    """What a client gives for `async with client.stream(...) as stream`."""

    def __init__(self, wrapped: Any, course: Course) -> None:
        super().__init__(wrapped)
        self._self_course = course
        self._self_streams = False

    async def __aenter__(self) -> Any:
        course, since = self._self_course, clock.monotonic()
        entered = await course.async_inside(self.__wrapped__.__aenter__)
        course.passed(since)
        self._self_streams = proxy_for(type(entered)) is not None
        return follow(entered, course)

    async def __aexit__(self, *exc: Any) -> Any:
        early = self._self_streams or exc[0] is not None
        leave = self.__wrapped__.__aexit__
        return await self._self_course.async_closing(leave, *exc, early=early)


Proxy = Callable[[Any, Course], Any]

_TRACKED = (Iterated, AsyncIterated, Managed, AsyncManaged)
_MANAGERS = ("StreamManager", "ResponseContextManager")  # as openai's and anthropic's are called


def is_tracked(stream: Any) -> bool:
    """Whether the stream belongs to a call already."""
    return isinstance(type(stream), type) and issubclass(type(stream), _TRACKED)


def proxy_for(cls: type) -> Proxy | None:
    """What follows streams of a class; None when its objects are not streams."""
    if issubclass(cls, io.IOBase):
        return None
    if hasattr(cls, "__anext__") and hasattr(cls, "__next__"):
        return IteratedEitherWay
    if hasattr(cls, "__anext__"):
        return _async_proxy_for(cls)
    if hasattr(cls, "__next__"):
        return _sync_proxy_for(cls)
    if cls.__name__.endswith(_MANAGERS):
        return AsyncManaged if hasattr(cls, "__aenter__") else Managed
    return None


def _sync_proxy_for(cls: type) -> Proxy:
    if issubclass(cls, types.GeneratorType) or (hasattr(cls, "send") and hasattr(cls, "throw")):
        return Generated
    return IteratedInBlock if hasattr(cls, "__enter__") else Iterated


def _async_proxy_for(cls: type) -> Proxy:
    if issubclass(cls, types.AsyncGeneratorType) or hasattr(cls, "asend"):
        return AsyncGenerated
    return AsyncIteratedInBlock if hasattr(cls, "__aenter__") else AsyncIterated


def follow(stream: Any, course: Course) -> Any:
    """A stand-in for the stream that tells its call what happens; the object itself if none is."""
    proxy = proxy_for(type(stream))
    if proxy is None:
        return stream
    return _hooked(proxy(stream, course), stream, course)


def _hooked(proxied: Any, stream: Any, course: Course) -> Any:
    """Follows a client's helper stream from within.

    openai's and anthropic's helpers (`text_stream`, `get_final_message()`, ...) read the stream
    past any proxy, all of them through its `_iterator`.
    """
    try:
        inner = getattr(stream, "_iterator", None)
        if inner is None or not hasattr(stream, "_raw_stream"):
            return proxied
    except Exception:  # its attributes raise
        return proxied
    proxy = proxy_for(type(inner))
    if proxy is not None:
        stream._iterator = proxy(inner, course)
        proxied._self_hooked = True
    return proxied
