"""`setup()`: what it adds, what it leaves alone, what it undoes, and what it refuses."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import logging.config
import logging.handlers
import os
import pickle
import pty
import queue
import re
import signal
import subprocess
import sys
import threading
import tty
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

import geomon
from geomon.context import carry
from geomon.logs import ConsoleHandler, FileHandler, JSONFormatter, Limits, Pipeline, setup
from geomon.logs import set_up as set_up_module
from geomon.logs.handlers import QueuedHandler
from tests.programs import PATIENCE, environment, messages, program, records, run

log = logging.getLogger("app")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("GEOMON_")]:
        monkeypatch.delenv(name)
    yield
    if set_up_module._in_force is not None:
        set_up_module._in_force.close()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def state() -> tuple[Any, ...]:
    """All that a set-up may change."""
    root = logging.getLogger()
    names = ("openai", "anthropic", "httpx", "uvicorn")
    return (
        root.level,
        list(root.handlers),
        [logging.getLogger(name).level for name in names],
        signal.getsignal(signal.SIGTERM),
        sys.excepthook,
        threading.excepthook,
    )


def geomon_threads() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("geomon-logs")]


# --- defaults


DEFAULTS = """
setup()
log.debug("d")
log.info("i")
log.error("e")
"""


def test_by_default_there_are_a_console_and_two_files(tmp_path: Path) -> None:
    err = json_lines(run_to_pipe(DEFAULTS, tmp_path)[1])
    assert [record["message"] for record in err] == ["i", "e"]
    assert messages(tmp_path / "logs", "app.json") == ["d", "i", "e"]
    assert messages(tmp_path / "logs", "error.json") == ["e"]
    assert sorted(os.listdir(tmp_path / "logs")) == ["app.json", "error.json"]


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def run_to_pipe(code: str, cwd: Path, **variables: str) -> tuple[str, str]:
    done = subprocess.run(
        program(code),
        cwd=cwd,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_files_are_made_when_something_is_written(tmp_path: Path) -> None:
    with setup(log_dir=tmp_path / "logs", console=False) as pipeline:
        assert not (tmp_path / "logs").exists()
        log.info("x")
        pipeline.flush()
        assert os.listdir(tmp_path / "logs") == ["app.json"]


def test_the_files_hold_ten_megabytes_and_five_backups() -> None:
    import inspect

    chosen = inspect.signature(setup).parameters
    assert (chosen["max_bytes"].default, chosen["backups"].default) == (10 * 1024 * 1024, 5)


# --- arguments


def to_stream(**arguments: Any) -> list[dict[str, Any]]:
    """The records of a set-up whose console is a stream."""
    stream = io.StringIO()
    with setup(log_dir=None, stream=stream, **arguments):
        log.debug("d")
        log.info("i %s", "x", extra={"plan": "pro", "card_number": "4111"})
        log.error("e PIN-1234")
    return lines(stream)


def test_the_levels_are_settable(tmp_path: Path) -> None:
    stream = io.StringIO()
    levels = {"console_level": "debug", "file_level": logging.INFO, "error_level": "WARNING"}
    with setup(log_dir=tmp_path, stream=stream, **levels):  # type: ignore[arg-type]
        for level in (logging.DEBUG, logging.INFO, logging.WARNING):
            log.log(level, "%d", level)
    assert [record["message"] for record in lines(stream)] == ["10", "20", "30"]
    assert messages(tmp_path, "app.json") == ["20", "30"]
    assert messages(tmp_path, "error.json") == ["30"]


def test_the_files_have_names_and_may_be_left_out(tmp_path: Path) -> None:
    with setup(log_dir=tmp_path, console=False, app_file="all.jsonl", error_file=None):
        log.error("x")
    assert os.listdir(tmp_path) == ["all.jsonl"]
    with setup(log_dir=tmp_path, console=False, app_file=None, error_file="bad.json"):
        log.error("x")
    assert sorted(os.listdir(tmp_path)) == ["all.jsonl", "bad.json"]


def test_the_sizes_are_settable(tmp_path: Path) -> None:
    with setup(log_dir=tmp_path, console=False, max_bytes=1, backups=2):
        for number in range(5):
            log.info("%d", number)
    assert sorted(os.listdir(tmp_path)) == ["app.json", "app.json.1", "app.json.2"]


def test_a_service_and_static_fields_stand_in_every_record() -> None:
    found = to_stream(service="shop", static={"region": "eu"})
    assert [(record["service"], record["region"]) for record in found] == [("shop", "eu")] * 2


def test_process_and_thread_stand_in_every_record_where_asked() -> None:
    asked, plain = to_stream(process=True, thread=True)[0], to_stream()[0]
    assert (asked["process"], asked["thread_name"]) == (os.getpid(), "MainThread")
    assert {"process", "thread", "thread_name"}.isdisjoint(plain)


def test_own_secrets_are_redacted() -> None:
    info, error = to_stream(redact_keys=["card_number"], redact_patterns=[r"PIN-\d+"])
    assert (info["card_number"], info["plan"]) == ("[redacted]", "pro")
    assert error["message"] == "e [redacted]"


def test_limits_are_settable() -> None:
    stream = io.StringIO()
    with setup(log_dir=None, stream=stream, limits=Limits(text=64)):
        log.info("x" * 1000)
    assert (len(lines(stream)[0]["message"]) < 200, lines(stream)[0]["truncated"]) == (True, True)


def test_text_is_written_where_asked() -> None:
    stream = io.StringIO()
    with setup(log_dir=None, stream=stream, style="text"):
        log.info("hello", extra={"plan": "pro"})
    assert re.fullmatch(r"[\d:.]+ INFO     app hello plan=pro\n", stream.getvalue())


def test_json_is_written_to_a_stream_that_is_no_terminal() -> None:
    assert [record["message"] for record in to_stream()] == ["i x", "e PIN-1234"]


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"log_dir": 5}, TypeError, 'log_dir=5: write log_dir="logs"'),
        ({"log_dir": b"logs"}, TypeError, 'write log_dir="logs"'),
        ({"log_dir": ""}, ValueError, 'write log_dir="logs"'),
        ({"log_dir": __file__}, ValueError, "is a file: write the name of a directory"),
        ({"console": "no"}, TypeError, "console='no': write console=True or console=False"),
        ({"process": 1}, TypeError, "process=1: write process=True or process=False"),
        ({"thread": None}, TypeError, "write thread=True or thread=False"),
        ({"capture_content": "yes"}, TypeError, "write capture_content=True or"),
        ({"service": 5}, TypeError, 'service=5: write service="shop"'),
        ({"console_level": "LOUD"}, ValueError, "level='LOUD' is not known: write level="),
        ({"file_level": 1.5}, TypeError, "level=1.5 is no level: write level="),
        ({"error_level": None}, TypeError, "level=None is no level: write level="),
        ({"app_file": "app"}, ValueError, "names no log file: write one with a suffix"),
        ({"error_file": "error"}, ValueError, "names no log file: write one with a suffix"),
        ({"app_file": 5}, TypeError, '5 names no log file: write app_file="app.json"'),
        ({"error_file": "app.json"}, ValueError, "write two names"),
        ({"max_bytes": "10 MB"}, TypeError, "max_bytes='10 MB': write a whole number"),
        ({"max_bytes": -1}, ValueError, "max_bytes=-1: write 0 or more"),
        ({"backups": 0}, ValueError, "backups=0: write 1 or more"),
        ({"backups": True}, TypeError, "backups=True: write a whole number"),
        ({"stream": 5}, TypeError, r"stream=5 has no write\(\): write stream=sys.stderr"),
        ({"style": "xml"}, ValueError, 'style=\'xml\': write "auto", "json" or "text"'),
        ({"capacity": 0}, ValueError, "capacity=0: write 1 or more"),
        ({"capacity": 1.5}, TypeError, "capacity=1.5: write a whole number"),
        ({"full": "block"}, ValueError, 'full=\'block\': write "wait" or "drop"'),
        ({"redact_keys": "key"}, TypeError, "key"),
        ({"redact_patterns": ["("]}, ValueError, "pattern"),
        ({"limits": 5}, TypeError, "5: write a Limits"),
        ({"static": 5}, TypeError, "static=5: write a mapping"),
        ({"static": {"level": 1}}, ValueError, "is a record's own field"),
        ({"take_over": "uvicorn"}, TypeError, r"write take_over=\['uvicorn'\]"),
        ({"take_over": ["nginx"]}, ValueError, "'nginx' cannot be taken over: write"),
    ],
)
def test_a_wrong_argument_is_an_error_that_says_what_to_write(
    tmp_path: Path, arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    before = state()
    with pytest.raises(error, match=says):
        setup(**{"log_dir": tmp_path, **arguments})
    assert (state(), os.listdir(tmp_path)) == (before, [])


# --- what stays and what is undone


def test_closing_undoes_everything(tmp_path: Path) -> None:
    logging.getLogger("httpx").setLevel(logging.DEBUG)
    try:
        before = state()
        pipeline = setup(log_dir=tmp_path, take_over=["uncaught"])
        changed = [one == other for one, other in zip(before, state(), strict=True)]
        pipeline.close()
        pipeline.close()
        assert (changed, state()) == ([False] * 6, before)
    finally:
        logging.getLogger("httpx").setLevel(logging.NOTSET)


def test_closing_leaves_what_was_changed_meanwhile(tmp_path: Path) -> None:
    root = logging.getLogger()
    earlier = root.level
    pipeline = setup(log_dir=tmp_path)
    try:
        root.setLevel("ERROR")
        logging.getLogger("openai").setLevel("WARNING")
        pipeline.close()
        assert (root.level, logging.getLogger("openai").level) == (logging.ERROR, logging.WARNING)
    finally:
        root.setLevel(earlier)
        logging.getLogger("openai").setLevel(logging.NOTSET)


def test_closing_ends_the_thread_and_gives_the_files_back(tmp_path: Path) -> None:
    with setup(log_dir=tmp_path, console=False):
        log.info("x")
        assert geomon_threads() == ["geomon-logs"]
    assert geomon_threads() == []
    assert not any(str(tmp_path) in os.readlink(f"/proc/self/fd/{fd}") for fd in descriptors())


def descriptors() -> list[str]:
    return [fd for fd in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{fd}")]


def test_setting_up_again_replaces_the_earlier_one(tmp_path: Path) -> None:
    first = setup(log_dir=tmp_path / "1", console=False)
    log.info("1")
    second = setup(log_dir=tmp_path / "2", console=False)
    log.info("2")
    second.close()
    assert (first.closed, second.closed) == (True, True)
    assert (messages(tmp_path / "1"), messages(tmp_path / "2")) == (["1"], ["2"])


def test_setting_up_again_goes_on_in_the_same_files(tmp_path: Path) -> None:
    for number in range(3):
        setup(log_dir=tmp_path, console=False)
        log.info("%d", number)
    setup(log_dir=None, console=False)
    assert (os.listdir(tmp_path), messages(tmp_path)) == (["app.json"], ["0", "1", "2"])


def test_closing_an_earlier_set_up_leaves_the_later_one(tmp_path: Path) -> None:
    earlier = setup(log_dir=None, console=False)
    with setup(log_dir=tmp_path, console=False):
        earlier.close()
        log.info("x")
    assert messages(tmp_path) == ["x"]


def test_the_programs_own_handlers_stay(tmp_path: Path) -> None:
    stream = io.StringIO()
    own = logging.StreamHandler(stream)
    logging.getLogger().addHandler(own)
    try:
        with setup(log_dir=tmp_path, console=False):
            log.info("x")
            assert own in logging.getLogger().handlers
        assert (stream.getvalue(), messages(tmp_path)) == ("x\n", ["x"])
    finally:
        logging.getLogger().removeHandler(own)


def test_caplog_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with setup(log_dir=tmp_path, console=False):
        log.info("x %d", 1)
    assert caplog.messages == ["x 1"]


def test_a_set_up_by_logging_config_later_on_leaves_the_pipeline_working(tmp_path: Path) -> None:
    with setup(log_dir=tmp_path, console=False):
        log.info("1")
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
        log.info("2")
        assert geomon_threads() == ["geomon-logs"]
    assert messages(tmp_path) == ["1", "2"]


def test_a_level_that_is_low_enough_stays(tmp_path: Path) -> None:
    root = logging.getLogger()
    earlier = root.level
    root.setLevel(5)
    try:
        with setup(log_dir=tmp_path, console=False):
            assert root.level == 5
    finally:
        root.setLevel(earlier)


# --- under pytest, and turned off


def test_under_pytest_there_is_no_thread_and_no_file_unless_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with setup():
        log.info("x")
        assert [record["message"] for record in json_lines(capsys.readouterr().err)] == ["x"]
        assert geomon_threads() == []
    assert os.listdir(tmp_path) == []


def test_geomon_disabled_adds_nothing(tmp_path: Path) -> None:
    out, err = run_to_pipe(
        """
        before = logging.getLogger().level, signal.getsignal(signal.SIGTERM), sys.excepthook
        for _ in range(2):
            with setup(take_over=["uncaught"]) as pipeline:
                log.info("x")
                pipeline.take_over("uvicorn")
                print(pipeline.flush(), logging.getLogger().handlers, threading.active_count())
                after = logging.getLogger().level, signal.getsignal(signal.SIGTERM), sys.excepthook
                print(before == after, logging.getLogger("openai").level)
        try:
            setup(backups=0)
        except ValueError as error:
            print(error)
        """,
        tmp_path,
        GEOMON_DISABLED="1",
    )
    told = ["True [] 1", "True 0"] * 2 + ["backups=0: write 1 or more"]
    assert (out.splitlines(), err, os.listdir(tmp_path)) == (told, "", [])


# --- configure()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def pipelines() -> list[logging.Handler]:
    return [one for one in logging.getLogger().handlers if isinstance(one, QueuedHandler)]


def test_configure_adds_nothing_under_pytest(registry: CollectorRegistry) -> None:
    with geomon.configure(registry=registry):
        assert pipelines() == []


def test_configure_writes_files_where_a_directory_is_given(
    tmp_path: Path, registry: CollectorRegistry
) -> None:
    with geomon.configure(registry=registry, log_dir=tmp_path, service="shop", level="WARNING"):
        log.info("i")
        log.error("e")
    assert [(one["message"], one["service"]) for one in records(tmp_path)] == [("e", "shop")]
    assert (messages(tmp_path, "error.json"), pipelines()) == (["e"], [])


def test_configure_takes_variables(
    tmp_path: Path,
    registry: CollectorRegistry,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    values = {"SERVICE": "shop", "LEVEL": "debug", "CONSOLE": "1", "LOG_DIR": str(tmp_path)}
    for name, value in values.items():
        monkeypatch.setenv(f"GEOMON_{name}", value)
    with geomon.configure(registry=registry):
        log.debug("d")
    shown = json_lines(capsys.readouterr().err)
    told = [(one["message"], one["service"]) for one in records(tmp_path)]
    assert ([one["message"] for one in shown], told) == (["d"], [("d", "shop")])


def test_configure_again_replaces_the_log_set_up(
    tmp_path: Path, registry: CollectorRegistry
) -> None:
    geomon.configure(registry=registry, log_dir=tmp_path)
    log.warning("1")
    with geomon.configure(registry=registry):
        log.warning("2")
    assert (messages(tmp_path), pipelines()) == (["1"], [])


@pytest.mark.parametrize(
    ("before", "arguments", "shown"),
    [
        ("pass", "", True),
        ("logging.basicConfig(stream=sys.stdout)", "", False),
        ("logging.basicConfig(stream=sys.stdout)", "console=True", True),
        ("pass", "console=False", False),
        ("geomon.configure()", "", True),
    ],
)
def test_configures_console_is_on_where_the_program_has_no_handler(
    tmp_path: Path, before: str, arguments: str, shown: bool
) -> None:
    _, err = run_to_pipe(
        f"""
        import geomon
        {before}
        geomon.configure({arguments})
        log.info("x")
        """,
        tmp_path,
    )
    found = [record for record in json_lines(err) if record["logger"] != "geomon.alerts"]
    assert [record["message"] for record in found] == (["x"] if shown else [])
    assert os.listdir(tmp_path) == []


def test_configure_turned_off_adds_nothing(tmp_path: Path) -> None:
    done = run_to_pipe(
        'import geomon; geomon.configure(console=True, log_dir="logs"); log.info("x")',
        tmp_path,
        GEOMON_DISABLED="1",
    )
    assert (done, os.listdir(tmp_path)) == (("", ""), [])


# --- logging.config


def configured(tmp_path: Path, config: dict[str, Any]) -> Path:
    """Logs one record with a set-up of logging.config; gives the file that it may use."""
    logger = {"level": "DEBUG", "handlers": ["x"], "propagate": False}
    logging.config.dictConfig(
        {"version": 1, "disable_existing_loggers": False, "loggers": {"app": logger}, **config}
    )
    try:
        with geomon.bind(request_id="r-1"):
            log.info("hello %s", "you", extra={"plan": "pro"})
    finally:
        for handler in log.handlers[:]:
            handler.close()
            log.removeHandler(handler)
        log.propagate = True
        log.setLevel(logging.NOTSET)
    return tmp_path / "x.json"


WROTE = ("hello you", "r-1", "pro")


def of(line: str) -> tuple[str, str, str]:
    record = json.loads(line)
    return record["message"], record["request_id"], record["plan"]


def test_logging_config_names_our_file_handler(tmp_path: Path) -> None:
    handler = {
        "class": "geomon.logs.FileHandler",
        "filename": str(tmp_path / "x.json"),
        "level": "INFO",
        "max_bytes": 1000,
        "backups": 2,
    }
    file = configured(tmp_path, {"handlers": {"x": handler}})
    assert of(file.read_text()) == WROTE


@pytest.mark.parametrize("key", ["()", "class"])
def test_logging_config_names_our_formatter_on_our_handler(tmp_path: Path, key: str) -> None:
    handler = {
        "class": "geomon.logs.FileHandler",
        "filename": str(tmp_path / "x.json"),
        "formatter": "json",
    }
    formatters = {"json": {key: "geomon.logs.JSONFormatter"}}
    file = configured(tmp_path, {"handlers": {"x": handler}, "formatters": formatters})
    assert of(file.read_text()) == WROTE


@pytest.mark.parametrize("key", ["()", "class"])
def test_logging_config_names_our_formatter_on_a_stock_handler(tmp_path: Path, key: str) -> None:
    handler = {
        "class": "logging.FileHandler",
        "filename": str(tmp_path / "x.json"),
        "formatter": "json",
    }
    formatters = {"json": {key: "geomon.logs.JSONFormatter"}}
    file = configured(tmp_path, {"handlers": {"x": handler}, "formatters": formatters})
    assert of(file.read_text()) == WROTE


def test_logging_config_names_our_console_handler(tmp_path: Path) -> None:
    stream = io.StringIO()
    handler = {"class": "geomon.logs.ConsoleHandler", "stream": stream, "style": "json"}
    configured(tmp_path, {"handlers": {"x": handler}})
    assert of(stream.getvalue()) == WROTE


def test_a_foreign_formatter_on_our_handlers_writes_its_own_lines(tmp_path: Path) -> None:
    stream = io.StringIO()
    handlers = {
        "x": {
            "class": "geomon.logs.FileHandler",
            "filename": str(tmp_path / "x.json"),
            "formatter": "plain",
        },
        "y": {"class": "geomon.logs.ConsoleHandler", "stream": stream, "formatter": "plain"},
    }
    logger = {"level": "DEBUG", "handlers": ["x", "y"], "propagate": False}
    formatters = {"plain": {"format": "%(levelname)s:%(message)s:%(plan)s"}}
    file = configured(
        tmp_path, {"handlers": handlers, "formatters": formatters, "loggers": {"app": logger}}
    )
    assert (file.read_text(), stream.getvalue()) == ("INFO:hello you:pro\n",) * 2


def test_the_lines_of_a_foreign_formatter_are_redacted(tmp_path: Path) -> None:
    handler = {
        "class": "geomon.logs.FileHandler",
        "filename": str(tmp_path / "x.json"),
        "formatter": "plain",
    }
    formatters = {"plain": {"format": "%(message)s password=%(plan)s"}}
    file = configured(tmp_path, {"handlers": {"x": handler}, "formatters": formatters})
    assert file.read_text() == "hello you password=[redacted]\n"


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: FileHandler("app"), ValueError, "write one with a suffix"),
        (lambda: FileHandler(5), TypeError, '5 names no log file: write "logs/app.json"'),  # type: ignore[arg-type]
        (lambda: FileHandler("/tmp/."), ValueError, "write"),
        (lambda: FileHandler("a.json", backups=0), ValueError, "backups=0: write 1 or more"),
        (lambda: FileHandler("a.json", full="no"), ValueError, 'write "wait" or "drop"'),  # type: ignore[arg-type]
        (lambda: ConsoleHandler(5), TypeError, "write stream=sys.stderr"),  # type: ignore[arg-type]
        (lambda: ConsoleHandler(style="x"), ValueError, 'write "auto"'),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_argument_of_a_handler_says_what_to_write(
    make: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        make()


def test_handlers_without_setup_survive_a_fork(tmp_path: Path) -> None:
    run(
        """
        from geomon.logs import FileHandler
        log.addHandler(FileHandler("app.json"))
        log.setLevel("INFO")
        log.info("parent")
        if os.fork() == 0:
            log.info("child")
        else:
            os.wait()
        """,
        tmp_path,
    )
    assert sorted(messages(tmp_path)) == ["child", "parent"]


# --- the console


COLOURED = """
import logging
from geomon.logs import setup
setup(log_dir=None)
logging.getLogger("app").info("hello", extra={"plan": "pro"})
"""


def on_terminal(**variables: str) -> str:
    """What a program writes to standard error where that is a terminal."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    names = {"TERM": "xterm", **variables}
    env = {name: value for name, value in environment().items() if name not in CHOOSE_COLOURS}
    try:
        done = subprocess.run(
            [sys.executable, "-c", COLOURED], stderr=theirs, env={**env, **names}, timeout=PATIENCE
        )
        os.close(theirs)
        shown = os.read(ours, 10_000).decode()
    finally:
        os.close(ours)
    assert done.returncode == 0
    return shown


