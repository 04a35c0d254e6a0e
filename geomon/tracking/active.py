"""The open call: what it is told, and how it ends."""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from geomon import clock, context, dispatch, errors, losses, streams, usage
from geomon.call import Attempt, Call, Code, Kind, Outcome
from geomon.tracking.chain import ENDED, ENDING, OPEN, first_open
from geomon.tracking.dropped import dropped, is_bad_moment
from geomon.tracking.heard import Heard
from geomon.tracking.meter import Meter
from geomon.tracking.notes import Notes
from geomon.tracking.record import is_server_error, record_of

_current = context.current_call
_bound = context.bound
_new = object.__new__

R = TypeVar("R")


@dataclass(slots=True)  # not frozen: that would cost a with-block a microsecond
class Spec:
    """What the program said about a call before it began. Nobody changes it."""

    kind: Kind
    type: str | None = None
    model: str | None = None
    provider: str | None = None
    method: str | None = None
    endpoint: str | None = None
    host: str | None = None
    merge: bool = True
    client: bool = False
    """Whether it is an instrumented client's call, which merges into an enclosing one."""
    code: Code | None = None
    answered: bool = False
    """Whether the status is the one that was sent, whatever exception came out."""


class ActiveCall:
    """An open call; private to one entry of a decorator or with-block.

    Set `status`, `model`, `provider`, or anything else through `set`. Whatever is given at run
    time, nothing here raises.
    """

    __slots__ = (
        "_merges_into",
        "_notes",
        "_parent",
        "_pipeline",
        "_spec",
        "_started",
        "_state",
        "_thread",
        "code",
        "context",
        "kind",
        "model",
        "model_at_start",
        "provider",
        "started_at",
        "status",
        "type",
    )

    kind: Kind
    """`ai`, `request` or `client_request`."""
    type: str | None
    """What an AI call is for."""
    model: str | None
    """The requested model."""
    model_at_start: str | None
    """The model known when the call began."""
    provider: str | None
    """The provider's id."""
    status: int | None
    """HTTP status code of a request; where it stays None, 200 if it is served by the program."""
    code: Code | None
    """The decorated function or the with-block."""
    context: Mapping[str, Any]
    """What was bound when the call began."""
    started_at: float
    """Wall-clock start, seconds since the epoch."""

    _merges_into: ActiveCall | None
    _notes: Notes | None
    _parent: Link | None
    _pipeline: dispatch.Pipeline
    _spec: Spec
    _started: float
    _state: int
    _thread: int

    @property
    def method(self) -> str | None:
        """HTTP method of a request."""
        return self._spec.method

    @property
    def endpoint(self) -> str | None:
        """Route template of a request."""
        return self._spec.endpoint

    @property
    def host(self) -> str | None:
        """Host of a request that is sent."""
        return self._spec.host

    def _note(self) -> Notes:
        notes = self._notes
        if notes is None:
            notes = self._notes = Notes()
        return notes

    def record(self, response: R) -> R:
        """Reads model, tokens and finish reasons from a client's response, and gives it back.

        Unknown objects are ignored. A response that a tracked call inside this one has read
        already is not counted again. Of a stream it gives a stand-in that reads the items as they
        pass: `for chunk in call.record(stream)`; the items may be recorded one by one instead.
        """
        try:
            if streams.is_stream(response):
                return cast(R, self._listen(response))
            if usage.is_stream_item(response):
                notes = self._note()
                self._hear(notes, notes.stream_of(response), response, clock.monotonic())
            else:
                self._read(response)
        except Exception as error:
            losses.failed("usage", "failed", error)
        return response

    def first_token(self) -> None:
        """Marks the first token, where the program reads a stream that geomon cannot see."""
        notes = self._note()
        if notes.first_at is None:
            notes.first_at = clock.monotonic()

    def attempt(self, outcome: Outcome, model: str | None = None) -> None:
        """Notes one try of a client that retries by itself."""
        self._note().attempts.append(Attempt(model or self.model or "unknown", outcome))

    def in_trace(self, trace_id: str, span_id: str) -> None:
        """Says which W3C trace and span the call belongs to, in hex digits."""
        notes = self._note()
        notes.trace_id, notes.span_id = trace_id, span_id

    def set(
        self,
        *,
        model: str | None = None,
        provider: str | None = None,
        status: int | None = None,
        **attributes: Any,
    ) -> None:
        """Says more about the call; names that geomon does not know become attributes."""
        if model is not None:
            self.model = model
        if provider is not None:
            self.provider = provider
        if status is not None:
            self.status = status
        if attributes:
            self._note().attributes.update(attributes)

    def __repr__(self) -> str:
        name = self.type if self.kind == "ai" else f"{self.method} {self.endpoint or self.host}"
        return f"<{'open' if self._state == OPEN else 'ended'} {self.kind} call {name}>"

    # --- reading

    def _read(self, response: Any) -> None:
        reading = usage.read(response)
        if reading is not None:
            self._take(reading)

    def _listen(self, stream: Any) -> Any:
        if streams.is_tracked(stream):
            return stream
        course = streams.Course(Heard(self))
        if streams.follow_within(stream, course):
            return stream
        return streams.follow(stream, course)

    def _take(self, reading: usage.Reading) -> None:
        notes = self._note()
        notes.answer(
            reading.model, reading.provider, reading.finish_reasons, reading.rate_limit_remaining
        )
        if reading.usage is None:
            return
        if notes.has_seen(reading.source):
            notes.metered = True
        else:
            self._mark_seen(reading.source)
            notes.used.append(reading.usage)

    def _mark_seen(self, source: Any) -> None:
        """Tells the enclosing AI calls, so that one response is counted once."""
        call: Link | None = self
        while call is not None:
            if isinstance(call, ActiveCall) and call.kind == "ai" and call._state == OPEN:
                call._note().see(source)
            call = call._parent

    # --- what a stream tells (geomon.streams.Streamed)

    def stream_item(self, item: Any, at: float) -> None:
        """An item came out of the call's stream at `at` seconds, monotonic."""
        notes = self._note()
        self._hear(notes, None if notes.unread else notes.stream or notes.own_stream(), item, at)

    def stream_response(self, response: Any) -> None:
        """A response came along with the call's stream, or in its place."""
        try:
            if self.kind == "ai":
                self._read(response)
        except Exception as error:
            losses.failed("usage", "failed", error)

    def _hear(self, notes: Notes, reader: usage.StreamReader | None, item: Any, at: float) -> None:
        """Reads an item; without a reader it was read elsewhere."""
        notes.last_at = at
        try:
            content = self._feed(notes, reader, item)
        except Exception as error:
            losses.failed("usage", "failed", error)
            content = True
        if content and notes.first_at is None:
            notes.first_at = at

    def _feed(self, notes: Notes, reader: usage.StreamReader | None, item: Any) -> bool:
        if reader is None or notes.has_seen(item):
            notes.metered = True
            return notes.first_at is not None or usage.StreamReader().feed(item)
        told = len(reader.sources)
        content = reader.feed(item)
        if len(reader.sources) > told:
            for source in (item, *reader.sources[told:]):
                self._mark_seen(source)
        return content

    def stream_is_read_elsewhere(self) -> None:
        """The call's stream belongs to another call, which reads it."""
        self._note().unread = True

    def stream_end(self, error: BaseException | None, at: float) -> None:
        """The call's stream is over."""
        if isinstance(error, streams.Closed):
            end(self, "cancelled", None, at, "cancelled")
        else:
            finish(self, error, at)

    def stream_dropped(self, at: float) -> None:
        """Nobody holds the call's stream any more."""
        dropped.append((self, at))
        if not is_bad_moment():
            drain()

    # --- merging

    def _absorb(self, inner: ActiveCall, call: Call) -> None:
        """Takes in a client's call that was made inside this one."""
        notes = self._note()
        notes.absorbed.extend(call.usage)
        notes.attempts.extend(call.attempts or [Attempt(call.model or "unknown", call.outcome)])
        if notes.first_at is None and inner._notes is not None:
            notes.first_at = inner._notes.first_at
        notes.answer(
            call.response_model or call.model,
            call.provider,
            call.finish_reasons,
            call.rate_limit_remaining,
        )


