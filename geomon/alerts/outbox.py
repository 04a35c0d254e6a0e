"""What one notifier has still to be told, and what it has been told is firing.

The newest state of an alert is the one that waits, in the place of an older one. So a receiver that
was away for an hour gets one message about how things stand, and nobody is told that something was
resolved who had not heard that it fired: such an alert came and went unheard, and is counted as
outdated. A resolved notice goes out only for what was told successfully to be firing.

An alert may also be put as an event of its own: it is sent once, in whatever state, and neither
changes what was told nor depends on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from geomon.alerts.alert import Alert

Key = frozenset[tuple[str, str]]

_EARLY = 0.9
"""The part of `resend_delay` after which it is time: evaluations do not come to the second."""
_RESOLVED_KEPT = 20 * 60.0
"""Seconds that a resolved alert can be told again; the lifecycle keeps it for 15 minutes."""


@dataclass(slots=True)
class _Waiting:
    alert: Alert
    since: float
    once: bool = False


@dataclass(slots=True)
class _Told:
    alert: Alert
    at: float

    @property
    def fires(self) -> bool:
        return self.alert.state == "firing"


class Outbox:
    """One notifier's alerts. Times are seconds of a clock that never steps.

    Args:
        capacity: How many alerts may wait; beyond that the oldest are dropped.
        resend_delay: Seconds until an alert that was told is told again, a resolved one too; None:
            a firing one whenever it is put, a resolved one never.
        whole_group: Whether each message also holds what was told before and still fires.

    Attributes:
        lost: How many alerts were dropped, by reason.
    """

    def __init__(
        self,
        capacity: int,
        resend_delay: float | None = None,
        whole_group: bool = False,
    ) -> None:
        self.lost: Counter[str] = Counter()
        self._capacity = capacity
        self._resend_delay = resend_delay
        self._whole_group = whole_group
        self._waiting: dict[Key, _Waiting] = {}
        self._on_the_way: dict[Key, _Waiting] = {}
        self._told: dict[Key, _Told] = {}

    def __len__(self) -> int:
        """How many alerts are not delivered yet, those on the way included."""
        return len(self._waiting.keys() | self._on_the_way.keys())

    @property
    def told(self) -> list[Alert]:
        """What the notifier was told is firing, and not yet that it is resolved."""
        return [told.alert for told in self._told.values() if told.fires]

    def restore(self, told: Iterable[Alert]) -> None:
        """Takes what the notifier was told is firing, by another process, for the whole truth."""
        self._told = {alert.key: _Told(alert, float("-inf")) for alert in told}

    @property
    def oldest(self) -> float | None:
        """Since when something waits."""
        return min((entry.since for entry in self._waiting.values()), default=None)

    def put(self, alerts: Iterable[Alert], now: float, once: bool = False) -> None:
        """Takes alerts, firing and resolved ones; pending ones are nobody's business.

        Args:
            alerts: The alerts.
            now: The time.
            once: Whether they are events of their own.
        """
        for alert in alerts:
            if alert.state != "pending":
                key = alert.key | {("", alert.state)} if once else alert.key
                self._put(key, _Waiting(alert, now, once))
        self._make_room()

    def take(self, now: float) -> list[Alert]:
        """What is to be sent now; it is on the way until `delivered`, `put_back` or `drop`."""
        waiting, self._waiting = self._waiting, {}
        self._on_the_way = {
            key: entry
            for key, entry in waiting.items()
            if entry.once or self._needed(key, entry.alert, now)
        }
        alerts = [entry.alert for entry in self._on_the_way.values()]
        if alerts and self._whole_group:
            alerts += [alert for alert in self.told if alert.key not in self._on_the_way]
        return alerts

    def delivered(self, now: float) -> None:
        """What was on the way has arrived."""
        for key, entry in self._on_the_way.items():
            if entry.once:
                continue
            if entry.alert.state == "firing" or self._resend_delay is not None:
                self._told[key] = _Told(entry.alert, now)
            else:
                self._told.pop(key, None)
        self._on_the_way = {}
        self._forget(now - _RESOLVED_KEPT)

    def put_back(self) -> None:
        """What was on the way waits again, where nothing newer does."""
        newer, self._waiting, self._on_the_way = self._waiting, self._on_the_way, {}
        for key, entry in newer.items():
            self._put(key, entry)
        self._make_room()

    def drop(self, reason: str) -> None:
        """Gives up what was on the way."""
        for key, entry in self._on_the_way.items():
            self._lose(key, entry.alert, reason)
        self._on_the_way = {}

    def give_up(self, before: float) -> None:
        """Gives up what waits since then or longer."""
        for key, entry in list(self._waiting.items()):
            if entry.since <= before:
                self._lose(key, self._waiting.pop(key).alert, "gave_up")

    def clear(self) -> int:
        """Forgets what is not delivered yet; gives how many alerts that are."""
        amount = len(self)
        self._waiting, self._on_the_way = {}, {}
        return amount

    def _put(self, key: Key, entry: _Waiting) -> None:
        older = self._waiting.get(key)
        if older is not None:
            entry.since = min(entry.since, older.since)
        known = entry.once or key in self._told or key in self._on_the_way
        if known or entry.alert.state == "firing":
            self._waiting[key] = entry
        elif older is not None:
            del self._waiting[key]
            self.lost["outdated"] += 1

    def _needed(self, key: Key, alert: Alert, now: float) -> bool:
        told = self._told.get(key)
        if told is None or told.alert.state != alert.state:
            return alert.state == "firing" or (told is not None and told.fires)
        if self._resend_delay is None or told.alert.fired_at != alert.fired_at:
            return True
        return now - told.at >= self._resend_delay * _EARLY

    def _forget(self, before: float) -> None:
        for key, told in list(self._told.items()):
            if not told.fires and told.at <= before:
                del self._told[key]

    def _make_room(self) -> None:
        while len(self._waiting) > self._capacity:
            key = next(iter(self._waiting))
            self._lose(key, self._waiting.pop(key).alert, "queue_full")

    def _lose(self, key: Key, alert: Alert, reason: str) -> None:
        self.lost[reason] += 1
        if alert.state == "resolved":  # it would be taken for firing for ever
            self._told.pop(key, None)
