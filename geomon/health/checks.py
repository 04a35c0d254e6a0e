"""The health checks of a program: `@geomon.health.check("database")`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, TypeVar, overload

from geomon import locks
from geomon.health.checking import Check, Loop, Result, Terms
from geomon.health.registering import check_function, checked_terms

F = TypeVar("F", bound=Callable[[], Any])

_log = logging.getLogger("geomon.health")


class Checks:
    """Health checks by name.

    A check runs in a thread of its own, at most once at a time: whoever asks meanwhile waits for
    the same run. One that hangs costs that thread, and is answered with "timed out". No context of
    who asks reaches it.
    """

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._lock = locks.lock_of(self)

    @overload
    def check(
        self,
        name: str,
        function: None = None,
        /,
        *,
        timeout: float = ...,
        group: str = ...,
        critical: bool = ...,
        cache: float = ...,
        loop: Loop = ...,
    ) -> Callable[[F], F]: ...

    @overload
    def check(
        self,
        name: str,
        function: F,
        /,
        *,
        timeout: float = ...,
        group: str = ...,
        critical: bool = ...,
        cache: float = ...,
        loop: Loop = ...,
    ) -> F: ...

    def check(
        self,
        name: str,
        function: Any = None,
        /,
        *,
        timeout: float = 1.0,
        group: str = "ready",
        critical: bool = True,
        cache: float = 1.0,
        loop: Loop = "private",
    ) -> Any:
        """Registers a function, sync or async, that says how something stands.

            @check("database", timeout=0.5)
            def database() -> bool: ...

            check("cache", client.ping, critical=False)

        The function takes nothing. None and True mean that all is well; a dict too, with details;
        False and what is empty mean that it is not. A pair `(verdict, details)` gives both. What it
        raises is logged by `geomon.health`, and shown to nobody.

        An async check runs on a loop of its own, so that one that blocks never blocks the server.
        What belongs to the server's loop, such as a pool of connections, cannot be used there:
        `loop="caller"` runs the check on the loop of who asks; then it must not block. Where who
        asks has none (WSGI), it runs on a loop of its own all the same.

        Args:
            name: What the answers call it. One of the same name is replaced, as a reload needs it.
            function: None: the decorated one.
            timeout: Seconds that it may take. An async check is cancelled then; a sync one cannot
                be, and keeps its thread until it ends.
            group: The answer that depends on it: `ready`, or a name of your own, such as `startup`.
            critical: Whether the group fails with it. /health is degraded in either case.
            cache: Seconds for which an outcome serves; 0: none.
            loop: Where an async check runs.

        Returns:
            The function itself.

        Raises:
            TypeError, ValueError: an argument cannot be; the text says what to write.
        """
        terms = checked_terms(Terms(name, timeout, group, critical, cache, loop))
        if function is not None:
            return self._add(function, terms)
        return lambda decorated: self._add(decorated, terms)

    def unregister(self, name: str) -> bool:
        """Takes a check out; whether there was one of that name."""
        with self._lock:
            return self._checks.pop(name, None) is not None

    def clear(self) -> None:
        """Takes all checks out."""
        with self._lock:
            self._checks.clear()

    @property
    def names(self) -> list[str]:
        """The checks' names, in the order in which they were registered."""
        with self._lock:
            return list(self._checks)

    def begin(
        self, group: str | None = None, loop: asyncio.AbstractEventLoop | None = None
    ) -> Running:
        """Begins all checks of a group, or of all groups, at once."""
        with self._lock:
            checks = list(self._checks.values())
        return Running(
            [check for check in checks if group is None or check.terms.group == group], loop
        )

    def _add(self, function: F, terms: Terms) -> F:
        check_function(function, terms)
        with self._lock:
            earlier = self._checks.get(terms.name)
            self._checks[terms.name] = Check(function, terms)
        if earlier is not None and _place(earlier.function) != _place(function):
            _log.warning(
                "the health check %r of %s is replaced by that of %s",
                terms.name,
                _place(earlier.function),
                _place(function),
            )
        return function


class Running:
    """Checks that were begun together.

    Args:
        checks: Those that are begun.
        loop: The running loop of who asks.
    """

    def __init__(self, checks: list[Check], loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._runs = [(check, check.begin(loop)) for check in checks]

    def wait(self) -> list[Result]:
        """The results; waits for each until its timeout at most."""
        return [check.result(run.wait()) for check, run in self._runs]

    async def wait_async(self) -> list[Result]:
        """The same, without holding the loop up."""
        return [check.result(await run.wait_async()) for check, run in self._runs]


def _place(function: Any) -> str:
    names = (getattr(function, name, None) for name in ("__module__", "__qualname__"))
    return ".".join(map(str, filter(None, names))) or type(function).__qualname__


CHECKS = Checks()
"""The checks that `geomon.health.check` registers."""

check = CHECKS.check
unregister = CHECKS.unregister
