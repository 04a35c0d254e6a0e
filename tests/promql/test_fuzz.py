"""No text kills the process or gives anything but an answer or a `PromQLError`.

`GEOMON_FUZZ_SECONDS` says for how long it is tried: 60 with `CI=true`, else 12;
`GEOMON_FUZZ_SEED` with which seed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = os.environ.get("GEOMON_FUZZ_SECONDS") or (
    "60" if os.environ.get("CI") == "true" else "12"
)
SEED = os.environ.get("GEOMON_FUZZ_SEED", "1")
ROOT = Path(__file__).parents[2]


def test_no_text_kills_the_process_or_escapes_as_another_error(tmp_path: Path) -> None:
    last = tmp_path / "last"
    command = [sys.executable, "-m", "tests.promql.fuzz", SECONDS, SEED, str(last)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=float(SECONDS) + 120
    )
    if done.returncode:
        text, *_ = last.read_bytes().split(b"\0\n")
        pytest.fail(f"seed {SEED}: {text!r}\n{done.stderr[-3000:]}", pytrace=False)
