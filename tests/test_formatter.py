"""The JSON formatter: one valid line of bounded size, whatever a record holds."""

from __future__ import annotations

import asyncio
import copy
import functools
import gc
import json
import logging
import logging.config
import math
import re
import signal
import sys
import threading
import time
import types
import uuid
import weakref
from collections import OrderedDict, UserDict, deque, namedtuple
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import PurePosixPath
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

import geomon
from geomon import context, losses
from geomon.logs.formatter import JSONFormatter
from geomon.logs.limits import Limits

FORMATTER = JSONFormatter()


def kind_of(value: object) -> str:
    return type(value).__name__


KEY = "sk-proj-abcdefghijklmnop1234"


class Kept(logging.Handler):
    """Keeps the records, as any handler gets them."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def record(message: Any = "hello", *args: Any, **options: Any) -> logging.LogRecord:
    """The record of one call of `logger.info`."""
    logger, kept = logging.Logger("shop.orders"), Kept()
    logger.addHandler(kept)
    logger.info(message, *args, **options)
    return kept.records[0]


def fields_of(made: logging.LogRecord, formatter: JSONFormatter = FORMATTER) -> dict[str, Any]:
    """The fields of the record's line, which is checked for what every line must be."""
    before = dict(vars(made))
    snapshot = formatter.snapshot(made)
    assert vars(made).keys() - {context.RECORD_ATTRIBUTE} == before.keys() - {
        context.RECORD_ATTRIBUTE
    }
    line = formatter.line(snapshot)
    assert line.endswith(b"\n")
    text = line[:-1].decode()
    assert len(text.splitlines()) == 1
    assert len(line) <= formatter._limits.size
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", text)
    fields: dict[str, Any] = json.loads(text, parse_constant=pytest.fail)
    assert fields == orjson.loads(line)
    assert list(fields)[:4] == ["timestamp", "level", "logger", "message"]
    again = json.loads(orjson.dumps(formatter.fields(snapshot)))
    assert {**fields, "timestamp": ""} == {**again, "timestamp": ""}
    return fields


def written(message: Any = "hello", *args: Any, **extra: Any) -> dict[str, Any]:
    """The fields of a record with these extras."""
    return fields_of(record(message, *args, extra=extra))


def value_of(value: object) -> Any:
    """What an extra of this value is written as."""
    return written(value=value)["value"]


# what a record holds


def test_a_record_has_its_fields_in_order() -> None:
    with geomon.bind(tenant="t", user_id="u-7", request_id="r-1", trace_id="a" * 32):
        fields = written("paid %s", "o-1", amount=2.5, ok=True, none=None)
    assert list(fields) == [
        *("timestamp", "level", "logger", "message", "module", "function", "line"),
        *("request_id", "user_id", "tenant", "amount", "ok", "none", "trace_id"),
    ]
    assert fields["level"] == "INFO"
    assert fields["logger"] == "shop.orders"
    assert fields["message"] == "paid o-1"
    assert fields["module"] == "test_formatter"
    assert fields["function"] == "record"
    assert (fields["request_id"], fields["user_id"], fields["tenant"]) == ("r-1", "u-7", "t")
    assert (fields["amount"], fields["ok"], fields["none"]) == (2.5, True, None)


def test_the_careful_way_has_the_same_order_and_adds_exception_before_the_trace() -> None:
    with geomon.bind(trace_id="a" * 32, span_id="b" * 16, request_id="r-1"):
        fields = fields_of(
            record(exc_info=ValueError("no"), stack_info=True, extra={"a": 1}),
            JSONFormatter(process=True, thread=True, static={"service": "shop"}),
        )
    assert list(fields)[7:] == [
        *("service", "request_id", "a", "exception", "stack_info", "trace_id", "span_id"),
        *("process", "process_name", "thread", "thread_name"),
    ]


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1795545000.123456, "2026-11-24T18:30:00.123456Z"),
        (1795545000.9999999, "2026-11-24T18:30:01.000000Z"),
        (1795545000, "2026-11-24T18:30:00.000000Z"),
        (-0.5, "1969-12-31T23:59:59.500000Z"),
        (-62135596800, "0001-01-01T00:00:00.000000Z"),
    ],
)
def test_a_timestamp_is_rfc_3339_of_one_width(created: float, expected: str) -> None:
    made = record()
    made.created = created
    assert fields_of(made)["timestamp"] == expected


