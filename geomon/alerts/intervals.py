"""How often is looked, and whether windows are long enough for that."""

from __future__ import annotations

import math
from collections.abc import Iterable

from geomon.alerts import durations
from geomon.alerts.evaluation import Group
from geomon.promql.needs import narrowest


def step(intervals: Iterable[float]) -> float:
    """The longest seconds that every interval is a whole number of; at least one second."""
    return max(1.0, math.gcd(*(round(1000 * one) for one in intervals)) / 1000)


def check_windows(groups: Iterable[Group], interval: float) -> None:
    """Whether `rate` and its like see two samples, which come every `interval` seconds.

    Raises:
        ValueError: A rule could never fire, since a window holds one.
    """
    for rule in (rule for group in groups for rule in group.rules):
        window = narrowest(rule.expr)
        if window <= interval:
            raise ValueError(
                f"the rule {rule.name!r} looks at how a counter grew in {durations.text(window)}, "
                f"which takes two samples, and they come every {interval:g} s: write a window of "
                f"{durations.text(4 * interval)} or more (or default_rules(interval={interval:g}))"
            )
