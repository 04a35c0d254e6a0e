"""The parts of a record that repeat from one place in the code, encoded once."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

import orjson

from geomon.logs.redaction import Redactor

_MOST = 2_048
_LONGEST = 500

Head = tuple[orjson.Fragment, orjson.Fragment]

_pick = itemgetter("levelname", "name", "module", "funcName", "lineno", "exc_text", "stack_info")


class Heads:
    """Encoded heads, by what they say.

    Args:
        redactor: What must find nothing in them.
        static: Encoded fields that follow each.
    """

    def __init__(self, redactor: Redactor, static: Mapping[str, Any]) -> None:
        self._redactor = redactor
        self._static = orjson.dumps(static)[1:-1]
        self._known: dict[tuple[Any, ...], Head] = {}

    def get(self, values: Mapping[str, Any]) -> Head | None:
        """What stands for `level` (logger after it), and for `module` (function, line, static).

        None where a part of it is not what it usually is.
        """
        key = _pick(values)
        return self._known.get(key) or self._made(key)

    def _made(self, key: tuple[Any, ...]) -> Head | None:
        level, logger, module, function, line, *rest = key
        texts = [level, logger, module, *([] if function is None else [function])]
        if rest != [None, None] or not all(map(self._is_plain, texts)) or type(line) is not int:
            return None
        before = _joined(orjson.dumps(level), {"logger": logger})
        after = _joined(orjson.dumps(module), {"function": function, "line": line}, self._static)
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = head = (orjson.Fragment(before), orjson.Fragment(after))
        return head

    def _is_plain(self, text: object) -> bool:
        return type(text) is str and len(text) <= _LONGEST and self._redactor.text(text) == text


def _joined(first: bytes, fields: Mapping[str, Any], static: bytes = b"") -> bytes:
    parts = (first, orjson.dumps(fields)[1:-1], static)
    return b",".join(part for part in parts if part)
