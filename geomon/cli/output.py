"""The standard output of a command: whole lines, quiet when nobody reads them any more."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class Output:
    """Writes lines.

    Args:
        at_once: Whether each line is shown before the next one is made, as on a terminal.

    Raises:
        OSError: The process has no standard output.
    """

    def __init__(self, at_once: bool = False) -> None:
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        self._at_once = at_once or sys.stdout.isatty()
        self._encoding = sys.stdout.encoding or "utf-8"

    def line(self, text: str) -> None:
        """Writes one line."""
        sys.stdout.buffer.write(text.encode(self._encoding, "backslashreplace") + b"\n")
        if self._at_once:
            sys.stdout.buffer.flush()


def say(text: str) -> None:
    """Writes a line for people to the standard error, where there is one."""
    if sys.stderr is not None:
        print(text, file=sys.stderr)


@contextmanager
def quiet_end() -> Iterator[None]:
    """Ends the command where its output is no longer read, as in `geomon logs | head`."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        discard()


def discard() -> None:
    """What is still in the buffer is written at exit: it must go somewhere."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
