"""What takes alerts somewhere, one kind a file. Your own is any function of a list of alerts."""

from geomon.alerts.notifiers.alertmanager import AlertmanagerNotifier
from geomon.alerts.notifiers.apprise import AppriseNotifier
from geomon.alerts.notifiers.email import EmailNotifier
from geomon.alerts.notifiers.log import LogNotifier
from geomon.alerts.notifiers.webhook import WebhookNotifier

__all__ = [
    "AlertmanagerNotifier",
    "AppriseNotifier",
    "EmailNotifier",
    "LogNotifier",
    "WebhookNotifier",
]
