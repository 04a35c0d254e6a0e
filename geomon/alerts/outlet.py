"""What one notifier is handed: changes once, what still fires again after a while."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, TypeVar

from geomon.alerts.alert import Alert, Notifier
from geomon.alerts.checks import name_of
from geomon.alerts.delivery import Delivery, OnDone

Key = frozenset[tuple[str, str]]
_T = TypeVar("_T")


class Outlet:
    """Hands a notifier what changed in an evaluation, as one list.

    One with a `resend_delay`, such as Alertmanager's, is handed everything each time, and its
    delivery decides. One with a method `evaluated_every` hears how many seconds apart that is.

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
        self.identity = _identity(notifier)
        """What tells its notifier from others, in the next process too."""
        self._notifier = notifier
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

    def evaluated_every(self, seconds: float) -> None:
        """Says how often alerts are handed over, to a notifier that asks."""
        tell = getattr(self._notifier, "evaluated_every", None)
        if tell is not None:
            tell(seconds)

    def open(self, at: float) -> None:
        """Takes alerts again after its delivery was closed; what was lost then is handed anew."""
        self.delivery.open()
        self._knows(self.delivery.told, at)

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
        self._knows(told, at)

    def _knows(self, told: Iterable[Alert], at: float) -> None:
        self._handed = {alert.key: (alert, at) for alert in told}


def by_identity(outlets: Iterable[Outlet]) -> dict[str, list[Outlet]]:
    """Those that only their position tells apart, together."""
    found: dict[str, list[Outlet]] = {}
    for outlet in outlets:
        found.setdefault(outlet.identity, []).append(outlet)
    return found


def paired(
    earlier: Mapping[str, Sequence[_T]], outlets: Iterable[Outlet]
) -> Iterator[tuple[Outlet, _T]]:
    """Each outlet with what was kept of it by identity.

    Where there are more or fewer of an identity than before, nobody knows which is which: they
    begin anew, since better told twice than not at all.
    """
    for identity, equal in by_identity(outlets).items():
        found = earlier.get(identity, ())
        if len(found) == len(equal):
            yield from zip(equal, found, strict=True)


def _identity(notifier: Any) -> str:
    """Its own `name`, else where its function or class is defined; geomon's own show settings."""
    if type(notifier).__module__.startswith("geomon.alerts.notifiers."):
        return repr(notifier)  # holds no secret
    name = getattr(notifier, "name", None)
    if isinstance(name, str) and name:
        return name
    function = notifier.func if isinstance(notifier, partial) else notifier
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


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
