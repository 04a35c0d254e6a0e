"""Builds the finished record from an open call."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from geomon import errors
from geomon.call import EMPTY, Call, Outcome, Usage
from geomon.tracking.notes import Notes
from geomon.usage import StreamReader

if TYPE_CHECKING:
    from geomon.tracking.active import ActiveCall

Number = TypeVar("Number", int, float)

_new: Callable[[type[Call], tuple[Any, ...]], Call] = tuple.__new__
_NOTHING = Notes()


def record_of(
    active: ActiveCall,
    outcome: Outcome,
    error: BaseException | None,
    at: float,
    error_type: str | None,
) -> Call:
    """The record of a call that ends now."""
    spec, bound, model = active._spec, active.context, active.model
    if spec.answered and active._notes is None:
        return _answered_record(active, outcome, error, at, error_type)
    told = active._notes is not None or model is not spec.model or active.status is not None
    if told or error is not None or spec.kind != "ai":
        return _full_record(active, outcome, error, at, error_type)
    # the same for a call that was told nothing; written out, since every such call pays for it
    return _new(
        Call,
        (
            spec.kind,
            spec.type,
            model,
            active.provider,
            None,
            None,
            None,
            None,
            outcome,
            error_type,
            at - active._started,
            None,
            None,
            (),
            (),
            EMPTY,
            bound,
            bound.get("trace_id") if bound else None,
            bound.get("span_id") if bound else None,
            None,
            (),
            EMPTY,
            active.code,
            active.started_at,
            None,
            spec.model,
            False,
            None,
            None,
        ),
    )


def _answered_record(
    active: ActiveCall,
    outcome: Outcome,
    error: BaseException | None,
    at: float,
    error_type: str | None,
) -> Call:
    """The same for a request that was followed from outside: at a third of the full one's cost."""
    spec, bound = active._spec, active.context
    return _new(
        Call,
        (
            spec.kind,
            None,
            None,
            None,
            spec.method,
            spec.endpoint,
            spec.host,
            active.status,
            outcome,
            error_type,
            at - active._started,
            None,
            None,
            (),
            (),
            EMPTY,
            bound,
            bound.get("trace_id"),
            bound.get("span_id"),
            None,
            (),
            EMPTY,
            active.code,
            active.started_at,
            error,
            None,
            False,
            None,
            None,
        ),
    )


def _full_record(
    active: ActiveCall,
    outcome: Outcome,
    error: BaseException | None,
    at: float,
    error_type: str | None,
) -> Call:
    spec, bound = active._spec, active.context
    notes = active._notes if active._notes is not None else _NOTHING
    for reader in notes.readers:
        _read_stream(reader, notes)
    model = _text(active.model if active.model is not None else notes.answered)
    spent = _spent(active, notes, model) if notes.used or notes.absorbed else ()
    return Call(
        kind=spec.kind,
        type=spec.type,
        model=model,
        provider=_text(active.provider or notes.provider),
        method=spec.method,
        endpoint=spec.endpoint,
        host=spec.host,
        status=None if spec.kind == "ai" else _status(active, error),
        outcome=outcome,
        error_type=error_type,
        duration=at - active._started,
        time_to_first_token=None if notes.first_at is None else notes.first_at - active._started,
        time_per_output_token=_per_token(notes, spent),
        usage=spent,
        attempts=tuple(notes.attempts),
        rate_limit_remaining=notes.rate_limit_remaining,
        context=bound,
        trace_id=notes.trace_id or bound.get("trace_id"),
        span_id=notes.span_id or bound.get("span_id"),
        response_model=notes.answered,
        finish_reasons=notes.finish_reasons,
        attributes=MappingProxyType(notes.attributes) if notes.attributes else EMPTY,
        code=active.code,
        started_at=active.started_at,
        error=error,
        model_at_start=spec.model,
        metered=bool(spent) or notes.metered,
        request_size=notes.sizes[0],
        response_size=notes.sizes[1],
    )


def _text(value: Any) -> str | None:
    """A label as the string it should have been."""
    if value is None or type(value) is str:
        return value
    try:
        return str.__str__(value) if isinstance(value, str) else str(value)
    except Exception:  # its own __str__ fails
        return type(value).__name__


def _status(active: ActiveCall, error: BaseException | None) -> int | None:
    own = _whole(active.status)
    if active.kind == "client_request":
        return own  # None: no answer came
    if error is None or active._spec.answered:
        return 200 if active.status is None else own
    told = errors.status_code(error)
    if told is not None:
        return told
    return own if own is not None and own >= 400 else 500


def is_server_error(active: ActiveCall) -> bool:
    """Whether a request ends with a status of 5xx."""
    status = _whole(active.status)
    return status is not None and 500 <= status <= 599


def _whole(status: Any) -> int | None:
    """A status code as the number it should have been."""
    if status is None or type(status) is int:
        return status
    try:
        return int(status)  # "201", http.HTTPStatus.CREATED
    except Exception:
        return None


def _read_stream(reader: StreamReader, notes: Notes) -> None:
    reading = reader.reading()
    if reading is not None:
        notes.answer(
            reading.model, reading.provider, reading.finish_reasons, reading.rate_limit_remaining
        )
        if reading.usage is not None:
            notes.used.append(reading.usage)


def _per_token(notes: Notes, spent: tuple[Usage, ...]) -> float | None:
    """Seconds between the first and the last token, a token; None where it cannot be known."""
    first, last = notes.first_at, notes.last_at
    if first is None or last is None:
        return None
    tokens = sum(used.output for used in spent if used.output is not None)
    return max(0.0, last - first) / (tokens - 1) if tokens > 1 else None


def _spent(active: ActiveCall, notes: Notes, model: str | None) -> tuple[Usage, ...]:
    """One priced entry a model; the first model that answered goes under the requested one."""
    by_model: dict[str, Usage] = {}
    price = active._pipeline.cost
    answered = notes.used[0].model if notes.used else None
    for used in notes.used:
        if active.provider is not None:  # the program knows who is behind a compatible server
            used = used._replace(provider=_text(active.provider))
        cost = price(used, active.started_at, model) if price is not None else None
        label = model if used.model == answered and model is not None else used.model
        _add_usage(by_model, used._replace(model=label, cost=cost))
    for used in notes.absorbed:
        _add_usage(by_model, used)
    return tuple(by_model.values())


def _add_usage(by_model: dict[str, Usage], used: Usage) -> None:
    earlier = by_model.get(used.model)
    by_model[used.model] = used if earlier is None else _sum_of(earlier, used)


def _sum_of(a: Usage, b: Usage) -> Usage:
    return Usage(
        a.model,
        a.provider or b.provider,
        input=_plus(a.input, b.input),
        output=_plus(a.output, b.output),
        cached_input=_plus(a.cached_input, b.cached_input),
        cache_write=_plus(a.cache_write, b.cache_write),
        reasoning=_plus(a.reasoning, b.reasoning),
        cost=_plus(a.cost, b.cost),
    )


def _plus(a: Number | None, b: Number | None) -> Number | None:
    return b if a is None else a if b is None else a + b
