"""Where the control groups are mounted: `/proc/self/mountinfo`, as in proc_pid_mountinfo(5)."""

from __future__ import annotations

import re
from typing import NamedTuple

_ESCAPE = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """One mounted hierarchy, or a part of it."""

    version: int
    """1 or 2."""
    root: str
    """The group that is seen at the mount point; above the namespace's root it begins with /.."""
    point: str
    """The directory."""
    controllers: frozenset[str]
    """What a hierarchy of version 1 controls; empty for version 2, where files say so."""


def mounts(mountinfo: str) -> list[Mount]:
    """The hierarchies that are mounted, in the file's order; a line that cannot be is left out."""
    return [mount for line in mountinfo.splitlines() if (mount := _mount(line)) is not None]


def _mount(line: str) -> Mount | None:
    head, separator, tail = line.partition(" - ")
    fields, kinds = head.split(" "), tail.split(" ")
    if not separator or len(fields) < 6 or kinds[0] not in ("cgroup", "cgroup2"):
        return None
    version = 2 if kinds[0] == "cgroup2" else 1
    options = kinds[2].split(",") if version == 1 and len(kinds) > 2 else ()
    return Mount(version, _unescaped(fields[3]), _unescaped(fields[4]), frozenset(options))


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)
