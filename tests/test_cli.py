"""`geomon logs`, as a user runs it: real processes, pipes and terminals."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import selectors
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

COMMAND = (sys.executable, "-m", "geomon", "logs")
PATIENCE = 60.0

RECORDS: list[dict[str, Any]] = [
    {"timestamp": "2026-11-24T18:30:01.000000Z", "level": "DEBUG", "message": "a", "logger": "x"},
    {
        "timestamp": "2026-11-24T18:30:02.000000Z",
        "level": "INFO",
        "message": "b one",
        "logger": "x.y",
        "module": "views",
        "function": "show",
        "line": 7,
        "request_id": "r-1",
        "user_id": "u-1",
        "model": "gpt-4o",
        "duration": 2.5,
        "input_tokens": 1000,
        "cost": 0.25,
    },
    {
        "timestamp": "2026-11-24T18:30:03.000000Z",
        "level": "ERROR",
        "message": "c",
        "logger": "z",
        "user_id": "u-2",
        "model": "o3",
        "cost": 0.5,
        "exception": {
            "type": "KeyError",
            "message": "'k'",
            "stack": [{"file": "a.py", "line": 3, "function": "f", "code": "d['k']"}],
            "causes": [{"type": "OSError", "message": "gone"}],
        },
    },
]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A directory with records, the oldest of them rotated."""
    first, *rest = [json.dumps(record, separators=(",", ":")) + "\n" for record in RECORDS]
    (tmp_path / "app.json.1").write_text(first)
    (tmp_path / "app.json").write_text("".join(rest))
    (tmp_path / "error.json").write_text(rest[-1])
    return tmp_path


def environment(**changes: str) -> dict[str, str]:
    plain = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    return {**plain, "TERM": "xterm", "PYTHONUNBUFFERED": "", "COLUMNS": "100", **changes}


def run(
    *arguments: str | Path, stdin: str = "", **changes: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(**changes),
    )


def shown(ran: subprocess.CompletedProcess[str]) -> list[str]:
    """The messages of `--json`."""
    assert (ran.returncode, ran.stderr) == (0, "")
    return [json.loads(line)["message"] for line in ran.stdout.splitlines()]


# What is shown


def test_records_are_shown_readably_in_the_order_of_time(logs: Path) -> None:
    ran = run(logs)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        "2026-11-24T18:30:01.000000Z DEBUG    x a",
        "2026-11-24T18:30:02.000000Z INFO     x.y b one request_id=r-1 user_id=u-1 model=gpt-4o "
        "duration=2.5 input_tokens=1000 cost=0.25 (views.show:7)",
        "2026-11-24T18:30:03.000000Z ERROR    z c user_id=u-2 model=o3 cost=0.5",
        "    KeyError: 'k'",
        "      a.py:3 in f",
        "        d['k']",
        "    caused by OSError: gone",
    ]


def test_json_is_the_records_as_they_were_written(logs: Path) -> None:
    ran = run(logs, "--json")
    assert [json.loads(line) for line in ran.stdout.splitlines()] == RECORDS


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--request-id", "r-1"], ["b one"]),
        (["--user-id", "u-2"], ["c"]),
        (["--level", "info", "--model", "gpt-4o"], ["b one"]),
        (["--logger", "x"], ["a", "b one"]),
        (["--since", "2026-11-24T18:30:02Z", "--until", "2026-11-24T19:30:03+01:00"], ["b one"]),
        (["--grep", "B (one|two)", "-i"], ["b one"]),
        (["--grep", "KeyError"], ["c"]),
        (["--where", "duration > 2 or exception.type == 'KeyError'"], ["b one", "c"]),
        (["--until", "1000w"], []),
    ],
)
def test_options_choose_records(logs: Path, options: Sequence[str], expected: list[str]) -> None:
    assert shown(run(logs, "--json", *options)) == expected


def test_totals_as_a_table_and_as_json(logs: Path) -> None:
    ran = run(logs, "--by", "user_id", "--sum", "cost", "--sum", "tokens")
    assert [line.split() for line in ran.stdout.splitlines()] == [
        ["user_id", "count", "cost", "tokens"],
        ["u-2", "1", "0.500000", "-"],
        ["u-1", "1", "0.250000", "1,000"],
        ["-", "1", "-", "-"],
    ]
    ran = run(logs, "--sum", "cost", "--json")
    assert json.loads(ran.stdout) == {"count": 3, "cost": 0.75}


