"""The context variables: what is bound goes with every call and log record made inside.

Limits first. `with bind(...)` in the body of a generator is seen by whoever iterates it, until the
generator leaves the block: Python gives a generator no context of its own. Decorate the generator
function with `@bind(...)` instead: then the values hold only while its body runs.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import suppress
from types import MappingProxyType, TracebackType
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

bound: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar(
    "geomon.bound", default=MappingProxyType({})
)


current_call: contextvars.ContextVar[Any] = contextvars.ContextVar(
    "geomon.current_call", default=None
)
"""The innermost call or meter, open or ended: `geomon.current_call()` tells them apart."""


def get_context() -> dict[str, Any]:
    """A copy of what is bound here: `{"request_id": ..., "user_id": ...}`."""
    return dict(bound.get())


class bind:  # noqa: N801 - reads as a verb, like contextlib's suppress
    """Puts values into the context, for a with-block or a decorated function.

    Args:
        **values: Any names; `request_id` and `user_id` are the usual ones. Inner values hide outer
            ones of the same name, until the block ends.

    Raises:
        TypeError: it decorates something that is not a function.
    """

    def __init__(self, **values: Any) -> None:
        self._values = values
        # by the identity of the mapping that an entry put in force, which it keeps alive
        self._entries: dict[int, tuple[contextvars.Token[Mapping[str, Any]], Any]] = {}

    def __enter__(self) -> None:
        merged = MappingProxyType({**bound.get(), **self._values})
        self._entries[id(merged)] = (bound.set(merged), merged)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        entry = self._entries.pop(id(bound.get()), None)
        if entry is not None:
            with suppress(ValueError):  # a copy of the context: the value is not ours to restore
                bound.reset(entry[0])
        elif not self._restore_latest():
            # left in another context than it was entered in (a generator closed by another task),
            # where there is nothing to restore
            with suppress(KeyError):
                self._entries.popitem()

    def _restore_latest(self) -> bool:
        """Restores over what a generator's own `with bind` left behind in this context."""
        for key, (token, _) in reversed(list(self._entries.items())):
            try:
                bound.reset(token)
            except ValueError:
                continue
            del self._entries[key]
            return True
        return False

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(exc_type, exc, traceback)

    def __call__(self, function: F) -> F:
        """Decorates a function of any shape, which keeps its type."""
        return cast(F, _decorate(function, self._values))


def carry(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, run in a copy of the context that stands here.

    Threads and executors start with an empty context; `executor.submit(carry(work), x)` and
    `Thread(target=carry(work))` take request id, user id and the current call along. The result
    may be called from many threads at once.
    """
    if not callable(function):
        raise TypeError(f"carry() takes a function, not {function!r}: write carry(work)")
    context = contextvars.copy_context()

    @functools.wraps(function)
    def carried(*args: P.args, **kwargs: P.kwargs) -> R:
        return context.copy().run(function, *args, **kwargs)

    return carried


def _decorate(function: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(function, classmethod | staticmethod):
        return type(function)(_decorate(function.__func__, values))
    if isinstance(function, type) or not callable(function):
        raise TypeError(f"@bind(...) decorates a function, not {function!r}")
    if inspect.iscoroutinefunction(function):
        return _bound_coroutine(function, values)
    if inspect.isgeneratorfunction(function):
        return _bound_generator(function, values)
    if inspect.isasyncgenfunction(function):
        return _bound_async_generator(function, values)
    return _bound_function(function, values)


def _bound_function(function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with bind(**values):
            return function(*args, **kwargs)

    return wrapper


def _bound_coroutine(function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with bind(**values):
            return await function(*args, **kwargs)

    return wrapper


class _Body:
    """What is bound while a generator's body runs, its own open `with bind` blocks included."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._made: Mapping[str, Any] | None = None
        self._left: Mapping[str, Any] | None = None

    def __enter__(self) -> None:
        if self._left is None:
            self._made = MappingProxyType({**bound.get(), **self._values})
        self._token = bound.set(self._made if self._left is None else self._left)  # type: ignore[arg-type]

    def __exit__(self, *exc: object) -> None:
        here = bound.get()
        with suppress(ValueError):  # closed in another context
            bound.reset(self._token)
            self._left = None if here is self._made else here


def _bound_generator(function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        inner = function(*args, **kwargs)
        step, sent, body = inner.send, None, _Body(values)
        while True:
            try:
                with body:
                    item = step(sent)
            except StopIteration as stop:
                return stop.value
            try:
                step, sent = inner.send, (yield item)
            except GeneratorExit:
                with body:
                    inner.close()
                raise
            except BaseException as error:
                step, sent = inner.throw, error

    return wrapper


def _bound_async_generator(function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inner = function(*args, **kwargs)
        step, sent, body = inner.asend, None, _Body(values)
        while True:
            try:
                with body:
                    item = await step(sent)
            except StopAsyncIteration:
                return
            try:
                step, sent = inner.asend, (yield item)
            except GeneratorExit:
                with body:
                    await inner.aclose()
                raise
            except BaseException as error:
                step, sent = inner.athrow, error

    return wrapper
