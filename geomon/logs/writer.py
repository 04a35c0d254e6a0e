"""One bounded queue and one thread: the program hands an item over and goes on.

Limits first. What a killed process loses, or one that ends by `os._exit` or `os.execv` without a
`flush()`, is what stood in the queue: at most `capacity` items, and in a program that does not log
without pause those of the last 10 ms. Nothing here raises into the program; what had to be dropped
is counted in `geomon_losses_total{part="logs"}`.
"""

from __future__ import annotations

import threading
import time
from _thread import allocate_lock, get_ident
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Literal

from geomon import losses
from geomon.logs.interrupts import from_signal

Full = Literal["wait", "drop"]

LINGER = 0.01
"""Seconds that the thread waits for more, so that one write takes many items."""
_BATCH = 50  # measured: the lines of more take memory that is given back each time
_IDLE, _RUNNING, _DIRECT = range(3)


class Writer:
    """Gives items to `write`, in batches and in order, in a thread of its own.

    Args:
        write: Takes a batch and contains its own failures.
        capacity: How many items may wait.
        full: What happens to an item when that many wait: `"wait"` holds its thread up until there
            is room, at most `patience` seconds, and then drops and counts it; `"drop"` drops and
            counts it at once.
        patience: Seconds. When it has run out once, nobody waits again until the queue moves.
        threaded: Whether there is a thread at all; else callers write by themselves.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Any]], None],
        capacity: int = 10_000,
        full: Full = "wait",
        patience: float = 1.0,
        threaded: bool = True,
    ) -> None:
        self._write = write
        self._capacity = capacity
        self._waits = full == "wait"
        self._patience = patience
        self._threaded = threaded
        self._renew()

    def _renew(self) -> None:
        """The state of a process that has not logged yet."""
        self._queue: SimpleQueue[Any] = SimpleQueue()  # its put may interrupt itself in a signal
        self._lock = threading.RLock()
        self._writing = threading.RLock()
        self._hurry = allocate_lock()  # held, but for moments when somebody does not want to wait
        self._hurry.acquire()
        self._rest = self._state = _IDLE if self._threaded else _DIRECT
        self._thread: threading.Thread | None = None
        self._stuck = False
        self._moved = 0.0  # when the last batch was written, and how long since then
        self._waited = 0.0  # somebody waited in vain

    def put(self, item: Any) -> None:
        """Takes an item. It may be called from any thread, signal handler or destructor."""
        if self._state != _RUNNING and not self._start():
            self._queue.put(item)
            self._write_waiting()
        elif self._queue.qsize() < self._capacity or self._room():
            self._queue.put(item)
            if self._state != _RUNNING:  # the thread ended meanwhile
                self._write_waiting()
        else:
            losses.count("logs", "queue_full")

    def _room(self) -> bool:
        """Waits for room, where that is the choice."""
        if not self._waits or self._stuck or self._is_own_thread():
            return False
        deadline = time.monotonic() + self._patience
        while self._queue.qsize() >= self._capacity:
            if time.monotonic() > deadline:
                self._stuck = True
                return False
            time.sleep(0.001)
        return True

    def flush(self, timeout: float = 5.0) -> bool:
        """Waits until all that was put before is written; False where `timeout` s did not do."""
        if self._is_own_thread():
            return True
        if self._state != _RUNNING:
            self._write_waiting()
            return True
        return self._reached(_Mark(), timeout)

    def stop(self, timeout: float = 5.0, for_good: bool = False) -> bool:
        """Writes what waits and ends the thread; False where `timeout` s did not do.

        What is put later starts another thread; or, `for_good`, is written by its caller. The time
        that somebody has waited in vain, where nothing was written since, is a part of `timeout`.
        """
        with self._lock:
            if for_good:
                self._rest = _DIRECT
            if self._state != _RUNNING:
                self._state = self._rest
        if self._state != _RUNNING:
            self._write_waiting()
            return True
        mark = _Mark(last=True)
        if self._is_own_thread():
            self._queue.put(mark)
            return True
        done = self._reached(mark, max(timeout - self._waited, 0))
        if for_good:
            self._state = _DIRECT
        return done

    def pause(self) -> bool:
        """Keeps everything from being written until `go_on`; False where it is stuck."""
        paused = self._writing.acquire(timeout=0 if self._stuck else self._patience)
        self._stuck = not paused
        return paused

    def go_on(self) -> None:
        """Ends a pause, in the thread that began it."""
        self._writing.release()

    def after_fork(self) -> None:
        """Makes it new in a child: its thread is the parent's, and so is what waits."""
        self._threaded = self._rest != _DIRECT
        self._renew()

    def _start(self) -> bool:
        """Whether there is a thread; none can be made while the interpreter shuts down."""
        with self._lock:
            if self._state == _IDLE:
                self._state = _RUNNING
                thread = threading.Thread(target=self._run, name="geomon-logs", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    self._rest = self._state = _DIRECT
                else:
                    self._thread = thread
            return self._state == _RUNNING

    def _reached(self, mark: _Mark, timeout: float) -> bool:
        self._queue.put(mark)
        with suppress(RuntimeError):  # somebody else is in a hurry, too
            self._hurry.release()
        reached = mark.written.acquire(timeout=timeout)
        if not reached:
            self._waited += min(timeout, time.monotonic() - self._moved)
        return reached

    def _run(self) -> None:
        with self._writing:  # by now the thread before this one has written what it took
            ending: list[_Mark] = []
        while not ending:
            batch = [self._queue.get()]
            if not isinstance(batch[0], _Mark):
                self._hurry.acquire(timeout=LINGER)
            more = True
            while more and not ending:
                more = _fill(batch, self._queue)
                ending = self._deliver(batch)
                batch = []
        with self._writing:
            self._state = self._rest
            self._write_waiting()
        _release(ending)

    def _write_waiting(self) -> None:
        """Writes what waits in this thread, in the order in which it was put."""
        # a thread that died at exit holds it for ever
        if not self._writing.acquire(timeout=0 if self._stuck else self._patience):
            self._stuck = True
            self._give_up()
            return
        try:
            more = True
            while more:
                batch: list[Any] = []
                more = _fill(batch, self._queue)
                _release(self._deliver(batch))
        finally:
            self._writing.release()

    def _give_up(self) -> None:
        batch: list[Any] = []
        _fill(batch, self._queue)
        if items := [item for item in batch if not isinstance(item, _Mark)]:
            losses.count("logs", "writer_stuck", len(items))

    def _deliver(self, batch: list[Any]) -> list[_Mark]:
        """Writes a batch, and releases its marks; gives those that end the thread."""
        marks = [item for item in batch if isinstance(item, _Mark)]
        items = [item for item in batch if not isinstance(item, _Mark)] if marks else batch
        try:
            with self._writing:
                if items:
                    self._write(items)
        except BaseException as error:  # the thread outlives whatever a destination does
            _lost(items, error)
            if from_signal(error):
                raise
        finally:
            self._stuck = False
            self._moved, self._waited = time.monotonic(), 0.0
            _release([mark for mark in marks if not mark.last])
        return [mark for mark in marks if mark.last]

    def _is_own_thread(self) -> bool:
        return self._thread is not None and self._thread.ident == get_ident()


class _Mark:
    """A place in the queue that somebody waits for."""

    def __init__(self, last: bool = False) -> None:
        self.last = last
        self.written = allocate_lock()
        self.written.acquire()


def _release(marks: Sequence[_Mark]) -> None:
    for mark in marks:
        mark.written.release()


def _fill(batch: list[Any], queue: SimpleQueue[Any]) -> bool:
    """Adds what waits to the batch; whether there may be more."""
    try:
        while len(batch) < _BATCH:
            batch.append(queue.get_nowait())
    except Empty:
        return False
    return True


def _lost(items: Sequence[Any], error: BaseException) -> None:
    with suppress(Exception):
        losses.count("logs", "writer_failed", len(items))
        losses.say_once("logs", "writer_failed", f"log records: {type(error).__name__}", error)
