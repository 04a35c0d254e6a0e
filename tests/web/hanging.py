"""A program whose health checks hang, and which says what they do."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI

import geomon
from geomon.frameworks import instrument_app

TIMEOUT = 3.0  # of each check; the calls that shall wait together are there well before
HANGING = ("sync", "async", "on the server's loop")

app = instrument_app(FastAPI(), health="/health")
asked: Counter[str] = Counter()
begun: Counter[str] = Counter()
under_way: Counter[str] = Counter()
most: Counter[str] = Counter()
_lock = threading.Lock()


@contextmanager
def noted(name: str) -> Iterator[None]:
    with _lock:
        begun[name] += 1
        under_way[name] += 1
        most[name] = max(most[name], under_way[name])
    try:
        yield
    finally:
        with _lock:
            under_way[name] -= 1


def hangs() -> None:
    with noted("sync"):
        threading.Event().wait()


async def hangs_on_its_own_loop() -> None:
    with noted("async"):
        await asyncio.Event().wait()


async def hangs_on_the_servers_loop() -> None:
    with noted("on the server's loop"):
        await asyncio.Event().wait()


def register() -> None:
    """Registers the checks, in the program that is served."""
    check = geomon.health.check
    check("sync", timeout=TIMEOUT)(hangs)
    check("async", timeout=TIMEOUT)(hangs_on_its_own_loop)
    check("on the server's loop", timeout=TIMEOUT, loop="caller")(hangs_on_the_servers_loop)
    check("well")(lambda: True)


@app.get("/state")
async def state() -> dict[str, Any]:
    threads = Counter(thread.name for thread in threading.enumerate())
    return {
        "asked": asked["/health"],
        "begun": begun,
        "under way": under_way,
        "most": most,
        "threads": threads,
    }


async def served(scope: Any, receive: Any, send: Any) -> None:
    asked[scope.get("path")] += 1
    await app(scope, receive, send)