CHOOSE_COLOURS = {"NO_COLOR", "FORCE_COLOR", "TERM"}


def test_a_terminal_shows_readable_colours() -> None:
    shown = on_terminal()
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown)
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} INFO     app hello plan=pro\n", plain)
    assert "\x1b[32mINFO" in shown


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_no_colours_gets_none(variables: dict[str, str]) -> None:
    shown = on_terminal(**variables)
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} INFO     app hello plan=pro\n", shown)


def test_a_pipe_gets_json(tmp_path: Path) -> None:
    _, err = run_to_pipe(COLOURED, tmp_path)
    assert [record["message"] for record in json_lines(err)] == ["hello"]


def test_what_the_program_wrote_to_the_stream_itself_comes_first(tmp_path: Path) -> None:
    out = run(
        """
        pipeline = setup(log_dir=None, stream=sys.stdout, style="text")
        print("before")
        log.info("x")
        pipeline.flush()
        print("after")
        """,
        tmp_path,
    )
    assert [line.split()[-1] for line in out.splitlines()] == ["before", "x", "after"]


def test_an_encoding_without_a_character_gets_it_escaped(tmp_path: Path) -> None:
    out, err = run_to_pipe(
        'setup(log_dir=None); log.info("é 你")', tmp_path, PYTHONIOENCODING="ascii"
    )
    assert (out, "\\xe9 \\u4f60" in err) == ("", True)


