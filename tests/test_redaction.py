"""Redaction: what is a secret is gone on every path, and what is none stays."""

from __future__ import annotations

import base64
import json
import logging
import pprint
import re
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

import geomon
from geomon.logs.formatter import JSONFormatter
from geomon.logs.limits import Limits
from geomon.logs.redaction import DEFAULT, Redactor

FORMATTER = JSONFormatter()
GONE = "[redacted]"

JWT = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0."
    "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
)
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA75\nq8Zx\n-----END RSA PRIVATE KEY-----"
SHAPES = (
    "sk-proj-abcDEF1234567890abcDEF",
    "sk-ant-api03-abcDEF1234567890-abc_DEF",
    "sk-or-v1-0123456789abcdef0123456789abcdef",
    "sk-abcdEFGH1234567890abcdEFGH1234567890",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_11ABCDEFG0abcdefghijkl",
    "glpat-abcdefghij1234567890",
    "xoxb-123456789012-abcdefghijkl",
    "hf_abcdefghijklmnopqrstuvwxyz",
    "gsk_abcdefghijklmnopqrstuvwxyz012345",
    "xai-abcdefghijklmnop1234567890",
    "pplx-abcdef1234567890abcdef",
    "r8_abcdefghijklmnopqrstuvwxyz",
    "nvapi-abcdefghijklmnop1234567890",
    "tvly-abcdefghijklmnop",
    "rk_live_abcdef1234567890",
    "sk_test_abcdef1234567890",
    "whsec_abcdefghijklmnop",
    "npm_abcdefghijklmnopqrstuvwxyz0123456789",
    "pypi-AgEIcHlwaS5vcmcabcdefghijkl",
    "dapi0123456789abcdef0123456789abcdef",
    "SG.abcdefghijklmnop.abcdefghijklmnopqrstuv",
    "hvs.abcdefghijklmnopqrstuvwx",
    "GOCSPX-abcdefghijklmnop",
    "ya29.abcdefghijklmnopqrstuvwx",
    "glsa_abcdefghijklmnopqrstuvwxyz012345_12345678",
    "lsv2_pt_0123456789abcdef0123456789abcdef_0123456789",
    JWT,
)

NAMES = (
    *("password", "Password", "PASSWORD", "passwd", "pwd", "db_password", "userPassword"),
    *("api_key", "apiKey", "API-KEY", "X-Api-Key", "apikey", "OPENAI_API_KEY", "openai.api_key"),
    *("authorization", "Authorization", "Proxy-Authorization", "auth"),
    *("access_token", "accessToken", "refresh_token", "token", "id_token", "X-Auth-Token"),
    *("secret", "client_secret", "clientSecret", "SECRET_KEY", "aws_secret_access_key"),
    *("cookie", "Set-Cookie", "credentials", "private_key", "passphrase", "X-CSRF-Token"),
    *("session_token", "jwt", "aws_access_key_id", "signing_key", "sessid", "PHPSESSID"),
    *("APIkey", "SSHkey", "ACCESSkey", "myAPIkeys", "PASSword", "x.API_KEY"),
)

