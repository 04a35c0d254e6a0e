"""Log files: rotation by bytes, several processes, and what others do to the files meanwhile."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomon import losses
from geomon.logs.files import RotatingFile
from geomon.testing import MovableClock
from tests.programs import PATIENCE, environment, messages, program, records, run, until


@contextmanager
def opened(path: Path, max_bytes: int = 0, backups: int = 5) -> Iterator[RotatingFile]:
    file = RotatingFile(path, max_bytes, backups)
    try:
        yield file
    finally:
        file.close()


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def lost(reason: str) -> int:
    return losses.counts().get(("logs", reason), 0)


# --- rotation


def test_a_file_is_renamed_before_it_passes_its_size(tmp_path: Path) -> None:
    with opened(tmp_path / "app.json", max_bytes=10) as file:
        for line in (b"1234\n", b"5678\n", b"9\n"):
            file.write([line])
    assert contents(tmp_path) == {"app.json": b"9\n", "app.json.1": b"1234\n5678\n"}


def test_a_batch_is_cut_where_the_file_is_full(tmp_path: Path) -> None:
    with opened(tmp_path / "app.json", max_bytes=4) as file:
        file.write([b"1\n", b"2\n", b"3\n", b"4\n", b"5\n"])
    assert contents(tmp_path) == {
        "app.json": b"5\n",
        "app.json.1": b"3\n4\n",
        "app.json.2": b"1\n2\n",
    }


def test_only_so_many_renamed_files_are_kept(tmp_path: Path) -> None:
    with opened(tmp_path / "app.json", max_bytes=1, backups=2) as file:
        file.write([b"1\n", b"2\n", b"3\n", b"4\n"])
    assert contents(tmp_path) == {"app.json": b"4\n", "app.json.1": b"3\n", "app.json.2": b"2\n"}


def test_a_line_that_is_larger_than_a_file_stands_alone_in_one(tmp_path: Path) -> None:
    large = b"x" * 100 + b"\n"
    with opened(tmp_path / "app.json", max_bytes=10) as file:
        file.write([b"1\n", large, b"2\n"])
    assert contents(tmp_path) == {"app.json": b"2\n", "app.json.1": large, "app.json.2": b"1\n"}


def test_no_size_is_no_rotation(tmp_path: Path) -> None:
    with opened(tmp_path / "app.json", max_bytes=0) as file:
        for _ in range(100):
            file.write([b"x" * 1000 + b"\n"])
    assert list(contents(tmp_path)) == ["app.json"]


def test_a_size_counts_bytes_and_not_characters(tmp_path: Path) -> None:
    run(
        """
        setup(log_dir="logs", console=False, max_bytes=3_000, backups=1000)
        for number in range(100):
            log.info("%d Grüße 你好 🌍", number)
        """,
        tmp_path,
    )
    sizes = [path.stat().st_size for path in (tmp_path / "logs").glob("app.json.*")]
    line = (tmp_path / "logs" / "app.json").read_bytes().splitlines()[0]
    assert len(line) > len(line.decode())
    assert all(3_000 - len(line) - 5 < size <= 3_000 for size in sizes)
    found = [int(message.split()[0]) for message in messages(tmp_path / "logs")]
    assert sorted(found) == list(range(100))


def model(batches: list[list[bytes]], max_bytes: int, backups: int) -> list[bytes]:
    """The files, newest first, that rotation leaves."""
    files = [b""]
    for line in (line for batch in batches for line in batch):
        if max_bytes and files[0] and len(files[0]) + len(line) > max_bytes:
            files.insert(0, b"")
        files[0] += line
    return [data for data in files[: backups + 1] if data]


lines = st.binary(max_size=12).map(lambda text: text.replace(b"\n", b"") + b"\n")


@given(
    st.lists(st.lists(lines, max_size=8), max_size=8),
    st.integers(0, 30),
    st.integers(1, 4),
    st.booleans(),
)
def test_rotation_does_what_a_naive_one_does(
    batches: list[list[bytes]], max_bytes: int, backups: int, close: bool
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "app.json"
        with opened(path, max_bytes, backups) as file:
            for batch in batches:
                file.write(batch)
                if close:
                    file.close()
        names = ["app.json", *(f"app.json.{number}" for number in range(1, backups + 1))]
        expected = dict(zip(names, model(batches, max_bytes, backups), strict=False))
        found = {name: data for name, data in contents(Path(directory)).items() if data}
        assert found == expected


def test_a_file_that_cannot_be_renamed_grows_on_and_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "app.json.1").mkdir()
    before = lost("rotation_failed"), lost("not_written")
    with MovableClock() as clock, opened(tmp_path / "app.json", 4, backups=1) as file:
        file.write([b"1\n", b"2\n", b"3\n"])
        file.write([b"4\n"])
        assert (tmp_path / "app.json").read_bytes() == b"1\n2\n3\n4\n"
        assert (lost("rotation_failed"), lost("not_written")) == (before[0] + 1, before[1])
        (tmp_path / "app.json.1").rmdir()
        clock.move(61)
        file.write([b"5\n"])
    assert contents(tmp_path) == {"app.json": b"5\n", "app.json.1": b"1\n2\n3\n4\n"}


# --- what others do to the files


def test_a_removed_file_is_made_again(tmp_path: Path) -> None:
    with opened(tmp_path / "app.json") as file:
        file.write([b"1\n"])
        (tmp_path / "app.json").unlink()
        file.write([b"2\n"])
    assert contents(tmp_path) == {"app.json": b"2\n"}


def test_a_file_that_logrotate_renames_is_left(tmp_path: Path) -> None:
    with opened(tmp_path / "app.json") as file:
        file.write([b"1\n"])
        (tmp_path / "app.json").rename(tmp_path / "app.json-20261124")
        file.write([b"2\n"])
    assert contents(tmp_path) == {"app.json": b"2\n", "app.json-20261124": b"1\n"}


def test_a_file_that_logrotate_renames_and_makes_is_taken(tmp_path: Path) -> None:
    with opened(tmp_path / "app.json") as file:
        file.write([b"1\n"])
        (tmp_path / "app.json").rename(tmp_path / "old")
        (tmp_path / "app.json").touch()
        file.write([b"2\n"])
    assert contents(tmp_path) == {"app.json": b"2\n", "old": b"1\n"}


def test_a_file_that_logrotate_copies_and_truncates_begins_at_its_start(tmp_path: Path) -> None:
    with opened(tmp_path / "app.json", max_bytes=10) as file:
        file.write([b"1234567\n"])
        os.truncate(tmp_path / "app.json", 0)
        file.write([b"abcdefg\n"])
        file.write([b"h\n"])
    assert contents(tmp_path) == {"app.json": b"abcdefg\nh\n"}


def test_a_removed_directory_is_made_again(tmp_path: Path) -> None:
    with opened(tmp_path / "logs" / "app.json") as file:
        file.write([b"1\n"])
        (tmp_path / "logs" / "app.json").unlink()
        (tmp_path / "logs").rmdir()
        file.write([b"2\n"])
    assert contents(tmp_path / "logs") == {"app.json": b"2\n"}


def test_a_line_that_a_killed_process_did_not_end_is_ended(tmp_path: Path) -> None:
    (tmp_path / "app.json").write_bytes(b'{"message":"hal')
    with opened(tmp_path / "app.json") as file:
        file.write([b"1\n"])
    assert contents(tmp_path) == {"app.json": b'{"message":"hal\n1\n'}


def test_a_file_goes_on_where_an_earlier_process_ended(tmp_path: Path) -> None:
    for line in (b"1\n", b"2\n", b"3\n"):
        with opened(tmp_path / "app.json", max_bytes=4) as file:
            file.write([line])
    assert contents(tmp_path) == {"app.json": b"3\n", "app.json.1": b"1\n2\n"}


def test_a_path_is_where_the_program_stood_when_it_was_set_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with opened(Path("app.json")) as file:
        monkeypatch.chdir("/")
        file.write([b"1\n"])
    assert contents(tmp_path) == {"app.json": b"1\n"}


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "app.json").symlink_to(tmp_path / "elsewhere" / "app.json")
    with opened(tmp_path / "app.json") as file:
        file.write([b"1\n"])
    assert contents(tmp_path / "elsewhere") == {"app.json": b"1\n"}


def test_a_closed_standard_stream_is_not_replaced_by_the_file(tmp_path: Path) -> None:
    run(
        """
        os.close(2)
        setup(log_dir="logs", console=False)
        log.info("1")
        logging.getLogger().handlers[0].flush()
        try:
            os.write(2, b"not for the log")
        except OSError:
            log.info("2")
        """,
        tmp_path,
    )
    assert messages(tmp_path / "logs") == ["1", "2"]


# --- several at once


def test_a_second_handler_of_a_process_writes_beside_the_first(tmp_path: Path) -> None:
    path, pid = tmp_path / "app.json", os.getpid()
    with opened(path) as first, opened(path) as second, opened(path) as third:
        for number, file in enumerate([first, second, third]):
            file.write([b"%d\n" % number])
    assert contents(tmp_path) == {
        "app.json": b"0\n",
        f"app.{pid}.json": b"1\n",
        f"app.{pid}.2.json": b"2\n",
    }


def test_names_run_out_as_a_counted_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geomon.logs.files._MOST_FILES", 3)
    path, before = tmp_path / "app.json", lost("not_written")
    with opened(path) as first, opened(path) as second, opened(path) as third:
        with opened(path) as fourth:
            for file in (first, second, third, fourth):
                file.write([b"x\n"])
    assert (len(contents(tmp_path)), lost("not_written")) == (3, before + 1)


def test_where_there_are_no_locks_all_write_to_the_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geomon.logs.files._flock", None)
    with opened(tmp_path / "app.json") as first, opened(tmp_path / "app.json") as second:
        first.write([b"1\n"])
        second.write([b"2\n"])
    assert contents(tmp_path) == {"app.json": b"1\n2\n"}


DEAD = b'{"timestamp":"2026-11-24T18:30:00.000000Z","message":"dead"}\n'


def test_the_files_of_an_ended_process_are_taken_over(tmp_path: Path) -> None:
    (tmp_path / "app.999999.json").write_bytes(DEAD)
    (tmp_path / "app.999999.json.1").write_bytes(b"long dead\n")
    pid = os.getpid()
    with opened(tmp_path / "app.json") as first, opened(tmp_path / "app.json") as second:
        first.write([b"1\n"])
        second.write([b"2\n"])
    assert contents(tmp_path) == {
        "app.json": b"1\n",
        f"app.{pid}.json": DEAD + b"2\n",
        f"app.{pid}.json.1": b"long dead\n",
    }


def test_what_is_taken_over_replaces_nothing_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    with opened(path) as first, opened(path, max_bytes=2) as second:
        first.write([b"1\n"])
        second.write([b"2\n"])
        (tmp_path / "app.999999.json").write_bytes(DEAD)
        (tmp_path / "app.999999.json.1").write_bytes(b"long dead\n")
        second.write([b"3\n"])
    assert contents(tmp_path) == {
        "app.json": b"1\n",
        f"app.{os.getpid()}.json": b"3\n",
        f"app.{os.getpid()}.json.1": b"2\n",
        "app.999999.json": DEAD,
        "app.999999.json.1": b"long dead\n",
    }


@pytest.mark.parametrize("content", [b'{"my":"yearly data"}', b"1;2;3\n", b""])
def test_files_of_others_that_have_such_a_name_are_left(tmp_path: Path, content: bytes) -> None:
    for name in ("app.2024.json", "app.20261124.json", "app.2024.json.1"):
        (tmp_path / name).write_bytes(content)
    with opened(tmp_path / "app.json") as first, opened(tmp_path / "app.json") as second:
        first.write([b"1\n"])
        second.write([b"2\n"])
    assert contents(tmp_path) == {
        "app.json": b"1\n",
        f"app.{os.getpid()}.json": b"2\n",
        "app.2024.json": content,
        "app.2024.json.1": content,
        "app.20261124.json": content,
    }


def test_the_files_of_a_living_process_are_left(tmp_path: Path) -> None:
    (tmp_path / "app.999999.json").write_bytes(DEAD)
    (tmp_path / "app.report.json").write_bytes(b"{}")
    with open(tmp_path / "app.999999.json") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with opened(tmp_path / "app.json") as first, opened(tmp_path / "app.json") as second:
            first.write([b"1\n"])
            second.write([b"2\n"])
    assert contents(tmp_path) == {
        "app.json": b"1\n",
        f"app.{os.getpid()}.json": b"2\n",
        "app.999999.json": DEAD,
        "app.report.json": b"{}",
    }


WORKER = """
name = sys.argv[1]
pipeline = setup(log_dir="logs", console=False, error_file=None, max_bytes=60_000, backups=1000)
log.info("%s", f"{name} 0")
pipeline.flush()
print(os.getpid(), pipeline.handler._destinations[0].file._current.name, flush=True)
sys.stdin.readline()
for number in range(1, 3000):
    log.info("%s", f"{name} {number}")
