from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

from geomon import Call
from geomon.asgi import TrackingMiddleware
from geomon.testing import MovableClock, contained_failures


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


class Refuse:
    """A middleware that answers before any route."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("no", 401)(scope, receive, send)


class Copy:
    """A middleware that hands on a copy of the scope."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(dict(scope), receive, send)


class Hide:
    """A middleware that does not show what is behind it."""

    def __init__(self, app: Any) -> None:
        self._inner = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._inner(scope, receive, send)


def fastapi(files: Path) -> FastAPI:
    app = FastAPI()
    users, posts = APIRouter(prefix="/users/{user}"), APIRouter(prefix="/posts")

    @posts.get("/{post}")
    def post(user: str, post: int) -> str:
        return "post"

    users.include_router(posts)
    app.include_router(users, prefix="/api")
    app.include_router(users, prefix="/api2")

    @app.get("/a/{x}")
    @app.get("/b/{x}")
    async def both(x: str) -> str:
        return x

    @app.get("/files/{path:path}")
    async def file(path: str) -> str:
        return path

    sub = FastAPI()

    @sub.get("/items/{id}")
    def item(id: int) -> int:
        return id

    sub.include_router(users, prefix="/in")
    app.mount("/t/{tenant}", sub)
    app.mount("/twice", sub)
    deep = Mount("/deep/{b}", routes=[Route("/x/{c:path}", answer)])
    app.mount("/star/{q}", Starlette(routes=[Route("/in/{a:int}", answer), deep]))
    app.mount("/static", StaticFiles(directory=files))
    app.frontend("/front", directory=files)
    return app


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    files = tmp_path_factory.mktemp("static")
    (files / "a.txt").write_text("a")
    app = TrackingMiddleware(fastapi(files))
    return TestClient(app, raise_server_exceptions=False, follow_redirects=False)


@pytest.mark.parametrize(
    ("request_line", "status", "endpoint"),
    [
        ("GET /api/users/7/posts/3", 200, "/api/users/{user}/posts/{post}"),
        ("GET /api2/users/7/posts/3", 200, "/api2/users/{user}/posts/{post}"),
        ("GET /api/users/7/posts/x", 422, "/api/users/{user}/posts/{post}"),
        ("POST /api/users/7/posts/3", 405, "/api/users/{user}/posts/{post}"),
        ("GET /a/1", 200, "/a/{x}"),
        ("GET /b/1", 200, "/b/{x}"),
        ("GET /a/1/", 307, "/a/{x}"),
        ("GET /a/1%0A2", 200, "/a/{x}"),
        ("GET /files/a/b/c", 200, "/files/{path}"),
        ("GET /t/acme/items/3", 200, "/t/{tenant}/items/{id}"),
        ("GET /twice/items/3", 200, "/twice/items/{id}"),
        ("POST /t/acme/items/3", 405, "/t/{tenant}/items/{id}"),
        ("GET /t/acme/items/3/", 307, "/t/{tenant}/items/{id}"),
        ("GET /t/acme/in/users/7/posts/3", 200, "/t/{tenant}/in/users/{user}/posts/{post}"),
        ("GET /t/acme/docs", 200, "/t/{tenant}/docs"),
        ("GET /star/z/in/4", 200, "/star/{q}/in/{a}"),
        ("POST /star/z/in/4", 405, "/star/{q}/in/{a}"),
        ("GET /star/z/deep/y/x/h/j", 200, "/star/{q}/deep/{b}/x/{c}"),
        ("GET /static/a.txt", 200, "/static"),
        ("GET /static/none.txt", 404, "/static"),
        ("GET /front/a.txt", 200, "/front"),
        ("GET /front/none/x.txt", 404, "/front"),
        ("GET /openapi.json", 200, "/openapi.json"),
        ("GET /none", 404, "unmatched"),
        ("GET /%0Anone", 404, "unmatched"),
        ("GET /t/acme/none", 404, "unmatched"),
        ("GET /star/z/none", 404, "unmatched"),
        ("<script> /a/1", 405, "/a/{x}"),
    ],
)
def test_fastapi(
    client: TestClient, calls: list[Call], request_line: str, status: int, endpoint: str
) -> None:
    method, path = request_line.split(" ")
    response = client.request(method, path)
    assert response.status_code == status
    assert [(call.endpoint, call.status) for call in calls] == [(endpoint, status)]


def starlette(*routes: Any, **more: Any) -> TestClient:
    app = TrackingMiddleware(Starlette(routes=list(routes), **more))
    return TestClient(app, follow_redirects=False)