NO_NAMES = (
    *("input_tokens", "max_tokens", "token_type", "tokens", "token_count", "total_tokens"),
    *("key", "keys", "monkey", "keyboard", "passed", "passenger", "compass_heading", "author"),
    *(
        "bypass",
        "compass",
        "authors",
        "secretary_name",
        "primary_key",
        "sort_key",
        "cache_key",
        "model",
        "user_id",
    ),
    *("request_id", "finish_reasons", "tokenizer", "authenticated", "key_count"),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_secret_name_in_any_spelling_is_known(name: str) -> None:
    assert DEFAULT.is_secret_key(name)


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_name_that_only_resembles_a_secret_is_none(name: str) -> None:
    assert not DEFAULT.is_secret_key(name)


@pytest.mark.parametrize("secret", SHAPES)
@pytest.mark.parametrize(
    "frame", ["{}", "got {} back", "({})", "'{}'", "a={}", "https://h/p?x={}&y=1", "é{}\n"]
)
def test_a_key_of_a_known_shape_is_replaced(secret: str, frame: str) -> None:
    text = frame.format(secret)
    assert DEFAULT.suspects(text)
    redacted = DEFAULT.text(text)
    assert secret not in redacted
    assert secret[-8:] not in redacted
    assert GONE in redacted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password=hunter2", f"password={GONE}"),
        ("password = hunter2, user=bob", f"password = {GONE}, user=bob"),
        ("password: hunter2", f"password: {GONE}"),
        ("{'password': 'hunter2', 'a': 1}", f"{{'password': '{GONE}', 'a': 1}}"),
        ('{"api_key": "a b c", "n": 1}', f'{{"api_key": "{GONE}", "n": 1}}'),
        ('{\\"api_key\\": \\"abc\\"}', f'{{\\"api_key\\": \\"{GONE}\\"}}'),
        ("Authorization: Bearer abc.def", f"Authorization: {GONE}"),
        ("Authorization: Basic dXNlcjpwYXNz", f"Authorization: {GONE}"),
        ("sent Bearer abcdef123456", f"sent Bearer {GONE}"),
        ("sent bearer abcdef123456", f"sent bearer {GONE}"),
        ("sent Basic dXNlcjpwYXNz", f"sent Basic {GONE}"),
        ("Cookie: a=b; c=d", f"Cookie: {GONE}"),
        ("https://bob:pw@host/x", f"https://{GONE}@host/x"),
        ("postgres://bob:p%40w@db:5432/x", f"postgres://{GONE}@db:5432/x"),
        ("https://h/x?api_key=abc&y=1", f"https://h/x?api_key={GONE}&y=1"),
        ("https://h/x?key=abc&y=1", f"https://h/x?key={GONE}&y=1"),
        ("https://h/x?y=1&token=abc", f"https://h/x?y=1&token={GONE}"),
        ("https://h/x?sv=1&sig=abc%3D", f"https://h/x?sv=1&sig={GONE}"),
        ("https://h/x?X-Amz-Signature=abc", f"https://h/x?X-Amz-Signature={GONE}"),
        ("run --password hunter2 --user bob", f"run --password {GONE} --user bob"),
        ("run --api-key=abc", f"run --api-key={GONE}"),
        (f"the key:\n{PEM}\nend", f"the key:\n{GONE}\nend"),
        (PEM[:60], GONE),
        (PEM.replace("\n", "\\n"), GONE),
        ("export OPENAI_API_KEY=abc123", f"export OPENAI_API_KEY={GONE}"),
        ("<password>hunter2</password>", f"<password>{GONE}</password>"),
        ('<api_key type="x">a b c</api_key>', f'<api_key type="x">{GONE}</api_key>'),
        ('<add key="password" value="hunter2"/>', f'<add key="password" value="{GONE}"/>'),
        ("password:      hunter2", f"password:      {GONE}"),
        ("password      = hunter2 x", f"password      = {GONE} x"),
        ("Authorization: Token      abc x", f"Authorization: {GONE} x"),
        ("sent Bearer      abcdef", f"sent Bearer      {GONE}"),
        ('sent Bearer "abcdef"', f'sent Bearer "{GONE}"'),
        ("user[password]=hunter2&a=1", f"user[password]={GONE}&a=1"),
        ("user%5Bpassword%5D=hunter2&a=1", f"user%5Bpassword%5D={GONE}&a=1"),
        ("APIkey=abc SSHkey=abc PHPSESSID=abc", f"APIkey={GONE} SSHkey={GONE} PHPSESSID={GONE}"),
        ("Cookie: a=1, b=2", f"Cookie: {GONE}"),
        ('Cookie: a="x y"; b=2', f"Cookie: {GONE}"),
        ("Cookie: a=1, Host: h", f"Cookie: {GONE}, Host: h"),
        ("postgres://bob:p/w@db/x", f"postgres://{GONE}@db/x"),
        ("postgres://bob:p#w?'x@db/x", f"postgres://{GONE}@db/x"),
        ('{"name":"DB_PASSWORD","value":"a b"}', f'{{"name":"DB_PASSWORD","value":"{GONE}"}}'),
        ("V(name='api_key', value='a b')", f"V(name='api_key', value='{GONE}')"),
        ("{'loc': ('password',), 'input': 'a b'}", f"{{'loc': ('password',), 'input': '{GONE}'}}"),
        ('{"secret": ["a b", {"c": "d]"}], "n": 1}', f'{{"secret": {GONE}, "n": 1}}'),
        ("password: (a (b) c)d e", f"password: {GONE} e"),
        ('{"password": "ab\\"c d", "n": 1}', f'{{"password": "{GONE}", "n": 1}}'),
        ('[\n "x",\n "--api-key",\n "a b"\n]', f'[\n "x",\n "--api-key",\n "{GONE}"\n]'),
        ("password=a\\bc\\\\de f", f"password={GONE} f"),
    ],
)
def test_a_secret_in_a_text_is_replaced_and_the_rest_stays(text: str, expected: str) -> None:
    assert DEFAULT.text(text) == expected


