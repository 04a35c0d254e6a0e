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
from types import CoroutineType, TracebackType
from typing import Any, NoReturn, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

_PLAIN = frozenset((str, int, float, bool, type(None)))


def _refuse(*args: object, **values: object) -> NoReturn:
    raise TypeError("what is bound cannot be changed: write geomon.bind(...)")


_refused: Any = _refuse


class Bound(dict[str, Any]):
    """What is bound, in a dict that nobody changes: every record made meanwhile carries it.

    Its pickle is a dict of its plain values, so that a record can go to another process.
    """

    __setitem__ = __delitem__ = __ior__ = _refused
    clear = pop = popitem = setdefault = update = _refused

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, ({key: value for key, value in self.items() if type(value) in _PLAIN},)


bound: contextvars.ContextVar[Bound] = contextvars.ContextVar(
    "geomon.bound",
    default=Bound(),  # noqa: B039 - nobody changes it
)


current_call: contextvars.ContextVar[Any] = contextvars.ContextVar(
    "geomon.current_call", default=None
)
"""The innermost call or meter, open or ended: `geomon.current_call()` tells them apart."""


RECORD_ATTRIBUTE = "_geomon_context"
"""The private attribute under which a log record carries what was bound in its caller's thread."""


def get_context() -> dict[str, Any]:
    """A copy of what is bound here: `{"request_id": ..., "user_id": ...}`."""
    return dict(bound.get())


class _Layer:
    """One entry of a `bind`, and what restores the values before it."""

    __slots__ = ("is_left", "outer", "owner", "token")

    def __init__(self, owner: bind, token: contextvars.Token[Bound], outer: _Layer | None) -> None:
        self.owner = owner
        self.token = token
        self.outer = outer
        self.is_left = False


_layer: contextvars.ContextVar[_Layer | None] = contextvars.ContextVar("geomon.layer", default=None)


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

    def __enter__(self) -> None:
        token = bound.set(Bound(bound.get(), **self._values))
        outer = _layer.get()
        while outer is not None and outer.is_left:  # elsewhere: the chain grows from task to task
            outer = outer.outer
        _layer.set(_Layer(self, token, outer))

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        layer = _layer.get()
        while layer is not None and layer.owner is not self:  # a generator's own block, left open
            layer = layer.outer
        if layer is not None:
            layer.is_left = True
            _layer.set(layer.outer)
            with suppress(ValueError):  # a copy of the context: the value is not ours to restore
                bound.reset(layer.token)
        # else left in another context than it was entered in (a generator closed by another
        # task), where there is nothing to restore

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
        """Decorates a function of any shape, which keeps its type.

        Of a plain function that returns a coroutine, the coroutine runs with the values too; a
        task has taken them along. Other awaitable objects are given back as they are, and have the
        values only where they were made.
        """
        return cast(F, _decorate(function, self._values))


class Unstarted:
    """Holds an awaitable for a coroutine that will await it; closes it where that is never run.

    So that a task that is cancelled before its first step leaves no "never awaited" behind.
    """

    __slots__ = ("awaitable",)

    def __init__(self, awaitable: Any) -> None:
        self.awaitable = awaitable

    def __del__(self) -> None:
        if isinstance(self.awaitable, CoroutineType):
            self.awaitable.close()


def carry(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, run in a copy of the context that stands here.

    Threads and executors start with an empty context; `executor.submit(carry(work), x)` and
    `Thread(target=carry(work))` take request id, user id and the current call along. The result
    may be called from many threads at once.

    Raises:
        TypeError: it is not a plain function. Tasks take the context along by themselves; a
            generator's body runs in the context of whoever iterates it.
    """
    if not callable(function):
        raise TypeError(f"carry() takes a function, not {function!r}: write carry(work)")
    if inspect.iscoroutinefunction(function):
        raise TypeError(
            f"carry() cannot take the coroutine function {function!r}, and need not: "
            "asyncio.create_task(work()) takes the context along"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"carry() cannot take the generator function {function!r}, whose body runs in the "
            "context of whoever iterates it: carry the function that iterates"
        )
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
            result = function(*args, **kwargs)
        return result if type(result) is not CoroutineType else _bound_result(result, values)

    return wrapper


def _bound_result(coroutine: Any, values: Mapping[str, Any]) -> Any:
    bound_coroutine: Any = _await_bound(Unstarted(coroutine), values)
    bound_coroutine.__qualname__ = coroutine.__qualname__
    bound_coroutine.__name__ = coroutine.__name__
    return bound_coroutine


async def _await_bound(inner: Unstarted, values: Mapping[str, Any]) -> Any:
    with bind(**values):
        return await inner.awaitable


def _bound_coroutine(function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with bind(**values):
            return await function(*args, **kwargs)

    return wrapper


class _Body:
    """What is bound while a generator's body runs, its own open `with bind` blocks included."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._bind = bind(**values)
        self._left: tuple[Bound, _Layer | None] | None = None

    def __enter__(self) -> None:
        self._tokens = bound.set(bound.get()), _layer.set(_layer.get())
        if self._left is None:
            self._bind.__enter__()
            self._own = _layer.get()
        else:
            bound.set(self._left[0])
            _layer.set(self._left[1])

    def __exit__(self, *exc: object) -> None:
        here = bound.get(), _layer.get()
        with suppress(ValueError):  # closed in another context
            bound.reset(self._tokens[0])
            _layer.reset(self._tokens[1])
            self._left = None if here[1] is self._own else here


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
