"""The Apprise notifier, to a local webhook and a local SMTP server."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest

from geomon import losses
from geomon.alerts.alert import Alert, DeliveryError
from geomon.alerts.delivery import Delivery
from geomon.alerts.notifiers import AppriseNotifier
from tests.alerts.made import firing, resolved
from tests.alerts.servers_http import receiver
from tests.alerts.servers_smtp import PASSWORD, smtp

A = firing("HighErrors", type="<chat>")


@pytest.mark.parametrize(
    ("alerts", "kind"),
    [
        ([A], "warning"),
        ([A, firing("Down", severity="critical")], "failure"),
        ([firing("Watchdog", severity="none")], "info"),
        ([resolved(A)], "success"),
        ([resolved(firing("Down", severity="critical")), A], "warning"),
    ],
)
def test_a_webhook_gets_title_body_and_kind(alerts: list[Alert], kind: str) -> None:
    with receiver() as server:
        AppriseNotifier(f"json://127.0.0.1:{server.port}")(alerts)
    message = server.seen[0].json
    assert message["type"] == kind
    assert message["title"] == title(alerts)
    assert all(alert.name in message["message"] for alert in alerts)


def title(alerts: list[Alert]) -> str:
    from geomon.alerts.notifiers.texts import title

    return title(alerts)


def test_a_mail_server_gets_a_mail() -> None:
    with smtp() as inbox:
        AppriseNotifier(
            f"mailto://mailer:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{inbox.port}"
            "?from=geomon@example.com&to=ops@example.com&mode=insecure&smtp=127.0.0.1"
        )([A])
    [found] = inbox.mails
    assert found["Subject"] == "1 firing: HighErrors"
    body = found.get_body(("plain", "html"))
    assert body is not None
    assert "FIRING HighErrors" in body.get_content()
    assert "<chat>" in body.get_content().replace("&lt;", "<").replace("&gt;", ">")


def test_secrets_in_urls_are_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    with receiver(status=403) as server:
        notifier = AppriseNotifier(f"json://user:hunter2@127.0.0.1:{server.port}/hunter2/")
        delivery = Delivery("apprise", notifier)
        delivery.send([A])
        delivery.flush()
        status = delivery.status()
        with pytest.raises(ValueError, match="URL number 2") as caught:
            AppriseNotifier(f"json://127.0.0.1:{server.port}", "slack://hunter2")
        delivery.close(0)
    assert server.seen[0].path == "/hunter2/"
    assert status["last_error"] == "Apprise could not send to json:// (403)"
    assert "hunter2" not in f"{notifier!r} {status} {caught.value} {caplog.text}"


def test_apprises_own_records_of_other_threads_go_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with receiver() as server:
        AppriseNotifier(f"json://127.0.0.1:{server.port}")([A])
    logging.getLogger("apprise").warning("the program's own")
    assert "the program's own" in caplog.messages


def test_a_failure_is_tried_again_and_one_of_several_is_counted() -> None:
    before = losses.counts().get(("notify", "peer_failed"), 0)
    with receiver(status=500) as bad, receiver() as good:
        urls = [f"json://127.0.0.1:{server.port}" for server in (bad, good)]
        with pytest.raises(DeliveryError, match=r"Apprise could not send to json:// \(500\)") as e:
            AppriseNotifier(urls[0])([A])
        AppriseNotifier(*urls)([A])
    assert e.value.retry
    assert len(good.seen) == 1
    assert losses.counts()["notify", "peer_failed"] == before + 1


@pytest.mark.parametrize("url", ["nonsense", "nowhere://x", "mailto://user:pw@"])
def test_a_url_that_apprise_cannot_use_is_an_error_at_set_up(url: str) -> None:
    with pytest.raises(ValueError, match="is none that Apprise can use: write"):
        AppriseNotifier(url)


@pytest.mark.parametrize(("urls", "error"), [((), ValueError), ((1,), TypeError)])
def test_no_url_is_an_error(urls: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error, match="write urls="):
        AppriseNotifier(*urls)


def test_without_apprise_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ImportError, match=r"pip install 'geomon\[notify\]'"):
        AppriseNotifier("json://127.0.0.1")
