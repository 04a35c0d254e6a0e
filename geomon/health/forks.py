"""Forks: what a child must begin anew, and what must not be under way when it is made."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_PATIENCE = 1.0
"""Seconds that a fork waits for what is under way; longer, and that hangs."""


class Renewed(Protocol):
    """What a fork concerns."""

    def after_fork(self) -> None:
        """Begins anew; called in the child, where no other thread runs."""


_owners: weakref.WeakSet[Renewed] = weakref.WeakSet()
_steady = threading.RLock()
_forking = threading.local()


def renew_in_children(owner: Renewed) -> None:
    """Calls `owner.after_fork()` in every child that is forked while the owner lives."""
    _owners.add(owner)


@contextmanager
def no_fork() -> Iterator[None]:
    """Holds forks off for this moment.

    For a thread that takes others' locks, such as that of prometheus-client's shared files: they
    are not renewed in a child, which would wait for ever at its first tracked call.
    """
    steady = _steady
    with steady:
        yield


def _before() -> None:
    _forking.steady = _steady if _steady.acquire(timeout=_PATIENCE) else None


def _after_in_parent() -> None:
    if _forking.steady is not None:
        _forking.steady.release()


def _after_in_child() -> None:
    global _steady
    _steady = threading.RLock()
    for owner in list(_owners):
        owner.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )
