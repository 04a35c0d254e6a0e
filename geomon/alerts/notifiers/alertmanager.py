"""Alerts to Alertmanager, which silences, inhibits, groups and routes them."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from geomon import clock, losses
from geomon.alerts.alert import Alert, DeliveryError
from geomon.alerts.checks import number, texts
from geomon.alerts.notifiers.addresses import address
from geomon.alerts.notifiers.posting import Answer, Poster, refusal
from geomon.alerts.notifiers.texts import clean, moment
from geomon.alerts.notifiers.webhook import checked_external_url, checked_headers, encoded

_BATCH = 64
_NAME = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")


class AlertmanagerNotifier:
    """Posts to `/api/v2/alerts` of every peer, as Prometheus does.

    An alert that fires is sent again every `resend_delay`, or at each evaluation where those are
    rarer, with an end four times as far ahead, so that Alertmanager resolves it by itself when this
    program dies. It has been sent when one peer took it. Where Alertmanager refuses some alerts of
    a batch it still takes the others: those are counted, and the batch is not sent again.

    Args:
        urls: The peers, `["http://alertmanager:9093"]`; a user and a password in a URL become the
            header `Authorization`.
        timeout: Seconds that connecting, and each step of the answer, may take.
        external_url: The program's own address, for links back.
        labels: Added to each alert that has not got them: Prometheus's `external_labels`.
        interval: Seconds between two evaluations; the manager's, once one has it.
        headers: Further headers.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument has a value that cannot be.
    """

    name = "alertmanager"
    resend_delay = 60.0

    def __init__(
        self,
        urls: Sequence[str],
        timeout: float = 10,
        external_url: str = "",
        labels: Mapping[str, str] | None = None,
        interval: float = 15.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        found = texts("urls", urls, "http://alertmanager:9093")
        targets = [address(f"urls[{n}]", url, "/api/v2/alerts") for n, url in enumerate(found)]
        seconds, more = number("timeout", timeout), checked_headers(headers)
        self._posters = [Poster(target, seconds, more) for target in targets]
        self._external_url = checked_external_url(external_url)
        self._labels = _checked_labels(labels)
        self._interval = number("interval", interval)

    def __repr__(self) -> str:
        return f"AlertmanagerNotifier({[poster.target.shown for poster in self._posters]})"

    def evaluated_every(self, seconds: float) -> None:
        """Takes the time between two evaluations of whoever calls it."""
        self._interval = seconds

    def __call__(self, alerts: Sequence[Alert]) -> None:
        """Posts them in batches.

        Raises:
            DeliveryError: a batch was taken by no peer.
        """
        entries = [self._entry(alert) for alert in alerts]
        for start in range(0, len(entries), _BATCH):
            self._send(encoded(entries[start : start + _BATCH]))

    def _entry(self, alert: Alert) -> dict[str, Any]:
        labels = {**self._labels, **alert.labels}
        resolved = alert.resolved_at if alert.state == "resolved" else None
        ahead = 4 * max(self.resend_delay, self._interval)
        ends = clock.wall() + ahead if resolved is None else resolved
        return {
            "labels": {clean(name): clean(value) for name, value in labels.items() if value != ""},
            "annotations": {clean(name): clean(text) for name, text in alert.annotations.items()},
            "startsAt": moment(alert.active_since if alert.fired_at is None else alert.fired_at),
            "endsAt": moment(ends),
            "generatorURL": self._external_url,
        }

    def _send(self, body: bytes) -> None:
        outcomes = _at_once(self._posters, body)
        errors = [error for error in outcomes if error is not None]
        if len(errors) == len(outcomes):
            raise max(errors, key=lambda error: error.retry)
        for error in errors:
            with suppress(Exception):
                losses.count("notify", "peer_failed")
                losses.say_once("notify", "peer_failed", str(error))


def _at_once(posters: Sequence[Poster], body: bytes) -> list[DeliveryError | None]:
    """Posts to all peers, none of which waits for another."""
    outcomes: list[DeliveryError | None] = [None] * len(posters)

    def post(index: int) -> None:
        outcomes[index] = _posted(posters[index], body)

    threads = []
    for index in range(1, len(posters)):
        thread = threading.Thread(target=post, args=(index,), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is shutting down
            post(index)
        else:
            threads.append(thread)
    post(0)
    for thread in threads:
        thread.join()
    return outcomes


def _posted(poster: Poster, body: bytes) -> DeliveryError | None:
    try:
        answer = poster.post(body)
    except DeliveryError as error:
        return error
    except Exception as error:
        return DeliveryError(f"{poster.target.shown}: {type(error).__name__}")
    if _took_the_good_ones(answer):
        _count_bad(answer, poster.target.shown)
        return None
    return refusal(answer, poster.target.shown)


def _took_the_good_ones(answer: Answer) -> bool:
    """Whether it refused some alerts only: then it answers a text; else an object, or anything."""
    if answer.status != 400:
        return False
    with suppress(ValueError):
        return isinstance(json.loads(answer.body), str)
    return False


def _count_bad(answer: Answer, shown: str) -> None:
    with suppress(Exception):
        losses.count("notify", "bad_alert")
        losses.say_once("notify", "bad_alert", f"{shown} refuses an alert's labels or times")


def _checked_labels(labels: object) -> dict[str, str]:
    if labels is None:
        return {}
    if not isinstance(labels, Mapping):
        raise TypeError(f'labels is a mapping, not a {type(labels).__name__}: write {{"env": "a"}}')
    for name, value in labels.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f'labels holds {name!r}: {value!r}: write texts, {{"env": "prod"}}')
        if not _NAME.fullmatch(name):
            raise ValueError(f"labels: {name!r} is no label name: write letters, digits and _")
    return dict(labels)