ORDINARY = (
    "order o-12345 was paid",
    "",
    "input tokens: 120, output tokens: 5, max_tokens=100",
    "token_type=bearer",
    "the user forgot the password",
    "Password must not be empty",
    "authentication failed: no token",
    "bearer of bad news",
    "Basic usage: geomon run",
    "basic auth is required",
    "https://example.com/a/b?page=2&sort=name",
    "mail bob@example.com or https://example.com/@bob",
    "2026-11-24T18:30:00Z GET /v1/keys 200",
    "key=value",
    "cache_key: orders/12",
    "c0ffee254729296a45a3885639ac7e10f9d54979a3f6c2d0b7d31d3f7d3a4c11",
    "123e4567-e89b-12d3-a456-426614174000",
    "/usr/lib/python3.11/site-packages/sk/task-runner.py",
    "task-1234567890abcdefghij",
    "disk-usage-of-the-last-7-days",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4",
    "password=None",
    "authors: Ann, Bob",
    "monkey: banana",
    "KeyError: 'name'",
    "3 passed, 1 failed in 0.2s",
    "compass: north",
    "http://localhost:8000/users/bob@example.com",
    "{'url':'redis://cache:6379','mail':'bob@example.com'}",
    '{"name":"MODE","value":"prod"}, {"name":"password","type":"str"}, {"name":"n","value":"1"}',
    "[auth]: started",
    "usage: login <user> <file> and go",
)


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_text_stays(text: str) -> None:
    assert DEFAULT.text(text) == text


_PROSE = """
the a order model token tokens key password was paid by user in 3.5 s GET /v1/orders 200 secret of
success author pass basic bearer é 😀 uuid 12 o-12345 gpt-4o claude-sonnet-4-5 us-east-1
text-embedding-3-small ok , . ! ? ( ) -
"""
WORDS = st.sampled_from(_PROSE.split())


@given(st.lists(WORDS))
def test_prose_without_a_sign_between_name_and_value_stays(words: list[str]) -> None:
    text = " ".join(words)
    assume(not re.search("(basic|bearer) ", text))
    assert DEFAULT.text(text) == text


@given(st.text())
def test_a_text_that_is_not_suspected_stays_and_redacting_twice_changes_nothing(text: str) -> None:
    once = DEFAULT.text(text)
    assert once == text or DEFAULT.suspects(text)
    assert DEFAULT.text(once) == once


SIGNS = (
    "=",
    ":",
    " ",
    '"',
    "'",
    "\\",
    "{",
    "}",
    ",",
    "@",
    "/",
    "?",
    "&",
    "--",
    ">",
    "%3D",
    "é",
    "\n",
)
WORDS_BEFORE = ("Bearer ", "https://", "-----BEGIN PRIVATE KEY-----", "-----END", "hunter2")
PARTS = st.sampled_from((*SHAPES, *NAMES, *SIGNS, *WORDS_BEFORE))


@given(st.lists(PARTS, max_size=12))
def test_a_known_shape_is_gone_whatever_stands_around_it(parts: list[str]) -> None:
    redacted = DEFAULT.text(" ".join(parts))
    for secret in SHAPES:
        assert secret not in redacted


# own names and patterns


def test_own_names_count_in_any_spelling() -> None:
    redactor = Redactor(keys=["card_number"])
    for name in ("card_number", "cardNumber", "CARD-NUMBER", "my_card_number_2"):
        assert redactor.is_secret_key(name)
    assert not redactor.is_secret_key("card")
    assert redactor.text("cardNumber=4111-2222 x") == f"cardNumber={GONE} x"


