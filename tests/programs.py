"""Programs that tests run as real processes, and the log files that they leave behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

PATIENCE = 60  # seconds until a program counts as hanging

BEGIN = """
import json, logging, os, signal, sys, threading, time
from geomon import losses
from geomon.logs import setup
log = logging.getLogger("app")
def lost():
    return {reason: n for (part, reason), n in sorted(losses.counts().items()) if part == "logs"}
"""
"""What every program begins with."""


def program(code: str) -> list[str]:
    """The command that runs a program."""
    return [sys.executable, "-W", "error", "-c", BEGIN + textwrap.dedent(code)]


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without geomon's own variables, and with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GEOMON_")}
    return {**kept, **variables}


def run(code: str, cwd: Path, status: int = 0, stderr: str | None = "", **variables: str) -> str:
    """What a program printed; it must end with `status`, and have written `stderr` alone.

    It has a process group of its own, which a test that fails takes along.
    """
    with subprocess.Popen(
        program(code),
        cwd=cwd,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=PATIENCE)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert (process.returncode, err if stderr is not None else None) == (status, stderr), err
    return out


def records(directory: Path, *patterns: str) -> list[dict[str, Any]]:
    """The records of all files, each of whose lines must be valid and whole."""
    found = []
    for pattern in patterns or ("app*.json*",):
        for path in sorted(directory.glob(pattern)):
            data = path.read_bytes()
            assert data == b"" or data.endswith(b"\n")
            found += [json.loads(line) for line in data.splitlines()]
    return found


def messages(directory: Path, *patterns: str) -> list[str]:
    """The messages of all files."""
    return [record["message"] for record in records(directory, *patterns)]


def until(true: Callable[[], object], patience: float = 20.0) -> None:
    """Waits until something is true."""
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.01)