def test_a_redirected_standard_error_is_followed(capsys: pytest.CaptureFixture[str]) -> None:
    with setup(log_dir=None):
        log.info("x")
    assert [record["message"] for record in json_lines(capsys.readouterr().err)] == ["x"]


# --- context


def test_a_thread_carries_the_ids_along(tmp_path: Path) -> None:
    def work(number: int) -> None:
        log.info("%d", number)

    with setup(log_dir=tmp_path, console=False), ThreadPoolExecutor(4) as pool:
        for number in range(50):
            with geomon.bind(request_id=f"r-{number}", user_id="u-7"):
                pool.submit(carry(work), number)
    found = {one["message"]: (one["request_id"], one["user_id"]) for one in records(tmp_path)}
    assert found == {str(number): (f"r-{number}", "u-7") for number in range(50)}


def test_tasks_keep_their_ids_apart(tmp_path: Path) -> None:
    async def work(number: int) -> None:
        with geomon.bind(request_id=f"r-{number}"):
            await asyncio.sleep(0)
            log.info("%d", number)
            await asyncio.sleep(0)
            log.info("%d", number)

    async def main() -> None:
        await asyncio.gather(*(work(number) for number in range(50)))

    with setup(log_dir=tmp_path, console=False):
        asyncio.run(main())
    found = [one for one in records(tmp_path) if one["logger"] == "app"]
    assert {(one["message"], one["request_id"]) for one in found} == {
        (str(number), f"r-{number}") for number in range(50)
    }


