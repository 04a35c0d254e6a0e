"""The last calls, in memory."""

from __future__ import annotations

from collections import deque

from geomon.call import Call


class RecentSink:
    """Keeps the last calls for whoever wants to look at them: the dashboard, a debugger.

    Args:
        size: How many calls are kept.
    """

    def __init__(self, size: int = 1000) -> None:
        self._calls: deque[Call] = deque(maxlen=size)

    def __call__(self, call: Call) -> None:
        self._calls.append(call)

    def calls(self) -> list[Call]:
        """The calls, oldest first."""
        return list(self._calls)
