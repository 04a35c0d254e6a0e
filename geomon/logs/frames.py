"""Exceptions as they are written: redacted, within the limits, with the code of each frame."""

from __future__ import annotations

import linecache
from typing import Any

from geomon.logs.cleaning import Cleaner
from geomon.logs.exceptions import Structure


def written(structure: Structure, cleaner: Cleaner) -> Structure:
    """What `exceptions.structure` took, as it is written."""
    result: Structure = {
        "type": cleaner.text(structure["type"]),
        "message": cleaner.share(structure["message"]),
        "stack": _stack(structure["stack"], cleaner),
    }
    if notes := structure.get("notes"):
        result["notes"] = cleaner.share(notes)
    for name in ("exceptions", "causes"):
        if others := structure.get(name):
            result[name] = _others(others, cleaner)
    return result


def _others(others: list[Any], cleaner: Cleaner) -> list[Any]:
    result: list[Any] = []
    for other in others:
        if cleaner.left <= 0:
            cleaner.cut = True
            result.append(f"… ({len(others) - len(result)} exceptions cut)")
            break
        if isinstance(other, str):
            cleaner.cut = True
            result.append(other)
        else:
            result.append(written(other, cleaner))
    return result


def _stack(frames: list[Any], cleaner: Cleaner) -> list[Any]:
    """The frames, as many of the innermost as there is room for."""
    whole = cleaner.left
    room = cleaner.left = whole * 3 // 4
    kept: list[Any] = []
    for frame in reversed(frames):
        if cleaner.left <= 0:
            cleaner.cut = True
            kept.append(f"… ({len(frames) - len(kept)} frames cut)")
            break
        kept.append(_frame(frame, cleaner))
    cleaner.left = whole - (room - cleaner.left)
    return kept[::-1]


def _frame(frame: Any, cleaner: Cleaner) -> Any:
    if isinstance(frame, str):
        cleaner.cut = True
        return frame
    cleaner.left -= 40  # names and punctuation
    line = frame["line"]
    code = linecache.getline(frame["file"], line).strip() if line else ""
    return {
        "file": cleaner.text(frame["file"]),
        "line": line,
        "function": cleaner.text(frame["function"]),
        "code": cleaner.text(code[:1_000]),
    }
