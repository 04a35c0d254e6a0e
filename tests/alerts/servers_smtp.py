"""Real SMTP servers on loopback, and the certificates that they show."""

from __future__ import annotations

import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

USER, PASSWORD = "mailer", "correct horse"


class Certificates:
    """An authority of our own, and a server's certificate signed by it."""

    def __init__(self, directory: Path, name: str = "localhost") -> None:
        authority = trustme.CA()
        self.cafile = directory / "ca.pem"
        authority.cert_pem.write_to_path(str(self.cafile))
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name).configure_cert(self.server)


class Inbox:
    """What a server took; `refuses` says whom it does not take, and with which answer."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refuses: dict[str, str] = {}
        self.answer = "250 taken"
        self.port = 0

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answer.startswith("250"):
            found = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(found, EmailMessage)
            self.mails.append(found)
            self.recipients.append(envelope.rcpt_tos)
        return self.answer


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
    right = isinstance(data, LoginPassword) and data == LoginPassword(
        USER.encode(), PASSWORD.encode()
    )
    return AuthResult(success=right, handled=False)


@contextmanager
def smtp(
    certificates: Certificates | None = None, implicit: bool = False, login: bool = True
) -> Iterator[Inbox]:
    """A server: with STARTTLS where there are certificates, TLS from the start if `implicit`."""
    inbox = Inbox()

    class Server(Controller):
        def factory(self) -> SMTP:
            with warnings.catch_warnings():  # it warns of logins without STARTTLS
                warnings.simplefilter("ignore")
                return SMTP(
                    inbox,
                    hostname="localhost",
                    tls_context=None if implicit or certificates is None else certificates.server,
                    require_starttls=certificates is not None and not implicit,
                    auth_required=login,
                    auth_require_tls=certificates is not None and not implicit,
                    authenticator=_authenticate,
                )

    context = certificates.server if certificates is not None and implicit else None
    inbox.port = free_port()
    controller = Server(inbox, hostname="127.0.0.1", port=inbox.port, ssl_context=context)
    controller.start()
    try:
        yield inbox
    finally:
        controller.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def speaking(*lines: bytes) -> Iterator[int]:
    """A server that says these lines, one for each that it hears, and then breaks off.

    Without any line it accepts, and never answers. Gives its port.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    open_ones: list[socket.socket] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                open_ones.append(connection)
                for number, line in enumerate(lines):
                    if number:
                        connection.recv(4096)
                    connection.sendall(line)
                if lines:
                    connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for connection in open_ones:
            connection.close()
        thread.join()
