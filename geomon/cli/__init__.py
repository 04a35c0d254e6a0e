"""The command `geomon`. It needs the extra `cli`: `pip install "geomon[cli]"`."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main() -> None:
    """Runs the command that the process's arguments name, and ends the process."""
    if find_spec("typer") is None or find_spec("rich") is None:
        sys.exit('The command geomon needs Typer and Rich: pip install "geomon[cli]"')
    try:
        from geomon.cli.app import run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
