from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.core.handlers.wsgi import WSGIHandler
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import StreamingResponse
from flask import Blueprint, Flask, Response
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import geomon
from geomon import Call
from geomon.asgi import TrackingMiddleware
from geomon.frameworks import instrument_app
from geomon.wsgi import TrackingMiddleware as WSGIMiddleware
from tests.incoming.raw import END, START, Server, environ_of, run, sending

ID = {"X-Request-ID": "r-1"}


def shown(calls: list[Call]) -> list[tuple[Any, ...]]:
    return [(call.method, call.endpoint, call.status) for call in calls]


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.exc_info]


# --- FastAPI and Starlette


def bound() -> str:
    return str(geomon.get_context().get("request_id"))


def fastapi() -> FastAPI:
    app = FastAPI()
    app.state.seen = []

    @app.get("/async")
    async def asynchronous(background: BackgroundTasks) -> str:
        background.add_task(lambda: app.state.seen.append(bound()))
        return bound()

    @app.get("/sync")
    def synchronous() -> str:
        return bound()

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        def parts() -> Iterator[str]:
            for _ in range(3):
                yield bound()

        return StreamingResponse(parts())

    @app.get("/boom")
    def boom() -> None:
        raise ValueError("broken")

    return app


@pytest.fixture
def client() -> TestClient:
    app = fastapi()
    assert instrument_app(instrument_app(app)) is app
    return TestClient(app, raise_server_exceptions=False)


def test_the_context_reaches_endpoints_of_every_kind(client: TestClient, calls: list[Call]) -> None:
    for path in ("/async", "/sync"):
        assert client.get(path, headers=ID).json() == "r-1"
    assert client.get("/stream", headers=ID).text == "r-1" * 3
    assert client.app.state.seen == ["r-1"]  # type: ignore[attr-defined]
    assert shown(calls) == [("GET", path, 200) for path in ("/async", "/sync", "/stream")]


def test_it_does_not_reach_the_next_request(client: TestClient, calls: list[Call]) -> None:
    first, second = (client.get("/sync") for _ in range(2))
    assert first.json() == first.headers["x-request-id"]
    assert first.json() != second.json()


def test_an_exception_counts_once_is_logged_once_and_starlette_answers(
    client: TestClient, calls: list[Call], caplog: pytest.LogCaptureFixture
) -> None:
    response = client.get("/boom", headers=ID)
    assert (response.text, response.headers["x-request-id"]) == ("Internal Server Error", "r-1")
    assert shown(calls) == [("GET", "/boom", 500)]
    assert [type(call.error) for call in calls] == [ValueError]
    assert logged(caplog) == ["unhandled exception in GET /boom"]


def test_a_test_client_still_raises_it(calls: list[Call]) -> None:
    with pytest.raises(ValueError, match="broken"):
        TestClient(instrument_app(fastapi())).get("/boom")
    transport = httpx.ASGITransport(instrument_app(fastapi()))

    async def ask() -> None:
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            await client.get("/boom")

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(ask())


@pytest.mark.parametrize(
    "add", [instrument_app, lambda app: app.add_middleware(TrackingMiddleware)]
)
def test_the_applications_own_500_stays(add: Any, calls: list[Call]) -> None:
    app = fastapi()

    @app.exception_handler(Exception)
    async def handle(request: Any, error: Exception) -> JSONResponse:
        return JSONResponse({"mine": True}, 500)

    add(app)
    response = TestClient(app, raise_server_exceptions=False).get("/boom")
    assert response.json() == {"mine": True}
    assert shown(calls) == [("GET", "/boom", 500)]


def test_as_one_of_starlettes_middlewares_the_500_is_starlettes(calls: list[Call]) -> None:
    app = fastapi()
    app.add_middleware(TrackingMiddleware)
    response = TestClient(app, raise_server_exceptions=False).get("/boom", headers=ID)
    assert (response.text, response.headers.get("x-request-id")) == ("Internal Server Error", None)
    assert shown(calls) == [("GET", "/boom", 500)]


def test_an_application_that_serves_already_is_instrumented(calls: list[Call]) -> None:
    app = Starlette(routes=[Route("/x", lambda request: PlainTextResponse("x"))])
    client = TestClient(app)
    client.get("/x")
    instrument_app(app)
    client.get("/x")
    assert shown(calls) == [("GET", "/x", 200)]


# --- Flask


def flask() -> Flask:
    app, api = Flask(__name__), Blueprint("api", __name__, url_prefix="/api")

    @api.get("/items/<int:id>")
    def item(id: int) -> str:
        return bound()

    @app.get("/slash/")
    def slash() -> str:
        return "slash"

    @app.get("/boom")
    def boom() -> str:
        raise ValueError("broken")

    @app.get("/stream")
    def stream() -> Response:
        return Response(bound() for _ in range(3))

    app.register_blueprint(api)
    return app


