"""From a template's text to its pieces: text, and the tokens of each `{{ … }}`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from geomon.alerts.templates.errors import TemplateError

_SPACE = " \t\r\n"
_COMMENT = re.compile(r"/\*.*?\*/(?P<end>[ \t\r\n]-}}|}})?", re.DOTALL)
_TOKEN = re.compile(
    r"""(?P<end>[ \t\r\n]-}}|}})
      | (?P<space>[ \t\r\n]+(?!-}}))
      | (?P<string>"(?:\\.|[^"\\\n])*")
      | (?P<raw>`[^`]*`)
      | (?P<char>'(?:\\.|[^'\\\n])+')
      | (?P<number>[+-]?(?:\d|\.\d)(?:[eEpP][+-]\w|[\w.])*)
      | (?P<field>\.\w+) | (?P<dot>\.)
      | (?P<variable>\$\w*)
      | (?P<word>\w+)
      | (?P<declare>:=) | (?P<assign>=) | (?P<comma>,) | (?P<pipe>\|)
      | (?P<open>\() | (?P<close>\))""",
    re.VERBOSE,
)
_NAMES = ("field", "dot", "variable", "word")
_AFTER_NAME = re.compile(r"[ \t\r\n.,|:()]|}}|\Z")


@dataclass(frozen=True)
class Token:
    """A piece of a template.

    Attributes:
        kind: `text`, or the name of a group above; `begin` is `{{`.
        text: As it is written.
    """

    kind: str
    text: str


def tokens(template: str) -> Iterator[Token]:
    """The pieces, in order; `{{-` and `-}}` have taken the white space beside them away.

    Raises:
        TemplateError: If something is not closed, or is not of the language.
    """
    at, trimmed = 0, False
    while (begin := template.find("{{", at)) >= 0:
        left_trim = template[begin + 2 : begin + 3] == "-" and _is_space(template, begin + 3)
        yield _text(template[at:begin], trimmed, left_trim)
        at = begin + (4 if left_trim else 2)
        if template.startswith("/*", at):
            at, trimmed = _comment(template, at)
            continue
        yield Token("begin", "{{")
        while True:
            token = _token(template, at, begin)
            yield token
            at += len(token.text)
            if token.kind == "end":
                trimmed = len(token.text) > 2
                break
    yield _text(template[at:], trimmed, False)


def _is_space(template: str, at: int) -> bool:
    return template[at : at + 1] in tuple(_SPACE)


def _text(text: str, left: bool, right: bool) -> Token:
    text = text.lstrip(_SPACE) if left else text
    return Token("text", text.rstrip(_SPACE) if right else text)


def _comment(template: str, at: int) -> tuple[int, bool]:
    match = _COMMENT.match(template, at)
    if match is None or match["end"] is None:
        raise TemplateError("a comment is not closed: write {{/* text */}}")
    return match.end(), len(match["end"]) > 2


def _token(template: str, at: int, begin: int) -> Token:
    match = _TOKEN.match(template, at)
    if match is None or match.lastgroup is None:
        if template[at : at + 1] in ('"', "`", "'"):
            raise TemplateError(f"a text is not closed: {template[at : at + 20]!r}")
        raise _unreadable(template, at, begin)
    if match.lastgroup in _NAMES and not _AFTER_NAME.match(template, match.end()):
        raise _unreadable(template, match.end(), begin)
    return Token(match.lastgroup, match[0])


def _unreadable(template: str, at: int, begin: int) -> TemplateError:
    if at >= len(template):
        return TemplateError(f"{template[begin : begin + 40]!r} is not closed: write }}}} after it")
    where = template[at : at + 20]
    return TemplateError(f"{where!r} cannot stand in {template[begin : begin + 40]!r}")
