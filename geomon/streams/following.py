"""Finds the proxy that follows a stream."""

from __future__ import annotations

import types
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from geomon.streams import kinds
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
from geomon.streams.managed import AsyncManaged, Managed
from geomon.streams.proxied import Proxied
from geomon.streams.raw import RawResponse, is_whole

Proxy = Callable[[Any, Course], Any]


def is_tracked(stream: Any) -> bool:
    """Whether the stream belongs to a call already."""
    return isinstance(type(stream), type) and issubclass(type(stream), Proxied)


def is_stream(value: Any) -> bool:
    """Whether there is something in it to follow."""
    proxy = proxy_for(type(value))
    return proxy is not None and not (proxy is _raw and is_whole(value))


def proxy_for(cls: type) -> Proxy | None:
    """What follows streams of a class; None when its objects are none (see `kinds`)."""
    try:
        return _proxy_for(cls)
    except Exception:  # a metaclass may raise anything
        return None


@lru_cache(maxsize=1_000)
def _proxy_for(cls: type) -> Proxy | None:
    if kinds.is_plain(cls):
        return None
    if hasattr(cls, "__anext__"):
        return IteratedEitherWay if hasattr(cls, "__next__") else _async_proxy_for(cls)
    if hasattr(cls, "__next__"):
        return _sync_proxy_for(cls)
    if issubclass(cls, RawResponse) or kinds.is_raw(cls):
        return _raw
    if issubclass(cls, Managed | AsyncManaged) or kinds.is_manager(cls):
        is_async = hasattr(cls, "__aenter__") and not issubclass(cls, Managed)
        return _async_managed if is_async else _managed
    return None


def _sync_proxy_for(cls: type) -> Proxy:
    if issubclass(cls, types.GeneratorType) or (hasattr(cls, "send") and hasattr(cls, "throw")):
        return Generated
    return IteratedInBlock if hasattr(cls, "__enter__") else Iterated


def _async_proxy_for(cls: type) -> Proxy:
    if issubclass(cls, types.AsyncGeneratorType) or hasattr(cls, "asend"):
        return AsyncGenerated
    return AsyncIteratedInBlock if hasattr(cls, "__aenter__") else AsyncIterated


def _managed(stream: Any, course: Course) -> Any:
    return Managed(stream, course, follow)


def _async_managed(stream: Any, course: Course) -> Any:
    return AsyncManaged(stream, course, follow)


def _raw(stream: Any, course: Course) -> Any:
    return RawResponse(stream, course, follow)


def follow(stream: Any, course: Course) -> Any:
    """A stand-in for the stream that tells its call what happens; the object itself if none is."""
    proxy = proxy_for(type(stream))
    if proxy is None or (proxy is _raw and is_whole(stream)):
        return stream
    proxied = proxy(stream, course)
    if proxy not in (_raw, _managed, _async_managed):
        course.streams()
        if _is_helper(stream):
            proxied._self_hooked = follow_within(stream, course)
    return proxied


def follow_within(stream: Any, course: Course) -> bool:
    """Follows a client's stream from within, where a proxy would not be seen.

    All that reads openai's and anthropic's streams goes through their `_iterator`.

    Returns:
        Whether that was possible.
    """
    try:
        if not kinds.is_clients(stream.__class__):
            return False
        inner = stream._iterator
        proxy = proxy_for(type(inner))
        if proxy is not None:
            stream._iterator = proxy(inner, course)
            course.streams()
    except Exception:  # its attributes raise
        return False
    return proxy is not None


def _is_helper(stream: Any) -> bool:
    """Whether it is one that also reads itself, past any proxy.

    `text_stream`, `get_final_message()`, `until_done()`, ...
    """
    try:
        return hasattr(stream, "_raw_stream")
    except Exception:  # its attributes raise
        return False
