"""How long to wait before the next try: longer each time, and not all at the same moment."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Doubles the delay with each failure.

    Args:
        first: Seconds after the first failure.
        most: Seconds that it grows to.
        longest: Seconds that a receiver's own `Retry-After` may ask for.
        chance: Gives a number from 0 to 1; each delay is shortened by up to a half.
    """

    def __init__(
        self,
        first: float = 1.0,
        most: float = 300.0,
        longest: float = 3600.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._first = first
        self._most = most
        self._longest = longest
        self._chance = chance
        self._failures = 0

    def failed(self, after: float | None = None) -> float:
        """Seconds to wait after one more failure; `after` is what the receiver asked for."""
        delay = min(self._most, self._first * 2.0 ** min(self._failures, 60))
        self._failures += 1
        if after is not None and after > 0:
            return min(after, self._longest)
        return delay * (1 - self._chance() / 2)

    def reset(self) -> None:
        """Begins anew: it worked."""
        self._failures = 0
