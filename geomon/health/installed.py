"""The report in force, as the web endpoints ask it."""

from __future__ import annotations

import sys
from typing import Any

from geomon import locks
from geomon.health.answer import Answer
from geomon.health.report import Report

_report: Report | None = None
_lock = locks.lock_of(sys.modules[__name__])


def install(report: Report | None) -> Report | None:
    """Puts a report in force and gives the earlier one; None returns to the default."""
    global _report
    with _lock:
        earlier, _report = _report, report
    return earlier


def current() -> Report:
    """The report in force; that of the default registry where none was installed."""
    global _report
    with _lock:
        if _report is None:
            _report = Report()
        return _report


def live_answer() -> Answer:
    """`Report.live_answer` of the report in force."""
    return current().live_answer()


async def live_answer_async() -> Answer:
    """The same."""
    return await current().live_answer_async()


def ready_answer(caller: Any = None, group: str = "ready") -> Answer:
    """`Report.ready_answer` of the report in force."""
    return current().ready_answer(caller, group)


async def ready_answer_async(caller: Any = None, group: str = "ready") -> Answer:
    """The same, without holding the loop up."""
    return await current().ready_answer_async(caller, group)


def health_answer(caller: Any = None) -> Answer:
    """`Report.health_answer` of the report in force."""
    return current().health_answer(caller)


async def health_answer_async(caller: Any = None) -> Answer:
    """The same, without holding the loop up."""
    return await current().health_answer_async(caller)