@given(st.floats(0, 4e9))
def test_a_timestamp_is_what_datetime_says(created: float) -> None:
    made = record()
    made.created = created
    written = datetime.fromisoformat(fields_of(made)["timestamp"])
    assert abs(written - datetime.fromtimestamp(created, UTC)) <= timedelta(microseconds=1)


@pytest.mark.parametrize("created", [math.nan, math.inf, 1e300, -1e300, None, "today", object()])
def test_a_record_without_a_usable_time_has_the_time_of_now(created: Any) -> None:
    made = record()
    made.created = created
    written = datetime.fromisoformat(fields_of(made)["timestamp"])
    assert abs(written.timestamp() - time.time()) < 60


def test_a_level_has_the_name_that_it_was_given() -> None:
    logging.addLevelName(35, "NOTICE")
    made = logging.makeLogRecord({"levelno": 35, "levelname": logging.getLevelName(35)})
    assert fields_of(made)["level"] == "NOTICE"


@pytest.mark.parametrize("missing", sorted(vars(logging.makeLogRecord({}))))
def test_a_record_that_lacks_an_attribute_is_written_with_its_extras(missing: str) -> None:
    made = record(extra={"a": 1, "b": [2]})
    delattr(made, missing)
    fields = fields_of(made)
    assert (fields["a"], fields["b"]) == (1, [2])


def test_a_record_made_of_nothing_is_written() -> None:
    made = logging.makeLogRecord({})
    vars(made).clear()
    fields = fields_of(made)
    assert (fields["message"], fields["level"], fields["logger"]) == ("", "NOTSET", "root")


def test_static_fields_stand_in_every_record_and_extras_cannot_take_their_name() -> None:
    formatter = JSONFormatter(static={"service": "shop", "labels": {"a": [1]}})
    fields = fields_of(record(extra={"service": "other", "x": 1}), formatter)
    assert fields["service"] == "shop"
    assert fields["extra_service"] == "other"
    assert fields["labels"] == {"a": [1]}


def test_process_thread_and_task_are_written_where_asked() -> None:
    formatter = JSONFormatter(process=True, thread=True)

    async def main() -> dict[str, Any]:
        task = asyncio.current_task()
        assert task is not None
        task.set_name("worker-1")
        return fields_of(record(), formatter)

    fields = asyncio.run(main())
    assert fields["process_name"] == "MainProcess"
    assert isinstance(fields["process"], int)
    assert fields["thread"] == threading.get_ident()
    assert fields["thread_name"] == "MainThread"
    assert fields["task"] == "worker-1"
    assert "task" not in fields_of(record(), formatter)


# names


@pytest.mark.parametrize("name", ["timestamp", "level", "logger", "function", "line", "exception"])
def test_an_extra_cannot_pass_for_a_field_of_the_record(name: str) -> None:
    fields = written(**{name: "forged"})
    assert fields.get(name) != "forged"
    assert fields[f"extra_{name}"] == "forged"


def test_a_bound_value_cannot_pass_for_a_field_of_the_record() -> None:
    with geomon.bind(level="forged", message="forged", stack_info="forged"):
        fields = written()
    assert (fields["level"], fields["message"]) == ("INFO", "hello")
    assert fields["context_level"] == fields["context_message"] == "forged"
    assert fields["context_stack_info"] == "forged"


def test_an_extra_that_differs_from_the_bound_value_is_written_beside_it() -> None:
    with geomon.bind(request_id="r-1", user_id="u-1"):
        fields = written(request_id="r-2", user_id="u-1")
    assert fields["request_id"] == "r-1"
    assert fields["extra_request_id"] == "r-2"
    assert fields["user_id"] == "u-1"
    assert "extra_user_id" not in fields


def test_an_extra_keeps_its_name_where_nothing_is_bound() -> None:
    assert written(request_id="r-2")["request_id"] == "r-2"


def test_names_that_collide_twice_are_all_written() -> None:
    with geomon.bind(request_id="r-1"):
        fields = written(request_id="r-2", extra_request_id="r-3")
    assert sorted(v for k, v in fields.items() if "request_id" in k) == ["r-1", "r-2", "r-3"]


def test_extras_that_begin_with_an_underscore_are_private() -> None:
    assert not any(name.startswith("_") for name in written(_private=1))