def test_ids_are_those_of_the_moment_of_logging(tmp_path: Path) -> None:
    with setup(log_dir=tmp_path, console=False):
        with geomon.bind(request_id="r-1"):
            log.info("in")
        log.info("out")
    assert [one.get("request_id") for one in records(tmp_path)] == ["r-1", None]


def behind_memory(target: logging.Handler) -> Iterator[logging.Handler]:
    yield logging.handlers.MemoryHandler(100, target=target)


def behind_a_queue(target: logging.Handler) -> Iterator[logging.Handler]:
    records: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(records, target)
    listener.start()
    yield logging.handlers.QueueHandler(records)
    listener.stop()


def behind_a_pickle(target: logging.Handler) -> Iterator[logging.Handler]:
    class Pickling(logging.handlers.SocketHandler):
        def emit(self, record: logging.LogRecord) -> None:
            with geomon.bind(request_id="of the receiver"):
                values = pickle.loads(self.makePickle(record)[4:])
                target.handle(logging.makeLogRecord(values))

    yield Pickling("localhost", 0)


def stock_with_our_formatter(path: Path) -> logging.Handler:
    handler = logging.FileHandler(path)
    handler.setFormatter(JSONFormatter())
    return handler


@pytest.mark.parametrize("kind", [FileHandler, stock_with_our_formatter])
@pytest.mark.parametrize("way", [behind_memory, behind_a_queue, behind_a_pickle])
def test_ids_are_those_of_the_moment_of_logging_behind_the_programs_own_handlers(
    tmp_path: Path, way: Any, kind: Any
) -> None:
    logger, target = logging.Logger("q"), kind(tmp_path / "app.json")
    for handler in way(target):
        logger.addHandler(handler)
        with geomon.bind(request_id="alice", session=object()):
            logger.info("1")
        logger.info("2")
        with geomon.bind(request_id="bob"):
            logger.error("3")  # which makes a MemoryHandler write
    target.close()
    found = [(one["message"], one.get("request_id")) for one in records(tmp_path)]
    assert found == [("1", "alice"), ("2", None), ("3", "bob")]