@pytest.mark.parametrize(
    ("request_line", "endpoint"),
    [
        ("GET /r/1", "/r/{a}"),
        ("GET /r/1/", "/r/{a}"),
        ("GET /m/1/x/2", "/m/{m}/x/{a}"),
        ("GET /m/1/x/2/", "/m/{m}/x/{a}"),
        ("POST /m/1/x/2", "/m/{m}/x/{a}"),
        ("GET /m/1/none", "unmatched"),
        ("GET /plain/x", "/plain"),
        ("GET /hidden/1/x/2", "/hidden/{h}/x/{a}"),
    ],
)
def test_starlette(calls: list[Call], request_line: str, endpoint: str) -> None:
    method, path = request_line.split(" ")
    client = starlette(
        Route("/r/{a}", answer),
        Mount("/m/{m}", routes=[Route("/x/{a}", answer)], middleware=[Middleware(Copy)]),
        Mount("/plain", app=PlainTextResponse("a leaf")),
        Mount("/hidden/{h}", app=Hide(Router([Route("/x/{a}", answer)]))),
    )
    client.request(method, path)
    assert [call.endpoint for call in calls] == [endpoint]


def test_a_host_is_no_part_of_the_template(calls: list[Call]) -> None:
    client = starlette(Host("{sub}.example.org", app=Router([Route("/x/{a}", answer)])))
    client.get("/x/1", headers={"host": "a.example.org"})
    client.get("/none", headers={"host": "a.example.org"})
    assert [call.endpoint for call in calls] == ["/x/{a}", "unmatched"]


@pytest.mark.parametrize("middleware", [Refuse, Copy])
def test_what_a_middleware_answers_or_hides_has_its_template(
    middleware: Any, calls: list[Call]
) -> None:
    client = starlette(Route("/x/{a}", answer), middleware=[Middleware(middleware)])
    client.get("/x/1")
    client.get("/none")
    assert [call.endpoint for call in calls] == ["/x/{a}", "unmatched"]


async def missing(request: Request) -> PlainTextResponse:
    return PlainTextResponse("no such thing", 404)


def test_an_endpoints_own_404_has_its_template_behind_a_copied_scope(calls: list[Call]) -> None:
    mount = Mount("/m/{m}", routes=[Route("/x/{a}", missing)], middleware=[Middleware(Copy)])
    client = starlette(Route("/x/{a}", missing), mount, middleware=[Middleware(Copy)])
    for path in ("/x/1", "/m/1/x/2", "/m/1/none", "/none"):
        client.get(path)
    assert [call.endpoint for call in calls] == ["/x/{a}", "/m/{m}/x/{a}", "unmatched", "unmatched"]


def test_a_root_path_is_whole_segments(calls: list[Call]) -> None:
    app = TrackingMiddleware(Starlette(routes=[Route("/apiary/{x}", answer)]))
    client = TestClient(app, root_path="/api", follow_redirects=False)
    for path in ("/apiary/1", "/apiary/1/", "/api/apiary/1/"):
        client.get(path)
    assert [call.endpoint for call in calls] == ["/apiary/{x}"] * 3


def test_the_servers_root_path_is_no_part_of_the_template(calls: list[Call]) -> None:
    app = FastAPI()
    app.mount("/m/{m}", Starlette(routes=[Route("/x/{a}", answer)]))
    client = TestClient(TrackingMiddleware(app), root_path="/proxy")
    client.get("/proxy/m/1/x/2")
    assert [call.endpoint for call in calls] == ["/m/{m}/x/{a}"]


def test_routes_that_come_later_are_found(calls: list[Call], clock: MovableClock) -> None:
    inner = Starlette(routes=[Route("/first", answer)])
    app = Starlette(routes=[Mount("/m", inner)])
    client = TestClient(TrackingMiddleware(app))
    client.get("/m/first")
    inner.router.routes.append(Route("/later/{a}", answer_later))
    app.router.routes.append(Route("/top/{a}", answer_later))
    clock.move(1)
    client.get("/m/later/1")
    client.get("/top/1")
    assert [call.endpoint for call in calls] == ["/m/first", "/m/later/{a}", "/top/{a}"]


async def answer_later(request: Request) -> PlainTextResponse:
    return PlainTextResponse("later")


def test_a_template_that_raises_costs_nothing_else(calls: list[Call]) -> None:
    class Broken(Route):
        def __init__(self) -> None:
            super().__init__("/x", answer)
            del self.path_format

        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    with contained_failures():
        response = starlette(Broken()).get("/x")
    assert response.text == "hello"
    assert [call.endpoint for call in calls] == ["unknown"]