def test_the_context_that_a_record_carries_goes_before_the_current_one() -> None:
    made = record()
    setattr(made, context.RECORD_ATTRIBUTE, {"request_id": "r-carried"})
    with geomon.bind(request_id="r-here"):
        assert fields_of(made)["request_id"] == "r-carried"


@pytest.mark.parametrize("junk", ["text", 3, [1], object()])
def test_a_record_that_carries_no_context_has_the_current_one(junk: object) -> None:
    made = record()
    setattr(made, context.RECORD_ATTRIBUTE, junk)
    with geomon.bind(request_id="r-here"):
        assert fields_of(made)["request_id"] == "r-here"


# traces

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_bound_traceparent_gives_the_trace() -> None:
    with geomon.bind(traceparent=TRACEPARENT):
        fields = written()
        careful = written(value=[1])
    for one in (fields, careful):
        assert one["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
        assert one["span_id"] == "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "header", ["", "junk", "00-0-0-0", f"00-{'0' * 32}-{'1' * 16}-01", 3, TRACEPARENT.upper()]
)
def test_a_traceparent_that_is_none_gives_nothing(header: object) -> None:
    with geomon.bind(traceparent=header):
        assert "trace_id" not in written()


def test_what_is_bound_goes_before_the_traceparent() -> None:
    with geomon.bind(traceparent=TRACEPARENT, trace_id="t", span_id="s"):
        fields = written()
    assert (fields["trace_id"], fields["span_id"]) == ("t", "s")


def test_the_current_span_of_opentelemetry_gives_the_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module: Any = types.ModuleType("opentelemetry.trace")
    ids = types.SimpleNamespace(trace_id=255, span_id=15, is_valid=True)
    span = types.SimpleNamespace(get_span_context=lambda: ids)
    module.get_current_span = lambda: span
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", module)
    fields = written()
    assert (fields["trace_id"], fields["span_id"]) == ("ff".zfill(32), "f".zfill(16))
    assert written(trace_id="given")["trace_id"] == "given"
    ids.is_valid = False
    assert "trace_id" not in written()
    del module.get_current_span
    assert "trace_id" not in written()


# exceptions


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as caught:
        return caught


def exception_of(error: Any) -> dict[str, Any]:
    exception: dict[str, Any] = fields_of(record(exc_info=error))["exception"]
    return exception


class ShopError(Exception):
    pass


def test_an_exception_is_written_as_structure() -> None:
    exception = exception_of(raised(ShopError("no stock"), raised(KeyError("sku"))))
    assert exception["type"] == f"{__name__}.ShopError"
    assert exception["message"] == "no stock"
    (frame,) = exception["stack"]
    assert frame["file"] == __file__
    assert frame["function"] == "raised"
    assert frame["code"] == "raise error from cause"
    assert isinstance(frame["line"], int)
    (cause,) = exception["causes"]
    assert (cause["type"], cause["message"]) == ("KeyError", "'sku'")


def test_the_context_of_an_exception_is_a_cause_unless_it_is_suppressed() -> None:
    error = TypeError("second")
    error.__context__ = ValueError("first")
    assert [cause["type"] for cause in exception_of(error)["causes"]] == ["ValueError"]
    error.__suppress_context__ = True
    assert "causes" not in exception_of(error)


def test_notes_are_written() -> None:
    error = ValueError("no")
    error.add_note("while paying")
    assert exception_of(error)["notes"] == ["while paying"]


def test_exception_groups_are_written_with_what_is_in_them() -> None:
    group = ExceptionGroup("two", [raised(ValueError("a")), raised(TypeError("b"))])  # type: ignore[list-item]
    exceptions = exception_of(group)["exceptions"]
    assert [one["type"] for one in exceptions] == ["ValueError", "TypeError"]
    assert exceptions[0]["stack"]


def test_a_thousand_groups_inside_one_another_are_cut() -> None:
    group: Exception = ValueError("innermost")
    for _ in range(1000):
        group = ExceptionGroup("outer", [group])
    assert fields_of(record(exc_info=group))["truncated"] is True


def test_a_group_of_a_thousand_is_cut() -> None:
    group = ExceptionGroup("many", [ValueError(str(n)) for n in range(1000)])
    assert "980 exceptions cut" in exception_of(group)["exceptions"][-1]


def test_causes_that_go_in_a_circle_end() -> None:
    one, two = ValueError("one"), TypeError("two")
    one.__cause__, two.__cause__ = two, one
    assert [cause["type"] for cause in exception_of(one)["causes"]] == ["TypeError"]


