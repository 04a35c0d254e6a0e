"""`/health`, `/health/live` and `/health/ready`, by the path below where the app stands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from geomon.health import (
    Answer,
    health_answer,
    health_answer_async,
    live_answer,
    live_answer_async,
    ready_answer,
    ready_answer_async,
)

HEADERS = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
"""Those of every answer."""

_SYNC: dict[str, Callable[[Any], Answer]] = {
    "": health_answer,
    "/live": lambda caller: live_answer(),
    "/ready": ready_answer,
}
_ASYNC: dict[str, Callable[[Any], Awaitable[Answer]]] = {
    "": health_answer_async,
    "/live": lambda caller: live_answer_async(),
    "/ready": ready_answer_async,
}
_MISSING = Answer(404, {"status": "not found"})


def answer(path: str, caller: Any) -> Answer:
    """The answer at a path: empty, `/live` or `/ready`.

    Args:
        path: What follows the app's own path.
        caller: The request, for who decides whether details are shown.
    """
    ask = _SYNC.get(path.rstrip("/"))
    return _MISSING if ask is None else ask(caller)


async def answer_async(path: str, caller: Any) -> Answer:
    """The same, without holding the loop up."""
    ask = _ASYNC.get(path.rstrip("/"))
    return _MISSING if ask is None else await ask(caller)


def body(found: Answer) -> bytes:
    """The answer as JSON."""
    return orjson.dumps(found.body, option=orjson.OPT_NON_STR_KEYS, default=str)
