"""Posting JSON, and what the answer means for another try."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib import request
from urllib.error import URLError

from geomon import clock
from geomon.alerts.alert import DeliveryError
from geomon.alerts.notifiers.addresses import Address, address
from geomon.version import __version__

_LONGEST_ANSWER = 64 * 1024
_PASSING = {408, 425, 429}
"""Client errors that another try may not meet."""


class Answer(NamedTuple):
    """What a server said."""

    status: int
    body: bytes
    """The beginning of what it said to an error."""
    retry_after: float | None
    """Seconds that it asked to wait."""
    location: str | None
    """Where it redirects to: what may be shown of it."""


class Poster:
    """Posts to one address. The environment's proxies are used; redirects are not followed.

    Args:
        target: Where to.
        timeout: Seconds that connecting, and each step of the answer, may take.
        headers: Further ones.
        ssl_context: Whom to trust; default: the system's authorities.
    """

    def __init__(
        self,
        target: Address,
        timeout: float,
        headers: Mapping[str, str],
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.target = target
        self._timeout = timeout
        self._headers = {
            "Content-Type": "application/json",
            "User-Agent": f"geomon/{__version__}",
            **dict(target.headers),
            **headers,
        }
        self._opener = _opener(ssl_context or ssl.create_default_context())

    def post(self, body: bytes) -> Answer:
        """Posts a body.

        Raises:
            DeliveryError: there was no answer.
        """
        asked = request.Request(self.target.url, body, self._headers, method="POST")
        try:
            with self._opener.open(asked, timeout=self._timeout) as response:
                return self._read(response)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DeliveryError(f"{self.target.shown}: {_reason(error)}") from None

    def _read(self, response: http.client.HTTPResponse) -> Answer:
        status, headers = response.status, response.headers
        body = b""
        if status >= 400:
            with suppress(OSError, http.client.HTTPException):
                body = _beginning(response, time.monotonic() + self._timeout)
        return Answer(
            status, body, _seconds(headers.get("Retry-After")), _place(headers.get("Location"))
        )


def _beginning(response: http.client.HTTPResponse, deadline: float) -> bytes:
    body = b""
    while len(body) < _LONGEST_ANSWER and time.monotonic() < deadline:
        piece = response.read1(_LONGEST_ANSWER)
        if not piece:
            break
        body += piece
    return body


def _opener(context: ssl.SSLContext) -> request.OpenerDirector:
    """Like `urllib.request.build_opener`, which also follows redirects, and opens files."""
    opener = request.OpenerDirector()
    opener.add_handler(request.ProxyHandler())
    opener.add_handler(request.HTTPHandler())
    opener.add_handler(request.HTTPSHandler(context=context))
    return opener


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After`, in seconds or as a date; None where it is neither."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - clock.wall())
    except (ValueError, TypeError, OverflowError):
        return None


def _place(location: str | None) -> str | None:
    try:
        return address("Location", location).shown
    except (TypeError, ValueError):
        return None


def _reason(error: BaseException) -> str:
    """Why there was no answer, in words that hold nothing of the request."""
    inner = error.reason if isinstance(error, URLError) else error
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {inner.verify_message}"
    if isinstance(inner, TimeoutError):
        return "no answer in time"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return type(inner).__name__ if isinstance(inner, BaseException) else type(error).__name__


def refusal(answer: Answer, shown: str) -> DeliveryError | None:
    """What to raise for an answer; None where the message was taken.

    Args:
        answer: What the server said.
        shown: What may be shown of its address.
    """
    status = answer.status
    if 200 <= status < 300:
        return None
    text = f"{shown} answered {status}"
    if 300 <= status < 400:
        place = f" to {answer.location}" if answer.location else ""
        return DeliveryError(f"{text}, a redirect{place}: write the final URL", retry=False)
    retry = status >= 500 or status in _PASSING
    return DeliveryError(text, retry=retry, after=answer.retry_after if retry else None)
