"""A program with 100,000 series, served by a real uvicorn, and what asks it."""

from __future__ import annotations

import asyncio
import gzip
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
from fastapi import FastAPI
from prometheus_client import Gauge

from geomon.frameworks import instrument_app
from tests.incoming.test_servers import Running, free_port, serving

SERIES = 100_000
NAME = "crowd"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PROGRAM = """
import sys, uvicorn
from tests.web import crowded
crowded.fill()
uvicorn.run(crowded.app, port=int(sys.argv[1]), log_level="warning", access_log=False)
"""

app = instrument_app(FastAPI(), metrics="/metrics")


@app.get("/work/{number}")
async def work(number: int) -> int:
    return number


def fill() -> None:
    """Gives the default registry its series."""
    gauge = Gauge(NAME, "Of a program with many label values.", ["number", "shard"])
    for number in range(SERIES):
        gauge.labels(f"n-{number}", f"s-{number % 16}").set(number)


@contextmanager
def crowd(directory: Path) -> Iterator[Running]:
    """The program, running."""
    port = free_port()
    with serving(["-c", PROGRAM, str(port)], port, directory / "log") as running:
        yield running


class Answered(NamedTuple):
    """A request of `pace`."""

    status: int
    text: str
    seconds: float
    """From when it was due, so that one that waits for its turn is not flattered."""


async def pace(url: str, requests: int, interval: float) -> list[Answered]:
    """Asks for `/work/0`, `/work/1`, ... at a steady pace, whatever becomes of those before."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        begin = time.perf_counter()

        async def ask(number: int) -> Answered:
            due = begin + number * interval
            await asyncio.sleep(due - time.perf_counter())
            answer = await client.get(f"/work/{number}")
            return Answered(answer.status_code, answer.text, time.perf_counter() - due)

        return await asyncio.gather(*map(ask, range(requests)))
