"""Proxies that finish a call when its stream ends: generators, clients' streams, awaitables.

A proxy keeps what the stream was: attributes, `isinstance`, `send`, `throw`, `close`, `with`, the
return value. The call is the current one only inside each step; what the consumer does between two
items is not its child, and a close from another task or thread finds nothing to reset.
"""

from __future__ import annotations

import io
import types
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from typing import Any, Protocol

import wrapt

from geomon import clock, context


class Closed(BaseException):
    """Stands for a stream that its consumer closed before the end."""


class Streamed(Protocol):
    """The call that a stream belongs to, as far as a stream knows it."""

    def stream_item(self, item: Any, at: float) -> None:
        """An item came out of the stream at `at` seconds, monotonic."""

    def stream_end(self, error: BaseException | None, at: float) -> None:
        """The stream is over: read to its end (None), failed, or `Closed`."""

    def stream_dropped(self, at: float) -> None:
        """Nobody holds the stream any more, and it was not at its end."""


class Course:
    """One stream on its way from start to end; ends its call exactly once.

    Proxies hold it and nothing else does, so that its disappearance means a dropped stream.
    """

    __slots__ = ("_begin", "_call", "_inner", "_last", "_open")

    def __init__(self, call: Streamed | None, begin: Callable[[], Streamed] | None = None) -> None:
        self._call = call
        self._begin = begin
        self._open = [True]
        self._inner: Any = None  # the block that a generator's body holds open over a yield
        self._last = clock.monotonic()

    def call(self) -> Streamed:
        """The call; begun at the first step, where a generator's body begins."""
        if self._call is None:
            assert self._begin is not None
            self._last = clock.monotonic()
            self._call = self._begin()
        return self._call

    def take(self, item: Any) -> None:
        """An item came."""
        self._last = clock.monotonic()
        if self._open:
            self.call().stream_item(item, self._last)

    def end(self, error: BaseException | None, since: float) -> None:
        """The stream is over; the last step began at `since`.

        The time between the last item and that step was the consumer's, and is not counted.
        """
        try:
            self._open.pop()  # atomic: whoever gets it ends the call
        except IndexError:
            return
        at = self._last + (clock.monotonic() - since)
        if self._call is not None:
            token = context.current_call.set(self._call)  # so that a sink's calls are seen as such
            try:
                self._call.stream_end(error, at)
            finally:
                context.current_call.reset(token)

    @property
    def ended(self) -> bool:
        """Whether the call has been told of the end."""
        return not self._open

    @property
    def begun(self) -> bool:
        """Whether there is a call yet."""
        return self._call is not None

    def __del__(self) -> None:
        with suppress(Exception):  # at interpreter shutdown anything may be gone already
            if self._call is not None and self._open:
                self._open.pop()
                token = context.current_call.set(self._call)
                self._call.stream_dropped(self._last)
                context.current_call.reset(token)

    def step(self, stream: Any, move: Callable[..., Any], *args: Any) -> Any:
        """Runs one step of a synchronous stream inside the call."""
        call, since = self.call(), clock.monotonic()
        token = context.current_call.set(self._inner or call)
        try:
            item = move(*args)
            self.take(item)
        except StopIteration:
            self.end(None, since)
            raise
        except BaseException as error:
            if _is_over(stream):
                self.end(error, since)
            raise
        else:
            return item
        finally:
            self._inner = context.current_call.get()
            context.current_call.reset(token)

    async def async_step(self, stream: Any, move: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Runs one step of an asynchronous stream inside the call."""
        call, since = self.call(), clock.monotonic()
        token = context.current_call.set(self._inner or call)
        try:
            item = await move(*args)
            self.take(item)
        except StopAsyncIteration:
            self.end(None, since)
            raise
        except BaseException as error:
            if _is_over(stream):
                self.end(error, since)
            raise
        else:
            return item
        finally:
            with suppress(ValueError):  # thrown away in the middle of a step, from elsewhere
                inner = context.current_call.get()
                context.current_call.reset(token)
                self._inner = inner

    def inside(self, run: Callable[..., Any], *args: Any) -> Any:
        """Runs what opens or closes a synchronous stream inside the call; a failure ends it."""
        since = clock.monotonic()
        token = context.current_call.set(self._inner or self._call)
        try:
            return run(*args)
        except BaseException as error:
            self.end(error, since)
            raise
        finally:
            context.current_call.reset(token)

    async def async_inside(self, run: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Runs what opens or closes an asynchronous stream inside the call; a failure ends it."""
        since = clock.monotonic()
        token = context.current_call.set(self._inner or self._call)
        try:
            return await run(*args)
        except BaseException as error:
            self.end(error, since)
            raise
        finally:
            with suppress(ValueError):
                context.current_call.reset(token)

    def closing(self, close: Callable[..., Any], *args: Any, early: bool = True) -> Any:
        """Closes a synchronous stream, and so ends the call; `early` unless that is its end."""
        if self.ended or not self.begun:
            return close(*args)
        result = self.inside(close, *args)
        self._closed(early)
        return result

    async def async_closing(self, close: Callable[..., Any], *args: Any, early: bool = True) -> Any:
        """Closes an asynchronous stream, and so ends the call; `early` unless that is its end."""
        if self.ended or not self.begun:
            return await close(*args)
        result = await self.async_inside(close, *args)
        self._closed(early)
        return result

    def passed(self, since: float) -> None:
        """Counts the time since then: it was spent opening the stream, not by its consumer."""
        self._last += clock.monotonic() - since

    def _closed(self, early: bool) -> None:
        if early:
            self.end(Closed(), clock.monotonic())
        else:  # what was read in the block is not seen: all of its time counts
            self.end(None, self._last)


def _is_over(stream: Any) -> bool:
    """Whether an exception ended the stream; a generator that was busy elsewhere goes on."""
    try:
        frame = getattr(stream, "gi_frame", getattr(stream, "ag_frame", None))
    except Exception:  # a client's stream whose attributes raise: no generator
        return True
    return frame is None


class _Iterator(wrapt.BaseObjectProxy):  # type: ignore[type-arg] # whatever stream
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


class _Generator(_Iterator):
    """A generator."""

    def send(self, value: Any) -> Any:
        stream = self.__wrapped__
        return self._self_course.step(stream, stream.send, value)

    def throw(self, *error: Any) -> Any:
        stream = self.__wrapped__
        return self._self_course.step(stream, stream.throw, *error)


class _ContextIterator(_Iterator):
    """A stream read with `for`, closed by `with`."""

    def __enter__(self) -> Any:
        entered = self.__wrapped__.__enter__()
        return self if entered is self.__wrapped__ else entered

    def __exit__(self, *exc: Any) -> Any:
        return self._self_course.closing(self.__wrapped__.__exit__, *exc)


class _AsyncIterator(wrapt.BaseObjectProxy):  # type: ignore[type-arg] # as above
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


class _AsyncGenerator(_AsyncIterator):
    """An asynchronous generator."""

    async def asend(self, value: Any) -> Any:
        stream = self.__wrapped__
        return await self._self_course.async_step(stream, stream.asend, value)

    async def athrow(self, *error: Any) -> Any:
        stream = self.__wrapped__
        return await self._self_course.async_step(stream, stream.athrow, *error)


class _AsyncContextIterator(_AsyncIterator):
    """A stream read with `async for`, closed by `async with`."""

    async def __aenter__(self) -> Any:
        entered = await self.__wrapped__.__aenter__()
        return self if entered is self.__wrapped__ else entered

    async def __aexit__(self, *exc: Any) -> Any:
        return await self._self_course.async_closing(self.__wrapped__.__aexit__, *exc)


class _DualIterator(_ContextIterator):
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


class _Manager(wrapt.BaseObjectProxy):  # type: ignore[type-arg] # as above
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


class _AsyncManager(wrapt.BaseObjectProxy):  # type: ignore[type-arg] # as above
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


class Awaited(wrapt.BaseObjectProxy):  # type: ignore[type-arg] # as above
    """An awaitable object whose call ends when it has been awaited."""

    def __init__(self, wrapped: Any, run: Callable[[Any], Awaitable[Any]]) -> None:
        super().__init__(wrapped)
        self._self_run = run

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._self_run(self.__wrapped__).__await__()


class AwaitedManager(_AsyncManager):
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


Proxy = Callable[[Any, Course], Any]

_TRACKED = (_Iterator, _AsyncIterator, _Manager, _AsyncManager)
_MANAGERS = ("StreamManager", "ResponseContextManager")  # as openai's and anthropic's are called


def is_tracked(stream: Any) -> bool:
    """Whether the stream belongs to a call already."""
    return isinstance(type(stream), type) and issubclass(type(stream), _TRACKED)


def proxy_for(cls: type) -> Proxy | None:
    """What follows streams of a class; None when its objects are not streams."""
    if issubclass(cls, io.IOBase):
        return None
    if hasattr(cls, "__anext__") and hasattr(cls, "__next__"):
        return _DualIterator
    if hasattr(cls, "__anext__"):
        return _async_proxy_for(cls)
    if hasattr(cls, "__next__"):
        return _sync_proxy_for(cls)
    if cls.__name__.endswith(_MANAGERS):
        return _AsyncManager if hasattr(cls, "__aenter__") else _Manager
    return None


def _sync_proxy_for(cls: type) -> Proxy:
    if issubclass(cls, types.GeneratorType) or (hasattr(cls, "send") and hasattr(cls, "throw")):
        return _Generator
    return _ContextIterator if hasattr(cls, "__enter__") else _Iterator


def _async_proxy_for(cls: type) -> Proxy:
    if issubclass(cls, types.AsyncGeneratorType) or hasattr(cls, "asend"):
        return _AsyncGenerator
    return _AsyncContextIterator if hasattr(cls, "__aenter__") else _AsyncIterator


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