def test_ten_thousand_causes_are_cut() -> None:
    first = error = ValueError("first")
    for number in range(10_000):
        error.__cause__ = ValueError(number)
        error = error.__cause__  # type: ignore[assignment]
    assert "cut" in exception_of(first)["causes"][-1]


def test_a_long_stack_keeps_its_two_ends() -> None:
    def down(depth: int) -> None:
        if depth:
            down(depth - 1)
        else:
            raise ValueError("bottom")

    with pytest.raises(ValueError, match="bottom") as caught:
        down(500)
    fields = fields_of(record(exc_info=caught.value))
    stack = fields["exception"]["stack"]
    assert stack[-1]["code"] == 'raise ValueError("bottom")'
    assert any("frames cut" in frame for frame in stack if isinstance(frame, str))
    assert fields["truncated"] is True


class Unshowable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_exception_that_cannot_be_shown_says_so() -> None:
    exception = exception_of(Unshowable())
    assert exception["message"] == f"<{__name__}.Unshowable that cannot be shown: RuntimeError>"
    assert exception["type"].endswith("Unshowable")


@pytest.mark.parametrize("nothing", [(None, None, None), False, None, ()])
def test_no_exception_is_none(nothing: Any) -> None:
    made = record()
    made.exc_info = nothing
    assert "exception" not in fields_of(made)


def test_exc_info_outside_of_an_exception_is_none() -> None:
    assert "exception" not in fields_of(record(exc_info=True))


@pytest.mark.parametrize(
    "exc_info",
    [ValueError("x"), (ValueError, ValueError("x"), None), (ValueError, None, None), (ValueError,)],
)
def test_an_exception_is_found_however_it_is_given(exc_info: Any) -> None:
    made = record()
    made.exc_info = exc_info
    assert fields_of(made)["exception"]["type"] == "ValueError"


def test_exc_info_of_junk_is_contained() -> None:
    made = record()
    made.exc_info = (1, 2, 3, 4)  # type: ignore[assignment]
    fields_of(made)


def test_a_traceback_that_came_as_text_is_written() -> None:
    made = record()
    made.exc_text = f"Traceback ...\nValueError: {KEY}"
    assert fields_of(made)["exception"] == {"text": "Traceback ...\nValueError: [redacted]"}


def test_text_that_another_handler_kept_of_an_exception_is_passed_over() -> None:
    made = record(exc_info=raised(ValueError("no")))
    logging.Formatter().format(made)
    assert made.exc_text
    assert fields_of(made)["exception"]["message"] == "no"


def test_a_snapshot_keeps_neither_exception_nor_frames_nor_arguments_alive() -> None:
    class Big:
        def __str__(self) -> str:
            return "big"

    def fail() -> None:
        local = Big()
        alive.append(weakref.ref(local))
        raise ShopError("no", local)

    alive: list[weakref.ref[Any]] = []
    argument = Big()
    alive.append(weakref.ref(argument))
    try:
        fail()
    except ShopError as error:
        alive.append(weakref.ref(error))
        made = record("%s", argument, exc_info=error, extra={"big": argument, "list": [argument]})
    snapshot = FORMATTER.snapshot(made)
    del made, argument
    gc.collect()
    assert [ref() for ref in alive] == [None, None, None]
    assert orjson.loads(FORMATTER.line(snapshot))["message"] == "big"


def test_a_snapshot_does_not_change_when_the_program_changes_what_it_logged() -> None:
    tags = ["a"]
    argument = {"k": 1}
    with geomon.bind(items=tags):
        snapshot = FORMATTER.snapshot(record("%s", argument, extra={"tags": tags}))
    tags.append("b")
    argument["k"] = 2
    fields = orjson.loads(FORMATTER.line(snapshot))
    assert fields["tags"] == fields["items"] == ["a"]
    assert fields["message"] == "{'k': 1}"


def test_the_record_stays_as_it_is() -> None:
    made = record("%s", [1], exc_info=raised(ValueError("x")), extra={"a": {1}})
    before = copy.copy(vars(made))
    FORMATTER.format(made)
    assert vars(made) == before


# inputs of every kind


