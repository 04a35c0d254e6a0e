"""Reading the logs back: `read`."""

from __future__ import annotations

import heapq
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from types import TracebackType

from geomon.logs.criteria import Criteria, criteria
from geomon.logs.follow import Follower
from geomon.logs.lines import Record
from geomon.logs.scan import Item, Scan, Tally
from geomon.logs.sources import STANDARD_INPUT, LogFile, log_files

__all__ = ["Reading", "Record", "read"]

Path = str | os.PathLike[str]

_OPENED_AT_ONCE = 128  # what is open, a rotation cannot take away; more are found by their inode


def read(
    *paths: Path,
    request_id: str | None = None,
    user_id: str | int | None = None,
    level: str | int | None = None,
    logger: str | None = None,
    model: str | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    grep: str | None = None,
    ignore_case: bool = False,
    where: str | None = None,
    follow: bool = False,
) -> Reading:
    """Reads records in the order of their times, over rotated files and several processes' files.

        for record in read("logs", user_id="u-7", since="2h", where="duration > 2"):
            print(record["timestamp"], record["message"])

    A line that is not a JSON object is given as a record with `broken` set, in its place in the
    file, as long as no `level` or `where` is asked for, and what else is looked for stands in it.
    A file that cannot be read, or not to its end, as a damaged compressed one, ends where it can be
    read no further, and stands in `Reading.unreadable`. Files are read in blocks: memory does not
    grow with them.

    Args:
        paths: Directories (their `app.json`, `app.<pid>.json` and what was rotated out of them) and
            files (with what was rotated out of them); `-` is the standard input. Default: `logs`.
        request_id: The field of that name equals it.
        user_id: The field of that name equals it, as a text or as an integer.
        level: At least this level: a name in any case, or a number.
        logger: The logger's name, or the beginning of it, up to a dot.
        model: The field of that name equals it.
        since: Not before this time: a datetime with a zone, RFC 3339 text (UTC where it names no
            zone), or how long ago: `15m`, `2h`, `1d`.
        until: Before this time; written as `since` is.
        grep: A regular expression (RE2's, where google-re2 is installed) that is found in the
            message or in any other field's text or number.
        ignore_case: Whether `grep` takes small and capital letters for the same.
        where: An expression: `duration > 2 and model == "gpt-4o"`. See `geomon.logs.where`.
        follow: Whether to go on with what is written from now on, also to files that appear later.
            The iterator then ends by `close()` only.

    Returns:
        An iterator, and a context manager that ends it.

    Raises:
        ValueError: A filter cannot be understood, or a path is empty; the text says what to write.
        FileNotFoundError: There are no logs at a path, and `follow` is not asked for.
        OSError: While reading: nothing can be read of any of the files.
    """
    if any(not os.fspath(path) for path in paths):
        raise ValueError("a path is empty: write logs, or the name of a log file")
    wanted = criteria(
        request_id=request_id,
        user_id=user_id,
        level=level,
        logger=logger,
        model=model,
        since=since,
        until=until,
        grep=grep,
        ignore_case=ignore_case,
        where=where,
    )
    if follow and (until is not None or STANDARD_INPUT in paths):
        raise ValueError("follow has no end: leave out `until`, and `-`, which ends by itself")
    return Reading(paths or ("logs",), wanted, follow)


class Reading(Iterator[Record]):
    """Records as they are read; made by `read`. Close it, or read to the end.

    Attributes:
        broken: How many lines that are not JSON objects were met so far. Lines that cannot hold
            what is looked for are not looked at.
        unreadable: Of each file that could not be read to its end so far the error, which names it.
    """

    def __init__(self, paths: Iterable[Path], wanted: Criteria, follow: bool) -> None:
        self._ended = threading.Event()
        self._reading = threading.Lock()
        self._scans: list[Scan] = []
        self._tally = Tally()
        self._wanted = wanted
        files = log_files(paths, wait=follow)
        self._scans = [self._scan(file, order) for order, file in enumerate(files)]
        if len(files) <= _OPENED_AT_ONCE:
            self._open()
        self._records = self._follow(tuple(paths)) if follow else self._read()

    @property
    def broken(self) -> int:
        """How many lines that are not JSON objects were met so far."""
        return self._tally.broken

    @property
    def unreadable(self) -> list[OSError]:
        """Why files could not be read to their ends so far."""
        failures = [scan.file.failure for scan in self._scans]
        return [failure for failure in failures if failure is not None]

    def __next__(self) -> Record:
        try:
            with self._reading:
                if self._ended.is_set():
                    raise StopIteration
                return next(self._records)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Reading:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Ends the iterator and closes the files. From any thread: one that waits goes on."""
        self._ended.set()
        if self._reading.acquire(blocking=False):  # else whoever reads closes them
            for scan in self._scans:
                scan.file.close()
            self._reading.release()

    def _scan(self, file: LogFile, order: int) -> Scan:
        return Scan(file, order, self._wanted, self._tally)

    def _open(self) -> None:
        for scan in self._scans:
            with suppress(OSError):  # told when it is read
                scan.file.open()

    def _read(self, last: bool = True) -> Iterator[Record]:
        for *_, record in self._merged(last):
            if record is not None:
                yield record
        if last and self._scans and all(scan.file.is_unread for scan in self._scans):
            raise self.unreadable[0]

    def _merged(self, last: bool) -> Iterable[Item]:
        streams = [self._stream(scan, last) for scan in self._scans]
        return streams[0] if len(streams) == 1 else heapq.merge(*streams)

    def _stream(self, scan: Scan, last: bool) -> Iterator[Item]:
        yield from scan.items(last)
        if last or len(self._scans) > _OPENED_AT_ONCE:
            scan.file.close()

    def _follow(self, paths: tuple[Path, ...]) -> Iterator[Record]:
        yield from self._read(last=False)
        follower = Follower(paths, self._scans, self._scan)
        while not self._ended.is_set():
            for *_, record in follower.poll():
                if record is not None:
                    yield record
            self._ended.wait(follower.interval)
