"""The shapes of OpenAI's responses and stream items; many other servers speak them too.

Counts are inclusive: cached tokens are a part of the input, reasoning is a part of the output.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from geomon.usage.reading import Shape, Tally, field, tokens

PROVIDER = "openai"


class _Names(NamedTuple):
    input: str
    output: str
    input_details: str
    output_details: str


_CHAT = _Names(
    "prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details"
)
_RESPONSES = _Names(
    "input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details"
)


def _count(carrier: Any, names: _Names, tally: Tally) -> None:
    usage = field(carrier, "usage")
    if usage is None:
        return
    tally.input = tokens(usage, names.input)
    tally.output = tokens(usage, names.output)
    details = field(usage, names.input_details)
    tally.cached_input = tokens(details, "cached_tokens")
    tally.cache_write = tokens(details, "cache_write_tokens")
    tally.reasoning = tokens(field(usage, names.output_details), "reasoning_tokens")
    _include_reasoning(usage, tally)
    if tally.input is not None or tally.output is not None:
        tally.sources.append(carrier)


def _include_reasoning(usage: Any, tally: Tally) -> None:
    """Some servers (xAI's) leave reasoning out of the output; their total tells."""
    if not tally.reasoning or tally.input is None or tally.output is None:
        return
    if field(usage, "total_tokens") == tally.input + tally.output + tally.reasoning:
        tally.output += tally.reasoning


def _chat(response: Any, tally: Tally) -> bool:
    tally.answered(PROVIDER, field(response, "model"))
    _count(response, _CHAT, tally)
    for index, choice in enumerate(field(response, "choices") or ()):
        tally.finished(index, field(choice, "finish_reason"))
    tally.final = True
    return True


def _chat_chunk(chunk: Any, tally: Tally) -> bool:
    if tally.model is None:
        tally.answered(PROVIDER, field(chunk, "model"))
    if field(chunk, "usage") is not None:
        _count(chunk, _CHAT, tally)
    has_content = False
    for choice in field(chunk, "choices") or ():
        if (reason := field(choice, "finish_reason")) is not None:
            tally.finished(field(choice, "index") or 0, reason)
        has_content = _delta_has_content(field(choice, "delta")) or has_content
    return has_content


def _delta_has_content(delta: Any) -> bool:
    if field(delta, "content") or field(delta, "refusal"):
        return True
    calls = field(delta, "tool_calls")
    if calls and any(map(_call_has_content, calls)):
        return True
    if _function_has_content(field(delta, "function_call")):
        return True
    audio = field(delta, "audio")
    if audio is not None and (field(audio, "data") or field(audio, "transcript")):
        return True
    # Not OpenAI's own: DeepSeek and vLLM, OpenRouter.
    return bool(field(delta, "reasoning_content") or field(delta, "reasoning"))


def _call_has_content(call: Any) -> bool:
    return _function_has_content(field(call, "function")) or bool(
        field(field(call, "custom"), "input")
    )


def _function_has_content(function: Any) -> bool:
    return function is not None and bool(field(function, "arguments") or field(function, "name"))


def _chat_helper_event(event: Any, tally: Tally) -> bool:
    return _chat_chunk(field(event, "chunk"), tally)


def _completion(response: Any, tally: Tally) -> bool:
    """The legacy endpoint's, whose chunks have the same type as its whole responses."""
    tally.answered(PROVIDER, field(response, "model"))
    _count(response, _CHAT, tally)
    choices = field(response, "choices") or ()
    for position, choice in enumerate(choices):
        tally.finished(field(choice, "index") or position, field(choice, "finish_reason"))
    return any(field(choice, "text") for choice in choices)


_ENDS = frozenset({"completed", "incomplete", "failed", "cancelled"})


def _response(response: Any, tally: Tally) -> bool:
    tally.answered(PROVIDER, field(response, "model"))
    _count(response, _RESPONSES, tally)
    status = field(response, "status")
    if status in _ENDS:
        tally.finished(0, field(field(response, "incomplete_details"), "reason") or status)
    tally.final = status is None or status in _ENDS
    return True


def _response_event(event: Any, tally: Tally) -> bool:
    kind = field(event, "type")
    if kind.endswith(".delta"):
        return "_output_content." not in kind and bool(field(event, "delta"))
    if kind in _LAST_EVENTS:
        _response(field(event, "response"), tally)
        tally.final = True
    elif kind == "response.created":
        tally.answered(PROVIDER, field(field(event, "response"), "model"))
    return bool(kind.endswith(".partial_image"))


_LAST_EVENTS = frozenset({"response.completed", "response.incomplete", "response.failed"})


def _embedding(response: Any, tally: Tally) -> bool | None:
    if field(response, "usage") is None:  # every list of OpenAI's API is a "list"
        return None
    return _chat(response, tally)


def _media(response: Any, tally: Tally) -> bool:
    """Images and transcriptions: they carry tokens, and name no model."""
    tally.answered(PROVIDER, field(response, "model"))
    _count(response, _RESPONSES, tally)
    tally.final = True
    return True


def _media_event(event: Any, tally: Tally) -> bool:
    kind = field(event, "type")
    if kind.endswith((".completed", ".done")):
        return _media(event, tally)
    return True


def _images_dict(response: Any, tally: Tally) -> bool | None:
    if "created" in response and "data" in response:
        return _media(response, tally)
    return None


CLASSES: Mapping[str, Shape] = {
    "ChatCompletion": _chat,
    "ChatCompletionChunk": _chat_chunk,
    "ChunkEvent": _chat_helper_event,
    "Completion": _completion,
    "Response": _response,
    "BetaResponse": _response,
    "CompactedResponse": _response,
    "Decision": _response,
    "Response*Event": _response_event,
    "BetaResponse*Event": _response_event,
    "CreateEmbeddingResponse": _embedding,
    "ImagesResponse": _media,
    "Transcription": _media,
    "TranscriptionVerbose": _media,
    "TranscriptionDiarized": _media,
    "Transcription*Event": _media_event,
    "Image*Event": _media_event,
}

KINDS: Mapping[str, Shape] = {
    "chat.completion": _chat,
    "chat.completion.chunk": _chat_chunk,
    "text_completion": _completion,
    "response": _response,
    "response.*": _response_event,
    "list": _embedding,
    "transcript.*": _media_event,
    "image_generation.*": _media_event,
    "image_edit.*": _media_event,
    "": _images_dict,
}
