"""What an expression is evaluated with."""

from __future__ import annotations

from dataclasses import dataclass, replace

from geomon.promql.limits import Budget
from geomon.promql.tree import At
from geomon.series import SeriesStore

LOOKBACK = 300.0
"""Seconds that a sample stands, unless said otherwise."""
SUBQUERY_STEP = 60.0
"""Seconds between the steps of a subquery that names none."""


@dataclass(frozen=True)
class Context:
    """The data and the times. Times are milliseconds.

    Attributes:
        store: Where selectors look.
        steps: When the expression is evaluated.
        start: When the query starts, for `@ start()`.
        end: When it ends, for `@ end()`.
        lookback: How old a sample may be that still stands.
        subquery_step: The step of subqueries that name none.
        budget: What the query may still cost.
    """

    store: SeriesStore
    steps: range
    start: int
    end: int
    lookback: int
    subquery_step: int
    budget: Budget

    def over(self, steps: range) -> Context:
        """The same at other steps: inside a subquery."""
        return replace(self, steps=steps)

    def references(self, offset: int, at: At) -> range:
        """The time that a selector looks at, for every step; one for all where `@` fixes it."""
        if at is None:
            steps = self.steps
            return range(steps.start - offset, steps.stop - offset, steps.step)
        fixed = {"start": self.start, "end": self.end}[at] if isinstance(at, str) else at
        return range(fixed - offset, fixed - offset + 1)
