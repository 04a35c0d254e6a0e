"""The finished record of a call. Nobody changes it; every sink reads it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

Kind = Literal["ai", "request", "client_request"]
Outcome = Literal["ok", "error", "cancelled", "abandoned"]

EMPTY: Mapping[str, Any] = MappingProxyType({})


class Usage(NamedTuple):
    """What one model used in a call: tokens, and what they cost.

    A count is None where it is unknown; it is never guessed.
    """

    model: str
    """The model that the tokens are counted under (the label `model`)."""
    provider: str | None = None
    """The provider's id, as OpenTelemetry's `gen_ai.provider.name`: `openai`, `anthropic`, ..."""
    input: int | None = None
    """All input tokens, cached ones and cache writes included."""
    output: int | None = None
    """All output tokens, reasoning included."""
    cached_input: int | None = None
    """Input tokens read from the provider's cache; a part of `input`."""
    cache_write: int | None = None
    """Input tokens written to the provider's cache; a part of `input`."""
    reasoning: int | None = None
    """Output tokens spent on reasoning; a part of `output`."""
    cost: float | None = None
    """US dollars; None where no price or no token count is known."""

    @property
    def tokens(self) -> int | None:
        """Input and output tokens together; None when neither is known."""
        if self.input is None and self.output is None:
            return None
        return (self.input or 0) + (self.output or 0)


class Attempt(NamedTuple):
    """One inner call that was merged into this call, or one retry of the client's."""

    model: str
    outcome: Outcome


class Code(NamedTuple):
    """Where a call is written in the program."""

    file: str
    line: int
    function: str


class Call(NamedTuple):
    """One finished call.

    Fields come in three groups. Labels have few values and may become metric labels.
    Measurements are numbers. Context and attributes may have any number of values (user ids),
    so that metric sinks leave them alone.
    """

    kind: Kind
    """`ai`, `request` (served by this program) or `client_request` (sent by it)."""
    type: str | None
    """What an AI call is for, in the program's own words: `summarize`."""
    model: str | None
    """The model the program named, else the one that answered; None when neither is known."""
    provider: str | None
    """The provider's id: `openai`, `anthropic`, ..."""
    method: str | None
    """HTTP method of a request."""
    endpoint: str | None
    """Route template of a request that is served, never the raw path."""
    host: str | None
    """Host of a request that is sent."""
    status: int | None
    """HTTP status code of a request."""
    outcome: Outcome
    """`ok`, `error`, `cancelled` (stopped from outside) or `abandoned` (a stream was dropped)."""
    error_type: str | None
    """One of `geomon.errors.ERROR_TYPES`; None when nothing failed."""

    duration: float
    """Seconds; a stream's runs to its last item."""
    time_to_first_token: float | None
    """Seconds from the start to a stream's first item with content; None when not streamed."""
    time_per_output_token: float | None
    """Seconds a token after the first; None unless streamed with a known number of tokens."""
    usage: tuple[Usage, ...]
    """Tokens and cost, one entry a model."""
    attempts: tuple[Attempt, ...]
    """Inner calls and client retries."""
    rate_limit_remaining: Mapping[str, float]
    """What is left of the provider's limits, 0 to 1, by `requests` and `tokens`; empty: unknown."""

    context: Mapping[str, Any]
    """What was bound when the call began: `request_id`, `user_id`, ..."""
    trace_id: str | None
    """W3C trace id, 32 hex digits; None outside a trace."""
    span_id: str | None
    """W3C span id, 16 hex digits; None outside a trace."""
    response_model: str | None
    """The model that answered."""
    finish_reasons: tuple[str, ...]
    """Why the provider stopped, in its own words: `stop`, `length`, `tool_use`, ..."""
    attributes: Mapping[str, Any]
    """Free-form, from `ActiveCall.set`."""
    code: Code | None
    """The decorated function or the with-block; None for a built-in without code."""
    started_at: float
    """Wall-clock start, seconds since the epoch."""
    error: BaseException | None
    """The exception the program saw. Its text may hold a prompt: sinks do not write it unasked."""
    model_at_start: str | None
    """The model known when the call began; the in-progress gauge counts under it."""
    metered: bool
    """Whether spend was accounted for: here, or by a tracked call inside this one."""
    request_size: int | None = None
    """Bytes of a served request's body; None where they were not counted."""
    response_size: int | None = None
    """Bytes of its response's body."""

    @property
    def tokens(self) -> int | None:
        """Input and output tokens of all models; None when nothing is known."""
        known = [used.tokens for used in self.usage if used.tokens is not None]
        return sum(known) if known else None

    @property
    def cost(self) -> float | None:
        """US dollars over all models; None when no price is known."""
        known = [used.cost for used in self.usage if used.cost is not None]
        return sum(known) if known else None
