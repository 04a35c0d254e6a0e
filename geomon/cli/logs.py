"""`geomon logs`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from geomon.cli.output import Output, discard, quiet_end, say
from geomon.logs.lines import one_line
from geomon.logs.readable import paint_for, readable
from geomon.logs.reader import Reading, read
from geomon.logs.totals import USUAL, Total, totals

ENDS = (
    "Exit codes: 0 all that was asked for is shown, be it nothing; 1 there are no logs, or some of "
    "them cannot be read; 2 an option is not understood; 130 Ctrl-C, without --follow."
)
_AGO = "2026-11-24T18:30:00Z, 2026-11-24, or how long ago: 15m, 2h, 1d"


def logs(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Directories or files, with what was rotated out of them; - is the standard "
            "input.  [default: logs]",
            show_default=False,
        ),
    ] = None,
    request_id: Annotated[str | None, typer.Option(help="Records of this request.")] = None,
    user_id: Annotated[str | None, typer.Option(help="Records of this user.")] = None,
    level: Annotated[str | None, typer.Option(help="At least this level, as WARNING.")] = None,
    logger: Annotated[str | None, typer.Option(help="This logger and those below it.")] = None,
    model: Annotated[str | None, typer.Option(help="Records of this model.")] = None,
    since: Annotated[str | None, typer.Option(help=f"Not before {_AGO}.")] = None,
    until: Annotated[str | None, typer.Option(help="Before such a time.")] = None,
    grep: Annotated[
        str | None, typer.Option(help="A regular expression, in the message or any other field.")
    ] = None,
    ignore_case: Annotated[
        bool, typer.Option("--ignore-case", "-i", help="--grep takes a and A for the same.")
    ] = False,
    where: Annotated[
        str | None,
        typer.Option(help="""As 'duration > 2 and model == "gpt-4o"'; also or, not, in, ~."""),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="Totals for each value of a field.")
    ] = None,
    sum_: Annotated[
        list[str] | None,
        typer.Option("--sum", metavar="FIELD", help="Add a field up.  [with --by: tokens, cost]"),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            "-f",
            help="Go on with what is written from now on; --since 0s leaves out what there is.",
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show log records in the order of their times, or totals of them."""
    if follow and (by or sum_):
        raise _wrong("--follow has no end, and totals need one: leave out one of them")
    try:
        reading = read(
            *(paths or ()),
            request_id=request_id,
            user_id=user_id,
            level=level,
            logger=logger,
            model=model,
            since=since,
            until=until,
            grep=grep,
            ignore_case=ignore_case,
            where=where,
            follow=follow,
        )
    except ValueError as error:
        raise _wrong(str(error)) from None
    except OSError as error:
        raise _failed(error) from None
    _show(reading, by, sum_, follow, json)


def _show(
    reading: Reading, by: list[str] | None, sums: list[str] | None, follow: bool, json: bool
) -> None:
    try:
        with reading, quiet_end():
            output = Output(at_once=follow)
            if by or sums:
                _show_totals(output, _totals(reading, by, sums), json)
            else:
                _show_records(output, reading, json)
    except KeyboardInterrupt:
        raise typer.Exit(0 if follow else 130) from None
    except OSError as error:
        if error not in reading.unreadable:
            raise _failed(error) from None
    finally:
        _say_what_is_missing(reading)
    if reading.unreadable:
        raise typer.Exit(1)


def _show_records(output: Output, reading: Reading, json: bool) -> None:
    paint = paint_for(sys.stdout)
    for record in reading:
        output.line(one_line(record) if json else readable(record, paint, record.broken))


def _totals(reading: Reading, by: list[str] | None, sums: list[str] | None) -> list[Total]:
    try:
        return totals(reading, by or (), sums or USUAL)
    except ValueError as error:
        raise _wrong(str(error)) from None


def _show_totals(output: Output, found: list[Total], json: bool) -> None:
    from geomon.cli.tables import lines_of_table, rows_of_json  # Rich is a tenth of the start

    if json:
        lines = rows_of_json(found)
    else:
        lines = lines_of_table(found, paint_for(sys.stdout)) if found else ()
    for line in lines:
        output.line(line)


def _say_what_is_missing(reading: Reading) -> None:
    for error in reading.unreadable:
        say(f"Error: {error.filename}: {error.strerror}")
    if count := reading.broken:
        say(f"{count:,} broken line{'s' if count > 1 else ''} (not JSON)")


def _wrong(text: str) -> typer.Exit:
    say(f"Error: {text}\nTry 'geomon logs --help' for help.")
    return typer.Exit(2)


def _failed(error: OSError) -> typer.Exit:
    if error.filename is None:
        discard()
    say(f"Error: {error.filename or 'the output'}: {error.strerror}")
    return typer.Exit(1)
