"""Rules for people who do not write PromQL.

Each function writes the PromQL of a rule about geomon's metrics, which works in Prometheus too.
Ratios are from 0 to 1. All of them take `name`, `for_`, `keep_firing_for`, `labels`, `annotations`
and `namespace`, see `Options`. A `window` is also a label of the alerts. Counts over a window are
Prometheus's `increase`, which is extrapolated to the window's ends: a count may come out a few per
cent high, never low.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from geomon.alerts.condition import Condition, Draft, Options
from geomon.alerts.expressions import (
    MARK,
    PERCENT,
    above,
    count,
    increase,
    lower,
    number,
    selector,
    texts,
)
from geomon.alerts.expressions import window as written_window
from geomon.alerts.machine_conditions import cpu_above, memory_above
from geomon.errors import ERROR_TYPES

__all__ = [
    "EXCLUDED",
    "Condition",
    "Options",
    "burn_rate",
    "cpu_above",
    "error_ratio_above",
    "latency_above",
    "memory_above",
    "request_latency_above",
    "spend_above",
    "tokens_above",
]

EXCLUDED = ("bad_request", "cancelled", "content_filter")
"""Error types that are the caller's doing, and no fault of the provider or the program."""

_AI_KEYS = ("type", "model")
_BURN_PAIRS = (("5m", "1h", 14.4), ("30m", "6h", 6.0))  # Google's SRE workbook, chapter 5


def error_ratio_above(
    ratio: float,
    *,
    window: float | str = "5m",
    min_calls: int = 20,
    type: str | None = None,
    model: str | None = None,
    error_types: Sequence[str] | None = None,
    by: Sequence[str] = (),
    resolve_below: float | None = None,
    **options: Unpack[Options],
) -> Condition:
    """Fires where more than this part of the AI calls fails.

    Args:
        ratio: From 0 to 1: `0.1` is 10 %.
        window: How far back calls count.
        min_calls: Fewer calls in the window say nothing.
        type: Calls of this type only.
        model: Calls of this model only.
        error_types: What counts as an error; None: all but `EXCLUDED`.
        by: One alert for each `"type"`, each `"model"`, or each pair.
        resolve_below: An alert that fires goes on until the ratio is below this.

    Raises:
        TypeError, ValueError: An argument is wrong; the text says what to write.
    """
    threshold, length = number("ratio", ratio, most=1), written_window(window)
    filters = _filters(type, model)
    value = _ratio(length, _groups(by), error_types, filters)
    calls = increase(length, by, "ai_requests_total", **filters)
    return Draft(
        name="AIErrorRatioHigh",
        condition=above(value, threshold, calls, count("min_calls", min_calls)),
        summary=f"{PERCENT} of AI calls{_of_group(by)} fail",
        description=(
            f"In the last {length}, {PERCENT} of the AI calls{_of_group(by)} failed, more than "
            f"{number('ratio', ratio * 100)} %. See {MARK}ai_errors_total by type, model and "
            "error_type for what fails: timeout, server_error and connection are the provider's, "
            "and its status page tells more; authentication and rate_limit are this account's."
        ),
        labels={**filters, "window": length},
        value=value,
        resolve_below=lower("resolve_below", resolve_below, ratio),
    ).rule(options)


def latency_above(
    seconds: float,
    *,
    type: str | None = None,
    model: str | None = None,
    quantile: float = 0.95,
    window: float | str = "5m",
    min_calls: int = 0,
    by: Sequence[str] = (),
    resolve_below: float | None = None,
    **options: Unpack[Options],
) -> Condition:
    """Fires where AI calls take longer.

    Args:
        seconds: The threshold; a histogram sees no further than its last bucket, 600 s unless set.
        type: Calls of this type only.
        model: Calls of this model only.
        quantile: `0.95`: the slowest twentieth takes longer.
        window: How far back calls count.
        min_calls: Fewer calls in the window say nothing.
        by: One alert for each `"type"`, each `"model"`, or each pair.
        resolve_below: An alert that fires goes on until the quantile is below these seconds.

    Raises:
        TypeError, ValueError: An argument is wrong; the text says what to write.
    """
    filters, length, groups = _filters(type, model), written_window(window), _groups(by)
    value = _quantile(quantile, length, groups, "ai_request_duration_seconds", filters)
    calls = increase(length, groups, "ai_request_duration_seconds_count", **filters)
    least = count("min_calls", min_calls)
    return Draft(
        name="AILatencyHigh",
        condition=above(value, number("seconds", seconds), calls, least),
        summary=f"AI calls{_of_group(by)} are slow: {{{{ $value | humanizeDuration }}}}",
        description=_slow("AI calls" + _of_group(by), quantile, seconds, length)
        + f"See {MARK}ai_request_duration_seconds by type and model, and the provider's status "
        f"page; {MARK}ai_time_to_first_token_seconds tells a slow start from a long answer.",
        labels={**filters, "window": length},
        value=value,
        resolve_below=lower("resolve_below", resolve_below, seconds),
    ).rule(options)


