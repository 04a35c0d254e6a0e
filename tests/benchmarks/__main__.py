"""Runs every benchmark and prints ratios."""

from tests.benchmarks import (
    alerts,
    calls,
    formatter,
    imports,
    incoming,
    logs,
    memory,
    outgoing,
    promql,
    reading,
    scraping,
    streams,
)

for part in (
    calls,
    streams,
    logs,
    formatter,
    reading,
    promql,
    alerts,
    incoming,
    outgoing,
    scraping,
    imports,
    memory,
):
    part.main()
