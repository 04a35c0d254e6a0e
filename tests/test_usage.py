"""Real clients against a local server that speaks the providers' wire format."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import anthropic
import openai
import pytest
from anthropic.types import Message
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from geomon import losses
from geomon.call import Usage
from geomon.usage import Reading, StreamReader, read
from geomon.usage.providers import MOST_TYPES, PROVIDERS, _shapes

CHAT_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 8},
}
CHAT = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": '{"word": "hi"}'},
        }
    ],
    "usage": CHAT_USAGE,
}
CHAT_READ = Usage("gpt-4o-2024-08-06", "openai", 100, 20, 60, 5, 8)
RESPONSE_USAGE = {
    "input_tokens": 50,
    "output_tokens": 12,
    "total_tokens": 62,
    "input_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 3},
    "output_tokens_details": {"reasoning_tokens": 4},
}
RESPONSE = {
    "id": "r-1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-5",
    "status": "completed",
    "output": [
        {
            "id": "m-1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "hi", "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": RESPONSE_USAGE,
}
RESPONSE_READ = Usage("gpt-5", "openai", 50, 12, 10, 3, 4)
EMBEDDING = {
    "object": "list",
    "model": "text-embedding-3-small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "usage": {"prompt_tokens": 7, "total_tokens": 7},
}
IMAGES = {
    "created": 1,
    "data": [{"b64_json": "aGk="}],
    "usage": {
        "input_tokens": 9,
        "output_tokens": 400,
        "total_tokens": 409,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 9},
    },
}
COMPLETION = {
    "id": "t-1",
    "object": "text_completion",
    "created": 1,
    "model": "gpt-3.5-turbo-instruct",
    "choices": [{"index": 0, "text": "hi", "finish_reason": "length", "logprobs": None}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}
TRANSCRIPTION = {
    "text": "hi",
    "usage": {"type": "tokens", "input_tokens": 30, "output_tokens": 2, "total_tokens": 32},
}
MESSAGE = {
    "id": "msg-1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 10,
        "output_tokens": 20,
        "cache_read_input_tokens": 300,
        "cache_creation_input_tokens": 40,
        "output_tokens_details": {"thinking_tokens": 6},
    },
}
MESSAGE_READ = Usage("claude-sonnet-5", "anthropic", 350, 20, 300, 40, 6)


def chunk(
    delta: dict[str, Any] | None, finish: str | None = None, usage: Any = None
) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {
        "id": "c-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o-2024-08-06",
        "choices": [] if delta is None else [choice],
        "usage": usage,
    }


CHUNKS = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "h"}),
    chunk({"content": "i"}),
    chunk({}, finish="stop"),
]
USAGE_CHUNK = chunk(None, usage=CHAT_USAGE)


def response_events(last: str = "completed", **changes: Any) -> list[dict[str, Any]]:
    started = {**RESPONSE, "status": "in_progress", "output": [], "usage": None}
    item = {**RESPONSE["output"][0], "status": "in_progress", "content": []}
    at = {"item_id": "m-1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    events = [
        {"type": "response.created", "response": started},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **at, "part": part},
        {"type": "response.output_text.delta", **at, "delta": "hi", "logprobs": []},
        {"type": "response.output_text.done", **at, "text": "hi", "logprobs": []},
        {"type": f"response.{last}", "response": {**RESPONSE, "status": last, **changes}},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def message_events() -> list[dict[str, Any]]:
    start = {**MESSAGE, "content": [], "stop_reason": None}
    start["usage"] = {**MESSAGE["usage"], "output_tokens": 1}
    start["usage"].pop("output_tokens_details")
    details = {"thinking_tokens": 6}
    return [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "hi"},
        },
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 20, "output_tokens_details": details},
        },
        {"type": "message_stop"},
    ]


OPENAI_LIMITS = {
    "x-ratelimit-limit-requests": "200",
    "x-ratelimit-remaining-requests": "150",
    "x-ratelimit-limit-tokens": "1000",
    "x-ratelimit-remaining-tokens": "100",
}
ANTHROPIC_LIMITS = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "25",
    "anthropic-ratelimit-tokens-limit": "0",
    "anthropic-ratelimit-tokens-remaining": "soon",
}
WHOLE = {
    "/v1/chat/completions": (CHAT, OPENAI_LIMITS),
    "/v1/responses": (RESPONSE, OPENAI_LIMITS),
    "/v1/embeddings": (EMBEDDING, {}),
    "/v1/images/generations": (IMAGES, {}),
    "/v1/completions": (COMPLETION, {}),
    "/v1/audio/transcriptions": (TRANSCRIPTION, {}),
    "/v1/models": ({"object": "list", "data": []}, {}),
    "/v1/messages": (MESSAGE, ANTHROPIC_LIMITS),
}


def sse(events: list[dict[str, Any]], done: bool = False) -> bytes:
    lines = [f"event: {event.get('type', 'x')}\ndata: {json.dumps(event)}\n\n" for event in events]
    return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


def chat_stream(request: dict[str, Any]) -> bytes:
    with_usage = (request.get("stream_options") or {}).get("include_usage")
    return sse([*CHUNKS, USAGE_CHUNK] if with_usage else CHUNKS, done=True).replace(
        b"event: x\n", b""
    )


STREAMED = {
    "/v1/chat/completions": chat_stream,
    "/v1/responses": lambda request: sse(response_events()),
    "/v1/messages": lambda request: sse(message_events()),
}


class Provider(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        is_json = self.headers.get_content_type() == "application/json"
        request = json.loads(body) if is_json else {}
        path = self.path.partition("?")[0]
        if request.get("stream"):
            self.answer("text/event-stream", STREAMED[path](request), WHOLE[path][1])
        else:
            self.answer("application/json", json.dumps(WHOLE[path][0]).encode(), WHOLE[path][1])

    do_GET = do_POST

    def answer(self, content_type: str, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def oai(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture
def claude(url: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=url, api_key="k", max_retries=0) as client:
        yield client


ASK: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
ASK_CLAUDE: Any = {**ASK, "model": "claude-sonnet-5", "max_tokens": 9}


class Word(BaseModel):
    word: str


def lost(reason: str) -> int:
    return losses.counts().get(("usage", reason), 0)


def fed(items: Any) -> tuple[list[bool], StreamReader]:
    reader = StreamReader()
    return [reader.feed(item) for item in items], reader


def usage_of(response: object) -> Usage | None:
    reading = read(response)
    assert reading is not None
    return reading.usage


# Whole responses


def test_a_chat_completion_is_read_in_full(oai: openai.OpenAI) -> None:
    response = oai.chat.completions.create(**ASK)
    expected = Reading("gpt-4o-2024-08-06", "openai", CHAT_READ, ("stop",), source=response)
    assert read(response) == expected


def test_the_source_is_the_response_itself(oai: openai.OpenAI) -> None:
    response = oai.chat.completions.create(**ASK)
    reading = read(response)
    assert reading is not None
    assert reading.source is response


def test_a_parsed_chat_completion_is_one_too(oai: openai.OpenAI) -> None:
    response = oai.chat.completions.parse(**ASK, response_format=Word)
    assert usage_of(response) == CHAT_READ


def test_a_response_of_the_responses_api_is_read(oai: openai.OpenAI) -> None:
    response = oai.responses.create(model="gpt-5", input="hi")
    expected = Reading("gpt-5", "openai", RESPONSE_READ, ("completed",), source=response)
    assert read(response) == expected


def test_an_embedding_has_input_tokens_only(oai: openai.OpenAI) -> None:
    response = oai.embeddings.create(model="text-embedding-3-small", input="hi")
    assert usage_of(response) == Usage("text-embedding-3-small", "openai", 7)


def test_images_carry_tokens_but_no_model(oai: openai.OpenAI) -> None:
    response = oai.images.generate(prompt="hi", model="gpt-image-1")
    reading = read(response)
    assert reading is not None
    assert (reading.model, reading.usage) == (None, Usage("unknown", "openai", 9, 400))


def test_a_legacy_completion_is_read(oai: openai.OpenAI) -> None:
    response = oai.completions.create(model="gpt-3.5-turbo-instruct", prompt="hi")
    usage = Usage("gpt-3.5-turbo-instruct", "openai", 3, 1)
    assert read(response) == Reading(
        "gpt-3.5-turbo-instruct", "openai", usage, ("length",), source=response
    )


def test_a_transcription_is_read(oai: openai.OpenAI) -> None:
    response = oai.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", b"RIFF"))
    assert usage_of(response) == Usage("unknown", "openai", 30, 2)


def test_a_message_adds_cached_tokens_to_its_input(claude: anthropic.Anthropic) -> None:
    response = claude.messages.create(**ASK_CLAUDE)
    expected = Reading("claude-sonnet-5", "anthropic", MESSAGE_READ, ("end_turn",))
    assert read(response) == expected._replace(source=response)


def test_a_beta_message_is_one_too(claude: anthropic.Anthropic) -> None:
    assert usage_of(claude.beta.messages.create(**ASK_CLAUDE)) == MESSAGE_READ


def test_a_list_of_models_carries_no_usage(oai: openai.OpenAI) -> None:
    assert read(oai.models.list()) is None


# Raw responses


def test_a_raw_response_of_openai_tells_the_rate_limits(oai: openai.OpenAI) -> None:
    raw = oai.chat.completions.with_raw_response.create(**ASK)
    reading = read(raw)
    assert reading is not None
    assert reading.rate_limit_remaining == {"requests": 0.75, "tokens": 0.1}


def test_a_raw_response_is_read_as_what_it_parses_to(oai: openai.OpenAI) -> None:
    raw = oai.chat.completions.with_raw_response.create(**ASK)
    reading = read(raw)
    assert reading is not None
    assert (reading.usage, reading.source is raw.parse()) == (CHAT_READ, True)


def test_a_limit_that_is_zero_or_no_number_is_left_out(claude: anthropic.Anthropic) -> None:
    raw = claude.messages.with_raw_response.create(**ASK_CLAUDE)
    reading = read(raw)
    assert reading is not None
    assert (reading.usage, reading.rate_limit_remaining) == (MESSAGE_READ, {"requests": 0.5})


def test_a_raw_stream_is_not_consumed(oai: openai.OpenAI) -> None:
    raw = oai.chat.completions.with_raw_response.create(**ASK, stream=True)
    reading = read(raw)
    assert reading is not None
    assert (reading.usage, len(list(raw.parse()))) == (None, len(CHUNKS))


def test_a_body_still_to_be_read_is_not_consumed(claude: anthropic.Anthropic) -> None:
    with claude.messages.with_streaming_response.create(**ASK_CLAUDE) as raw:
        reading = read(raw)
        assert reading is not None
        assert (reading.usage, len(b"".join(raw.iter_bytes())) > 0) == (None, True)


def test_the_async_raw_response_gives_the_object_that_parse_gives(url: str) -> None:
    async def ask() -> tuple[Reading | None, Message]:
        async with anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as client:
            raw = await client.messages.with_raw_response.create(**ASK_CLAUDE)
            reading = read(raw)
            return reading, await raw.parse()

    reading, parsed = asyncio.run(ask())
    assert reading is not None
    assert (reading.usage, reading.source is parsed) == (MESSAGE_READ, True)


# Streams


def test_a_chat_stream_without_usage_has_none(oai: openai.OpenAI) -> None:
    contents, reader = fed(oai.chat.completions.create(**ASK, stream=True))
    reading = reader.reading()
    assert reading is not None
    assert contents == [False, True, True, False]
    assert (reading.model, reading.usage) == ("gpt-4o-2024-08-06", None)


def test_a_chat_stream_with_usage_has_it_in_its_last_chunk(oai: openai.OpenAI) -> None:
    options: Any = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(oai.chat.completions.create(**ASK, **options))
    contents, reader = fed(chunks)
    assert contents == [False, True, True, False, False]
    assert reader.reading() == Reading(
        "gpt-4o-2024-08-06", "openai", CHAT_READ, ("stop",), source=chunks[-1]
    )


def test_the_chat_stream_helper_is_read_alike(oai: openai.OpenAI) -> None:
    with oai.chat.completions.stream(**ASK, stream_options={"include_usage": True}) as stream:
        contents, reader = fed(stream)
    reading = reader.reading()
    assert reading is not None
    assert (contents[:3], reading.usage) == ([False, True, True], CHAT_READ)


@pytest.mark.parametrize("helper", [False, True])
def test_a_responses_stream_ends_with_the_whole_response(oai: openai.OpenAI, helper: bool) -> None:
    if helper:
        with oai.responses.stream(model="gpt-5", input="hi") as stream:
            events = list(stream)
    else:
        events = list(oai.responses.create(model="gpt-5", input="hi", stream=True))
    contents, reader = fed(events)
    assert contents == [False, False, False, True, False, False]
    assert reader.reading() == Reading(
        "gpt-5", "openai", RESPONSE_READ, ("completed",), source=events[-1].response
    )


def test_the_final_response_of_the_helper_is_a_source(oai: openai.OpenAI) -> None:
    with oai.responses.stream(model="gpt-5", input="hi") as stream:
        _, reader = fed(stream)
        final = stream.get_final_response()
    assert [source is final for source in reader.sources] == [True]


def test_a_message_stream_adds_up_its_events(claude: anthropic.Anthropic) -> None:
    contents, reader = fed(claude.messages.create(**ASK_CLAUDE, stream=True))
    reading = reader.reading()
    assert reading is not None
    assert contents.count(True) == 1
    assert reading == Reading("claude-sonnet-5", "anthropic", MESSAGE_READ, ("end_turn",))._replace(
        source=reading.source
    )


def test_the_message_stream_helper_is_read_alike(claude: anthropic.Anthropic) -> None:
    with claude.messages.stream(**ASK_CLAUDE) as stream:
        contents, reader = fed(stream)
    reading = reader.reading()
    assert reading is not None
    assert (contents.count(True), reading.usage) == (2, MESSAGE_READ)


def test_the_final_message_of_the_helper_is_a_source(claude: anthropic.Anthropic) -> None:
    with claude.messages.stream(**ASK_CLAUDE) as stream:
        _, reader = fed(stream)
        final = stream.get_final_message()
    assert final is reader.sources[-1]


def test_a_message_stream_broken_off_knows_its_input_only() -> None:
    _, reader = fed(message_events()[:4])
    reading = reader.reading()
    assert reading is not None
    assert (reading.usage, reading.final) == (
        Usage("claude-sonnet-5", "anthropic", 350, None, 300, 40),
        False,
    )


def test_a_message_delta_that_restates_the_input_replaces_it() -> None:
    events = message_events()
    events[5]["usage"].update(input_tokens=11, cache_creation_input_tokens=0)
    _, reader = fed(events)
    reading = reader.reading()
    assert reading is not None
    assert reading.usage == Usage("claude-sonnet-5", "anthropic", 311, 20, 300, 0, 6)


@pytest.mark.parametrize("last", ["incomplete", "failed"])
def test_a_response_that_ends_badly_is_counted_too(last: str) -> None:
    _, reader = fed(response_events(last))
    reading = reader.reading()
    assert reading is not None
    assert (reading.usage, reading.finish_reasons) == (RESPONSE_READ, (last,))


def test_an_incomplete_response_names_its_reason() -> None:
    details = {"incomplete_details": {"reason": "max_output_tokens"}}
    _, reader = fed(response_events("incomplete", **details))
    reading = reader.reading()
    assert reading is not None
    assert reading.finish_reasons == ("max_output_tokens",)


def test_each_choice_has_its_finish_reason_once() -> None:
    second = chunk({}, finish="length")
    second["choices"][0]["index"] = 1
    _, reader = fed([*CHUNKS, second, *CHUNKS[-1:]])
    reading = reader.reading()
    assert reading is not None
    assert reading.finish_reasons == ("stop", "length")


def test_the_first_chunk_of_azure_names_no_model() -> None:
    _, reader = fed([{**CHUNKS[0], "model": "", "choices": []}, *CHUNKS])
    reading = reader.reading()
    assert reading is not None
    assert reading.model == "gpt-4o-2024-08-06"


def test_text_is_content_and_tells_nothing() -> None:
    contents, reader = fed(["a", "b"])
    assert (contents, reader.reading()) == ([True, True], None)


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        ({}, False),
        ({"role": "assistant"}, False),
        ({"content": "a"}, True),
        ({"refusal": "no"}, True),
        ({"reasoning_content": "hm"}, True),
        ({"reasoning": "hm"}, True),
        ({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}, True),
        ({"tool_calls": [{"index": 0, "function": {"arguments": ""}}]}, False),
        ({"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f"}}]}, True),
        ({"function_call": {"arguments": "{"}}, True),
        ({"audio": {"data": "aGk="}}, True),
        ({"audio": {"expires_at": 5}}, False),
    ],
)
@pytest.mark.parametrize("make", [dict, ChatCompletionChunk.model_validate])
def test_a_chunk_has_content_when_something_was_generated(
    make: Any, delta: dict[str, Any], expected: bool
) -> None:
    reading = read(make(chunk(delta)))
    assert reading is not None
    assert reading.has_content is expected


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "a"}},
            True,
        ),
        (
            {
                "type": "content_block_delta",
                "delta": {"type": "input_json_delta", "partial_json": "{"},
            },
            True,
        ),
        (
            {
                "type": "content_block_delta",
                "delta": {"type": "input_json_delta", "partial_json": ""},
            },
            False,
        ),
        (
            {"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": "x"}},
            False,
        ),
        ({"type": "content_block_start", "content_block": {"type": "redacted_thinking"}}, True),
        ({"type": "content_block_start", "content_block": {"type": "tool_use"}}, True),
        (
            {"type": "content_block_start", "content_block": {"type": "web_search_tool_result"}},
            False,
        ),
        ({"type": "response.function_call_arguments.delta", "delta": "{"}, True),
        ({"type": "response.reasoning_summary_text.delta", "delta": "hm"}, True),
        ({"type": "response.shell_call_output_content.delta", "delta": "x"}, False),
        ({"type": "response.image_generation_call.partial_image"}, True),
        ({"type": "response.output_text.done", "text": "hi"}, False),
        ({"type": "somebody's own"}, True),
    ],
)
def test_an_event_has_content_when_something_was_generated(
    event: dict[str, Any], expected: bool
) -> None:
    assert StreamReader().feed(event) is expected


# Dicts


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (CHAT, CHAT_READ),
        (RESPONSE, RESPONSE_READ),
        (EMBEDDING, Usage("text-embedding-3-small", "openai", 7)),
        (IMAGES, Usage("unknown", "openai", 9, 400)),
        (COMPLETION, Usage("gpt-3.5-turbo-instruct", "openai", 3, 1)),
        (MESSAGE, MESSAGE_READ),
    ],
)
def test_a_dict_is_read_by_its_shape(response: dict[str, Any], expected: Usage) -> None:
    assert usage_of(response) == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([*CHUNKS, USAGE_CHUNK], CHAT_READ),
        (response_events(), RESPONSE_READ),
        (message_events(), MESSAGE_READ),
        (
            [{"type": "image_generation.completed", "usage": IMAGES["usage"]}],
            Usage("unknown", "openai", 9, 400),
        ),
        (
            [
                {"type": "transcript.text.delta", "delta": "hi"},
                {"type": "transcript.text.done", "text": "hi", "usage": TRANSCRIPTION["usage"]},
            ],
            Usage("unknown", "openai", 30, 2),
        ),
    ],
)
def test_dicts_of_a_stream_are_read_by_their_shape(
    events: list[dict[str, Any]], expected: Usage
) -> None:
    _, reader = fed(events)
    reading = reader.reading()
    assert reading is not None
    assert reading.usage == expected


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"type": "message", "role": "user", "content": "hi"},
        {"object": "list", "data": []},
        {"object": ["chat.completion"]},
        {"type": "text", "text": "hi"},
        {"created": 1},
    ],
)
def test_a_dict_of_another_shape_is_unknown(other: dict[str, Any]) -> None:
    assert read(other) is None


# Counts


@pytest.mark.parametrize("count", [-1, True, "12", 3.0, float("nan"), 10**12 + 1])
def test_what_is_no_token_count_is_unknown_and_a_loss(count: object) -> None:
    before = lost("invalid")
    response = {**CHAT, "usage": {"prompt_tokens": count, "completion_tokens": 20}}
    assert usage_of(response) == Usage("gpt-4o-2024-08-06", "openai", None, 20)
    assert lost("invalid") == before + 1


def test_a_negative_count_in_a_clients_object_is_unknown() -> None:
    usage: Any = {**CHAT_USAGE, "prompt_tokens": -5}
    response = ChatCompletion.model_validate({**CHAT, "usage": usage})
    assert usage_of(response) == CHAT_READ._replace(input=None)


def test_a_response_without_usage_has_none() -> None:
    assert usage_of({**CHAT, "usage": None}) is None


def test_reasoning_that_a_server_reports_apart_is_added_to_the_output() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 22,
        "completion_tokens_details": {"reasoning_tokens": 7},
    }
    assert usage_of({**CHAT, "usage": usage}) == Usage(
        "gpt-4o-2024-08-06", "openai", 10, 12, None, None, 7
    )


# What is not a response


class Raising(ChatCompletion):
    @property
    def choices(self) -> Any:
        raise RuntimeError("no")


def raising() -> Raising:
    return Raising.model_construct()


def test_an_attribute_that_raises_makes_the_response_unreadable() -> None:
    before = lost("unreadable")
    assert read(raising()) is None
    assert lost("unreadable") == before + 1


def test_an_item_that_raises_is_content() -> None:
    before = lost("unreadable")
    assert StreamReader().feed(raising()) is True
    assert lost("unreadable") == before + 1


class Meta(type):
    def __hash__(cls) -> int:
        raise RuntimeError("no")


class Unhashable(metaclass=Meta):
    pass


@pytest.mark.parametrize(
    "other",
    ["text", None, 3, [], (), b"", object(), MagicMock(), Unhashable(), SimpleNamespace(usage=1)],
)
def test_an_unknown_object_is_none(other: object) -> None:
    assert read(other) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "usage",
                    "choices",
                    "delta",
                    "message",
                    "response",
                    "index",
                    "input_tokens",
                    "type",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
KINDS = sorted({kind.replace("*", "x") for one in PROVIDERS for kind in one.kinds})


@given(st.sampled_from(KINDS), st.dictionaries(st.text(), JSON), JSON)
def test_no_dict_makes_reading_raise(kind: str, extra: dict[str, Any], inner: Any) -> None:
    parts = dict.fromkeys(("usage", "choices", "response", "message", "delta", "model"), inner)
    for item in ({**extra, **parts, "object": kind}, {**parts, **extra, "type": kind}):
        reader = StreamReader()
        assert isinstance(reader.feed(item), bool)
        assert isinstance(read(item), Reading | None)
        assert isinstance(reader.reading(), Reading | None)


@given(st.from_type(type).flatmap(st.from_type) | JSON)
def test_no_object_makes_reading_raise(item: Any) -> None:
    assert read(item) is None or isinstance(read(item), Reading)


def test_the_memory_of_types_is_bounded() -> None:
    for number in range(MOST_TYPES + 10):
        read(type(f"Type{number}", (), {})())
    assert len(_shapes) <= MOST_TYPES


def test_the_clients_are_not_imported() -> None:
    code = (
        "import sys, geomon.usage; print({'openai', 'anthropic', 'genai_prices'} & {*sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
