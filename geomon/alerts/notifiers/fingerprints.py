"""The number by which Prometheus and Alertmanager tell label sets apart."""

from __future__ import annotations

from collections.abc import Mapping

_OFFSET = 14695981039346656037
_PRIME = 1099511628211
_SEPARATOR = b"\xff"


def fingerprint(labels: Mapping[str, str]) -> str:
    """FNV-1a, 64 bits, of the sorted labels: Prometheus's `LabelSet.Fingerprint`, in hex digits."""
    number = _OFFSET
    for name, value in sorted((_bytes(name), _bytes(value)) for name, value in labels.items()):
        for byte in name + _SEPARATOR + value + _SEPARATOR:
            number = (number ^ byte) * _PRIME & 0xFFFFFFFFFFFFFFFF
    return f"{number:016x}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
