"""All commands in one Typer application."""

from __future__ import annotations

from typing import Annotated

import typer

from geomon.cli.logs import ENDS, logs
from geomon.version import __version__

app = typer.Typer(
    name="geomon",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command(epilog=ENDS)(logs)


def _say(version: bool) -> None:
    if version:
        print(f"geomon {__version__}")
        raise typer.Exit


@app.callback()
def geomon(
    version: Annotated[
        bool,
        typer.Option("--version", help="Say the version and end.", callback=_say, is_eager=True),
    ] = False,
) -> None:
    """What geomon wrote, made readable."""


def run() -> None:
    """Runs the command of `sys.argv`."""
    app(prog_name="geomon")
