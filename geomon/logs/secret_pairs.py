"""Secrets in texts that stand beside their name: `password=…`, `"api_key": "…"`, `Cookie: …`."""

from __future__ import annotations

import re
from collections.abc import Callable

_KEY = re.compile(
    r"(?<![\w-])((?:(?i:api|private|access|secret|client|auth)\ )?[\w-]++)"
    r"(?:\\{0,4}[\"']\]?[ \t]{0,3}(?:=>|[:=,])"
    r"|[ \t]{0,3}(?:=>|:=|={1,3}|:(?!//)|%3[AaDd])"
    r"|>)[ \t]{0,3}"
)
_OPTION = re.compile(r"(?<![\w-])--([A-Za-z][\w-]*+)[ \t]{1,3}(?=[^\s-])")
_PARAMETER = re.compile(
    r"[?&](?i:key|sig|signature|x-(?:amz|goog)-(?:signature|credential))=([^&#\s'\"<>\\]++)"
)
_GLUE = frozenset("\\%[;")
_PASSWORD = re.compile(r"(?i)pass|pwd")
_EMPTY = r"(?i:none|null|nil|true|false|undefined)(?![\w.+/=-])"
_SMALL_NUMBER = r"-?(?:\d{1,5}|\d{1,9}\.\d+)(?:ms|s|%)?(?![\w.+/=-])"
_KEEP = re.compile(_EMPTY), re.compile(f"{_EMPTY}|{_SMALL_NUMBER}")


class Values:
    """What a value looks like in a text, quoted or bare.

    Args:
        replacement: What was put in the place of a value that is redacted already.
    """

    def __init__(self, replacement: str) -> None:
        bare = (
            rf"(?:{re.escape(replacement)}|[^\s,;&<\"'\\)\]}}]"
            r"|[,;)\]}](?![\s,;)\]}\"'\\]|\Z|[\w.-]{1,40}[=:])"
            r"|[\"'](?![\s,;:)\]}>\\]|\Z)|&(?![\w.%-]{1,64}=)|<(?!/)|\\(?![nrtux\"'\\]))++"
        )
        quoted = (
            r"[bBuUrRfF]{0,2}(?P<quote>\\{0,4}(?:\"{3}|'{3}|[\"']))"
            r"(?P<quoted>(?:(?!(?P=quote))(?:\\[\s\S]|[\s\S]))++)"
        )
        many = r"(?i:digest|oauth|aws4[\w-]*|hawk|signature|mac)[ \t]+[^\r\n]++"
        self.replacement = replacement
        self.any = re.compile(
            rf"{quoted}|(?P<bare>(?:(?i:bearer|basic|token|negotiate)[ \t]{{1,3}})?{bare})"
        )
        self.authorization = re.compile(
            rf"{quoted}|(?P<bare>{many}|(?:[A-Za-z][\w-]{{1,20}}+[ \t]{{1,3}})?{bare})"
        )
        self.cookie = re.compile(rf"{quoted}|(?P<bare>{bare}(?:[\"']?;[ \t]*{bare})*+)")

    def match(self, key: str, text: str, position: int) -> re.Match[str] | None:
        """The value of `key` that begins at this place, unless it says nothing or is a count."""
        if _KEEP[_PASSWORD.search(key) is None].match(text, position):
            return None
        lower = key[-64:].lower()
        if "auth" in lower:
            return self.authorization.match(text, position)
        return (self.cookie if "cookie" in lower else self.any).match(text, position)


def may_hold_pair(text: str) -> bool:
    """Whether there is a sign in the text that parts a name from a value."""
    return (
        "=" in text
        or ":" in text
        or ">" in text
        or "'" in text
        or '"' in text
        or "%3" in text
        or "--" in text
    )


def redacted(text: str, is_secret_key: Callable[[str], bool], values: Values) -> str:
    """The text without the values of secret names, of options and of URL parameters."""
    text = _PARAMETER.sub(lambda match: _without_group(match, values.replacement), text)
    for pattern in (_KEY, _OPTION):
        text = _without_values(pattern, text, is_secret_key, values)
    return text


def _without_values(
    pattern: re.Pattern[str], text: str, is_secret_key: Callable[[str], bool], values: Values
) -> str:
    pieces: list[str] = []
    done, key = 0, pattern.search(text)
    while key is not None:
        place = key.end()
        value = values.match(key[1], text, place) if _is_secret(key, is_secret_key) else None
        if value is not None:
            group = value.lastgroup or "bare"
            pieces += text[done : value.start(group)], values.replacement
            done = place = value.end(group)
        key = pattern.search(text, place)
    return "".join((*pieces, text[done:])) if pieces else text


def _is_secret(key: re.Match[str], is_secret_key: Callable[[str], bool]) -> bool:
    name, before = key[1], key.string[max(0, key.start() - 1) : key.start()]
    if is_secret_key(name):
        return True
    # an escape before the name may have left its letters: \napi_key, %0Aapi_key, ESC[31mapi_key
    return before in _GLUE and any(is_secret_key(name[skip:]) for skip in range(1, 6))


def _without_group(match: re.Match[str], replacement: str) -> str:
    return match[0][: match.start(1) - match.start()] + replacement
