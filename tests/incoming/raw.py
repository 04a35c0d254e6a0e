"""ASGI and WSGI spoken by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain")],
}
END = {"type": "http.response.body", "body": b"hello"}
DISCONNECT = {"type": "http.disconnect"}
REQUEST = {"type": "http.request", "body": b"", "more_body": False}


def scope(path: str = "/", method: str = "GET", headers: Any = (), **more: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        **more,
    }


async def ask(
    app: Any,
    given: dict[str, Any] | None = None,
    received: Iterable[Any] = (REQUEST,),
    send: Callable[[Any], Awaitable[None]] | None = None,
) -> list[Any]:
    """The messages that an application sends; `received` is what it is told, then nothing more."""
    sent: list[Any] = []
    parts = iter(received)

    async def receive() -> Any:
        for part in parts:
            return part
        return await asyncio.Event().wait()

    async def keep(message: Any) -> None:
        sent.append(message)
        if send is not None:
            await send(message)

    await app(scope() if given is None else given, receive, keep)
    return sent


def run(app: Any, *args: Any, **kwargs: Any) -> list[Any]:
    return asyncio.run(ask(app, *args, **kwargs))


def sending(*messages: Any) -> Any:
    """An application that sends these."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


def header(sent: list[Any], name: bytes = b"x-request-id") -> list[bytes]:
    """The values of a response's header."""
    return [value for key, value in sent[0]["headers"] if key == name]


class Server:
    """What a WSGI server does with an application, at its simplest."""

    def __init__(self, app: Any, close: bool = True) -> None:
        self._app = app
        self._close = close
        self.written: list[bytes] = []
        self.status = ""
        self.headers: list[tuple[str, str]] = []

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        self.status, self.headers = status, headers
        return self.written.append

    def ask(self, environ: Mapping[str, Any] | None = None, most: int = 1000) -> bytes:
        """The body; of which no more than `most` parts are taken."""
        given = dict(environ or environ_of())
        body = self._app(given, self.start_response)
        try:
            for number, part in enumerate(body, 1):
                self.written.append(part)
                if number >= most:
                    break
        finally:
            if self._close and hasattr(body, "close"):
                body.close()
        return b"".join(self.written)


def environ_of(path: str = "/", method: str = "GET", **more: Any) -> dict[str, Any]:
    from wsgiref.util import setup_testing_defaults

    environ: dict[str, Any] = {"PATH_INFO": path, "REQUEST_METHOD": method, **more}
    setup_testing_defaults(environ)
    return environ