@pytest.mark.parametrize(
    ("request_line", "status", "endpoint"),
    [
        ("GET /api/items/7", 200, "/api/items/<int:id>"),
        ("POST /api/items/7", 405, "/api/items/<int:id>"),
        ("GET /api/items/x", 404, "unmatched"),
        ("GET /slash/", 200, "/slash/"),
        ("GET /slash", 308, "/slash/"),
        ("GET /stream", 200, "/stream"),
        ("GET /static/none.txt", 404, "/static/<path:filename>"),
        ("<script> /boom", 405, "/boom"),
    ],
)
@pytest.mark.parametrize("wrap", [instrument_app, WSGIMiddleware])
def test_flask(wrap: Any, calls: list[Call], request_line: str, status: int, endpoint: str) -> None:
    method, path = request_line.split(" ")
    server = Server(wrap(flask()))
    server.ask(environ_of(path, method))
    assert server.status.split()[0] == str(status)
    assert [(call.endpoint, call.status) for call in calls] == [(endpoint, status)]


def test_flask_has_the_context_and_stays_the_same_object(calls: list[Call]) -> None:
    app = flask()
    assert instrument_app(instrument_app(app)) is app
    client = app.test_client()
    for path, text in (("/api/items/7", "r-1"), ("/stream", "r-1" * 3)):
        with client.get(path, headers=ID) as response:
            assert (response.text, response.headers["X-Request-ID"]) == (text, "r-1")
    assert geomon.get_context() == {}
    assert len(calls) == 2


def test_flask_logs_an_exception_itself_and_raises_it_where_told_to(
    calls: list[Call], caplog: pytest.LogCaptureFixture
) -> None:
    app = instrument_app(flask())
    with app.test_client().get("/boom", headers=ID) as response:
        assert (response.status_code, response.headers["X-Request-ID"]) == (500, "r-1")
    assert logged(caplog) == ["Exception on /boom [GET]"]
    app.testing = True
    with pytest.raises(ValueError, match="broken"):
        app.test_client().get("/boom")
    assert shown(calls) == [("GET", "/boom", 500)] * 2


def test_a_mounted_flask_application_has_its_mount(calls: list[Call]) -> None:
    app = instrument_app(DispatcherMiddleware(flask(), {"/mounted": flask()}))
    Server(app).ask(environ_of("/mounted/api/items/7"))
    Server(app).ask(environ_of("/api/items/7"))
    assert [call.endpoint for call in calls] == [
        "/mounted/api/items/<int:id>",
        "/api/items/<int:id>",
    ]


# --- anything else


def hello(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    return [b"hello"]


def test_any_asgi_or_wsgi_callable_is_wrapped(calls: list[Call]) -> None:
    run(instrument_app(sending(START, END)))
    Server(instrument_app(hello)).ask()
    assert [call.status for call in calls] == [200, 200]


@pytest.mark.parametrize("app", [7, "app", Flask, lambda: None, lambda one: None])
def test_what_is_no_application_is_an_error(app: Any) -> None:
    with pytest.raises(TypeError, match="application"):
        instrument_app(app)


@pytest.mark.parametrize("make", [fastapi, flask, WSGIHandler, lambda: hello])
def test_an_unknown_option_is_an_error(make: Any) -> None:
    with pytest.raises(TypeError, match="exlude"):
        instrument_app(make(), exlude=["/health"])


@pytest.mark.parametrize("path", ["metrics", "", "/", 7])
def test_a_path_that_cannot_be_is_an_error(path: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r'write (a path, )?metrics="/metrics"'):
        instrument_app(fastapi(), metrics=path)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for `geomon.web`: each application says who it is, and where it stands."""

    def asgi(name: str) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            text = f"{name} {scope['path'].removeprefix(scope['root_path'])}"
            await PlainTextResponse(text)(scope, receive, send)

        return lambda: app

    def wsgi(name: str) -> Any:
        def app(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [])
            return [f"{name} {environ['PATH_INFO']}".encode()]

        return lambda: app

    module: Any = types.ModuleType("geomon.web")
    for name in ("metrics", "health"):
        setattr(module, f"{name}_app", asgi(name))
        setattr(module, f"{name}_wsgi", wsgi(name))
    monkeypatch.setitem(sys.modules, "geomon.web", module)
    monkeypatch.setattr(geomon, "web", module, raising=False)


ADDED = [("/metrics", "metrics "), ("/h", "health "), ("/h/ready", "health /ready")]


@pytest.mark.parametrize(("path", "text"), ADDED)
def test_paths_are_added_where_asked_and_not_counted(
    web: None, path: str, text: str, calls: list[Call]
) -> None:
    asked = {"metrics": "/metrics", "health": "/h/"}
    app = instrument_app(fastapi(), **asked)
    assert TestClient(app).get(path).text == text
    assert TestClient(app, root_path="/proxy").get(f"/proxy{path}").text == text
    assert TestClient(app).get("/hello").status_code == 404
    for make in (flask, WSGIHandler, lambda: hello):
        assert Server(instrument_app(make(), **asked)).ask(environ_of(path)) == text.encode()
    assert shown(calls) == [("GET", "unmatched", 404)]


def test_nothing_is_added_unasked(calls: list[Call]) -> None:
    client = TestClient(instrument_app(fastapi()))
    assert [client.get(path).status_code for path in ("/metrics", "/health")] == [404, 404]


def test_nothing_of_geomon_imports_a_framework() -> None:
    import subprocess

    program = (
        "import sys, geomon.asgi, geomon.wsgi, geomon.frameworks\n"
        "print([m for m in ('fastapi', 'starlette', 'flask', 'django') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert out.stdout == "[]\n"
