"""Wraps functions of every shape, so that each run is one call."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import pkgutil
import types
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import wrapt

from geomon import clock, context, losses, streams
from geomon.call import Code
from geomon.tracking.active import ActiveCall, Spec, finish
from geomon.tracking.current import begin

_current = context.current_call
_PLAIN, _COROUTINE, _FUTURE, _AWAITABLE, _STREAM, _RESPONSE = range(6)
_KNOWN_TYPES = 4096
_PLAIN_TYPES: dict[type, int] = dict.fromkeys(
    (str, bytes, int, float, bool, type(None), list), _PLAIN
)
_kinds: dict[type, int] = dict(_PLAIN_TYPES)

Wrapper = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]


class _Bound(wrapt.BoundFunctionWrapper):  # type: ignore[type-arg] # whatever function
    def __reduce_ex__(self, protocol: Any) -> Any:
        method = self.__wrapped__
        owner = self._self_instance
        if owner is None:  # taken from the class
            owner = getattr(method, "__self__", None)
        if owner is not None:
            return getattr, (owner, method.__name__)
        return pkgutil.resolve_name, (f"{method.__module__}:{method.__qualname__}",)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        if self._self_instance is None:
            return self
        return getattr(copy.deepcopy(self._self_instance, memo), self.__wrapped__.__name__)


class Tracked(wrapt.FunctionWrapper):  # type: ignore[type-arg] # whatever function
    """A decorated function. It keeps its signature, docstring, kind and descriptor behaviour."""

    __bound_function_wrapper__ = _Bound

    def __init__(self, function: Any, wrapper: Wrapper, spec: Spec) -> None:
        super().__init__(function, wrapper)
        self._self_spec = spec

    def __reduce_ex__(self, protocol: Any) -> Any:
        name = getattr(self.__wrapped__, "__qualname__", None)
        if name is None:  # a partial or a callable object
            return wrap, (self.__wrapped__, self._self_spec)
        return name  # as functions are

    def __copy__(self) -> Any:
        return self  # as functions are

    def __deepcopy__(self, memo: Any) -> Any:
        return self


def wrap(function: Any, spec: Spec) -> Any:
    """The function, tracked.

    Raises:
        TypeError: it is not something that can be called.
    """
    function = _untracked(function, spec.kind)
    plain = _plain(function)
    if isinstance(function, type) or not (
        callable(function) or isinstance(function, classmethod | staticmethod)
    ):
        raise TypeError(
            f"a tracker decorates a function, a method or a callable object, not {function!r}"
        )
    if spec.kind == "ai" and spec.type is None:
        spec = replace(spec, type=_name(plain))
    spec = replace(spec, code=_code(plain))
    return Tracked(function, _wrapper_for(plain)(spec), spec)


def _untracked(function: Any, kind: str) -> Any:
    """The function below an earlier decorator of the same kind: decorating twice counts once."""
    if type(function) is Tracked and function._self_spec.kind == kind:
        return function.__wrapped__
    if type(function) is _Bound and function._self_parent._self_spec.kind == kind:
        return function.__wrapped__
    if isinstance(function, classmethod | staticmethod):
        inner = _untracked(function.__func__, kind)
        if inner is not function.__func__:
            return type(function)(inner)
    if type(function) is types.MethodType:  # Python 3.13's of a classmethod
        inner = _untracked(function.__func__, kind)
        if inner is not function.__func__:
            return types.MethodType(inner, function.__self__)
    return function


def _plain(function: Any) -> Any:
    """The function whose body runs, below classmethod, partial and callable object."""
    if isinstance(function, classmethod | staticmethod):
        return _plain(function.__func__)
    if isinstance(function, functools.partial):
        return _plain(function.func)
    if hasattr(function, "__code__") or inspect.isroutine(function):
        return function
    called = getattr(type(function), "__call__", None)  # noqa: B004 - the method, not whether
    return called if hasattr(called, "__code__") else function


def _name(function: Any) -> str:
    name = getattr(function, "__name__", None)
    if name == "__call__":
        name = function.__qualname__.split(".")[-2]
    return name or type(function).__name__


def _code(function: Any) -> Code | None:
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return None
    return Code(code.co_filename, code.co_firstlineno, getattr(code, "co_qualname", code.co_name))


def _wrapper_for(function: Any) -> Callable[[Spec], Wrapper]:
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        return _around_coroutine if _is_awaited(function) else _around_generator
    if inspect.iscoroutinefunction(function):
        return _around_coroutine
    return _around_function


def _is_awaited(function: Any) -> bool:
    """Whether it is a generator function under `types.coroutine`."""
    return bool(function.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE)


def _around_function(spec: Spec) -> Wrapper:
    kind_of, set_current, reset_current = _kinds.get, _current.set, _current.reset

    def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        active = begin(spec)
        token = set_current(active)
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:
            finish(active, error, clock.monotonic())
            raise
        else:
            if kind_of(type(result)) is not _PLAIN:
                goes_on, result = _look_at(active, result)
                if goes_on:
                    return result
            finish(active, None, clock.monotonic())
            return result
        finally:
            reset_current(token)

    return wrapper


def _around_coroutine(spec: Spec) -> Wrapper:
    kind_of, set_current, reset_current = _kinds.get, _current.set, _current.reset

    # the wrapped function is called at the first step, so that a task that is cancelled before it
    # leaves no coroutine behind that was never awaited; wrong arguments raise there too
    async def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        active = begin(spec)
        token = set_current(active)
        try:
            result = await wrapped(*args, **kwargs)
        except BaseException as error:
            finish(active, error, clock.monotonic())
            raise
        else:
            if kind_of(type(result)) is not _PLAIN:
                goes_on, result = _look_at(active, result)
                if goes_on:
                    return result
            finish(active, None, clock.monotonic())
            return result
        finally:
            try:  # noqa: SIM105 - suppress() costs more than all else in this line
                reset_current(token)
            except ValueError:  # thrown away while it waited, in another context
                pass

    if spec.code is not None:  # what tasks and warnings call the coroutine
        wrapper.__qualname__ = spec.code.function
        wrapper.__name__ = spec.code.function.rpartition(".")[2]
    return wrapper


def _around_generator(spec: Spec) -> Wrapper:
    def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        course = streams.Course(None, lambda: begin(spec))
        return streams.follow(wrapped(*args, **kwargs), course)

    return wrapper


def _look_at(active: ActiveCall, result: Any) -> tuple[bool, Any]:
    """Whether the call goes on after its function returned, and what to return."""
    try:
        kind = _kinds.get(type(result))
        if kind is None:
            kind = _classify(type(result))
        if kind is _RESPONSE or (kind is _STREAM and not streams.is_stream(result)):
            if active.kind == "ai":
                active.record(result)
            return False, result
        if kind is _STREAM and streams.is_tracked(result):
            active.stream_is_read_elsewhere()
        return True, _GOES_ON[kind](active, result)
    except Exception as error:
        losses.failed("tracking", "failed", error)
        return False, result


def _classify(cls: type) -> int:
    if issubclass(cls, types.CoroutineType):
        kind = _COROUTINE
    elif issubclass(cls, asyncio.Future):
        kind = _FUTURE
    elif hasattr(cls, "__await__"):
        kind = _AWAITABLE
    else:
        kind = _RESPONSE if streams.proxy_for(cls) is None else _STREAM
    if len(_kinds) >= _KNOWN_TYPES:  # a program that makes classes by the thousand
        _kinds.clear()
        _kinds.update(_PLAIN_TYPES)
    _kinds[cls] = kind
    return kind


def _follow_coroutine(active: ActiveCall, coroutine: Any) -> Any:
    followed: Any = _finish_unstarted(streams.Course(active), context.Unstarted(coroutine))
    followed.__qualname__ = coroutine.__qualname__
    followed.__name__ = coroutine.__name__
    return followed


async def _finish_unstarted(course: streams.Course, inner: context.Unstarted) -> Any:
    return await _finish_awaited(course, inner.awaitable)


def _follow_awaitable(active: ActiveCall, awaitable: Any) -> Any:
    course = streams.Course(active)

    def run(inner: Any) -> Any:
        return _finish_awaited(course, inner)

    return streams.awaited(awaitable, course, run)


async def _finish_awaited(course: streams.Course, awaitable: Any) -> Any:
    since = clock.monotonic()
    result = await course.async_inside(lambda: awaitable)
    course.passed(since)
    active = course.call()
    assert isinstance(active, ActiveCall)
    if streams.is_stream(result):
        return streams.follow(result, course)
    if active.kind == "ai":
        active.record(result)
    course.end(None, clock.monotonic())
    return result


def _follow_future(active: ActiveCall, future: asyncio.Future[Any]) -> Any:
    course = streams.Course(active)
    since = clock.monotonic()

    def done(future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            course.end(asyncio.CancelledError(), since)
            return
        error = future._exception  # exception() would hide "exception was never retrieved"
        if error is None and _goes_on_within(active, course, future.result()):
            course.passed(since)
        else:
            course.end(error, since)

    future.add_done_callback(done)
    return future


def _goes_on_within(active: ActiveCall, course: streams.Course, result: Any) -> bool:
    """Whether a task's result, which stays itself, can be followed as a stream."""
    if streams.is_stream(result):
        return not streams.is_tracked(result) and streams.follow_within(result, course)
    if active.kind == "ai":
        active.record(result)
    return False


def _follow_stream(active: ActiveCall, stream: Any) -> Any:
    return streams.follow(stream, streams.Course(active))


_GOES_ON: dict[int, Callable[[ActiveCall, Any], Any]] = {
    _COROUTINE: _follow_coroutine,
    _FUTURE: _follow_future,
    _AWAITABLE: _follow_awaitable,
    _STREAM: _follow_stream,
}
