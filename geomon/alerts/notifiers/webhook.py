"""Alertmanager's webhook, so that what receives from Alertmanager receives from here."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

from geomon.alerts.alert import Alert
from geomon.alerts.checks import number, text
from geomon.alerts.notifiers.addresses import address
from geomon.alerts.notifiers.fingerprints import fingerprint
from geomon.alerts.notifiers.posting import Poster, refusal
from geomon.alerts.notifiers.texts import clean, moment

_NEVER = "0001-01-01T00:00:00Z"


class WebhookNotifier:
    """Posts Alertmanager's payload, version 4, as its `webhook_configs` do.

    All alerts are one group (`group_by: []`): as from Alertmanager, a message holds what changed
    and what still fires, so that the group's `status` is `resolved` when nothing fires any more.
    2xx is success; 429, 408, 425 and 5xx are tried again, after `Retry-After`; the rest is not.
    The environment's proxies (`HTTPS_PROXY`, `NO_PROXY`) are used; redirects are not followed.

    Args:
        url: Where to; a user and a password in it become the header `Authorization`.
        headers: Further headers, such as `{"Authorization": "Bearer ..."}`.
        timeout: Seconds that connecting, and each step of the answer, may take.
        max_alerts: How many alerts a message holds at most; 0: all.
        external_url: The program's own address, for links in the message.
        ssl_context: Whom to trust; default: the system's authorities.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument has a value that cannot be.
    """

    name = "webhook"
    whole_group = True

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10,
        max_alerts: int = 0,
        external_url: str = "",
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        if isinstance(max_alerts, bool) or not isinstance(max_alerts, int) or max_alerts < 0:
            raise ValueError(f"max_alerts={max_alerts!r}: write a whole number; 0 is no limit")
        self._max_alerts = max_alerts
        self._external_url = checked_external_url(external_url)
        target = address("url", url)
        seconds = number("timeout", timeout)
        self._poster = Poster(target, seconds, checked_headers(headers), ssl_context)

    def __repr__(self) -> str:
        return f"WebhookNotifier({self._poster.target.shown!r}, ...)"

    def __call__(self, alerts: Sequence[Alert]) -> None:
        """Posts them.

        Raises:
            DeliveryError: they were not taken.
        """
        message = payload(alerts, self._max_alerts, self._external_url)
        error = refusal(self._poster.post(encoded(message)), self._poster.target.shown)
        if error is not None:
            raise error


def checked_headers(headers: object) -> dict[str, str]:
    """Headers as they are sent.

    Raises:
        TypeError: they are no mapping of texts.
        ValueError: a name or value would break out of its line. Values are not shown.
    """
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise TypeError(f'headers is a mapping, not a {type(headers).__name__}: write {{"X": "y"}}')
    return {
        text("headers' names", name, "X-Token"): text(f"headers[{name!r}]", value, "...")
        for name, value in headers.items()
    }


def checked_external_url(url: object) -> str:
    """The program's own address, or no text.

    Raises:
        TypeError: it is no text.
        ValueError: it holds control characters.
    """
    return "" if url == "" else text("external_url", url, "https://shop.example.com")


def payload(alerts: Sequence[Alert], max_alerts: int, external_url: str) -> dict[str, Any]:
    """The message, of firing alerts first."""
    ordered = sorted(alerts, key=lambda alert: alert.state == "resolved")
    shown = ordered[:max_alerts] if max_alerts else ordered
    firing = any(alert.state == "firing" for alert in ordered)
    return {
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": len(ordered) - len(shown),
        "status": "firing" if firing else "resolved",
        "receiver": "geomon",
        "groupLabels": {},
        "commonLabels": _common([alert.labels for alert in shown]),
        "commonAnnotations": _common([alert.annotations for alert in shown]),
        "externalURL": external_url,
        "alerts": [_entry(alert, external_url) for alert in shown],
    }


def _entry(alert: Alert, external_url: str) -> dict[str, Any]:
    ended = alert.resolved_at if alert.state == "resolved" else None
    return {
        "status": alert.state,
        "labels": _texts(alert.labels),
        "annotations": _texts(alert.annotations),
        "startsAt": moment(alert.active_since if alert.fired_at is None else alert.fired_at),
        "endsAt": _NEVER if ended is None else moment(ended),
        "generatorURL": external_url,
        "fingerprint": fingerprint(alert.labels),
    }


def _common(several: Sequence[Mapping[str, str]]) -> dict[str, str]:
    if not several:
        return {}
    common = set(several[0].items()).intersection(*(one.items() for one in several[1:]))
    return _texts(dict(sorted(common)))


def _texts(pairs: Mapping[str, str]) -> dict[str, str]:
    return {clean(name): clean(value) for name, value in pairs.items()}


def encoded(message: Any) -> bytes:
    """A message as JSON."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
