"""Runs every benchmark and prints ratios."""

from tests.benchmarks import calls, imports, memory, streams

for part in (calls, streams, imports, memory):
    part.main()
