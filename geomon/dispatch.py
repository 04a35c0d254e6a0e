"""Hands every finished call to every sink, each failure contained.

A sink is a callable that takes a `Call`. If it has a method `started`, that is called with the
`ActiveCall` when a call begins. Sinks run in the calling thread: one that hangs holds the program
up, so a sink that talks to something slow puts the call into a queue of its own.

A sink that has a method `close` is closed with its configuration. A call that is still open then
ends in the pipeline it began in all the same, so that it is counted once, and always: `started`
and the call itself may come after `close`. What a closed sink raises is contained like the rest.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable
from typing import Any

from geomon import locks, losses, settings
from geomon.call import Call, Usage

Sink = Callable[[Call], object]


class Pipeline:
    """The sinks of one configuration. Immutable: a call ends in the pipeline it began in."""

    __slots__ = ("closed", "cost", "guarded", "sinks", "started")

    def __init__(
        self,
        sinks: Iterable[Sink],
        cost: Callable[[Usage, float, str | None], float | None] | None = None,
    ) -> None:
        self.sinks = tuple(sinks)
        hooks = (getattr(sink, "started", None) for sink in self.sinks)
        self.started: tuple[Callable[[Any], object], ...] = tuple(filter(callable, hooks))
        self.guarded = not all(_is_own(hook) for hook in self.started)
        """Whether a hook is the program's: what it calls must not be tracked."""
        self.cost = cost
        self.closed = False

    def with_sinks(self, *more: Sink) -> Pipeline:
        """The same pipeline with further sinks."""
        return Pipeline((*self.sinks, *more), self.cost)


def check_sink(sink: Any) -> None:
    """Whether calls can be handed to it.

    Raises:
        TypeError: it cannot be called, or calling it would do nothing.
    """
    if isinstance(sink, type):
        raise TypeError(
            f"the sink {sink!r} is a class: write {sink.__name__}(...), an object that is called "
            "with each Call"
        )
    if not callable(sink):
        raise TypeError(
            f"the sink {sink!r} cannot be called: a sink is a function that takes a Call"
        )
    if any(is_lazy(function) for function in (sink, type(sink).__call__)):
        raise TypeError(
            f"the sink {sink!r} is an async or generator function, whose body nobody would run: "
            "write a plain function, such as the put of a queue.SimpleQueue that a thread reads"
        )


def is_lazy(function: Any) -> bool:
    """Whether to call it runs nothing of its body: an async or generator function."""
    return (
        inspect.iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
        or inspect.isgeneratorfunction(function)
    )


def _is_own(hook: Any) -> bool:
    return str(getattr(hook, "__module__", "")).startswith("geomon.sinks.")


OFF = Pipeline(())
"""Takes calls and does nothing with them."""

disabled = settings.disabled()
"""Whether `GEOMON_DISABLED` makes all of geomon a no-op; read once, when geomon is imported."""

pipeline: Pipeline | None = OFF if disabled else None
"""The pipeline in force; None until there is one, see `current`."""

_default: Callable[[], Pipeline] = lambda: OFF  # noqa: E731 - replaced by set_default
_lock = locks.lock_of(sys.modules[__name__])


def current() -> Pipeline:
    """The pipeline in force; made by `set_default`'s function when first asked for."""
    return pipeline if pipeline is not None else _first_use()


def _first_use() -> Pipeline:
    global pipeline
    with _lock:  # many threads may make the first call at once
        if pipeline is None:
            try:
                pipeline = _default()
            except Exception as error:
                pipeline = OFF
                losses.failed("dispatch", "setup_failed", error, "the default sinks")
        return pipeline


def install(new: Pipeline | None) -> Pipeline | None:
    """Puts a pipeline in force and gives the earlier one; None returns to the default."""
    global pipeline
    with _lock:
        earlier, pipeline = pipeline, OFF if new is not None and new.closed else new
        return earlier


def set_default(make: Callable[[], Pipeline]) -> None:
    """What makes the pipeline of a program that never called `configure()`."""
    global _default
    _default = make


def started(pipeline: Pipeline, active: Any) -> None:
    """Tells the sinks that want to know that a call has begun."""
    for hook in pipeline.started:
        try:
            hook(active)
        except BaseException as error:
            contain("started_failed", hook, error)


_settling: list[Callable[[], None]] = []


def before_reading(settle: Callable[[], None]) -> None:
    """Registers what must be done before anybody reads what the sinks have."""
    _settling.append(settle)


def settle() -> None:
    """Brings everything up to date for a reader: a scrape, a close, a test."""
    for one in _settling:
        one()


def contain(reason: str, sink: Any, error: BaseException) -> None:
    """Counts what a sink raised.

    Raises:
        KeyboardInterrupt: it was one: the user's own, not the sink's.
    """
    if isinstance(error, KeyboardInterrupt):
        raise error
    losses.failed("sink", reason, error, name_of(sink))


def name_of(sink: Any) -> str:
    """A sink by its function or class: its repr may hold calls."""
    try:
        return f"sink {getattr(sink, '__qualname__', type(sink).__qualname__)}"
    except Exception:
        return f"sink of type {type(sink).__name__}"
