"""The names of log files: which ones belong together, and which of them is older."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

# app.json, app.<pid>.json of a further process, app.<pid>.2.json of its second pipeline
_APP = re.compile(r"app(?:\.[0-9]+){0,2}\.json")
_ROTATED = re.compile(r"(?P<name>.*)\.(?P<number>[0-9]{1,9})(?:\.gz)?", re.DOTALL)


def in_directory(directory: Path) -> list[Path]:
    """The log files that geomon wrote into a directory, older ones of a rotation first.

    `error.json` is none of them: what stands in it stands in `app.json` too.
    """
    return _sorted(directory, (n for n in os.listdir(directory) if _APP.fullmatch(_split(n)[0])))


def rotated(path: Path) -> list[Path]:
    """The path, after those that were rotated out of it; older ones first."""
    return [*(other for other in family(path) if _split(other.name)[0] == path.name), path]


def family(path: Path) -> list[Path]:
    """The files beside `path` that are of one rotation with it; older ones first."""
    own, base = path.name, _split(path.name)[0]
    try:
        names = os.listdir(path.parent)
    except OSError:
        return []
    return _sorted(path.parent, (n for n in names if n != own and _split(n)[0] in (own, base)))


def _sorted(directory: Path, names: Iterable[str]) -> list[Path]:
    """Without a compressed file beside which the one that it was made from still stands."""
    found = set(names)
    kept = (name for name in found if name.removesuffix(".gz") not in found - {name})
    return [directory / name for name in sorted(kept, key=_age)]


def _split(name: str) -> tuple[str, int]:
    match = _ROTATED.fullmatch(name)
    return (match["name"], int(match["number"])) if match else (name, 0)


def _age(name: str) -> tuple[str, int]:
    base, number = _split(name)
    return base, -number
