"""Which registry is read: in multiprocess mode the one that adds up all workers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


def directory() -> str | None:
    """The workers' common directory; None where there is one process."""
    return os.environ.get("PROMETHEUS_MULTIPROC_DIR") or None


def merged(registry: CollectorRegistry | None) -> Any:
    """A registry to read: merged over the workers where it is the default one (None too).

    A registry of the program's own is read as it is.
    """
    from prometheus_client import REGISTRY, CollectorRegistry, multiprocess

    if directory() is not None and registry in (None, REGISTRY):
        sums = CollectorRegistry()
        multiprocess.MultiProcessCollector(sums)  # type: ignore[no-untyped-call]
        return sums
    return REGISTRY if registry is None else registry
