"""One stream on its way from start to end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

from geomon import clock, context


class Closed(BaseException):
    """Stands for a stream that its consumer closed before the end."""


class Streamed(Protocol):
    """The call that a stream belongs to, as far as a stream knows it."""

    def stream_item(self, item: Any, at: float) -> None:
        """An item came out of the stream at `at` seconds, monotonic."""

    def stream_response(self, response: Any) -> None:
        """A response came along with the stream, or in its place."""

    def stream_end(self, error: BaseException | None, at: float) -> None:
        """The stream is over: read to its end (None), failed, or `Closed`."""

    def stream_dropped(self, at: float) -> None:
        """Nobody holds the stream any more, and it was not at its end."""


class Course:
    """One stream on its way from start to end; ends its call exactly once.

    Proxies hold it and nothing else does, so that its disappearance means a dropped stream.
    """

    __slots__ = ("_begin", "_call", "_given", "_inner", "_last", "_open", "_streams", "decode")

    def __init__(self, call: Streamed | None, begin: Callable[[], Streamed] | None = None) -> None:
        self._call = call
        self._begin = begin
        self._open = [True]
        self._inner: Any = None  # the block that a generator's body holds open over a yield
        self._last = clock.monotonic()
        self._streams = False
        self._given: Any = None
        self.decode: Callable[[Any], Any] | None = None

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
        if self.decode is not None:
            item = self.decode(item)
            if item is None:
                return
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
                try:
                    self._call.stream_dropped(self._last)
                finally:
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

    def opening(self, enter: Callable[[], Any]) -> Any:
        """Enters a block; its time is spent opening the stream, not by its consumer."""
        since = clock.monotonic()
        entered = self.inside(enter)
        self.passed(since)
        return entered

    async def async_opening(self, enter: Callable[[], Awaitable[Any]]) -> Any:
        """Enters an asynchronous block, as `opening`."""
        since = clock.monotonic()
        entered = await self.async_inside(enter)
        self.passed(since)
        return entered

    def closing(self, close: Callable[[], Any]) -> Any:
        """Closes a stream, and so ends the call: now, or when what `close` gives is awaited."""
        if self.ended or not self.begun:
            return close()
        result = self.inside(close)
        if hasattr(type(result), "__await__"):
            return self._closing(context.Unstarted(result))
        self.end(Closed(), clock.monotonic())
        return result

    async def _closing(self, closing: context.Unstarted) -> Any:
        result = await self.async_inside(lambda: closing.awaitable)
        self.end(Closed(), clock.monotonic())
        return result

    def leaving(self, leave: Callable[..., Any], *exc: Any) -> Any:
        """Leaves a block, and so ends the call."""
        if self.ended or not self.begun:
            return leave(*exc)
        handled = self.inside(leave, *exc)
        self._left(None if handled else exc[1])
        return handled

    async def async_leaving(self, leave: Callable[..., Awaitable[Any]], *exc: Any) -> Any:
        """Leaves an asynchronous block, and so ends the call."""
        if self.ended or not self.begun:
            return await leave(*exc)
        handled = await self.async_inside(leave, *exc)
        self._left(None if handled else exc[1])
        return handled

    def passed(self, since: float) -> None:
        """Counts the time since then: it was spent opening the stream, not by its consumer."""
        self._last += clock.monotonic() - since

    def streams(self) -> None:
        """Its stream can be stepped through from now on, so that its end is seen."""
        self._streams, self._given = True, None

    def gave(self, response: Any) -> None:
        """Its block gave a response, whose body may be read in the block."""
        if not self._streams:
            self._given = response

    def complete(self) -> None:
        """Ends the call well; all of the time since the last item counts."""
        self.end(None, self._last)

    def _left(self, error: BaseException | None) -> None:
        if self._streams:
            self.end(Closed(), clock.monotonic())
            return
        if self._given is not None and not self.ended:
            self.call().stream_response(self._given)
        self.end(error, self._last)  # what was read in the block is not seen: all its time counts


def _is_over(stream: Any) -> bool:
    """Whether an exception ended the stream; a generator that was busy elsewhere goes on."""
    try:
        frame = getattr(stream, "gi_frame", getattr(stream, "ag_frame", None))
    except Exception:  # a client's stream whose attributes raise: no generator
        return True
    return frame is None
