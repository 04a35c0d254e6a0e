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
        self._append = self._calls.append

    def keep(self, call: Call) -> None:
        """The sink itself. An exception is not kept: it would keep its frames, prompts included."""
        self._append(call if call.error is None else call._replace(error=None))

    def calls(self) -> list[Call]:
        """The calls, oldest first."""
        return list(self._calls)
