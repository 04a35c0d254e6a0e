"""The shapes of Anthropic's messages and stream events.

Cached tokens and cache writes come in addition to `input_tokens`; thinking is a part of the
output. Source: https://docs.anthropic.com/en/api/messages (usage).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geomon.usage.reading import Shape, Tally, field, tokens

PROVIDER = "anthropic"


def _count_input(usage: Any, tally: Tally) -> None:
    """Counts of a later event replace those of an earlier one; absent ones leave them."""
    for name, key in _INPUTS:
        value = tokens(usage, key)
        if value is not None:
            setattr(tally, name, value)
    if tally.uncached_input is not None:
        tally.input = tally.uncached_input + (tally.cached_input or 0) + (tally.cache_write or 0)


_INPUTS = (
    ("uncached_input", "input_tokens"),
    ("cached_input", "cache_read_input_tokens"),
    ("cache_write", "cache_creation_input_tokens"),
)


def _count(carrier: Any, tally: Tally) -> None:
    usage = field(carrier, "usage")
    if usage is None:
        return
    _count_input(usage, tally)
    tally.output = tokens(usage, "output_tokens")
    thinking = tokens(field(usage, "output_tokens_details"), "thinking_tokens")
    tally.reasoning = tally.reasoning if thinking is None else thinking
    tally.sources.append(carrier)


def _message(message: Any, tally: Tally) -> bool:
    tally.answered(PROVIDER, field(message, "model"))
    _count(message, tally)
    tally.finished(0, field(message, "stop_reason"))
    tally.final = True
    return True


def _message_dict(message: Any, tally: Tally) -> bool | None:
    # An output item of OpenAI's, and many a chat program's own record, is a "message" too.
    return _message(message, tally) if "model" in message else None


def _start(event: Any, tally: Tally) -> bool:
    """Its `output_tokens` counts what is generated so far, a few at most: left out."""
    message = field(event, "message")
    tally.answered(PROVIDER, field(message, "model"))
    usage = field(message, "usage")
    if usage is not None:
        _count_input(usage, tally)
        tally.sources.append(message)
    return False


def _delta(event: Any, tally: Tally) -> bool:
    tally.provider = PROVIDER
    _count(event, tally)
    tally.finished(0, field(field(event, "delta"), "stop_reason"))
    return False


def _stop(event: Any, tally: Tally) -> bool:
    tally.provider = PROVIDER
    message = field(event, "message")  # the SDK's stream helper adds it
    if message is not None:
        _message(message, tally)
    tally.final = True
    return False


def _block_start(event: Any, tally: Tally) -> bool:
    tally.provider = PROVIDER
    block = field(event, "content_block")
    kind = field(block, "type")
    if kind == "text":
        return bool(field(block, "text"))
    if kind == "thinking":
        return bool(field(block, "thinking"))
    return kind == "redacted_thinking" or str(kind).endswith("tool_use")


def _block_delta(event: Any, tally: Tally) -> bool:
    delta = field(event, "delta")
    return bool(field(delta, _DELTAS.get(field(delta, "type"), "")))


_DELTAS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
    "compaction_delta": "content",
}


def _no_content(event: Any, tally: Tally) -> bool:
    tally.provider = PROVIDER
    return False


def _helper_text(event: Any, tally: Tally) -> bool:
    return bool(field(event, "text"))


def _helper_thinking(event: Any, tally: Tally) -> bool:
    return bool(field(event, "thinking"))


def _helper_json(event: Any, tally: Tally) -> bool:
    return bool(field(event, "partial_json"))


_RAW: Mapping[str, Shape] = {
    "message_start": _start,
    "message_delta": _delta,
    "message_stop": _stop,
    "content_block_start": _block_start,
    "content_block_delta": _block_delta,
    "content_block_stop": _no_content,
    "ping": _no_content,
}

_EVENTS: Mapping[str, Shape] = {
    **_RAW,
    "text": _helper_text,
    "thinking": _helper_thinking,
    "input_json": _helper_json,
    "signature": _no_content,
    "citation": _no_content,
}


def _event(event: Any, tally: Tally) -> bool | None:
    shape = _EVENTS.get(field(event, "type"))
    return None if shape is None else shape(event, tally)


CLASSES: Mapping[str, Shape] = {
    "Message": _message,
    "BetaMessage": _message,
    "*Event": _event,
}

KINDS: Mapping[str, Shape] = {"message": _message_dict, **_RAW}
