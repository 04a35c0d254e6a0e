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

_steady = threading.Condition()  # held while a fork is made
_under_way = 0
_own = threading.local()  # .count: how many of them are this thread's


class Renewed(Protocol):
    """What a fork concerns."""

    def after_fork(self) -> None:
        """Begins anew; called in the child, where no other thread runs."""


_owners: weakref.WeakSet[Renewed] = weakref.WeakSet()


def renew_in_children(owner: Renewed) -> None:
    """Calls `owner.after_fork()` in every child that is forked while the owner lives."""
    _owners.add(owner)


@contextmanager
def no_fork() -> Iterator[None]:
    """Holds forks off for this moment; any number of threads at once.

    For a thread that takes others' locks, such as prometheus-client's: they are not renewed in a
    child, which would wait for ever at its first tracked call.
    """
    _count(1)
    try:
        yield
    finally:
        _count(-1)


def _count(change: int) -> None:
    global _under_way
    with _steady:
        _own.count = _owned() + change
        _under_way += change
        if _under_way == 0:
            _steady.notify_all()


def _owned() -> int:
    owned: int = getattr(_own, "count", 0)
    return owned


def _before() -> None:
    _steady.acquire()
    _steady.wait_for(lambda: _under_way == _owned(), _PATIENCE)


def _after_in_parent() -> None:
    _steady.release()


def _after_in_child() -> None:
    global _steady, _under_way
    _steady, _under_way = threading.Condition(), _owned()
    for owner in list(_owners):
        owner.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )
