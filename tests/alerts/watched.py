"""A registry that a manager watches, and a notifier that keeps what it is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Gauge

from geomon.alerts.alert import Alert
from geomon.alerts.manager import AlertManager
from geomon.alerts.rule import AlertRule
from geomon.testing import MovableClock

UP = AlertRule("Down", "up == 0")


class Told:
    """A notifier that keeps what it was told."""

    def __init__(self) -> None:
        self.messages: list[list[tuple[str, str]]] = []

    def __call__(self, alerts: Sequence[Alert]) -> None:
        self.messages.append([(alert.name, alert.state) for alert in alerts])


class World:
    """A registry with one gauge, a manager over it, and a clock that moves by hand."""

    def __init__(self, clock: MovableClock, **arguments: Any) -> None:
        self.clock = clock
        self.registry = CollectorRegistry()
        self.up = Gauge("up", "-", registry=self.registry)
        self.told = Told()
        self.manager = AlertManager(
            **{"rules": [UP], "notifiers": [self.told], "registry": self.registry} | arguments
        )

    def tick(self, *ups: float, seconds: float = 15) -> list[str]:
        """Ticks with each value of the gauge; gives the states of the alerts after each."""
        states = []
        for up in ups:
            self.up.set(up)
            self.clock.move(seconds)
            self.manager.tick()
            self.messages()
            states.append(",".join(alert.state for alert in self.manager.alerts))
        return states

    def messages(self) -> list[list[tuple[str, str]]]:
        for outlet in self.manager._outlets:
            outlet.delivery.flush(5)
        return self.told.messages
