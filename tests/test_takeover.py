"""Records of others: real uvicorn and gunicorn, and exceptions that nobody caught."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from geomon.logs import setup


def run(program: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def records(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


# --- uncaught exceptions


def test_an_uncaught_exception_is_a_record_at_the_line_that_raised_it(tmp_path: Path) -> None:
    ended = run(
        """
        from geomon.logs import setup
        setup(take_over=["uncaught"], style="json")
        def work():
            raise ValueError("token=sk-proj-abcdefghijklmnop1234")
        work()
        """,
        tmp_path,
    )
    (record,) = records(tmp_path / "logs" / "error.json")
    assert (record["level"], record["logger"], record["function"], record["line"]) == (
        "CRITICAL",
        "geomon.uncaught",
        "work",
        5,
    )
    assert record["exception"]["type"] == "ValueError"
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "abcdefghijklmnop1234" not in ended.stderr + json.dumps(record)


def test_an_uncaught_exception_of_a_thread_names_the_thread(tmp_path: Path) -> None:
    run(
        """
        import threading
        from geomon.logs import setup
        setup(take_over=["uncaught"], console=False)
        thread = threading.Thread(target=lambda: 1 / 0, name="worker-7")
        thread.start()
        thread.join()
        """,
        tmp_path,
    )
    (record,) = records(tmp_path / "logs" / "error.json")
    assert record["message"] == "uncaught exception in thread worker-7"
    assert record["exception"]["type"] == "ZeroDivisionError"


def test_an_exception_of_a_task_that_nobody_awaits_is_a_record(tmp_path: Path) -> None:
    run(
        """
        import asyncio, gc
        from geomon.logs import setup
        setup(take_over=["uncaught"], console=False)
        async def fail():
            raise KeyError("lost")
        async def main():
            asyncio.ensure_future(fail())
            await asyncio.sleep(0.01)
            gc.collect()
        asyncio.run(main())
        """,
        tmp_path,
    )
    (record,) = records(tmp_path / "logs" / "error.json")
    assert record["logger"] == "asyncio"
    assert record["exception"]["type"] == "KeyError"


def test_a_keyboard_interrupt_is_left_to_the_earlier_hook(tmp_path: Path) -> None:
    ended = run(
        """
        from geomon.logs import setup
        setup(take_over=["uncaught"], style="json")
        raise KeyboardInterrupt
        """,
        tmp_path,
    )
    assert "Traceback" in ended.stderr
    assert not (tmp_path / "logs" / "error.json").exists()


def test_a_hook_of_the_program_is_called_too(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    own = lambda *args: told.append(args)  # noqa: E731
    monkeypatch.setattr(sys, "excepthook", own)
    error = ValueError("boom")
    with setup(console=False, take_over=["uncaught"]):
        sys.excepthook(ValueError, error, None)
    assert told == [(ValueError, error, None)]
    assert sys.excepthook is own


REPLACED = """logging.config.dictConfig({
    "version": 1,
    "handlers": {"own": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["own"]},
})"""


@pytest.mark.parametrize(
    "silenced",
    [
        REPLACED,
        "logging.disable(logging.CRITICAL)",
        "pipeline.close(); pipeline = setup(log_dir=None, console=False, take_over=['uncaught'])",
        "pipeline.close(); pipeline = setup(log_dir='/proc/no', console=False, "
        "take_over=['uncaught'])",
        "pipeline.handler.addFilter(lambda record: False)",
        "logging.getLogger().handlers.insert(0, Raising())",
    ],
)
@pytest.mark.parametrize("where", ["1 / 0", "run = threading.Thread(target=lambda: 1 / 0).start()"])
def test_an_exception_of_which_no_record_is_written_is_printed(
    tmp_path: Path, silenced: str, where: str
) -> None:
    program = f"""
import logging.config, threading
from geomon.logs import setup
class Raising(logging.Handler):
    def emit(self, record):
        raise KeyError(record.name)
pipeline = setup(console=False, take_over=["uncaught"])
{silenced}
{where}
"""
    ended = run(program, tmp_path)
    assert ended.returncode == (1 if where == "1 / 0" else 0)
    assert ended.stderr.count("ZeroDivisionError: division by zero") == 1


def test_an_exception_that_one_destination_has_is_not_printed_too(tmp_path: Path) -> None:
    ended = run(
        """
        from geomon.logs import setup
        setup(log_dir="/proc/no", style="json", take_over=["uncaught"])
        1 / 0
        """,
        tmp_path,
    )
    assert [json.loads(line)["level"] for line in ended.stderr.splitlines()] == [
        "CRITICAL",
        "WARNING",  # the files are lost
        "WARNING",
    ]


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (["nginx"], 'write "uncaught", "uvicorn", "gunicorn" or "fastapi"'),
        ("uvicorn", r"write take_over=\['uvicorn'\]"),
    ],
)
def test_what_cannot_be_taken_over_is_an_error(what: Any, says: str) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        setup(console=False, take_over=what)


# --- servers


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextlib.contextmanager
def serving(command: list[str], directory: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    output = (directory / "output.txt").open("w")
    server = subprocess.Popen(
        command, cwd=directory, stdout=output, stderr=output, text=True, start_new_session=True
    )
    try:
        _wait_for(port, server)
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(5)
        output.close()


def _wait_for(port: int, server: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("the server did not come up")


def get(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


ASGI = """
import geomon
from geomon.logs import setup

