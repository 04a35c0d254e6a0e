from __future__ import annotations

import asyncio
import gc
from http import HTTPStatus
from typing import Any

import pytest

import geomon
from geomon import Call
from geomon.asgi import TrackingMiddleware
from geomon.testing import MovableClock, contained_failures
from tests.incoming.raw import DISCONNECT, END, REQUEST, START, ask, header, run, scope, sending

HELLO = sending(START, END)
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = (b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())


def shown(calls: list[Call]) -> list[tuple[Any, ...]]:
    return [(call.method, call.endpoint, call.status, call.outcome) for call in calls]


# --- ids


def test_a_well_formed_request_id_is_bound_and_sent_back(calls: list[Call]) -> None:
    sent = run(TrackingMiddleware(HELLO), scope(headers=[(b"x-request-id", b"r-1")]))
    assert (header(sent), calls[0].context) == ([b"r-1"], {"request_id": "r-1"})


@pytest.mark.parametrize(
    "given",
    [b"", b"a b", b"a\n", b"x" * 129, b"x" * 10_000, "é".encode(), b"\xff\xfe", b"<script>"],
    ids=range(8),
)
def test_another_one_is_replaced(given: bytes, calls: list[Call]) -> None:
    sent = run(TrackingMiddleware(HELLO), scope(headers=[(b"x-request-id", given)]))
    assert len(header(sent)[0]) == 32
    assert [calls[0].context["request_id"].encode()] == header(sent)


def test_an_id_is_not_taken_over_where_clients_are_not_trusted(calls: list[Call]) -> None:
    app = TrackingMiddleware(HELLO, trust_request_id=False, trust_traceparent=False)
    sent = run(app, scope(headers=[(b"x-request-id", b"r-1"), PARENT]))
    assert header(sent) != [b"r-1"]
    assert calls[0].trace_id is None


def test_a_trace_is_bound_and_its_id_is_the_requests_where_no_other_came(calls: list[Call]) -> None:
    sent = run(TrackingMiddleware(HELLO), scope(headers=[PARENT]))
    assert header(sent) == [TRACE.encode()]
    assert calls[0].context == {"request_id": TRACE, "trace_id": TRACE, "span_id": SPAN}
    assert (calls[0].trace_id, calls[0].span_id) == (TRACE, SPAN)


def test_of_two_traces_none_is_taken(calls: list[Call]) -> None:
    run(TrackingMiddleware(HELLO), scope(headers=[PARENT, PARENT]))
    assert calls[0].trace_id is None


def test_the_applications_own_header_is_not_doubled(calls: list[Call]) -> None:
    start = {**START, "headers": [(b"X-Request-Id", b"own")]}
    sent = run(TrackingMiddleware(sending(start, END)))
    assert sent[0]["headers"] == [(b"X-Request-Id", b"own")]


def test_the_applications_own_message_is_not_changed(calls: list[Call]) -> None:
    app = TrackingMiddleware(HELLO)
    assert [len(header(run(app))) for _ in range(2)] == [1, 1]
    assert len(START["headers"]) == 1


def test_headers_may_come_in_any_iterable(calls: list[Call]) -> None:
    start = {**START, "headers": iter([[b"content-type", b"text/plain"]])}
    sent = run(TrackingMiddleware(sending(start, END)))
    assert [len(one) for one in sent[0]["headers"]] == [2, 2]


def test_the_header_has_the_name_it_is_given(calls: list[Call]) -> None:
    app = TrackingMiddleware(HELLO, request_id_header="X-Trace")
    sent = run(app, scope(headers=[(b"x-trace", b"t"), (b"x-request-id", b"r")]))
    assert (header(sent, b"x-trace"), header(sent)) == ([b"t"], [])


def test_without_a_header_none_is_read_or_sent(calls: list[Call]) -> None:
    app = TrackingMiddleware(HELLO, request_id_header=None)
    sent = run(app, scope(headers=[(b"x-request-id", b"r-1")]))
    assert sent[0] == START
    assert len(calls[0].context["request_id"]) == 32


def test_a_user_id_comes_from_a_callable(calls: list[Call]) -> None:
    app = TrackingMiddleware(
        HELLO, user_id=lambda scope: dict(scope["headers"])[b"x-user"].decode()
    )
    run(app, scope(headers=[(b"x-user", b"u-7")]))
    assert calls[0].context["user_id"] == "u-7"


def test_a_user_id_that_cannot_be_found_costs_nothing_else(calls: list[Call]) -> None:
    with contained_failures():
        run(TrackingMiddleware(HELLO, user_id=lambda scope: 1 / 0))
    assert "user_id" not in calls[0].context


# --- context


