"""The calls that a notifier makes are geomon's own: nobody counts them."""

from __future__ import annotations

from _thread import get_ident

from geomon import context


class _Untracked:
    """Stands where the current call does, as one that is being handed to the sinks.

    The calls that a sink makes are not tracked: see `geomon.tracking.current`.
    """

    _state = 1  # chain.ENDING, of a layer that this one does not import
    _parent = None

    def __init__(self) -> None:
        self._thread = get_ident()


def leave_untracked() -> None:
    """What this thread calls from now on is not tracked."""
    context.current_call.set(_Untracked())
