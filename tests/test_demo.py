from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
MESSAGES: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture(autouse=True)
def examples_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))


@pytest.fixture
def server() -> Iterator[Any]:
    from provider_server import ProviderServer

    with ProviderServer() as server:
        yield server


@pytest.fixture
def openai_client(server: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=0) as client:
        yield client


@pytest.fixture
def anthropic_client(server: Any) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="k", base_url=server.url, max_retries=0) as client:
        yield client


# The demo


@pytest.fixture(scope="module")
def outcome() -> Any:
    sys.path.insert(0, str(EXAMPLES))
    try:
        import demo

        return demo.run(120)
    finally:
        sys.path.remove(str(EXAMPLES))


def test_every_number_shown_is_the_servers(outcome: Any) -> None:
    assert [check for check in outcome.checks if not check.agrees] == []


def test_every_model_and_every_way_to_fail_is_compared(outcome: Any) -> None:
    served = {(check.model, check.what): check.in_ledger for check in outcome.checks}
    models = (
        "claude-haiku-4-5",
        "claude-sonnet-5",
        "gpt-4o",
        "gpt-4o-mini",
        "o4-mini",
        "text-embedding-3-small",
    )
    whats = {"requests": 20, "429 rate limit": 1, "500 server error": 1, "cut off midway": 1}
    assert {(model, what): served[model, what] for model in models for what in whats} == {
        (model, what): number for model in models for what, number in whats.items()
    }
    assert {model for model, _ in served} == set(models)
    assert min(served.values()) > 0


def test_the_meter_adds_up_to_the_calls(outcome: Any) -> None:
    assert outcome.meter_agrees


def test_every_call_is_one_log_record_that_carries_its_user(outcome: Any) -> None:
    requests = {vars(record)["request_id"] for record in outcome.records}
    assert (len(outcome.records), len(requests)) == (120, 120)
    assert all(vars(record)["user_id"].startswith("u-") for record in outcome.records)


def test_streams_have_a_time_to_first_token(outcome: Any) -> None:
    answered = [call for call in outcome.calls if call.outcome == "ok"]
    timed = {call.type for call in answered if call.time_to_first_token is not None}
    assert timed == {"draft", "chat"}


def test_numbers_that_differ_are_said_and_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import demo
    import provider_server

    write = provider_server.Ledger.write

    def write_twice(self: Any, model: str, **values: Any) -> None:
        write(self, model, **values)
        write(self, model, **values)

    monkeypatch.setattr(provider_server.Ledger, "write", write_twice)
    assert demo.main(12) == 1
    assert "DIFFERS" in capsys.readouterr().out


def test_calls_that_never_reached_the_server_are_a_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import demo

    def fail(*args: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(anthropic.resources.Messages, "create", fail)
    outcome = demo.run(12)
    assert {check.model for check in outcome.checks if not check.agrees} == {"claude-haiku-4-5"}


def test_the_command_says_that_all_is_equal_in_plain_text() -> None:
    environment = os.environ | {"PYTHONPATH": str(EXAMPLES.parent), "PYTHONWARNINGS": "error"}
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "demo.py")],
        capture_output=True,
        text=True,
        env=environment | {"PYTHONIOENCODING": "utf-8"},
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "DIFFERS" not in done.stdout
    assert "\x1b" not in done.stdout


# The server


@pytest.mark.parametrize("stream", [False, True])
def test_openai_chat(server: Any, openai_client: openai.OpenAI, stream: bool) -> None:
    create: Any = openai_client.chat.completions.create
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    answer = create(model="gpt-4o", messages=MESSAGES, **options)
    usage = list(answer)[-1].usage if stream else answer.usage
    entry = server.ledger.models["gpt-4o"]
    assert (entry.requests, entry.ok, entry.failed) == (1, 1, 0)
    assert (entry.tokens["input"], entry.tokens["output"], entry.tokens["cached_input"]) == (
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.prompt_tokens_details.cached_tokens,
    )


def test_openai_streams_tell_no_usage_unasked(server: Any, openai_client: openai.OpenAI) -> None:
    stream = openai_client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    assert [chunk.usage for chunk in stream if chunk.usage] == []
    assert server.ledger.models["gpt-4o"].tokens.total() == 0


@pytest.mark.parametrize("stream", [False, True])
def test_openai_responses(server: Any, openai_client: openai.OpenAI, stream: bool) -> None:
    if stream:
        with openai_client.responses.stream(model="o4-mini", input="hello") as events:
            response: Any = events.get_final_response()
    else:
        response = openai_client.responses.create(model="o4-mini", input="hello")
    tokens = server.ledger.models["o4-mini"].tokens
    assert response.output_text.startswith("The quarter")
    assert (tokens["input"], tokens["output"], tokens["reasoning"]) == (
        response.usage.input_tokens,
        response.usage.output_tokens,
        response.usage.output_tokens_details.reasoning_tokens,
    )
    assert tokens["reasoning"] > 0


def test_openai_embeddings(server: Any, openai_client: openai.OpenAI) -> None:
    response = openai_client.embeddings.create(model="embed", input=["a", "b"])
    assert [item.embedding for item in response.data] == [[0.25, -0.5, 0.125]] * 2
    assert server.ledger.models["embed"].tokens == {"input": response.usage.prompt_tokens}


@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_messages(
    server: Any, anthropic_client: anthropic.Anthropic, stream: bool
) -> None:
    if stream:
        with anthropic_client.messages.stream(
            model="claude", max_tokens=9, messages=MESSAGES
        ) as events:
            message: Any = events.get_final_message()
    else:
        message = anthropic_client.messages.create(model="claude", max_tokens=9, messages=MESSAGES)
    tokens, usage = server.ledger.models["claude"].tokens, message.usage
    assert message.content[0].text.strip().startswith("The quarter")
    assert tokens["output"] == usage.output_tokens
    assert tokens["input"] == (
        usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens
    )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("scenario", "kinds"),
    [
        ("rate-limit", ["RateLimitError"]),
        ("server-error", ["InternalServerError"]),
        ("cut-off", ["APIConnectionError", "RemoteProtocolError"]),
    ],
)
def test_each_way_to_fail_reaches_the_client_and_the_ledger(
    server: Any,
    openai_client: openai.OpenAI,
    anthropic_client: anthropic.Anthropic,
    scenario: str,
    kinds: list[str],
    stream: bool,
) -> None:
    creates: list[tuple[Any, dict[str, Any]]] = [
        (openai_client.chat.completions.create, {"model": "gpt-4o"}),
        (anthropic_client.messages.create, {"model": "claude", "max_tokens": 9}),
    ]
    for create, options in creates:
        headers = {"x-scenario": scenario}
        with pytest.raises(Exception) as raised:  # noqa: PT011 - the clients differ; named below
            list(create(messages=MESSAGES, stream=stream, extra_headers=headers, **options))
        assert raised.type.__name__ in kinds
        entry = server.ledger.models[options["model"]]
        assert (entry.requests, entry.ok, entry.failed) == (1, 0, 1)


# An outage


def test_an_outage_is_told_and_so_is_its_end() -> None:
    command = [sys.executable, str(EXAMPLES / "outage.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    states = [line.split()[2] for line in done.stdout.splitlines()[1:5]]
    assert states == ["inactive", "pending", "firing", "resolved"]
    assert done.stdout.count('"alertname": "AIErrorRatioHigh"') == 4
