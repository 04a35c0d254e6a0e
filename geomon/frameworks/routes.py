"""The endpoints of FastAPI's router; imports FastAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from geomon.web import health
from geomon.web.metrics import payload


def router(metrics: str | None, report: str | None, options: dict[str, Any]) -> APIRouter:
    """The router; None: without the metrics, or without the health report."""
    made = APIRouter(**{"include_in_schema": False, **options})
    endpoints: dict[str, Any] = {}
    if metrics is not None:
        endpoints[metrics.rstrip("/")] = _metrics
    if report is not None:
        for below in ("", "/live", "/ready"):
            endpoints[report.rstrip("/") + below] = _report(below)
    for path, endpoint in endpoints.items():
        made.add_api_route(path, endpoint, methods=["GET"])
        made.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)
    return made


def _metrics(request: Request) -> Response:  # no coroutine: FastAPI calls it in a thread
    asked = (request.headers.get(name, "") for name in ("accept", "accept-encoding"))
    headers, body = payload(None, *asked)
    return Response(body, headers=dict(headers))


def _report(below: str) -> Callable[[Request], Awaitable[Response]]:
    async def report(request: Request) -> Response:
        found = await health.answer_async(below, request.scope)
        return Response(health.body(found), found.status_code, dict(health.HEADERS))

    return report
