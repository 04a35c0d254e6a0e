"""What a program may choose about its health answers: `configure(health=HealthOptions(...))`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class HealthOptions:
    """Who sees how much, and when `/health` is degraded.

    Args:
        details: Who sees more than names and statuses: True: everyone; a function: callers that it
            accepts, asked with the ASGI scope or the WSGI environ. Seen are what a check says as
            its details, and which alerts fire.
        alerts: Whether alerts that fire make `/health` degraded.
        redact: What a check's details go through before they are shown. None: what the logs
            redact by default.
        memory_above: `/health` is degraded where more percent of the memory are used.
        cpu_above: The same for the CPU.

    Raises:
        TypeError, ValueError: an argument cannot be; the text says what to write.
    """

    details: bool | Callable[[Any], object] = False
    alerts: bool = False
    redact: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    memory_above: float = 90.0
    cpu_above: float = 80.0

    def __post_init__(self) -> None:
        _check_details(self.details)
        if not isinstance(self.alerts, bool):
            raise TypeError(f"alerts={self.alerts!r}: write alerts=True or alerts=False")
        if self.redact is not None and not callable(self.redact):
            raise TypeError(
                f"redact={self.redact!r}: write a function that takes a check's details and gives "
                "those to show"
            )
        _check_percent("memory_above", self.memory_above)
        _check_percent("cpu_above", self.cpu_above)


def _check_details(details: Any) -> None:
    if isinstance(details, bool):
        return
    if not callable(details):
        raise TypeError(
            f"details={details!r}: write details=True, details=False or a function that takes the "
            "caller"
        )
    if inspect.iscoroutinefunction(details):
        raise TypeError(f"details={details!r} is async, and true for everybody: write a plain def")


def _check_percent(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}={value!r}: write percent, {name}=90")
    if not 0 < value <= 100:
        raise ValueError(f"{name}={value!r}: write percent from 0 to 100, {name}=90")
