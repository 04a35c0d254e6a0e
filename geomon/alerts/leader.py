"""Which of several workers notifies: the one that holds a lock in their common directory."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Protocol

from geomon import registries

NAME = "geomon-alerts.lock"


class Leader(Protocol):
    """Says whether this process notifies."""

    def leads(self) -> bool:
        """Whether it does now; asked at every evaluation."""
        ...

    def close(self) -> None:
        """Leaves it to another."""
        ...


class Alone:
    """The only process: it always notifies."""

    def leads(self) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """Nothing to leave."""


class Locked:
    """One of several workers. The lock goes with the process that holds it, however it ends.

    Args:
        directory: The workers' common directory, `PROMETHEUS_MULTIPROC_DIR`.
    """

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, NAME)
        self._fd = -1
        self._pid = 0

    def leads(self) -> bool:
        """Whether this process holds the lock, or gets it now."""
        if self._pid != os.getpid():  # a fork's copy of the descriptor holds the parent's lock
            self.close()
            self._pid = os.getpid()
        if self._fd >= 0:
            return self._is_still_there() or self._taken()
        return self._taken()

    def close(self) -> None:
        """Leaves it to another."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with suppress(OSError):
                os.close(fd)

    def _taken(self) -> bool:
        self.close()
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError:  # nobody can hold it: better told twice than not at all
            return True
        try:
            import fcntl  # not on Windows, where prometheus-client has no multiprocess mode either

            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        except OSError:
            os.close(fd)
            return True
        self._fd = fd
        return True

    def _is_still_there(self) -> bool:
        """Whether the file was not removed: then others would lock another one."""
        try:
            named, opened = os.stat(self._path), os.fstat(self._fd)
        except OSError:
            return False
        return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def leader() -> Leader:
    """Who says whether this process notifies: the lock where there may be several workers."""
    directory = registries.directory()
    return Alone() if directory is None else Locked(directory)
