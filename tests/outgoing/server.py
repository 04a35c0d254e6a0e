"""A local HTTP server whose answers end in every way."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PART = b"x" * 70_000
PARTS = 4


class Server:
    """The running server, for a with-block; `seen` holds the requests, in order."""

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self.host = f"127.0.0.1:{self.port}"
        self.other_url = f"http://localhost:{self.port}"
        self.other_host = f"localhost:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    @property
    def seen(self) -> list[tuple[str, dict[str, str]]]:
        """Path and headers of each request, names in lower case."""
        return self._server.seen

    @property
    def connections(self) -> int:
        """How many connections were made."""
        return self._server.connections

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.over = threading.Event()
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.connections = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((url.path, headers))
        self.query = {name: values[0] for name, values in parse_qs(url.query).items()}
        _ROUTES[url.path](self)

    do_POST = do_HEAD = do_PUT = do_DELETE = do_GET

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def ok(self) -> None:
        self.answer(200, json.dumps(dict(self.headers.items())).encode())

    def status(self) -> None:
        self.answer(int(self.query["code"]), b"body" if self.query["code"] != "204" else b"")

    def redirect(self) -> None:
        self.answer(302, b"go on", Location=self.query.get("to", "/redirect"))

    def digest(self) -> None:
        """Ask for digest authentication, and take any answer to that."""
        if "Authorization" in self.headers:
            self.ok()
        else:
            challenge = 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'
            self.answer(401, b"who?", **{"WWW-Authenticate": challenge})

    def garbled(self) -> None:
        """Say that the body is gzipped, which it is not."""
        self.answer(200, b"no gzip", **{"Content-Encoding": "gzip"})

    def silent(self) -> None:
        """Never answer."""
        self.server.over.wait(20)
        self.close_connection = True

    def chunks(self) -> None:
        """Send a body in parts, the last ones late where the program asks for it."""
        self.start_chunks()
        for number in range(PARTS):
            self.chunk(PART)
            if number == 0 and "stall" in self.query:
                self.server.over.wait(20)
        self.chunk(b"")

    def events(self) -> None:
        """Send an event stream that says it is done, and is not over."""
        self.start_chunks()
        self.chunk(b"data: 1\n\n")
        self.chunk(b"data: [DONE]\n\n")
        self.server.over.wait(20)
        self.close_connection = True

    def cut(self) -> None:
        """Close the connection in the middle of the body."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(PART) * PARTS))
        self.end_headers()
        self.wfile.write(PART)
        self.close_connection = True

    def reset(self) -> None:
        """Reset the connection instead of an answer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
        self.rfile = self.wfile = _Nowhere()  # type: ignore[assignment]

    def start_chunks(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))


class _Nowhere:
    closed = True

    def close(self) -> None:
        """Nothing is open."""

    flush = close


_NAMES = (
    "ok",
    "status",
    "redirect",
    "digest",
    "garbled",
    "silent",
    "chunks",
    "events",
    "cut",
    "reset",
)
_ROUTES: dict[str, Callable[[_Handler], None]] = {
    f"/{name}": getattr(_Handler, name) for name in _NAMES
}
