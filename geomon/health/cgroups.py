"""The control groups that this process is in: cgroups(7), versions 1 and 2, and both at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from geomon.health.mounts import Mount, mounts


class Place(NamedTuple):
    """The process's group in one hierarchy."""

    top: Path
    """The outermost group that can be seen."""
    own: Path
    """The process's own."""

    def levels(self) -> list[Path]:
        """The own group and its ancestors, outermost last: a limit of any of them holds."""
        above = [*self.own.parents]
        return [self.own, *above[: above.index(self.top) + 1]] if self.top in above else [self.own]


class Cgroups:
    """Finds the groups of this process, anew at each `look`: it may be moved while it runs.

    Args:
        root: The directory that holds `proc` and the mount points; tests give a recorded tree.
    """

    def __init__(self, root: str | os.PathLike[str] = "/") -> None:
        self._root = Path(root)
        self._seen: str | None = None
        self._mounts: list[Mount] = []
        self._paths: list[tuple[frozenset[str], str]] = []

    def look(self) -> None:
        """Reads where the process is now."""
        text = read(self._root / "proc/self/cgroup") or ""
        if text != self._seen:  # mounts may be thousands, and are needed for a new place only
            self._mounts = mounts(read(self._root / "proc/self/mountinfo") or "")
            self._paths = _paths(text)
            self._seen = text

    def place(self, controller: str) -> Place | None:
        """The group under a controller (`memory`, `cpu`, `cpuacct`, `cpuset`).

        None where there is none, or it cannot be seen from here.
        """
        for controllers, path in self._paths:
            if controller in controllers:
                return self._found(path, [m for m in self._mounts if controller in m.controllers])
        for controllers, path in self._paths:
            if not controllers:
                return self._found(path, [m for m in self._mounts if m.version == 2])
        return None

    def _found(self, path: str, candidates: Sequence[Mount]) -> Place | None:
        for mount in candidates:
            below = _below(path, mount.root)
            own = None if below is None else self._directory(mount, below)
            if own is not None and own.is_dir():
                return Place(self._directory(mount), own)
        if path.startswith("/..") or not candidates:
            return None
        top = self._directory(candidates[0])  # the path is the host's, this what a container sees
        return Place(top, top)

    def _directory(self, mount: Mount, below: str = "") -> Path:
        return self._root / (mount.point + below).lstrip("/")


def _paths(text: str) -> list[tuple[frozenset[str], str]]:
    """Controllers and path by line; version 2 has no controllers here."""
    lines = [line.split(":", 2) for line in text.splitlines()]
    return [(frozenset(filter(None, line[1].split(","))), line[2]) for line in lines if line[2:]]


def _below(path: str, root: str) -> str | None:
    """The part of a group's path below a mount's root."""
    root = root.rstrip("/")
    if path == root or path.startswith(root + "/"):
        below = path[len(root) :].rstrip("/")
        return None if ".." in below.split("/") else below
    return None


def read(path: Path) -> str | None:
    """A file's text; None where it cannot be read."""
    try:
        return path.read_text("utf-8", "surrogateescape")
    except (OSError, ValueError):
        return None


def number(path: Path) -> int | None:
    """A file's number; None where there is none: `max` and `-1` mean no limit."""
    return whole(read(path))


def whole(text: str | None) -> int | None:
    """A text's number, 0 or more."""
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 25 else None


def table(path: Path) -> dict[str, int]:
    """A file of names and numbers, such as `memory.stat`; empty where it cannot be read."""
    pairs = [line.split() for line in (read(path) or "").splitlines()]
    numbers = {pair[0]: whole(pair[1]) for pair in pairs if len(pair) == 2}
    return {name: value for name, value in numbers.items() if value is not None}
