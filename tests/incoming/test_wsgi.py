from __future__ import annotations

import io
import logging
from typing import Any
from wsgiref.util import FileWrapper

import pytest

import geomon
from geomon import Call
from geomon.incoming import callers
from geomon.testing import MovableClock, contained_failures
from geomon.wsgi import TrackingMiddleware
from tests.incoming.raw import Server, environ_of

HEADERS = [("Content-Type", "text/plain")]
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def hello(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", HEADERS)
    return [b"hello"]


def shown(calls: list[Call]) -> list[tuple[Any, ...]]:
    return [(call.method, call.endpoint, call.status, call.outcome) for call in calls]


def ask(app: Any, environ: Any = None, **options: Any) -> Server:
    server = Server(TrackingMiddleware(app, **options))
    server.ask(environ)
    return server


def test_a_request_counts_with_its_ids(calls: list[Call]) -> None:
    given = {"HTTP_X_REQUEST_ID": "r-1", "HTTP_TRACEPARENT": f"00-{TRACE}-{SPAN}-01"}
    server = ask(hello, environ_of(**given))
    assert server.headers == [*HEADERS, ("X-Request-ID", "r-1")]
    assert shown(calls) == [("GET", "unmatched", 200, "ok")]
    assert calls[0].context == {"request_id": "r-1", "trace_id": TRACE, "span_id": SPAN}
    assert (geomon.get_context(), geomon.current_call()) == ({}, None)
    assert HEADERS == [("Content-Type", "text/plain")]


@pytest.mark.parametrize("given", ["a b", "x" * 10_000, "\xff", "r-1,r-2", "a\n"])
def test_a_malformed_id_is_replaced(given: str, calls: list[Call]) -> None:
    server = ask(hello, environ_of(HTTP_X_REQUEST_ID=given))
    assert len(dict(server.headers)["X-Request-ID"]) == 32


def test_the_applications_own_header_is_not_doubled(calls: list[Call]) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("x-request-id", "own")])
        return []

    assert ask(app).headers == [("x-request-id", "own")]


def test_a_generator_runs_in_the_context_and_ends_at_its_last_byte(
    calls: list[Call], clock: MovableClock
) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        for _ in range(3):
            clock.move(1)
            yield geomon.get_context()["request_id"].encode()

    server = ask(app, environ_of(HTTP_X_REQUEST_ID="r-1"))
    assert server.written == [b"r-1"] * 3
    assert [call.duration for call in calls] == [3]


def test_the_context_holds_until_the_server_closes_the_response(calls: list[Call]) -> None:
    body = TrackingMiddleware(hello)(environ_of(HTTP_X_REQUEST_ID="r"), lambda *args: None)
    assert [*body] == [b"hello"]
    seen = len(calls), geomon.get_context()
    body.close()
    body.close()
    assert (seen, geomon.get_context(), len(calls)) == ((1, {"request_id": "r"}), {}, 1)


def test_a_response_that_the_server_never_closes_ends_with_the_next_request(
    calls: list[Call],
) -> None:
    app = TrackingMiddleware(hello, user_id=lambda environ: environ.get("user"))
    app(environ_of(user="u-1"), lambda *args: None)
    server = Server(app)
    server.ask()
    assert len(calls) == 2
    assert ["user_id" in call.context for call in calls] == [True, False]
    assert geomon.get_context() == {}


def test_what_an_application_binds_and_never_leaves_ends_with_its_request(
    calls: list[Call],
) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        if "user" in environ:
            geomon.bind(user_id=environ["user"]).__enter__()
        start_response("200 OK", [])
        return [geomon.get_context().get("user_id", "none").encode()]

    tracked = TrackingMiddleware(app)
    with geomon.bind(service="s"):
        bodies = [Server(tracked).ask(environ_of(**user)) for user in ({"user": "u-1"}, {})]
        assert geomon.get_context() == {"service": "s"}
    assert (bodies, geomon.get_context()) == ([b"u-1", b"none"], {})


def test_an_application_may_ask_another_one_meanwhile(calls: list[Call]) -> None:
    tracked = TrackingMiddleware(hello)

    def app(environ: Any, start_response: Any) -> Any:
        Server(tracked).ask(environ_of(HTTP_X_REQUEST_ID="inner"))
        start_response("200 OK", [])
        yield geomon.get_context()["request_id"].encode()
        Server(tracked).ask(environ_of(HTTP_X_REQUEST_ID="inner"))
        yield geomon.get_context()["request_id"].encode()

    server = ask(app, environ_of(HTTP_X_REQUEST_ID="outer"))
    assert [call.context["request_id"] for call in calls] == ["inner", "inner", "outer"]
    assert [call.status for call in calls] == [200, 200, 200]
    assert (server.written, geomon.get_context()) == ([b"outer", b"outer"], {})


def test_the_bodys_close_is_called_once(calls: list[Call]) -> None:
    class Body(list[bytes]):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    body = Body([b"x"])

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return body

    ask(app)
    assert body.closed == 1


def test_a_body_of_known_length_stays_one(calls: list[Call]) -> None:
    body = TrackingMiddleware(hello)(environ_of(), lambda *args: None)
    assert len(body) == 1
    body.close()


def test_a_client_that_leaves_is_499(calls: list[Call]) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        yield b"one"
        yield b"two"

    Server(TrackingMiddleware(app)).ask(most=1)
    assert shown(calls) == [("GET", "unmatched", 499, "cancelled")]