class Hostile:
    """Raises whatever it is given, from everything."""

    def __init__(self, error: type[BaseException]) -> None:
        vars(self)["error"] = error

    def __str__(self) -> str:
        raise vars(self)["error"]("no text")

    __repr__ = __str__

    def __getattr__(self, name: str) -> Any:
        raise vars(self)["error"](name)

    def __eq__(self, other: object) -> bool:
        raise vars(self)["error"]("eq")

    def __bool__(self) -> bool:
        raise vars(self)["error"]("bool")

    def __hash__(self) -> int:
        return 1

    @property
    def __class__(self) -> Any:
        raise vars(self)["error"]("class")

    @__class__.setter
    def __class__(self, value: Any) -> None: ...


class LyingText(str):
    def __str__(self) -> str:
        return "lie"

    def __len__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("password")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError

    def isascii(self) -> bool:
        return True

    def encode(self, *args: Any) -> bytes:
        raise RuntimeError


class BrokenDict(dict[Any, Any]):
    def items(self) -> Any:
        raise RuntimeError("no items")

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("no iter")

    def __len__(self) -> int:
        return 10**9


class BrokenMapping(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("no item")

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return "<broken>"


class Colour(Enum):
    RED = "red"
    NESTED = ({"password": "hunter2"},)


class Number(IntEnum):
    ONE = 1


@dataclass
class Account:
    name: str
    password: str
    quiet: str = field(default="quiet", repr=False)

    @property
    def broken(self) -> str:
        raise RuntimeError


class Model(BaseModel):
    name: str
    api_key: str
    secret: SecretStr


class Scalar:
    """As numpy's scalars are."""

    dtype = "float64"
    ndim = 0

    def item(self) -> float:
        return 2.5


Point = namedtuple("Point", "x y")


def circular() -> list[Any]:
    values: list[Any] = [1]
    values.append({"self": values})
    return values


def deep(levels: int = 2000) -> dict[str, Any]:
    value: dict[str, Any] = {"bottom": 1}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, (2.5, None), True]}, {"a": [1, [2.5, None], True]}),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        ([math.nan, {"a": math.inf}], ["NaN", {"a": "Infinity"}]),
        (2**63, 2**63),
        (-(2**63), -(2**63)),
        (2**64, "18446744073709551616"),
        (2**100, "1267650600228229401496703205376"),
        (b"bytes", "bytes"),
        (b"\xff\x00", "\\xff\x00"),
        (bytearray(b"a"), "a"),
        (memoryview(b"ab"), "ab"),
        ({1}, [1]),
        (frozenset({"a"}), ["a"]),
        (deque([1, 2]), [1, 2]),
        (range(3), "range(0, 3)"),
        ("\ud800", "\\ud800"),
        ({"\udcff": "a\ud800"}, {"\\udcff": "a\\ud800"}),
        (
            "a\nb\x1b[31m\u2028\u2029\x85\x7f\x9b\u202e",
            "a\nb\x1b[31m\u2028\u2029\x85\x7f\x9b\u202e",
        ),
        (["\x7f", "é\x85"], ["\x7f", "é\x85"]),
        ({(1, "a"): 1}, {"[1, 'a']": 1}),
        ({1: "a", None: "b", False: "c"}, {"1": "a", "None": "b", "False": "c"}),
        ({1: "a", "1": "b"}, {"1": "a", "1 (2)": "b"}),
        ({b"k": 1}, {"k": 1}),
        (LyingText("truth"), "truth"),
        ([LyingText("truth")], ["truth"]),
        (BrokenDict(a=1), {"a": 1}),
        (BrokenMapping(), "<broken>"),
        (UserDict({"a": 1}), {"a": 1}),
        (OrderedDict(a=1), {"a": 1}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (Account("a", "hunter2"), {"name": "a", "password": "[redacted]"}),
        (
            Model(name="a", api_key="k", secret=SecretStr("s")),
            {"name": "a", "api_key": "[redacted]", "secret": "[redacted]"},
        ),
        (Point(1, [2]), {"x": 1, "y": [2]}),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (timedelta(seconds=1), "0:00:01"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.50"), "1.50"),
        (Colour.RED, "red"),
        (Colour.NESTED, [{"password": "[redacted]"}]),
        (Number.ONE, 1),
        (PurePosixPath("/a/b"), "/a/b"),
        (1 + 2j, "(1+2j)"),
        (Scalar(), 2.5),
        (ValueError("no"), "ValueError: no"),
        (Unshowable(), f"{__name__}.Unshowable: <RuntimeError from its __str__>"),
        (ValueError, "ValueError"),
        (Hostile(ValueError), f"{__name__}.Hostile"),
        (circular(), [1, {"self": "<circular>"}]),
        ([[1]] * 2, [[1], [1]]),
        (("a", 1), ["a", 1]),
    ],
    ids=kind_of,
)
def test_a_value_is_written_as(value: object, expected: object) -> None:
    written = value_of(value)
    if isinstance(value, Hostile):
        assert written.startswith(f"<{expected} that cannot be shown")
    else:
        assert written == expected


