"""One file's records that meet the criteria, in the order of their times."""

from __future__ import annotations

import re
from collections.abc import Iterator

from geomon.logs.criteria import Criteria
from geomon.logs.lines import SHOWN, Record, broken, parse
from geomon.logs.needles import lines_with
from geomon.logs.sources import LogFile
from geomon.logs.times import canonical

Item = tuple[str, int, int, Record | None]
"""Time, file, place in the file, record: sorting compares the first three, which differ.

One without a record stands for a file that was not opened yet.
"""

_TIMESTAMP = re.compile(rb'"timestamp" ?: ?"([^"\\]{10,40})"')
_BEGINS, _FROM, _TO = b'{"timestamp":"', 14, 41


class Tally:
    """What a whole reading counts."""

    def __init__(self) -> None:
        self.broken = 0


class Scan:
    """Reads one file.

    Args:
        file: The file.
        order: Its place among files, for records of one time.
        criteria: What is wanted.
        tally: Where lines that are not JSON are counted.
    """

    def __init__(self, file: LogFile, order: int, criteria: Criteria, tally: Tally) -> None:
        self.file = file
        self._order = order
        self._criteria = criteria
        self._tally = tally
        self._timed = criteria.since is not None or criteria.until is not None
        self._since = (criteria.since or "").encode()
        self._until = (criteria.until or "~").encode()
        self._time = ""  # the last one that was read; a line without one stands beside it
        self._number = 0

    def items(self, last: bool = True) -> Iterator[Item]:
        """All records, each at most two blocks of reading later than its place in the file.

        Several threads' records stand in a file almost in order: each block is sorted with the
        next one.
        """
        self._time = self._first_time()
        yield (self._time, self._order, -1, None)
        waiting: list[Item] = []
        for block in self.file.blocks(last):
            ready = len(waiting) if self.file.regular else None
            waiting += self._matches(block)
            waiting.sort()
            yield from waiting[:ready]
            waiting = waiting[ready:] if ready is not None else []
        yield from waiting

    def fresh(self) -> list[Item]:
        """Those records that were written since it was last read."""
        return [item for block in self.file.blocks(last=False) for item in self._matches(block)]

    def rest(self) -> list[Item]:
        """The record whose line has no end, and will not get one."""
        return [item for block in self.file.rest() for item in self._matches(block)]

    def _first_time(self) -> str:
        times = map(_time_in, self.file.start().split(b"\n"))
        return min((time for time in times if time), default="")

    def _matches(self, block: bytes) -> list[Item]:
        found: list[Item] = []
        for line in lines_with(self._criteria.needles, block):
            record = self._record(line)
            if record is not None:
                self._number += 1
                found.append((self._time, self._order, self._number, record))
        return found

    def _record(self, line: bytes) -> Record | None:
        if self._timed and self._at_another_time(line):
            return None
        fields = parse(line)
        if fields is None:
            return self._broken(line)
        self._time = canonical(fields.get("timestamp")) or self._time
        if self._timed and not self._criteria.in_time(self._time):
            return None
        for test in self._criteria.tests:
            if not test(fields):
                return None
        return Record(fields, line)

    def _at_another_time(self, line: bytes) -> bool:
        """Whether a look at a line as geomon writes it is enough to pass it over."""
        time = line[_FROM:_TO]
        if not line.startswith(_BEGINS) or line[_TO - 1 : _TO + 1] != b'Z"':
            return False
        if self._since <= time < self._until:
            return False
        self._time = time.decode(errors="replace")
        return True

    def _broken(self, line: bytes) -> Record | None:
        if not line.strip():
            return None
        self._time = _time_in(line) or self._time
        if not self._criteria.in_time(self._time):
            return None
        self._tally.broken += 1
        wanted = self._criteria.broken
        if wanted is None:
            return None
        record = broken(line)
        text = record["message"] if len(line) <= SHOWN else line.decode(errors="replace")
        return record if wanted(text) else None


def _time_in(line: bytes) -> str | None:
    match = _TIMESTAMP.search(line, 0, 4096)
    return canonical(match[1].decode(errors="replace")) if match else None
