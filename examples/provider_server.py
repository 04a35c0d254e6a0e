"""An HTTP server on loopback that answers as OpenAI and Anthropic do, and keeps a ledger.

    with ProviderServer() as server:
        client = openai.OpenAI(api_key="any", base_url=server.url + "/v1", max_retries=0)
        ...
        print(server.ledger.models["gpt-4o"].tokens)

The request header `x-scenario` says how the call goes: `ok`, `slow`, `rate-limit` (429),
`server-error` (500) or `cut-off` (the connection closes in the middle of the answer). Everything
else follows from the request: the same request gets the same answer, tokens and delay.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import zlib
from array import array
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

Body = dict[str, Any]
Event = tuple[str | None, Body | str]

ANSWER = "The quarter closed well ahead of plan , and every region grew ."
WORDS = ANSWER.split()
SLOWER = 12
"""How many times longer a `slow` call takes."""


@dataclass
class ModelLedger:
    """What the server knows it served for one model."""

    requests: int = 0
    ok: int = 0
    errors: Counter[int] = field(default_factory=Counter)
    """Error answers by HTTP status."""
    cut_off: int = 0
    """Answers broken off in the middle."""
    tokens: Counter[str] = field(default_factory=Counter)
    """Tokens told to clients: `input`, `output`, `cached_input`, `cache_write`, `reasoning`.

    Final counts only. The start of an Anthropic stream tells the input for good, and of the output
    what is generated so far: where the stream is then cut off, no output stands here.
    """

    @property
    def failed(self) -> int:
        """Requests that the client could not get a whole answer to."""
        return self.errors.total() + self.cut_off


class Ledger:
    """One `ModelLedger` a model. An entry stands before the client has the end of its answer."""

    def __init__(self) -> None:
        self.models: dict[str, ModelLedger] = {}
        self._lock = threading.Lock()

    def write(
        self,
        model: str,
        *,
        requests: int = 0,
        ok: int = 0,
        status: int | None = None,
        cut_off: int = 0,
        tokens: dict[str, int] | None = None,
    ) -> None:
        """Add to what is known of `model`."""
        with self._lock:
            entry = self.models.setdefault(model, ModelLedger())
            entry.requests += requests
            entry.ok += ok
            entry.cut_off += cut_off
            if status is not None:
                entry.errors[status] += 1
            entry.tokens.update(tokens or {})


class ProviderServer:
    """The running server, for a with-block.

    Attributes:
        url: Where it listens, without a path: `http://127.0.0.1:41234`.
        ledger: What it served so far.
    """

    def __init__(self) -> None:
        self.ledger = Ledger()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.ledger = self.ledger
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="provider-server", daemon=True
        )

    def __enter__(self) -> ProviderServer:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    ledger: Ledger


class _Tokens(NamedTuple):
    input: int
    output: int
    cached_input: int
    cache_write: int
    reasoning: int


class _Answer(NamedTuple):
    """One answer, in the two forms a client may ask for."""

    body: Body
    events: list[Event]
    tokens: dict[str, int]
    """Told by a whole answer."""
    first_tokens: dict[str, int]
    """Told at the start of a stream already."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        """Serve one connection, until either side closes it; a client may at any time."""
        with suppress(ConnectionError):
            super().handle()

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the ledger holds it all."""

    def _answer(self, request: Body) -> None:
        make = _ROUTES.get(self.path)
        if make is None:
            self._send(404, _ERRORS["anthropic"]("not_found_error", f"no {self.path} here"))
            return
        scenario = self.headers.get("x-scenario", "ok")
        self.server.ledger.write(request["model"], requests=1)
        if scenario in _FAILURES:
            self._fail(request["model"], *_FAILURES[scenario])
            return
        seed = zlib.crc32(json.dumps(request, sort_keys=True).encode())
        pause = (0.004 + seed % 7 * 0.001) * (SLOWER if scenario == "slow" else 1)
        answer = make(request, _count_tokens(request, seed))
        send = self._send_events if request.get("stream") else self._send_body
        send(request["model"], answer, pause, scenario == "cut-off")

    def _fail(self, model: str, status: int, code: str) -> None:
        time.sleep(0.005)
        self.server.ledger.write(model, status=status)
        provider = "anthropic" if self.path == "/v1/messages" else "openai"
        self._send(status, _ERRORS[provider](code, "scenario"))

    def _send_body(self, model: str, answer: _Answer, pause: float, cut_off: bool) -> None:
        time.sleep(pause * 5)
        if cut_off:
            self.server.ledger.write(model, cut_off=1)
        else:
            self.server.ledger.write(model, ok=1, tokens=answer.tokens)
        self._send(200, answer.body, cut_off)

    def _send_events(self, model: str, answer: _Answer, pause: float, cut_off: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        time.sleep(pause * 2)
        events = answer.events[: len(answer.events) // 2] if cut_off else answer.events
        for event in events[:-1]:
            self._send_chunk(_encode(event))
            time.sleep(pause / 2)
        if cut_off:
            self.server.ledger.write(model, cut_off=1, tokens=answer.first_tokens)
        else:
            self.server.ledger.write(model, ok=1, tokens=answer.tokens)
        self._send_chunk(_encode(events[-1]))
        if cut_off:
            self.close_connection = True
        else:
            self._send_chunk(b"")

    def _send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _send(self, status: int, body: Body, cut_off: bool = False) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut_off else data)
        self.close_connection = self.close_connection or cut_off


def _encode(event: Event) -> bytes:
    name, data = event
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def _count_tokens(request: Body, seed: int) -> _Tokens:
    """Counts that follow from the request: made up, but always the same and never all alike."""
    thinks = request["model"].startswith("o")
    reasoning = 32 + seed % 64 if thinks else 0
    cached = 1024 if seed % 3 == 0 else 0
    written = 512 if seed % 5 == 0 and not cached else 0
    return _Tokens(
        input=40 + seed % 200 + cached + written,
        output=len(WORDS) + seed % 40 + reasoning,
        cached_input=cached,
        cache_write=written,
        reasoning=reasoning,
    )


def _chat_completion(request: Body, tokens: _Tokens) -> _Answer:
    usage = {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached_input},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }
    head = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": request["model"]}
    message = {"role": "assistant", "content": ANSWER}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = head | {"object": "chat.completion", "choices": [choice], "usage": usage}
    told = _told(tokens, cache_write=0)

    def chunk(**values: Any) -> Event:
        return None, head | {"object": "chat.completion.chunk"} | values

    def delta(content: Body, finish_reason: str | None = None) -> Event:
        choice = {"index": 0, "delta": content, "finish_reason": finish_reason}
        return chunk(choices=[choice])

    events = [delta({"role": "assistant", "content": ""})]
    events += [delta({"content": word + " "}) for word in WORDS]
    events += [delta({}, "stop")]
    include_usage = (request.get("stream_options") or {}).get("include_usage")
    if include_usage:
        events += [chunk(choices=[], usage=usage)]
    if request.get("stream") and not include_usage:
        told = {}
    return _Answer(body, [*events, (None, "[DONE]")], told, {})