Link = ActiveCall | Meter | Heard
"""What stands in the chain of the current call."""


def open_call(spec: Spec, parent: Link | None, pipeline: dispatch.Pipeline) -> ActiveCall:
    """A new open call. An `__init__` would cost every call a tenth more."""
    call = _new(ActiveCall)
    call._spec = spec
    call._parent = parent
    call._pipeline = pipeline
    call._notes = None
    call._state = OPEN
    call._thread = 0
    call._merges_into = None
    call.kind = spec.kind
    call.type = spec.type
    call.model = call.model_at_start = spec.model
    call.provider = spec.provider
    call.status = None
    call.code = spec.code
    call.context = _bound.get()
    call.started_at = clock.wall()
    call._started = clock.monotonic()
    return call


def finish(active: ActiveCall, error: BaseException | None, at: float) -> None:
    """Ends the call by what came out of it."""
    if error is not None:
        error_type = errors.classify(error)
        end(active, "cancelled" if error_type == "cancelled" else "error", error, at, error_type)
    elif active.status is not None and active.kind != "ai" and is_server_error(active):
        end(active, "error", None, at, "server_error")
    else:
        end(active, "ok", None, at)


def end(
    active: ActiveCall,
    outcome: Outcome,
    error: BaseException | None,
    at: float,
    error_type: str | None = None,
) -> None:
    """Builds the record and hands it to every sink. Raises nothing into the program."""
    try:
        call = record_of(active, outcome, error, at, error_type)
        if active._parent is not None:
            active._parent = first_open(active._parent)  # ended ones are not kept alive
        if active._merges_into is not None and _merged(active, call):
            return
        active._thread = get_ident()
        active._state = ENDING
        for sink in active._pipeline.sinks:
            try:
                sink(call)
            except BaseException as failure:
                dispatch.contain("failed", sink, failure)
        if active._parent is not None:
            _tell_enclosing(active._parent, call)
    except Exception as failure:
        losses.failed("tracking", "failed", failure)
    finally:
        active._state = ENDED
        active._notes = None  # a task that outlives the call keeps it alive


def _merged(active: ActiveCall, call: Call) -> bool:
    """Whether the call became a part of the one that encloses it, which is still open."""
    target = active._merges_into
    if target is not None and target._state == OPEN:
        active._state = ENDED
        target._absorb(active, call)
        _tell_enclosing(active._parent, call, target)
        return True
    dispatch.started(active._pipeline, active)
    return False


def _tell_enclosing(outer: Link | None, call: Call, until: ActiveCall | None = None) -> None:
    while outer is not until and outer is not None:
        if outer._state == OPEN:
            if isinstance(outer, Meter):
                if call.kind != "client_request":  # the AI call it belongs to is counted
                    outer._add(call)
            elif isinstance(outer, ActiveCall) and call.kind == "ai":
                outer._note().metered = True
        outer = outer._parent


def drain() -> None:
    """Ends the calls of streams that were dropped at a bad moment."""
    while dropped:
        try:
            active, at = dropped.popleft()
        except IndexError:  # another thread was faster
            return
        token = _current.set(active)  # so that what a sink calls is seen to be a sink's
        try:
            end(active, "abandoned", None, at)
        finally:
            _current.reset(token)


dispatch.before_reading(drain)
