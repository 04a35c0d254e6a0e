"""The expression of `where`: what it means, what it refuses, and that it only ever refuses."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomon.logs.needles import lines_with
from geomon.logs.where import MAX_DEPTH, MAX_TEXT, WhereError, where

RECORD: dict[str, Any] = {
    "message": 'said "hi" to\nall',
    "model": "gpt-4o",
    "duration": 2.5,
    "input_tokens": 7,
    "cost": None,
    "ok": True,
    "tags": ["a", 3],
    "exception": {"type": "KeyError", "causes": [{"type": "OSError"}]},
    "gen_ai.system": "openai",
    "x-id": "é",
}


@pytest.mark.parametrize(
    "text",
    [
        "duration > 2",
        "duration > 2 and model == 'gpt-4o'",
        "2 < duration",
        "duration >= 2.5 and duration <= 25e-1 and not duration < 2.5",
        "input_tokens == 7.0",
        "input_tokens != 8",
        "-1 < input_tokens",
        'model in ("gpt-4o", "o3")',
        'model in ("gpt-4o",)',
        'model not in ("o1", "o3")',
        '"a" in tags and 3 in tags and 4 not in tags',
        r'model ~ "^gpt-\d"',
        'model !~ "claude"',
        'exception.type == "KeyError"',
        'exception.causes.0.type == "OSError"',
        'gen_ai.system == "openai"',
        "x-id == 'é'",
        r'message == "said \"hi\" to\nall"',
        "cost == null and ok == true and ok != false",
        "exception and not cost and not absent",
        "duration > 9 or model == 'gpt-4o'",
        "model == 'gpt-4o' or duration > 9 and ok == false",
        "not (duration > 9 or duration < 1)",
        "not not ok",
        "model >= 'gpt' and model < 'gpu'",
        "input_tokens > duration",
        "  (  ( ok ) )  ",
    ],
)
def test_true_of_the_record(text: str) -> None:
    assert where(text).test(RECORD)


@pytest.mark.parametrize(
    "text",
    [
        "absent == 1",
        "absent != 1",
        "absent == null",
        "absent > 1",
        "1 < absent",
        "absent in (1, 2)",
        "absent not in (1, 2)",
        "1 in absent",
        "1 in model",
        'absent ~ "."',
        'absent !~ "."',
        "absent == absent",
        "model.name == 1",
        "tags.7 == 1",
        "tags.a == 1",
        'duration ~ "2"',
        'duration > "2"',
        "model > 2",
        "ok == 1",
        "ok > 0",
        "cost < 1",
        "tags > 1",
        "model == 'gpt-4o' and absent",
    ],
)
def test_what_is_missing_or_of_another_type_makes_a_comparison_false(text: str) -> None:
    assert not where(text).test(RECORD)


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("", 0, "a field, a number or a text"),
        ("duration = 2", 9, "write =="),
        ("duration > ", 11, "a field, a number or a text"),
        ("duration > 2 model", 13, "`and`, `or`, or the end"),
        ("a && b", 2, "write `and`"),
        ("a || b", 2, "write `or`"),
        ("!a", 0, "write `not`"),
        ("1 < a < 5", 6, "1 < duration and duration < 5"),
        ('"x"', 3, "a comparison"),
        ("(a", 2, "`)`"),
        ("a)", 1, "the end"),
        ('a == "x', 5, "closing quote"),
        ("a in b.c d", 9, "the end"),
        ("a in 3", 6, "a list"),
        ("a in (b)", 7, "stand in quotes"),
        ("a not 3", 6, "`in`"),
        ("a ~ 3", 4, "regular expression in quotes"),
        ('a ~ "("', 4, "regular expression"),
        ("a + 1", 2, "no field, number, text or sign"),
        ("a.b. == 1", 3, "no field, number, text or sign"),
        ("f(1)", 1, "the end"),
        ("3x == 1", 0, "no field, number, text or sign"),
        ("a[0] == 1", 1, "no field, number, text or sign"),
        ("a == __import__('os')", 15, "the end"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, at: int, says: str) -> None:
    with pytest.raises(WhereError, match=re.escape(says)) as caught:
        where(text)
    assert (caught.value.at, f"character {at + 1}:" in str(caught.value)) == (at, True)


def test_its_size_and_depth_are_bounded() -> None:
    where("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH)
    where(" or ".join(["a"] * 500))
    for text in ("(" * (MAX_DEPTH + 1) + "a", "not " * (MAX_DEPTH + 1) + "a"):
        with pytest.raises(WhereError, match="inside one another"):
            where(text)
    with pytest.raises(WhereError, match="4096 characters"):
        where("a" * (MAX_TEXT + 1))
    with pytest.raises(WhereError, match="a text"):
        where(3)  # type: ignore[arg-type] # the wrong use is what is tested


_WORDS = (
    "and or not in ( ) , == != < <= > >= ~ !~ true null duration exception.type tags.0 é_1 "
    '"a" \'b\' "(" "\\d" 1 -2.5 1e999 = & [ \\ " @x . ... # 99999999999999999999'
)
WORDS = st.sampled_from(_WORDS.split())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text() | st.lists(WORDS, max_size=20).map(" ".join))
def test_any_text_is_read_or_refused_and_says_where(text: str) -> None:
    try:
        answer, at = where(text).test(RECORD), 0
    except WhereError as error:
        answer, at = False, error.at
    assert (answer in (True, False), 0 <= at <= len(text)) == (True, True)


FIELDS = st.sampled_from(["a", "b", "a.b", "a.0"])
LITERALS = st.sampled_from(["1", "2.5", "true", "null", '"x y"', '"é"', '"a/b"', r'"q\"q"', '""'])
SIGNS = st.sampled_from(["==", "!=", "<", ">=", "==", "=="])
COMPARISONS = st.one_of(
    st.tuples(FIELDS, SIGNS, LITERALS).map(" ".join),
    st.tuples(LITERALS, SIGNS, FIELDS).map(" ".join),
    st.tuples(LITERALS, SIGNS, LITERALS).map(" ".join),
    st.tuples(FIELDS, st.just("in ("), LITERALS, st.just(")")).map(" ".join),
    st.tuples(FIELDS, st.just("~"), st.just('"x"')).map(" ".join),
    st.tuples(LITERALS, st.just("in"), FIELDS).map(" ".join),
    FIELDS,
)
EXPRESSIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
        inner.map("not ({})".format),
        inner.map("({})".format),
    ),
    max_leaves=5,
)
SCALARS = st.sampled_from([1, 2.5, True, None, "x y", "é", "a/b", 'q"q', ""])
RECORDS = st.dictionaries(
    st.sampled_from(["a", "b", "a.b"]),
    SCALARS | st.dictionaries(st.just("b"), SCALARS) | st.lists(SCALARS, max_size=2),
)


@given(EXPRESSIONS, RECORDS, st.booleans(), st.sampled_from([None, 1]))
def test_no_record_that_meets_it_is_passed_over_unparsed(
    text: str, record: dict[str, Any], ascii_only: bool, indent: int | None
) -> None:
    condition = where(text)
    line = json.dumps(record, ensure_ascii=ascii_only, separators=(",", ":") if indent else None)
    line = line.replace("/", "\\/") if ascii_only else line
    if condition.test(record):
        assert list(lines_with(tuple(condition.needles), line.encode())) == [line.encode()]


@given(EXPRESSIONS, JSON)
def test_every_expression_has_an_answer_for_every_record(text: str, value: Any) -> None:
    assert where(text).test({"a": value, "b": value}) in (True, False)
