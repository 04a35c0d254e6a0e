"""The official AI clients over instrumented httpx2: nothing of theirs breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

import geomon
from examples.provider_server import ProviderServer

ASK: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
ASK_CLAUDE: Any = {**ASK, "model": "claude-next", "max_tokens": 99}

pytestmark = pytest.mark.usefixtures("instrumented")


@pytest.fixture(scope="module")
def provider() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture
def openai_client(provider: ProviderServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="k", base_url=provider.url + "/v1", max_retries=0) as client:
        yield client


@pytest.fixture
def anthropic_client(provider: ProviderServer) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="k", base_url=provider.url, max_retries=0) as client:
        yield client


def said(calls: Any) -> list[tuple[Any, ...]]:
    return [
        (call.method, call.status, call.outcome) for call in calls if call.kind == "client_request"
    ]


def test_openais_calls_are_requests(openai_client, calls):
    with geomon.track_ai("chat") as call:
        call.record(openai_client.chat.completions.create(**ASK))
    assert said(calls) == [("POST", 200, "ok")]
    assert (calls[-1].kind, calls[-1].model, calls[-1].metered) == ("ai", "gpt-4o", True)


def test_openais_streams_are_requests_to_their_end(openai_client, calls):
    with openai_client.chat.completions.create(**ASK, stream=True) as stream:
        assert len(list(stream)) > 3
    assert said(calls) == [("POST", 200, "ok")]


def test_openais_raw_responses_work(openai_client, calls):
    raw = openai_client.chat.completions.with_raw_response.create(**ASK)
    assert raw.http_response.status_code == 200
    assert raw.parse().choices
    streamed = openai_client.chat.completions.with_raw_response.create(**ASK, stream=True)
    assert len(list(streamed.parse())) > 3
    with openai_client.chat.completions.with_streaming_response.create(**ASK) as response:
        assert b"choices" in b"".join(response.iter_bytes())
    with openai_client.chat.completions.with_streaming_response.create(**ASK, stream=True) as more:
        assert [line for line in more.iter_lines() if line.startswith("data:")]
    assert said(calls) == [("POST", 200, "ok")] * 4


def test_openais_async_client_works(provider, calls):
    async def main() -> int:
        async with openai.AsyncOpenAI(
            api_key="k", base_url=provider.url + "/v1", max_retries=0
        ) as client:
            await client.chat.completions.create(**ASK)
            stream = await client.chat.completions.create(**ASK, stream=True)
            chunks = len([chunk async for chunk in stream])
            raw = await client.chat.completions.with_raw_response.create(**ASK)
            assert raw.http_response.elapsed.total_seconds() >= 0
            await client.close()
            return chunks

    assert asyncio.run(main()) > 3
    assert said(calls) == [("POST", 200, "ok")] * 3


def test_each_retry_of_a_client_is_a_request(provider, calls):
    client = openai.OpenAI(
        api_key="k",
        base_url=provider.url + "/v1",
        max_retries=1,
        default_headers={"x-scenario": "server-error"},
    )
    with pytest.raises(openai.InternalServerError):
        client.with_options(timeout=5).chat.completions.create(**ASK)
    client.close()
    assert said(calls) == [("POST", 500, "error")] * 2


def test_a_providers_error_is_the_clients_own(openai_client, calls):
    with pytest.raises(openai.RateLimitError) as raised:
        openai_client.chat.completions.create(**ASK, extra_headers={"x-scenario": "rate-limit"})
    assert (raised.value.status_code, bool(raised.value.body)) == (429, True)
    assert said(calls) == [("POST", 429, "ok")]


def test_an_answer_that_breaks_off_is_the_clients_own_error(openai_client, calls):
    with pytest.raises(openai.APIConnectionError):
        openai_client.chat.completions.create(**ASK, extra_headers={"x-scenario": "cut-off"})
    assert said(calls) == [("POST", 200, "error")]


def test_anthropics_calls_and_streams_are_requests(anthropic_client, calls):
    assert anthropic_client.messages.create(**ASK_CLAUDE).content
    with anthropic_client.messages.stream(**ASK_CLAUDE) as stream:
        assert stream.get_final_message().content
    events = anthropic_client.messages.create(**ASK_CLAUDE, stream=True)
    assert len(list(events)) > 3
    raw = anthropic_client.messages.with_raw_response.create(**ASK_CLAUDE)
    assert raw.parse().content
    assert said(calls) == [("POST", 200, "ok")] * 4


def test_a_stream_of_anthropics_that_is_closed_early_is_cancelled(anthropic_client, calls):
    with anthropic_client.messages.create(
        **ASK_CLAUDE, stream=True, extra_headers={"x-scenario": "slow"}
    ) as stream:
        next(iter(stream))
    assert said(calls) == [("POST", 200, "cancelled")]


def test_anthropics_async_streams_are_requests(provider, calls):
    async def main() -> Any:
        async with anthropic.AsyncAnthropic(
            api_key="k", base_url=provider.url, max_retries=0
        ) as client:
            async with client.messages.stream(**ASK_CLAUDE) as stream:
                return await stream.get_final_message()

    assert asyncio.run(main()).content
    assert said(calls) == [("POST", 200, "ok")]
