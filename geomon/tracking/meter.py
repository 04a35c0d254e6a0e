"""Adds up the calls inside a block: the program's own budget check."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from geomon import context, locks
from geomon.call import Call
from geomon.tracking.chain import ENDED, OPEN, enclosing, leave

if TYPE_CHECKING:
    from geomon.tracking.active import Link

_current = context.current_call
_lock = locks.lock_of(sys.modules[__name__])  # one for all meters: it is held for three sums


class Meter:
    """Adds up the calls that end while its block is open, tasks and carried threads included.

    Requests that an instrumented HTTP client sends are left out: they are how calls are made.
    """

    def __init__(self) -> None:
        self.calls = 0
        """Finished calls."""
        self.tokens = 0
        """Input and output tokens; unknown ones count as 0."""
        self.cost = 0.0
        """US dollars; unknown prices count as 0."""
        self._parent: Link | None = None
        self._state = ENDED

    def __enter__(self) -> Meter:
        if self._state == OPEN:
            raise RuntimeError("this meter is open already: write `with geomon.meter() as m`")
        self._parent, self._state = enclosing(), OPEN
        self._token = _current.set(self)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._state = ENDED
        leave(self, self._token)

    async def __aenter__(self) -> Meter:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(exc_type, exc, traceback)

    def _add(self, call: Call) -> None:
        tokens, cost = call.tokens or 0, call.cost or 0.0
        with _lock:  # calls may end in many threads at once
            self.calls += 1
            self.tokens += tokens
            self.cost += cost
