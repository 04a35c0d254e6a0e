"""What the manager adds to the engine's cost of evaluating rules."""

from __future__ import annotations

from collections.abc import Sequence

from geomon.alerts import Alert, AlertManager, AlertRule
from geomon.promql import query
from tests.benchmarks.measure import interleaved, show
from tests.benchmarks.promql import HOUR, filled, milliseconds, rules


def nowhere(alerts: Sequence[Alert]) -> None:
    """A notifier that throws away."""


def main() -> None:
    store, exprs = filled(), rules()
    manager = AlertManager(
        [AlertRule(f"Rule{number}", expr, for_="5m") for number, expr in enumerate(exprs)],
        [nowhere],
        store=store,
    )
    at = [float(HOUR)]

    def evaluate() -> None:
        at[0] += 0.001  # a time of its own, so that what is written is new
        manager.evaluate(at=at[0])

    base = "the engine alone"
    results = interleaved(
        {
            base: milliseconds(lambda: [query(expr, store, at[0]) for expr in exprs]),
            "AlertManager.evaluate": milliseconds(evaluate),
        },
        9,
    )
    firing = len(manager.alerts)
    show(f"100 alert rules over 1,000 series, {firing} alerts active", results, base, "ms")
    manager.close()


if __name__ == "__main__":
    main()
