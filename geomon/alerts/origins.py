"""What counters count in: tells whether they began anew since a state was saved."""

from __future__ import annotations

import os

from geomon import registries
from geomon.alerts import leader

_PROCESS = os.urandom(8).hex()  # a forked child has it too: it counts on


def origin() -> str:
    """Names this process, forks included, or the workers' directory since it was last emptied."""
    common = registries.directory()
    if common is None:
        return _PROCESS
    try:
        found = os.stat(os.path.join(common, leader.NAME))  # written once, by the first worker
    except OSError:
        return ""
    return f"{found.st_ino} {found.st_mtime_ns}"
