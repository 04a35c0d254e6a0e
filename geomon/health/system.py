"""Memory and CPU of the container, where there is one, else of the machine; one thread reads them.

They are those of the container, not of this process: the same for all workers in it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import NamedTuple

from geomon import clock, dispatch, forks, locks, losses, settings
from geomon.health.cgroups import Cgroups
from geomon.health.cpu import CpuMeter
from geomon.health.machine import Machine
from geomon.health.memory import Memory, container_memory

_SOON = 1.0
"""Seconds from the first reading to the second: then the CPU use is known."""
_STALE = 6.0
"""Intervals after which a reading says nothing any more."""


class Readings(NamedTuple):
    """What was read last; None where it is not known (yet)."""

    memory: Memory = Memory(None, None)
    """Bytes. Used is the working set, without page cache; the limit is the lowest that binds."""
    cpu_percent: float | None = None
    """0 to 100 of the CPUs that may be used: the quota, the cpuset, or all of the machine's."""


class System:
    """The latest readings.

    A daemon thread takes one every few seconds. It starts when the readings are first asked for,
    or somebody subscribes. Under pytest none starts, unless by `start`: each question then takes a
    reading itself.

    Args:
        interval: Seconds between two readings.
        root: The directory that holds `proc` and the mount points of the control groups.
        machine: What the machine has in all.
    """

    def __init__(
        self,
        interval: float = 5.0,
        root: str | os.PathLike[str] = "/",
        machine: Machine | None = None,
    ) -> None:
        self.interval = interval
        self._machine = machine or Machine()
        self._cgroups = Cgroups(root)
        self._cpu = CpuMeter(self._cgroups, self._machine)
        self._latest = Readings()
        self._read_at: float | None = None
        self._listeners: list[Callable[[], object]] = []
        self._stop: threading.Event | None = None
        self._thread: threading.Thread | None = None
        self._lock = locks.lock_of(self)
        forks.renew_in_children(self)

    def readings(self) -> Readings:
        """The latest; all of it is known once two readings were taken. Starts the thread."""
        if not self.ensure():
            self.sample()
        return self.latest

    @property
    def latest(self) -> Readings:
        """The latest, if it is not stale; starts nothing."""
        at = self._read_at
        if at is None or clock.monotonic() - at > _STALE * self.interval:
            return Readings()
        return self._latest

    def sample(self) -> Readings:
        """Takes one reading now, and tells the subscribers."""
        with self._lock:
            try:
                self._latest = self._read()
            except Exception as error:
                self._latest = Readings()
                losses.failed("health", "reading", error, "memory and CPU cannot be read")
            self._read_at = clock.monotonic()
        for listener in self._listeners.copy():
            try:
                listener()
            except Exception as error:
                losses.failed("health", "gauges", error, "memory and CPU cannot be shown")
        return self._latest

    def _read(self) -> Readings:
        self._cgroups.look()
        whole = self._machine.memory()
        memory = container_memory(self._cgroups.place("memory"), whole.limit)
        return Readings(memory or whole, self._cpu.percent())

    # --- the thread

    def subscribe(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Calls `listener` after every reading, in the thread; gives the function that ends it."""
        self._listeners.append(listener)
        self.ensure()
        return lambda: self._unsubscribe(listener)

    def ensure(self) -> bool:
        """Starts the thread where one may start; whether there is one."""
        if self._thread is None and not (settings.under_pytest or dispatch.disabled):
            self.start()
        return self._thread is not None

    def start(self) -> None:
        """Starts the thread. Can be repeated."""
        with self._lock:
            if self._thread is None:
                stop = threading.Event()
                thread = threading.Thread(
                    target=self._run, args=(stop,), name="geomon-system", daemon=True
                )
                try:
                    self._machine.prepare()
                    thread.start()
                except RuntimeError as error:  # no more threads, or the interpreter ends
                    losses.failed("health", "thread", error, "memory and CPU are not read")
                else:
                    self._stop, self._thread = stop, thread

    def close(self) -> None:
        """Ends the thread. Can be repeated; whoever asks for readings later starts it again."""
        with self._lock:
            stop, self._stop = self._stop, None
            thread, self._thread = self._thread, None
        if stop is not None and thread is not None:
            stop.set()
            if thread is not threading.current_thread():
                thread.join(1.0)

    def after_fork(self) -> None:
        """A child has no thread; the parent's readings hold until they are stale."""
        self._stop = self._thread = None

    def _unsubscribe(self, listener: Callable[[], object]) -> None:
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)
            last = not self._listeners
        if last:
            self.close()

    def _run(self, stop: threading.Event) -> None:
        seconds = min(_SOON, self.interval)
        while not stop.is_set():
            with forks.no_fork():
                self.sample()
            stop.wait(seconds)
            seconds = self.interval


SYSTEM = System()
"""The one that serves, unless another one is given."""
