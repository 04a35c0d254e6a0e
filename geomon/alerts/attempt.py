"""One call of a notifier, in a thread of its own, so that one that hangs holds nobody up."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import PurePath

from geomon import clock
from geomon.alerts.alert import Alert, DeliveryError, Notifier
from geomon.alerts.untracked import leave_untracked

_MOST = 300  # characters of an error that are shown


class Attempt:
    """One call of `notifier` with `alerts`.

    Args:
        notifier: What is called.
        alerts: What it gets.
        ended: Called in the attempt's thread when the call is over.

    Attributes:
        begun: When it was made, by the clock that never steps.
        overdue: Set by its owner when it has taken too long.
        error: What the notifier raised.
    """

    def __init__(
        self, notifier: Notifier, alerts: Sequence[Alert], ended: Callable[[Attempt], None]
    ) -> None:
        self.alerts = alerts
        self.begun = clock.monotonic()
        self.overdue = False
        self.error: BaseException | None = None
        self._notifier = notifier
        self._ended = ended

    def start(self, name: str) -> None:
        """Calls the notifier; in the caller's thread where the interpreter starts no more."""
        try:
            threading.Thread(target=self._run, name=name, daemon=True).start()
        except RuntimeError:
            self._run()

    def _run(self) -> None:
        leave_untracked()
        try:
            _finish(self._notifier(self.alerts))
        except BaseException as error:  # whatever it is: the alerts have not arrived
            self.error = error
        finally:
            self._ended(self)


def _finish(result: object) -> None:
    """Waits for what an executor or another thread's loop does; what nobody would run is refused.

    Raises:
        DeliveryError: the notifier gave an awaitable or a generator.
    """
    if isinstance(result, Future):
        result.result()
    elif inspect.isawaitable(result) or inspect.isasyncgen(result) or inspect.isgenerator(result):
        if inspect.iscoroutine(result):
            result.close()
        raise DeliveryError(
            f"the notifier gave a {type(result).__name__}, which nobody runs: write a plain "
            "function, such as lambda alerts: asyncio.run(send(alerts))",
            retry=False,
        )


def described(error: BaseException) -> str:
    """An error without what may be secret in it.

    An exception's text may hold anything: a URL with a password, a header. Only a `DeliveryError`
    is written to be shown; of others it gives the class, and the system's words or the place.
    """
    if isinstance(error, DeliveryError):
        text = " ".join(Exception.__str__(error).split())
    elif isinstance(error, OSError) and error.errno is not None and error.strerror:
        text = f"{type(error).__name__}: {error.strerror}"
    else:
        text = f"{type(error).__name__}{_place(error)}"
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f" at {PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
