"""The last calls, in memory."""

from __future__ import annotations

from collections import deque

from geomon.call import Call


class RecentCalls:
    """Keeps the last calls for whoever wants to look at them: the dashboard, a debugger.

    Args:
        size: How many calls are kept.
    """

    def __init__(self, size: int = 1000) -> None:
        self._calls: deque[Call] = deque(maxlen=size)
        self.keep = self._calls.append
        """The sink itself: the deque's own method, which costs a call next to nothing."""

    def calls(self) -> list[Call]:
        """The calls, oldest first."""
        return list(self._calls)