pipeline.close()
print(lost(), flush=True)
sys.stdin.readline()
"""


def test_several_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            [*program(WORKER), str(number)],
            cwd=tmp_path,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    try:
        held = dict(told(worker).split() for worker in workers)
        others = sorted(name for name in held.values() if name != "app.json")
        expected = sorted(f"app.{pid}.json" for pid, name in held.items() if name != "app.json")
        assert (others, len(others)) == (expected, 3)
        for worker in workers:
            say(worker)
        assert [told(worker) for worker in workers] == ["{}\n"] * 4
        for worker in workers:
            say(worker)
        assert [worker.wait(PATIENCE) for worker in workers] == [0] * 4
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    wanted = Counter(f"{name} {number}" for name in range(4) for number in range(3000))
    assert Counter(messages(tmp_path / "logs")) == wanted
    sizes = [path.stat().st_size for path in (tmp_path / "logs").iterdir()]
    assert max(sizes) <= 60_000


def told(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline()


def say(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    worker.stdin.write("\n")
    worker.stdin.flush()


def test_processes_that_come_and_go_leave_no_more_files_than_ran_at_once(tmp_path: Path) -> None:
    run(
        """
        pipeline = setup(log_dir="logs", console=False, error_file=None)
        log.info("parent")
        pipeline.flush()
        for child in range(10):
            pid = os.fork()
            if pid == 0:
                log.info("child %d", child)
                sys.exit()
            os.waitpid(pid, 0)
        """,
        tmp_path,
    )
    assert len(list((tmp_path / "logs").iterdir())) == 2
    assert Counter(messages(tmp_path / "logs")) == Counter(
        ["parent", *(f"child {child}" for child in range(10))]
    )


def test_a_process_that_is_killed_gives_its_file_back(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        program(
            """
            pipeline = setup(log_dir="logs", console=False)
            log.info("1")
            pipeline.flush()
            signal.pause()
            """
        ),
        cwd=tmp_path,
        env=environment(),
    )
    try:
        until(lambda: list(tmp_path.glob("logs/app.json")) and messages(tmp_path / "logs") == ["1"])
    finally:
        holder.kill()
        holder.wait()
    run('setup(log_dir="logs", console=False); log.info("2")', tmp_path)
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["app.json"]
    assert messages(tmp_path / "logs") == ["1", "2"]


def test_every_line_says_which_process_wrote_it_where_asked(tmp_path: Path) -> None:
    pid = run(
        'setup(log_dir="logs", console=False, process=True); log.info("x"); print(os.getpid())',
        tmp_path,
    )
    assert json.loads(pid) == records(tmp_path / "logs")[0]["process"]
