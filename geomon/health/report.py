"""What the health endpoints say: `/health`, `/health/live`, `/health/ready`.

Liveness says that the process answers, and looks at nothing: a probe that fails restarts it.
Readiness fails with a critical check: the process gets no requests until it is well again.
`/health` is for people and dashboards, and answers 200 also when degraded.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from geomon import losses
from geomon.health.answer import Answer
from geomon.health.checking import Result
from geomon.health.checks import CHECKS, Checks, Running
from geomon.health.flight import Flight, Run
from geomon.health.gauges import SystemGauges
from geomon.health.options import HealthOptions
from geomon.health.system import SYSTEM, Readings, System
from geomon.health.totals import Totals, reader

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_log = logging.getLogger("geomon.health")
_PATIENCE = 2.0
"""Seconds that a scrape, or the question which alerts fire, may take."""


class _Asked(NamedTuple):
    """What `/health` waits for."""

    checks: Running
    totals: Run[Totals]
    firing: Run[list[str]] | None


class Report:
    """Gives the answers of the health endpoints.

    Each answer comes in a sync and an async form; the async one never holds the loop up. However
    many ask at once, a check runs once, and the registry is read once.

    Args:
        registry: Where the requests are counted; prometheus-client's default, merged over workers.
        namespace: What was put before the metrics' names.
        options: Who sees how much, and when `/health` is degraded. Its `alerts` is for
            `configure()`.
        checks: The checks; those that `geomon.health.check` registers.
        system: What reads memory and CPU.
        gauges: Those that `/health` brings up to date.
        alerts: Gives alerts, of which those that fire make `/health` degraded:
            `lambda: manager.alerts`. None: alerts do not matter.

    Raises:
        TypeError: `alerts` is no function; the text says what to write.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        namespace: str = "",
        options: HealthOptions | None = None,
        *,
        checks: Checks | None = None,
        system: System | None = None,
        gauges: SystemGauges | None = None,
        alerts: Callable[[], Iterable[Any]] | None = None,
    ) -> None:
        if alerts is not None and not callable(alerts):
            raise TypeError(f"alerts={alerts!r}: write a function, alerts=lambda: manager.alerts")
        self._checks = CHECKS if checks is None else checks
        self._system = SYSTEM if system is None else system
        self._gauges = gauges
        self._options = HealthOptions() if options is None else options
        self._totals = Flight("geomon-totals", reader(registry, namespace), _PATIENCE)
        self._firing = (
            None if alerts is None else Flight("geomon-firing", _names(alerts), _PATIENCE)
        )

    # --- the answers

    def live_answer(self) -> Answer:
        """200: the process answers."""
        return Answer(200, {"status": "alive"})

    async def live_answer_async(self) -> Answer:
        """The same."""
        return self.live_answer()

    def ready_answer(self, caller: Any = None, group: str = "ready") -> Answer:
        """200, or 503 where a critical check of the group does not say that all is well.

        Args:
            caller: What `details` is asked with.
            group: Which checks are run.
        """
        return self._ready(self._checks.begin(group).wait(), caller)

    async def ready_answer_async(self, caller: Any = None, group: str = "ready") -> Answer:
        """The same, without holding the loop up."""
        running = self._checks.begin(group, asyncio.get_running_loop())
        return self._ready(await running.wait_async(), caller)

    def health_answer(self, caller: Any = None) -> Answer:
        """200 and how the program stands.

        `status`: `healthy`, or `degraded` past the bounds of memory and CPU, with any check that
        does not say that all is well, critical or not, or with an alert that fires; `memory_usage`
        and `cpu_usage` in percent of what the container may use, else of what the machine has;
        `request_count`, and `request_latency`, the seconds of all of them together. What is not
        known is None. `checks`, where there are any, by name.

        Args:
            caller: What `details` is asked with.
        """
        asked = self._ask(None)
        firing = None if asked.firing is None else asked.firing.wait()
        return self._health(asked.checks.wait(), asked.totals.wait(), firing, caller)

    async def health_answer_async(self, caller: Any = None) -> Answer:
        """The same, without holding the loop up."""
        asked = self._ask(asyncio.get_running_loop())
        firing = None if asked.firing is None else await asked.firing.wait_async()
        results, counted = await asked.checks.wait_async(), await asked.totals.wait_async()
        return self._health(results, counted, firing, caller)

    # --- their parts

    def _ask(self, loop: asyncio.AbstractEventLoop | None) -> _Asked:
        checks = self._checks.begin(None, loop)
        firing = None if self._firing is None else self._firing.begin()
        return _Asked(checks, self._totals.begin(), firing)

    def _ready(self, results: Sequence[Result], caller: Any) -> Answer:
        ready = all(result.outcome.ok for result in results if result.terms.critical)
        body: dict[str, Any] = {"status": "ready" if ready else "not ready"}
        body.update(self._shown(results, self._accepts(caller)))
        return Answer(200 if ready else 503, body)

    def _health(
        self,
        results: Sequence[Result],
        counted: Totals | None,
        firing: list[str] | None,
        caller: Any,
    ) -> Answer:
        readings = self._read()
        memory, cpu = readings.memory.percent, readings.cpu_percent
        requests, seconds = counted or Totals()
        well = not firing and all(result.outcome.ok for result in results)
        options = self._options
        well = well and not (_above(memory, options.memory_above) or _above(cpu, options.cpu_above))
        body: dict[str, Any] = {
            "status": "healthy" if well else "degraded",
            "memory_usage": _rounded(memory),
            "cpu_usage": _rounded(cpu),
            "request_count": requests,
            "request_latency": _finite(seconds),
        }
        detailed = self._accepts(caller)
        body.update(self._shown(results, detailed))
        if detailed and self._firing is not None:
            body["alerts"] = firing
        return Answer(200, body)

    def _read(self) -> Readings:
        readings = self._system.readings()
        if self._gauges is not None:
            try:
                self._gauges.update()
            except Exception as error:  # the shared files cannot be written
                losses.failed("health", "gauges", error, "memory and CPU cannot be shown")
        return readings

    def _accepts(self, caller: Any) -> bool:
        details = self._options.details
        if isinstance(details, bool):
            return details
        try:
            return bool(details(caller))
        except Exception as error:
            losses.failed("health", "details", error, "whether the caller may see details")
            return False

    def _shown(self, results: Sequence[Result], detailed: bool) -> dict[str, Any]:
        checks = {result.terms.name: self._check(result, detailed) for result in results}
        return {"checks": checks} if checks else {}

    def _check(self, result: Result, detailed: bool) -> dict[str, Any]:
        terms, outcome = result
        shown: dict[str, Any] = {"status": outcome.status}
        if detailed:
            shown |= {"group": terms.group, "critical": terms.critical, "seconds": outcome.seconds}
            shown["details"] = self._redacted(outcome.details)
        return shown

    def _redacted(self, details: Mapping[str, Any]) -> dict[str, Any]:
        copied, redact = dict(details), self._options.redact
        if not copied or redact is None:
            return copied
        try:
            return redact(copied)
        except Exception as error:
            losses.failed("health", "redaction", error, "a check's details")
            return {}


def _names(alerts: Callable[[], Iterable[Any]]) -> Callable[[], list[str]]:
    def names() -> list[str]:
        return sorted({alert.name for alert in alerts() if alert.state == "firing"})

    return names


def _above(percent: float | None, bound: float) -> bool:
    return percent is not None and percent > bound


def _rounded(percent: float | None) -> float | None:
    return None if percent is None else round(percent, 2)


def _finite(seconds: float | None) -> float | None:
    return seconds if seconds is not None and math.isfinite(seconds) else None