def request_latency_above(
    seconds: float,
    *,
    method: str | None = None,
    endpoint: str | None = None,
    quantile: float = 0.95,
    window: float | str = "5m",
    min_calls: int = 0,
    resolve_below: float | None = None,
    **options: Unpack[Options],
) -> Condition:
    """Fires where HTTP requests that the program serves take longer.

    Args:
        seconds: The threshold; a histogram sees no further than its last bucket, 60 s unless set.
        method: Requests of this method only.
        endpoint: Requests of this route only.
        quantile: `0.95`: the slowest twentieth takes longer.
        window: How far back requests count.
        min_calls: Fewer requests in the window say nothing.
        resolve_below: An alert that fires goes on until the quantile is below these seconds.

    Raises:
        TypeError, ValueError: An argument is wrong; the text says what to write.
    """
    texts(method=method, endpoint=endpoint)
    filters, length = {"method": method, "endpoint": endpoint}, written_window(window)
    value = _quantile(quantile, length, (), "http_request_duration_seconds", filters)
    calls = increase(length, (), "http_request_duration_seconds_count", **filters)
    least = count("min_calls", min_calls)
    return Draft(
        name="HTTPLatencyHigh",
        condition=above(value, number("seconds", seconds), calls, least),
        summary="HTTP requests are slow: {{ $value | humanizeDuration }}",
        description=_slow("HTTP requests", quantile, seconds, length)
        + f"See {MARK}http_request_duration_seconds by endpoint for which, {MARK}"
        f"http_requests_in_progress for a jam, and {MARK}ai_request_duration_seconds for whether "
        "they wait for AI calls.",
        labels={**filters, "window": length},
        value=value,
        resolve_below=lower("resolve_below", resolve_below, seconds),
    ).rule(options)


def spend_above(
    usd: float,
    *,
    window: float | str = "1d",
    type: str | None = None,
    model: str | None = None,
    **options: Unpack[Options],
) -> Condition:
    """Fires where AI calls cost more than this in the window.

    It needs prices: `pip install "geomon[prices]"`, or `configure(prices={...})`. Calls whose cost
    is not known are in `ai_unmetered_calls_total`, and not in this sum.

    Args:
        usd: US dollars.
        window: How far back calls count.
        type: Calls of this type only.
        model: Calls of this model only.

    Raises:
        TypeError, ValueError: An argument is wrong; the text says what to write.
    """
    filters, length = _filters(type, model), written_window(window)
    spent = increase(length, (), "ai_cost_usd_total", **filters)
    return Draft(
        name="AISpendHigh",
        condition=f"{spent} > {number('usd', usd)}",
        summary=f'AI calls cost {{{{ printf "%.2f" $value }}}} US dollars in {length}',
        description=(
            f"That is more than {number('usd', usd)} US dollars. See {MARK}ai_cost_usd_total by "
            f"type and model for what costs, and {MARK}ai_tokens_total and {MARK}ai_requests_total "
            "for whether calls are more, or larger."
        ),
        labels={**filters, "window": length},
        needs_prices=True,
    ).rule(options)


def tokens_above(
    tokens: float,
    *,
    window: float | str = "1h",
    type: str | None = None,
    model: str | None = None,
    **options: Unpack[Options],
) -> Condition:
    """Fires where AI calls use more tokens than this in the window, input and output together.

    Args:
        tokens: How many; cached input and reasoning are parts of them.
        window: How far back calls count.
        type: Calls of this type only.
        model: Calls of this model only.

    Raises:
        TypeError, ValueError: An argument is wrong; the text says what to write.
    """
    filters, length = _filters(type, model), written_window(window)
    kinds = ("input", "output")
    used = increase(length, (), "ai_tokens_total", token_type=kinds, **filters)
    return Draft(
        name="AITokensHigh",
        condition=f"{used} > {number('tokens', tokens)}",
        summary=f"AI calls used {{{{ $value | humanize }}}} tokens in {length}",
        description=(
            f"That is more than {number('tokens', tokens)}. See {MARK}ai_tokens_total by type, "
            f"model and token_type, and {MARK}ai_requests_total for whether calls are more, or "
            "larger."
        ),
        labels={**filters, "window": length},
    ).rule(options)


