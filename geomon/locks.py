"""Locks that a forked child can take, whatever another thread was doing at the fork."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

_owners: weakref.WeakSet[Any] = weakref.WeakSet()


def lock_of(owner: Any) -> threading.RLock:
    """A new lock, to be kept as `owner._lock`: a forked child puts another one in its place.

    The thread that holds it may take it again, since a signal handler or a finalizer may interrupt
    any line, and track a call.

    Args:
        owner: An object that can be weakly referenced; for a global lock, `sys.modules[__name__]`.
    """
    _owners.add(owner)
    return threading.RLock()


def _renew() -> None:
    for owner in list(_owners):
        owner._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
