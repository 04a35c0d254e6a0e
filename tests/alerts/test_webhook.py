"""The webhook notifier, against receivers that answer, refuse, hang and break off."""

from __future__ import annotations

import base64
import logging
import ssl
from typing import Any

import pytest
import trustme

from geomon.alerts.alert import DeliveryError
from geomon.alerts.delivery import Delivery
from geomon.alerts.notifiers import WebhookNotifier
from geomon.alerts.notifiers.fingerprints import fingerprint
from geomon.testing import MovableClock
from tests.alerts.made import START, firing, resolved
from tests.alerts.servers_http import receiver
from tests.alerts.servers_smtp import speaking

A, B = firing("A", type="chat"), firing("B", type="chat")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def refused(url: str, **more: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        WebhookNotifier(url, **more)([A])
    return caught.value


def test_the_payload_is_alertmanagers_version_4() -> None:
    with receiver() as server:
        WebhookNotifier(f"{server.url}/hook")([resolved(B), A])
    [seen] = server.seen
    assert seen.path == "/hook"
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.json == {
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "geomon",
        "groupLabels": {},
        "commonLabels": {"type": "chat"},
        "commonAnnotations": {"summary": "too many errors"},
        "externalURL": "",
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "A", "type": "chat"},
                "annotations": {"summary": "too many errors"},
                "startsAt": "2023-11-14T22:13:20.000Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "",
                "fingerprint": fingerprint(A.labels),
            },
            {
                "status": "resolved",
                "labels": {"alertname": "B", "type": "chat"},
                "annotations": {"summary": "too many errors"},
                "startsAt": "2023-11-14T22:13:20.000Z",
                "endsAt": "2023-11-14T22:18:20.000Z",
                "generatorURL": "",
                "fingerprint": fingerprint(B.labels),
            },
        ],
    }


def test_the_groups_status_is_resolved_when_nothing_fires_any_more() -> None:
    with receiver() as server:
        delivery = Delivery("webhook", WebhookNotifier(server.url))
        for alert in (A, B, resolved(A), resolved(B)):
            delivery.send([alert])
            assert delivery.flush()
        delivery.close()
    states = [(s.json["status"], [a["status"] for a in s.json["alerts"]]) for s in server.seen]
    assert states == [
        ("firing", ["firing"]),
        ("firing", ["firing", "firing"]),
        ("firing", ["firing", "resolved"]),
        ("resolved", ["resolved"]),
    ]


def test_more_alerts_than_max_alerts_are_counted_in_the_message() -> None:
    with receiver() as server:
        WebhookNotifier(server.url, max_alerts=1)([resolved(B), A])
    message = server.seen[0].json
    assert [alert["labels"]["alertname"] for alert in message["alerts"]] == ["A"]
    assert message["truncatedAlerts"] == 1


def test_what_no_json_can_hold_is_sent_all_the_same() -> None:
    with receiver() as server:
        WebhookNotifier(server.url)([firing("É", text="\ud800\n\u2028")])
    assert server.seen[0].json["alerts"][0]["labels"]["text"] == "?\n\u2028"


