from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import gc
import io
import socket
import ssl
import threading
import urllib.error
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import aiohttp
import anthropic
import httpx
import httpx2
import openai
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from geomon.errors import ERROR_TYPES, classify, status_code

KEY = "k"
TYPE_BY_STATUS = {
    400: "bad_request",
    401: "authentication",
    402: "bad_request",
    403: "authentication",
    404: "not_found",
    408: "timeout",
    409: "bad_request",
    413: "bad_request",
    422: "bad_request",
    429: "rate_limit",
    500: "server_error",
    502: "server_error",
    503: "server_error",
    504: "timeout",
    529: "server_error",
}
each_status = pytest.mark.parametrize(("status", "expected"), TYPE_BY_STATUS.items())


@contextmanager
def served(handle: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server on loopback whose every request is answered by `handle`; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.close_connection = True
            handle(self)

        do_POST = do_GET

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer(status: int, body: bytes = b"{}", kind: str = "application/json") -> Any:
    def handle(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return handle


def events(body: bytes) -> Any:
    return answer(200, body, "text/event-stream")


def cut_off(handler: BaseHTTPRequestHandler) -> None:
    """Promises more than it sends."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"event: ping\ndata: {}\n\n")


def hang(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.recv(1)  # until the client goes away


def raised(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def ask_openai(url: str, timeout: float = 5, **options: Any) -> BaseException:
    with openai.OpenAI(api_key=KEY, base_url=url, max_retries=0, timeout=timeout) as client:
        chat = client.chat.completions
        return raised(lambda: list(chat.create(model="m", messages=[], **options)))


def ask_anthropic(url: str, timeout: float = 5, **options: Any) -> BaseException:
    with anthropic.Anthropic(api_key=KEY, base_url=url, max_retries=0, timeout=timeout) as client:
        create = client.messages.create
        return raised(lambda: list(create(model="m", messages=[], max_tokens=1, **options)))


def unused_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


# What the clients raise, over a socket


@each_status
def test_openai_by_status(status: int, expected: str) -> None:
    with served(answer(status)) as url:
        error = ask_openai(url)
    assert isinstance(error, openai.APIStatusError)
    assert (classify(error), status_code(error)) == (expected, status)


@each_status
def test_anthropic_by_status(status: int, expected: str) -> None:
    with served(answer(status)) as url:
        error = ask_anthropic(url)
    assert isinstance(error, anthropic.APIStatusError)
    assert (classify(error), status_code(error)) == (expected, status)


@pytest.mark.parametrize("ask", [ask_openai, ask_anthropic])
def test_a_client_that_gives_up_waiting_is_a_timeout(ask: Any) -> None:
    with served(hang) as url:
        error = ask(url, timeout=0.05)
    assert isinstance(error, (openai.APITimeoutError, anthropic.APITimeoutError))
    assert (classify(error), status_code(error)) == ("timeout", None)


@pytest.mark.parametrize("ask", [ask_openai, ask_anthropic])
def test_a_client_that_nobody_answers_is_a_connection_error(ask: Any) -> None:
    assert classify(ask(unused_url())) == "connection"


@pytest.mark.parametrize("ask", [ask_openai, ask_anthropic])
def test_a_stream_that_is_cut_off_is_a_connection_error(ask: Any) -> None:
    with served(cut_off) as url:
        assert classify(ask(url, stream=True)) == "connection"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error": {"code": "content_filter", "message": "-"}}', "content_filter"),
        (b'{"error": {"code": "content_policy_violation", "message": "-"}}', "content_filter"),
        (b'{"error": {"code": "context_length_exceeded", "message": "-"}}', "bad_request"),
    ],
)
def test_openai_says_by_code_what_the_status_400_hides(body: bytes, expected: str) -> None:
    with served(answer(400, body)) as url:
        assert classify(ask_openai(url)) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (b'{"code": "rate_limit_exceeded", "message": "-"}', "rate_limit"),
        (b'{"type": "server_error", "code": null, "message": "-"}', "server_error"),
        (b'{"code": "content_filter", "message": "-"}', "content_filter"),
        (b'{"code": 429, "message": "-"}', "rate_limit"),
        (b'{"code": "unheard_of", "message": "-"}', "other"),
    ],
)
def test_openai_error_inside_a_stream(error: bytes, expected: str) -> None:
    with served(events(b'data: {"error": ' + error + b"}\n\n")) as url:
        assert classify(ask_openai(url, stream=True)) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("overloaded_error", "server_error"),
        ("api_error", "server_error"),
        ("rate_limit_error", "rate_limit"),
        ("authentication_error", "authentication"),
        ("permission_error", "authentication"),
        ("invalid_request_error", "bad_request"),
        ("not_found_error", "not_found"),
        ("timeout_error", "timeout"),
    ],
)
def test_anthropic_error_inside_a_stream_that_began_with_200(code: str, expected: str) -> None:
    body = f'event: error\ndata: {{"type": "error", "error": {{"type": "{code}"}}}}\n\n'
    with served(events(body.encode())) as url:
        error = ask_anthropic(url, stream=True)
    assert (classify(error), status_code(error)) == (expected, 200)


@each_status
@pytest.mark.parametrize("client", [httpx, httpx2, requests])
def test_http_clients_by_status(client: Any, status: int, expected: str) -> None:
    with served(answer(status)) as url:
        error = raised(lambda: client.get(url).raise_for_status())
    assert (classify(error), status_code(error)) == (expected, status)


@pytest.mark.parametrize("client", [httpx, httpx2, requests])
def test_http_clients_without_an_answer(client: Any) -> None:
    with served(hang) as url:
        assert classify(raised(lambda: client.get(url, timeout=0.05))) == "timeout"
    with served(cut_off) as url:
        assert classify(raised(lambda: client.get(url))) == "connection"
    assert classify(raised(lambda: client.get(unused_url()))) == "connection"


def test_requests_that_time_out_inside_the_body_raise_a_connection_error_but_are_timeouts() -> None:
    def stall(handler: BaseHTTPRequestHandler) -> None:
        cut_off(handler)
        handler.connection.recv(1)

    with served(stall) as url:
        error = raised(lambda: requests.get(url, timeout=0.05))
    assert isinstance(error, requests.ConnectionError)
    assert classify(error) == "timeout"


def get_with_aiohttp(url: str, seconds: float = 5) -> BaseException:
    async def get() -> None:
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with (
            aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
            session.get(url) as response,
        ):
            await response.json()

    return raised(lambda: asyncio.run(get()))


@each_status
def test_aiohttp_by_status(status: int, expected: str) -> None:
    with served(answer(status)) as url:
        error = get_with_aiohttp(url)
    assert (classify(error), status_code(error)) == (expected, status)


def test_aiohttp_without_an_answer() -> None:
    with served(hang) as url:
        assert classify(get_with_aiohttp(url, 0.05)) == "timeout"
    with served(lambda handler: None) as url:
        error = get_with_aiohttp(url)
        assert isinstance(error, aiohttp.ServerDisconnectedError)
        assert classify(error) == "connection"
    assert classify(get_with_aiohttp(unused_url())) == "connection"


def test_an_answer_of_the_wrong_type_is_no_http_error() -> None:
    with served(answer(200, b"-", "text/plain")) as url:
        error = get_with_aiohttp(url)
    assert isinstance(error, aiohttp.ContentTypeError)
    assert (classify(error), status_code(error)) == ("other", 200)


# What the clients raise, built as they build it

_REQUEST = httpx2.Request("POST", "http://h/v1")
_AIOHTTP_INFO = aiohttp.RequestInfo(URL("http://h"), "GET", CIMultiDictProxy(CIMultiDict()))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (openai.APITimeoutError(request=_REQUEST), "timeout"),
        (openai.APIConnectionError(request=_REQUEST), "connection"),
        (openai.ContentFilterFinishReasonError(), "content_filter"),
        (openai.APIError("-", _REQUEST, body=None), "other"),
        (openai.OpenAIError("-"), "other"),
        (anthropic.APITimeoutError(request=_REQUEST), "timeout"),
        (anthropic.APIConnectionError(request=_REQUEST), "connection"),
        (anthropic.CredentialsError(), "authentication"),
        (anthropic.AnthropicError("-"), "other"),
        (httpx.ConnectTimeout("-"), "timeout"),
        (httpx.PoolTimeout("-"), "timeout"),
        (httpx.ConnectError("-"), "connection"),
        (httpx.ReadError("-"), "connection"),
        (httpx.RemoteProtocolError("-"), "connection"),
        (httpx.ProxyError("-"), "connection"),
        (httpx.DecodingError("-"), "other"),
        (httpx2.WriteTimeout("-"), "timeout"),
        (httpx2.RemoteProtocolError("-"), "connection"),
        (requests.exceptions.ConnectTimeout(), "timeout"),
        (requests.exceptions.ReadTimeout(), "timeout"),
        (requests.exceptions.SSLError(), "connection"),
        (requests.exceptions.ChunkedEncodingError(), "connection"),
        (requests.exceptions.InvalidURL(), "other"),
        (requests.exceptions.JSONDecodeError("-", "-", 0), "other"),
        (aiohttp.ServerTimeoutError(), "timeout"),
        (aiohttp.ConnectionTimeoutError(), "timeout"),
        (aiohttp.ServerDisconnectedError(), "connection"),
        (aiohttp.ClientPayloadError(), "connection"),
        (aiohttp.ClientOSError(errno.EPIPE, "-"), "connection"),
        (aiohttp.ClientResponseError(_AIOHTTP_INFO, (), status=429), "rate_limit"),
        (aiohttp.ClientResponseError(_AIOHTTP_INFO, (), status=0), "other"),
        (urllib.error.URLError(TimeoutError()), "timeout"),
        (urllib.error.URLError(ConnectionRefusedError()), "connection"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__qualname__,
)
def test_client_exceptions(error: BaseException, expected: str) -> None:
    assert classify(error) == expected


def test_urllib_holds_the_status_in_code() -> None:
    with urllib.error.HTTPError("http://h", 503, "-", Message(), io.BytesIO()) as error:
        assert (classify(error), status_code(error)) == ("server_error", 503)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError(), "timeout"),
        (OSError(errno.ETIMEDOUT, "-"), "timeout"),
        (ConnectionResetError(), "connection"),
        (BrokenPipeError(), "connection"),
        (OSError(errno.EHOSTUNREACH, "-"), "connection"),
        (socket.gaierror(-2, "-"), "connection"),
        (ssl.SSLError(1, "-"), "connection"),
        (asyncio.IncompleteReadError(b"", 1), "connection"),
        (FileNotFoundError(errno.ENOENT, "-"), "other"),
        (PermissionError(errno.EACCES, "-"), "other"),
        (ModuleNotFoundError(), "other"),
        (ValueError("429"), "other"),
        (asyncio.CancelledError(), "cancelled"),
        (concurrent.futures.CancelledError(), "cancelled"),
        (KeyboardInterrupt(), "cancelled"),
        (GeneratorExit(), "cancelled"),
        (SystemExit(500), "cancelled"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__qualname__,
)
def test_pythons_own_exceptions(error: BaseException, expected: str) -> None:
    assert classify(error) == expected


# Where the exception itself says nothing


def test_what_it_was_raised_from_is_asked() -> None:
    error = ValueError("-")
    error.__cause__ = RuntimeError("-")
    error.__cause__.__cause__ = TimeoutError()
    assert classify(error) == "timeout"


def test_its_own_word_comes_first() -> None:
    error = ConnectionError("-")
    error.__cause__ = TimeoutError()
    assert classify(error) == "connection"


def test_the_status_is_the_exceptions_own() -> None:
    error = ValueError("-")
    error.__cause__ = httpx.HTTPStatusError(
        "-", request=httpx.Request("GET", "http://h"), response=httpx.Response(500)
    )
    assert (classify(error), status_code(error)) == ("server_error", None)


def test_an_exception_that_a_caught_one_led_to() -> None:
    def wrap() -> None:
        try:
            raise ConnectionResetError
        except ConnectionResetError:
            raise ValueError("the model is gone")  # noqa: B904 - the point of the test

    assert classify(raised(wrap)) == "connection"


def test_a_suppressed_context_is_left_alone() -> None:
    def wrap() -> None:
        try:
            raise ConnectionResetError
        except ConnectionResetError:
            raise ValueError("-") from None

    assert classify(raised(wrap)) == "other"


def test_a_fallback_does_not_take_over_the_error_that_it_stands_in_for() -> None:
    seen = []

    def fall_back() -> None:
        try:
            raise ValueError("a fault in the fallback")
        except ValueError as error:  # what a tracker around the fallback's body sees
            seen.append(classify(error))

    try:
        raise ConnectionResetError
    except ConnectionResetError:
        fall_back()
    assert seen == ["other"]


def test_a_group_is_what_its_members_are() -> None:
    assert classify(ExceptionGroup("-", [ValueError(), TimeoutError()])) == "timeout"
    assert classify(BaseExceptionGroup("-", [ValueError(), KeyboardInterrupt()])) == "cancelled"


def test_a_circle_of_causes_ends() -> None:
    first, second = ValueError(), RuntimeError()
    first.__cause__, second.__cause__ = second, first
    assert classify(first) == "other"


def test_a_long_chain_of_causes_is_given_up() -> None:
    error: BaseException = TimeoutError()
    for _ in range(10_000):
        outer = ValueError()
        outer.__cause__ = error
        error = outer
    assert classify(error) == "other"
    while inner := error.__cause__:  # undone link by link: freeing it at once recurses
        error.__cause__ = None
        error = inner


# Strange exceptions


def test_attributes_that_raise() -> None:
    class Hostile(Exception):
        def __getattribute__(self, name: str) -> object:
            raise RuntimeError(name)

    assert (classify(Hostile()), status_code(Hostile())) == ("other", None)


def test_a_class_that_cannot_be_hashed() -> None:
    class Unhashable(type):
        __hash__ = None  # type: ignore[assignment]

    class Strange(Exception, metaclass=Unhashable):
        status_code = 429

    assert (classify(Strange()), status_code(Strange())) == ("rate_limit", 429)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (99, None),
        (100, 100),
        (599, 599),
        (600, None),
        (-1, None),
        (True, None),
        (None, None),
        ("429", 429),
        ("4290", None),
        ("x29", None),
        ("²²²", None),
        (429.0, None),
        (HTTPStatus.NOT_FOUND, 404),
    ],
)
def test_a_status_is_a_number_from_100_to_599(value: object, expected: int | None) -> None:
    error = RuntimeError()
    error.status_code = value  # type: ignore[attr-defined]
    assert status_code(error) == expected


def test_aws_holds_the_status_in_a_dict() -> None:
    error = RuntimeError()
    error.response = {"ResponseMetadata": {"HTTPStatusCode": 403}}  # type: ignore[attr-defined]
    assert (classify(error), status_code(error)) == ("authentication", 403)


def test_grpc_gives_its_code_when_called() -> None:
    class Code:
        name = "DEADLINE_EXCEEDED"

    error = RuntimeError()
    error.code = Code  # type: ignore[attr-defined]
    assert classify(error) == "timeout"


def test_a_class_is_not_kept_alive() -> None:
    made = type("MadeAtRunTimeError", (Exception,), {})
    reference = weakref.ref(made)
    assert classify(made()) == "other"
    del made
    gc.collect()
    assert reference() is None


@given(
    values=st.dictionaries(
        st.sampled_from(["status_code", "status", "code", "type", "body", "response", "reason"]),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5) | st.sampled_from([str, ValueError()]),
            lambda inner: st.dictionaries(st.sampled_from(["error", "code", "type"]), inner),
            max_leaves=4,
        ),
    ),
    args=st.lists(st.integers() | st.text(max_size=5), max_size=2),
)
def test_any_exception_has_one_of_the_ten_types(values: dict[str, Any], args: list[Any]) -> None:
    error = RuntimeError(*args)
    error.__dict__.update(values)
    assert classify(error) in ERROR_TYPES
