"""How the program stands: memory, CPU, its own checks, and what the health endpoints answer.

    @geomon.health.check("database", timeout=0.5)
    async def database() -> bool: ...

`ready_answer()` and the like, each also as `..._async`, give an `Answer` for an endpoint of one's
own. Memory and CPU are those of the container where there is one, else of the machine.
"""

from __future__ import annotations

from geomon.health.answer import Answer
from geomon.health.checks import CHECKS, Checks, check, unregister
from geomon.health.gauges import SystemGauges
from geomon.health.installed import (
    current,
    health_answer,
    health_answer_async,
    install,
    live_answer,
    live_answer_async,
    ready_answer,
    ready_answer_async,
)
from geomon.health.options import HealthOptions
from geomon.health.report import Report
from geomon.health.system import SYSTEM, Readings, System
from geomon.health.users import ActiveUsers

__all__ = [
    "CHECKS",
    "SYSTEM",
    "ActiveUsers",
    "Answer",
    "Checks",
    "HealthOptions",
    "Readings",
    "Report",
    "System",
    "SystemGauges",
    "check",
    "current",
    "health_answer",
    "health_answer_async",
    "install",
    "live_answer",
    "live_answer_async",
    "ready_answer",
    "ready_answer_async",
    "unregister",
]
