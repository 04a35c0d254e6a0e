"""The open call: what it is told, and how it ends."""

from __future__ import annotations

import sys
import types
from _thread import get_ident
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple

from geomon import clock, context, dispatch, errors, losses, streams, usage
from geomon.call import EMPTY, Attempt, Call, Code, Kind, Outcome, Usage
from geomon.tracking.record import record_of

OPEN, ENDING, ENDED = 0, 1, 2
_SEEN_LIMIT = 32
_current = context.current_call
_bound = context.bound


class Spec(NamedTuple):
    """What the program said about a call before it began."""

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


class ActiveCall:
    """An open call; private to one entry of a decorator or with-block.

    Set `status`, `model`, `provider`, or anything else through `set`. Whatever is given at run
    time, nothing here raises.
    """

    # what differs from these is set on the instance: a call that needs little costs little
    status: int | None = None
    """HTTP status code of a request; 200 where it stays None."""
    model: str | None = None
    """The requested model."""
    provider: str | None = None
    """The provider's id."""
    trace_id: str | None = None
    span_id: str | None = None
    attributes: Mapping[str, Any] = EMPTY
    code: Code | None = None

    _state = OPEN
    _parent: ActiveCall | Meter | None = None
    _thread: int = 0
    _announced = True
    _merges_into: ActiveCall | None = None
    _answered: str | None = None
    _finish_reasons: tuple[str, ...] = ()
    _rate_limit_remaining: Mapping[str, float] = EMPTY
    _used: list[Usage] | None = None
    _absorbed: list[Usage] | None = None
    _attempts: list[Attempt] | None = None
    _seen: deque[Any] | None = None
    _stream: usage.StreamReader | None = None
    _first_at: float | None = None
    _last_at: float | None = None
    _metered = False
    _unread = False

    def __init__(self, tracker: Spec, parent: ActiveCall | Meter | None) -> None:
        self._tracker = tracker
        self._parent = parent
        self.model = tracker.model
        self._pipeline = dispatch.current()
        self.context = _bound.get()
        self.started_at = clock.wall()
        self._started = clock.monotonic()

    @property
    def kind(self) -> Kind:
        """`ai`, `request` or `client_request`."""
        return self._tracker.kind

    @property
    def type(self) -> str | None:
        """What an AI call is for."""
        return self._tracker.type

    @property
    def method(self) -> str | None:
        """HTTP method of a request."""
        return self._tracker.method

    @property
    def endpoint(self) -> str | None:
        """Route template of a request."""
        return self._tracker.endpoint

    @property
    def host(self) -> str | None:
        """Host of a request that is sent."""
        return self._tracker.host

    @property
    def model_at_start(self) -> str | None:
        """The model known when the call began."""
        return self._tracker.model

    def record(self, response: Any) -> None:
        """Reads model, tokens and finish reasons from a client's response.

        Unknown objects are ignored. A response that a tracked call inside this one has read
        already is not counted again.
        """
        try:
            reading = usage.read(response)
            if reading is not None:
                self._take(reading)
        except Exception as error:
            losses.failed("usage", "failed", error)

    def first_token(self) -> None:
        """Marks the first token, where the program reads a stream that geomon cannot see."""
        if self._first_at is None:
            self._first_at = clock.monotonic()

    def attempt(self, outcome: Outcome, model: str | None = None) -> None:
        """Notes one try of a client that retries by itself."""
        attempts = self._attempts = self._attempts if self._attempts is not None else []
        attempts.append(Attempt(model or self.model or "unknown", outcome))

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
            self.attributes = {**self.attributes, **attributes}

    def __repr__(self) -> str:
        name = self.type if self.kind == "ai" else f"{self.method} {self.endpoint or self.host}"
        return f"<{'open' if self._state == OPEN else 'ended'} {self.kind} call {name}>"

    # --- reading

    def _take(self, reading: usage.Reading) -> None:
        self._answer(reading.model, reading.provider, reading.finish_reasons)
        if reading.rate_limit_remaining:
            self._rate_limit_remaining = reading.rate_limit_remaining
        if reading.usage is None:
            return
        if self._has_seen(reading.source):
            self._metered = True
            return
        self._mark_seen(reading.source)
        self._use(reading.usage)

    def _answer(
        self, model: str | None, provider: str | None, finish_reasons: tuple[str, ...]
    ) -> None:
        self._answered = model or self._answered
        self.provider = self.provider or provider
        self._finish_reasons = finish_reasons or self._finish_reasons

    def _use(self, used: Usage) -> None:
        if self._used is None:
            self._used = []
        self._used.append(used)

    def _has_seen(self, source: Any) -> bool:
        return self._seen is not None and any(source is known for known in self._seen)

    def _mark_seen(self, source: Any) -> None:
        """Tells the enclosing AI calls, so that one response is counted once."""
        call: ActiveCall | Meter | None = self
        while call is not None:
            if isinstance(call, ActiveCall) and call.kind == "ai" and call._state == OPEN:
                if call._seen is None:
                    call._seen = deque(maxlen=_SEEN_LIMIT)
                call._seen.append(source)
            call = call._parent

    # --- what a stream tells (geomon.streams.Streamed)

    def stream_item(self, item: Any, at: float) -> None:
        """An item came out of the call's stream at `at` seconds, monotonic."""
        self._last_at = at
        try:
            content = self._feed(item)
        except Exception as error:
            losses.failed("usage", "failed", error)
            content = True
        if content and self._first_at is None:
            self._first_at = at

    def _feed(self, item: Any) -> bool:
        if self._unread:
            self._metered = True
            return True
        reader = self._stream
        if reader is None:
            reader = self._stream = usage.StreamReader()
        if self._has_seen(item):
            self._metered = True
            return True
        told = len(reader.sources)
        content = reader.feed(item)
        for source in reader.sources[told:]:
            self._mark_seen(source)
        return content

    def stream_end(self, error: BaseException | None, at: float) -> None:
        """The call's stream is over."""
        if isinstance(error, streams.Closed):
            end(self, "cancelled", None, at, "cancelled")
        else:
            finish(self, error, at)

    def stream_dropped(self, at: float) -> None:
        """Nobody holds the call's stream any more."""
        if _interrupts_a_sink():
            _dropped.append((self, at))
        else:
            end(self, "abandoned", None, at)

    # --- merging

    def _absorb(self, inner: ActiveCall, call: Call) -> None:
        """Takes in a client's call that was made inside this one."""
        absorbed = self._absorbed = self._absorbed if self._absorbed is not None else []
        absorbed.extend(call.usage)
        attempts = self._attempts = self._attempts if self._attempts is not None else []
        attempts.extend(call.attempts or [Attempt(call.model or "unknown", call.outcome)])
        if self._first_at is None:
            self._first_at = inner._first_at
        self._answer(call.response_model or call.model, call.provider, call.finish_reasons)
        if call.rate_limit_remaining:
            self._rate_limit_remaining = call.rate_limit_remaining


