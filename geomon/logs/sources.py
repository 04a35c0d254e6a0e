"""Which files a path means, and reading them in blocks of whole lines."""

from __future__ import annotations

import errno
import gzip
import os
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from geomon.logs.names import family, in_directory, rotated

BLOCK = 256 * 1024  # stays in a processor's cache; measured: larger ones are not faster
MAX_LINE = 8 * 1024 * 1024  # a longer line is cut, so that memory is bounded whatever a file holds
_HEAD = 256  # bytes that tell a file from one that was written in its place
_START = 16 * 1024
_LISTED_AGAIN = 3  # a rotation in the middle of listing hides a file behind another's new name
STANDARD_INPUT = "-"

Identity = tuple[int, int]
"""Device and inode: what a file is, whatever its name is after a rotation."""


class LogFile:
    """One file, read once from its beginning, then on from where it ended.

    Args:
        path: Its name now; a rotation changes it.
        standard_input: Whether it is the process's standard input instead.

    Attributes:
        failure: Why it could not be read, or not to its end; None where it could.
    """

    def __init__(self, path: Path, standard_input: bool = False) -> None:
        self.path = path
        self._handle: BinaryIO | None = None
        self._rest: list[bytes] = []  # of a line whose end is not written yet
        self._offset = 0
        self._head = b""
        self._standard_input = standard_input
        found = os.fstat(0) if standard_input else os.stat(path)
        self.identity: Identity = (found.st_dev, found.st_ino)
        self.regular = stat.S_ISREG(found.st_mode) and not standard_input
        self.compressed = path.suffix == ".gz"
        self._seen = (-1, -1)
        self.failure: OSError | None = None

    @property
    def is_unread(self) -> bool:
        """Whether nothing of it could be read."""
        return self.failure is not None and self._offset == 0

    @property
    def is_open(self) -> bool:
        """Whether a handle is held, so that a renamed or removed file can still be read."""
        return self._handle is not None

    def open(self) -> BinaryIO:
        """Opens the file, under the name that it has now.

        Raises:
            OSError: It cannot be read, or is gone.
        """
        if self._handle is None:
            self._handle = self._opened()
        return self._handle

    def _opened(self) -> BinaryIO:
        if self._standard_input:
            return open(0, "rb", buffering=0, closefd=False)
        for path in (self.path, *family(self.path)):
            try:
                handle = self._handle_of(path)
            except FileNotFoundError:
                continue
            found = os.fstat(handle.fileno())
            if (found.st_dev, found.st_ino) == self.identity:
                self.path = path
                return handle
            handle.close()
        raise FileNotFoundError(errno.ENOENT, "rotated away while it was being read", self.path)

    def _handle_of(self, path: Path) -> BinaryIO:
        if self.compressed:
            return cast(BinaryIO, gzip.open(path))
        return open(path, "rb", buffering=0)

    def close(self) -> None:
        """Gives the handle back; the place in the file is kept."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def start(self) -> bytes:
        """The first bytes; nothing where they cannot be read, or once only."""
        if not self.regular:
            return b""
        held = self.is_open
        try:
            handle = self.open()
            handle.seek(0)
            return self._read(handle, _START)
        except OSError:  # `blocks` tells
            return b""
        finally:
            if not held:
                self.close()

    def blocks(self, last: bool = True) -> Iterator[bytes]:
        """What was not read yet, in blocks of whole lines without the last line's end.

        Where the file cannot be read any further it ends there, and `failure` says why.

        Args:
            last: Whether a last line without an end is given, or waits for its end.
        """
        try:
            handle = self._where_it_was()
            while chunk := self._read(handle, BLOCK):
                self._remember(chunk)
                yield from self._lines(chunk)
            self.failure = None
        except OSError as error:
            self.failure = error
        if last:
            yield from self.rest()

    def _where_it_was(self) -> BinaryIO:
        handle = self.open()
        if self.regular:
            self._seen = _state(os.fstat(handle.fileno()))
            handle.seek(self._offset)
        return handle

    def _read(self, handle: BinaryIO, size: int) -> bytes:
        # of a damaged compressed file, `read` would lose what stands before the damage
        read: Callable[[int], Any] = getattr(handle, "read1", handle.read)
        try:
            return cast(bytes, read(size))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise OSError(errno.EIO, f"cannot be decompressed: {error}", self.path) from None
        except OSError as error:
            error.filename = self.path
            raise

    def _remember(self, chunk: bytes) -> None:
        if len(self._head) < _HEAD and self._offset == len(self._head):
            self._head += chunk[: _HEAD - len(self._head)]
        self._offset += len(chunk)

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        end = chunk.rfind(b"\n")
        if end < 0:
            self._rest.append(chunk)
            if sum(map(len, self._rest)) > MAX_LINE:
                yield from self.rest()
            return
        first = chunk.find(b"\n") if self._rest else -1
        if self._rest:
            yield b"".join((*self._rest, chunk[:first]))
        if first < end:
            yield chunk[first + 1 : end]
        self._rest = [chunk[end + 1 :]] if end + 1 < len(chunk) else []

    def rest(self) -> Iterator[bytes]:
        """The line whose end was never written."""
        if self._rest:
            line, self._rest = b"".join(self._rest), []
            yield line

    def changed(self) -> bool:
        """Whether it was written to since it was last read.

        A compressed file that appears is none: what it holds was read before.
        """
        if not self.regular or self.compressed:
            return False
        try:
            found = os.fstat(self._handle.fileno()) if self._handle else os.stat(self.path)
        except OSError:
            return False
        return _state(found) != self._seen

    def restarted(self) -> bool:
        """Whether it was emptied and written anew; if so, it is read from its beginning."""
        handle = self.open()
        handle.seek(0)
        same = handle.read(len(self._head)) == self._head
        if same and os.fstat(handle.fileno()).st_size >= self._offset:
            return False
        self._offset, self._head = 0, b""
        return True


def _state(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns


def log_files(paths: Iterable[str | os.PathLike[str]], wait: bool = False) -> list[LogFile]:
    """The files that `paths` mean, each once, older ones of a rotation first.

    A directory means its `app.json` and those of other processes, `app.<pid>.json`; a file means
    itself; each together with what was rotated out of it, `app.json.1` and on.

    Args:
        paths: Directories and files; `-` is the standard input.
        wait: Whether what is not there yet is left out instead.

    Raises:
        FileNotFoundError: There is no such path, or no log file in it.
    """
    asked = [os.fspath(path) for path in paths]
    found = _listed(asked, wait)
    for _ in range(_LISTED_AGAIN):
        before, found = found, _listed(asked, wait)
        if before.keys() == found.keys():
            break
    return list(found.values())


def _listed(paths: Iterable[str], wait: bool) -> dict[Identity, LogFile]:
    found: dict[Identity, LogFile] = {}
    for path in paths:
        for file in _log_files(path, wait):
            found.setdefault(file.identity, file)
    return found


def _log_files(path: str, wait: bool) -> Iterator[LogFile]:
    if path == STANDARD_INPUT:
        yield LogFile(Path("(standard input)"), standard_input=True)
        return
    names = in_directory(Path(path)) if os.path.isdir(path) else rotated(Path(path))
    empty = True
    for name in names:
        try:
            yield LogFile(name)
        except FileNotFoundError:  # rotated away since the directory was listed
            continue
        empty = False
    if empty and not wait:
        raise FileNotFoundError(errno.ENOENT, _missing(path), path)


def _missing(path: str) -> str:
    if not os.path.isdir(path):
        return "there are no logs here: name a log file, or a directory with app.json in it"
    others = sorted(name for name in os.listdir(path) if name.endswith((".json", ".log")))
    return "there is no app.json in this directory" + (
        f"; name a file, as in {os.path.join(path, others[0])}" if others else ""
    )
