"""Alerts to whatever Apprise reaches: Slack, PagerDuty, Teams, Telegram, and a hundred more."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from geomon import losses
from geomon.alerts.alert import Alert, DeliveryError
from geomon.alerts.checks import texts as checked_texts
from geomon.alerts.notifiers import texts
from geomon.alerts.notifiers.muting import Muted

_EXAMPLE = "slack://TokenA/TokenB/TokenC/#alerts"
_LOGGERS = ("apprise", "urllib3.connectionpool")
"""They write whole URLs, which hold tokens."""


class AppriseNotifier:
    """Sends through Apprise (`pip install geomon[notify]`).

    It has been sent when one URL took it: what the others did not take is counted. For URLs that
    are to be tried again each by itself, write one notifier for each.

    Args:
        *urls: Apprise's URLs, `"slack://..."`. They are secrets, and shown nowhere: from the
            environment, not in code.

    Raises:
        ImportError: Apprise is not installed.
        TypeError: a URL is no text.
        ValueError: there is no URL, or Apprise cannot use one.
    """

    name = "apprise"

    def __init__(self, *urls: str) -> None:
        found = checked_texts("urls", urls, _EXAMPLE)
        apprise = _imported()
        with Muted(_LOGGERS), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of what its plugins import
            self._services = [_Service(apprise, n, url) for n, url in enumerate(found, 1)]

    def __repr__(self) -> str:
        return f"AppriseNotifier({[one.scheme for one in self._services]})"

    def __call__(self, alerts: Sequence[Alert]) -> None:
        """Sends them as one message.

        Raises:
            DeliveryError: no URL took it.
        """
        message = {
            "title": texts.title(alerts),
            "body": texts.text(alerts),
            "notify_type": _kind(alerts),
            "body_format": "text",
        }
        failed = [why for one in self._services if (why := one.send(message))]
        if len(failed) == len(self._services):
            raise DeliveryError(f"Apprise could not send to {', '.join(failed)}")
        for why in failed:
            with suppress(Exception):
                losses.count("notify", "peer_failed")
                losses.say_once("notify", "peer_failed", f"Apprise could not send to {why}")


class _Service:
    """One URL's. Its scheme is all that is shown of it."""

    def __init__(self, apprise: Any, position: int, url: str) -> None:
        self.scheme = _scheme(url)
        # no timeout of its own: then it sends in this thread, and what it writes can be muted
        self._apprise = apprise.Apprise(asset=apprise.AppriseAsset(service_timeout=0))
        if not self._apprise.add(url):
            raise ValueError(
                f"URL number {position} ({self.scheme}://...) is none that Apprise can use: write "
                f"one as in its documentation, {_EXAMPLE!r}"
            )

    def send(self, message: dict[str, Any]) -> str | None:
        """Sends it; gives what may be shown of a failure."""
        with Muted(_LOGGERS) as muted:
            try:
                if self._apprise.notify(**message):
                    return None
            except Exception as error:
                return f"{self.scheme}:// ({type(error).__name__})"
        return f"{self.scheme}://" + (f" ({muted.status})" if muted.status else "")


def _imported() -> Any:
    try:
        import apprise
    except ImportError:
        raise ImportError(
            "AppriseNotifier needs Apprise: pip install 'geomon[notify]'", name="apprise"
        ) from None
    return apprise


def _scheme(url: str) -> str:
    scheme, mark, _ = url.partition("://")
    return scheme if mark and scheme.isalnum() and len(scheme) < 20 else "?"


def _kind(alerts: Sequence[Alert]) -> str:
    """Apprise's kind of a message: what colours and pictures go by."""
    firing = texts.of(alerts, "firing")
    if not firing:
        return "success"
    worst = max(texts.level(alert) for alert in firing)
    return {logging.ERROR: "failure", logging.WARNING: "warning"}.get(worst, "info")
