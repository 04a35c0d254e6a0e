"""A program with 100,000 series, served by a real uvicorn, and what asks it."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import NamedTuple

import httpx
from fastapi import FastAPI
from prometheus_client import Gauge

from geomon.frameworks import instrument_app
from tests.incoming.test_servers import Running, free_port, serving

SERIES = 100_000
PATIENCE = 60  # seconds until an answer counts as missing
PROGRAM = """
import sys, uvicorn
from tests.web import crowded
crowded.fill()
uvicorn.run(crowded.app, port=int(sys.argv[1]), log_level="warning", access_log=False)
"""
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
GZIP = {"Accept-Encoding": "gzip"}
ASKED: dict[str, dict[str, str]] = {
    "text": {},
    "text, gzip": GZIP,
    "OpenMetrics": OPENMETRICS,
    "OpenMetrics, gzip": {**OPENMETRICS, **GZIP},
}
"""The headers of a scrape, by what it asks for."""

app = instrument_app(FastAPI(), metrics="/metrics")


@app.get("/jobs/{number}")
async def work(number: int) -> int:
    return number


def fill() -> None:
    """Gives the default registry its series."""
    gauge = Gauge("crowd", "Of a program with many label values.", ["number", "shard"])
    for number in range(SERIES):
        gauge.labels(f"n-{number}", f"s-{number % 16}").set(number)


def lines() -> set[str]:
    """The series, as they stand in `/metrics`."""
    return {f'crowd{{number="n-{n}",shard="s-{n % 16}"}} {float(n)}' for n in range(SERIES)}


@contextmanager
def crowd(directory: Path) -> Iterator[Running]:
    """The program, running."""
    port = free_port()
    with serving(["-c", PROGRAM, str(port)], port, directory / "log") as running:
        yield running


class Scraped(NamedTuple):
    """An answer of `/metrics`."""

    asked: Mapping[str, str]
    status: int
    headers: Message
    body: bytes


@contextmanager
def scraping(url: str, *asked: Mapping[str, str]) -> Iterator[list[Scraped]]:
    """Fetches `/metrics` meanwhile, each answer after the other, with these headers in turn.

    At the end each of them was asked with once.
    """
    answers: list[Scraped] = []
    over = threading.Event()

    def fetch() -> None:
        for headers in itertools.cycle(asked):
            if over.is_set() and len(answers) >= len(asked):
                return
            request = urllib.request.Request(f"{url}/metrics", headers=dict(headers))
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                answers.append(Scraped(headers, answer.status, answer.headers, answer.read()))

    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(fetch)
        try:
            yield answers
        finally:
            over.set()
            fetching.result()


class Worked(NamedTuple):
    """An answer of `/jobs`."""

    status: int
    text: str
    seconds: float
    """Since it was due, so that one that had to wait for its turn is not flattered."""


async def pace(url: str, requests: int, interval: float) -> list[Worked]:
    """Asks for `/jobs/0`, `/jobs/1`, ... at a steady pace, whatever becomes of those before.

    One more is asked for at first, which is not among the answers.
    """
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:

        async def ask(number: int) -> Worked:
            due = begin + number * interval
            await asyncio.sleep(due - time.perf_counter())
            answer = await client.get(f"/jobs/{number}")
            return Worked(answer.status_code, answer.text, time.perf_counter() - due)

        await client.get("/jobs/0")  # what the first one imports is no latency
        with _undisturbed():
            begin = time.perf_counter()
            return await asyncio.gather(*map(ask, range(requests)))


@contextmanager
def _undisturbed() -> Iterator[None]:
    """No garbage collection of this process's own, which would stop it for 100 ms."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def quantile(answers: list[Worked], q: float) -> float:
    """A quantile of the latencies, in milliseconds; 1: the longest."""
    latencies = sorted(answer.seconds for answer in answers)
    return latencies[min(len(latencies) - 1, int(q * len(latencies)))] * 1e3
