"""The log notifier: one record an alert, at the level of its severity."""

from __future__ import annotations

import json
import logging

import pytest

from geomon.alerts.alert import Alert
from geomon.alerts.notifiers import LogNotifier
from geomon.logs import JSONFormatter
from tests.alerts.made import START, firing, resolved


@pytest.mark.parametrize(
    ("alert", "level"),
    [
        (firing(), "WARNING"),
        (firing(severity="warning"), "WARNING"),
        (firing(severity="Critical"), "ERROR"),
        (firing(severity="page"), "ERROR"),
        (firing(severity="info"), "INFO"),
        (firing(severity="none"), "INFO"),
        (resolved(firing(severity="critical")), "INFO"),
    ],
)
def test_the_level_follows_severity_and_state(
    alert: Alert, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "geomon.alerts")
    LogNotifier()([alert])
    assert [record.levelname for record in caplog.records] == [level]


def test_a_record_says_in_words_and_fields_what_fires(caplog: pytest.LogCaptureFixture) -> None:
    LogNotifier()([firing("A", type='x"\ny')])
    [record] = caplog.records
    assert record.name == "geomon.alerts"
    assert record.getMessage() == 'alert firing: A{type="x" y"} (too many errors), value 0.25'
    written = json.loads(JSONFormatter().format(record))
    assert {name: value for name, value in written.items() if name.startswith("alert")} == {
        "alertname": "A",
        "alert_state": "firing",
        "alert_value": 0.25,
        "alert_labels": {"alertname": "A", "type": 'x"\ny'},
        "alert_annotations": {"summary": "too many errors"},
        "alert_expr": "ratio > 0.1",
        "alert_since": START,
    }
