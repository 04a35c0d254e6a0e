"""Runs every benchmark and prints ratios."""

from tests.benchmarks import (
    alerts,
    calls,
    formatter,
    imports,
    logs,
    memory,
    promql,
    reading,
    streams,
)

for part in (calls, streams, logs, formatter, reading, promql, alerts, imports, memory):
    part.main()
