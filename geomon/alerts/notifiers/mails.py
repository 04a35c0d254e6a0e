"""The mail that tells of alerts."""

from __future__ import annotations

import email.policy
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from html import escape

from geomon import clock
from geomon.alerts.alert import Alert
from geomon.alerts.notifiers import texts
from geomon.alerts.notifiers.fingerprints import fingerprint

_POLICY = email.policy.SMTP.clone(cte_type="7bit")  # not every server takes eight bits
_MOST_REFERENCES = 10
_COLOURS = {"firing": "#b00020", "resolved": "#1b7f3b"}


def mail(
    alerts: Sequence[Alert], sender: str, recipients: Sequence[str], prefix: str
) -> EmailMessage:
    """One mail about all of them.

    Whatever stands in labels and annotations, it stays in its place: line ends do not end a
    header, and HTML is escaped.
    """
    message = EmailMessage(_POLICY)
    domain = sender.rpartition("@")[2]
    message["Subject"] = prefix + texts.title(alerts)
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Date"] = formatdate(clock.wall())
    message["Message-ID"] = make_msgid(domain=domain)
    message["References"] = " ".join(_threads(alerts, domain))
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(texts.text(alerts))
    message.add_alternative(_page(alerts), subtype="html")
    return message


def _threads(alerts: Sequence[Alert], domain: str) -> list[str]:
    """A made-up first mail of each alert, to which all about it refer."""
    shown = alerts[:_MOST_REFERENCES]
    return [f"<{fingerprint(a.labels)}.{int(a.fired_at or 0)}.geomon@{domain}>" for a in shown]


def _page(alerts: Sequence[Alert]) -> str:
    shown, more = texts.in_order(alerts)
    blocks = "".join(_block(alert) for alert in shown)
    rest = f"<p>and {more} more</p>" if more else ""
    return f"<!DOCTYPE html>\n<html><body>\n{blocks}{rest}</body></html>\n"


def _block(alert: Alert) -> str:
    rows = "".join(
        f'<tr><th align="left">{escape(name)}</th><td>{escape(value)}</td></tr>\n'
        for name, value in texts.facts(alert)
    )
    colour = _COLOURS.get(alert.state, "#000")
    heading = escape(texts.heading(alert))
    return f'<h3 style="color:{colour}">{heading}</h3>\n<table>\n{rows}</table>\n'
