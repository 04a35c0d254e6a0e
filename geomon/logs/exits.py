"""Whatever way a process ends or forks, what waits is written once; but for kills and `os._exit`.

- At exit: flushed; what is logged later, by a destructor, is written at once.
- At a fork: nothing is half written. The child has a new queue and new files; what waited is the
  parent's to write.
- In children that skip `atexit` (multiprocessing, Celery's billiard): their own exit hooks.
- At SIGTERM, where its handler was the default one: flushed, then the signal again.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
import weakref
from types import FrameType
from typing import Any, Protocol

import wrapt


class Ending(Protocol):
    """A handler, as far as a process's end knows it."""

    def flush(self) -> object:
        """Writes what waits."""

    def end(self) -> None:
        """Writes what waits; what comes later is written at once."""

    def pause(self) -> bool:
        """Keeps everything from being written until `go_on`; False where it is stuck."""
        ...

    def go_on(self) -> None:
        """Ends a pause."""

    def after_fork(self) -> None:
        """Starts anew in a child process."""


_handlers: weakref.WeakSet[Ending] = weakref.WeakSet()
_covered = False
_forking = threading.local()


class _Anchor:
    """What multiprocessing's registry holds weakly."""


_anchor = _Anchor()


def cover(handler: Ending) -> None:
    """Flushes the handler at every end of the process from now on."""
    global _covered
    if not _covered:
        _covered = True
        atexit.register(_end_all)
        for name in ("multiprocessing.util", "billiard.util"):  # which a child may import first
            wrapt.register_post_import_hook(_cover_pool, name)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=_before_fork,
                after_in_parent=_after_in_parent,
                after_in_child=_after_in_child,
            )
    _handlers.add(handler)


def flush_at_sigterm() -> bool:
    """Puts the handler in place, where the default one stands and the main thread asks."""
    if threading.current_thread() is not threading.main_thread():
        return False
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return False
    signal.signal(signal.SIGTERM, _on_sigterm)
    return True


def leave_sigterm() -> None:
    """Puts the default one back, where ours still stands."""
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and signal.getsignal(signal.SIGTERM) is _on_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    _flush_all()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def _flush_all() -> None:
    for handler in list(_handlers):
        handler.flush()


def _end_all() -> None:
    for handler in list(_handlers):
        handler.end()


def _before_fork() -> None:
    """No file, and no lock of a stream, is in use by a thread that the child does not have."""
    _forking.paused = [handler for handler in list(_handlers) if handler.pause()]


def _after_in_parent() -> None:
    for handler in _forking.paused:
        handler.go_on()


def _after_in_child() -> None:
    for handler in list(_handlers):
        handler.after_fork()


def _cover_pool(util: Any) -> None:
    """Registers with the exit hooks of such a pool."""
    # a child forgets the finalizers of its parent, then runs what is registered here
    util.register_after_fork(_anchor, lambda _: _finalize(util))
    _finalize(util)


def _finalize(util: Any) -> None:
    util.Finalize(None, _flush_all, exitpriority=-1000)
