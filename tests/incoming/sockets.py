"""WebSockets, streams of events and lifespans, as FastAPI and Starlette serve them."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

import geomon
from geomon.asgi import TrackingMiddleware
from geomon.web import metrics_app

log = logging.getLogger("site")
outer = logging.getLogger("outside")
left: dict[str, Any] = {}
made: dict[str, list[str]] = defaultdict(list)
go: dict[str, asyncio.Event] = defaultdict(asyncio.Event)


# --- sockets


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    while (message := await socket.receive())["type"] == "websocket.receive":
        await socket.send({**message, "type": "websocket.send"})
    left[socket.path_params["room"]] = message["code"], message.get("reason")


async def told(socket: WebSocket) -> None:
    await socket.accept()
    async for word in socket.iter_text():
        log.info(word)
        await socket.send_json({name: str(value) for name, value in geomon.get_context().items()})


async def chosen(socket: WebSocket) -> None:
    await socket.accept(subprotocol="second", headers=[(b"x-own", b"yes")])
    await socket.close(4001, "full")


async def refused(socket: WebSocket) -> None:
    await socket.close(4003)


async def denied(socket: WebSocket) -> None:
    await socket.send_denial_response(PlainTextResponse("who?", 401, {"x-own": "yes"}))


async def boom(socket: WebSocket) -> None:
    if socket.path_params["when"] == "late":
        await socket.accept()
    raise ValueError("broken")


SOCKETS = {
    "/echo/{room}": echo,
    "/told": told,
    "/chosen": chosen,
    "/refused": refused,
    "/denied": denied,
    "/boom/{when}": boom,
}


# --- requests


async def context(request: Request) -> Response:
    return JSONResponse({name: str(value) for name, value in geomon.get_context().items()})


async def state(request: Request) -> Response:
    return JSONResponse({"left": left, "made": made, "pool": request.state.pool})


async def let_go(request: Request) -> Response:
    go[request.path_params["key"]].set()
    return JSONResponse(None)


async def words(key: str) -> AsyncIterator[str]:
    """Two words, of which the second is made when it is let go."""
    made[key].append("first")
    yield "first"
    await go[key].wait()
    made[key].append("last")
    yield "last"


async def events(request: Request) -> Response:
    parts = (f"data: {word}\n\n" async for word in words(request.path_params["key"]))
    return StreamingResponse(parts, media_type="text/event-stream")


REQUESTS = {"/context": context, "/state": state, "/go/{key}": let_go}


# --- applications


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[dict[str, str]]:
    log.info("started")
    yield {"pool": "open"}
    log.info("stopped")


@asynccontextmanager
async def failing_lifespan(app: Any) -> AsyncIterator[None]:
    raise RuntimeError("no database")
    yield


def fastapi(lifespan: Any = lifespan) -> Any:
    made_app = FastAPI(lifespan=lifespan)
    for path, endpoint in SOCKETS.items():
        made_app.websocket(path)(endpoint)
    for path, answer in REQUESTS.items():
        made_app.get(path)(answer)

    @made_app.get("/events/{key}", response_class=EventSourceResponse)
    async def fastapis_events(key: str) -> AsyncIterator[ServerSentEvent]:
        async for word in words(key):
            yield ServerSentEvent(raw_data=word)

    return geomon.instrument(made_app, metrics="/metrics", health="/health", user_id=user)


def starlette(lifespan: Any = lifespan) -> Any:
    sockets = [WebSocketRoute(path, endpoint) for path, endpoint in SOCKETS.items()]
    requests = [Route(path, answer) for path, answer in REQUESTS.items()]
    more = [Route("/events/{key}", events), Mount("/metrics", metrics_app())]
    made_app = Starlette(routes=[*sockets, *requests, *more], lifespan=lifespan)
    return TrackingMiddleware(made_app, exclude=["/metrics/?"], user_id=user)


def user(scope: Any) -> str | None:
    found = dict(scope["headers"]).get(b"x-user")
    return None if found is None else found.decode()


async def without_lifespan(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await PlainTextResponse("served")(scope, receive, send)


async def blocked_lifespan(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


def outside(app: Any) -> Any:
    """Says when what geomon has wrapped is over."""

    async def served(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        finally:
            if scope["type"] != "lifespan":
                outer.info("after %s", scope["path"])

    return served


fastapi_app = outside(fastapi())
starlette_app = outside(starlette())
failing_fastapi_app = fastapi(failing_lifespan)
failing_starlette_app = starlette(failing_lifespan)
failed_app = TrackingMiddleware(blocked_lifespan)
bare_app = geomon.instrument(without_lifespan)
