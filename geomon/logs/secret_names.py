"""Which names hold secrets: whole words, in any spelling.

`api_key`, `apiKey`, `APIkey`, `API-KEY` and `X-Api-Key` are one name. `token` counts as the last
word only, so that `token_type`, `max_tokens` and `input_tokens` stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_ANYWHERE = (
    "[a-z]*pass_?(?:word|wd|phrase|code)s?",
    "pwds?",
    "[a-z]*secrets?",
    "(?:[a-z]*authorization|credential|cred|cookie|setcookie|jwt|bearer)s?",
    "[a-z]*(?:api|app|auth|private|secret|signing|encryption|master|ssh|hmac|shared|subscription"
    "|account|storage|deploy|service|server|bearer)_?keys?",
    "access_?keys?",
    "(?:access|refresh|auth|bearer|session|security|csrf|xsrf|id|bot|api|device|oauth|personal)"
    "_?tokens?",
)
_AT_THE_END = (
    "[a-z]*token",
    "auth",
    "(?!(?:by|com|encom|tres|sur|under|over)pass)[a-z]*pass",
    "pwd",
    "[a-z]*(?:csrf|xsrf)",
    "[a-z]*sessid",
)

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
_CAPITALS_APART = re.compile(r"[A-Z]{2,}|[A-Z]?[a-z]+|[A-Z]|[^\W\d_A-Za-z]+")
_IS_AMBIGUOUS = re.compile("[A-Z]{2}[a-z]").search


def words_of(name: str) -> list[str]:
    """The words of a name in snake_case, kebab-case or camelCase, lower-cased, without digits."""
    return [word.lower() for word in _WORD.findall(name)]


def readings_of(name: str) -> Iterator[str]:
    """The words of a name, joined by underscores, in each way to part its capitals.

    `APIKey` is `api_key`, and so is `APIkey`.
    """
    yield "_".join(words_of(name))
    if _IS_AMBIGUOUS(name):
        yield "_".join(_CAPITALS_APART.findall(name)).lower()


def longest_word(name: str) -> str:
    """The longest word of a name: it stands in every spelling of it."""
    return max(words_of(name), key=len)


def pattern_of_names(own: Iterable[str] = ()) -> re.Pattern[str]:
    """What finds a secret word in words that are joined by underscores.

    Args:
        own: Further names, whose words count anywhere in a name.
    """
    added = ["_?".join(map(re.escape, words_of(name))) for name in own]
    anywhere = "|".join((*_ANYWHERE, *added))
    return re.compile(rf"(?:^|_)(?:(?:{anywhere})(?:_|$)|(?:{'|'.join(_AT_THE_END)})$)")


def may_hold_name(lower: str) -> bool:
    """Whether a secret's name can stand in a lower-cased text; False is certain, True is not."""
    return (
        "pass" in lower
        or "key" in lower
        or "token" in lower
        or "secret" in lower
        or "auth" in lower
        or "pwd" in lower
        or "cookie" in lower
        or "cred" in lower
        or "jwt" in lower
        or "srf" in lower
        or "sessid" in lower
        or "bearer" in lower
        or "sig=" in lower
        or "signature=" in lower
    )
