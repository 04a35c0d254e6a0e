"""The chain of open calls and meters, from the innermost outwards."""

from __future__ import annotations

from contextvars import Token
from typing import TYPE_CHECKING, Any

from geomon import context

if TYPE_CHECKING:
    from geomon.tracking.active import Link

OPEN, ENDING, ENDED = 0, 1, 2

_current = context.current_call


def enclosing() -> Link | None:
    """The innermost open call or meter here."""
    here = _current.get()
    return here if here is None or here._state == OPEN else first_open(here._parent)


def first_open(here: Link | None) -> Link | None:
    """The innermost one that is still open, from `here` outwards."""
    while here is not None and here._state != OPEN:
        here = here._parent
    return here


def leave(entry: Link, token: Token[Any]) -> None:
    """Makes what was current before the entry current again; not if another one is by now.

    Two generators that hold their with-blocks open at once leave them in any order.
    """
    if _current.get() is entry:
        try:
            _current.reset(token)
        except ValueError:  # a copy of the context that the block was entered in
            _current.set(first_open(entry._parent))
