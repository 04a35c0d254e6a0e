"""`track_ai` and `track_request`: each a decorator and a with-block, sync and async."""

from __future__ import annotations

import contextlib
import functools
import sys
import types
from collections.abc import Callable
from contextvars import Token
from dataclasses import replace
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast, overload

from geomon import clock, context, dispatch
from geomon.call import Code
from geomon.tracking.active import ActiveCall, Spec, finish, open_call
from geomon.tracking.chain import leave
from geomon.tracking.current import begin
from geomon.tracking.wrapping import wrap

F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")

_Entry = tuple[ActiveCall, types.CodeType, Token[Any]]
"""An open block: its call, the code of the function that entered it, and its token."""

_current = context.current_call


class Tracker:
    """Starts calls; made by `track_ai` and `track_request`.

    One tracker may decorate many functions and be entered many times at once.
    """

    __slots__ = ("_open", "_spec")

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._open: dict[int, list[_Entry]] = {}  # by the identity of the frame that entered

    def __call__(self, function: F) -> F:
        """Decorates a function, method or callable object, which keeps its type.

        Raises:
            TypeError: it is not something that can be called.
        """
        if dispatch.disabled:
            return function
        return cast(F, wrap(function, self._spec))

    def __enter__(self) -> ActiveCall:
        return self._enter(sys._getframe(1))

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exit(exc, sys._getframe(1))

    async def __aenter__(self) -> ActiveCall:
        return self._enter(sys._getframe(1))

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exit(exc, sys._getframe(1))

    def _enter(self, frame: types.FrameType) -> ActiveCall:
        frame, spec = _user_frame(frame), self._spec
        code = frame.f_code
        if dispatch.disabled:
            return open_call(spec, None, dispatch.OFF)
        if spec.kind == "ai" and spec.type is None:
            spec = replace(spec, type=code.co_name)
        active = begin(spec)
        active.code = Code(code.co_filename, frame.f_lineno, code.co_qualname)
        entry = active, code, _current.set(active)
        self._open.setdefault(id(frame), []).append(entry)
        return active

    def _exit(self, error: BaseException | None, frame: types.FrameType) -> None:
        at = clock.monotonic()
        entry = self._leaving(_user_frame(frame))
        if entry is None:
            return
        active = entry[0]
        if _current.get() is active:
            finish(active, error, at)
            leave(active, entry[2])
        else:  # another generator's block is open by now
            token = _current.set(active)
            finish(active, error, at)
            _current.reset(token)

    def _leaving(self, frame: types.FrameType) -> _Entry | None:
        """The entry that this exit belongs to: the last one of the same frame.

        Two generators may hold one tracker's blocks open and leave them in any order. What enters
        in one function and leaves in another is the innermost one of this context.
        """
        key, here = id(frame), _current.get()
        entries = self._open.get(key)
        if entries and entries[-1][1] is frame.f_code:
            entry = entries[-1]
            if len(entries) > 1:  # exit stacks of one function, entered in several contexts
                entry = next((one for one in entries if one[0] is here), entry)
            return self._take(key, entry)
        while here is not None:
            for key, entries in list(self._open.items()):
                for entry in reversed(entries):
                    if entry[0] is here:
                        return self._take(key, entry)
            here = here._parent
        return None

    def _take(self, key: int, entry: _Entry) -> _Entry:
        entries = self._open[key]
        entries.remove(entry)
        if not entries:
            del self._open[key]
        return entry


def _user_frame(frame: types.FrameType) -> types.FrameType:
    """The frame that holds the block, where an exit stack enters and leaves it."""
    while frame.f_code.co_filename == contextlib.__file__ and frame.f_back is not None:
        frame = frame.f_back
    return frame


@overload
def track_ai(function: F, /) -> F: ...


@overload
def track_ai(
    type: str | None = None,
    *,
    model: str | None = None,
    provider: str | None = None,
    merge: bool = True,
) -> Tracker: ...


def track_ai(
    type: Any = None,
    *,
    model: str | None = None,
    provider: str | None = None,
    merge: bool = True,
) -> Any:
    """Tracks calls to an AI model, as a decorator or a with-block, sync or async.

    `@track_ai`, `@track_ai("summarize", model="gpt-4o")`, `with track_ai("chat") as call:`.

    A decorated function's return value is read for model and tokens when it is a client's response
    or stream; a with-block hands its response to `call.record(response)`.

    Args:
        type: What the calls are for, in few different words: it becomes a metric label. The
            function's name where it is left out.
        model: The requested model, so that failures are counted under it too.
        provider: The provider's id, where responses do not tell: `openai`, `anthropic`, ...
        merge: Whether calls that an instrumented client makes inside are a part of this one
            (default), or count by themselves too.

    Raises:
        TypeError: an argument has the wrong type, or what is decorated cannot be called.
    """
    if type is not None and not isinstance(type, str):
        return Tracker(Spec("ai"))(type)
    _check_text("track_ai", 'type, as in track_ai("summarize")', type)
    _check_text("track_ai", 'model, as in model="gpt-4o"', model)
    _check_text("track_ai", 'provider, as in provider="openai"', provider)
    if not isinstance(merge, bool):
        raise TypeError(f"track_ai(merge={merge!r}): write merge=True or merge=False")
    return Tracker(Spec("ai", type=type, model=model, provider=provider, merge=merge))


def _never_bare(function: Callable[P, Tracker]) -> Callable[P, Tracker]:
    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> Tracker:
        given: tuple[object, ...] = args
        if len(given) == 1 and callable(given[0]):
            raise TypeError(
                "track_request needs a method and an endpoint: "
                '@track_request("GET", "/items/{id}"), not @track_request'
            )
        return function(*args, **kwargs)

    return called


@_never_bare
def track_request(method: str, endpoint: str) -> Tracker:
    """Tracks requests that the program serves, as a decorator or a with-block, sync or async.

    `with track_request("POST", "/v1/render") as request: request.status = 201`.

    The status is 200 unless `request.status` is set; on an exception it is the exception's
    `status_code`, else 500.

    Args:
        method: The HTTP method.
        endpoint: The route template, with names in place of values: `/items/{id}`.

    Raises:
        TypeError: it is used bare, or an argument has the wrong type.
    """
    _check_text("track_request", 'method, as in track_request("GET", "/items")', method, True)
    _check_text("track_request", 'endpoint, as in track_request("GET", "/items")', endpoint, True)
    return Tracker(Spec("request", method=method.upper(), endpoint=endpoint))


def track_client(type: str, *, provider: str | None = None, model: str | None = None) -> Tracker:
    """Tracks a call that an instrumented client makes; merges into an enclosing AI call."""
    return Tracker(Spec("ai", type=type, model=model, provider=provider, client=True))


def _check_text(function: str, what: str, value: Any, needed: bool = False) -> None:
    if value is None and not needed:
        return
    if not isinstance(value, str) or not value:
        raise TypeError(f"{function} takes a string for {what}; it got {value!r}")
