"""Redaction: secrets by the name they stand under, and by what they look like.

Limits first. A secret that has neither a telling name beside it nor a known shape is not seen, and
one that was encoded or split before it came here may not be either. Numbers, booleans and None are
never redacted in structures: a count of tokens is no secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from geomon.logs import secret_pairs as pairs
from geomon.logs import secret_shapes as shapes
from geomon.logs.secret_names import (
    longest_word,
    may_hold_name,
    pattern_of_names,
    readings_of,
    words_of,
)
from geomon.logs.secret_pairs import may_hold_pair
from geomon.logs.secret_shapes import may_hold_shape

_CACHED = 4096
_LONGEST_CACHED = 128


class Redactor:
    """Replaces secrets, in texts and by the names of fields.

    Args:
        keys: Further names of fields whose values are secret (`["card_number"]`): their words, in
            any spelling, anywhere in a name.
        patterns: Further shapes, as regular expressions; what they match is replaced. They are
            searched in every text, and Python's engine can take exponential time: keep them plain.
        replacement: What stands in a secret's place.

    Raises:
        TypeError: a key is no text, or a pattern neither text nor a compiled pattern of text.
        ValueError: a key without a letter; a pattern that does not compile, or matches nothing at
            all.
    """

    def __init__(
        self,
        keys: Iterable[str] = (),
        patterns: Iterable[str | re.Pattern[str]] = (),
        replacement: str = "[redacted]",
    ) -> None:
        if not isinstance(replacement, str):
            raise TypeError(f"replacement is a text, not {replacement!r}")
        names = [_checked_key(key) for key in _several("keys", keys)]
        self.replacement = replacement
        self._own = tuple(_checked_pattern(one) for one in _several("patterns", patterns))
        self._names = pattern_of_names(names)
        self._parts = tuple(longest_word(name) for name in names)
        self._values = pairs.Values(replacement)
        self._known: dict[str, bool] = {}

    @property
    def has_own_patterns(self) -> bool:
        """Whether `patterns` were given: then `suspects` says nothing about joined texts."""
        return bool(self._own)

    def is_secret_key(self, key: str) -> bool:
        """Whether a field of this name holds a secret: `password`, `X-Api-Key`, `accessToken`.

        `token` counts as the last word only: `token_type`, `max_tokens` and `input_tokens` stay.
        """
        known = self._known.get(key)
        return self._judge(key) if known is None else known

    def _judge(self, key: str) -> bool:
        secret = any(map(self._names.search, readings_of(key)))
        if len(key) <= _LONGEST_CACHED:
            if len(self._known) >= _CACHED:
                self._known.clear()
            self._known[str.__str__(key)] = secret
        return secret

    def text(self, text: str) -> str:
        """The text with every secret in it replaced; ordinary text comes back as it is."""
        shaped, named = may_hold_shape(text), self._may_hold_name(text)
        for own in self._own:
            text = own.sub(self._replace, text)
        if shaped:
            text = shapes.PRIVATE_KEYS.sub(self._replace, text)
        if named:
            text = pairs.redacted(text, self.is_secret_key, self._values)
        if shaped:
            text = shapes.URL_CREDENTIALS.sub(self._replace, text)
            text = shapes.KEYS.sub(self._replace_key, text)
        if named:
            text = shapes.BEARER.sub(self._replace_word, text)
            text = shapes.BASIC.sub(self._replace_basic, text)
        return text

    def suspects(self, text: str) -> bool:
        """Whether there may be a secret in the text: False is certain, True is not."""
        return (
            may_hold_shape(text)
            or self._may_hold_name(text)
            or (self._own != () and any(own.search(text) for own in self._own))
        )

    def _may_hold_name(self, text: str) -> bool:
        lower = text.lower()
        if "bearer" in lower or "basic" in lower:
            return True
        if not may_hold_pair(text):
            return False
        return may_hold_name(lower) or (
            self._parts != () and any(part in lower for part in self._parts)
        )

    def _replace(self, match: re.Match[str]) -> str:
        return self.replacement

    def _replace_key(self, match: re.Match[str]) -> str:
        if match["no_token"] is None:
            return self.replacement
        return shapes.MARKED_KEYS.sub(self._replace, match[0])

    def _replace_word(self, match: re.Match[str]) -> str:
        before = match.string[match.start() : match.start(1)]
        return before + self.replacement

    def _replace_basic(self, match: re.Match[str]) -> str:
        return self._replace_word(match) if shapes.is_basic_credential(match[1]) else match[0]


def _several(name: str, values: object) -> Iterable[object]:
    if isinstance(values, str | bytes | re.Pattern) or not isinstance(values, Iterable):
        raise TypeError(f"{name} takes a list, not {values!r}: write {name}=[{values!r}]")
    return values


def _checked_key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"keys are texts, not {key!r}")
    if not words_of(key):
        raise ValueError(
            f"the key {key!r} has no letter in it: name a field, such as 'card_number'"
        )
    return key


def _checked_pattern(pattern: object) -> re.Pattern[str]:
    compiled = _compiled(pattern)
    if compiled.match(""):
        raise ValueError(
            f"the pattern {compiled.pattern!r} matches an empty text: make it need one"
        )
    return compiled


def _compiled(pattern: object) -> re.Pattern[str]:
    if isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, str):
        return pattern
    if not isinstance(pattern, str):
        raise TypeError(f"patterns are texts or compiled patterns of text, not {pattern!r}")
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the pattern {pattern!r} does not compile: {error}") from None


DEFAULT = Redactor()
"""What is used where no other redactor is given."""
