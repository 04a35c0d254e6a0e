"""The pieces of a query's text: strings, comments, numbers, operators, words, brackets."""

from __future__ import annotations

import re

PIECE = re.compile(
    r"""(?P<raw>`[^`]*`)
      | (?P<quoted>"(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*')
      | \#[^\r\n]*
      | (?P<number>(?:0[xX]\w+ | (?:\d[\d_]*\.?[\d_]* | \.\d[\d_]*)(?:[eE][-+]?\d+)?)\w*)
      | (?P<operator>[-+*/%^@] | [=!<>][=~]? | \b(?:and|or|unless|atan2)\b)
      | :*[a-zA-Z_][\w:]*
      | (?P<comma>,)
      | (?P<open>[(\[{]) | (?P<close>[)\]}])""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
"""One piece; its group says what it is, none for words and comments."""
