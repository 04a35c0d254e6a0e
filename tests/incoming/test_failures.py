"""What an application raises."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import geomon
from geomon import Call
from geomon.asgi import TrackingMiddleware
from geomon.incoming import callers
from tests.incoming.raw import END, START, header, run, scope


def shown(calls: list[Call]) -> list[tuple[Any, ...]]:
    return [(call.method, call.endpoint, call.status, call.outcome) for call in calls]


def failing(*first: Any, error: BaseException | None = None) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in first:
            await send(message)
        raise error or ValueError("broken")

    return app


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.exc_info]


def test_an_exception_counts_once_is_logged_once_and_answered_to_a_server(
    calls: list[Call], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callers, "_SERVERS", ("tests.incoming.raw",))
    sent: list[Any] = []

    async def keep(message: Any) -> None:
        sent.append(message)

    with pytest.raises(ValueError, match="broken"):
        run(TrackingMiddleware(failing()), scope(headers=[(b"x-request-id", b"r-1")]), send=keep)
    assert [message.get("status", message.get("body")) for message in sent] == [
        500,
        b"Internal Server Error",
    ]
    assert header(sent) == [b"r-1"]
    assert shown(calls) == [("GET", "unmatched", 500, "error")]
    assert logged(caplog) == ["unhandled exception in GET unmatched"]


def test_another_middleware_outside_may_answer_an_exception_itself(calls: list[Call]) -> None:
    tracked = TrackingMiddleware(failing())

    async def problem(scope: Any, receive: Any, send: Any) -> None:
        try:
            await tracked(scope, receive, send)
        except ValueError:
            await send({**START, "status": 422})
            await send(END)

    assert [message.get("status", message.get("body")) for message in run(problem)] == [
        422,
        b"hello",
    ]
    assert shown(calls) == [("GET", "unmatched", 500, "error")]


def test_its_record_has_the_requests_context(calls: list[Call]) -> None:
    seen = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(geomon.get_context()["request_id"])

    log, handler = logging.getLogger("geomon.http"), Handler()
    log.addHandler(handler)
    try:
        with pytest.raises(ValueError, match="broken"):
            run(TrackingMiddleware(failing()), scope(headers=[(b"x-request-id", b"r-1")]))
    finally:
        log.removeHandler(handler)
    assert seen == ["r-1"]


def test_the_servers_second_record_is_dropped_and_a_first_one_is_not(
    calls: list[Call], caplog: pytest.LogCaptureFixture
) -> None:
    server = logging.getLogger("uvicorn.error")
    try:
        run(TrackingMiddleware(failing()))
    except ValueError as error:
        server.error("Exception in ASGI application", exc_info=error)
        server.error("again", exc_info=error)
    assert logged(caplog) == ["unhandled exception in GET unmatched", "again"]


def test_an_exception_that_nobody_would_hear_from_us_is_left_to_the_server(
    calls: list[Call], caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("geomon.http").disabled = True
    try:
        run(TrackingMiddleware(failing()))
    except ValueError as error:
        logging.getLogger("uvicorn.error").error("server's", exc_info=error)
    finally:
        logging.getLogger("geomon.http").disabled = False
    assert logged(caplog) == ["server's"]


def test_an_exception_in_a_stream_is_an_error(calls: list[Call]) -> None:
    with pytest.raises(ValueError, match="broken"):
        run(TrackingMiddleware(failing(START, {**END, "more_body": True})))
    assert shown(calls) == [("GET", "unmatched", 500, "error")]


def test_an_exception_after_the_last_byte_is_logged_and_counts_nothing(
    calls: list[Call], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ValueError, match="broken"):
        run(TrackingMiddleware(failing(START, END)))
    assert shown(calls) == [("GET", "unmatched", 200, "ok")]
    assert logged(caplog) == ["unhandled exception in GET unmatched"]


def test_the_exception_tells_the_error_type_and_the_response_the_status(calls: list[Call]) -> None:
    class TooMany(Exception):
        status_code = 429

    with pytest.raises(TooMany):
        run(TrackingMiddleware(failing(error=TooMany())))
    assert [(call.status, call.error_type) for call in calls] == [(500, "rate_limit")]


@pytest.mark.parametrize("error", [SystemExit(), BaseExceptionGroup("", [KeyboardInterrupt()])])
def test_what_is_no_exception_is_an_error_too(
    error: BaseException, calls: list[Call], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(type(error)):
        run(TrackingMiddleware(failing(error=error)))
    assert shown(calls) == [("GET", "unmatched", 500, "error")]
    assert logged(caplog) == ["unhandled exception in GET unmatched"]


def test_a_cancelled_task_that_the_application_awaits_is_its_error(
    calls: list[Call], caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        task = asyncio.create_task(asyncio.sleep(10))
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        run(TrackingMiddleware(app))
    assert shown(calls) == [("GET", "unmatched", 500, "error")]
    assert logged(caplog) == ["unhandled exception in GET unmatched"]


def test_an_exception_that_refuses_attributes_is_logged_once(
    calls: list[Call], caplog: pytest.LogCaptureFixture
) -> None:
    class Frozen(Exception):
        def __setattr__(self, name: str, value: object) -> None:
            raise TypeError(name)

    try:
        run(TrackingMiddleware(failing(error=Frozen())))
    except Frozen as error:
        logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=error)
    assert logged(caplog) == ["unhandled exception in GET unmatched"]


def test_an_exception_in_a_websocket_is_logged(
    calls: list[Call], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ValueError, match="broken"):
        run(TrackingMiddleware(failing()), {**scope(), "type": "websocket"})
    assert (logged(caplog), calls) == (["unhandled exception in WEBSOCKET unmatched"], [])
