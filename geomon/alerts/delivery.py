"""Brings alerts to one notifier, whatever that does: raise, hang, or refuse.

Limits first. What a killed process loses is what waits. A notifier that hangs for ever gets nothing
more: its thread cannot be ended, and no second one is started beside it. A message of which nobody
knows whether it arrived (the receiver fell silent) counts as not arrived, and is sent again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypedDict

from geomon import clock, losses
from geomon.alerts import endings
from geomon.alerts.alert import Alert, DeliveryError, Notifier
from geomon.alerts.attempt import Attempt, described
from geomon.alerts.backoff import Backoff
from geomon.alerts.checks import check_notifier, name_of, number, text
from geomon.alerts.outbox import Outbox

OnDone = Callable[[Sequence[Alert], BaseException | None], object]
"""Takes the alerts of an attempt that is over, and what was raised."""

_log = logging.getLogger("geomon.alerts")
_LONGEST_WAIT = 3600.0


class Status(TypedDict):
    """How a notifier is doing."""

    name: str
    delivered: int
    """Messages that arrived."""
    failed: int
    """Attempts that raised, or took longer than the deadline."""
    waiting: int
    """Alerts that are not delivered yet."""
    dropped: int
    """Alerts that were given up."""
    hanging: bool
    """Whether an attempt takes longer than the deadline now."""
    last_error: str | None
    """What the last failure was, without secrets; kept after a success."""
    last_success: float | None
    """When something arrived, seconds since the epoch."""


def checked_notifier(notifier: Notifier) -> tuple[str, Notifier]:
    """A notifier and its name: what `Delivery` takes.

    Raises:
        TypeError: it cannot be called, or is async.
    """
    check_notifier(notifier)
    return name_of(notifier), notifier


class Delivery:
    """One notifier's queue and worker. The thread starts with the first alert.

    Alerts that wait are merged, see `geomon.alerts.outbox`: the newest state of each is sent, and
    resolved notices only for what this notifier was told is firing.

    A notifier may have two attributes. `resend_delay`: it may be handed all active alerts at every
    evaluation, and gets each again after that many seconds. `whole_group`: each of its messages
    also holds what it was told before and still fires.

    Args:
        name: What status and log records call it.
        notifier: Is called with a list of alerts, in a thread of its own.
        capacity: How many alerts may wait; beyond that the oldest are dropped and counted.
        deadline: Seconds after which a call counts as hanging. What it does later still counts;
            meanwhile no other call is made.
        give_up: Seconds after which an alert that could not be delivered is dropped and counted.
        on_done: Called after each attempt, in the worker, with its alerts and its error or None.

    Raises:
        TypeError: the notifier cannot be called, or is async; a number is none.
        ValueError: a number that is not above zero.
    """

    def __init__(
        self,
        name: str,
        notifier: Notifier,
        *,
        capacity: int = 10_000,
        deadline: float = 30.0,
        give_up: float = 3600.0,
        on_done: OnDone | None = None,
    ) -> None:
        check_notifier(notifier)
        self.name = text("name", name, "email")
        self._notifier = notifier
        self._capacity = int(number("capacity", capacity))
        self._deadline = number("deadline", deadline)
        self._give_up = number("give_up", give_up)
        self._on_done = on_done
        self._delivered = self._failed = self._dropped = 0
        self._last_error: str | None = None
        self._last_success: float | None = None
        self._renew()

    def _renew(self) -> None:
        """The state of a process that has sent nothing yet."""
        self._changed = threading.Condition()
        self._outbox = Outbox(
            self._capacity,
            getattr(self._notifier, "resend_delay", None),
            getattr(self._notifier, "whole_group", False),
        )
        self._backoff = Backoff()
        self._worker: threading.Thread | None = None
        self._attempt: Attempt | None = None
        self._ended: Attempt | None = None
        self._begun = self._failed_last = 0
        self._due = float("-inf")
        self._hurry = self._closed = self._said = False

    def send(self, alerts: Sequence[Alert], once: bool = False) -> None:
        """Takes alerts, firing and resolved ones. It neither waits nor raises.

        Args:
            alerts: The alerts; an empty list makes the worker look at the clock.
            once: Whether they are events: each is sent once, in whatever state, and not kept.
        """
        try:
            with self._changed:
                if self._closed:
                    self._drop("closed", len(alerts))
                    return
                self._outbox.put(alerts, clock.monotonic(), once)
                self._count_lost()
                self._changed.notify_all()
                if len(self._outbox):
                    self._start()
        except Exception as error:
            losses.failed("notify", "send_failed", error, self.name)

    @property
    def told(self) -> list[Alert]:
        """What the notifier was told is firing, and not yet that it is resolved."""
        with self._changed:
            return self._outbox.told

    def restore(self, told: Iterable[Alert]) -> None:
        """Takes another process's `told`, in the place of this one's: an earlier one's, say."""
        with self._changed:
            self._outbox.restore(told)

    def status(self) -> Status:
        """How it is doing."""
        with self._changed:
            return {
                "name": self.name,
                "delivered": self._delivered,
                "failed": self._failed,
                "waiting": len(self._outbox),
                "dropped": self._dropped,
                "hanging": self._attempt is not None and self._attempt.overdue,
                "last_error": self._last_error,
                "last_success": self._last_success,
            }

    def hasten(self) -> None:
        """Tries now, whatever was to be waited for after a failure."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()

    def flush(self, timeout: float = 5.0) -> bool:
        """Tries now, and waits until everything is delivered.

        Returns:
            False where `timeout` seconds did not do, where the attempt failed, or hangs.
        """
        with self._changed:
            before = self._begun
            self.hasten()
            self._changed.wait_for(
                lambda: self._is_idle() or self._failed_last > before or self._is_hopeless(),
                timeout,
            )
            return self._is_idle()

    def open(self) -> None:
        """Takes alerts again after `close`."""
        with self._changed:
            self._closed = False

    def close(self, timeout: float = 5.0) -> bool:
        """Sends what waits, as `flush` does, and ends. What is left then is counted."""
        done = self.flush(timeout)
        with self._changed:
            self._closed = True
            left = self._outbox.clear()
            self._changed.notify_all()
        if left:
            self._drop("closed", left)
            _say(
                logging.WARNING,
                "the notifier %s was closed with %d alerts not delivered",
                self.name,
                left,
            )
        return done

    def after_fork(self) -> None:
        """Begins anew in a child process: what waits is the parent's to send."""
        closed, told = self._closed, self._outbox.told
        self._renew()
        self._outbox.restore(told)
        self._closed = closed

    def _is_idle(self) -> bool:
        return self._attempt is None and not len(self._outbox)

    def _is_hopeless(self) -> bool:
        """Whether nothing can be delivered: it hangs, is closed, or there can be no thread."""
        hangs = self._attempt is not None and self._attempt.overdue
        return hangs or self._closed or self._worker is None

    # --- the worker

    def _start(self) -> None:
        if self._worker is not None:
            return
        endings.cover(self)
        worker = threading.Thread(target=self._run, name=f"geomon-notify-{self.name}", daemon=True)
        self._worker = worker
        try:
            worker.start()
        except RuntimeError:  # no more threads; the next send tries again
            self._worker = None

    def _run(self) -> None:
        own = threading.current_thread()
        try:
            while self._worker is own:
                for action in self._due_actions():
                    with suppress(Exception):
                        action()
        finally:
            if self._worker is own:  # it died: the next send starts another
                self._worker = None

    def _due_actions(self) -> list[Callable[[], object]]:
        """Waits until something is due, at most once; what is to be done without the lock."""
        with self._changed:
            if self._closed:
                self._worker = None
                return []
            actions = self._step(clock.monotonic())
            if not actions:
                self._changed.wait(self._pause(clock.monotonic()))
            return actions

    def _step(self, now: float) -> list[Callable[[], object]]:
        """Does what is due, and gives what is to be done without the lock."""
        actions: list[Callable[[], object]] = []
        if self._ended is not None:
            actions += self._settle(self._ended, now)
        elif self._attempt is not None and self._is_late(self._attempt, now):
            actions += self._overdue(self._attempt)
        self._outbox.give_up(now - self._give_up)
        self._count_lost()
        if self._attempt is None and (self._hurry or now >= self._due):
            actions += self._begin(now)
        self._changed.notify_all()
        return actions

    def _begin(self, now: float) -> list[Callable[[], object]]:
        self._hurry = False
        alerts = self._outbox.take(now)
        if not alerts:
            return []
        self._begun += 1
        self._attempt = Attempt(self._notifier, alerts, self._end)
        return [partial(self._attempt.start, f"geomon-notify-{self.name}-send")]

    def _end(self, attempt: Attempt) -> None:
        with self._changed:
            if attempt is self._attempt:
                self._ended = attempt
                self._changed.notify_all()

    def _settle(self, attempt: Attempt, now: float) -> list[Callable[[], object]]:
        self._attempt = self._ended = None
        error = attempt.error
        actions = self._arrived(now) if error is None else self._raised(error, now)
        if self._on_done is not None:
            actions.append(partial(self._on_done, attempt.alerts, error))
        return actions

    def _arrived(self, now: float) -> list[Callable[[], object]]:
        self._outbox.delivered(now)
        self._backoff.reset()
        self._due = float("-inf")
        self._delivered += 1
        self._last_success = clock.wall()
        said, self._said = self._said, False
        words = "the notifier %s delivers again"
        return [partial(_say, logging.INFO, words, self.name)] if said else []

    def _raised(self, error: BaseException, now: float) -> list[Callable[[], object]]:
        self._failed_last = self._begun
        self._due = now + self._backoff.failed(_after(error))
        if isinstance(error, DeliveryError) and not error.retry:
            self._outbox.drop("rejected")
        else:
            self._outbox.put_back()
        return self._fail("failed", described(error))

    def _is_late(self, attempt: Attempt, now: float) -> bool:
        return not attempt.overdue and now >= attempt.begun + self._deadline

    def _overdue(self, attempt: Attempt) -> list[Callable[[], object]]:
        attempt.overdue = True
        return self._fail("timeout", f"no end after {self._deadline:g} s")

    def _fail(self, reason: str, error: str) -> list[Callable[[], object]]:
        self._failed += 1
        self._last_error = error
        self._count(reason)
        said, self._said = self._said, True
        words = "the notifier %s does not deliver (further failures are only counted): %s"
        return [] if said else [partial(_say, logging.WARNING, words, self.name, error)]

    def _pause(self, now: float) -> float | None:
        """Seconds until something is due; None: nothing is."""
        times = []
        if self._attempt is not None and not self._attempt.overdue:
            times.append(self._attempt.begun + self._deadline)
        oldest = self._outbox.oldest
        if oldest is not None:
            times.append(oldest + self._give_up)
            if self._attempt is None:
                times.append(self._due)
        return min(max(0.0, min(times) - now), _LONGEST_WAIT) if times else None

    # --- counting

    def _count_lost(self) -> None:
        lost = self._outbox.lost
        while lost:
            self._drop(*lost.popitem())

    def _drop(self, reason: str, amount: int) -> None:
        self._dropped += amount
        self._count(reason, amount)

    def _count(self, reason: str, amount: int = 1) -> None:
        with suppress(Exception):
            losses.count("notify", reason, amount)


def _after(error: BaseException) -> float | None:
    after = error.after if isinstance(error, DeliveryError) else None
    return after if isinstance(after, int | float) else None


def _say(level: int, words: str, *values: object) -> None:
    with suppress(Exception):  # the program's own logging may be what fails
        _log.log(level, words, *values)
