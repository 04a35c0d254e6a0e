"""The body of `/metrics`: Prometheus's text or OpenMetrics, as asked for, gzipped if it may be."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from geomon import dispatch, registries, runtime, workers

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

Headers = list[tuple[str, str]]


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
    from prometheus_client.exposition import choose_encoder

    dispatch.settle()
    workers.look()
    encode, content_type = choose_encoder(accept)
    encoder: Callable[[Any], bytes] = encode
    shown = registries.merged(runtime.registry()) if registry is None else registry
    body = encoder(registries.Steady(shown))
    headers = [("Content-Type", content_type), ("Vary", "Accept, Accept-Encoding")]
    if _takes_gzip(accept_encoding):
        body = gzip.compress(body, 1)
        headers.append(("Content-Encoding", "gzip"))
    return [*headers, ("Content-Length", str(len(body)))], body


def _takes_gzip(accept_encoding: str) -> bool:
    for choice in accept_encoding.lower().split(","):
        coding, _, quality = choice.partition(";")
        if coding.strip() in ("gzip", "*"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
