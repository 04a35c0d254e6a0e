"""The thread that a manager watches in."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from functools import partial

from geomon import clock, losses


class Ticker:
    """Calls `tick` at once and every `step` seconds, in a daemon thread.

    Args:
        step: Seconds.
        tick: Takes the time when it was due, by `clock.boot`. Calls that were missed are left out.
        woken: Called soon after each `wake`.
    """

    def __init__(
        self, step: float, tick: Callable[[float], object], woken: Callable[[], object]
    ) -> None:
        self._step = step
        self._tick = tick
        self._woken = woken
        self._thread: threading.Thread | None = None
        self._end = threading.Event()
        self._wake = threading.Event()

    @property
    def running(self) -> bool:
        """Whether it was started, and not stopped."""
        return self._thread is not None

    def start(self) -> None:
        """Begins, unless it runs."""
        if self._thread is None:
            self._end, self._wake = threading.Event(), threading.Event()
            run = (self._end, self._wake)  # its own: a call that hangs may outlive the next start
            self._thread = threading.Thread(
                target=self._run, args=run, name="geomon-alerts", daemon=True
            )
            self._thread.start()

    def stop(self, timeout: float) -> None:
        """Ends; waits at most so many seconds for a call that is under way."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._end.set()
            self._wake.set()
            thread.join(timeout)

    def wake(self) -> None:
        """Has `woken` called."""
        self._wake.set()

    def after_fork(self) -> None:
        """Forgets the thread, which a child has not got."""
        self._thread, self._wake = None, threading.Event()

    def _run(self, end: threading.Event, wake: threading.Event) -> None:
        due = clock.boot()
        while not end.is_set():
            now = clock.boot()
            if now >= due:
                due += self._step * math.floor((now - due) / self._step)  # what was missed
                self._contained(partial(self._tick, due))
                due += self._step
            elif wake.wait(due - now):
                wake.clear()
                self._contained(self._woken)

    def _contained(self, call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:  # the thread outlives whatever a rule or collector does
            losses.count("alerts", "tick")
            losses.say_once("alerts", "tick", f"an evaluation: {error!r}", error)