class Meter:
    """Adds up the calls that end while its block is open, tasks and carried threads included."""

    def __init__(self) -> None:
        self.calls = 0
        """Finished calls."""
        self.tokens = 0
        """Input and output tokens; unknown ones count as 0."""
        self.cost = 0.0
        """US dollars; unknown prices count as 0."""
        self._parent: ActiveCall | Meter | None = None
        self._state = ENDED

    def __enter__(self) -> Meter:
        self._parent, self._state = enclosing(), OPEN
        _current.set(self)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._state = ENDED
        leave(self)

    async def __aenter__(self) -> Meter:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(exc_type, exc, traceback)

    def _add(self, call: Call) -> None:
        self.calls += 1
        self.tokens += call.tokens or 0
        self.cost += call.cost or 0.0


def enclosing() -> ActiveCall | Meter | None:
    here = _current.get()
    return here if here is None or here._state == OPEN else first_open(here._parent)


def first_open(here: ActiveCall | Meter | None) -> ActiveCall | Meter | None:
    while here is not None and here._state != OPEN:
        here = here._parent
    return here


def leave(entry: ActiveCall | Meter) -> None:
    """Makes what encloses the entry current again; not if another one is current by now.

    Two generators that hold their with-blocks open at once leave them in any order.
    """
    if _current.get() is entry:
        _current.set(first_open(entry._parent))


def finish(active: ActiveCall, error: BaseException | None, at: float) -> None:
    """Ends the call by what came out of it."""
    if error is None:
        status = active.status
        if status is not None and active.kind != "ai" and _is_server_error(status):
            end(active, "error", None, at, "server_error")
        else:
            end(active, "ok", None, at)
        return
    error_type = errors.classify(error)
    outcome: Outcome = "cancelled" if error_type == "cancelled" else "error"
    end(active, outcome, error, at, error_type)


def _is_server_error(status: Any) -> bool:
    return isinstance(status, int) and 500 <= status <= 599


def end(
    active: ActiveCall,
    outcome: Outcome,
    error: BaseException | None,
    at: float,
    error_type: str | None = None,
) -> None:
    """Builds the record and hands it on. Raises nothing into the program."""
    try:
        call = record_of(active, outcome, error, at, error_type)
        target = active._merges_into
        if target is not None and target._state == OPEN:
            active._state = ENDED
            target._absorb(active, call)
            return
        if not active._announced:
            dispatch.started(active._pipeline, active)
        active._thread = get_ident()
        active._state = ENDING
        dispatch.emit(active._pipeline, call)
        if active._parent is not None:
            _tell_enclosing(active._parent, call)
        if _dropped:
            drain()
    except Exception as failure:
        losses.failed("tracking", "failed", failure)
    finally:
        active._state = ENDED


def _tell_enclosing(outer: ActiveCall | Meter | None, call: Call) -> None:
    while outer is not None:
        if outer._state == OPEN:
            if isinstance(outer, Meter):
                outer._add(call)
            elif call.kind == "ai":
                outer._metered = True
        outer = outer._parent


# streams that were dropped while a sink was at work
_dropped: deque[tuple[ActiveCall, float]] = deque()
_HOLDERS_OF_LOCKS = (
    "prometheus_client",
    "logging",
    "geomon.dispatch",
    "geomon.sinks",
    "geomon.losses",
)


def _interrupts_a_sink() -> bool:
    """Whether the garbage collector came in the middle of code that may hold a sink's lock.

    prometheus-client's locks are not reentrant: counting from there would wait for itself.
    """
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__") or ""
        if name.startswith(_HOLDERS_OF_LOCKS):
            return True
        frame = frame.f_back
    return False


def drain() -> None:
    """Ends the calls of streams that were dropped at a bad moment; every call's end does so too."""
    while _dropped:
        try:
            active, at = _dropped.popleft()
        except IndexError:  # another thread was faster
            return
        end(active, "abandoned", None, at)
