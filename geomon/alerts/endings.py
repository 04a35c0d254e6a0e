"""At the interpreter's exit what waits is sent, within seconds; a forked child begins empty.

Children that skip `atexit` (multiprocessing's, Celery's) lose what waits, unless they close first.
"""

from __future__ import annotations

import atexit
import os
import time
import weakref
from collections.abc import Sequence
from typing import Protocol

PATIENCE = 3.0
"""Seconds that all deliveries together may take at exit."""


class Ending(Protocol):
    """A delivery, as far as a process's end knows it."""

    def hasten(self) -> None:
        """Tries now, whatever was to be waited for."""

    def close(self, timeout: float = 5.0) -> object:
        """Sends what waits, and ends."""

    def after_fork(self) -> None:
        """Begins anew in a child process."""


_deliveries: weakref.WeakSet[Ending] = weakref.WeakSet()
_covered = False


def cover(delivery: Ending) -> None:
    """Closes the delivery at the interpreter's exit, and renews it in a forked child."""
    global _covered
    if not _covered:
        _covered = True
        atexit.register(_end_all)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_renew_all)
    _deliveries.add(delivery)


def left(deadline: float) -> float:
    """The seconds until a moment of `time.monotonic`."""
    return max(0.0, deadline - time.monotonic())


def close_all(deliveries: Sequence[Ending], deadline: float) -> None:
    """Closes deliveries, all of them by one moment of `time.monotonic`."""
    for delivery in deliveries:
        delivery.hasten()
    for delivery in deliveries:
        delivery.close(left(deadline))


def _end_all() -> None:
    close_all(list(_deliveries), time.monotonic() + PATIENCE)


def _renew_all() -> None:
    for delivery in list(_deliveries):
        delivery.after_fork()