@pytest.mark.parametrize(
    "error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError, RecursionError]
)
@pytest.mark.parametrize(
    "place", ["value", "nested", "key", "message", "argument", "bound", "text"]
)
def test_an_object_that_raises_from_everything_is_contained(
    error: type[BaseException], place: str
) -> None:
    value = Hostile(error)
    if place == "value":
        fields = written(value=value, other=1)
        assert fields["other"] == 1
    elif place == "nested":
        fields = written(value=[{"a": value}, (value,)])
    elif place == "key":
        fields = written(value={value: 1})
    elif place == "message":
        fields = written(value)
    elif place == "argument":
        fields = written("got %s and %d", value, 3)
        assert "got %s and %d" in fields["message"]
    elif place == "bound":
        with geomon.bind(value=value):
            fields = written()
    else:
        made = record()
        made.name = made.levelname = made.module = value  # type: ignore[assignment]
        fields = fields_of(made)
    assert place == "argument" or "that cannot be shown" in json.dumps(fields)


def test_a_value_of_two_thousand_levels_is_cut() -> None:
    fields = written(value=deep(), after=1)
    assert "nested too deep" in json.dumps(fields)
    assert fields["truncated"] is True
    assert fields["after"] == 1


def test_a_message_of_ten_megabytes_is_cut() -> None:
    fields = written("x" * 10_000_000)
    assert fields["message"].endswith("… (9983616 characters cut)")
    assert fields["truncated"] is True


def test_a_repr_of_five_megabytes_is_cut() -> None:
    class Huge:
        def __repr__(self) -> str:
            return "x" * 5_000_000

    fields = written("%r", Huge(), value=Huge(), after=1)
    assert fields["truncated"] is True
    assert fields["after"] == 1


def test_a_million_items_are_cut() -> None:
    fields = written(value=list(range(1_000_000)), keys=dict.fromkeys(range(100_000)))
    assert fields["value"][-1] == "… (999800 items cut)"
    assert fields["keys"]["…"] == "(99800 keys cut)"


def test_wide_and_deep_values_are_bounded_together() -> None:
    value: Any = "x" * 100
    for _ in range(8):
        value = [value] * 100
    assert written(value=value, after=1)["after"] == 1


def test_ten_thousand_extras_are_cut() -> None:
    fields = written(**{f"name_{n}": n for n in range(10_000)})
    assert len(fields) < 250
    assert fields["truncated"] is True


@pytest.mark.parametrize("text", ["x", "\x01", "é", "\u2028", "😀", "\ud800", '"'])
def test_the_whole_line_is_bounded_whatever_its_characters_take(text: str) -> None:
    extras = {f"name_{n}": text * 20_000 for n in range(30)}
    made = record(text * 20_000, extra=extras, exc_info=raised(ValueError(text * 20_000)))
    made.name = made.module = made.funcName = text * 20_000
    for formatter in (FORMATTER, JSONFormatter(limits=Limits(size=2048))):
        fields_of(made, formatter)


def test_a_line_that_is_too_long_in_every_form_is_reduced_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    formatter = JSONFormatter()
    monkeypatch.setattr(formatter._assembly, "fields", lambda *_: {"x": "x" * 10**6})
    before = losses.counts().get(("logs", "reduced"), 0)
    line = orjson.loads(formatter.line(formatter.snapshot(record([1], extra={"level": 1}))))
    assert line["message"] == "... could not be written: ValueError"
    assert line.keys() == {"timestamp", "level", "logger", "message"}
    assert losses.counts()[("logs", "reduced")] == before + 1


def test_generators_and_coroutines_are_not_touched() -> None:
    async def coroutine() -> None: ...

    waiting, numbers = coroutine(), (n for n in range(3))
    fields = written("%s", numbers, waiting=waiting, numbers=numbers, iterator=iter([1]))
    waiting.close()
    assert list(numbers) == [0, 1, 2]
    assert "coroutine object" in fields["waiting"]
    assert "generator object" in fields["numbers"]


