"""The log record of a call: where it goes, what it carries, what it leaves out."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pythonjsonlogger.json import JsonFormatter

import geomon
from geomon import dispatch
from geomon.call import Attempt, Call, Usage
from geomon.context import RECORD_ATTRIBUTE
from geomon.sinks.log import LogSink
from geomon.testing import MovableClock

PRICES = {"m": {"input": 1e6, "output": 2e6}}
SECRET = "the prompt was: my secret"
RESPONSE = {
    "object": "chat.completion",
    "model": "m-2024-01-01",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": SECRET}}],
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    },
}


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def last(self) -> Any:
        return self.records[-1]


@pytest.fixture
def log() -> Iterator[Records]:
    """What reaches a handler of the root logger at INFO."""
    root, handler = logging.getLogger(), Records()
    level = root.level
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(autouse=True)
def configured() -> Iterator[None]:
    earlier = dispatch.install(None)
    with geomon.configure(registry=CollectorRegistry(), prices=PRICES):
        yield
    dispatch.install(earlier)


def finished(**fields: Any) -> Call:
    usual: dict[str, Any] = dict.fromkeys(Call._fields)
    usual |= {"kind": "ai", "type": "chat", "model": "m", "outcome": "ok", "duration": 0.25}
    usual |= {"usage": (), "attempts": (), "rate_limit_remaining": {}, "context": {}}
    usual |= {"finish_reasons": (), "attributes": {}, "started_at": 0.0, "metered": False}
    return Call(**(usual | fields))


@geomon.track_ai("summarize", model="m")
def summarize(error: BaseException | None = None) -> Any:
    if error is not None:
        raise error
    return RESPONSE


def fail(error: BaseException) -> None:
    with pytest.raises(type(error)):
        summarize(error)


# --- logger and level


def test_a_call_is_one_record(log: Records) -> None:
    summarize()
    assert len(log.records) == 1


def test_an_ai_call_is_logged_on_geomon_ai(log: Records) -> None:
    summarize()
    assert (log.last.name, log.last.levelname) == ("geomon.ai", "INFO")


@pytest.mark.parametrize("kind", ["request", "client_request"])
def test_a_request_is_logged_on_geomon_http(log: Records, kind: str) -> None:
    LogSink()(finished(kind=kind, type=None, method="GET", endpoint="/", status=200))
    assert (log.last.name, log.last.levelname) == ("geomon.http", "INFO")


@pytest.mark.parametrize(
    ("outcome", "level"),
    [("ok", "INFO"), ("error", "WARNING"), ("cancelled", "WARNING"), ("abandoned", "WARNING")],
)
def test_what_did_not_go_well_is_a_warning(log: Records, outcome: str, level: str) -> None:
    LogSink()(finished(outcome=outcome))
    assert log.last.levelname == level


@pytest.mark.parametrize("error", [ValueError(), asyncio.CancelledError(), KeyboardInterrupt()])
def test_a_call_that_raises_is_a_warning(log: Records, error: BaseException) -> None:
    fail(error)
    assert log.last.levelname == "WARNING"


def test_a_5xx_is_a_warning(log: Records) -> None:
    with geomon.track_request("GET", "/") as request:
        request.status = 503
    assert log.last.levelname == "WARNING"
    assert log.last.error_type == "server_error"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (finished(), "chat m ok in 0.250 s"),
        (finished(model=None), "chat ok in 0.250 s"),
        (finished(outcome="error", error_type="timeout"), "chat m error (timeout) in 0.250 s"),
        (finished(type="100%s %d"), "100%s %d m ok in 0.250 s"),
        (
            finished(kind="request", method="GET", endpoint="/items/{id}", status=200),
            "GET /items/{id} 200 ok in 0.250 s",
        ),
        (
            finished(kind="client_request", method="GET", host="a.example", status=404),
            "GET a.example 404 ok in 0.250 s",
        ),
    ],
)
def test_the_message_is_a_line_for_people(log: Records, call: Call, message: str) -> None:
    LogSink()(call)
    assert log.last.getMessage() == message


# --- the program's own logging set-up


def test_the_programs_level_decides(log: Records) -> None:
    logging.getLogger().setLevel(logging.WARNING)
    summarize()
    assert log.records == []
    fail(ValueError())
    assert len(log.records) == 1


def test_the_level_of_geomons_own_logger_decides(log: Records) -> None:
    logger = logging.getLogger("geomon.ai")
    logger.setLevel(logging.ERROR)
    try:
        fail(ValueError())
    finally:
        logger.setLevel(logging.NOTSET)
    assert log.records == []


def test_a_handler_that_sends_records_over_a_tracked_client_does_not_go_round(
    log: Records,
) -> None:
    class Shipping(logging.Handler):
        sent = 0

        def emit(self, record: logging.LogRecord) -> None:
            self.sent += 1
            with geomon.track_request("POST", "/logs"):
                """Sent."""

    shipping = Shipping()
    logging.getLogger().addHandler(shipping)
    try:
        logging.getLogger("app").info("hello")
        summarize()
    finally:
        logging.getLogger().removeHandler(shipping)
    assert [record.getMessage().split(" in ")[0] for record in log.records] == [
        "hello",
        "POST /logs 200 ok",
        "summarize m ok",
    ]
    assert shipping.sent == 3


def test_the_programs_filters_are_asked(log: Records) -> None:
    logger = logging.getLogger("geomon.ai")

    def nothing(record: logging.LogRecord) -> bool:
        return False

    logger.addFilter(nothing)
    try:
        summarize()
    finally:
        logger.removeFilter(nothing)
    assert log.records == []


def test_the_programs_record_factory_is_used(log: Records) -> None:
    usual = logging.getLogRecordFactory()

    def factory(*arguments: Any, **more: Any) -> logging.LogRecord:
        record = usual(*arguments, **more)
        record.request_id = record.release = "from the factory"
        return record

    logging.setLogRecordFactory(factory)
    try:
        with geomon.bind(request_id="r-1"):
            summarize()
    finally:
        logging.setLogRecordFactory(usual)
    assert (log.last.release, log.last.request_id) == ("from the factory", "r-1")


def test_disabled_logging_is_silent(log: Records) -> None:
    logging.disable(logging.CRITICAL)
    try:
        fail(ValueError())
    finally:
        logging.disable(logging.NOTSET)
    assert log.records == []


def run(program: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_without_a_logging_set_up_a_call_that_went_well_is_silent() -> None:
    assert run("import geomon\nwith geomon.track_ai('chat'): pass") == ("", "")


def test_without_configure_the_record_follows_basic_config() -> None:
    program = (
        "import logging, geomon\n"
        "logging.basicConfig(level='INFO', format='%(name)s %(levelname)s %(request_id)s')\n"
        "with geomon.bind(request_id='r-1'), geomon.track_ai('chat'): pass"
    )
    assert run(program) == ("", "geomon.ai INFO r-1\n")


# --- where it stands


def test_a_record_stands_at_the_decorated_function(log: Records) -> None:
    summarize()
    code = summarize.__code__
    assert (log.last.pathname, log.last.lineno, log.last.funcName) == (
        __file__,
        code.co_firstlineno,
        "summarize",
    )


def test_a_record_of_a_coroutine_function_stands_at_it(log: Records) -> None:
    @geomon.track_ai
    async def work() -> None: ...

    asyncio.run(work())
    assert (log.last.pathname, log.last.lineno) == (__file__, work.__code__.co_firstlineno)
    assert log.last.funcName.endswith(".work")


def test_a_record_of_a_method_names_its_class(log: Records) -> None:
    class Agent:
        @geomon.track_ai
        def answer(self) -> None: ...

    Agent().answer()
    assert log.last.funcName.endswith("Agent.answer")
    assert log.last.filename == "test_log_sink.py"


def test_a_record_of_a_with_block_stands_at_the_block(log: Records) -> None:
    frame = inspect.currentframe()
    assert frame is not None
    line = frame.f_lineno + 1
    with geomon.track_ai("chat"):
        pass
    assert (log.last.pathname, log.last.lineno, log.last.funcName) == (
        __file__,
        line,
        "test_a_record_of_a_with_block_stands_at_the_block",
    )


def test_a_record_of_an_async_with_block_stands_at_the_block(log: Records) -> None:
    async def work() -> int:
        frame = inspect.currentframe()
        assert frame is not None
        line = frame.f_lineno + 1
        async with geomon.track_ai("chat"):
            pass
        return line

    assert asyncio.run(work()) == log.last.lineno
    assert log.last.funcName.endswith(".work")


def test_a_built_in_has_no_place(log: Records) -> None:
    assert geomon.track_ai("count")(len)([1]) == 1
    assert (log.last.pathname, log.last.lineno) == ("(unknown file)", 0)


# --- extras


def test_a_record_carries_labels_measurements_and_context(log: Records) -> None:
    with MovableClock() as clock, geomon.bind(request_id="r-1", user_id="u-7"):
        with geomon.track_ai("chat", model="m", provider="openai") as call:
            clock.move(0.5)
            call.first_token()
            clock.move(0.5)
            call.record(RESPONSE)
            call.set(prompt_version=3)
    usual = {*vars(logging.makeLogRecord({})), "message", "asctime", RECORD_ATTRIBUTE}
    extras = {name: value for name, value in vars(log.last).items() if name not in usual}
    assert extras == {
        "kind": "ai",
        "type": "chat",
        "model": "m",
        "provider": "openai",
        "outcome": "ok",
        "duration": 1.0,
        "time_to_first_token": 0.5,
        "response_model": "m-2024-01-01",
        "finish_reasons": ["stop"],
        "input_tokens": 10,
        "output_tokens": 5,
        "cached_input_tokens": 4,
        "reasoning_tokens": 2,
        "cost": 20.0,
        "prompt_version": 3,
        "request_id": "r-1",
        "user_id": "u-7",
    }


def test_a_request_carries_method_endpoint_and_status(log: Records) -> None:
    with geomon.track_request("POST", "/items/{id}") as request:
        request.status = 201
    assert (log.last.method, log.last.endpoint, log.last.status) == ("POST", "/items/{id}", 201)


def test_what_is_not_known_is_absent(log: Records) -> None:
    with geomon.track_ai("chat"):
        pass
    assert {"model", "cost", "input_tokens", "status", "error_type"} & {*vars(log.last)} == set()


def test_tokens_of_several_models_are_added_and_listed(log: Records) -> None:
    used = (Usage("m", "openai", 10, 5, cost=0.5), Usage("n", None, 1, cost=0.25))
    LogSink()(finished(usage=used, attempts=(Attempt("m", "ok"), Attempt("n", "ok"))))
    assert (log.last.input_tokens, log.last.output_tokens, log.last.cost) == (11, 5, 0.75)
    assert log.last.attempts == 2
    assert log.last.usage == [
        {"model": "m", "provider": "openai", "input": 10, "output": 5, "cost": 0.5},
        {"model": "n", "input": 1, "cost": 0.25},
    ]


@pytest.mark.parametrize(
    "name", [*vars(logging.LogRecord("", 0, "", 0, "", None, None)), "message", "asctime"]
)
def test_a_bound_name_that_a_record_has_itself_does_no_harm(log: Records, name: str) -> None:
    with geomon.bind(**{name: "bound"}):
        summarize()
    assert getattr(log.last, f"context_{name}") == "bound"
    line = logging.Formatter("%(name)s %(levelname)s %(message)s").format(log.last)
    assert line.startswith("geomon.ai INFO summarize m ok in ")


@pytest.mark.parametrize("name", ["getMessage", "__class__", "__dict__"])
def test_a_bound_name_that_is_a_method_of_a_record_does_no_harm(log: Records, name: str) -> None:
    with geomon.bind(**{name: "bound"}):
        summarize()
    assert log.last.getMessage().startswith("summarize m ok in ")


@pytest.mark.parametrize("name", ["kind", "type", "model", "outcome", "duration"])
def test_a_bound_name_does_not_hide_what_geomon_says(log: Records, name: str) -> None:
    summarize()
    geomons = getattr(log.last, name)
    with MovableClock(), geomon.bind(**{name: "bound"}):
        summarize()
    assert type(getattr(log.last, name)) is type(geomons)
    assert getattr(log.last, name) != "bound"


# --- secrets


def everything(record: logging.LogRecord) -> str:
    return f"{vars(record)!r} {logging.Formatter().format(record)}"


def test_the_text_of_an_exception_is_absent(log: Records) -> None:
    fail(ValueError(SECRET))
    assert SECRET not in everything(log.last)
    assert log.last.exception_type == "ValueError"
    assert log.last.exc_info is None


def test_the_answer_is_absent(log: Records) -> None:
    summarize()
    assert SECRET not in everything(log.last)


def test_capture_content_writes_the_text_of_an_exception(log: Records) -> None:
    with geomon.configure(registry=CollectorRegistry(), capture_content=True):
        fail(ValueError(SECRET))
    assert log.last.exception_message == SECRET


def test_an_exception_class_is_named_with_its_module(log: Records) -> None:
    fail(json.JSONDecodeError("no", "", 0))
    assert log.last.exception_type == "json.decoder.JSONDecodeError"


def test_an_exception_without_a_text_is_written_all_the_same(log: Records) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    with geomon.configure(registry=CollectorRegistry(), capture_content=True):
        fail(MuteError())
    assert log.last.exception_message == "<MuteError without a text>"


# --- with other libraries' formatters


def test_python_json_loggers_formatter_writes_every_field() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("%(message)s %(levelname)s %(name)s"))
    logger = logging.getLogger("geomon.ai")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with MovableClock(), geomon.bind(request_id="r-1", message="bound"):
            summarize()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    (line,) = stream.getvalue().splitlines()
    written = json.loads(line)
    written.pop("taskName", None)
    assert written == {
        "message": "summarize m ok in 0.000 s",
        "levelname": "INFO",
        "name": "geomon.ai",
        "kind": "ai",
        "type": "summarize",
        "model": "m",
        "provider": "openai",
        "outcome": "ok",
        "duration": 0.0,
        "response_model": "m-2024-01-01",
        "finish_reasons": ["stop"],
        "input_tokens": 10,
        "output_tokens": 5,
        "cached_input_tokens": 4,
        "reasoning_tokens": 2,
        "cost": 20.0,
        "request_id": "r-1",
        "context_message": "bound",
    }


@pytest.mark.parametrize(
    "name",
    ["cost", "input_tokens", "usage", "attempts", "finish_reasons", "exception_type", "outcome"],
)
def test_a_bound_name_does_not_pass_for_the_records_own(log: Records, name: str) -> None:
    with geomon.bind(**{name: "mine"}), geomon.track_ai("chat"):
        pass
    assert getattr(log.last, f"context_{name}") == "mine"
    assert getattr(log.last, name, None) != "mine"


def test_a_call_logs_what_was_bound_when_it_began(tmp_path: Path) -> None:
    with geomon.configure(registry=CollectorRegistry(), log_dir=tmp_path):
        with geomon.bind(request_id="r-1"):
            call = geomon.track_ai("chat")
            call.__enter__()
        with geomon.bind(request_id="r-2", user_id="u-2"):
            call.__exit__(None, None, None)
    (record,) = geomon.logs.read(tmp_path)
    assert (record["request_id"], record.get("user_id")) == ("r-1", None)


def test_a_call_is_one_line_in_the_file_with_its_trace(tmp_path: Path) -> None:
    with geomon.configure(registry=CollectorRegistry(), log_dir=tmp_path, prices=PRICES):
        with geomon.bind(request_id="r-1", user_id="u-7"), geomon.track_ai("chat") as call:
            call.record(RESPONSE)
            call.in_trace("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    (record,) = geomon.logs.read(tmp_path)
    del record["timestamp"], record["duration"], record["message"], record["line"]
    assert record == {
        "level": "INFO",
        "logger": "geomon.ai",
        "module": "test_log_sink",
        "function": "test_a_call_is_one_line_in_the_file_with_its_trace",
        "request_id": "r-1",
        "user_id": "u-7",
        "kind": "ai",
        "type": "chat",
        "model": "m-2024-01-01",
        "provider": "openai",
        "outcome": "ok",
        "response_model": "m-2024-01-01",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
        "finish_reasons": ["stop"],
        "input_tokens": 10,
        "output_tokens": 5,
        "cached_input_tokens": 4,
        "reasoning_tokens": 2,
        "cost": 20.0,
    }
