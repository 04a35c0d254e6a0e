"""The rules that are there when the program names none."""

from __future__ import annotations

from collections.abc import Mapping

from geomon.alerts import durations
from geomon.alerts.condition import Draft
from geomon.alerts.conditions import (
    cpu_above,
    error_ratio_above,
    memory_above,
    request_latency_above,
)
from geomon.alerts.expressions import MARK, increase, selector
from geomon.alerts.rule import AlertRule

THRESHOLDS: Mapping[str, float] = {"error_rate": 0.1, "latency": 1.0, "memory": 0.9, "cpu": 0.8}
"""Ratios, and seconds for `latency`: what `check_metrics` compares with, and four of the rules."""


def default_rules(namespace: str = "", interval: float = 15) -> list[AlertRule]:
    """Seven rules, about AI calls, requests, memory and CPU.

    Args:
        namespace: Put before the metrics' names.
        interval: Seconds between two evaluations; windows are at least four times as long.

    Raises:
        RuleError: The namespace cannot begin a metric's name.
    """
    short, middle, long = (_window(minutes, interval) for minutes in (5, 10, 15))
    return [
        error_ratio_above(THRESHOLDS["error_rate"], window=middle, namespace=namespace),
        request_latency_above(THRESHOLDS["latency"], window=short, for_="10m", namespace=namespace),
        memory_above(THRESHOLDS["memory"], for_="15m", namespace=namespace),
        cpu_above(THRESHOLDS["cpu"], for_="15m", namespace=namespace),
        _authentication(namespace, short),
        _rate_limited(namespace, short),
        _all_fail(namespace, long),
    ]


def _window(minutes: float, interval: float) -> str:
    return durations.text(max(60 * minutes, 4 * interval))


def watchdog() -> AlertRule:
    """A rule that always fires: a dead man's switch.

    Route it to a service that raises the alarm when it hears nothing for a while: then silence
    from a program that died, or cannot send, is noticed too.
    """
    return AlertRule(
        name="Watchdog",
        expr="vector(1)",
        labels={"severity": "none"},
        annotations={
            "summary": "Alerting works",
            "description": "This alert always fires. It is the silence after it that is bad.",
        },
    )


def _authentication(namespace: str, window: str) -> AlertRule:
    errors = increase(window, (), "ai_errors_total", error_type="authentication")
    return Draft(
        name="AIAuthenticationFailing",
        condition=f"{errors} > 0",
        summary="AI calls are refused: authentication fails",
        description=(
            "For 5 minutes the provider has refused calls for their key. Nothing heals that by "
            "itself: see whether the key was revoked, has expired, is of another project, or is "
            f"missing after a deployment. {MARK}ai_errors_total{{error_type="
            '"authentication"} by model says which provider.'
        ),
        severity="critical",
    ).rule({"for_": "5m", "namespace": namespace})


def _rate_limited(namespace: str, window: str) -> AlertRule:
    return error_ratio_above(
        0.2,
        window=window,
        error_types=("rate_limit",),
        min_calls=0,
        name="AIRateLimited",
        for_="10m",
        namespace=namespace,
        annotations={
            "summary": "{{ $value | humanizePercentage }} of AI calls hit the rate limit",
            "description": (
                "For 10 minutes more than 20 % of the AI calls were refused for their rate, beyond "
                f"what retries made good. See {MARK}ai_requests_total by type and model for what "
                f"calls so often, and {MARK}ai_rate_limit_remaining_ratio for which limit it is. "
                "Call less at once, back off longer, or ask the provider for more."
            ),
        },
    )


def _all_fail(namespace: str, window: str) -> AlertRule:
    failed = _grown(window, "ai_errors_total", not_error_type="cancelled")
    errors = increase(window, (), "ai_errors_total")
    calls = increase(window, (), "ai_requests_total")
    return Draft(
        name="AICallsAllFail",
        # the second part is not exact, and sees what succeeded before a restart
        condition=(
            f"{failed} >= 3\n"
            f"unless {_grown(window, 'ai_requests_total')} > {_grown(window, 'ai_errors_total')}\n"
            f"unless {calls} - {errors} > 0.05 * {calls}"
        ),
        summary="No AI call succeeds",
        description=(
            f"In the last {window} {{{{ $value | humanize }}}} AI calls failed and none succeeded. "
            f"See {MARK}ai_errors_total by model and error_type, then the provider's status page; "
            "connection errors everywhere mean this machine's network or DNS."
        ),
        severity="critical",
    ).rule({"namespace": namespace})


def _grown(window: str, metric: str, **labels: str) -> str:
    """How much counters grew since a window's first samples: exact, but blind to a restart."""
    counter = selector(metric, **labels)
    return f"sum({counter} - min_over_time({counter}[{window}]))"
