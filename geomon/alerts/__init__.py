"""Alerts: rules that watch the program from inside, and reach people.

    from geomon.alerts import AlertManager, error_ratio_above, load_rules
    rules = [error_ratio_above(0.1), *load_rules("rules.yml")]
    manager = AlertManager(rules, notifiers=[...])
    manager.start()

Rules are Prometheus's, and a rule file that loads here loads there. `geomon.configure(rules=...,
notifiers=...)` makes and starts a manager. Whether alerting itself still works is told by silence:
`watchdog()` is a rule that always fires (`vector(1)`), for a service that raises the alarm when it
hears nothing. Silences, inhibition and routing are Alertmanager's work: `AlertmanagerNotifier`.
"""

from __future__ import annotations

from geomon.alerts.alert import Alert, DeliveryError, Notifier
from geomon.alerts.conditions import (
    burn_rate,
    cpu_above,
    error_ratio_above,
    latency_above,
    memory_above,
    request_latency_above,
    spend_above,
    tokens_above,
)
from geomon.alerts.defaults import default_rules, watchdog
from geomon.alerts.manager import AlertManager
from geomon.alerts.notifiers import (
    AlertmanagerNotifier,
    AppriseNotifier,
    EmailNotifier,
    LogNotifier,
    WebhookNotifier,
)
from geomon.alerts.rule import AlertRule, RecordingRule, RuleError, RuleGroup
from geomon.alerts.rule_files import load_rules
from geomon.alerts.rule_writing import dump_rules
from geomon.alerts.templates import TemplateError

__all__ = [
    "Alert",
    "AlertManager",
    "AlertRule",
    "AlertmanagerNotifier",
    "AppriseNotifier",
    "DeliveryError",
    "EmailNotifier",
    "LogNotifier",
    "Notifier",
    "RecordingRule",
    "RuleError",
    "RuleGroup",
    "TemplateError",
    "WebhookNotifier",
    "burn_rate",
    "cpu_above",
    "default_rules",
    "dump_rules",
    "error_ratio_above",
    "latency_above",
    "load_rules",
    "memory_above",
    "request_latency_above",
    "spend_above",
    "tokens_above",
    "watchdog",
]
