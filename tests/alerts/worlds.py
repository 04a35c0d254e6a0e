"""Series as promtool writes them, and which rules fire over them: promtool's word, and geomon's."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from geomon.alerts.rule import AlertRule, RecordingRule
from geomon.alerts.rule_writing import dump_rules
from geomon.promql import Sample, query
from geomon.series import SeriesStore
from tests.alerts import promtool
from tests.promql.notation import read_labels

INTERVAL = 15


@dataclass(frozen=True)
class World:
    """What a program counted.

    Attributes:
        series: A value each 15 s, or None; the last value stands on to the end.
        minutes: When it is asked which alerts fire.
    """

    series: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    minutes: int = 30

    @property
    def steps(self) -> int:
        return self.minutes * 60 // INTERVAL + 1

    def full(self, name: str) -> list[float | None]:
        values = list(self.series[name])
        return (values + [values[-1]] * self.steps)[: self.steps]


def calls(count: int, steps: int = 8, start: int = 4) -> list[float | None]:
    """A counter that begins at 0 and then grows by `count`, over some steps."""
    grown = [float(round(count * step / steps)) for step in range(1, steps + 1)]
    return [0.0] * start + list(grown)


def steady(rate: float, minutes: int = 30) -> list[float | None]:
    """A counter that grows all the time."""
    return [rate * step for step in range(minutes * 60 // INTERVAL + 1)]


def fire_in_promtool(rule: AlertRule, world: World) -> bool:
    """Whether the rule fires at the world's end, as promtool says."""
    series = [
        {
            "series": name,
            "values": " ".join("_" if one is None else str(one) for one in world.full(name)),
        }
        for name in world.series
    ]
    firing = f"ALERTS{{alertstate='firing', alertname='{rule.name}'}}"
    test = {
        "interval": f"{INTERVAL}s",
        "input_series": series,
        "promql_expr_test": [
            {"expr": f"count({firing}) or vector(0)", "eval_time": f"{world.minutes}m"}
        ],
    }
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "rules.yml").write_text(dump_rules([rule]))
        path = Path(folder, "test.yml")
        test["promql_expr_test"][0]["exp_samples"] = [{"labels": "{}", "value": 0}]  # type: ignore[index]
        path.write_text(
            json.dumps(
                {
                    "rule_files": ["rules.yml"],
                    "evaluation_interval": f"{INTERVAL}s",
                    "tests": [test],
                }
            )
        )
        done = promtool.run("test", "rules", str(path))
    assert "time:" in done.stdout + done.stderr or done.returncode == 0, done.stderr
    assert "err:" not in done.stdout + done.stderr, done.stdout + done.stderr
    return done.returncode != 0


def fires_here(rule: AlertRule | RecordingRule, world: World) -> bool:
    """Whether the expression gives something at the world's end, in geomon's own engine."""
    return bool(values_here(rule.expr, world))


def filled(world: World) -> SeriesStore:
    """A store with what the program counted."""
    store = SeriesStore(retention=100_000)
    for name in world.series:
        labels, _ = read_labels(name)
        for step, value in enumerate(world.full(name)):
            if value is not None:
                store.append(labels, float(step * INTERVAL), value)
    return store


def values_here(expr: str, world: World) -> list[float]:
    answer = query(expr, filled(world), world.minutes * 60.0)
    return (
        [one.value for one in answer if isinstance(one, Sample)] if isinstance(answer, list) else []
    )
