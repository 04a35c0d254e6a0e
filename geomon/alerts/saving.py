"""Saves and restores what a manager knows."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geomon import losses, registries
from geomon.alerts import state
from geomon.alerts.evaluation import Alerting, needed
from geomon.alerts.origins import origin
from geomon.alerts.outlet import by_identity, paired

if TYPE_CHECKING:
    from geomon.alerts.manager import AlertManager

_log = logging.getLogger("geomon.alerts")
_EVERY = 60.0  # seconds
_FUTURE = 60.0  # seconds that clocks may differ


class Saving:
    """The state file of a manager: alerts, what notifiers were told, and samples.

    Args:
        path: The file, whose directory is made when first written to. None: workers have one in
            their common directory, for those who lead or start later; else nothing is saved.
        manager: Whose state it is.

    Raises:
        TypeError: `path` is neither a text nor a path.
        ValueError: no file can be there.
    """

    def __init__(self, path: str | os.PathLike[str] | None, manager: AlertManager) -> None:
        directory = registries.directory()
        if path is None and directory is not None:
            path = os.path.join(directory, "geomon-alerts.state")
        self.path = None if path is None else _checked(path)
        self._manager = manager
        self._saved_at = 0.0
        self._told: list[int] = []
        self._seen = ""  # which state was read or written last
        self._begun = -math.inf  # since when this process looks

    def save_if_due(self, at: float) -> None:
        """Saves once a minute, and as soon as a notifier was told something."""
        if self._told_now() != self._told or at - self._saved_at >= _EVERY:
            self.save(at)

    def save(self, at: float) -> None:
        """Writes the file; where that fails it is counted, and said once."""
        if self.path is None:
            return
        self._saved_at, self._told = at, self._told_now()
        try:
            dumped = self.dump(at, needed(self._manager._groups))
            state.save(self.path, dumped)
            self._seen = dumped.values["id"]
        except Exception as error:
            self.lose(f"{type(error).__name__}: {error}")

    def lose(self, why: str) -> None:
        """Counts that the file, where there is one, could not be written."""
        if self.path is not None:
            losses.count("alerts", "state_not_written")
            losses.say_once("alerts", "state_not_written", f"{self.path}: {why}")

    def dump(self, at: float, needs: Mapping[str | None, float]) -> state.State:
        """What the manager knows, with the samples that are needed."""
        manager = self._manager
        values = {
            "id": os.urandom(8).hex(),
            "saved_at": at,
            "origin": origin(),
            "rules": [
                {"rule": _named(rule), "last": group.last, "alerts": rule.lifecycle.dump()}
                for group in manager._groups
                for rule in group.alerting()
                if group.last is not None
            ],
            "told": {
                identity: [outlet.dump() for outlet in equal]
                for identity, equal in by_identity(manager._outlets).items()
            },
        }
        return state.State(values, manager.store.dump(needs, at))

    def load(self, at: float) -> None:
        """Takes what an earlier process saved; what cannot be used is said, and left."""
        self._go_on(self._read, at)
        self._begun = at

    def take_over(self, at: float) -> None:
        """Takes what the worker that led before has saved since this one has looked."""
        self._go_on(self._read, at, samples=False)

    def replace(self, earlier: Saving, at: float) -> None:
        """Takes what an earlier manager of this process knows."""
        self._go_on(lambda: earlier.dump(at, needed(self._manager._groups)), at)

    def _go_on(
        self, read: Callable[[], state.State | None], at: float, samples: bool = True
    ) -> None:
        """Goes on from a state; a store that is scraped already has samples of its own."""
        try:
            found = read()
            if found is not None:
                self._take(found, at, samples)
        except Exception as error:
            losses.count("alerts", "state_not_read")
            _log.warning("%s cannot be used, and alerts start anew: %s", self.path, error)

    def _take(self, found: state.State, at: float, samples: bool) -> None:
        values, manager = found.values, self._manager
        if values["id"] == self._seen:
            return
        if values["saved_at"] > at + _FUTURE:
            raise state.StateError(f"it is from the future, by {values['saved_at'] - at:.0f} s")
        if samples:
            same = values["origin"] == origin()
            manager.store.restore(found.series, None if same else at - manager.interval)
        self._take_alerts(values["rules"], at)
        for outlet in manager._outlets:
            outlet.load((), at)
        for outlet, told in paired(values["told"], manager._outlets):
            outlet.load(told, at)
        self._seen = values["id"]

    def _read(self) -> state.State | None:
        return None if self.path is None else state.load(self.path)

    def _take_alerts(self, rules: list[dict[str, Any]], at: float) -> None:
        """Takes the alerts of the rules that are still the same, in whatever group."""
        earlier = {_key(*one["rule"]): one for one in rules}
        for group in self._manager._groups:
            for rule in group.alerting():
                found = earlier.get(_key(*_named(rule)))
                if found is not None:
                    covered = self._begun + max(rule.needs.values(), default=0.0)
                    rule.lifecycle.load(found["alerts"], found["last"], covered)
                    group.last = max(group.last or found["last"], found["last"])
            group.skip(at)

    def _told_now(self) -> list[int]:
        """Something that changes whenever a notifier was told something."""
        return [id(alert) for one in self._manager._outlets for alert in one.delivery.told]


def _named(rule: Alerting) -> tuple[str, str, dict[str, str]]:
    return rule.name, rule.expr, dict(rule.rule.labels)


def _key(name: str, expr: str, labels: Mapping[str, str]) -> tuple[str, str, frozenset[Any]]:
    return name, expr, frozenset(labels.items())


def _checked(state_path: Any) -> Path:
    """The path of a file that can be there: its directory is, or can be made."""
    if not isinstance(state_path, str | os.PathLike) or not isinstance(os.fspath(state_path), str):
        raise TypeError(f"state_path={state_path!r}: write the name of a file, 'alerts.state'")
    path = Path(state_path)
    if "\0" in str(path):
        raise ValueError(f"state_path={str(path)!r}: write a name without the character NUL")
    if os.path.isdir(path):
        raise ValueError(f"state_path={str(path)!r} is a directory: write the name of a file")
    above = next(one for one in path.absolute().parents if os.path.exists(one))
    if not os.path.isdir(above):
        raise ValueError(f"state_path={str(path)!r}: {str(above)!r} is no directory; write another")
    return path
