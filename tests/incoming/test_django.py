from __future__ import annotations

import gc
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings

import geomon
from geomon import Call
from geomon.frameworks import instrument_app
from tests.incoming import django_site
from tests.incoming.raw import Server, environ_of, run, scope


def shown(calls: list[Call]) -> list[tuple[Any, ...]]:
    return [(call.method, call.endpoint, call.status) for call in calls]


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.exc_info]


DJANGO = [
    ("/api/acme/items/7/", 200, "/api/<slug:tenant>/items/<int:pk>/"),
    ("/api/acme/items/7", 301, "/api/<slug:tenant>/items/<int:pk>/"),
    ("/api/acme/old/7/", 200, r"/api/<slug:tenant>/old/(?P<pk>\d+)/$"),
    ("/async/7/", 200, "/async/<int:pk>/"),
    ("/boom/", 500, "/boom/"),
    ("/stream/", 200, "/stream/"),
    ("/none/", 404, "unmatched"),
]


def ask_wsgi(app: Any, path: str) -> Server:
    server = Server(app)
    server.ask(environ_of(path, HTTP_X_REQUEST_ID="r-1"))
    return server


def ask_asgi(app: Any, path: str) -> list[Any]:
    return run(app, scope(path, headers=[(b"x-request-id", b"r-1")]))


@pytest.mark.parametrize("entry", [False, True])
@pytest.mark.parametrize(("path", "status", "endpoint"), DJANGO)
def test_django_wsgi(entry: bool, path: str, status: int, endpoint: str, calls: list[Call]) -> None:
    with override_settings(MIDDLEWARE=middlewares(entry)):
        server = ask_wsgi(instrument_app(WSGIHandler()), path)
    assert server.status.startswith(str(status))
    assert dict(server.headers)["X-Request-ID"] == "r-1"
    assert shown(calls) == [("GET", endpoint, status)]
    if status == 200:
        assert b"".join(server.written).decode() in ("r-1", "r-1" * 3)


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
@pytest.mark.parametrize("entry", [False, True])
@pytest.mark.parametrize(("path", "status", "endpoint"), DJANGO)
def test_django_asgi(entry: bool, path: str, status: int, endpoint: str, calls: list[Call]) -> None:
    with override_settings(MIDDLEWARE=middlewares(entry)):
        sent = ask_asgi(instrument_app(ASGIHandler()), path)
    assert sent[0]["status"] == status
    assert shown(calls) == [("GET", endpoint, status)]


@pytest.mark.parametrize(("path", "status", "endpoint"), DJANGO)
def test_djangos_entry_alone(path: str, status: int, endpoint: str, calls: list[Call]) -> None:
    with override_settings(MIDDLEWARE=middlewares(True)):
        server = ask_wsgi(WSGIHandler(), path)
    assert dict(server.headers)["X-Request-ID"] == "r-1"
    assert shown(calls) == [("GET", endpoint, status)]
    assert geomon.get_context() == {}


def test_djangos_entry_alone_is_asynchronous_too(calls: list[Call]) -> None:
    with override_settings(MIDDLEWARE=middlewares(True)):
        for path in ("/async/7/", "/stream-async/", "/boom/"):
            ask_asgi(ASGIHandler(), path)
    assert shown(calls) == [
        ("GET", "/async/<int:pk>/", 200),
        ("GET", "/stream-async/", 200),
        ("GET", "/boom/", 500),
    ]
    assert [type(call.error) for call in calls] == [type(None), type(None), ValueError]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Django's body
def test_djangos_entry_alone_counts_a_stream_that_breaks_off(calls: list[Call]) -> None:
    with override_settings(MIDDLEWARE=middlewares(True)):
        for ask, handler, path in (
            (ask_wsgi, WSGIHandler, "/broken/"),
            (ask_asgi, ASGIHandler, "/broken-async/"),
        ):
            with pytest.raises(ValueError, match="broken"):
                ask(handler(), path)
    assert shown(calls) == [("GET", "/broken/", 500), ("GET", "/broken-async/", 500)]
    assert [call.outcome for call in calls] == ["error", "error"]
    calls.clear()
    gc.collect()


def test_what_a_middleware_of_djangos_answers_has_its_route(calls: list[Call]) -> None:
    refuse = f"{django_site.__name__}.refuse"
    with override_settings(MIDDLEWARE=[*middlewares(True), refuse]):
        ask_wsgi(WSGIHandler(), "/async/7/")
        ask_wsgi(WSGIHandler(), "/none/")
    assert shown(calls) == [("GET", "/async/<int:pk>/", 401), ("GET", "unmatched", 401)]


def test_django_logs_an_exception_once(calls: list[Call], caplog: pytest.LogCaptureFixture) -> None:
    ask_wsgi(instrument_app(WSGIHandler()), "/boom/")
    assert logged(caplog) == ["Internal Server Error: /boom/"]


def test_djangos_entry_reads_its_options_from_the_settings(calls: list[Call]) -> None:
    with override_settings(MIDDLEWARE=middlewares(True)):
        Server(WSGIHandler()).ask(environ_of("/async/7/", HTTP_X_USER="u-7"))
    assert [call.context["user_id"] for call in calls] == ["u-7"]


def middlewares(entry: bool) -> list[str]:
    from django.conf import settings

    return [*([django_site.ENTRY] if entry else []), *settings.MIDDLEWARE]