def burn_rate(
    objective: float,
    *,
    min_calls: int = 20,
    type: str | None = None,
    model: str | None = None,
    error_types: Sequence[str] | None = None,
    **options: Unpack[Options],
) -> Condition:
    """Fires where AI calls fail so fast that a month's objective is at risk.

    The two pairs of Google's SRE workbook: over 5 m and 1 h at 14.4 times the failures that the
    objective allows (2 % of a month's in an hour), or over 30 m and 6 h at 6 times (5 % in six).

    Args:
        objective: The part of the calls that should succeed: `0.99`; above 0.931, as else the fast
            pair could never fire.
        min_calls: Fewer calls in the longer window say nothing.
        type: Calls of this type only.
        model: Calls of this model only.
        error_types: What counts as an error; None: all but `EXCLUDED`.

    Raises:
        TypeError, ValueError: An argument is wrong; the text says what to write.
    """
    shown = number("objective", objective, most=1)
    if objective < 1 - 1 / _BURN_PAIRS[0][2]:
        raise ValueError(f"objective={objective!r}: write one above 0.931, such as 0.99")
    filters, least = _filters(type, model), count("min_calls", min_calls)
    pairs = []
    for short, long, factor in _BURN_PAIRS:
        limit = number("objective", round(factor * (1 - objective), 9))
        quick, slow = (_ratio(length, (), error_types, filters) for length in (short, long))
        calls = increase(long, (), "ai_requests_total", **filters)
        pairs.append(f"{quick} > {limit}\nand {above(slow, limit, calls, least)}")
    return Draft(
        name="AIErrorBudgetBurning",
        condition="\nor ".join(pairs),
        summary=f"AI calls fail too fast for an objective of {shown}: {PERCENT}",
        description=(
            f"At this pace the failures that {shown} allows in a month are used up in a few days. "
            f"See {MARK}ai_errors_total by type, model and error_type for what fails."
        ),
        labels=filters,
        severity="critical",
    ).rule(options)


def _filters(type: str | None, model: str | None) -> dict[str, str | None]:
    texts(type=type, model=model)
    return {"type": type, "model": model}


def _groups(by: Sequence[str]) -> Sequence[str]:
    if isinstance(by, str) or not set(by) <= set(_AI_KEYS):
        raise ValueError(f'by={by!r}: write a list of "type" and "model", by=["model"]')
    return by


def _ratio(
    window: str,
    by: Sequence[str],
    error_types: Sequence[str] | None,
    filters: dict[str, str | None],
) -> str:
    """Errors of calls; 0 where there are calls and no errors, nothing where there are no calls."""
    chosen = None if error_types is None else _known(error_types)
    excluded = EXCLUDED if chosen is None else None
    errors = increase(
        window, by, "ai_errors_total", error_type=chosen, not_error_type=excluded, **filters
    )
    calls = increase(window, by, "ai_requests_total", **filters)
    return f"({errors} or 0 * {calls}) / {calls}"


def _known(error_types: Sequence[str]) -> tuple[str, ...]:
    if isinstance(error_types, str) or not error_types or not set(error_types) <= set(ERROR_TYPES):
        raise ValueError(
            f"error_types={error_types!r}: write a list of some of {', '.join(ERROR_TYPES)}"
        )
    return tuple(error_types)


def _quantile(
    quantile: float, window: str, by: Sequence[str], metric: str, filters: dict[str, str | None]
) -> str:
    part = number("quantile", quantile, most=1)
    if not quantile:
        raise ValueError("quantile=0: write a number above 0 and below 1, such as 0.95")
    grouped = ", ".join(["le", *by])
    buckets = selector(f"{metric}_bucket", **filters)
    return f"histogram_quantile({part}, sum by ({grouped}) (rate({buckets}[{window}])))"


def _slow(what: str, quantile: float, seconds: float, window: str) -> str:
    part = number("quantile", round(100 * (1 - quantile), 6))
    return (
        f"In the last {window}, the slowest {part} % of {what} took longer than "
        f"{{{{ $value | humanizeDuration }}}}, more than {number('seconds', seconds)} s. "
    )


def _of_group(by: Sequence[str]) -> str:
    return "".join(f" of {key} {{{{ $labels.{key} }}}}" for key in by)