def test_a_property_of_a_dataclass_that_raises_is_contained() -> None:
    @dataclass
    class Odd:
        value: int

        def __getattribute__(self, name: str) -> Any:
            if name == "value":
                raise KeyboardInterrupt
            return super().__getattribute__(name)

    assert value_of(Odd(1)) == {"value": "<attribute that cannot be read: KeyboardInterrupt>"}


def test_containers_that_other_threads_change_are_written() -> None:
    shared: dict[Any, Any] = {n: n for n in range(100)}
    numbers = set(range(100))
    stop = threading.Event()

    def change() -> None:
        number = 100
        while not stop.is_set():
            number += 1
            shared[number] = number
            shared.pop(number - 50, None)
            numbers.add(number)
            numbers.discard(number - 50)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(200):
            written(value={"shared": shared, "numbers": numbers})
    finally:
        stop.set()
        thread.join()


# messages


@pytest.mark.parametrize(
    ("message", "args", "expected"),
    [
        ("%d items", ("x",), "%d items (with arguments that do not fit: 'x')"),
        ("%s", (1, 2), "%s (with arguments that do not fit: 1, 2)"),
        ("no place", (1,), "no place (with arguments that do not fit: 1)"),
        ("100%", (1,), "100% (with arguments that do not fit: 1)"),
        ("%(a)s", ({"b": 1},), "%(a)s (with arguments that do not fit: {'b': 1})"),
        ("%(a)s is", ({"a": 1},), "1 is"),
        ("%s %s", ([1], {"a": 2}), "[1] {'a': 2}"),
        ("%s", (None,), "None"),
        ("100%", (), "100%"),
        (17, (), "17"),
        (None, (), "None"),
        ({"a": 1}, (), "{'a': 1}"),
        (ValueError("no"), (), "no"),
        (ValueError("%s"), (3,), "3"),
        (b"raw", (), "b'raw'"),
        ("%.2f", (1,), "1.00"),
        ("%*d", (5, 3), "    3"),
        (LyingText("truth %s"), (1,), "truth 1"),
        ("lone \ud800", (), "lone \\ud800"),
        ("%s", ("lone \ud800",), "lone \\ud800"),
    ],
    ids=kind_of,
)
def test_a_message_is(message: object, args: tuple[Any, ...], expected: str) -> None:
    assert written(message, *args)["message"] == expected


def test_a_record_that_formats_its_own_message_is_asked() -> None:
    class Braces(logging.LogRecord):
        def getMessage(self) -> str:
            return str(self.msg).format(*(self.args or ()))

    made = Braces("a", 20, "f.py", 1, "{} of {}", (1, 2), None)
    assert fields_of(made)["message"] == "1 of 2"


# from deep within


def test_a_record_near_the_recursion_limit_is_written() -> None:
    formatter = JSONFormatter()
    made = record(extra={"value": {"a": [1]}})
    depths: list[bytes] = []

    def down() -> None:
        try:
            down()
        except RecursionError:
            depths.append(formatter.line(formatter.snapshot(made)))
            raise

    with pytest.raises(RecursionError):
        down()
    for line in depths:
        assert orjson.loads(line)["logger"] == "shop.orders"


# signals


class Slow:
    def __str__(self) -> str:
        signal.raise_signal(signal.SIGINT)
        return "slow"


