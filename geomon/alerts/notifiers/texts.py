"""Alerts in words, for people."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from geomon.alerts.alert import Alert

_MOST = 100
"""Alerts that a message describes; of more it says how many."""
_LONGEST_TITLE = 150
_LONGEST_VALUE = 2_000
_LEVELS = {
    "critical": logging.ERROR,
    "page": logging.ERROR,
    "error": logging.ERROR,
    "info": logging.INFO,
    "none": logging.INFO,
}


def level(alert: Alert) -> int:
    """The logging level of an alert, by its label `severity`: WARNING where that says nothing."""
    if alert.state == "resolved":
        return logging.INFO
    return _LEVELS.get(alert.labels.get("severity", "").lower(), logging.WARNING)


def title(alerts: Sequence[Alert]) -> str:
    """One line: `2 firing, 1 resolved: HighErrors, SlowChat`."""
    counts = (
        f"{len(some)} {state}" for state in ("firing", "resolved") if (some := of(alerts, state))
    )
    names = ", ".join(dict.fromkeys(alert.name for alert in alerts))
    return shortened(one_line(f"{', '.join(counts)}: {names}"), _LONGEST_TITLE)


def of(alerts: Sequence[Alert], state: str) -> list[Alert]:
    """Those in this state."""
    return [alert for alert in alerts if alert.state == state]


def in_order(alerts: Sequence[Alert]) -> tuple[list[Alert], int]:
    """Those that a message describes, firing ones first, and how many it leaves out."""
    ordered = sorted(alerts, key=lambda alert: alert.state == "resolved")
    return ordered[:_MOST], max(0, len(ordered) - _MOST)


def text(alerts: Sequence[Alert]) -> str:
    """All of them, as plain text."""
    shown, more = in_order(alerts)
    blocks = [
        "\n".join((heading(alert), *(f"  {k}: {v}" for k, v in facts(alert)))) for alert in shown
    ]
    return "\n\n".join(blocks + [f"and {more} more"] * bool(more)) + "\n"


def heading(alert: Alert) -> str:
    """`FIRING HighErrors`."""
    return f"{alert.state.upper()} {one_line(alert.name)}"


def facts(alert: Alert) -> list[tuple[str, str]]:
    """What there is to say about an alert: annotations, labels, value, times."""
    labels = {name: value for name, value in alert.labels.items() if name != "alertname"}
    times = {"since": alert.fired_at or alert.active_since, "resolved": alert.resolved_at}
    found = [
        *alert.annotations.items(),
        *labels.items(),
        ("value", f"{alert.value:g}"),
        *((name, moment(time)) for name, time in times.items() if time is not None),
        ("expr", alert.expr),
    ]
    return [
        (one_line(name), shortened(clean(value), _LONGEST_VALUE)) for name, value in found if value
    ]


def moment(time: float) -> str:
    """A time in RFC 3339, in UTC with milliseconds; the year 1 where there is no such time."""
    try:
        when = datetime.fromtimestamp(time, UTC)
    except (ValueError, OverflowError, OSError):
        when = datetime.min.replace(tzinfo=UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def one_line(text: str) -> str:
    """The text without line ends and other control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in clean(text)).split())


def clean(text: str) -> str:
    """The text with a question mark for each lone surrogate, which nothing can send."""
    return text.encode("utf-8", "replace").decode()


def shortened(text: str, most: int) -> str:
    """At most so many characters of the text."""
    return text if len(text) <= most else text[: most - 1] + "…"
