"""What geomon sees of a program that calls OpenAI and Anthropic, checked against their own books.

    python examples/demo.py

The official clients make a few hundred calls to a server on this machine that speaks both wire
formats and keeps a ledger. No key, no network, no cost. Exits with 1 if any number differs.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import math
import statistics
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import anthropic
import openai
from anthropic.types import RawMessageStreamEvent
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response
from prometheus_client import CollectorRegistry, generate_latest
from provider_server import ModelLedger, ProviderServer
from rich import box
from rich.console import Console
from rich.json import JSON
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

import geomon
from geomon.call import Call

KINDS = ("input", "output", "cached_input", "cache_write", "reasoning")
SCENARIOS = {3: "rate-limit", 7: "slow", 9: "cut-off", 13: "server-error", 17: "slow"}
"""How the calls of each feature go, in every 20 of them; the others go well."""


class Assistant:
    """The program that is watched. Only the lines with `geomon` in them are about geomon."""

    def __init__(self, url: str) -> None:
        v1, key = f"{url}/v1", "not-needed"
        self.openai = openai.OpenAI(base_url=v1, api_key=key, max_retries=0)
        self.openai_async = openai.AsyncOpenAI(base_url=v1, api_key=key, max_retries=0)
        self.claude = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)
        self.claude_async = anthropic.AsyncAnthropic(base_url=url, api_key=key, max_retries=0)

    @geomon.track_ai("summarize", model="gpt-4o-mini")
    def summarize(self, prompt: str, headers: dict[str, str]) -> ChatCompletion:
        """Return the client's response: it is read on its way out."""
        return self.openai.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": prompt}],
            extra_headers=headers,
        )

    @geomon.track_ai("draft", model="gpt-4o")
    def draft(self, prompt: str, headers: dict[str, str]) -> openai.Stream[ChatCompletionChunk]:
        """Return a stream: the call ends when the stream does."""
        return self.openai.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": prompt}],
            stream=True,
            stream_options={"include_usage": True},
            extra_headers=headers,
        )

    @geomon.track_ai("plan", model="o4-mini")
    async def plan(self, prompt: str, headers: dict[str, str]) -> Response:
        """Async functions work alike."""
        return await self.openai_async.responses.create(
            model="o4-mini", input=prompt, extra_headers=headers
        )

    @geomon.track_ai("search", model="text-embedding-3-small")
    def search(self, prompt: str, headers: dict[str, str]) -> list[float]:
        """Return something of one's own: `record` reads the response."""
        response = self.openai.embeddings.create(
            model="text-embedding-3-small", input=prompt, extra_headers=headers
        )
        geomon.record(response)
        return response.data[0].embedding

    @geomon.track_ai("chat", model="claude-sonnet-5")
    async def chat(
        self, prompt: str, headers: dict[str, str]
    ) -> anthropic.AsyncStream[RawMessageStreamEvent]:
        """Return an async stream."""
        return await self.claude_async.messages.create(
            model="claude-sonnet-5",
            max_tokens=200,
            messages=[{"role": "user", "content": prompt}],
            stream=True,
            extra_headers=headers,
        )

    def tag(self, prompt: str, headers: dict[str, str]) -> str:
        """Track a block instead of a function."""
        with geomon.track_ai("tag", model="claude-haiku-4-5") as call:
            message = self.claude.messages.create(
                model="claude-haiku-4-5",
                max_tokens=20,
                messages=[{"role": "user", "content": prompt}],
                extra_headers=headers,
            )
            call.record(message)
        return str(message.stop_reason)

    async def close(self) -> None:
        """Close all clients."""
        self.openai.close()
        self.claude.close()
        await self.openai_async.close()
        await self.claude_async.close()


class Check(NamedTuple):
    """One number, from three places."""

    model: str
    what: str
    in_records: float
    in_metrics: float
    in_ledger: float

    @property
    def agrees(self) -> bool:
        """Whether all three are the same."""
        return self.in_records == self.in_metrics == self.in_ledger


@dataclass
class Outcome:
    """What a run left behind."""

    calls: list[Call]
    records: list[logging.LogRecord]
    meter: Any
    registry: CollectorRegistry
    checks: list[Check]

    @property
    def agrees(self) -> bool:
        """Whether every number is the same everywhere."""
        return self.meter_agrees and all(check.agrees for check in self.checks)

    @property
    def meter_agrees(self) -> bool:
        """Whether the program's own meter adds up to the same."""
        tokens = sum(call.tokens or 0 for call in self.calls)
        cost = sum(call.cost or 0.0 for call in self.calls)
        return (self.meter.calls, self.meter.tokens) == (len(self.calls), tokens) and math.isclose(
            self.meter.cost, cost, abs_tol=1e-9
        )


