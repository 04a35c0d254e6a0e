"""The applications that real servers serve in the tests."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from flask import Flask, Response

import geomon
from geomon.asgi import TrackingMiddleware
from geomon.frameworks import instrument_app

app = instrument_app(FastAPI(), user_id=lambda scope: dict(scope["headers"]).get(b"x-user"))
wsgi_app = instrument_app(Flask(__name__))
go = asyncio.Event()


@app.get("/jobs/{number}")
async def work(number: int) -> int:
    return os.getpid()


@app.get("/sync")
def sync() -> dict[str, Any]:
    return {name: str(value) for name, value in geomon.get_context().items()}


@app.post("/upload")
async def upload(request: Request) -> int:
    return len(await request.body())


@app.get("/binding")
async def binding() -> dict[str, Any]:
    geomon.bind(tenant="t-1").__enter__()  # and never left
    return {name: str(value) for name, value in geomon.get_context().items()}


@app.get("/boom")
async def boom() -> None:
    raise ValueError("broken")


@app.get("/events")
async def events() -> StreamingResponse:
    async def parts() -> AsyncIterator[str]:
        yield "data: first\n\n"
        await go.wait()
        yield "data: last\n\n"

    return StreamingResponse(parts(), media_type="text/event-stream")


@app.get("/go")
async def let_go() -> None:
    go.set()


@wsgi_app.get("/hello/<name>")
def hello(name: str) -> str:
    return name


@wsgi_app.get("/endless")
def endless() -> Response:
    def parts() -> Iterator[bytes]:
        while True:
            yield b"x" * 100_000

    return Response(parts())


def broken(environ: Any, start_response: Any) -> Any:
    raise ValueError("broken")


bare_app = instrument_app(broken)


async def broken_asgi(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError("broken")


bare_asgi_app = instrument_app(broken_asgi)


class Outer:
    """The program's own middleware around ours: it binds, and answers what is raised inside."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        with geomon.bind(tenant=dict(scope["headers"]).get(b"x-tenant", b"").decode()):
            try:
                await self.app(scope, receive, send)
            except ValueError as error:
                await PlainTextResponse(str(error), 422)(scope, receive, send)


outer_app = Outer(TrackingMiddleware(FastAPI(routes=app.routes), exclude=["/sync"]))
outer_bare_app = Outer(TrackingMiddleware(broken_asgi))


try:
    from gunicorn.glogging import Logger
except ImportError:
    pass
else:

    class ContextLogger(Logger):
        """gunicorn's, whose access lines are what is bound."""

        def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
            record = {"logger": "access", "status": resp.status, **geomon.get_context()}
            sys.stderr.write(f"{json.dumps(record)}\n")
