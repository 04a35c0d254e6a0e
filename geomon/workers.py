"""Worker processes whose numbers do not add up, because nothing tells them where to meet."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from geomon import forks, losses, registries

if TYPE_CHECKING:
    import psutil

_log = logging.getLogger("geomon.metrics")
_LOOKS = 5
"""How often is looked: the first worker may be asked before the second has started."""

_looked: dict[int, int] = {}  # by process, since a child inherits it


def look() -> None:
    """Says once, in one of several workers, that `PROMETHEUS_MULTIPROC_DIR` is not set."""
    own = os.getpid()
    looks = _looked.get(own, 0)
    if looks >= _LOOKS or registries.directory() is not None:
        return
    _looked[own] = looks + 1
    try:
        with forks.no_fork():  # it would leave an import of psutil half done in a child
            workers = _workers()
    except Exception as error:  # the system does not show its processes
        _looked[own] = _LOOKS
        losses.failed("metrics", "workers", error, "whether there are several workers")
        return
    if len(workers) < 2:
        return
    _looked[own] = _LOOKS
    if own == min(workers):
        _log.warning(
            "this is one of %d worker processes, and each counts for itself alone: set "
            "PROMETHEUS_MULTIPROC_DIR to an empty directory before the program starts, and their "
            "numbers add up",
            len(workers),
        )


def _workers() -> list[int]:
    """The processes that a process of the same program started as it started this one."""
    import psutil

    own = psutil.Process()
    parent = own.parent()
    if parent is None or parent.exe() != own.exe():
        return []
    kind = _kind(own.cmdline(), parent.cmdline())
    if kind is None:
        return []
    return [
        child.pid for child in parent.children() if _kind(_command(child), parent.cmdline()) == kind
    ]


def _command(process: psutil.Process) -> list[str]:
    import psutil

    try:
        return process.cmdline()
    except psutil.Error:  # it has ended
        return []


def _kind(command: list[str], parent: list[str]) -> str | None:
    """How a process was started: forked, or by multiprocessing's `spawn`; None: otherwise."""
    if any("multiprocessing.spawn" in argument for argument in command):
        return "spawned"
    return "forked" if command and command == parent else None
