"""Reading logs back: which records, in which order, from which files, and while they grow."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geomon.logs import reader, sources
from geomon.logs.follow import Follower
from geomon.logs.lines import one_line
from geomon.logs.readable import colours, readable
from geomon.logs.reader import Reading, read
from geomon.logs.safe import safe, safe_json
from geomon.testing import MovableClock

START = datetime(2026, 11, 24, 18, 30, tzinfo=UTC)


def at(seconds: float) -> str:
    time = START + timedelta(seconds=seconds)
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def line(seconds: float, message: str, **fields: Any) -> str:
    record = {"timestamp": at(seconds), "level": "INFO", "message": message, **fields}
    return json.dumps(record, separators=(",", ":")) + "\n"


def write(path: Path, *lines: str) -> Path:
    with open(path, "a") as file:
        file.writelines(lines)
    return path


def messages(*paths: Path | str, **filters: Any) -> list[str]:
    with read(*paths, **filters) as reading:
        return [record["message"] for record in reading]


# Which records


IDS = st.sampled_from(["r-1", "r-2", "42", "é", "a/b", 'q"q', "u 7"])
LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40}
RECORDS = st.fixed_dictionaries(
    {"timestamp": st.integers(0, 9).map(at), "level": st.sampled_from(list(LEVELS))},
    optional={
        "message": st.text(max_size=8) | st.sampled_from(["said hi", "10.5 %", "\u2028\x1b\n"]),
        "logger": st.sampled_from(["app", "app.db", "application", "App"]),
        "request_id": IDS | st.none(),
        "user_id": IDS | st.integers(40, 44) | st.booleans(),
        "model": IDS,
        "cost": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5),
        "exception": st.fixed_dictionaries({"type": st.sampled_from(["KeyError", "said hi"])}),
    },
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "request_id": IDS,
        "user_id": IDS | st.integers(40, 44),
        "model": IDS,
        "logger": st.sampled_from(["app", "app.db"]),
        "level": st.sampled_from(list(LEVELS)),
        "since": st.integers(0, 4).map(at),
        "until": st.integers(5, 9).map(at),
        "grep": st.sampled_from(["said", "hi", "0", "true", "Key", "é", "a/b", "KeyError", "."]),
        "where": st.sampled_from(["cost > 1", "model == 'r-1'", "not cost", 'message ~ "i"']),
    },
)
STYLES = st.fixed_dictionaries(
    {"ensure_ascii": st.booleans(), "separators": st.sampled_from([(",", ":"), (", ", ": ")])}
)

_WHERE = {
    "cost > 1": lambda r: "cost" in r and r["cost"] > 1,
    "model == 'r-1'": lambda r: r.get("model") == "r-1",
    "not cost": lambda r: "cost" not in r,
    'message ~ "i"': lambda r: "i" in r.get("message", ""),
}


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif value is not None:
        yield str(value).lower() if isinstance(value, bool) else str(value)


def naive(record: dict[str, Any], filters: dict[str, Any]) -> bool:
    """The filters as one would write them without a thought of speed."""
    for name, wanted in filters.items():
        value = record.get(name)
        if name in ("request_id", "user_id", "model"):
            met = not isinstance(value, bool) and value is not None and str(value) == str(wanted)
        elif name == "logger":
            met = value is not None and (value + ".").startswith(wanted + ".")
        elif name == "level":
            met = LEVELS[record["level"]] >= LEVELS[wanted]
        elif name == "grep":
            found = texts(record)
            met = any(wanted in text or (wanted == "." and text.strip("\n")) for text in found)
        elif name == "where":
            met = _WHERE[wanted](record)
        else:
            met = record["timestamp"] >= wanted if name == "since" else record["timestamp"] < wanted
        if not met:
            return False
    return True


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@given(st.lists(st.lists(RECORDS, max_size=8), min_size=1, max_size=3), FILTERS, STYLES)
@example([[{"timestamp": at(0), "level": "INFO", "user_id": 42}]], {"user_id": "42"}, {})
def test_filters_and_order_are_those_of_a_naive_reader(
    room: Path, files: list[list[dict[str, Any]]], filters: dict[str, Any], style: dict[str, Any]
) -> None:
    paths = [room / f"naive-{number}.log" for number in range(len(files))]
    for path, records in zip(paths, files, strict=True):
        path.write_text("".join(json.dumps(record, **style) + "\n" for record in records))
    expected = [record for records in files for record in records if naive(record, filters)]
    expected.sort(key=lambda record: str(record["timestamp"]))  # files' and lines' order else
    with read(*paths, **filters) as reading:
        assert list(reading) == expected


@given(
    st.lists(st.tuples(IDS, st.text(max_size=30)), max_size=30),
    st.integers(1, 200),
    IDS | st.none(),
    st.booleans(),
)
def test_where_blocks_end_makes_no_difference(
    room: Path, records: list[tuple[str, str]], size: int, wanted: str | None, ended: bool
) -> None:
    path = room / "blocks.log"
    text = "".join(line(n, text, request_id=name) for n, (name, text) in enumerate(records))
    path.write_text(text if ended else text.removesuffix("\n"))
    with patch.object(sources, "BLOCK", size):
        found = messages(path, request_id=wanted)
    assert found == [text for name, text in records if wanted in (None, name)]


@given(st.lists(st.integers(0, 10**6), max_size=40), st.integers(1, 9), st.integers(0, 99))
def test_files_are_merged_in_the_order_of_time(
    room: Path, times: list[int], count: int, seed: int
) -> None:
    where = random.Random(seed)
    paths = [room / f"merged-{number}.log" for number in range(count)]
    for path in paths:
        path.write_text("")
    for time in sorted(times):
        write(where.choice(paths), line(time / 1000, str(time)))
    with patch.object(sources, "BLOCK", 100):
        assert messages(*paths) == [str(time) for time in sorted(times)]


def test_threads_that_overtake_each_other_in_a_file_are_put_in_order(tmp_path: Path) -> None:
    write(tmp_path / "app.json", line(2, "b"), line(1, "a"), line(3, "c"))
    assert messages(tmp_path) == ["a", "b", "c"]


def test_times_of_other_writers_are_compared_as_times(tmp_path: Path) -> None:
    lines = [
        '{"timestamp": "2026-11-24T20:30:02+02:00", "message": "zone"}\n',
        line(1, "ours"),
        '{"timestamp": "2026-11-24 18:30:03", "message": "space"}\n',
        f'{{"timestamp": {START.timestamp() + 4}, "message": "seconds"}}\n',
        f'{{"timestamp": {START.timestamp() * 1000 + 5000:.0f}, "message": "milliseconds"}}\n',
    ]
    path = write(tmp_path / "app.json", *lines)
    assert messages(path) == ["ours", "zone", "space", "seconds", "milliseconds"]
    assert messages(path, since=at(2), until=at(4)) == ["zone", "space"]


def test_how_long_ago_is_counted_from_now(tmp_path: Path, clock: MovableClock) -> None:
    now = START + timedelta(hours=5)
    clock.set_wall(now.timestamp())
    agos = (7200, 3000, 60)
    path = write(tmp_path / "app.json", *(line(5 * 3600 - ago, str(ago)) for ago in agos))
    assert messages(path, since="1h30m") == ["3000", "60"]
    assert messages(path, until="10m") == ["7200", "3000"]
    assert messages(path, since=now - timedelta(seconds=100)) == ["60"]


def test_numbers_are_found_however_they_were_written(tmp_path: Path) -> None:
    path = write(tmp_path / "app.json", '{"message":"a","cost":1E2}\n')
    assert messages(path, grep="100") == ["a"]


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ({"since": "yesterday"}, "write 2026-11-24T18:30:00Z, 2026-11-24, or how long ago"),
        ({"since": datetime(2026, 1, 1)}, "no time zone"),
        ({"since": "1h", "until": "2h"}, "is not before until"),
        ({"level": "LOUD"}, "write DEBUG, INFO, WARNING, ERROR or 25"),
        ({"grep": "("}, "not a regular expression"),
        ({"grep": ""}, "write a text"),
        ({"where": "a = 1"}, "write == to compare"),
        ({"request_id": ""}, "no text to look for"),
        ({"follow": True, "until": "1h"}, "follow has no end"),
    ],
)
def test_a_filter_that_cannot_be_understood_says_what_to_write(
    tmp_path: Path, filters: dict[str, Any], says: str
) -> None:
    write(tmp_path / "app.json", line(1, "a"))
    with pytest.raises(ValueError, match=says):
        read(tmp_path, **filters)


# Which files


def test_a_directory_means_every_process_and_what_was_rotated(tmp_path: Path) -> None:
    names = ["app.json.10", "app.json.2", "app.json", "app.77.json.1", "app.77.json"]
    for number, name in enumerate([*names, "app.77.2.json"]):
        write(tmp_path / name, line(number, name))
    for name in ("error.json", "error.json.1", "application.json", "app.json.bak", "app.x.json"):
        write(tmp_path / name, line(9, name))
    assert messages(tmp_path) == [*names, "app.77.2.json"]
    assert messages(tmp_path / "error.json") == ["error.json.1", "error.json"]
    assert messages(tmp_path, tmp_path / "app.json", tmp_path / "app.77.json") == messages(tmp_path)


def test_rotated_files_may_be_compressed(tmp_path: Path) -> None:
    for number in (3, 2, 1):
        text = line(9 - number, str(number)).encode()
        (tmp_path / f"app.json.{number}.gz").write_bytes(gzip.compress(text))
    write(tmp_path / "app.json.1", line(8, "1"))  # its compression is not finished yet
    write(tmp_path / "app.json", line(9, "now"))
    assert messages(tmp_path) == messages(tmp_path / "app.json") == ["3", "2", "1", "now"]
    assert messages(tmp_path / "app.json.3.gz", since=at(1)) == ["3"]


NUMBERS = [str(n) for n in range(999)]
WHOLE = gzip.compress("".join(line(n, str(n), id=os.urandom(9).hex()) for n in range(999)).encode())


@pytest.mark.parametrize(
    ("damaged", "least"),
    [(b"no gzip", 0), (WHOLE[: len(WHOLE) // 2], 400), (WHOLE[:-4], 999), (WHOLE + b"more", 999)],
)
def test_a_damaged_compressed_file_costs_what_stands_behind_the_damage(
    tmp_path: Path, damaged: bytes, least: int
) -> None:
    (tmp_path / "app.json.1.gz").write_bytes(damaged)
    write(tmp_path / "app.json", line(1000, "now"))
    with read(tmp_path) as reading:
        *shown, now = [record["message"] for record in reading if not record.broken]
    assert (shown, now) == (NUMBERS[: len(shown)], "now")
    assert len(shown) >= least
    (error,) = reading.unreadable
    assert error.filename == tmp_path / "app.json.1.gz"
    assert str(error.strerror).startswith("cannot be decompressed: ")


def test_a_file_that_cannot_be_opened_costs_the_others_nothing(tmp_path: Path) -> None:
    (tmp_path / "app.json.1").mkdir()
    write(tmp_path / "app.json", line(1, "a"))
    with read(tmp_path) as reading:
        assert [record["message"] for record in reading] == ["a"]
    assert [error.filename for error in reading.unreadable] == [str(tmp_path / "app.json.1")]


def test_where_nothing_can_be_read_the_error_is_raised(tmp_path: Path) -> None:
    (tmp_path / "app.json.1.gz").write_bytes(b"no gzip")
    with pytest.raises(OSError, match="cannot be decompressed"):
        messages(tmp_path)


def test_where_there_are_no_logs_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no app\.json in this directory"):
        read(tmp_path)
    write(tmp_path / "web.log", line(1, "a"))
    with pytest.raises(FileNotFoundError, match=r"name a file, as in .*web\.log"):
        read(tmp_path)
    with pytest.raises(FileNotFoundError, match="no logs here"):
        read(tmp_path / "app.json")


def test_an_empty_path_says_what_to_write() -> None:
    with pytest.raises(ValueError, match="a path is empty: write logs"):
        read("")


def test_more_files_than_are_held_open_at_once(tmp_path: Path) -> None:
    for number in range(200):
        write(tmp_path / f"app.{number}.json", line(number, str(number)), line(number + 0.5, "-"))
    with read(tmp_path) as reading:
        next(reading)
        assert len(os.listdir("/proc/self/fd")) < 100
        assert sum(1 for _ in reading) == 399


def test_what_is_rotated_while_it_is_read_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / "app.json.1", line(1, "a"))
    write(tmp_path / "app.json", line(2, "b"), line(3, "c"))
    with read(tmp_path) as reading:
        found = [next(reading)["message"]]
        (tmp_path / "app.json.1").unlink()
        (tmp_path / "app.json").rename(tmp_path / "app.json.1")
        write(tmp_path / "app.json", line(4, "d"))
        found += [record["message"] for record in reading]
    assert found == ["a", "b", "c"]


# Lines that are no records


def test_a_broken_line_is_given_as_it_is_in_its_place_and_counted(tmp_path: Path) -> None:
    lines = [line(1, "a"), "Traceback (most\n", "\n", '{"half": \n', "[1]\n", line(2, "b"), "end"]
    path = write(tmp_path / "app.json", *lines)
    with read(path) as reading:
        found = [(record["message"], record.broken) for record in reading]
    assert (found, reading.broken) == (
        [
            ("a", False),
            ("Traceback (most", True),
            ('{"half": ', True),
            ("[1]", True),
            ("b", False),
            ("end", True),
        ],
        4,
    )


def test_a_broken_line_is_looked_for_by_its_text(tmp_path: Path) -> None:
    path = write(tmp_path / "app.json", line(1, "a"), '{"request_id":"r-1","mess\n', "other\n")
    assert messages(path, request_id="r-1") == ['{"request_id":"r-1","mess']
    assert messages(path, grep="o[t]her") == ["other"]
    assert messages(path, level="DEBUG") == ["a"]
    assert messages(path, where="message") == ["a"]


def test_a_line_without_an_end_is_cut_where_memory_would_grow(tmp_path: Path) -> None:
    path = write(tmp_path / "app.json", "x" * 5000 + "\n", line(1, "a"))
    with patch.object(sources, "BLOCK", 100), patch.object(sources, "MAX_LINE", 1000):
        found = messages(path)
    assert ("".join(found[:-1]), found[-1]) == ("x" * 5000, "a")
    assert max(map(len, found)) <= 1100


def test_of_a_long_broken_line_the_beginning_is_given_and_how_much_was_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "app.json", "x" * 100_000 + "the end\n")
    for filters in ({}, {"grep": "the e[n]d"}):
        with read(path, **filters) as reading:  # type: ignore[arg-type]
            (record,) = reading
        assert record["message"] == "x" * 65_536 + "… (34,471 bytes cut)"
        assert (record.raw, reading.broken) == (b"x" * 65_536, 1)


def test_a_broken_line_is_of_the_time_of_the_line_before_it(tmp_path: Path) -> None:
    lines = [line(1, "a"), "of 1\n", line(5, "b"), "of 5\n", line(7, "c"), "of 7\n"]
    path = write(tmp_path / "app.json", *lines)
    assert messages(path, until=at(3)) == ["a", "of 1"]
    assert messages(path, since=at(4), until=at(6)) == ["b", "of 5"]


@given(st.lists(st.binary(max_size=60), max_size=9), st.integers(1, 100))
def test_any_bytes_are_read(room: Path, chunks: list[bytes], size: int) -> None:
    path = room / "bytes.log"
    path.write_bytes(b"\n".join(chunks))
    with patch.object(sources, "BLOCK", size), read(path) as reading:
        found = list(reading)
    given_lines = [each for each in b"\n".join(chunks).split(b"\n") if each.strip()]
    assert sorted(record.raw for record in found) == sorted(given_lines)
    assert all(one_line(record).isprintable() or record for record in found)


def test_what_orjson_refuses_and_other_writers_give_is_read(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    path.write_bytes(b'\xef\xbb\xbf{"message":"mark"}\n{"message":"\\ud800","cost":NaN}\r\n')
    with read(path) as reading:
        assert [record["message"] for record in reading] == ["mark", "\ud800"]
    assert reading.broken == 0


# While they are written


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Follower, "interval", 0.005)


def following(reading: Reading, count: int) -> list[str]:
    """The next messages; fewer where they do not come within 30 seconds."""
    timer = threading.Timer(30, reading.close)
    timer.start()
    found = [record["message"] for _, record in zip(range(count), reading, strict=False)]
    timer.cancel()
    timer.join()
    return found


@pytest.mark.usefixtures("quick")
class TestFollow:
    @pytest.mark.parametrize("held_open", [128, 0])
    def test_through_rotation_removal_and_new_files(
        self, tmp_path: Path, held_open: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reader, "_OPENED_AT_ONCE", held_open)
        path = write(tmp_path / "app.json", line(1, "a"))
        with read(tmp_path, follow=True) as reading:
            assert following(reading, 1) == ["a"]
            write(path, line(2, "b"))
            path.rename(tmp_path / "app.json.1")
            write(tmp_path / "app.json.1", line(3, "late"))  # a writer that has not noticed yet
            assert following(reading, 2) == ["b", "late"]
            write(path, line(4, "c"))
            assert following(reading, 1) == ["c"]
            write(tmp_path / "app.99.json", line(5, "other process"))
            assert following(reading, 1) == ["other process"]
            (tmp_path / "app.json.1").unlink()
            path.unlink()
            write(path, line(6, "anew"))
            assert following(reading, 1) == ["anew"]

    def test_a_compressed_file_is_not_read_again(self, tmp_path: Path) -> None:
        rotated = write(tmp_path / "app.json.1", line(1, "a"))
        path = write(tmp_path / "app.json", line(2, "b"))
        with read(tmp_path, follow=True) as reading:
            assert following(reading, 2) == ["a", "b"]
            (tmp_path / "app.json.1.gz").write_bytes(gzip.compress(rotated.read_bytes()))
            rotated.unlink()
            write(path, line(3, "c"))
            assert following(reading, 1) == ["c"]

    def test_a_file_that_was_emptied_is_read_from_its_beginning(self, tmp_path: Path) -> None:
        path = write(tmp_path / "app.json", line(1, "a"), "unfinished")
        with read(path, follow=True) as reading:
            assert following(reading, 1) == ["a"]
            path.write_text(line(2, "b") + line(3, "more than there was"))
            found = following(reading, 3)
        assert sorted(found) == ["b", "more than there was", "unfinished"]

    def test_a_line_waits_for_its_end(self, tmp_path: Path) -> None:
        text = line(2, "whole")
        path = write(tmp_path / "app.json", line(1, "a"), text[:20])
        with read(path, follow=True) as reading:
            assert following(reading, 1) == ["a"]
            write(tmp_path / "app.json.1", line(3, "b"))
            assert following(reading, 1) == ["b"]
            write(path, text[20:])
            assert following(reading, 1) == ["whole"]
        assert reading.broken == 0

    def test_it_waits_for_logs_that_are_not_there_yet(self, tmp_path: Path) -> None:
        with read(tmp_path / "logs", follow=True) as reading:
            (tmp_path / "logs").mkdir()
            write(tmp_path / "logs" / "app.json", line(1, "a"))
            assert following(reading, 1) == ["a"]

    def test_filters_hold(self, tmp_path: Path) -> None:
        path = write(tmp_path / "app.json", line(1, "a", request_id="r-1"))
        with read(path, follow=True, request_id="r-2", level="INFO") as reading:
            write(path, line(2, "b", request_id="r-2"), line(3, "c", request_id="r-1"))
            assert following(reading, 1) == ["b"]

    def test_from_now_on(self, tmp_path: Path, clock: MovableClock) -> None:
        clock.set_wall((START + timedelta(seconds=10)).timestamp())
        path = write(tmp_path / "app.json", line(5, "old"))
        with read(path, follow=True, since="0s") as reading:
            write(path, line(11, "new"))
            assert following(reading, 1) == ["new"]

    def test_another_thread_ends_it(self, tmp_path: Path) -> None:
        path = write(tmp_path / "app.json", line(1, "a"))
        reading = read(path, follow=True)
        found: list[str] = []
        waiting = threading.Thread(target=lambda: found.extend(following(reading, 9)))
        waiting.start()
        reading.close()
        waiting.join(30)
        assert (waiting.is_alive(), found in ([], ["a"])) == (False, True)


# For people


def test_an_exception_is_shown_with_its_notes_its_group_and_its_causes() -> None:
    members: list[Any] = [{"type": "ValueError", "message": "a"}, "… (3 exceptions cut)"]
    exception = {
        "type": "ExceptionGroup",
        "message": "several (4 sub-exceptions)",
        "stack": [{"file": "a.py", "line": 3, "function": "f"}, "… (9 frames cut)"],
        "notes": ["a note\nmore"],
        "exceptions": members,
        "causes": [{"type": "KeyError", "message": "'k'", "code": 7}],
    }
    fields = {"level": "ERROR", "message": "m", "exception": exception, "stack_info": "Stack:\n  f"}
    assert readable(fields).splitlines() == [
        "ERROR    m",
        "    ExceptionGroup: several (4 sub-exceptions)",
        "    a note",
        "    more",
        "      a.py:3 in f",
        "      … (9 frames cut)",
        "    among them ValueError: a",
        "    among them … (3 exceptions cut)",
        "    caused by KeyError: 'k'",
        "    code=7",
        "    Stack:",
        "      f",
    ]


def test_the_terminal_of_a_running_program_gets_the_time_of_day() -> None:
    fields = {"timestamp": at(0.25), "level": "INFO", "message": "m", "module": "v", "user_id": 7}
    local = START.astimezone().strftime("%H:%M:%S.250")
    assert readable(fields, short=True) == f"{local} INFO     m user_id=7"
    assert readable({**fields, "timestamp": "\x1b"}, short=True).startswith(r"\x1b INFO")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.text(max_size=3) | st.sampled_from(["type", "stack", "file", "causes", "notes"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
    st.sampled_from(["exception", "message", "timestamp", "level", "line", "stack_info", "x"]),
    st.booleans(),
)
def test_any_values_are_shown_and_command_no_terminal(value: Any, name: str, short: bool) -> None:
    shown = readable({"module": "m", name: value}, colours, short=short)
    left = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]", left) == []


# What it takes


def test_a_with_block_closes_the_files(tmp_path: Path) -> None:
    write(tmp_path / "app.json", line(1, "a"), line(2, "b"))
    before = os.listdir("/proc/self/fd")
    with read(tmp_path) as reading:
        assert next(reading)["message"] == "a"
        assert len(os.listdir("/proc/self/fd")) > len(before)
    assert os.listdir("/proc/self/fd") == before
    assert list(reading) == []


MEMORY = """
import resource, sys
from geomon.logs.reader import read
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
sum(1 for _ in read(sys.argv[1])); before = peak()
count = sum(1 for _ in read(sys.argv[2])); print(count, peak() - before)
"""


def test_memory_does_not_grow_with_a_file(tmp_path: Path) -> None:
    block = "".join(line(n, "x" * 100, request_id=str(n)) for n in range(10_000))
    small, large = write(tmp_path / "small.log", block), write(tmp_path / "large.log", block * 20)
    program = [sys.executable, "-c", MEMORY, str(small), str(large)]
    ran = subprocess.run(program, capture_output=True, text=True, check=True)
    count, megabytes = map(int, ran.stdout.split())
    assert (count, megabytes < 5) == (200_000, True)


def test_memory_does_not_grow_with_a_line(tmp_path: Path) -> None:
    small, large = write(tmp_path / "small.log", line(1, "a")), tmp_path / "large.log"
    with open(large, "wb") as file:
        file.write(b'{"message":"' + b"x" * 40_000_000 + b'"}\n')
        file.truncate(140_000_000)  # as after a loss of power: zeros
    program = [sys.executable, "-c", MEMORY, str(small), str(large)]
    ran = subprocess.run(program, capture_output=True, text=True, check=True)
    count, megabytes = map(int, ran.stdout.split())
    assert (count, megabytes < 60) == (17, True)  # pieces of 8 MiB


@given(st.text(st.sampled_from("ab\x00\n\u2028\U000e0001\ud800é")))
def test_a_text_that_is_made_safe_says_what_it_was(text: str) -> None:
    assert json.loads(safe_json(json.dumps(text, ensure_ascii=False))) == text
    assert safe(text) == "".join(
        char if char in "abé" else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )
