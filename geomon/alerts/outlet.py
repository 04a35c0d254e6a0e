"""What one notifier is handed: changes once, what still fires again after a while."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from geomon.alerts.alert import Alert, Notifier
from geomon.alerts.checks import name_of
from geomon.alerts.delivery import Delivery, OnDone

Key = frozenset[tuple[str, str]]


class Outlet:
    """Hands a notifier what changed in an evaluation, as one list.

    One with a `resend_delay`, such as Alertmanager's, is handed everything each time, and its
    delivery decides.

    Args:
        name: What status and log records call it.
        notifier: Takes the alerts, in a thread of its own.
        repeat_interval: Seconds after which it hears again of what still fires.
        on_done: Called after each attempt to tell it something.
    """

    def __init__(
        self, name: str, notifier: Notifier, repeat_interval: float, on_done: OnDone | None = None
    ) -> None:
        self.delivery = Delivery(name, notifier, on_done=on_done)
        self._repeat_interval = repeat_interval
        self._everything = getattr(notifier, "resend_delay", None) is not None
        self._handed: dict[Key, tuple[Alert, float]] = {}

    def take(self, alerts: Sequence[Alert], at: float) -> None:
        """Takes all alerts of an evaluation, at `at` seconds since the epoch.

        What was handed as firing and is not among them is resolved: its rule is gone, or another
        worker saw it fire.
        """
        known = {alert.key for alert in alerts}
        gone = [
            replace(alert, state="resolved", resolved_at=at)
            for key, (alert, _) in self._handed.items()
            if alert.state == "firing" and key not in known
        ]
        told = [alert for alert in (*alerts, *gone) if alert.state != "pending"]
        changed = [alert for alert in told if self._is_news(alert, at) or self._everything]
        for key in self._handed.keys() - known:
            del self._handed[key]
        if changed:
            self.delivery.send(changed)

    def _is_news(self, alert: Alert, at: float) -> bool:
        earlier, when = self._handed.get(alert.key, (None, at))
        fired = earlier is not None and earlier.state == "firing"
        again = alert.state == "firing" and at - when >= self._repeat_interval
        news = fired != (alert.state == "firing") or again
        if news:
            self._handed[alert.key] = (alert, at)
        return news

    def dump(self) -> list[dict[str, Any]]:
        """What the notifier was told is firing, as plain values."""
        return [asdict(alert) for alert in self.delivery.told]

    def load(self, dumped: Iterable[Mapping[str, Any]], at: float) -> None:
        """Takes what an earlier process told the notifier.

        Raises:
            TypeError: it is not what `dump` gave.
        """
        told = [Alert(**values) for values in dumped]
        self.delivery.restore(told)
        self._handed = {alert.key: (alert, at) for alert in told}


def named(notifiers: Iterable[Notifier]) -> list[tuple[str, Notifier]]:
    """Each with a name of its own: `webhook`, `webhook 2`."""
    found: dict[str, Notifier] = {}
    for notifier in notifiers:
        usual = name = name_of(notifier)
        number = 2
        while name in found:
            name, number = f"{usual} {number}", number + 1
        found[name] = notifier
    return list(found.items())