def test_the_columns_of_a_table_stand_below_their_names(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    users = ["u-1", "\u5f20\u4f1f", "x" * 100]  # Chinese characters are two columns wide
    path.write_text("".join(json.dumps({"user": user, "n": 1234}) + "\n" for user in users))
    ran = run(path, "--by", "user", "--sum", "n")
    assert ran.stdout.splitlines() == [
        "user" + " " * 56 + "  count      n",
        "u-1" + " " * 57 + "      1  1,234",
        "\u5f20\u4f1f" + " " * 56 + "      1  1,234",
        "x" * 100 + "      1  1,234",
    ]


def test_a_table_of_many_groups_is_soon_there(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    path.write_text("".join(f'{{"user_id":"u-{n}","cost":0.5}}\n' for n in range(50_000)))
    started = time.monotonic()
    ran = run(path, "--by", "user_id", "--sum", "cost")
    assert (len(ran.stdout.splitlines()), ran.stderr) == (50_001, "")
    table = time.monotonic() - started
    started = time.monotonic()
    run(path, "--by", "user_id", "--sum", "cost", "--json")
    assert table < 3 * (time.monotonic() - started)


def test_the_standard_input_is_read(logs: Path) -> None:
    assert shown(run("-", "--json", stdin=(logs / "app.json").read_text())) == ["b one", "c"]


def test_the_default_is_the_directory_logs(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "app.json").write_text('{"message":"here"}\n')
    ran = subprocess.run(
        [*COMMAND, "--json"],
        cwd=tmp_path,
        env=environment(PYTHONPATH=os.pathsep.join(sys.path)),
        capture_output=True,
        text=True,
    )
    assert shown(ran) == ["here"]


def test_a_broken_line_is_shown_as_it_is_and_counted(logs: Path) -> None:
    with open(logs / "app.json", "a") as file:
        file.write('Segmentation fault\n{"timestamp":"2026')
    ran = run(logs)
    assert ran.returncode == 0
    assert ran.stdout.splitlines()[-2:] == ["Segmentation fault", '{"timestamp":"2026']
    assert ran.stderr == "2 broken lines (not JSON)\n"


HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202etxt.exe\x9b31m\rover"


@pytest.mark.parametrize("options", [[], ["--json"], ["--by", "message"]])
def test_nothing_in_a_record_commands_the_terminal(tmp_path: Path, options: list[str]) -> None:
    record = {"level": HOSTILE, "message": HOSTILE, HOSTILE: HOSTILE, "exception": [HOSTILE]}
    text = json.dumps(record, ensure_ascii=False)
    (tmp_path / "app.json").write_text(f"{text}\n{HOSTILE[:-5]}\n")
    ran = run(tmp_path, *options, FORCE_COLOR="1")
    left = re.sub(r"\x1b\[[0-9;]*m", "", ran.stdout)
    assert (ran.returncode, re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", left)) == (0, [])
    if options == ["--json"]:
        assert json.loads(ran.stdout.splitlines()[0]) == record


# Terminals and pipes


def on_a_terminal(*arguments: str | Path, **changes: str) -> str:
    """What a terminal gets to see."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=theirs, env=environment(**changes)
    )
    os.close(theirs)
    found = b""
    try:
        while chunk := os.read(ours, 65536):
            found += chunk
    except OSError:  # the terminal's other end is closed
        pass
    os.close(ours)
    assert process.wait(PATIENCE) == 0
    return found.decode().replace("\r\n", "\n")


def test_a_terminal_gets_colours_and_a_pipe_does_not(logs: Path) -> None:
    plain = run(logs).stdout
    coloured = on_a_terminal(logs)
    assert "\x1b[1;31mERROR   \x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
    assert "\x1b" not in plain


def test_the_environment_decides_on_colours(logs: Path) -> None:
    assert "\x1b" not in on_a_terminal(logs, NO_COLOR="1")
    assert "\x1b" not in on_a_terminal(logs, TERM="dumb")
    assert "\x1b[1;31mERROR" in run(logs, FORCE_COLOR="1").stdout
    assert "\x1b" not in run(logs, FORCE_COLOR="1", NO_COLOR="1").stdout
    assert "\x1b" not in on_a_terminal(logs, "--json")


def test_it_ends_quietly_when_nobody_reads_on(tmp_path: Path) -> None:
    text = json.dumps(RECORDS[0]) + "\n"
    (tmp_path / "app.json").write_text(text * 50_000)
    process = subprocess.Popen(
        [*COMMAND, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stdout.readline().endswith(b"x a\n")
    process.stdout.close()
    process.stdout = None
    assert (process.communicate(timeout=PATIENCE)[1], process.returncode) == (b"", 0)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_an_output_that_cannot_be_written_is_an_error(logs: Path) -> None:
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [*COMMAND, str(logs)], stdout=full, stderr=subprocess.PIPE, text=True, env=environment()
        )
    assert (ran.returncode, ran.stderr) == (1, "Error: the output: No space left on device\n")


# What is wrong


def test_where_there_are_no_logs_it_says_so(tmp_path: Path) -> None:
    ran = run(tmp_path)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == f"Error: {tmp_path}: there is no app.json in this directory\n"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    ran = run("/proc/self/mem")
    assert (ran.returncode, ran.stderr) == (1, "Error: /proc/self/mem: Input/output error\n")
    (tmp_path / "app.json.1.gz").write_bytes(b"no gzip")
    ran = run(tmp_path)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"Error: {tmp_path}/app.json.1.gz: cannot be decompressed: ")


@pytest.mark.parametrize(
    ("options", "shown"),
    [(["--json"], '{"message": "b"}'), (["--sum", "cost", "--json"], '"count"')],
)
def test_files_that_cannot_be_read_cost_the_others_nothing(
    tmp_path: Path, options: list[str], shown: str
) -> None:
    (tmp_path / "app.json.3").mkdir()
    (tmp_path / "app.json.2.gz").write_bytes(gzip.compress(b'{"message": "a"}\n' * 99)[:-9])
    (tmp_path / "app.json").write_text('{"message": "b"}\n')
    ran = run(tmp_path, *options)
    assert (ran.returncode, shown in ran.stdout) == (1, True)
    first, second = ran.stderr.splitlines()[:2]
    assert first == f"Error: {tmp_path}/app.json.3: Is a directory"
    assert second.startswith(f"Error: {tmp_path}/app.json.2.gz: cannot be decompressed: ")


def test_without_a_standard_output_it_says_so(logs: Path) -> None:
    command = shlex.join([*COMMAND, str(logs)])
    for options in ("", "--json", "--by user_id"):
        ran = subprocess.run(
            ["sh", "-c", f"{command} {options} >&-"], capture_output=True, text=True
        )
        assert (ran.returncode, ran.stderr) == (1, "Error: the output: Bad file descriptor\n")


def test_without_a_standard_error_what_is_said_does_not_get_among_the_records(logs: Path) -> None:
    with open(logs / "app.json", "a") as file:
        file.write("broken\n")
    ran = subprocess.run(
        ["sh", "-c", f"{shlex.join([*COMMAND, str(logs), '--json'])} 2>&-"],
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, len(ran.stdout.splitlines())) == (0, 4)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--where", "duration = 2"], "write == to compare"),
        (["--since", "soon"], "or how long ago, as in 15m"),
        (["--level", "loud"], "write DEBUG, INFO"),
        (["--by", "a b"], "names with dots"),
        (["--follow", "--by", "user_id"], "leave out one of them"),
        (["--nonsense"], "No such option"),
        ([""], "a path is empty: write logs"),
    ],
)
def test_what_is_not_understood_is_told_in_one_line(
    logs: Path, options: list[str], says: str
) -> None:
    ran = run(logs, *options)
    assert (ran.returncode, ran.stdout, says in ran.stderr) == (2, "", True)
    assert "Traceback" not in ran.stderr


def test_help_names_the_exit_codes() -> None:
    ran = run("--help")
    assert (ran.returncode, "Exit codes: 0 " in ran.stdout) == (0, True)


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_it_says_what_to_install(missing: str) -> None:
    program = (
        f"import runpy, sys; sys.modules[{missing!r}] = None; sys.argv = ['geomon', 'logs']; "
        "runpy.run_module('geomon', run_name='__main__')"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    says = 'The command geomon needs Typer and Rich: pip install "geomon[cli]"\n'
    assert (ran.returncode, ran.stderr) == (1, says)


# Following real writers


class Following:
    """A `geomon logs --follow` that runs."""

    def __init__(self, *arguments: str | Path) -> None:
        self._process = subprocess.Popen(
            [*COMMAND, "--follow", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout
        self._found = b""

    def lines(self, count: int) -> list[str]:
        """The next lines, as many as are asked for."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while self._found.count(b"\n") < count:
                assert selector.select(PATIENCE), f"only {self._found!r}"
                self._found += os.read(self._output.fileno(), 65536)
        *lines, self._found = self._found.split(b"\n", count)
        return [line.decode() for line in lines]

    def interrupt(self) -> tuple[int, str, str]:
        """Ctrl-C: the exit code, what was shown beyond what was read, and the errors."""
        self._process.send_signal(signal.SIGINT)
        rest, errors = self._process.communicate(timeout=PATIENCE)
        return self._process.returncode, (self._found + rest).decode(), errors.decode()

    def end(self) -> None:
        """Whatever happened, it runs no longer."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@pytest.fixture
def follow() -> Iterator[Callable[..., Following]]:
    """Starts followers, which end with the test."""
    started: list[Following] = []

    def start(*arguments: str | Path) -> Following:
        started.append(Following(*arguments))
        return started[-1]

    yield start
    for each in started:
        each.end()


ROTATING = """
import json, logging.handlers, sys
handler = logging.handlers.RotatingFileHandler(sys.argv[1], maxBytes=2000, backupCount=100)
handler.setFormatter(logging.Formatter('{"message":"%(message)s"}'))
logging.getLogger().addHandler(handler)
for number in range(int(sys.argv[2])):
    logging.warning("%05d", number)
"""


def test_following_through_real_rotation_loses_and_repeats_nothing(
    tmp_path: Path, follow: Callable[..., Following]
) -> None:
    path = tmp_path / "app.json"
    path.write_text('{"message":"first"}\n')
    following = follow(tmp_path, "--json")
    assert following.lines(1) == ['{"message":"first"}']
    subprocess.run([sys.executable, "-c", ROTATING, str(path), "3000"], check=True)
    lines = following.lines(3000)
    assert sorted(json.loads(line)["message"] for line in lines) == [
        f"{number:05}" for number in range(3000)
    ]
    assert len(list(tmp_path.iterdir())) > 20
    assert following.interrupt() == (0, "", "")


GEOMON = """
import logging, sys
from geomon.logs import setup
with setup(log_dir=sys.argv[1], console=False, max_bytes=20_000, backups=100):
    for number in range(1000):
        logging.error("%s %04d", sys.argv[2], number)
"""


def test_what_several_processes_write_through_geomon_is_followed_and_read_once(
    tmp_path: Path, follow: Callable[..., Following]
) -> None:
    following = follow(tmp_path, "--json")
    writers = [
        subprocess.Popen([sys.executable, "-c", GEOMON, str(tmp_path), name]) for name in ("a", "b")
    ]
    assert [writer.wait(PATIENCE) for writer in writers] == [0, 0]
    expected = [f"{name} {number:04}" for name in ("a", "b") for number in range(1000)]
    lines = following.lines(2000)
    assert sorted(json.loads(line)["message"] for line in lines) == expected
    assert following.interrupt() == (0, "", "")
    ran = run(tmp_path, "--json")
    assert (ran.returncode, sorted(ran.stdout.splitlines())) == (0, sorted(lines))
    times = [json.loads(line)["timestamp"] for line in ran.stdout.splitlines()]
    assert times == sorted(times)


KILLED = """
import os, signal, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
os.write(file, b'{"message":"whole"}\\n{"message":"ha')
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_writer_that_is_killed_in_a_line_breaks_that_line_only(
    tmp_path: Path, follow: Callable[..., Following]
) -> None:
    following = follow(tmp_path, "--json")
    program = [sys.executable, "-c", KILLED, str(tmp_path / "app.json")]
    assert subprocess.run(program).returncode == -signal.SIGKILL
    assert following.lines(1) == ['{"message":"whole"}']
    (tmp_path / "app.77.json").write_text('{"message":"another process"}\n')
    assert following.lines(1) == ['{"message":"another process"}']
    with open(tmp_path / "app.json", "a") as file:
        file.write('\n{"message":"next"}\n')
    broken, after = following.lines(2)
    assert json.loads(broken) == {"message": '{"message":"ha', "broken": True}
    assert after == '{"message":"next"}'
    assert following.interrupt() == (0, "", "1 broken line (not JSON)\n")


def test_control_c_ends_a_reading_that_waits_for_its_input() -> None:
    process = subprocess.Popen(
        [*COMMAND, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(PYTHONUNBUFFERED="1"),
    )
    assert process.stdin is not None
    process.stdin.write(b"x" * 200_000 + b"\n")  # more than a pipe holds: it has begun to read
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=PATIENCE)[1].decode()
    assert (process.returncode, "Traceback" in errors) == (130, False)