@pytest.mark.parametrize(
    ("method", "status", "headers"),
    [
        ("HEAD", "200 OK", []),
        ("GET", "304 Not Modified", []),
        ("GET", "200 OK", [("Content-Length", "3")]),
    ],
)
def test_a_body_that_has_no_more_to_say_is_whole(
    method: str, status: str, headers: Any, calls: list[Call]
) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, headers)
        yield b"one"
        yield b""

    Server(TrackingMiddleware(app)).ask(environ_of(method=method), most=1)
    assert [call.outcome for call in calls] == ["ok"]


def test_what_is_written_by_hand_counts(calls: list[Call]) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [])
        write(b"by hand ")
        return [b"and not"]

    server = ask(app, environ_of(CONTENT_LENGTH="12"), sizes=True)
    assert b"".join(server.written) == b"by hand and not"
    assert [(call.request_size, call.response_size) for call in calls] == [(12, 15)]


@pytest.mark.parametrize("length", ["9" * 400, "-1", "x", "", "\u0661", "1e9"])
def test_an_absurd_content_length_is_no_size(length: str, calls: list[Call]) -> None:
    ask(hello, environ_of(CONTENT_LENGTH=length), sizes=True)
    assert [call.request_size for call in calls] == [0]


def test_a_second_start_with_exc_info_is_what_counts(calls: list[Call]) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        try:
            raise ValueError
        except ValueError as error:
            start_response("503 Gone", [], (ValueError, error, None))
        return [b"sorry"]

    server = ask(app)
    assert (server.status, len(server.headers)) == ("503 Gone", 1)
    assert shown(calls) == [("GET", "unmatched", 503, "error")]


def test_a_file_stays_the_servers_own(calls: list[Call]) -> None:
    file = io.BytesIO(b"content")

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](file)

    environ = environ_of(**{"wsgi.file_wrapper": FileWrapper})
    body = TrackingMiddleware(app)(environ, lambda *args: None)
    assert isinstance(body, FileWrapper)
    body.close()
    assert (file.closed, shown(calls)) == (True, [("GET", "unmatched", 200, "ok")])
    assert geomon.get_context() == {}


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.exc_info]


def fails_at_once(environ: Any, start_response: Any) -> Any:
    raise ValueError("broken")


def fails_before_it_starts(environ: Any, start_response: Any) -> Any:
    raise ValueError("broken")
    yield b""


@pytest.mark.parametrize("app", [fails_at_once, fails_before_it_starts])
def test_an_exception_counts_once_is_logged_once_and_answered_to_a_server(
    app: Any,
    calls: list[Call],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(callers, "_SERVERS", ("tests.incoming.raw",))
    server = Server(TrackingMiddleware(app))
    try:
        server.ask(environ_of(HTTP_X_REQUEST_ID="r-1"))
    except ValueError as error:
        logging.getLogger("gunicorn.error").error("Error handling request", exc_info=error)
    assert (server.status, server.written) == (
        "500 Internal Server Error",
        [b"Internal Server Error"],
    )
    assert dict(server.headers)["X-Request-ID"] == "r-1"
    assert shown(calls) == [("GET", "unmatched", 500, "error")]
    assert logged(caplog) == ["unhandled exception in GET unmatched"]
    assert geomon.get_context() == {}


def test_another_middleware_outside_may_answer_an_exception_itself(calls: list[Call]) -> None:
    tracked = TrackingMiddleware(fails_at_once)

    def problem(environ: Any, start_response: Any) -> Any:
        try:
            return tracked(environ, start_response)
        except ValueError:
            start_response("422 Unprocessable Content", [])
            return [b"hello"]

    server = Server(problem)
    server.ask(environ_of())
    assert (server.status, server.written) == ("422 Unprocessable Content", [b"hello"])
    assert shown(calls) == [("GET", "unmatched", 500, "error")]


def test_an_exception_in_the_body_is_an_error(calls: list[Call]) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        yield b"one"
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        ask(app)
    assert shown(calls) == [("GET", "unmatched", 500, "error")]


@pytest.mark.parametrize("body", [None, 7, [None], ["text"]], ids=range(4))
def test_a_wrong_body_reaches_the_server(body: Any, calls: list[Call]) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return body

    given = TrackingMiddleware(app)(environ_of(), lambda *args: None)
    if isinstance(body, list):
        assert [*given] == body
        given.close()
    else:
        assert given is body
    assert len(calls) == 1


@pytest.mark.parametrize(("status", "headers"), [(None, []), ("OK", None), ("200 OK", [1])])
def test_a_malformed_start_reaches_the_server(status: Any, headers: Any, calls: list[Call]) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, headers)
        return []

    server = ask(app)
    assert (server.status, len(calls)) == (status, 1)


def test_an_application_that_never_starts_is_an_error(calls: list[Call]) -> None:
    ask(lambda environ, start_response: [])
    assert shown(calls) == [("GET", "unmatched", 500, "error")]


def test_paths_can_be_left_out_and_nothing_counts_twice(calls: list[Call]) -> None:
    app = TrackingMiddleware(TrackingMiddleware(hello), exclude=["/health"])
    Server(app).ask(environ_of("/health"))
    Server(app).ask(environ_of("/other", method="<script>"))
    assert [(call.method, call.status) for call in calls] == [("GET", 200), ("other", 200)]


def test_a_callable_that_fails_costs_nothing_else(calls: list[Call]) -> None:
    with contained_failures():
        ask(hello, user_id=lambda environ: 1 / 0, endpoint=lambda environ: 1 / 0)
    assert shown(calls) == [("GET", "unknown", 200, "ok")]
