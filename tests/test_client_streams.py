"""The streams of openai's and anthropic's clients, in every way they can be read."""

import asyncio
import gc
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest

import geomon
from geomon import track_ai

EXAMPLES = Path(__file__).parent.parent / "examples"
WHOLE: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
ASK: Any = {**WHOLE, "stream": True, "stream_options": {"include_usage": True}}
ASK_CLAUDE: Any = {**WHOLE, "model": "claude-sonnet-5", "max_tokens": 9}
MODELS = {
    "object": "list",
    "data": [{"id": name, "object": "model", "created": 1, "owned_by": "x"} for name in "ab"],
}


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    sys.path.insert(0, str(EXAMPLES))
    try:
        import provider_server
    finally:
        sys.path.remove(str(EXAMPLES))
    handler = provider_server._Handler
    handler.do_GET = lambda self: self._send(200, MODELS)
    with provider_server.ProviderServer() as server:
        yield server
    del handler.do_GET


@pytest.fixture
def oai(server: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.url + "/v1", api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture
def claude(server: Any) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.url, api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture
def async_oai(server: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="k", max_retries=0)


@pytest.fixture(autouse=True)
def served(server: Any) -> Iterator[Any]:
    """What the server counted in this test, by model."""
    server.ledger.models.clear()
    yield server.ledger.models
    server.ledger.models.clear()


def ran(client: openai.AsyncOpenAI, main: Any) -> Any:
    async def closing() -> Any:
        async with client:
            return await main()

    return asyncio.run(closing())


def told(call: geomon.Call) -> tuple[Any, ...]:
    return call.outcome, call.response_model, call.tokens, call.time_to_first_token is not None


def expected(served: Any, model: str = "gpt-4o", first: bool = True) -> tuple[Any, ...]:
    tokens = served[model].tokens
    return "ok", model, tokens["input"] + tokens["output"], first


# --- raw responses


def test_a_raw_response_s_stream_is_read_and_its_end_is_the_call_s(calls, served, oai):
    raw = track_ai("x")(lambda: oai.chat.completions.with_raw_response.create(**ASK))()
    assert (calls, raw.status_code, raw.headers["content-type"]) == ([], 200, "text/event-stream")
    assert len(list(raw.parse())) > 3
    assert [told(call) for call in calls] == [expected(served)]


def test_an_anthropic_raw_response_s_stream_is_read(calls, served, claude):
    ask = track_ai("x")(lambda: claude.messages.with_raw_response.create(**ASK_CLAUDE, stream=True))
    assert len(list(ask().parse())) > 3
    assert [told(call) for call in calls] == [expected(served, "claude-sonnet-5")]


def test_an_async_raw_response_s_stream_is_read(calls, served, async_oai):
    @track_ai("x")
    async def ask():
        return await async_oai.chat.completions.with_raw_response.create(**ASK)

    async def main():
        raw = await ask()
        return [chunk async for chunk in raw.parse()]

    assert len(ran(async_oai, main)) > 3
    assert [told(call) for call in calls] == [expected(served)]


def test_a_raw_response_whose_body_has_come_is_given_back_itself(calls, served, oai):
    made = []

    @track_ai("x")
    def ask():
        made.append(oai.chat.completions.with_raw_response.create(**WHOLE))
        return made[0]

    assert ask() is made[0]
    assert [told(call) for call in calls] == [expected(served, first=False)]


def test_a_raw_response_that_is_dropped_unread_is_abandoned(calls, oai):
    track_ai("x")(lambda: oai.chat.completions.with_raw_response.create(**ASK))()
    gc.collect()
    assert [call.outcome for call in calls] == ["abandoned"]


def test_a_raw_response_that_a_block_records_is_read_as_its_stream_passes(calls, served, oai):
    with track_ai("x") as call:
        raw = call.record(oai.chat.completions.with_raw_response.create(**ASK))
        list(raw.parse())
    assert [told(call) for call in calls] == [expected(served)]


def test_a_streaming_response_that_is_parsed_whole_is_read(calls, served, oai):
    ask = track_ai("x")(lambda: oai.chat.completions.with_streaming_response.create(**WHOLE))
    with ask() as response:
        assert response.parse().choices
        assert calls == []
    assert [told(call) for call in calls] == [expected(served, first=False)]


def test_a_streaming_response_whose_body_is_read_is_read_too(calls, served, oai):
    ask = track_ai("x")(lambda: oai.chat.completions.with_streaming_response.create(**WHOLE))
    with ask() as response:
        assert response.json()["object"] == "chat.completion"
    assert [told(call) for call in calls] == [expected(served, first=False)]


def test_a_streaming_response_s_stream_is_read_and_its_end_is_the_call_s(calls, served, oai):
    ask = track_ai("x")(lambda: oai.chat.completions.with_streaming_response.create(**ASK))
    with ask() as response:
        assert len(list(response.parse())) > 3
        assert [told(call) for call in calls] == [expected(served)]
    assert len(calls) == 1


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_the_lines_of_a_streaming_response_are_read(calls, served, oai, claude, provider):
    ask = {
        "openai": lambda: oai.chat.completions.with_streaming_response.create(**ASK),
        "anthropic": lambda: claude.messages.with_streaming_response.create(
            **ASK_CLAUDE, stream=True
        ),
    }
    with track_ai("x")(ask[provider])() as response:
        lines = list(response.iter_lines())
    events = [json.loads(line[5:]) for line in lines if line.startswith("data: {")]
    assert len(events) > 3
    model = WHOLE["model"] if provider == "openai" else "claude-sonnet-5"
    assert [told(call) for call in calls] == [expected(served, model)]


def test_a_streaming_response_left_before_its_end_is_cancelled(calls, oai):
    ask = track_ai("x")(lambda: oai.chat.completions.with_streaming_response.create(**ASK))
    with ask() as response:
        next(iter(response.parse()))
    assert [call.outcome for call in calls] == ["cancelled"]


def test_a_failure_inside_a_response_s_block_is_its_call_s(calls, oai):
    cut: Any = {**WHOLE, "extra_headers": {"x-scenario": "cut-off"}}
    ask = track_ai("x")(lambda: oai.chat.completions.with_streaming_response.create(**cut))
    with pytest.raises(Exception) as raised, ask() as response:  # noqa: PT011 - httpx2's own
        response.parse()
    assert [(call.outcome, call.error) for call in calls] == [("error", raised.value)]


def test_an_async_streaming_response_is_read_whole_and_as_a_stream(calls, served, async_oai):
    create = async_oai.chat.completions.with_streaming_response.create

    async def main():
        async with track_ai("x")(lambda: create(**WHOLE))() as response:
            assert (await response.parse()).choices
        async with track_ai("x")(lambda: create(**ASK))() as response:
            async for _ in await response.parse():
                pass
        async with track_ai("x")(lambda: create(**ASK))() as response:
            async for _ in response.iter_lines():
                pass

    ran(async_oai, main)
    assert [(call.outcome, call.time_to_first_token is not None) for call in calls] == [
        ("ok", False),
        ("ok", True),
        ("ok", True),
    ]
    tokens = served["gpt-4o"].tokens
    assert sum(call.tokens for call in calls) == tokens["input"] + tokens["output"]


# --- helpers, pages, tasks, blocks


def test_what_a_helper_reads_past_the_proxy_is_read(calls, served, claude):
    with track_ai("x")(lambda: claude.messages.stream(**ASK_CLAUDE))() as stream:
        assert "".join(stream.text_stream)
    assert [told(call) for call in calls] == [expected(served, "claude-sonnet-5")]


@pytest.mark.parametrize("way", ["async for", "await"])
def test_openai_s_pages_can_be_iterated_over_and_awaited(calls, async_oai, way):
    list_models = track_ai("x")(lambda: async_oai.models.list())

    async def main():
        if way == "async for":
            return [model.id async for model in list_models()]
        return [model.id for model in (await list_models()).data]

    assert ran(async_oai, main) == ["a", "b"]
    assert [call.outcome for call in calls] == ["ok"]


def test_the_stream_that_a_task_resolves_to_is_read(calls, served, async_oai):
    @track_ai("x")
    def ask():
        return asyncio.create_task(async_oai.chat.completions.create(**ASK))

    async def main():
        task = ask()
        assert type(task) is asyncio.Task
        return [chunk async for chunk in await task]

    assert len(ran(async_oai, main)) > 3
    assert [told(call) for call in calls] == [expected(served)]


def test_a_block_of_httpx_is_a_call_that_ends_with_it(calls, server):
    with httpx.Client() as client:
        ask = track_ai("x")(lambda: client.stream("GET", server.url + "/v1/models"))
        with ask() as response:
            assert json.loads(response.read()) == MODELS
            assert calls == []
    assert [call.outcome for call in calls] == ["ok"]


# --- items recorded one by one


def test_chunks_recorded_one_by_one_are_one_stream(calls, served, oai):
    with track_ai("x") as call:
        for chunk in oai.chat.completions.create(**ASK):
            assert call.record(chunk) is chunk
    assert [told(call) for call in calls] == [expected(served)]


def test_events_recorded_one_by_one_are_one_stream(calls, served, claude):
    with track_ai("x") as call:
        for event in claude.messages.create(**ASK_CLAUDE, stream=True):
            call.record(event)
    assert [told(call) for call in calls] == [expected(served, "claude-sonnet-5")]
    assert [used.model for used in calls[0].usage] == ["claude-sonnet-5"]


def test_a_client_s_stream_is_read_though_its_stand_in_is_not_used(calls, served, oai):
    with track_ai("x") as call:
        stream = oai.chat.completions.create(**ASK)
        call.record(stream)
        list(stream)
    assert [told(call) for call in calls] == [expected(served)]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_tracked_stream_whose_items_are_recorded_is_counted_once(
    calls, served, oai, claude, provider
):
    ask, model = {
        "openai": (lambda: oai.chat.completions.create(**ASK), "gpt-4o"),
        "anthropic": (
            lambda: claude.messages.create(**ASK_CLAUDE, stream=True),
            "claude-sonnet-5",
        ),
    }[provider]
    with track_ai("outer") as call:
        for item in track_ai("inner")(ask)():
            call.record(item)
    tokens = served[model].tokens
    assert {call.type: call.tokens for call in calls} == {
        "inner": tokens["input"] + tokens["output"],
        "outer": None,
    }
