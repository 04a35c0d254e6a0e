"""A web server on loopback that answers as a test says, and remembers what it was sent."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Seen:
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """What a server does: `status` and `headers`, or the raw bytes `says`; or it hangs."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    says: bytes | None = None
    hangs: bool = False
    seen: list[Seen] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    tls: ssl.SSLContext | None = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def receiver(**does: Any) -> Iterator[Receiver]:
    """Runs one."""
    what = Receiver(**does)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            what.seen.append(Seen(self.path, dict(self.headers), body))
            if what.hangs:
                what.released.wait(30)
            if what.says is not None:
                self.wfile.write(what.says)
                self.close_connection = True
                return
            self.send_response(what.status)
            for name, value in what.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(what.body)))
            self.end_headers()
            self.wfile.write(what.body)

        do_GET = do_POST

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    if what.tls is not None:
        server.socket = what.tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    what.port = server.server_address[1]
    thread = threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True)
    thread.start()
    try:
        yield what
    finally:
        what.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
