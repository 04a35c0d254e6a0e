"""Runs of a function in a thread of its own: at most one at a time, waited for by any number.

A function that hangs costs one thread, which nobody waits for longer than the timeout. Threads are
daemons made for one run: a pool's would all hang one day, and would be joined at exit.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from contextvars import Context
from typing import Any, Generic, TypeVar

from geomon import clock, locks, losses
from geomon.forks import renew_in_children

T = TypeVar("T")


class Run(Generic[T]):
    """One run, begun; its outcome is None where the timeout has passed."""

    def __init__(self, timeout: float) -> None:
        self._ends = clock.monotonic() + timeout
        self._future: Future[T | None] = Future()
        self._finished_at: float | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.task: asyncio.Task[None] | None = None  # a loop keeps weak references only

    def wait(self) -> T | None:
        """Waits in this thread, until the timeout at most."""
        with suppress(FutureTimeoutError):
            return self._future.result(max(0.0, self._ends - clock.monotonic()))
        return None

    async def wait_async(self) -> T | None:
        """Waits in this task. A waiter that is cancelled does not cancel the run."""
        if not self._future.done():
            loop, done = asyncio.get_running_loop(), asyncio.Event()
            self._future.add_done_callback(lambda _: _wake(loop, done))
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._ends - clock.monotonic())):
                    await done.wait()
        return self._future.result(0) if self._future.done() else None

    def finish(self, outcome: T | None) -> None:
        """Ends the run; what comes after the timeout is none, as those who waited were told."""
        now = self._finished_at = clock.monotonic()
        self._future.set_result(outcome if now <= self._ends else None)

    def serves(self, cache: float) -> bool:
        """Whether who asks now gets this run: it goes on, or ended within the last seconds."""
        if self._finished_at is not None:
            return clock.monotonic() - self._finished_at < cache
        return self.loop is None or not self.loop.is_closed()


def _wake(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the waiter's loop is closed
        loop.call_soon_threadsafe(done.set)


class Flight(Generic[T]):
    """A function, and the run of it that goes on or was the last.

    Args:
        name: For its thread.
        function: Gives an outcome; it contains its own exceptions.
        timeout: Seconds that an outcome may take.
        cache: Seconds for which an outcome serves.
        coroutine: Gives the outcome on the loop of who asks, where that has one.
    """

    def __init__(
        self,
        name: str,
        function: Callable[[], T | None],
        timeout: float,
        cache: float = 0.0,
        coroutine: Callable[[], Coroutine[Any, Any, T | None]] | None = None,
    ) -> None:
        self._name = name
        self._function = function
        self._coroutine = coroutine
        self._timeout = timeout
        self._cache = cache
        self._run: Run[T] | None = None
        self._lock = locks.lock_of(self)
        renew_in_children(self)

    def begin(self, loop: asyncio.AbstractEventLoop | None = None) -> Run[T]:
        """The run that goes on, or ended just now; else a new one.

        Args:
            loop: The running loop of who asks.
        """
        with self._lock:
            run = self._run
            if run is not None and run.serves(self._cache):
                return run
            run = self._run = Run(self._timeout)
        if self._coroutine is not None and loop is not None:
            run.loop = loop
            run.task = loop.create_task(self._fly_on(self._coroutine, run), context=Context())
        else:
            self._start(run)
        return run

    def after_fork(self) -> None:
        """A child has no run: the parent's thread is not there."""
        self._run = None

    def _start(self, run: Run[T]) -> None:
        thread = threading.Thread(
            target=Context().run, args=(self._fly, run), name=self._name, daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # no more threads, or the interpreter ends
            run.finish(None)
            losses.failed("health", "thread", error, self._name)

    def _fly(self, run: Run[T]) -> None:
        outcome = None
        try:
            outcome = self._function()
        except BaseException as error:
            losses.failed("health", "run", error, self._name)
        finally:
            run.finish(outcome)

    async def _fly_on(
        self, coroutine: Callable[[], Coroutine[Any, Any, T | None]], run: Run[T]
    ) -> None:
        outcome = None
        try:
            outcome = await coroutine()
        finally:  # also where the loop ends, and cancels it
            run.finish(outcome)
