"""`geomon logs --request-id` over one large file, beside jq and grep.

`GEOMON_BENCH_MB` sets the file's size; 200 where it does not.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import orjson

from tests.benchmarks.measure import interleaved, show

MEGABYTES = int(os.environ.get("GEOMON_BENCH_MB", "200"))
REPEATS = 3
COMMAND = (sys.executable, "-m", "geomon", "logs")


def records() -> Iterator[bytes]:
    """Lines as the log sink writes them."""
    rng, begin = random.Random(0), datetime(2026, 11, 24, tzinfo=UTC)
    for number in range(sys.maxsize):
        record = {
            "timestamp": f"{begin + timedelta(milliseconds=number):%Y-%m-%dT%H:%M:%S.%f}Z",
            "level": "INFO",
            "message": "summarize gpt-4o ok in 1.234 s",
            "logger": "geomon.ai",
            "module": "views",
            "function": "summarize",
            "line": 120,
            "request_id": f"{rng.getrandbits(64):016x}",
            "user_id": f"u-{rng.randrange(5000)}",
            "kind": "ai",
            "type": "summarize",
            "model": "gpt-4o",
            "outcome": "ok",
            "duration": rng.random() * 5,
            "input_tokens": rng.randrange(4000),
            "output_tokens": rng.randrange(900),
            "cost": rng.random() / 100,
        }
        yield orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def write(path: str) -> str:
    """Fills a file; gives the request id of its last record."""
    size, line = 0, b""
    with open(path, "wb") as file:
        for line in records():
            size += file.write(line)
            if size >= MEGABYTES * 1_000_000:
                break
    return str(orjson.loads(line)["request_id"])


def of_command(command: Sequence[str], peaks: dict[str, float]) -> Callable[[], float]:
    """Seconds of a command that finds one line or more; its peak memory, in MB, into `peaks`."""

    def once() -> float:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process.stdout as output:
            found = output.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert found, command
        peaks[command[0]] = usage.ru_maxrss / 1024
        return time.perf_counter() - begin

    return once


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "app.json")
        wanted, peaks = write(path), dict[str, float]()
        commands: dict[str, Sequence[str]] = {
            "geomon logs --request-id": (*COMMAND, path, "--request-id", wanted),
            "grep -F": ("grep", "-F", f'"{wanted}"', path),
            "jq select(.request_id==…)": ("jq", "-c", f'select(.request_id=="{wanted}")', path),
        }
        results = interleaved(
            {name: of_command(c, peaks) for name, c in commands.items() if shutil.which(c[0])},
            REPEATS,
        )
    show(f"Finding a request in {MEGABYTES:,} MB of logs", results, "geomon logs --request-id", "s")
    print(f"  peak memory of geomon logs {peaks[sys.executable]:>27.0f} MB")


if __name__ == "__main__":
    main()
