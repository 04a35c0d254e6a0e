"""Who is using the program now: the distinct user ids of the last minutes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from geomon import clock, locks, losses
from geomon.call import Call
from geomon.forks import renew_in_children


class ActiveUsers:
    """A sink that remembers whose calls ended lately: what was bound as `user_id`.

    It keeps hashes, not ids. Past the limit the users seen longest ago are forgotten: then
    `count()` stays at the limit, which `geomon_losses_total{part="health",
    reason="active_users_limit"}` and one log line say.

    Each process counts its own. The sum over several workers is an upper bound: a user whose
    requests went to two workers is in both.

    Args:
        window: Seconds for which a user counts after a call.
        limit: How many are remembered, at about 150 bytes each.

    Attributes:
        woken: Called when a user is seen and none was remembered; None: nobody wants to know.
    """

    def __init__(self, window: float = 300.0, limit: int = 100_000) -> None:
        self.woken: Callable[[], object] | None = None
        self._window = window
        self._limit = limit
        self._seen: OrderedDict[int, float] = OrderedDict()  # the longest ago first
        self._lock = locks.lock_of(self)
        renew_in_children(self)

    def __call__(self, call: Call) -> None:
        """The sink itself; it costs next to nothing where no user id is bound."""
        user = call.context.get("user_id")
        if user is not None:
            self._see(user)

    def count(self) -> int:
        """How many users there were; the limit, where there were more."""
        with self._lock:
            self._forget(clock.monotonic() - self._window)
            return len(self._seen)

    def after_fork(self) -> None:
        """A child has seen nobody: the parent counts its own."""
        self._seen = OrderedDict()

    def _see(self, user: object) -> None:
        try:
            if user == "":
                return
            key = hash(user)
        except Exception:  # a list, or a class of the program's own
            losses.count("health", "user_id")
            return
        now = clock.monotonic()
        with self._lock:
            first = not self._seen
            self._seen[key] = now
            self._seen.move_to_end(key)
            full = len(self._seen) > self._limit and self._make_room(now)
        if full:
            losses.count("health", "active_users_limit")
            losses.say_once(
                "health",
                "active_users_limit",
                f"active_users stays at {self._limit}: that many are remembered",
            )
        if first and self.woken is not None:
            self.woken()

    def _make_room(self, now: float) -> bool:
        """Whether somebody who still counts had to be forgotten."""
        self._forget(now - self._window)
        if len(self._seen) <= self._limit:
            return False
        self._seen.popitem(last=False)
        return True

    def _forget(self, before: float) -> None:
        seen = self._seen
        while seen and seen[next(iter(seen))] < before:
            seen.popitem(last=False)