def test_own_patterns_are_replaced_also_where_they_look_at_the_beginning() -> None:
    redactor = Redactor(patterns=[r"^INT-\d+$", re.compile("(?i)pet-[a-z]+")], replacement="***")
    formatter = JSONFormatter(redactor=redactor)
    fields = written(formatter, "a PET-cat b", code="INT-77", other="x INT-77")
    assert fields["message"] == "a *** b"
    assert fields["code"] == "***"
    assert fields["other"] == "x INT-77"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"keys": "password"}, TypeError),
        ({"keys": [1]}, TypeError),
        ({"keys": ["1"]}, ValueError),
        ({"patterns": "x"}, TypeError),
        ({"patterns": [b"x"]}, TypeError),
        ({"patterns": ["("]}, ValueError),
        ({"patterns": ["x*"]}, ValueError),
        ({"replacement": 1}, TypeError),
    ],
)
def test_what_cannot_be_used_is_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Redactor(**options)


def test_a_redactor_that_fails_lets_nothing_through() -> None:
    class Broken(Redactor):
        def text(self, text: str) -> str:
            raise RuntimeError

        def suspects(self, text: str) -> bool:
            raise RuntimeError

    line = line_of(JSONFormatter(redactor=Broken()), "token sk-proj-abcdefgh12345678", a=["x"])
    assert "abcdefgh" not in line
    json.loads(line)


# on every path of a record


def record(message: object, *args: Any, **options: Any) -> logging.LogRecord:
    records: list[logging.LogRecord] = []
    logger = logging.Logger("shop")
    logger.handle = records.append  # type: ignore[method-assign]
    logger.warning(message, *args, **options)
    return records[0]


def line_of(formatter: JSONFormatter, message: object, *args: Any, **extra: Any) -> str:
    return formatter.format(record(message, *args, extra=extra))


def written(formatter: JSONFormatter, message: object, *args: Any, **extra: Any) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(line_of(formatter, message, *args, **extra))
    return fields


@pytest.mark.parametrize("value", [0, 12345678, 1.5, True, None])
def test_numbers_and_nothing_are_no_secrets(value: object) -> None:
    fields = written(FORMATTER, "x", token=value, nested={"password": value})
    assert fields["token"] == value
    assert fields["nested"] == {"password": value}


@pytest.mark.parametrize(
    "value", ["hunter2", b"hunter2", ["hunter2"], {"a": "hunter2"}, ("hunter2",), {"hunter2"}]
)
def test_a_value_under_a_secret_name_is_replaced_whole(value: object) -> None:
    fields = written(FORMATTER, "x", password=value, nested=[{"api_key": value}, ("token", value)])
    assert fields["password"] == GONE
    assert fields["nested"] == [{"api_key": GONE}, ["token", GONE]]
    with geomon.bind(session_token=value):
        assert written(FORMATTER, "x")["session_token"] == GONE


@pytest.mark.parametrize(
    ("message", "args", "expected"),
    [
        ("password=%s", ("correct horse battery",), f"password={GONE}"),
        ("password=%s user=%s", ("a b", "bob smith"), f"password={GONE} user=bob smith"),
        ("user=%s password=%r", ("bob smith", "a b"), f"user=bob smith password='{GONE}'"),
        ("%(user)s: %(password)s", ({"user": "bob", "password": "a b"},), f"bob: {GONE}"),
        ("got %s", ({"password": {"a": "x y"}},), f"got {{'password': '{GONE}'}}"),
        ("got %s", ([("a", {"token": "x"})],), f"got [('a', {{'token': '{GONE}'}})]"),
        ({"password": {"a": "x y"}}, (), f"{{'password': '{GONE}'}}"),
        ("key %s", ("sk-proj-abcdefgh12345678",), f"key {GONE}"),
        ("token=%d", (3,), "token=3"),
        ("%s=%s", ("password", "a b, c"), f"password={GONE}"),
        ("token: %s", ("abc, def ghi",), f"token: {GONE}"),
        ("tokens: %s (%d)", ("many, many", 3), "tokens: many, many (3)"),
        ("password=%s %s", ("hunter2",), "(with arguments that do not fit)"),
        ("%d is it", ("sk-proj-abcdefgh12345678",), GONE),
        ("password: %(p)s", ({"p": "correct horse battery"},), f"password: {GONE}"),
        ("100%% of %(p)s=%(q)s", ({"p": "password", "q": "a b"},), f"100% of password={GONE}"),
        ("secret: %s", (["a b", "c d"],), f"secret: {GONE}"),
        ("secret: %r and %s", (deque(["a b"]), "c d"), f"secret: '{GONE}' and c d"),
        ("%s: %s", (b"api_key", ["a b", "c"]), f"b'api_key': {GONE}"),
        ("%s: %s", ("the api key", "a b"), f"the api key: {GONE}"),
        ("%s %s", ("sent password:", "a b"), f"sent password: {GONE}"),
        ("%d tokens, token: %s", (Fraction(7, 2), "a b"), f"3 tokens, token: {GONE}"),
        ("ftp://bob:%s@h/x", ("a b/c",), f"ftp://{GONE}@h/x"),
        ("body %r", (json.dumps({"password": 'ab"hunter2'}),), f'{{"password": "{GONE}"}}'),
        ("body %s", (json.dumps({"password": 'ab"hunter2'}).encode(),), f'"{GONE}"}}'),
        (json.dumps(json.dumps({"password": 'a"hunter2'})), (), f'\\"{GONE}\\"'),
        ("%s changed by %s", ("password", "bob"), "password changed by bob"),
    ],
)
def test_a_secret_in_a_message_or_its_arguments_is_replaced(
    message: object, args: tuple[Any, ...], expected: str
) -> None:
    fields = written(FORMATTER, message, *args)
    assert expected in fields["message"]
    assert "hunter2" not in fields["message"]


