"""Rules about memory and CPU; a part of `conditions`."""

from __future__ import annotations

from typing import Unpack

from geomon.alerts.condition import Condition, Draft, Options
from geomon.alerts.expressions import MARK, PERCENT, lower, number, selector


def memory_above(
    ratio: float, *, resolve_below: float | None = None, **options: Unpack[Options]
) -> Condition:
    """Fires where more than this part of the memory is used: of the container's, or the machine's.

    Args:
        ratio: From 0 to 1: `0.9` is 90 %.
        resolve_below: An alert that fires goes on until the ratio is below this.

    Raises:
        TypeError, ValueError: An argument is wrong; the text says what to write.
    """
    value = f"{selector('memory_usage_bytes')} / ({selector('memory_limit_bytes')} > 0)"
    return Draft(
        name="MemoryHigh",
        condition=f"{value} > {number('ratio', ratio, most=1)}",
        summary=f"{PERCENT} of the memory is used",
        description=(
            f"{MARK}memory_usage_bytes is {PERCENT} of {MARK}memory_limit_bytes. At 100 % the "
            "kernel kills a process. See whether it grows steadily, which is a leak that a restart "
            f"hides for a while, or came with traffic: {MARK}http_requests_in_progress and "
            f"{MARK}ai_requests_in_progress."
        ),
        value=value,
        resolve_below=lower("resolve_below", resolve_below, ratio),
    ).rule(options)


def cpu_above(
    ratio: float, *, resolve_below: float | None = None, **options: Unpack[Options]
) -> Condition:
    """Fires where more than this part of the CPUs is used: of the container's, or the machine's.

    Args:
        ratio: From 0 to 1: `0.8` is 80 %.
        resolve_below: An alert that fires goes on until the ratio is below this.

    Raises:
        TypeError, ValueError: An argument is wrong; the text says what to write.
    """
    value = f"{selector('cpu_usage_percent')} / 100"
    return Draft(
        name="CPUHigh",
        condition=f"{value} > {number('ratio', ratio, most=1)}",
        summary=f"{PERCENT} of the CPUs is used",
        description=(
            f"{MARK}cpu_usage_percent is at {PERCENT}. Requests wait for a CPU before they fail: "
            f"see {MARK}http_request_duration_seconds, and whether traffic grew with it "
            f"({MARK}http_requests_total) or one process runs wild."
        ),
        value=value,
        resolve_below=lower("resolve_below", resolve_below, ratio),
    ).rule(options)
