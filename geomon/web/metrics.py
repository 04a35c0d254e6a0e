"""The body of `/metrics`: Prometheus's text or OpenMetrics, as asked for, gzipped if it may be."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import suppress
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from geomon import dispatch, registries, runtime, workers

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

Headers = list[tuple[str, str]]

_PLAIN = ("text/plain", "text/*", "*/*")


def payload(
    registry: CollectorRegistry | None, accept: str, accept_encoding: str
) -> tuple[Headers, bytes]:
    """Headers and body for what a request accepts. It takes its time: not for an event loop.

    Args:
        registry: What is shown; None: that of `configure()`, in multiprocess mode merged over all
            workers.
        accept: The request's `Accept`.
        accept_encoding: Its `Accept-Encoding`.
    """
    dispatch.settle()
    workers.look()
    encode, content_type = _encoder(accept)
    shown = registries.merged(runtime.registry()) if registry is None else registry
    body = encode(registries.Steady(shown))
    headers = [("Content-Type", content_type), ("Vary", "Accept, Accept-Encoding")]
    if _takes_gzip(accept_encoding):
        body = gzip.compress(body, 1)
        headers.append(("Content-Encoding", "gzip"))
    return [*headers, ("Content-Length", str(len(body)))], body


def _encoder(accept: str) -> tuple[Callable[[Any], bytes], str]:
    """prometheus-client's encoder of what is liked best, and its content type.

    prometheus-client itself does not read qualities, and fails on a version that is no number.
    """
    from prometheus_client.exposition import choose_encoder

    plain = choose_encoder("")
    liked = [(choice, quality) for choice, quality in _choices(accept) if quality > 0]
    for choice, _ in sorted(liked, key=itemgetter(1), reverse=True):
        with suppress(TypeError):
            chosen = choose_encoder(choice)
            if chosen != plain or choice.partition(";")[0].strip() in _PLAIN:
                return chosen
    return plain


def _takes_gzip(accept_encoding: str) -> bool:
    qualities = {coding.partition(";")[0].strip(): q for coding, q in _choices(accept_encoding)}
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def _choices(header: str) -> Iterator[tuple[str, float]]:
    """The choices of an `Accept` or `Accept-Encoding`, and the quality of each (RFC 9110, 12.4)."""
    for choice in header.lower().split(","):
        parameters = (parameter.strip() for parameter in choice.split(";")[1:])
        yield choice, next((_number(p[2:]) for p in parameters if p.startswith("q=")), 1.0)


def _number(quality: str) -> float:
    try:
        return float(quality)
    except ValueError:
        return 0.0
