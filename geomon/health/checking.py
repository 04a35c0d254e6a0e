"""One health check: a function of the program's, run and judged."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from geomon import clock, locks
from geomon.health.details import plain
from geomon.health.flight import Flight, Run

Function = Callable[[], Any]
Loop = Literal["private", "caller"]
Status = Literal["ok", "failing", "error", "timed out"]

_log = logging.getLogger("geomon.health")
_lock = locks.lock_of(sys.modules[__name__])


class Outcome(NamedTuple):
    """What a run of a check gave."""

    status: Status
    """`failing`: it said so; `error`: it raised; `timed out`: it said nothing in time."""
    details: Mapping[str, Any] = {}
    """What it said beside that, as JSON values."""
    seconds: float | None = None
    """How long it took; None where nobody waited for its end."""

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return self.status == "ok"


@dataclass(frozen=True)
class Terms:
    """What a check was registered with."""

    name: str
    timeout: float = 1.0
    """Seconds that it may take."""
    group: str = "ready"
    """The answer that depends on it."""
    critical: bool = True
    """Whether the group fails with it."""
    cache: float = 1.0
    """Seconds for which its outcome serves."""
    loop: Loop = "private"
    """Where an async check runs."""


class Result(NamedTuple):
    """A check and its outcome."""

    terms: Terms
    outcome: Outcome


class Check:
    """A function that says how something stands.

    Args:
        function: Takes nothing. None and True mean that all is well, a dict too, with details;
            False and what is empty mean that it is not. A pair `(verdict, details)` gives both.
        terms: How it is run.
    """

    def __init__(self, function: Function, terms: Terms) -> None:
        self.function = function
        self.terms = terms
        self._said: Status = "ok"
        on_loop = self._awaited if terms.loop == "caller" else None
        self._flight = Flight(
            f"geomon-check-{terms.name}", self._called, terms.timeout, terms.cache, on_loop
        )

    def begin(self, loop: asyncio.AbstractEventLoop | None = None) -> Run[Outcome]:
        """Runs it, where it does not run already, and its last outcome does not serve."""
        return self._flight.begin(loop)

    def result(self, outcome: Outcome | None) -> Result:
        """The result of a run; None is one that has said nothing in time."""
        if outcome is None:
            outcome = Outcome("timed out")
            self._say(outcome.status, None)
        return Result(self.terms, outcome)

    def _called(self) -> Outcome | None:
        begun = clock.monotonic()
        try:
            value = self.function()
            if inspect.isawaitable(value):
                return asyncio.run(self._judged(value, begun))
        except BaseException as error:
            return self._failed(error, begun)
        return self._judge(value, begun)

    async def _awaited(self) -> Outcome | None:
        return await self._judged(self.function(), clock.monotonic())

    async def _judged(self, value: Awaitable[Any], begun: float) -> Outcome | None:
        """Awaits a check; past its timeout it is cancelled, which frees its thread."""
        limit = asyncio.timeout(self.terms.timeout)
        try:
            async with limit:
                verdict = await value
        except (Exception, SystemExit) as error:  # an exit would end the loop of who asks
            return None if limit.expired() else self._failed(error, begun)
        return self._judge(verdict, begun)

    def _judge(self, value: Any, begun: float) -> Outcome:
        seconds = clock.monotonic() - begun
        try:
            verdict, details = _verdict(value)
        except Exception as error:  # a class of the program's own
            return self._failed(error, begun)
        status: Status = "ok" if verdict else "failing"
        self._say(status, None)
        return Outcome(status, details, seconds)

    def _failed(self, error: BaseException, begun: float) -> Outcome:
        self._say("error", error)
        return Outcome("error", seconds=clock.monotonic() - begun)

    def _say(self, status: Status, error: BaseException | None) -> None:
        """Logs a change: probes come every few seconds, for hours."""
        with _lock:
            before, self._said = self._said, status
        if status == before:
            return
        if status == "ok":
            _log.info("the health check %r is ok again", self.terms.name)
        else:
            _log.warning(
                "the health check %r: %s%s",
                self.terms.name,
                status,
                self._hint(error),
                exc_info=error,
            )

    def _hint(self, error: BaseException | None) -> str:
        """What to write where an async check used what belongs to another loop."""
        texts = [text for text in getattr(error, "args", ()) if isinstance(text, str)]
        if self.terms.loop == "private" and any("loop" in text for text in texts):
            return '; write check(..., loop="caller") where it uses what the server\'s loop owns'
        return ""


def _verdict(value: Any) -> tuple[bool, dict[str, Any]]:
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], Mapping):
        return value[0] is None or bool(value[0]), plain(value[1])
    if isinstance(value, Mapping):
        return True, plain(value)
    return value is None or bool(value), {}