def test_the_context_ends_with_the_request(calls: list[Call]) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(geomon.get_context())
        seen.append(geomon.current_call())
        await HELLO(scope, receive, send)

    async def both() -> None:
        tracked = TrackingMiddleware(app)
        for _ in range(2):
            await tracked(scope(headers=[(b"x-user", b"u")]), _nothing, _nothing)
            seen.append(geomon.get_context())
            seen.append(geomon.current_call())

    asyncio.run(both())
    assert seen[0] != seen[4]
    assert [seen[1], seen[5]] != [None, None]
    assert [seen[2], seen[3], seen[6], seen[7]] == [{}, None, {}, None]


async def _nothing(*args: Any) -> None: ...


def test_what_is_bound_outside_stays(calls: list[Call]) -> None:
    async def within() -> None:
        with geomon.bind(tenant="t"):
            await TrackingMiddleware(HELLO)(scope(), _nothing, _nothing)

    asyncio.run(within())
    assert calls[0].context["tenant"] == "t"


# --- what counts


def test_a_request_counts_once(calls: list[Call]) -> None:
    run(TrackingMiddleware(TrackingMiddleware(HELLO)))
    assert shown(calls) == [("GET", "unmatched", 200, "ok")]


def test_an_unknown_method_is_other(calls: list[Call]) -> None:
    run(TrackingMiddleware(HELLO), scope(method="<script>"))
    run(TrackingMiddleware(HELLO), scope(method="get"))
    assert [call.method for call in calls] == ["other", "other"]


def test_a_stream_ends_at_its_last_byte_and_background_work_is_not_latency(
    calls: list[Call], clock: MovableClock
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        for _ in range(3):
            clock.move(1)
            await send({**END, "more_body": True})
        await send({"type": "http.response.body"})
        assert [call.duration for call in calls] == [3]
        clock.move(10)
        assert geomon.get_context()["request_id"]

    run(TrackingMiddleware(app))
    assert [call.duration for call in calls] == [3]


def test_a_status_may_be_an_enumeration(calls: list[Call]) -> None:
    run(TrackingMiddleware(sending({**START, "status": HTTPStatus.CREATED}, END)))
    assert [(call.status, type(call.status)) for call in calls] == [(201, int)]


def test_trailers_end_a_response(calls: list[Call], clock: MovableClock) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "trailers": True})
        await send(END)
        clock.move(1)
        await send({"type": "http.response.trailers", "headers": [], "more_trailers": False})

    run(TrackingMiddleware(app))
    assert [(call.duration, call.status) for call in calls] == [(1, 200)]


def test_a_file_that_the_server_sends_ends_a_response(calls: list[Call]) -> None:
    run(TrackingMiddleware(sending(START, {"type": "http.response.pathsend", "path": "/f"})))
    assert shown(calls) == [("GET", "unmatched", 200, "ok")]


