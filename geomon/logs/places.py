"""Which process, thread and task a record comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geomon.logs.cleaning import Cleaner
from geomon.logs.limits import Limits
from geomon.logs.redaction import Redactor
from geomon.logs.snapshot import Snapshot

_MOST = 1_024
_BUDGET = 2_000


class Places:
    """Gives the fields that were asked for; each combination is cleaned once."""

    def __init__(self, redactor: Redactor, limits: Limits, process: bool, thread: bool) -> None:
        self._redactor = redactor
        self._limits = limits
        self._names = {
            **({"process": "process", "process_name": "processName"} if process else {}),
            **({"thread": "thread", "thread_name": "threadName"} if thread else {}),
        }
        self._tasks = thread
        self._known: dict[tuple[Any, ...], Mapping[str, Any]] = {}

    def get(self, snapshot: Snapshot) -> Mapping[str, Any]:
        """The fields; empty where none is wanted."""
        if not self._names:
            return {}
        values = snapshot.values
        task = (snapshot.task or values.get("taskName")) if self._tasks else None
        key = (*(values.get(name) for name in self._names.values()), task)
        try:
            return self._known.get(key) or self._made(key)
        except TypeError:  # a value that is no key
            return self._clean(key)

    def _made(self, key: tuple[Any, ...]) -> Mapping[str, Any]:
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = fields = self._clean(key)
        return fields

    def _clean(self, key: tuple[Any, ...]) -> Mapping[str, Any]:
        cleaner = Cleaner(self._redactor, self._limits, _BUDGET)
        fields = {
            name: cleaner.share(value) for name, value in zip(self._names, key[:-1], strict=True)
        }
        return fields if key[-1] is None else {**fields, "task": cleaner.share(key[-1])}
