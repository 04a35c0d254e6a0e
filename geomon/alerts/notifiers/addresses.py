"""Where HTTP notifiers send: a URL, its credentials apart, and never shown whole."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

_EXAMPLE = "https://alerts.example.com/hook"


@dataclass(frozen=True)
class Address:
    """An `http://` or `https://` URL."""

    url: str = field(repr=False)
    """Without user and password. Its path may hold a token: not for logs."""
    shown: str
    """What may be shown: scheme, host and port."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """What its user and password make of the header `Authorization`."""


def address(argument: str, url: object, path: str = "") -> Address:
    """A URL taken apart.

    Args:
        argument: What the caller knows it as.
        url: The URL, which may hold a user and a password.
        path: What is put behind its path.

    Raises:
        TypeError: it is no text.
        ValueError: it is not such a URL. It is not shown.
    """
    if not isinstance(url, str):
        raise TypeError(f"{argument} is a text, not a {type(url).__name__}: write {_EXAMPLE!r}")
    parts = _split(url)
    if parts is None:
        raise ValueError(f"{argument} is no http:// or https:// URL: write {_EXAMPLE!r}")
    place = parts.netloc.rpartition("@")[2]
    whole = parts.path.rstrip("/") + path if path else parts.path or "/"
    bare = urlunsplit((parts.scheme, place, whole, parts.query, ""))
    return Address(bare, f"{parts.scheme}://{place}", _authorization(parts))


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    clear = url.isascii() and url.isprintable() and " " not in url
    return parts if usable and clear else None


def _authorization(parts: SplitResult) -> tuple[tuple[str, str], ...]:
    if parts.username is None:
        return ()
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return (("Authorization", "Basic " + base64.b64encode(pair).decode()),)