def test_credentials_in_the_url_become_a_header_and_are_shown_nowhere(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with receiver(status=401) as server:
        url = server.url.replace("://", "://us%40er:hunter2@") + "/secret-path?key=secret-key"
        notifier = WebhookNotifier(url)
        delivery = Delivery("webhook", notifier)
        delivery.send([A])
        assert delivery.flush()
        shown = f"{notifier!r} {delivery.status()} {caplog.text}"
        delivery.close()
    [seen] = server.seen
    assert seen.headers["Authorization"] == "Basic " + base64.b64encode(b"us@er:hunter2").decode()
    assert seen.path == "/secret-path?key=secret-key"
    assert [secret for secret in ("hunter2", "us%40er", "secret") if secret in shown] == []
    assert f"{server.url} answered 401" in shown


def test_own_headers_are_sent() -> None:
    with receiver() as server:
        WebhookNotifier(server.url, headers={"Authorization": "Bearer x"})([A])
    assert server.seen[0].headers["Authorization"] == "Bearer x"


@pytest.mark.parametrize("status", [200, 201, 204])
def test_2xx_is_success(status: int) -> None:
    with receiver(status=status, body=b"") as server:
        WebhookNotifier(server.url)([A])


@pytest.mark.parametrize(
    ("status", "retry"), [(400, False), (401, False), (404, False), (408, True), (500, True)]
)
def test_errors_that_may_pass_are_tried_again(status: int, retry: bool) -> None:
    with receiver(status=status) as server:
        error = refused(server.url)
    assert (error.retry, error.after) == (retry, None)
    assert str(error) == f"{server.url} answered {status}"


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed(status: int, clock: MovableClock) -> None:
    clock.set_wall(START)
    for header, seconds in (
        ("120", 120.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("soon", None),
        ("9" * 99, None),
    ):
        with receiver(status=status, headers={"Retry-After": header}) as server:
            error = refused(server.url)
        assert (error.retry, error.after) == (True, seconds)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with receiver() as other:
        where = {"Location": f"{other.url}/secret"}
        with receiver(status=status, headers=where) as server:
            error = refused(server.url)
    assert other.seen == []
    assert not error.retry
    assert str(error) == (
        f"{server.url} answered {status}, a redirect to {other.url}: write the final URL"
    )


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"HTTP/1.1",
        b"\x00\xff garbage\r\n\r\n",
        b"HTTP/1.1 200\r\nX: " + b"x" * 70_000,
        b"HTTP/1.1 500 x\r\nContent-Length: 99\r\n\r\npart",
    ],
)
def test_garbage_and_broken_connections_are_tried_again(says: bytes) -> None:
    with receiver(says=says) as server:
        assert refused(server.url).retry


def test_a_receiver_that_hangs_is_left_after_the_timeout() -> None:
    with receiver(hangs=True) as server:
        error = refused(server.url, timeout=0.1)
    assert (str(error), error.retry) == (f"{server.url}: no answer in time", True)


def test_a_receiver_that_is_away_is_tried_again() -> None:
    with speaking() as port:
        pass
    error = refused(f"http://127.0.0.1:{port}")
    assert (str(error), error.retry) == (f"http://127.0.0.1:{port}: Connection refused", True)


def test_a_boundless_answer_is_not_read() -> None:
    with receiver(status=500, body=b"x" * 10_000_000) as server:
        assert refused(server.url).retry


def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    authority = trustme.CA()
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server_context)
    with receiver(tls=server_context) as server:
        url = f"https://localhost:{server.port}"
        assert "certificate is not trusted" in str(refused(url))
        assert server.seen == []
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        WebhookNotifier(url, ssl_context=trusting)([A])
        assert len(server.seen) == 1


def test_the_environments_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        WebhookNotifier("http://alerts.invalid/hook")([A])
    assert [seen.path for seen in proxy.seen] == ["http://alerts.invalid/hook"]


def test_the_fingerprint_is_prometheuss() -> None:
    # github.com/prometheus/common/model, TestLabelsToSignature: FNV-1a over sorted labels
    assert fingerprint({}) == "cbf29ce484222325"
    labels = {"name": "garland, briggs", "fear": "love is not enough"}
    assert int(fingerprint(labels), 16) == 5799056148416392346


@pytest.mark.parametrize(
    "url",
    ["ftp://host/x", "host/x", "http:///x", "http://host:99999/", "http://ho st/", "http://h\n/"],
)
def test_a_url_that_cannot_be_is_an_error_without_it(url: str) -> None:
    with pytest.raises(ValueError, match="write 'https://alerts") as caught:
        WebhookNotifier(url)
    assert url not in str(caught.value)


def test_wrong_arguments_are_errors() -> None:
    url = "http://127.0.0.1"
    with pytest.raises(TypeError, match="url is a text"):
        WebhookNotifier(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="timeout=0"):
        WebhookNotifier(url, timeout=0)
    with pytest.raises(ValueError, match="max_alerts=-1"):
        WebhookNotifier(url, max_alerts=-1)
    with pytest.raises(TypeError, match="external_url is a text"):
        WebhookNotifier(url, external_url=5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="control characters") as caught:
        WebhookNotifier(url, headers={"X-Token": "secret\r\nEvil: 1"})
    assert "secret" not in str(caught.value)
    with pytest.raises(TypeError, match="headers is a mapping"):
        WebhookNotifier(url, headers=["X"])  # type: ignore[arg-type]
