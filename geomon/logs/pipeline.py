"""What `setup()` gives: one handler on the root logger, and what it changed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType

from geomon import dispatch
from geomon.logs import carrying, client_loggers, exits
from geomon.logs.handlers import QueuedHandler
from geomon.logs.takeover import TakeOver, checked, taken_over
from geomon.logs.uncaught import Written


class Pipeline:
    """The log set-up in force; a with-block closes it.

    `handler` stands on the root logger, beside those of the program. With `GEOMON_DISABLED=1` it
    does not, and nothing is changed.
    """

    def __init__(self, handler: QueuedHandler, hold: bool, written: Written) -> None:
        self.handler = handler
        self._written = written
        self.closed = dispatch.disabled
        self._undo: list[Callable[[], None]] = []
        if not self.closed:
            self._set_up(logging.getLogger(), hold)

    def take_over(self, *what: TakeOver) -> None:
        """Lets the records of others come here, once and in this form.

        Args:
            *what: `"uncaught"`: exceptions that end the program or a thread, instead of Python's
                traceback, which is printed where no record could be written. `"uvicorn"`,
                `"gunicorn"`, `"fastapi"`: the server's own loggers lose their handlers, so that an
                access line is JSON and carries the request id that is bound while it is logged. A
                logger that the server has switched off stays off.

        Raises:
            ValueError: it is none of these.
        """
        names = checked(what)
        if not self.closed:
            self._undo += taken_over(names, self._written)

    def flush(self, timeout: float = 5.0) -> bool:
        """Waits until what was logged before is written; False where `timeout` s did not do."""
        return self.handler.flush(timeout)

    def close(self) -> None:
        """Writes what waits, and undoes what the set-up changed. Can be repeated.

        A file that is stuck is waited for 5 seconds.
        """
        if self.closed:
            return
        self.closed = True
        self.handler.flush()  # while it takes records still
        logging.getLogger().removeHandler(self.handler)
        for undo in reversed(self._undo):
            undo()
        self.handler.close()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _set_up(self, root: logging.Logger, hold: bool) -> None:
        formatter = self.handler.formatter
        self._undo.append(lambda: carrying.end(formatter))
        self._lower_level(root, self.handler.level)
        if hold:
            earlier = client_loggers.hold()
            self._undo.append(lambda: client_loggers.release(earlier))
        root.addHandler(self.handler)
        if exits.flush_at_sigterm():
            self._undo.append(exits.leave_sigterm)

    def _lower_level(self, root: logging.Logger, lowest: int) -> None:
        earlier = root.level
        if earlier <= lowest:  # NOTSET takes everything
            return
        root.setLevel(lowest)

        def restore() -> None:
            if root.level == lowest:
                root.setLevel(earlier)

        self._undo.append(restore)