setup(take_over=["uvicorn", "fastapi"], style="json")

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    with geomon.bind(request_id="r-" + scope["path"].strip("/")):
        if scope["path"] == "/fail":
            raise ValueError("boom")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
"""

FROM_WITHIN = (
    ASGI
    + """
if __name__ == "__main__":
    import sys, uvicorn
    uvicorn.run(app, port=int(sys.argv[1]))
"""
)

WSGI = """
import geomon
from geomon.logs import setup

setup(take_over=["gunicorn"], console=False)

class Answer:
    def __init__(self, path):
        self.bound = geomon.bind(request_id="r-" + path.strip("/"))
        self.bound.__enter__()
    def __iter__(self):
        return iter([b"ok"])
    def close(self):
        self.bound.__exit__(None, None, None)

def app(environ, start_response):
    start_response("200 OK", [])
    return Answer(environ["PATH_INFO"])
"""


def access_lines(directory: Path, logger: str) -> list[dict[str, Any]]:
    files = sorted((directory / "logs").glob("app*.json"))
    return [one for file in files for one in records(file) if one["logger"] == logger]


@pytest.mark.parametrize("way", ["command", "from within"])
def test_an_access_line_of_uvicorn_carries_the_request_id(tmp_path: Path, way: str) -> None:
    port = free_port()
    (tmp_path / "service.py").write_text(FROM_WITHIN)
    command = [sys.executable, "service.py", str(port)]
    if way == "command":
        command = [sys.executable, "-m", "uvicorn", "service:app", "--port", str(port)]
    with serving(command, tmp_path, port):
        assert [get(port, "/a"), get(port, "/fail")] == [200, 500]
    found = access_lines(tmp_path, "uvicorn.access")
    assert [line["request_id"] for line in found if "/a " in line["message"]] == ["r-a"]
    (error,) = records(tmp_path / "logs" / "error.json")
    assert (error["logger"], error["exception"]["type"]) == ("uvicorn.error", "ValueError")
    assert [
        line for line in access_lines(tmp_path, "uvicorn.error") if "color_message" in line
    ] == []
    output = (tmp_path / "output.txt").read_text()
    console = [line for line in output.splitlines() if '"GET /a' in line or "GET /a " in line]
    assert [line[:1] for line in console] == ["{"]  # once, and as JSON


@pytest.mark.parametrize("way", ["command", "from within"])
def test_access_lines_that_uvicorn_was_told_to_leave_out_stay_out(tmp_path: Path, way: str) -> None:
    port = free_port()
    (tmp_path / "service.py").write_text(FROM_WITHIN.replace("(app, ", "(app, access_log=False, "))
    command = [sys.executable, "service.py", str(port)]
    if way == "command":
        command = [sys.executable, "-m", "uvicorn", "service:app", "--port", str(port)]
        command.append("--no-access-log")
    with serving(command, tmp_path, port):
        assert [get(port, "/a"), get(port, "/fail")] == [200, 500]
    assert access_lines(tmp_path, "uvicorn.access") == []
    assert access_lines(tmp_path, "uvicorn.error") != []
    assert "GET /a" not in (tmp_path / "output.txt").read_text()


def test_an_access_line_of_gunicorn_carries_the_request_id(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "service.py").write_text(WSGI)
    command = [sys.executable, "-m", "gunicorn", "service:app", "--workers=2"]
    command += [f"--bind=127.0.0.1:{port}", "--access-logfile=-"]
    with serving(command, tmp_path, port):
        assert [get(port, f"/{number}") for number in range(6)] == [200] * 6
    found = access_lines(tmp_path, "gunicorn.access")
    assert sorted(line["request_id"] for line in found) == [f"r-{number}" for number in range(6)]
    assert "GET /0" not in (tmp_path / "output.txt").read_text()  # console=False is meant


def test_a_logger_that_a_server_switched_off_stays_off_after_close() -> None:
    import logging

    access = logging.getLogger("uvicorn.access")
    try:
        with setup(console=False, take_over=["uvicorn"]):
            access.handlers, access.propagate = [], False  # as uvicorn's --no-access-log does
        assert (access.handlers, access.propagate) == ([], False)
    finally:
        access.propagate = True


def test_a_logger_has_its_handlers_back_after_close() -> None:
    import logging

    access, own = logging.getLogger("uvicorn.access"), logging.NullHandler()
    access.addHandler(own)
    access.propagate = False
    try:
        with setup(console=False, take_over=["uvicorn"]):
            assert (access.handlers, access.propagate) == ([], True)
        assert (access.handlers, access.propagate) == ([own], False)
    finally:
        access.removeHandler(own)
        access.propagate = True
