"""A fuzz test of PromQL, in a process of its own: `python -m tests.promql.fuzz SECONDS SEED FILE`.

Each query stands in FILE while it runs, so that one that kills the process is known afterwards.
Whatever is not an answer or a `PromQLError` ends the process with its traceback; what hangs is
ended by an alarm.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from geomon.promql import PromQLError, query, query_range
from geomon.series import SeriesStore
from tests.promql.grammar import Grammar
from tests.promql.notation import load
from tests.promql.worlds import STEP, world

PATIENCE = 60  # seconds after which a query counts as one that hangs
WORDS = r"""
( ) [ ] { } , : = != =~ !~ == < > <= >= + - * / % ^ @ # " ' ` \ . _ $ ; & | ? ~ é ☺
and or unless atan2 on ignoring group_left group_right bool by without offset start() end()
sum avg topk count_values quantile rate absent absent_over_time label_replace label_join
histogram_quantile scalar vector time timestamp year clamp round sort predict_linear
requests_total odd up lonely job instance le __name__ nan inf 0x1f 1e308 -1 0 5m 1ms 1h30m 300y
[5m] [5m:] [1h:1ms] [5m:10s] {job="a"} {} 'a' "(" `x`
"""
TOKENS = [*WORDS.split(), "\0", "\n", "\u2028", "9" * 40, "(" * 20, "((((((((((up))))))))))"]
TIMES = [0.0, 1.0, 1001.0, -1e9, 1e12, 1e300, float("nan"), float("inf"), 1234.5678]
STEPS = [1.0, 16.0, 300.0, 0.0, -1.0, 1e-9, 1e300, float("nan")]


def soup(random: Random, _: Grammar) -> str:
    return " ".join(random.choices(TOKENS, k=random.randint(1, 30)))


def noise(random: Random, _: Grammar) -> str:
    if random.random() < 0.5:
        return random.randbytes(random.randint(0, 60)).decode("latin-1")
    return "".join(chr(random.randrange(0x110000)) for _ in range(random.randint(0, 30)))


def sentence(_: Random, grammar: Grammar) -> str:
    return grammar.expression().text


def mutant(random: Random, grammar: Grammar) -> str:
    text = grammar.expression().text
    for _ in range(random.randint(1, 4)):
        at, end = sorted(random.choices(range(len(text) + 1), k=2))
        new = random.choice(["", random.choice(TOKENS), text[at:end], chr(random.randrange(128))])
        text = text[:at] + new + text[random.choice([at, at + 1, end]) :]
    return text


def crossing(random: Random, grammar: Grammar) -> str:
    one, other = grammar.expression().text, grammar.expression().text
    return one[: random.randint(0, len(one))] + other[random.randint(0, len(other)) :]


def nest(random: Random, grammar: Grammar) -> str:
    inside = random.choice([grammar.expression().text, "up", "1"])
    start, end = random.choice(
        [("(", ")"), ("-", ""), ("sum(", ")"), ("abs(", ")"), ("1 + ", ""), ("2 ^ ", ""), ("!", "")]
    )
    times = random.choice([5, 50, 99, 300, 5000])
    return start * times + inside + end * times


KINDS: list[Callable[[Random, Grammar], str]] = [
    *[soup, noise, sentence, sentence, mutant, mutant, mutant, crossing, nest]
]


def ask(random: Random, text: str, store: SeriesStore) -> None:
    at = random.choice([*TIMES, random.uniform(0, 2500), random.uniform(0, 2500)])
    if random.random() < 0.7:
        query(text, store, at)
    else:
        query_range(text, store, at, at + random.choice([0, 100, 1e4]), random.choice(STEPS))


def run(seconds: float, seed: int, path: Path) -> int:
    """Ask random queries for that long; give how many."""
    faulthandler.enable()
    random = Random(seed)
    grammar = Grammar(random)
    end = time.monotonic() + seconds
    asked = 0
    with path.open("wb", buffering=0) as file:
        while time.monotonic() < end:
            series = world(random)
            store = load("\n".join(" ".join(pair) for pair in series), STEP)
            for _ in range(500):
                text = random.choice(KINDS)(random, grammar)
                note = text.encode("utf-8", "backslashreplace")
                os.pwrite(file.fileno(), note + b"\0\n", 0)
                signal.alarm(PATIENCE)
                with contextlib.suppress(PromQLError):
                    ask(random, text, store)
                signal.alarm(0)
                asked += 1
    return asked


if __name__ == "__main__":
    print(run(float(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])), "queries")