def run(calls: int, progress: Callable[[], object] = lambda: None) -> Outcome:
    """Make `calls` calls, and compare what geomon saw with what the server served.

    `progress` is called after each of them.
    """
    seen: list[Call] = []
    registry = CollectorRegistry()
    with (
        ProviderServer() as server,
        _Records() as records,
        geomon.configure(registry=registry, sinks=[seen.append], console=False),
        geomon.meter() as meter,
    ):
        asyncio.run(_make_calls(calls, server.url, progress))
    served = server.ledger.models
    models = {str(call.model) for call in seen} | served.keys()
    checks = [
        check
        for model in sorted(models)
        for check in _compare(model, served.get(model, ModelLedger()), seen, registry)
    ]
    return Outcome(seen, records.records, meter, registry, checks)


async def _make_calls(calls: int, url: str, progress: Callable[[], object]) -> None:
    assistant = Assistant(url)
    features: list[Callable[..., Any]] = [
        assistant.summarize,
        assistant.draft,
        assistant.plan,
        assistant.search,
        assistant.chat,
        assistant.tag,
    ]
    at_once = asyncio.Semaphore(12)

    async def one(number: int) -> None:
        async with at_once:
            with geomon.bind(request_id=f"r-{number}", user_id=f"u-{number % 7}"):
                scenario = SCENARIOS.get(number // len(features) % 20, "ok")
                feature = features[number % len(features)]
                await _use(feature, f"Question {number}", {"x-scenario": scenario})
            progress()

    await asyncio.gather(*(one(number) for number in range(calls)))
    await assistant.close()


async def _use(feature: Callable[..., Any], prompt: str, headers: dict[str, str]) -> None:
    """Call one feature as a web handler would: read its stream, survive its errors."""
    try:
        if inspect.iscoroutinefunction(feature):
            answer = await feature(prompt, headers)
            if hasattr(answer, "__aiter__"):
                async for _ in answer:
                    pass
        else:
            await asyncio.to_thread(_use_in_thread, feature, prompt, headers)
    except Exception:
        return  # asked for by the scenario; geomon has seen it


def _use_in_thread(feature: Callable[..., Any], prompt: str, headers: dict[str, str]) -> None:
    answer = feature(prompt, headers)
    if hasattr(answer, "__next__"):
        for _ in answer:
            pass


class _Records(logging.Handler):
    """Keeps geomon's log records, where a program would write them to a file."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self._logger = logging.getLogger("geomon.ai")
        self._level = self._logger.level

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def __enter__(self) -> _Records:
        self._logger.addHandler(self)
        self._logger.setLevel(logging.INFO)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(self._level)


def _compare(
    model: str, ledger: ModelLedger, seen: list[Call], registry: CollectorRegistry
) -> list[Check]:
    calls = [call for call in seen if call.model == model]
    by_error = Counter(call.error_type for call in calls if call.outcome != "ok")

    def counted(metric: str, **labels: str) -> float:
        return sum(
            sample.value
            for family in registry.collect()
            for sample in family.samples
            if sample.name == metric
            and (labels | {"model": model}).items() <= sample.labels.items()
        )

    def errors(what: str, error_type: str, served: int) -> Check:
        shown = counted("ai_errors_total", error_type=error_type)
        return Check(model, what, by_error[error_type], shown, served)

    def tokens(kind: str) -> Check:
        used = sum(getattr(u, kind) or 0 for call in calls for u in call.usage)
        shown = counted("ai_tokens_total", token_type=kind)
        return Check(model, f"{kind} tokens", used, shown, ledger.tokens[kind])

    requests = counted("ai_requests_total")
    answered = requests - counted("ai_errors_total")
    checks = [
        Check(model, "requests", len(calls), requests, ledger.requests),
        Check(model, "answered", len(calls) - by_error.total(), answered, ledger.ok),
        errors("429 rate limit", "rate_limit", ledger.errors[429]),
        errors("500 server error", "server_error", ledger.errors[500]),
        errors("cut off midway", "connection", ledger.cut_off),
    ]
    return checks + [check for kind in KINDS if any((check := tokens(kind))[2:])]


# --- for people


def main(calls: int = 360) -> int:
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    console.rule("[bold]geomon[/bold]: your AI calls, seen from inside")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("calling OpenAI and Anthropic", total=calls)
        outcome = run(calls, lambda: bar.advance(task))
    _show_table(console, outcome)
    _show_record(console, outcome)
    _show_metrics(console, outcome)
    _show_checks(console, outcome)
    return 0 if outcome.agrees else 1


def _show_table(console: Console, outcome: Outcome) -> None:
    table = Table(box=box.SIMPLE_HEAD, title="Every call, by feature", title_justify="left")
    table.add_column("type", style="cyan")
    table.add_column("model")
    for heading in ("calls", "errors", "p50", "p95", "first token", "tokens in", "out", "cost"):
        table.add_column(heading, justify="right")
    for key in sorted({(call.type, call.model) for call in outcome.calls}, key=str):
        calls = [call for call in outcome.calls if (call.type, call.model) == key]
        table.add_row(str(key[0]), str(key[1]), *_row(calls))
    table.add_section()
    table.add_row("all", "", *_row(outcome.calls), style="bold")
    console.print(table)


def _row(calls: list[Call]) -> list[str]:
    failed = sum(call.outcome != "ok" for call in calls)
    first = [call.time_to_first_token for call in calls if call.time_to_first_token is not None]
    usage = [used for call in calls for used in call.usage]
    return [
        str(len(calls)),
        f"[red]{failed}[/red]" if failed else "0",
        _milliseconds([call.duration for call in calls], 0.5),
        _milliseconds([call.duration for call in calls], 0.95),
        _milliseconds(first, 0.5),
        f"{sum(used.input or 0 for used in usage):,}",
        f"{sum(used.output or 0 for used in usage):,}",
        f"${sum(call.cost or 0.0 for call in calls):.4f}",
    ]


def _milliseconds(seconds: list[float], quantile: float) -> str:
    if len(seconds) < 2:
        return f"{seconds[0] * 1000:.0f} ms" if seconds else "-"
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return f"{cuts[round(quantile * 100) - 1] * 1000:.0f} ms"


def _show_record(console: Console, outcome: Outcome) -> None:
    record = next(
        r for r in outcome.records if vars(r)["outcome"] == "ok" and vars(r)["type"] == "draft"
    )
    usual = vars(logging.makeLogRecord({})).keys() | {"message", "taskName"}
    extras = {name: value for name, value in vars(record).items() if name not in usual}
    console.print(f"One of {len(outcome.records)} log records of {record.name}:")
    console.print(JSON(json.dumps({"message": record.getMessage()} | extras, default=str)))


def _show_metrics(console: Console, outcome: Outcome) -> None:
    lines = generate_latest(outcome.registry).decode().splitlines()
    shown = [
        line
        for line in lines
        if line.startswith("ai_")
        and 'type="draft"' in line
        and not line.split("{")[0].endswith(("_bucket", "_created"))
    ]
    console.print(f"\n/metrics, {len(shown)} of {len(lines)} lines:")
    for line in shown:
        console.print(f"  {line}", markup=False, soft_wrap=True)
    console.print()


def _show_checks(console: Console, outcome: Outcome) -> None:
    table = Table(box=box.SIMPLE_HEAD, title="Does it add up?", title_justify="left")
    table.add_column("model")
    table.add_column("what")
    for heading in ("in the table", "in /metrics", "in the server's ledger", ""):
        table.add_column(heading, justify="right")
    for check in outcome.checks:
        verdict = "[green]equal[/green]" if check.agrees else "[bold red]DIFFERS[/bold red]"
        numbers = (f"{n:,.0f}" for n in (check.in_records, check.in_metrics, check.in_ledger))
        table.add_row(check.model, check.what, *numbers, verdict)
    console.print(table)
    equal = sum(check.agrees for check in outcome.checks)
    style = "bold green" if outcome.agrees else "bold red"
    console.print(f"{equal} of {len(outcome.checks)} numbers agree.", style=style)
    meter = outcome.meter
    sums = f"{meter.calls} calls, {meter.tokens:,} tokens, ${meter.cost:.4f}"
    console.print(f"geomon.meter(): {sums}: {'equal' if outcome.meter_agrees else 'DIFFERS'}")


if __name__ == "__main__":
    sys.exit(main())
