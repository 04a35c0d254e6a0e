"""Streams that were dropped where sinks must not run.

That is in a sink, or in the garbage collector, which may have come while any lock is held. The next
call's begin, a scrape and a close end their calls.
"""

from __future__ import annotations

import gc
from _thread import get_ident
from collections import deque
from typing import Any

from geomon import context
from geomon.tracking.chain import ENDING

dropped: deque[tuple[Any, float]] = deque()
"""Calls whose streams wait for that, with their ends."""

_collecting = False


def is_bad_moment() -> bool:
    """Whether sinks must not run here and now."""
    here = context.current_call.get()
    in_a_sink = here is not None and here._state == ENDING and here._thread == get_ident()
    return in_a_sink or _collecting


def _note_collection(phase: str, info: Any) -> None:
    global _collecting
    _collecting = phase == "start"


gc.callbacks.append(_note_collection)
