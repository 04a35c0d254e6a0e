"""`serve()`: the endpoints for a program that serves nothing else."""

from __future__ import annotations

import errno
import hmac
import io
import logging
import re
import socket
import threading
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import Any, TextIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from geomon import forks, losses
from geomon.web.apps import WSGI, health_wsgi, metrics_wsgi

_log = logging.getLogger("geomon.web")
_CONNECTIONS = 32
"""How many are served at once; one more is closed unheard."""

_is_token = re.compile(r"[A-Za-z0-9._~+/-]+=*").fullmatch  # RFC 6750's b64token


class Server:
    """A server in a daemon thread; a with-block closes it.

    A forked child does not serve: its parent goes on.

    Attributes:
        port: The port; of another process where that was first.
        serving: Whether it is this process that serves.
    """

    def __init__(self, port: int, server: WSGIServer | None) -> None:
        self._server = server
        self.port = port if server is None else server.server_port
        self.serving = server is not None
        if server is not None:
            forks.renew_in_children(self)
            threading.Thread(
                target=self._serve, args=(server,), name="geomon-web", daemon=True
            ).start()

    def _serve(self, server: WSGIServer) -> None:
        """Serves, and so keeps this object alive for `forks`, whoever else drops it."""
        server.serve_forever()

    def close(self) -> None:
        """Ends it. Can be repeated."""
        server, self._server, self.serving = self._server, None, False
        if server is not None:
            server.shutdown()
            server.server_close()

    def after_fork(self) -> None:
        """Leaves the port to the parent, which could not close it otherwise."""
        server, self._server, self.serving = self._server, None, False
        if server is not None:
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
    log one line. A client that says nothing for ten seconds is cut off.

    Args:
        host: The address to listen on; `"0.0.0.0"` is every one, `"::"` of IPv6 too.
        port: The port; 0: any that is free.
        token: Asked for as `Authorization: Bearer ...`, where it is given.

    Raises:
        TypeError, ValueError: an argument cannot be.
        OSError: the address is none of this machine's, or the port may not be used.
    """
    _check(host, port, token)
    try:
        with forks.no_fork():
            return Server(port, _Server(host, port, _application(token)))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
    _log.info("port %d is taken; what serves there serves for this process too", port)
    return Server(port, None)


def _check(host: Any, port: Any, token: Any) -> None:
    if not isinstance(host, str) or not host:
        raise TypeError(f'host={host!r}: write an address, host="127.0.0.1"')
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"port={port!r}: write a number, port=9464")
    if not 0 <= port < 65536:
        raise ValueError(f"port={port}: write a number from 0 to 65535, port=9464")
    if token is not None and not (isinstance(token, str) and _is_token(token)):
        raise ValueError(
            "no client can send this token: write letters, digits and -._~+/, or leave it out"
        )


def _application(token: str | None) -> WSGI:
    metrics, health = metrics_wsgi(), health_wsgi()

    def answer(environ: Any, start_response: Any) -> Iterable[bytes]:
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

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        try:
            return answer(environ, start_response)
        except Exception as error:
            losses.failed("web", "failed", error, "a request to serve() got no answer")
            raise  # the server makes a 500 of it

    return app


def _knows(environ: Any, token: str) -> bool:
    scheme, _, given = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    is_right = hmac.compare_digest(given.lstrip(" ").encode(), token.encode())
    return is_right and scheme.lower() == "bearer"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, app: WSGI) -> None:
        self._free = threading.Semaphore(_CONNECTIONS)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self.address_family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        super().__init__(address, _Handler)  # type: ignore[arg-type] # IPv6's has four parts
        self.set_app(app)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or says nothing, is no news."""
        _log.debug("a connection broke off", exc_info=True)


class _Handler(WSGIRequestHandler):
    timeout = 10.0  # seconds without a word

    def get_stderr(self) -> TextIO:
        """Nowhere: what fails in the application is logged there; here only a client can."""
        return io.StringIO()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: a scrape every few seconds is no news."""