def test_the_span_is_that_of_the_moment_of_logging_behind_the_programs_own_handlers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = types.ModuleType("opentelemetry.trace")
    ids = types.SimpleNamespace(trace_id=1, span_id=1, is_valid=True)
    module.get_current_span = lambda: types.SimpleNamespace(get_span_context=lambda: ids)
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", module)
    logger, target = logging.Logger("q"), FileHandler(tmp_path / "app.json")
    logger.addHandler(logging.handlers.MemoryHandler(100, target=target))
    logger.info("1")
    ids.is_valid = False
    logger.info("2", extra={"list": [1]})
    ids.is_valid, ids.trace_id = True, 3
    logger.error("3")
    target.close()
    found = [one.get("trace_id", "").lstrip("0") for one in records(tmp_path)]
    assert found == ["1", "", "3"]


OWN_FACTORY = """
earlier = logging.getLogRecordFactory()
def own(*args, **kwargs):
    record = earlier(*args, **kwargs)
    record.release = "r-17"
    return record
logging.setLogRecordFactory(own)
"""


@pytest.mark.parametrize(("before", "after"), [(OWN_FACTORY, ""), ("", OWN_FACTORY)])
def test_a_record_factory_of_the_programs_own_goes_on(
    tmp_path: Path, before: str, after: str
) -> None:
    code = f"""
import logging
{before}
import geomon
from geomon.logs import setup
pipeline = setup(log_dir="logs", console=False)
{after}
with geomon.bind(request_id="r-1"):
    logging.getLogger("app").info("x")
pipeline.close()
assert logging.getLogRecordFactory() is own
"""
    subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), timeout=PATIENCE, check=True
    )
    (found,) = records(tmp_path / "logs")
    assert (found["release"], found["request_id"]) == ("r-17", "r-1")