@pytest.mark.parametrize("own", [False, True])
def test_ctrl_c_while_a_record_is_taken_reaches_the_program(own: bool) -> None:
    def handler(*args: object) -> None:
        raise KeyboardInterrupt

    made = record(extra={"value": Slow()})
    before = signal.signal(signal.SIGINT, handler if own else signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            FORMATTER.snapshot(made)
    finally:
        signal.signal(signal.SIGINT, before)


def raise_timeout(*args: object) -> None:
    raise TimeoutError


class Alarm:
    def __call__(self, *args: object) -> None:
        raise TimeoutError

    ring = __call__


@pytest.mark.parametrize(
    "handler", [raise_timeout, functools.partial(raise_timeout, 1), Alarm(), Alarm().ring]
)
def test_an_alarm_while_a_record_is_taken_reaches_the_program(handler: Any) -> None:
    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(TimeoutError):
            FORMATTER.snapshot(record("%s", Slow()))
    finally:
        signal.signal(signal.SIGINT, before)


# set-up


def configured(**formatter: Any) -> logging.Formatter:
    logging.config.dictConfig(
        {
            "version": 1,
            "incremental": False,
            "disable_existing_loggers": False,
            "formatters": {"json": formatter},
            "handlers": {"kept": {"class": "logging.NullHandler", "formatter": "json"}},
            "loggers": {"test_formatter": {"handlers": ["kept"], "propagate": False}},
        }
    )
    made = logging.getLogger("test_formatter").handlers[0].formatter
    assert isinstance(made, logging.Formatter)
    return made


NAME = "geomon.logs.formatter.JSONFormatter"


@pytest.mark.parametrize("key", ["()", "class"])
def test_dict_config_makes_one(key: str) -> None:
    made = configured(**{key: NAME})
    assert json.loads(made.format(record()))["message"] == "hello"


def test_dict_config_passes_plain_arguments() -> None:
    made = configured(
        **{
            "()": NAME,
            "static": {"service": "shop"},
            "limits": {"text": 100},
            "redactor": {"keys": ["pet"]},
            "process": True,
        }
    )
    fields = json.loads(made.format(record("x" * 200, extra={"pet": "cat"})))
    assert (fields["service"], fields["pet"]) == ("shop", "[redacted]")
    assert "100 characters cut" in fields["message"]
    assert "process" in fields


@pytest.mark.parametrize(
    "options",
    [
        {"fmt": "%(message)s"},
        {"datefmt": "%Y"},
        {"defaults": {"a": 1}},
        {"limits": 3},
        {"redactor": "x"},
        {"static": [1]},
        {"static": {1: 2}},
        {"static": {"level": "x"}},
        {"limits": {"size": 10}},
    ],
)
def test_what_it_does_not_take_is_refused_with_a_reason(options: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=f"(?i){next(iter(options))}"):
        JSONFormatter(**options)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"size": 100}, ValueError),
        ({"depth": 0}, ValueError),
        ({"depth": 101}, ValueError),
        ({"text": 1}, ValueError),
        ({"items": True}, TypeError),
        ({"frames": "3"}, TypeError),
    ],
)
def test_limits_are_checked(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(options))):
        Limits(**options)


def test_a_handler_of_the_standard_library_writes_its_lines(tmp_path: Any) -> None:
    handler = logging.FileHandler(tmp_path / "app.json", encoding="utf-8")
    handler.setFormatter(JSONFormatter())
    handler.handle(record("one\ntwo"))
    handler.handle(record("é"))
    handler.close()
    lines = (tmp_path / "app.json").read_bytes().splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["one\ntwo", "é"]


# any value at all

plain = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
odd = st.one_of(
    plain,
    st.integers(),
    st.text(st.characters()),
    st.binary(),
    st.decimals(),
    st.datetimes(),
    st.uuids(),
    st.complex_numbers(),
    st.builds(object),
    st.builds(Hostile, st.sampled_from([ValueError, KeyboardInterrupt])),
    st.builds(LyingText, st.text()),
)
keys = st.text(st.characters()) | st.integers() | st.none() | st.binary() | st.booleans()
values = st.recursive(
    odd,
    lambda inner: st.one_of(
        st.lists(inner),
        st.tuples(inner, inner),
        st.dictionaries(keys, inner),
        st.dictionaries(keys, inner).map(BrokenDict),
        st.frozensets(plain),
    ),
    max_leaves=30,
)


# logging itself asks a single argument for its class
arguments = st.just([]) | st.lists(values, min_size=2, max_size=3)


@given(values, values, st.text(st.characters()) | st.just("%s %r"), arguments)
def test_whatever_is_logged_gives_one_valid_line(
    value: object, bound: object, message: str, args: list[Any]
) -> None:
    with geomon.bind(bound=bound):
        fields_of(record(message, *args, extra={"value": value}), FORMATTER)
        fields_of(record(value, extra={"value": value}), JSONFormatter(limits=Limits(size=2048)))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=50),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from("abcdé"), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(json_values, st.text(max_size=50))
def test_plain_values_come_back_as_they_were(value: object, text: str) -> None:
    quiet = JSONFormatter(limits=Limits(depth=100))
    fields = fields_of(record("%s", text, extra={"value": value, "text": text}), quiet)
    assert fields["value"] == value
    assert fields["text"] == fields["message"] == text