def test_headers_as_servers_keep_them_are_redacted() -> None:
    headers = [(b"host", b"example.com"), (b"authorization", b"Basic xyz"), ("x-api-key", "abc")]
    assert written(FORMATTER, "x", headers=headers)["headers"] == [
        ["host", "example.com"],
        ["authorization", GONE],
        ["x-api-key", GONE],
    ]


@pytest.mark.parametrize(
    ("name", "value"), [("name", "value"), ("Name", "Value"), ("key", "value"), ("header", "value")]
)
def test_an_entry_that_names_its_secret_is_redacted(name: str, value: str) -> None:
    secret, other = {name: "API_KEY", value: "a b"}, {name: "HOME", value: "/root"}
    fields = written(FORMATTER, "got %s", [secret, other], env=[secret, other])
    assert fields["env"] == [{name: "API_KEY", value: GONE}, other]
    assert fields["message"] == f"got {fields['env']}"
    assert "a b" not in line_of(FORMATTER, json.dumps([secret, other]))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["cmd", "--api-key", "a b", "x"], ["cmd", "--api-key", GONE, "x"]),
        (["cmd", "--password", "--verbose"], ["cmd", "--password", "--verbose"]),
        (["cmd", "--api-key=abc", "x"], ["cmd", f"--api-key={GONE}", "x"]),
        (("password", "a b"), ["password", GONE]),
        ((b"cookie", b"a b"), ["cookie", GONE]),
        (["reset the password today", "bob"], ["reset the password today", "bob"]),
        (["token", 3], ["token", 3]),
        (["user", "password", "mail"], ["user", "password", "mail"]),
    ],
)
def test_an_item_behind_its_secret_name_is_redacted(value: object, expected: list[Any]) -> None:
    assert written(FORMATTER, "x", value=value)["value"] == expected


class Account(BaseModel):
    password: str = Field(pattern="^[a-z]{20}$")
    size: int = 0