def test_closing_puts_the_record_factory_back(tmp_path: Path) -> None:
    out = run(
        """
        factory = logging.getLogRecordFactory()
        def stands():
            return logging.getLogRecordFactory() is factory
        before = stands()
        pipeline = setup(log_dir="logs", console=False)
        during = stands()
        setup(log_dir=None, console=False).close()
        print(before, during, stands())
        """,
        tmp_path,
    )
    assert out == "True False True\n"


def test_a_value_is_that_of_the_moment_of_logging(tmp_path: Path) -> None:
    basket = ["apple"]
    with setup(log_dir=tmp_path, console=False):
        log.info("%s", basket, extra={"basket": basket})
        basket.append("pear")
    assert [(one["message"], one["basket"]) for one in records(tmp_path)] == [
        ("['apple']", ["apple"])
    ]


def test_extra_ids_of_the_callers_own_are_not_lost(tmp_path: Path) -> None:
    with setup(log_dir=tmp_path, console=False), geomon.bind(request_id="r-1"):
        log.info("x", extra={"request_id": "own"})
    (found,) = records(tmp_path)
    assert {"r-1", "own"} <= {value for value in found.values() if isinstance(value, str)}


# --- client libraries


PROMPTING = """
from http.server import BaseHTTPRequestHandler, HTTPServer
import anthropic, openai

class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(400)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"error": {"message": "no"}}')
    def log_message(self, *args): pass

server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
message = [{"role": "user", "content": "my private PROMPT"}]

def ask():
    for name in ("openai", "openai._base_client", "anthropic", "anthropic._base_client", "httpx"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    clients = openai.OpenAI, anthropic.Anthropic
    gpt, claude = (make(base_url=url, api_key="k", max_retries=0) for make in clients)
    try:
        gpt.chat.completions.create(model="m", messages=message)
    except openai.BadRequestError:
        log.info("refused")
    try:
        claude.messages.create(model="m", messages=message, max_tokens=5)
    except anthropic.BadRequestError:
        log.info("refused")

for captured in (False, True):
    with setup(log_dir=str(captured), console=False, capture_content=captured):
        ask()
"""


