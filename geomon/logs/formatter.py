"""Log records as JSON lines that are always valid, bounded, and free of secrets."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar

import orjson
from pythonjsonlogger.orjson import OrjsonFormatter

from geomon import losses
from geomon.logs import carrying
from geomon.logs.assembly import Assembly, same, time_of
from geomon.logs.cleaning import Cleaner
from geomon.logs.escaping import escaped, valid
from geomon.logs.heads import Heads
from geomon.logs.interrupts import from_signal
from geomon.logs.limits import Limits
from geomon.logs.messages import has_phrases
from geomon.logs.naming import RESERVED, TRACE, Plan, plan
from geomon.logs.places import Places
from geomon.logs.redaction import DEFAULT, Redactor
from geomon.logs.showing import NUMBERS, class_name
from geomon.logs.snapshot import FIRST_EXTRA, STANDARD, Snapshot, Taker
from geomon.logs.timestamps import timestamp
from geomon.logs.trace_ids import from_traceparent

_PLANS = 1_024
_LONGEST_PLAN = 4_000  # characters of the names that are kept as one plan
_T = TypeVar("_T")
_SHARES = (1, 4, 16, 64)
_LONGEST_NAME = 200
_NULL, _DEL = b":null", b"\x7f"
_dumps = orjson.dumps
_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_SUBCLASS


class JSONFormatter(OrjsonFormatter):
    """Writes a record as one JSON line: always valid, of bounded size, without secrets.

    Works in any set-up of `logging`, `logging.config.dictConfig` included, on any handler; but the
    standard library's handlers show a record that they cannot write on stderr, in clear. Extras
    whose names begin with an underscore are private, and not written. From the first formatter on,
    every record of the program carries what is bound where it is made.

    Args:
        fmt: Only None: the fields are fixed.
        datefmt: Only None: timestamps are RFC 3339 in UTC.
        style: Of no effect; `logging.config` passes it.
        validate: Of no effect; `logging.config` passes it.
        redactor: What replaces secrets; or its arguments as a mapping.
        limits: How large a record may become; or its arguments as a mapping.
        process: Whether `process` and `process_name` are written.
        thread: Whether `thread`, `thread_name` and the asyncio `task` are written.
        static: Fields that every record has, such as `{"service": "shop"}`.
        defaults: Only None.

    Raises:
        TypeError, ValueError: an argument is not what stands here.
    """

    snapshot: Callable[[logging.LogRecord], Snapshot]
    """Takes what a record says, so that it can be written later; the record stays as it is."""

    def __init__(
        self,
        fmt: None = None,
        datefmt: None = None,
        style: str = "%",
        validate: bool = True,
        *,
        redactor: Redactor | Mapping[str, Any] = DEFAULT,
        limits: Limits | Mapping[str, int] = Limits(),  # noqa: B008 - frozen
        process: bool = False,
        thread: bool = False,
        static: Mapping[str, Any] | None = None,
        defaults: None = None,
    ) -> None:
        _refuse(fmt=fmt, datefmt=datefmt, defaults=defaults)
        self._redactor = _made(Redactor, redactor)
        self._limits = _made(Limits, limits)
        self._static = self._checked_static(static or {})
        super().__init__(static_fields=self._static)
        self._places = Places(self._redactor, self._limits, process, thread)
        self._heads = Heads(self._redactor, self._static)
        self._assembly = Assembly(self._redactor, self._limits, self._static, self._places.get)
        self._plans: dict[tuple[Any, ...], Plan | None] = {}
        self._whole = min(self._limits.size, self._limits.text)  # nothing is cut in such a line
        self._suspects = self._redactor.suspects
        self._alone = self._redactor.has_own_patterns  # they may look at where a text begins
        self._place = process or thread
        self.snapshot = Taker(self._redactor, self._limits, thread).snapshot
        carrying.begin(self)

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, without a newline."""
        return self.line(self.snapshot(record))[:-1].decode()

    def redact(self, text: str) -> str:
        """The text without secrets."""
        return self._redactor.text(text)

    def fields(self, snapshot: Snapshot) -> dict[str, Any]:
        """What the line holds: plain values in order, redacted, within the limits."""
        fields: dict[str, Any] = orjson.loads(self.line(snapshot))
        return fields

    def line(self, snapshot: Snapshot) -> bytes:
        r"""The record's fields as one line of JSON that ends in `\n`."""
        try:
            line = self._fast(snapshot)
            if line is not None:
                return line
        except BaseException as error:
            if from_signal(error):
                raise
        return self._careful(snapshot)

    def _careful(self, snapshot: Snapshot) -> bytes:
        try:
            return self._fitting(snapshot)
        except BaseException as error:
            if from_signal(error):
                raise
            return escaped(orjson.dumps(_reduced(snapshot, error), option=_OPTIONS))

    def _fitting(self, snapshot: Snapshot) -> bytes:
        """A line that is not too long."""
        for share in _SHARES:
            fields = self._assembly.fields(snapshot, self._limits.size // share)
            line = escaped(orjson.dumps(fields, option=_OPTIONS))
            if len(line) <= self._limits.size:
                return line
        raise ValueError("a record that is too large in every form")

    def _fast(self, snapshot: Snapshot) -> bytes | None:
        """The line of a record in which nothing has to be cut or looked at; else None."""
        values, context, trace, message, exception, _, cut, _ = snapshot
        key = (tuple(islice(values, FIRST_EXTRA, None)), tuple(context))
        names = self._plans.get(key) or self._planned(key)
        head = self._heads.get(values)
        if names is None or head is None or exception is not None or cut:
            return None
        if message is None:
            message = values["msg"]
            if values["args"]:
                message = message % values["args"]
        picked = (message, head[1], *names.bound(context), *names.extras(values))
        if names.trace is not None:
            picked += names.trace(context)
        texts = [value for value in picked if type(value) is str]
        text = "\n".join(texts)
        if len(text) > self._whole:
            return None
        if self._suspects(text) or (self._alone and any(map(self._suspects, texts))):
            if values["args"] and has_phrases(values["args"]):
                return None
            picked = tuple(map(self._redacted, picked))
        stamp = timestamp(values["created"])
        fields = dict(zip(names.names, (stamp, head[0], *picked)))  # noqa: B905 - as many
        if names.special and not self._specially(fields, names, snapshot):
            return None
        if trace is not None and not names.traced:
            fields.update(zip(TRACE, trace, strict=True))
        if self._place:
            fields.update(self._places.get(snapshot))
        line = _dumps(fields, None, _OPTIONS)
        if line.find(_NULL) >= 0 and _has_odd_float(picked):
            return None
        if not line.isascii() or line.find(_DEL) >= 0:
            line = escaped(line)
        return line if len(line) <= self._whole else None

    def _planned(self, key: tuple[Any, ...]) -> Plan | None:
        keys, context = key
        if not keys or keys[0] != STANDARD[-1] or len(keys) + len(context) > self._limits.items:
            return None
        made = plan(keys, context, self._is_odd_name, self._redactor.is_secret_key)
        if made is not None and sum(map(len, made.names)) <= _LONGEST_PLAN:
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            self._plans[key] = made
        return made

    def _is_odd_name(self, name: object) -> bool:
        """Whether a name is not written as it is."""
        return (
            type(name) is not str
            or name in RESERVED
            or name in self._static
            or len(name) > _LONGEST_NAME
            or valid(name) != name
            or self._redactor.text(name) != name
        )

    def _redacted(self, value: Any) -> Any:
        return self._redactor.text(value) if type(value) is str else value

    def _specially(self, fields: dict[str, Any], names: Plan, snapshot: Snapshot) -> bool:
        """Does what few records need; whether that was enough."""
        for name in names.same:
            if not same(snapshot.context[name], snapshot.values[name]):
                return False
        for name in names.secret:
            if not isinstance(fields[name], NUMBERS):
                fields[name] = self._redactor.replacement
        if names.traceparent and not names.traced and snapshot.trace is None:
            fields.update(zip(TRACE, from_traceparent(snapshot.context) or (), strict=False))
        return True

    def _checked_static(self, static: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(static, Mapping):
            raise TypeError(f'static={static!r}: write a mapping, such as {{"service": "shop"}}')
        cleaner = Cleaner(self._redactor, self._limits, self._limits.size // 4)
        for name in static:
            if not isinstance(name, str):
                raise TypeError(f"static: the name {name!r} is no text")
            if name in RESERVED:
                raise ValueError(f"static: {name!r} is a record's own field: choose another name")
        return {name: cleaner.field(name, value) for name, value in static.items()}


def _has_odd_float(values: tuple[Any, ...]) -> bool:
    """Whether orjson wrote a float as null: it has neither NaN nor Infinity."""
    return any(type(value) is float and not math.isfinite(value) for value in values)


def _reduced(snapshot: Snapshot, error: BaseException) -> dict[str, Any]:
    """What is left of a record that cannot be written: that there was one."""
    with suppress(Exception):
        losses.count("logs", "reduced")
    return {
        "timestamp": time_of(snapshot),
        "level": _short(snapshot.values.get("levelname")),
        "logger": _short(snapshot.logger),
        "message": f"... could not be written: {_short(class_name(type(error)))}",
    }


def _short(text: object) -> str:
    return text[:100].encode("ascii", "backslashreplace").decode() if type(text) is str else "?"


def _made(cls: type[_T], given: _T | Mapping[str, Any]) -> _T:
    if isinstance(given, cls):
        return given
    if isinstance(given, Mapping):
        return cls(**given)
    raise TypeError(f"{given!r}: write a {cls.__name__}, or its arguments as a mapping")


def _refuse(**arguments: object) -> None:
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(
                f"JSONFormatter takes no {name} (it got {value!r}): its fields are fixed, and its "
                "timestamps RFC 3339 in UTC. Leave it out; static={...} adds fixed fields"
            )
