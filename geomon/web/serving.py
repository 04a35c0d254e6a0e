"""`serve()`: the endpoints for a program that serves nothing else."""

from __future__ import annotations

import errno
import hmac
import logging
import threading
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from geomon.web.apps import WSGI, health_wsgi, metrics_wsgi

_log = logging.getLogger("geomon.web")


class Server:
    """A server in a daemon thread; a with-block closes it.

    Attributes:
        port: The port; of another process where that was first.
        serving: Whether it is this process that serves.
    """

    def __init__(self, port: int, server: WSGIServer | None) -> None:
        self._server = server
        self.port = port if server is None else server.server_port
        self.serving = server is not None
        if server is not None:
            threading.Thread(target=server.serve_forever, name="geomon-web", daemon=True).start()

    def close(self) -> None:
        """Ends it. Can be repeated."""
        server, self._server, self.serving = self._server, None, False
        if server is not None:
            server.shutdown()
            server.server_close()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def serve(host: str = "127.0.0.1", port: int = 9464, token: str | None = None) -> Server:
    """Serves `/metrics`, `/health`, `/health/live` and `/health/ready` in a daemon thread.

    A port that is taken, as by a sister worker, is no error: the first serves for all, the others
    log one line.

    Args:
        host: The address to listen on; `"0.0.0.0"` is every one.
        port: The port; 0: any that is free.
        token: Asked for as `Authorization: Bearer ...`, where it is given.

    Raises:
        TypeError, ValueError: an argument cannot be.
        OSError: the address is none of this machine's, or the port may not be used.
    """
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"port={port!r}: write a number, port=9464")
    if not 0 <= port < 65536:
        raise ValueError(f"port={port}: write a number from 0 to 65535, port=9464")
    if token is not None and (not isinstance(token, str) or not token):
        raise ValueError("token is empty or no text: write a text, or leave it out")
    try:
        server = make_server(
            host, port, _application(token), server_class=_Server, handler_class=_Handler
        )
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        _log.info("port %d is taken; what serves there serves for this process too", port)
        return Server(port, None)
    return Server(port, server)


def _application(token: str | None) -> WSGI:
    metrics, health = metrics_wsgi(), health_wsgi()

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if token is not None and not _knows(environ, token):
            headers = [("WWW-Authenticate", "Bearer"), ("Content-Length", "0")]
            start_response("401 Unauthorized", headers)
            return []
        if path == "/metrics":
            return metrics(environ, start_response)
        if path == "/health" or path.startswith("/health/"):
            inner = {**environ, "PATH_INFO": path.removeprefix("/health")}
            return health(inner, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"/metrics, /health, /health/live, /health/ready\n"]

    return app


def _knows(environ: Any, token: str) -> bool:
    given = environ.get("HTTP_AUTHORIZATION", "").encode("utf-8", "surrogateescape")
    return hmac.compare_digest(given, f"Bearer {token}".encode())


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: a scrape every few seconds is no news."""
