"""Secrets in texts that stand beside their name: `password=…`, `"api_key": "…"`, `Cookie: …`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

Span = tuple[int, int]
IsSecret = Callable[[str], bool]

_QUOTE = r"\\*+[\"']"
_GAP = r"(?:\s|\\++[nrt])*+"  # lines of a text, also of one that was escaped
_OTHER_KEY = (
    rf"{_GAP}(?:(?P<begin>{_QUOTE})[^\s\"'\\]{{1,64}}+(?P=begin)[ \t]*+:|[\w.-]{{1,64}}+[ \t]*+=)"
)
_KEY = re.compile(
    r"(?<![\w-])((?:(?i:api|private|access|secret|client|auth)\ )?[\w-]++)"
    rf"(?:{_QUOTE}\]?[ \t]*+(?:=>|[:=]|,(?!{_OTHER_KEY}))(?:{_GAP}(?=[bBuU]?{_QUOTE}|[\[{{(]))?+"
    r"|[ \t]*+(?:=>|:=|={1,3}|:(?!//)|%3[AaDd])"
    r"|(?:\]|%5[Dd])[ \t]*+(?:={1,3}|%3[Dd])"  # user[password]=...
    r"|>)[ \t]*+"
)
_OPTION = re.compile(r"(?<![\w-])--([A-Za-z][\w-]*+)[ \t]++(?=[^\s-])")
# {"name": "api_key", "value": ...}, {"loc": ("body", "password"), "input": ...}
_ENTRY = re.compile(
    rf"(?<![\w-])(?:(?i:name|key|header){_QUOTE}?{_GAP}[:=]{_GAP}{_QUOTE}([\w.-]++){_QUOTE}"
    rf"|loc{_QUOTE}:{_GAP}[\[(]([^\[\](){{}}]{{1,300}}+)[\])])"
)
_NEAR = 500  # characters after its name in which a value begins
_FEW = 16  # texts in quotes that stand between
_ELEMENT = re.compile(r"<([\w:.-]++)(?:\s[^<>]*+)?+(?<!/)>\s*+([^<]++)(?=<\\?/)")
_FAR = 1_000  # characters before it in which the name of an invalid input ends
_INPUT = "input_value"  # in pydantic's errors, under a line that names the field
_PARAMETER = re.compile(
    r"[?&](?i:key|sig|signature|x-(?:amz|goog)-(?:signature|credential))=([^&#\s'\"<>\\]++)"
)
_GLUE = frozenset("\\%[;")
_PASSWORD = re.compile(r"(?i)pass|pwd")
_QUOTED = (
    r"[bBuUrRfF]{0,2}(?P<quote>\\*+(?:\"{3}|'{3}|[\"']))"
    # a quote behind more backslashes than the first one has is part of the value
    r"(?P<quoted>(?:(?!(?P=quote))(?:\\++[\s\S]?|[^\\]))++)"
)
_VALUE = re.compile(
    rf"(\\*+[\"']?(?<![\w-])(?i:value|input){_QUOTE}?{_GAP}[:=]{_GAP})"
    rf"|{_QUOTED}(?P=quote)|[{{}}<>]"
)
_PIECE = re.compile(rf"(?:(?<![\w\\])|(?<=\\[nrt])){_QUOTED}(?P=quote)?|[\[({{\])}}]")
_OPENING = frozenset("[({")
_DEPTHS = {"[": 1, "(": 1, "{": 1, "]": -1, ")": -1, "}": -1}
_EMPTY = r"(?i:none|null|nil|true|false|undefined)(?![\w.+/=-])"
_SMALL_NUMBER = r"-?(?:\d{1,5}|\d{1,9}\.\d+)(?:ms|s|%)?(?![\w.+/=-])"
_KEEP = re.compile(_EMPTY), re.compile(f"{_EMPTY}|{_SMALL_NUMBER}")


class Values:
    """What a value looks like in a text, quoted, in brackets, or bare.

    Args:
        replacement: What was put in the place of a value that is redacted already.
    """

    def __init__(self, replacement: str) -> None:
        bare = (
            rf"(?:{re.escape(replacement)}|[^\s,;&<\"'\\)\]}}]"
            r"|[,;)\]}](?![\s,;)\]}\"'\\]|\Z|[\w.-]{1,40}[=:])"
            r"|\\*+[\"'](?![\s,;:)\]}>\\]|\Z)|&(?![\w.%-]{1,64}=)|<(?!/)|\\++(?![nrtux\"']))++"
        )
        many = r"(?i:digest|oauth|aws4[\w-]*|hawk|signature|mac)[ \t]++[^\r\n]++"
        crumb = rf"(?:[\w.$%-]{{1,100}}+=\\*+\"[^\"\r\n]*+\"|{bare})"
        next_crumb = r"(?:[\"']?;[ \t]*+|,[ \t]*+(?=[\w.$%-]{1,100}=))"
        self.replacement = replacement
        self._bare = re.compile(bare)
        self._any = re.compile(
            rf"{_QUOTED}|(?P<bare>(?:(?i:bearer|basic|token|negotiate)[ \t]++)?{bare})"
        )
        self._authorization = re.compile(
            rf"{_QUOTED}|(?P<bare>{many}|(?:[A-Za-z][\w-]{{1,20}}+[ \t]++)?{bare})"
        )
        self._cookie = re.compile(rf"{_QUOTED}|(?P<bare>{crumb}(?:{next_crumb}{crumb})*+)")

    def span(self, key: str, text: str, position: int) -> tuple[int, int] | None:
        """Where the value of `key` stands that begins here; None where it says nothing."""
        if _KEEP[_PASSWORD.search(key) is None].match(text, position):
            return None
        if text[position : position + 1] in _OPENING and not text.startswith(
            self.replacement, position
        ):
            return position, self._end_of_brackets(text, position)
        value = self._pattern(key[-64:].lower()).match(text, position)
        return value and value.span(value.lastgroup or "bare")

    def _pattern(self, key: str) -> re.Pattern[str]:
        if "auth" in key:
            return self._authorization
        return self._cookie if "cookie" in key else self._any

    def _end_of_brackets(self, text: str, position: int) -> int:
        """Where a list or dict ends, with what stands right behind it; else where the text does."""
        depth = 0
        for piece in _PIECE.finditer(text, position):
            depth += _DEPTHS.get(piece[0], 0)
            if not depth:
                more = self._bare.match(text, piece.end())
                return more.end() if more else piece.end()
        return len(text)


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


def redacted(text: str, is_secret_key: IsSecret, values: Values) -> str:
    """The text without the values of secret names, of options and of URL parameters."""
    text = _PARAMETER.sub(lambda match: _without_group(match, values.replacement), text)
    if "alue" in text or "ALUE" in text or "input" in text:
        text = _without(text, _of_entries(text, is_secret_key, values), values.replacement)
    if "</" in text or "<\\/" in text:
        text = _without(text, _of_elements(text, is_secret_key), values.replacement)
    for pattern in (_KEY, _OPTION):
        found = _of_pairs(pattern, text, is_secret_key, values)
        text = _without(text, found, values.replacement)
    return text


def _without(text: str, spans: Iterable[Span], replacement: str) -> str:
    pieces: list[str] = []
    done = 0
    for start, end in spans:
        pieces += text[done:start], replacement
        done = end
    return "".join((*pieces, text[done:])) if pieces else text


def _of_pairs(
    pattern: re.Pattern[str], text: str, is_secret_key: IsSecret, values: Values
) -> Iterator[Span]:
    key = pattern.search(text)
    while key is not None:
        place = key.end()
        span = values.span(key[1], text, place) if _is_secret(key, is_secret_key) else None
        if span is not None:
            yield span
            place = span[1]
        key = pattern.search(text, place)


def _of_entries(text: str, is_secret_key: IsSecret, values: Values) -> Iterator[Span]:
    done = 0
    for entry in _ENTRY.finditer(text):
        name = entry[1] or entry[2]
        if entry.start() < done or not is_secret_key(name):
            continue
        place = _place_of_value(text, entry.end())
        span = None if place is None else values.span(name, text, place)
        if span is not None:
            yield span
            done = span[1]


def _place_of_value(text: str, place: int) -> int | None:
    """Where the value of the entry begins that is read up to `place`."""
    for piece in islice(_VALUE.finditer(text, place, place + _NEAR), _FEW):
        if piece[1]:
            return piece.end()
        if piece["quote"] is None:  # another entry begins
            return None
    return None


def _of_elements(text: str, is_secret_key: IsSecret) -> Iterator[Span]:
    return (match.span(2) for match in _ELEMENT.finditer(text) if is_secret_key(match[1]))


def _is_secret(key: re.Match[str], is_secret_key: IsSecret) -> bool:
    name, before = key[1], key.string[max(0, key.start() - 1) : key.start()]
    if is_secret_key(name):
        return True
    if name == _INPUT:
        return is_secret_key(_line_above(key.string, key.start()))
    # an escape before the name may have left its letters: \napi_key, %0Aapi_key, ESC[31mapi_key
    return before in _GLUE and any(is_secret_key(name[skip:]) for skip in range(1, 6))


def _line_above(text: str, place: int) -> str:
    lines = text[max(0, place - _FAR) : place].replace("\\n", "\n").rsplit("\n", 2)
    return lines[-2] if len(lines) > 1 else ""


def _without_group(match: re.Match[str], replacement: str) -> str:
    return match[0][: match.start(1) - match.start()] + replacement
