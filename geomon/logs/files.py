"""A log file that rotates by bytes, and that one process at a time writes to.

The first process holds `app.json` by a lock (`flock`), others write `app.<pid>.json` beside it,
and take over what a process that has ended left behind, so that there are never more files than
processes. A file of such a name that does not begin as a record of geomon's is somebody else's, and
left alone. Where a system has no `flock`, all write to the one file.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Final

from geomon import clock, losses

_flock: Callable[[int, int], None] | None
try:
    import fcntl
except ImportError:  # Windows
    _flock = None
    _EXCLUSIVE = 0
else:
    _flock = fcntl.flock
    _EXCLUSIVE = fcntl.LOCK_EX | fcntl.LOCK_NB

_OPEN: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
_MOST_FILES: Final = 100  # of one process that has as many handlers for one file
_BEGINNING: Final = b'{"timestamp":"'  # of a record's line
_PATIENCE = 60.0  # seconds until a rotation that failed is tried again


class RotatingFile:
    """Whole lines at the end of a file.

    Args:
        path: The file; its directory is made when first written to.
        max_bytes: The size at which it is renamed to `app.json.1`, and that to `app.json.2`. A
            longer line stands in a file alone.
        backups: How many renamed files are kept.
    """

    def __init__(self, path: str | os.PathLike[str], max_bytes: int, backups: int) -> None:
        self.path = Path(os.path.abspath(path))
        """The file that the first process writes to."""
        self._max_bytes = max_bytes
        self._backups = backups
        self._fd = -1
        self._size = 0
        self._current = self.path
        self._no_rotation_until = 0.0

    def write(self, lines: Sequence[bytes]) -> None:
        """Appends lines; those that cannot be written are counted."""
        done = 0
        try:
            self._check()
            while done < len(lines):
                fitting = self._fitting(lines, done)
                self._append(lines[done : done + fitting])
                done += fitting
        except _PartlyWrittenError as error:
            self._lost(len(lines) - done - error.lines, error.cause)
        except OSError as error:
            self._lost(len(lines) - done, error)

    def close(self) -> None:
        """Gives the file and its lock back. Writing again opens it again."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with suppress(OSError):
                os.close(fd)

    def _lost(self, count: int, error: OSError) -> None:
        self.close()
        losses.count("logs", "not_written", count)
        losses.say_once("logs", "not_written", f"log records for {self.path}: {error}")

    def _check(self) -> None:
        """Opens the file where it is not open, or another process has removed or renamed it."""
        if self._fd >= 0 and not _is(self._fd, self._current):
            self.close()
        if self._fd < 0:
            self._open()
        self._size = os.fstat(self._fd).st_size  # it may have been cut: logrotate's copytruncate

    def _fitting(self, lines: Sequence[bytes], start: int) -> int:
        """How many lines go into the file as it stands; it is rotated where the first does not."""
        first = len(lines[start])
        if self._size and self._size + first > self._max_bytes and self._may_rotate():
            self._rotate()
        sizes = accumulate(map(len, lines[start:]), initial=self._size)
        fitting = sum(size <= self._max_bytes for size in sizes) - 1
        return max(fitting, 1) if self._may_rotate() else len(lines) - start

    def _append(self, lines: Sequence[bytes]) -> None:
        data = b"".join(lines)
        written = 0
        try:
            while written < len(data):
                written += os.write(self._fd, data[written:] if written else data)
        except OSError as error:
            raise _PartlyWrittenError(self._whole(lines, written), error) from error
        self._size += written

    def _whole(self, lines: Sequence[bytes], written: int) -> int:
        """Cuts off the part of a line that was written when the disk was full."""
        ends = list(accumulate(map(len, lines), initial=0))
        whole = max(place for place, end in enumerate(ends) if end <= written)
        if ends[whole] < written:
            with suppress(OSError):
                size = os.fstat(self._fd).st_size
                os.ftruncate(self._fd, size - (written - ends[whole]))
        return whole

    # --- opening

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for path in self._candidates():
            fd = _opened(path)
            if _locked(fd) and _is(fd, path):
                self._fd, self._current = fd, path
                self._begin()
                return
            os.close(fd)
        raise OSError(errno.EBUSY, f"none of its {_MOST_FILES} names can be locked")

    def _candidates(self) -> Iterator[Path]:
        """The names to try; each is taken only while somebody holds it."""
        yield self.path
        own = _with_pid(self.path)
        if not any(path.exists() for path in self._with_backups(own)):
            with suppress(OSError):
                self._adopt(own)
        yield own
        for number in range(2, _MOST_FILES):
            yield own.with_suffix(f".{number}{own.suffix}")

    def _with_backups(self, path: Path) -> list[Path]:
        return [path, *(_rotated(path, number) for number in range(1, self._backups + 1))]

    def _adopt(self, own: Path) -> None:
        """Renames the files of a process that has ended to this one's."""
        for path in _of_others(self.path):
            try:
                fd = os.open(path, os.O_RDWR)
            except OSError:
                continue
            try:
                if _is_of_records(fd) and _locked(fd) and _is(fd, path):
                    pairs = zip(self._with_backups(path), self._with_backups(own), strict=True)
                    for theirs, ours in reversed(list(pairs)):
                        _rename(theirs, ours)
                    return
            finally:
                os.close(fd)

    def _begin(self) -> None:
        """Goes on where the file ends; a line that a killed process did not end is ended."""
        self._size = os.fstat(self._fd).st_size
        if self._size and os.pread(self._fd, 1, self._size - 1) != b"\n":
            self._size += os.write(self._fd, b"\n")

    # --- rotation

    def _may_rotate(self) -> bool:
        return self._max_bytes > 0 and clock.monotonic() >= self._no_rotation_until

    def _rotate(self) -> None:
        path = self._current
        try:
            for number in range(self._backups - 1, 0, -1):
                _rename(_rotated(path, number), _rotated(path, number + 1))
            os.replace(path, _rotated(path, 1))
        except OSError as error:  # the file grows on
            self._no_rotation_until = clock.monotonic() + _PATIENCE
            losses.count("logs", "rotation_failed")
            losses.say_once("logs", "rotation_failed", f"rotation of {path}: {error}")
            return
        self.close()
        self._open()


