"""Alerts to the log: always there, whatever else fails."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from geomon.alerts.alert import Alert
from geomon.alerts.notifiers.texts import level, one_line

_log = logging.getLogger("geomon.alerts")


class LogNotifier:
    """One record an alert, on the logger `geomon.alerts`.

    A firing alert is a WARNING; an ERROR with the label `severity` of `critical`, `page` or
    `error`, and an INFO with `info` or `none`. A resolved one is an INFO. The record carries
    `alertname`, `alert_state`, `alert_value`, `alert_labels`, `alert_annotations`, `alert_expr`
    and `alert_since`.
    """

    name = "log"

    def __repr__(self) -> str:
        return "LogNotifier()"

    def __call__(self, alerts: Sequence[Alert]) -> None:
        """Logs them."""
        for alert in alerts:
            words = f"alert {alert.state}: %s, value %g"
            _log.log(level(alert), words, _identity(alert), alert.value, extra=_extra(alert))


def _identity(alert: Alert) -> str:
    pairs = sorted(item for item in alert.labels.items() if item[0] != "alertname")
    labels = ", ".join(f'{name}="{value}"' for name, value in pairs)
    summary = alert.annotations.get("summary", "")
    named = f"{alert.name}{{{labels}}}" if labels else alert.name
    return one_line(f"{named} ({summary})" if summary else named)


def _extra(alert: Alert) -> dict[str, object]:
    return {
        "alertname": alert.name,
        "alert_state": alert.state,
        "alert_value": alert.value,
        "alert_labels": dict(alert.labels),
        "alert_annotations": dict(alert.annotations),
        "alert_expr": alert.expr,
        "alert_since": alert.fired_at if alert.fired_at is not None else alert.active_since,
    }
