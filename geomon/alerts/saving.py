"""Saves and restores what a manager knows."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geomon import losses
from geomon.alerts import state
from geomon.alerts.evaluation import needed

if TYPE_CHECKING:
    from geomon.alerts.manager import AlertManager

_log = logging.getLogger("geomon.alerts")
_EVERY = 60.0  # seconds
_FUTURE = 60.0  # seconds that clocks may differ


class Saving:
    """The state file of a manager.

    Args:
        path: The file, whose directory is made when first written to; None: nothing is saved.
        manager: Whose state it is.
        whole: Whether alerts and samples are saved too, not only what notifiers were told.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, manager: AlertManager, whole: bool = True
    ) -> None:
        self._path = None if path is None else Path(path)
        self._manager = manager
        self._whole = whole
        self._saved_at = 0.0
        self._told: list[int] = []
        if self._path is not None and self._path.is_dir():
            raise ValueError(f"state_path={str(path)!r} is a directory: write the name of a file")

    def save_if_due(self, at: float) -> None:
        """Saves once a minute, and as soon as a notifier was told something."""
        if self._path is None:
            return
        if self._told_now() != self._told or (self._whole and at - self._saved_at >= _EVERY):
            self.save(at)

    def save(self, at: float) -> None:
        """Writes the file; where that fails it is counted, and said once."""
        if self._path is None:
            return
        manager = self._manager
        self._saved_at, self._told = at, self._told_now()
        values = {
            "saved_at": at,
            "groups": [_dumped(group) for group in manager._groups] if self._whole else [],
            "told": {one.delivery.name: one.dump() for one in manager._outlets},
        }
        samples = manager.store.dump(needed(manager._groups), at) if self._whole else []
        try:
            state.save(self._path, values, samples)
        except OSError as error:
            losses.count("alerts", "state_not_written")
            losses.say_once("alerts", "state_not_written", f"{self._path}: {error}")

    def load(self, at: float) -> None:
        """Takes what an earlier process saved."""
        self._read(at, self._take)

    def take_over(self, at: float) -> None:
        """Takes what the worker that led before has told the notifiers."""
        self._read(at, self._take_told)

    def _read(self, at: float, take: Callable[[state.State, float], None]) -> None:
        """Reads the file; what cannot be used is said, and left."""
        if self._path is None:
            return
        try:
            found = state.load(self._path)
            if found is not None:
                saved_at = float(found.values["saved_at"])
                if saved_at > at + _FUTURE:
                    raise state.StateError(f"it is from the future, by {saved_at - at:.0f} s")
                take(found, at)
        except (state.StateError, TypeError, ValueError, KeyError, AttributeError) as error:
            losses.count("alerts", "state_not_read")
            _log.warning("%s cannot be used, and alerts start anew: %s", self._path, error)

    def _take(self, found: state.State, at: float) -> None:
        manager = self._manager
        manager.store.restore(found.series)
        earlier = {(one["group"], one["interval"]): one for one in found.values["groups"]}
        for group in manager._groups:
            dumped = earlier.get((group.name, group.interval))
            if dumped is not None:
                _load(group, dumped)
                group.skip(at)

    def _take_told(self, found: state.State, at: float) -> None:
        for outlet in self._manager._outlets:
            outlet.load(found.values["told"].get(outlet.delivery.name, ()), at)

    def _told_now(self) -> list[int]:
        """Something that changes whenever a notifier was told something."""
        return [id(alert) for one in self._manager._outlets for alert in one.delivery.told]


def _dumped(group: Any) -> dict[str, Any]:
    return {
        "group": group.name,
        "interval": group.interval,
        "last": group.last,
        "rules": [[rule.name, rule.expr, rule.lifecycle.dump()] for rule in group.alerting()],
    }


def _load(group: Any, dumped: dict[str, Any]) -> None:
    """Takes the alerts of the rules that are still the same."""
    earlier = {(name, expr): alerts for name, expr, alerts in dumped["rules"]}
    for rule in group.alerting():
        rule.lifecycle.load(earlier.get((rule.name, rule.expr), ()))
    group.last = dumped["last"]
