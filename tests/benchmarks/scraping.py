"""How long a request takes while `/metrics`, of 100,000 series, is scraped again and again.

A real uvicorn; the requests come at a steady pace from another process, and none waits for those
before it. The aim: a p99 below 100 ms.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.web import crowded
from tests.web.crowded import ASKED, Worked

REQUESTS = 300
INTERVAL = 0.01  # seconds between two requests
REPEATS = 3
WITHOUT = "without a scrape"


def worked(url: str, asked: Mapping[str, str] | None) -> tuple[list[Worked], int]:
    """The requests' answers, and how many scrapes came meanwhile."""
    if asked is None:
        return asyncio.run(crowded.pace(url, REQUESTS, INTERVAL)), 0
    with crowded.scraping(url, asked) as scraped:
        answers = asyncio.run(crowded.pace(url, REQUESTS, INTERVAL))
    return answers, len(scraped)


def main() -> None:
    asked: dict[str, Mapping[str, str] | None] = {WITHOUT: None, **ASKED}
    answers: dict[str, list[Worked]] = {name: [] for name in asked}
    scrapes = dict.fromkeys(asked, 0)
    with tempfile.TemporaryDirectory() as directory, crowded.crowd(Path(directory)) as running:
        for _ in range(REPEATS):
            for name, headers in asked.items():
                more, scraped = worked(running.url, headers)
                answers[name] += more
                scrapes[name] += scraped
    print(f"\nA request beside scrapes of {crowded.SERIES:,} series")
    for name, found in answers.items():
        p50, p99, longest = (crowded.quantile(found, q) for q in (0.5, 0.99, 1))
        print(
            f"  {name:<24} p50 {p50:>7.1f} ms   p99 {p99:>7.1f} ms   longest {longest:>7.1f} ms"
            f"   {scrapes[name]:>3} scrapes"
        )


if __name__ == "__main__":
    main()
