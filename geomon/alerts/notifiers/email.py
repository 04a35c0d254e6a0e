"""Alerts by e-mail, over verified TLS."""

from __future__ import annotations

import ipaddress
import os
import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from typing import Literal

from geomon import losses
from geomon.alerts.alert import Alert, DeliveryError
from geomon.alerts.checks import number, text, texts
from geomon.alerts.notifiers.mails import mail

Tls = Literal["starttls", "tls", "none"]


class EmailNotifier:
    """Sends one mail for all alerts that changed, as plain text and HTML.

    Mails about the same alert refer to each other, so that mail programs show them together. A
    server's temporary refusals (4xx) and broken connections are tried again, permanent ones (5xx)
    are not. Where it refuses some recipients only, the others get the mail, and those are counted.

    Args:
        host: The SMTP server.
        port: Its port: 587 for `starttls`, 465 for `tls`.
        sender: The address that it comes from.
        recipients: The addresses that it goes to.
        user: To log in with; default: the environment's `GEOMON_SMTP_USER`; none: no login.
        password: Default: the environment's `GEOMON_SMTP_PASSWORD`. Do not write it into code.
        tls: `"starttls"`, `"tls"` from the first byte on, or `"none"`.
        timeout: Seconds that each step may take.
        cafile: A file of certificates to trust instead of the system's authorities.
        ssl_context: Whom to trust, in full.
        subject_prefix: Put before each subject.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument has a value that cannot be; or a password would go unencrypted to
            another machine.
    """

    name = "email"

    def __init__(
        self,
        host: str,
        port: int = 587,
        *,
        sender: str,
        recipients: Sequence[str],
        user: str | None = None,
        password: str | None = None,
        tls: Tls = "starttls",
        timeout: float = 10,
        cafile: str | os.PathLike[str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        subject_prefix: str = "[geomon] ",
    ) -> None:
        self._host = text("host", host, "smtp.example.com")
        self._port = int(number("port", port, 65535))
        self._sender = _address("sender", sender)
        several = texts("recipients", recipients, "ops@example.com")
        self._recipients = [_address("recipients", one) for one in several]
        self._user, self._password = _login(user, password)
        self._tls = _checked_tls(tls, self._host, self._user)
        self._timeout = number("timeout", timeout)
        self._context = ssl_context or _context(cafile)
        self._prefix = text("subject_prefix", subject_prefix, "[shop] ") if subject_prefix else ""

    def __repr__(self) -> str:
        return f"EmailNotifier({self._host!r}, {self._port}, recipients={self._recipients!r}, ...)"

    def __call__(self, alerts: Sequence[Alert]) -> None:
        """Sends the mail.

        Raises:
            DeliveryError: the server did not take it for anybody.
        """
        message = mail(alerts, self._sender, self._recipients, self._prefix)
        with _told_apart(self._place), self._connected() as server:
            refused = self._sent(server, message)
        if refused:
            with suppress(Exception):
                losses.count("notify", "recipient_refused", refused)
                what = f"{self._place} refuses {refused} of {len(self._recipients)} recipients"
                losses.say_once("notify", "recipient_refused", what)

    @property
    def _place(self) -> str:
        return f"{self._host}:{self._port}"

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        server = self._open()
        try:
            if self._tls == "starttls":
                server.starttls(context=self._context)
            if self._user is not None and self._password is not None:
                server.login(self._user, self._password)
            yield server
        finally:
            server.close()

    def _open(self) -> smtplib.SMTP:
        host, port, own, timeout = self._host, self._port, _own_name(), self._timeout
        if self._tls == "tls":
            return smtplib.SMTP_SSL(host, port, own, timeout=timeout, context=self._context)
        return smtplib.SMTP(host, port, own, timeout=timeout)

    def _sent(self, server: smtplib.SMTP, message: EmailMessage) -> int:
        """Sends it, and takes leave; how many recipients were refused."""
        refused = server.send_message(message, self._sender, self._recipients)
        with suppress(OSError, smtplib.SMTPException):  # it has been taken
            server.quit()
        return len(refused)


def _own_name() -> str:
    """What to greet with: `smtplib`'s own choice asks the DNS, which may take a minute."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"


@contextmanager
def _told_apart(place: str) -> Iterator[None]:
    """What can pass and what cannot. A server's words are not shown: they may hold anything."""
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        codes = sorted({code for code, _ in error.recipients.values()})
        retry = any(code < 500 for code in codes)
        raise DeliveryError(f"{place} refuses all recipients: {codes}", retry=retry) from None
    except smtplib.SMTPResponseException as error:
        raise _refused(place, error) from None
    except smtplib.SMTPNotSupportedError as error:
        raise DeliveryError(f"{place} cannot do it: {error}", retry=False) from None
    except (OSError, smtplib.SMTPException) as error:
        raise DeliveryError(f"{place}: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or type(error).__name__


def _refused(place: str, error: smtplib.SMTPResponseException) -> DeliveryError:
    code = error.smtp_code
    step = "the login" if isinstance(error, smtplib.SMTPAuthenticationError) else "the mail"
    return DeliveryError(f"{place} refuses {step}: {code}", retry=not 500 <= code < 600)


def _address(argument: str, value: object) -> str:
    found = text(argument, value, "ops@example.com")
    before, at, domain = found.rpartition("@")
    if not (before and at and domain and domain.isascii()) or any(
        char in found for char in " <>,;\"'()"
    ):
        raise ValueError(f"{argument}: {found!r} is no address: write 'ops@example.com'")
    return found


def _login(user: str | None, password: str | None) -> tuple[str | None, str | None]:
    user = os.environ.get("GEOMON_SMTP_USER") or None if user is None else user
    if user is None and password is None:
        return None, None
    password = os.environ.get("GEOMON_SMTP_PASSWORD") or None if password is None else password
    if user is None or password is None:
        missing, variable = ("user", "USER") if user is None else ("password", "PASSWORD")
        raise ValueError(
            f"the login has no {missing}: write {missing}=..., or set GEOMON_SMTP_{variable}"
        )
    for name, value in (("user", user), ("password", password)):
        if not text(name, value, "...").isascii():
            raise ValueError(f"{name} is not ASCII, which SMTP cannot log in with")
    return user, password


def _checked_tls(tls: object, host: str, user: str | None) -> str:
    if tls not in ("starttls", "tls", "none"):
        raise ValueError(f'tls={tls!r}: write "starttls" (port 587), "tls" (port 465) or "none"')
    if tls == "none" and user is not None and not _is_loopback(host):
        raise ValueError(
            f'the password would go to {host} unencrypted: write tls="starttls" or tls="tls"'
        )
    return str(tls)


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _context(cafile: str | os.PathLike[str] | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=cafile)
    except OSError as error:  # SSLError is one
        why = error.strerror or type(error).__name__
        raise ValueError(f"cafile={cafile!r} holds no certificates: {why}") from None
