"""Builds the finished record from an open call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geomon import errors
from geomon.call import Call, Outcome, Usage

if TYPE_CHECKING:
    from geomon.tracking.active import ActiveCall


def record_of(
    active: ActiveCall,
    outcome: Outcome,
    error: BaseException | None,
    at: float,
    error_type: str | None,
) -> Call:
    tracker = active._tracker
    if active._stream is not None:
        _read_stream(active)
    model = active.model if active.model is not None else active._answered
    spent: tuple[Usage, ...] = ()
    if active._used is not None or active._absorbed is not None:
        spent = _spent(active, model)
    first, started = active._first_at, active._started
    bound = active.context
    return Call(
        tracker.kind,
        tracker.type,
        model,
        active.provider or tracker.provider,
        tracker.method,
        tracker.endpoint,
        tracker.host,
        None if tracker.kind == "ai" else _status(active, error),
        outcome,
        error_type,
        at - started,
        None if first is None else first - started,
        None if active._last_at is None else _per_token(active, spent),
        spent,
        () if active._attempts is None else tuple(active._attempts),
        active._rate_limit_remaining,
        bound,
        active.trace_id or bound.get("trace_id"),
        active.span_id or bound.get("span_id"),
        active._answered,
        active._finish_reasons,
        active.attributes,
        active.code or tracker.code,
        active.started_at,
        error,
        tracker.model,
        bool(spent) or active._metered,
    )


def _status(active: ActiveCall, error: BaseException | None) -> int | None:
    if error is None:
        return 200 if active.status is None else active.status
    told = errors.status_code(error)
    if told is not None:
        return told
    own = active.status
    return own if isinstance(own, int) and own >= 400 else 500


def _read_stream(active: ActiveCall) -> None:
    reader = active._stream
    reading = reader.reading() if reader is not None else None
    if reading is not None:
        active._answer(reading.model, reading.provider, reading.finish_reasons)
        if reading.usage is not None:
            active._use(reading.usage)


def _per_token(active: ActiveCall, spent: tuple[Usage, ...]) -> float | None:
    """Seconds between the first and the last token, a token; None where it cannot be known."""
    tokens = sum(used.output for used in spent if used.output is not None)
    first, last = active._first_at, active._last_at
    if first is None or last is None or tokens < 2:
        return None
    return max(0.0, last - first) / (tokens - 1)


def _spent(active: ActiveCall, model: str | None) -> tuple[Usage, ...]:
    """One priced entry a model; the first model that answered goes under the requested one."""
    by_model: dict[str, Usage] = {}
    price = active._pipeline.cost
    answered = active._used[0].model if active._used else None
    for used in active._used or ():
        cost = price(used) if price is not None else None
        label = model if used.model == answered and model is not None else used.model
        _add_usage(by_model, used._replace(model=label, cost=cost))
    for used in active._absorbed or ():
        _add_usage(by_model, used)
    return tuple(by_model.values())


def _add_usage(by_model: dict[str, Usage], used: Usage) -> None:
    earlier = by_model.get(used.model)
    if earlier is None:
        by_model[used.model] = used
        return
    counts = [a if b is None else b if a is None else a + b for a, b in zip(earlier[2:], used[2:])]
    by_model[used.model] = Usage(used.model, earlier.provider or used.provider, *counts)
