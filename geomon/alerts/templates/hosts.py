"""`stripPort` and `stripDomain`, with Go's idea of a host and a port."""

from __future__ import annotations

from ipaddress import ip_address


def strip_port(text: str) -> str:
    """`a.example:9090` is `a.example`; what has no port stays."""
    parts = _split(text)
    return text if parts is None else parts[0]


def strip_domain(text: str) -> str:
    """`a.example:9090` is `a:9090`; addresses stay."""
    host, port = _split(text) or (text, "")
    if _is_address(host):
        return text
    host = host.split(".", 1)[0]
    if not port:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _split(text: str) -> tuple[str, str] | None:
    before, colon, port = text.rpartition(":")
    if not colon:
        return None
    if text[0] != "[":
        wrong = ":" in before or "[" in text or "]" in text
        return None if wrong else (before, port)
    host, bracket, rest = text[1:].partition("]")
    wrong = not bracket or not rest.startswith(":") or ":" in rest[1:]
    return None if wrong or "[" in host or "[" in rest or "]" in rest else (host, port)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return "%" not in host  # Go's ParseIP knows no zones