class _PartlyWrittenError(Exception):
    def __init__(self, lines: int, cause: OSError) -> None:
        super().__init__(str(cause))
        self.lines = lines
        self.cause = cause


def _opened(path: Path) -> int:
    """A descriptor that is not mistaken for a standard stream's which the program has closed."""
    fd = os.open(path, _OPEN, 0o666)
    if fd > 2:
        return fd
    try:
        return _opened(path)
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    """Whether the file is this process's alone now; a system without locks shares it."""
    if _flock is None:
        return True
    try:
        _flock(fd, _EXCLUSIVE)
    except BlockingIOError:
        return False
    except OSError as error:
        return error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
    return True


def _is(fd: int, path: Path) -> bool:
    """Whether the open file is the one that has this name."""
    try:
        named = os.stat(path)
    except OSError:
        return False
    opened = os.fstat(fd)
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def _is_of_records(fd: int) -> bool:
    return os.pread(fd, len(_BEGINNING), 0) == _BEGINNING


def _with_pid(path: Path) -> Path:
    return path.with_suffix(f".{os.getpid()}{path.suffix}")


def _of_others(path: Path) -> list[Path]:
    name = re.compile(re.escape(path.stem) + r"\.\d+(\.\d+)?" + re.escape(path.suffix))
    return sorted(other for other in path.parent.iterdir() if name.fullmatch(other.name))


def _rotated(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _rename(path: Path, to: Path) -> None:
    with suppress(FileNotFoundError):
        os.replace(path, to)
