"""What `import geomon` costs, in fresh interpreters."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

from tests.benchmarks.measure import interleaved, show

BASE = "import prometheus_client, wrapt"
EMPTY = "the interpreter alone"


def of_program(program: str) -> Callable[[], float]:
    def once() -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True)
        return (time.perf_counter() - begin) * 1e3

    return once


def main() -> None:
    results = interleaved(
        {
            EMPTY: of_program("pass"),
            BASE: of_program(BASE),
            "import geomon": of_program("import geomon"),
        }
    )
    empty = results.pop(EMPTY)
    show(
        f"Importing (less the {empty:.0f} ms of the interpreter itself)",
        {name: value - empty for name, value in results.items()},
        BASE,
        "ms",
    )


if __name__ == "__main__":
    main()