def test_a_client_that_leaves_is_499(calls: list[Call]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        while (await receive())["type"] != "http.disconnect":
            await send({**END, "more_body": True})

    run(TrackingMiddleware(app), received=[REQUEST, DISCONNECT])
    assert [(call.status, call.outcome, call.error_type) for call in calls] == [
        (499, "cancelled", "cancelled")
    ]


def test_a_client_of_whom_send_says_that_it_left_is_499(
    calls: list[Call], caplog: pytest.LogCaptureFixture
) -> None:
    async def gone(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        run(TrackingMiddleware(HELLO), send=gone)
    assert shown(calls) == [("GET", "unmatched", 499, "cancelled")]
    assert caplog.records == []


def test_a_request_that_is_cancelled_is_499(calls: list[Call]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async def cancelled() -> None:
        task = asyncio.create_task(ask(TrackingMiddleware(app)))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert shown(calls) == [("GET", "unmatched", 499, "cancelled")]


def test_a_disconnect_after_the_last_byte_says_nothing(calls: list[Call]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await HELLO(scope, receive, send)
        assert await receive() == DISCONNECT

    run(TrackingMiddleware(app), received=[DISCONNECT])
    assert shown(calls) == [("GET", "unmatched", 200, "ok")]


def test_a_request_whose_coroutine_is_dropped_counts(calls: list[Call]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async def dropped() -> None:
        coroutine = TrackingMiddleware(app)(scope(), _nothing, _nothing)
        coroutine.send(None)
        coroutine.close()

    asyncio.run(dropped())
    gc.collect()
    assert shown(calls) == [("GET", "unmatched", 499, "cancelled")]


# --- what applications should not do


def test_an_application_that_sends_nothing_counts_as_the_500_that_the_server_sends(
    calls: list[Call],
) -> None:
    assert run(TrackingMiddleware(sending())) == []
    assert shown(calls) == [("GET", "unmatched", 500, "error")]


def test_an_answer_that_is_not_whole_is_an_error(calls: list[Call]) -> None:
    run(TrackingMiddleware(sending(START, {**END, "more_body": True})))
    assert shown(calls) == [("GET", "unmatched", 500, "error")]


def test_a_second_start_and_late_parts_pass_and_count_nothing(calls: list[Call]) -> None:
    second = {"type": "http.response.start", "status": 404, "headers": []}
    sent = run(TrackingMiddleware(sending(START, second, END, END, second, END)))
    assert sent[1:] == [second, END, END, second, END]
    assert shown(calls) == [("GET", "unmatched", 200, "ok")]


@pytest.mark.parametrize(
    "start",
    [
        {"type": "http.response.start"},
        {"type": "http.response.start", "status": "200", "headers": None},
        {"type": "http.response.start", "status": 200, "headers": [b"x"]},
        {"type": "http.response.start", "status": 200, "headers": [(1, 2)]},
    ],
    ids=range(4),
)
def test_a_malformed_start_reaches_the_server(start: Any, calls: list[Call]) -> None:
    sent = run(TrackingMiddleware(sending(start, END)))
    assert sent[0].items() >= {key: start[key] for key in start if key != "headers"}.items()
    assert len(calls) == 1


@pytest.mark.parametrize("headers", [None, 7, [b"x"], [("x-request-id", "text")]], ids=range(4))
def test_malformed_request_headers_cost_nothing(headers: Any, calls: list[Call]) -> None:
    run(TrackingMiddleware(HELLO), scope(headers=headers))
    assert shown(calls) == [("GET", "unmatched", 200, "ok")]


def test_a_flood_of_headers_is_read(calls: list[Call]) -> None:
    flood = [(b"x-%d" % number, b"v" * 100) for number in range(10_000)]
    run(TrackingMiddleware(HELLO), scope(headers=[*flood, (b"x-request-id", b"last")]))
    assert calls[0].context["request_id"] == "last"


# --- options


def test_paths_can_be_left_out(calls: list[Call]) -> None:
    app = TrackingMiddleware(HELLO, exclude=["/health", "/static/.*"])
    sent = run(app, scope("/health"))
    run(app, scope("/static/a.js"))
    run(app, scope("/healthy"))
    assert sent[0] == START
    assert len(calls) == 1


def test_sizes_are_those_of_the_bodies(calls: list[Call]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send(START)
        await send({**END, "more_body": True})
        await send(END)

    parts = [{"type": "http.request", "body": b"12345", "more_body": True}, REQUEST]
    lies = [(b"content-length", b"9" * 400)]
    run(TrackingMiddleware(app, sizes=True), scope(headers=lies), received=parts)
    assert [(call.request_size, call.response_size) for call in calls] == [(5, 10)]


def test_an_endpoint_can_come_from_a_callable(calls: list[Call]) -> None:
    run(TrackingMiddleware(HELLO, endpoint=lambda scope: "/mine"))
    with contained_failures():
        run(TrackingMiddleware(HELLO, endpoint=lambda scope: 1 / 0))
    assert [call.endpoint for call in calls] == ["/mine", "unknown"]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"exclude": "/health"}, TypeError, "write a list"),
        ({"exclude": ["("]}, ValueError, "no regular expression"),
        ({"request_id_header": "a b"}, ValueError, "X-Request-ID"),
        ({"request_id_header": b"x"}, TypeError, "write a name"),
        ({"user_id": "u"}, TypeError, "write a plain function"),
        ({"user_id": _nothing}, TypeError, "write a plain function"),
        ({"trust_request_id": "no"}, TypeError, "trust_request_id=True or"),
        ({"sizes": 1}, TypeError, "sizes=True or"),
    ],
)
def test_a_wrong_option_is_an_error_that_says_what_to_write(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        TrackingMiddleware(HELLO, **options)


# --- other protocols


def test_a_lifespan_passes(calls: list[Call]) -> None:
    given = {"type": "lifespan"}
    run(TrackingMiddleware(sending({"type": "lifespan.startup.complete"})), given)
    assert (given, calls) == ({"type": "lifespan"}, [])


def test_a_websocket_has_the_context_and_counts_nothing(calls: list[Call]) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(geomon.get_context())
        await send({"type": "websocket.accept"})

    sent = run(
        TrackingMiddleware(app), {**scope(headers=[(b"x-request-id", b"r")]), "type": "websocket"}
    )
    assert (sent, seen, calls) == ([{"type": "websocket.accept"}], [{"request_id": "r"}], [])
