"""Request ids: which ones are taken over from a client, and how new ones are made."""

from __future__ import annotations

import os
import random
import re

_well_formed = re.compile(r"[A-Za-z0-9._-]{1,128}").fullmatch
_random = random.Random()  # not the module's own, which programs seed
_bits = _random.getrandbits

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


def is_well_formed(text: str) -> bool:
    """Whether a client's id may be logged and sent back: 1 to 128 of `A-Z a-z 0-9 . _ -`."""
    return _well_formed(text) is not None


def new_request_id() -> str:
    """A new id: 32 hex digits. It is unique, and no secret."""
    return f"{_bits(128):032x}"
