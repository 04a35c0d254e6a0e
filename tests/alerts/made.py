"""Alerts as the lifecycle makes them."""

from __future__ import annotations

from dataclasses import replace

from geomon.alerts.alert import Alert

START = 1_700_000_000.0


def firing(name: str = "HighErrors", fired_at: float = START, **labels: str) -> Alert:
    return Alert(
        name=name,
        state="firing",
        labels={"alertname": name, **labels},
        annotations={"summary": "too many errors"},
        value=0.25,
        active_since=fired_at - 60,
        fired_at=fired_at,
        expr="ratio > 0.1",
    )


def resolved(alert: Alert, after: float = 300) -> Alert:
    assert alert.fired_at is not None
    return replace(alert, state="resolved", resolved_at=alert.fired_at + after)