def _response(request: Body, tokens: _Tokens) -> _Answer:
    content = {"type": "output_text", "text": ANSWER, "annotations": []}
    item: Body = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant"}
    body: Body = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "model": request["model"],
        "output": [item | {"content": [content]}],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": tokens.input,
            "input_tokens_details": {"cached_tokens": tokens.cached_input},
            "output_tokens": tokens.output,
            "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
            "total_tokens": tokens.input + tokens.output,
        },
    }
    started = body | {"status": "in_progress", "output": [], "usage": None}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    steps: list[tuple[str, Body]] = [
        ("response.created", {"response": started}),
        ("response.output_item.added", {"output_index": 0, "item": item | {"content": []}}),
        ("response.content_part.added", place | {"part": content | {"text": ""}}),
        *(
            ("response.output_text.delta", place | {"delta": word + " ", "logprobs": []})
            for word in WORDS
        ),
        ("response.output_text.done", place | {"text": content["text"], "logprobs": []}),
        ("response.content_part.done", place | {"part": content}),
        ("response.output_item.done", {"output_index": 0, "item": body["output"][0]}),
        ("response.completed", {"response": body}),
    ]
    events: list[Event] = [
        (name, {"type": name, "sequence_number": number} | values)
        for number, (name, values) in enumerate(steps)
    ]
    return _Answer(body, events, _told(tokens, cache_write=0), {})


def _embeddings(request: Body, tokens: _Tokens) -> _Answer:
    vector = array("f", [0.25, -0.5, 0.125])
    as_text = request.get("encoding_format") == "base64"
    embedding = base64.b64encode(vector.tobytes()).decode() if as_text else vector.tolist()
    texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
    body = {
        "object": "list",
        "model": request["model"],
        "data": [
            {"object": "embedding", "index": index, "embedding": embedding}
            for index in range(len(texts))
        ],
        "usage": {"prompt_tokens": tokens.input, "total_tokens": tokens.input},
    }
    return _Answer(body, [], {"input": tokens.input}, {})


def _message(request: Body, tokens: _Tokens) -> _Answer:
    told_first = {
        "input_tokens": tokens.input - tokens.cached_input - tokens.cache_write,
        "cache_read_input_tokens": tokens.cached_input,
        "cache_creation_input_tokens": tokens.cache_write,
        "output_tokens": 1,
    }
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": [{"type": "text", "text": ANSWER}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": told_first | {"output_tokens": tokens.output},
    }
    started = body | {"content": [], "stop_reason": None, "usage": told_first}
    steps: list[tuple[str, Body]] = [
        ("message_start", {"message": started}),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        *(
            (
                "content_block_delta",
                {"index": 0, "delta": {"type": "text_delta", "text": word + " "}},
            )
            for word in WORDS
        ),
        ("content_block_stop", {"index": 0}),
        (
            "message_delta",
            {
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": tokens.output},
            },
        ),
        ("message_stop", {}),
    ]
    events: list[Event] = [(name, {"type": name} | values) for name, values in steps]
    # Anthropic thinks within `output_tokens`, and tells no reasoning tokens apart
    first = _told(tokens, reasoning=0, output=0)
    return _Answer(body, events, _told(tokens, reasoning=0), first)


def _told(tokens: _Tokens, **instead: int) -> dict[str, int]:
    return tokens._replace(**instead)._asdict()


def _openai_error(code: str, message: str) -> Body:
    return {"error": {"message": message, "type": code, "param": None, "code": code}}


def _anthropic_error(code: str, message: str) -> Body:
    return {"type": "error", "error": {"type": code, "message": message}, "request_id": "req_1"}


_ROUTES: dict[str, Callable[[Body, _Tokens], _Answer]] = {
    "/v1/chat/completions": _chat_completion,
    "/v1/responses": _response,
    "/v1/embeddings": _embeddings,
    "/v1/messages": _message,
}
_FAILURES = {"rate-limit": (429, "rate_limit_error"), "server-error": (500, "server_error")}
_ERRORS = {"openai": _openai_error, "anthropic": _anthropic_error}
