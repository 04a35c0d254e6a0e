"""Hosts: as a metric label, and as a list that the program gives."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


class Hosts:
    """A list of hosts: names, addresses, and `*.example.com` for all hosts below one.

    Args:
        patterns: Without scheme and port; `*` alone stands for every host.
        option: What the program knows the list as.

    Raises:
        TypeError: it is no list of strings.
        ValueError: a pattern could never match a host.
    """

    __slots__ = ("_all", "_below", "_exact")

    def __init__(self, patterns: Iterable[str], option: str) -> None:
        if isinstance(patterns, str | bytes) or not isinstance(patterns, Iterable):
            raise TypeError(f'{option}={patterns!r}: write {option}=["api.internal"], a list')
        cleaned = [_cleaned(pattern, option) for pattern in patterns]
        self._all = "*" in cleaned
        self._exact = frozenset(cleaned)
        self._below = tuple(pattern[1:] for pattern in cleaned if pattern.startswith("*."))

    def __contains__(self, host: str) -> bool:
        host = host.strip("[]").removesuffix(".").lower()
        return self._all or host in self._exact or host.endswith(self._below)

    def has_label(self, label: str | None) -> bool:
        """Whether the host of a metric label is on it."""
        if label is None or not self._exact:
            return False
        name, _, port = label.rpartition(":")
        return (name if port.isdecimal() else label) in self

    def __bool__(self) -> bool:
        return bool(self._exact)


def _cleaned(pattern: Any, option: str) -> str:
    if not isinstance(pattern, str):
        raise TypeError(f'{option}=[{pattern!r}]: write a host\'s name, such as "api.internal"')
    if pattern == "*":
        return pattern
    host = _ascii(pattern.strip().strip("[]").removesuffix(".").lower())
    if not _is_address(host) and _NAME.fullmatch(host) is None:
        raise ValueError(
            f"{option}=[{pattern!r}] is no host: write its name without scheme, port and path, "
            'such as "api.internal" or "*.example.com"'
        )
    return host


def _ascii(host: str) -> str:
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def label(host: str, port: int | None) -> str | None:
    """The metric label of a host: with its port where that is not the scheme's own."""
    name = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return (name if port is None else f"{name}:{port}") or None


@lru_cache(maxsize=1024)
def split(origin: str) -> tuple[str, str | None]:
    """Host and label of what stands before a URL's path; credentials are left out.

    Raises:
        ValueError: it is no URL's beginning.
    """
    parts = urlsplit(origin)
    host, port = _ascii(parts.hostname or ""), parts.port
    return host, label(host, None if port == _DEFAULT_PORTS.get(parts.scheme) else port)
