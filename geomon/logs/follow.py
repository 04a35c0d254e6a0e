"""Going on with files that are written to: through rotation, truncation and new files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from geomon.logs.scan import Item, Scan
from geomon.logs.sources import Identity, LogFile, log_files

_QUIET_POLLS = 20  # a file that lost its name may be written to until its writer notices


class Follower:
    """Looks again and again for what was written since.

    Args:
        paths: What `geomon.logs.read` was given.
        scans: The files that were read to their ends; those that appear are added.
        scan: Makes a scan of a file, which is the n-th one.
    """

    interval = 0.2
    """Seconds to wait between two polls."""

    def __init__(
        self,
        paths: Iterable[str | os.PathLike[str]],
        scans: list[Scan],
        scan: Callable[[LogFile, int], Scan],
    ) -> None:
        self._paths = tuple(paths)
        self._scans = scans
        self._scan = scan
        self._count = len(scans)
        self._quiet: dict[Identity, int] = {}

    def poll(self) -> list[Item]:
        """The records that are new, in the order of their times."""
        listed = {file.identity: file for file in log_files(self._paths, wait=True)}
        self._rename(listed)
        items: list[Item] = []
        for scan in tuple(self._scans):
            if scan.file.changed():
                self._quiet.pop(scan.file.identity, None)
                items += _written(scan)
            elif scan.file.identity not in listed:
                items += self._forget(scan)
        items.sort()
        return items

    def _rename(self, listed: dict[Identity, LogFile]) -> None:
        known = {scan.file.identity: scan.file for scan in self._scans}
        for identity, file in listed.items():
            if identity in known:
                known[identity].path = file.path
            else:
                self._scans.append(self._scan(file, self._count))
                self._count += 1

    def _forget(self, scan: Scan) -> list[Item]:
        """Gives up a file without a name once nobody writes to it any more."""
        identity = scan.file.identity
        quiet = self._quiet[identity] = self._quiet.get(identity, 0) + 1
        if scan.file.is_open and quiet <= _QUIET_POLLS:
            return []
        self._scans.remove(scan)
        del self._quiet[identity]
        scan.file.close()
        return scan.rest()


def _written(scan: Scan) -> list[Item]:
    try:
        emptied = scan.file.restarted()
    except FileNotFoundError:  # it was not open, and is gone
        return []
    except OSError as error:
        scan.file.failure = error
        return []
    return (scan.rest() if emptied else []) + scan.fresh()
