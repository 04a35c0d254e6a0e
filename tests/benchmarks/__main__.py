"""Runs every benchmark and prints ratios."""

from tests.benchmarks import calls, formatter, imports, logs, memory, reading, streams

for part in (calls, streams, logs, formatter, reading, imports, memory):
    part.main()