@pytest.mark.parametrize("password", ["hunter2", 'hunter2 "x"', {"a": "hunter2"}])
def test_an_input_that_pydantic_refused_is_redacted_by_its_field(password: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Account.model_validate({"password": password, "size": "many"})
    error = caught.value
    made = record("%s", error, exc_info=error, extra={"error": error, "errors": error.errors()})
    line = FORMATTER.format(made)
    assert "hunter2" not in line
    assert "input_value='many'" in line
    assert "hunter2" not in line_of(FORMATTER, f"no: {error.errors()}")


secrets = st.sampled_from([secret for secret in SHAPES if len(secret) < 60])


def planted(value: str, way: list[str]) -> Any:
    built: Any = value
    for step in way:
        built = {
            "list": [1, built],
            "tuple": (built, None),
            "dict": {"a": built},
            "key": {str(built) if not isinstance(built, str) else built: 1},
            "text": f"before {built} after",
            "bytes": f"{built}".encode(),
            "set": {f"{built}"},
            "object": ValueError(built),
        }[step]
    return built


ways = st.lists(
    st.sampled_from(["list", "tuple", "dict", "key", "text", "bytes", "set", "object"]), max_size=4
)
places = st.sampled_from(
    ["extra", "bound", "argument", "format", "exception", "cause", "note", "stack", "logger"]
)


@given(secrets, ways, places)
def test_a_secret_planted_anywhere_is_never_in_the_line(
    secret: str, way: list[str], place: str
) -> None:
    value = planted(secret, way)
    made = record("x")
    if place == "extra":
        made.value = value
    elif place == "bound":
        with geomon.bind(value=value):
            setattr(made, "_geomon_context", geomon.get_context())  # noqa: B010
    elif place == "argument":
        made.msg, made.args = "got %s", (value, 1) if len(way) > 2 else (value,)
    elif place == "format":
        made.msg = value
    elif place == "stack":
        made.stack_info = f"Stack:\n  {value}"
    elif place == "logger":
        made.name = made.funcName = made.module = str(value)
    else:
        error = ValueError(value if place == "exception" else "x")
        error.__cause__ = KeyError(value) if place == "cause" else None
        error.add_note(str(value))
        made.exc_info = (ValueError, error, None)
    for formatter in (FORMATTER, JSONFormatter(limits=Limits(size=2048, text=64))):
        assert secret not in formatter.format(made)


words = st.from_regex("Zq[A-Za-z0-9]{4,8}", fullmatch=True)
joins = st.text("\"'\\ ,;:/#?&=@[]{}()<>%-\n", max_size=4)
EXTRA: dict[str, Callable[[str, str], Any]] = {
    "itself": lambda name, secret: {name: secret},
    "dict": lambda name, secret: {"value": {"a": [{name: secret, "b": 1}]}},
    "list": lambda name, secret: {"value": {name: [secret, {"a": (secret,)}]}},
    "pair": lambda name, secret: {"value": (name, secret)},
    "pairs": lambda name, secret: {"value": [("a", "b"), [name.encode(), secret.encode()]]},
    "entry": lambda name, secret: {"value": [{"Name": name, "Value": secret}]},
    "command": lambda name, secret: {"value": ["run", f"--{name}", secret, "x"]},
    "json": lambda name, secret: {"value": json.dumps({"a": {name: secret}, "b": 1})},
    "repr": lambda name, secret: {"value": repr({"a": [{name: [secret, secret]}], "b": 1})},
}
MESSAGE: dict[str, Callable[[str, str], tuple[Any, ...]]] = {
    "argument": lambda name, secret: (f"{name}=%s x", secret),
    "arguments": lambda name, secret: ("%s: %r", name, secret),
    "mapping": lambda name, secret: (f"{name}: %(a)s", {"a": secret}),
    "dict": lambda name, secret: ("got %s", {"a": {name: {"b": secret}}}),
    "list": lambda name, secret: (f"%s {name}: %s", [1], [secret, "b"]),
    "pair": lambda name, secret: ("%s", [(name, secret)]),
    "itself": lambda name, secret: ({name: secret, "a": 1},),
    "entry": lambda name, secret: (json.dumps({"name": name, "value": secret, "a": 1}),),
    "json": lambda name, secret: (json.dumps({"a": 1, name: secret, "b": 2}),),
    "json list": lambda name, secret: (json.dumps({name: [secret, {"a": secret}]}),),
    "pretty": lambda name, secret: (json.dumps(["a", f"--{name}", secret], indent=2),),
    "printed": lambda name, secret: (pprint.pformat({name: secret, "a": "b" * 80}),),
    "repr": lambda name, secret: (f"got {{'a': 1, {name!r}: {secret!r}}}",),
    "json in json": lambda name, secret: (json.dumps([json.dumps({name: secret, "a": 1})]),),
    "json thrice": lambda name, secret: (json.dumps(json.dumps(json.dumps({name: secret}))),),
    "repr of json": lambda name, secret: ("%r", json.dumps({name: secret, "a": 1})),
    "bytes": lambda name, secret: ("%s", json.dumps({name: secret}).encode()),
    "json of repr": lambda name, secret: (json.dumps(repr({name: secret})),),
}
UNQUOTED = ("argument", "mapping")  # only the arguments tell where such a value ends


@given(st.sampled_from(NAMES), words, joins, words, st.sampled_from(sorted(EXTRA)))
def test_the_value_of_a_secret_name_is_never_left_in_part_in_an_extra(
    name: str, word: str, join: str, last: str, form: str
) -> None:
    line = line_of(FORMATTER, "x", **EXTRA[form](name, word + join + last))
    assert word not in line
    assert last not in line


@given(st.sampled_from(NAMES), words, joins, words, st.sampled_from(sorted(MESSAGE)))
def test_the_value_of_a_secret_name_is_never_left_in_part_in_a_message(
    name: str, word: str, join: str, last: str, form: str
) -> None:
    made = MESSAGE[form](name, word + join + last)
    line = line_of(FORMATTER, *made)
    assert word not in line
    assert last not in line
    error = FORMATTER.format(record("x", exc_info=ValueError(record(*made).getMessage())))
    assert form in UNQUOTED or (word not in error and last not in error)


def test_a_secret_in_a_line_of_code_is_replaced() -> None:
    try:
        api_key = "not-a-known-shape"
        raise ValueError(len(api_key))
    except ValueError:
        made = record("x", exc_info=True, stack_info=True)

    def fail() -> None:
        open_with(api_key="not-a-known-shape")  # type: ignore[name-defined] # noqa: F821

    with pytest.raises(NameError) as caught:
        fail()
    line = FORMATTER.format(record("x", exc_info=caught.value))
    assert f'open_with(api_key=\\"{GONE}\\")' in line
    assert "not-a-known-shape" not in line + FORMATTER.format(made)


def test_the_text_of_an_exception_is_never_kept_on_the_record() -> None:
    made = record("x", exc_info=ValueError("sk-proj-abcdefgh12345678"))
    FORMATTER.format(made)
    assert made.exc_text is None
    assert not hasattr(made, "message")


@given(st.integers(0, 200), st.sampled_from([*SHAPES, PEM, "Bearer abcdefgh12345678"]))
def test_a_secret_that_lies_across_the_cut_is_not_left_in_half(before: int, secret: str) -> None:
    formatter = JSONFormatter(limits=Limits(text=128))
    text = "x" * before + " " + secret + " " + "y" * 500
    nested = line_of(formatter, text, value=[text], text=text)
    assert secret[:20].removeprefix("-----BEGIN RSA") not in nested or secret == PEM
    assert "MIIE" not in nested
    assert "abcdefgh" not in nested or "abcdefgh" not in secret


def test_a_secret_at_the_edge_of_what_is_looked_at_is_not_left_in_half() -> None:
    formatter = JSONFormatter(limits=Limits(text=64))
    key = "sk-proj-" + "k" * 30 + "1"
    for shift in range(0, 60, 7):
        text = f"{PEM} " * 60 + "z" * shift + key + " " + "y" * 20_000
        assert "kkk" not in line_of(formatter, text)


# time


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "a",
            "=",
            ":",
            "password",
            "password=",
            "'",
            '"',
            "\\",
            "sk-",
            "eyJ",
            "eyJa.",
            "://",
            "@",
        ),
        *("Bearer ", "basic ", "-----BEGIN PRIVATE KEY-----", "-", "_", "key key ", "--p ", "[\"'"),
        *(
            "token: ",
            "a=b;",
            "cookie=a;",
            "gh",
            "x" * 50 + "=",
            "auth: digest ",
            "api key",
            "?key=",
        ),
        *("{'password': ", "\\\\\\'", "AKIA", "9:AA", "%3D", "password:\n", "é", "A-", "aA"),
        *("token" + " " * 50, '"token", ', "\\n", "\n input_value=", "a]", "<token a>", "://a:b'"),
        *('name="token"', "loc':('", "[", "password={'", 'cookie: a="x;', "a=1, ", 'Bearer "'),
    ],
)
def test_a_megabyte_of_anything_is_done(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    DEFAULT.text(text)
    for before in ("password=", "{'password': [", "Cookie: ", "<value> name='token' "):
        DEFAULT.text(before + text)
    DEFAULT.is_secret_key(text)


@pytest.mark.parametrize(("number", "size"), [(20, 1_000_000), (500, 1_200), (5_000, 10)])
@pytest.mark.parametrize("last", ["a b", ["a b"]])
def test_redacting_many_arguments_takes_no_longer_than_a_few_pages(
    number: int, size: int, last: object
) -> None:
    class Counting(Redactor):
        read = 0

        def text(self, text: str) -> str:
            self.read += len(text)
            return super().text(text)

    redactor = Counting()
    args = (*["word " * (size // 5)] * number, last)
    line_of(JSONFormatter(redactor=redactor), "password=x" + " %s" * len(args), *args)
    assert redactor.read < 200_000


def test_a_credential_in_base64_is_one_by_what_it_holds() -> None:
    encoded = base64.b64encode(b"user:password").decode()
    assert DEFAULT.text(f"Basic {encoded}") == f"Basic {GONE}"
