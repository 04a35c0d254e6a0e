"""Runs every benchmark and prints ratios."""

from tests.benchmarks import calls, formatter, imports, logs, memory, promql, reading, streams

for part in (calls, streams, logs, formatter, reading, promql, imports, memory):
    part.main()