def test_client_libraries_write_prompts_only_where_asked(tmp_path: Path) -> None:
    pytest.importorskip("openai", reason="install openai")
    pytest.importorskip("anthropic", reason="install anthropic")
    run(PROMPTING, tmp_path, stderr=None)
    for captured in (False, True):
        found = records(tmp_path / str(captured))
        text = "".join(path.read_text() for path in (tmp_path / str(captured)).iterdir())
        low = {one["logger"].split(".")[0] for one in found if one["level"] == "DEBUG"}
        assert [one["message"] for one in found if one["logger"] == "app"] == ["refused"] * 2
        assert ("PROMPT" in text, {"openai", "anthropic"} <= low) == (captured, captured)
        assert captured or low <= {"asyncio", "selectors"}


@pytest.mark.parametrize(
    "name", ["openai.a_module_of_tomorrow", "LiteLLM Router", "LiteLLM Proxy", "LiteLLM"]
)
def test_a_client_library_that_is_loaded_later_is_held_too(tmp_path: Path, name: str) -> None:
    with setup(log_dir=tmp_path, console=False):
        later = logging.getLogger(name)
        later.setLevel(logging.DEBUG)
        try:
            later.debug("prompt")
            later.info("request")
        finally:
            later.setLevel(logging.NOTSET)
    assert messages(tmp_path) == ["request"]


def test_a_pipeline_says_what_it_is() -> None:
    with setup(log_dir=None, console=False) as pipeline:
        assert isinstance(pipeline, Pipeline)
        assert isinstance(pipeline.handler.formatter, JSONFormatter)
