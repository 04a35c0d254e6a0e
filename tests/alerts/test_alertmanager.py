"""The Alertmanager notifier, to a real Alertmanager and to receivers that refuse."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry

from geomon import losses
from geomon.alerts.alert import Alert, DeliveryError
from geomon.alerts.defaults import watchdog
from geomon.alerts.delivery import Delivery
from geomon.alerts.manager import AlertManager
from geomon.alerts.notifiers import AlertmanagerNotifier
from geomon.alerts.notifiers.fingerprints import fingerprint
from geomon.testing import MovableClock
from tests.alerts.made import START, firing, resolved
from tests.alerts.servers_http import Receiver, receiver
from tests.alerts.servers_smtp import free_port
from tests.programs import until
from tests.servers import require

CONFIG = """
route:
  receiver: hook
  group_by: [alertname]
  group_wait: 100ms
  group_interval: 200ms
  repeat_interval: 1h
receivers:
  - name: hook
    webhook_configs:
      - url: {url}/hook
        send_resolved: true
"""


@dataclass
class Alertmanager:
    url: str
    hook: Receiver

    def heard(self, name: str) -> list[Any]:
        """What its receiver was told of the alerts of this name."""
        messages = [seen.json for seen in list(self.hook.seen)]
        return [m for m in messages if m["groupLabels"] == {"alertname": name}]

    def active(self) -> list[Any]:
        with urlopen(f"{self.url}/api/v2/alerts", timeout=10) as response:
            found: list[Any] = json.load(response)
        return found


@pytest.fixture(scope="module")
def alertmanager() -> Iterator[Alertmanager]:
    program = require("prometheus-alertmanager", package="prometheus-alertmanager")
    port = free_port()
    directory = Path(tempfile.mkdtemp(prefix="geomon-alertmanager-"))
    with receiver() as hook:
        config = directory / "alertmanager.yml"
        config.write_text(CONFIG.format(url=hook.url))
        process = subprocess.Popen(
            [
                program,
                f"--config.file={config}",
                f"--storage.path={directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
                "--log.level=error",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            manager = Alertmanager(f"http://127.0.0.1:{port}", hook)
            until(lambda: is_ready(manager.url))
            yield manager
        finally:
            process.kill()
            process.wait()
            shutil.rmtree(directory, ignore_errors=True)


def is_ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/-/ready", timeout=5):
            return True
    except OSError:
        return False


def lost(reason: str) -> int:
    return losses.counts().get(("notify", reason), 0)


# --- a real one


def test_firing_arrives_once_whatever_is_repeated_and_then_resolved(
    alertmanager: Alertmanager,
) -> None:
    alert = firing("Lifecycle", fired_at=round(time.time(), 3) - 60, type="chat")
    notifier = AlertmanagerNotifier([alertmanager.url], external_url="http://here/")
    delivery = Delivery("alertmanager", notifier)
    delivery.send([alert])
    assert delivery.flush(20)
    until(lambda: alertmanager.heard("Lifecycle"))
    for _ in range(3):
        notifier([alert])  # as after `resend_delay`
    delivery.send([resolved(alert, 59)])
    assert delivery.flush(20)
    until(lambda: alertmanager.heard("Lifecycle")[-1]["status"] == "resolved")
    messages = alertmanager.heard("Lifecycle")
    delivery.close()
    assert [(m["status"], len(m["alerts"])) for m in messages] == [("firing", 1), ("resolved", 1)]
    [got] = messages[0]["alerts"]
    assert got["labels"] == alert.labels
    assert got["annotations"] == alert.annotations
    assert got["generatorURL"] == "http://here/"
    assert got["fingerprint"] == fingerprint(alert.labels)


def test_one_bad_alert_does_not_cost_the_others(alertmanager: Alertmanager) -> None:
    before = lost("bad_alert")
    now = time.time()
    alerts = [
        firing("GoodOne", fired_at=now),
        firing("BadOne", fired_at=now, **{"not-a-name": "x"}),
        firing("GoodTwo", fired_at=now, empty=""),
    ]
    AlertmanagerNotifier([alertmanager.url])(alerts)
    names = {alert["labels"]["alertname"] for alert in alertmanager.active()}
    assert {"GoodOne", "GoodTwo"} <= names
    assert "BadOne" not in names
    assert lost("bad_alert") == before + 1
    until(lambda: alertmanager.heard("GoodOne") and alertmanager.heard("GoodTwo"))


def test_what_it_does_not_understand_at_all_is_refused(alertmanager: Alertmanager) -> None:
    notifier = AlertmanagerNotifier([alertmanager.url], external_url=":not a url")
    with pytest.raises(DeliveryError) as caught:
        notifier([firing("Refused", fired_at=time.time())])
    assert not caught.value.retry
    assert "Refused" not in {alert["labels"]["alertname"] for alert in alertmanager.active()}


def test_many_alerts_of_any_text_arrive(alertmanager: Alertmanager) -> None:
    now = time.time()
    alerts = [firing("Many", fired_at=now, n=str(n), text="É\n\ud800") for n in range(150)]
    AlertmanagerNotifier([alertmanager.url])(alerts)
    found = [a for a in alertmanager.active() if a["labels"]["alertname"] == "Many"]
    assert {alert["labels"]["n"] for alert in found} == {str(n) for n in range(150)}
    assert {alert["labels"]["text"] for alert in found} == {"É\n?"}


# --- what is sent


def test_an_alert_is_sent_as_prometheus_sends_it(clock: MovableClock) -> None:
    clock.set_wall(START + 100)
    with receiver() as server:
        url = server.url.replace("://", "://user:hunter2@") + "/prefix/"
        notifier = AlertmanagerNotifier([url], labels={"env": "prod", "type": "none"}, interval=90)
        notifier([firing("A", type="chat", empty=""), resolved(firing("B"), 50)])
    [seen] = server.seen
    assert seen.path == "/prefix/api/v2/alerts"
    assert seen.headers["Authorization"].startswith("Basic ")
    assert "hunter2" not in repr(notifier)
    assert seen.json == [
        {
            "labels": {"env": "prod", "alertname": "A", "type": "chat"},
            "annotations": {"summary": "too many errors"},
            "startsAt": "2023-11-14T22:13:20.000Z",
            "endsAt": "2023-11-14T22:21:00.000Z",  # now + 4 * 90 s
            "generatorURL": "",
        },
        {
            "labels": {"env": "prod", "alertname": "B", "type": "none"},
            "annotations": {"summary": "too many errors"},
            "startsAt": "2023-11-14T22:13:20.000Z",
            "endsAt": "2023-11-14T22:14:10.000Z",
            "generatorURL": "",
        },
    ]


def test_an_end_is_four_of_the_managers_intervals_ahead(clock: MovableClock) -> None:
    clock.set_wall(START)
    with receiver() as server:
        notifiers = [AlertmanagerNotifier([server.url])]
        manager = AlertManager([watchdog()], notifiers, 600, CollectorRegistry())
        manager.evaluate()
        manager.close()
    assert [seen.json[0]["endsAt"] for seen in server.seen] == ["2023-11-14T22:53:20.000Z"]


def test_batches_hold_64_alerts() -> None:
    with receiver() as server:
        AlertmanagerNotifier([server.url])([firing("A", n=str(n)) for n in range(130)])
    assert [len(seen.json) for seen in server.seen] == [64, 64, 2]


def test_all_active_alerts_may_be_handed_over_each_time(clock: MovableClock) -> None:
    with receiver() as server:
        delivery = Delivery("alertmanager", AlertmanagerNotifier([server.url]))
        for _ in range(9):  # every 15 s for two minutes
            delivery.send([firing("A")])
            assert delivery.flush()
            clock.move(15)
        delivery.close()
    assert len(server.seen) == 3


def test_every_peer_gets_it_and_one_that_takes_it_is_enough() -> None:
    before = lost("peer_failed")
    with receiver() as one, receiver(status=500) as two, receiver() as three:
        gone = f"http://127.0.0.1:{free_port()}"
        AlertmanagerNotifier([one.url, gone, two.url, three.url])([firing("A")])
        assert [len(server.seen) for server in (one, two, three)] == [1, 1, 1]
    assert lost("peer_failed") == before + 2


@pytest.mark.parametrize(
    ("does", "retry", "after"),
    [
        ({"status": 500}, True, None),
        ({"status": 429, "headers": {"Retry-After": "7"}}, True, 7.0),
        ({"status": 400, "body": b'{"code":602,"message":"..."}'}, False, None),
        ({"status": 404}, False, None),
        ({"says": b"garbage"}, True, None),
        ({"hangs": True}, True, None),
    ],
)
def test_where_no_peer_takes_it_the_error_says_whether_to_try_again(
    does: dict[str, Any], retry: bool, after: float | None
) -> None:
    with receiver(**does) as server:
        notifier = AlertmanagerNotifier([server.url], timeout=0.2 if "hangs" in does else 10)
        with pytest.raises(DeliveryError) as caught:
            notifier([firing("A")])
    assert (caught.value.retry, caught.value.after) == (retry, after)


def test_no_alerts_are_no_message() -> None:
    empty: list[Alert] = []
    with receiver() as server:
        AlertmanagerNotifier([server.url])(empty)
    assert server.seen == []


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"urls": "http://a"}, TypeError, "urls takes a list"),
        ({"urls": []}, ValueError, "urls is empty"),
        ({"urls": ["http://a", "b"]}, ValueError, r"urls\[1\] is no http"),
        ({"urls": ["http://a"], "interval": 0}, ValueError, "interval=0"),
        ({"urls": ["http://a"], "external_url": 5}, TypeError, "external_url is a text"),
        ({"urls": ["http://a"], "labels": ["x"]}, TypeError, "labels is a mapping"),
        ({"urls": ["http://a"], "labels": {"a-b": "x"}}, ValueError, "no label name"),
        ({"urls": ["http://a"], "labels": {"a": 1}}, TypeError, "write texts"),
    ],
)
def test_wrong_arguments_say_what_to_write(
    arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        AlertmanagerNotifier(**arguments)
