"""Which classes' objects are streams, by rule.

A stream is an iterator: what has `__next__` or `__anext__`. A collection of results is none: a
file (it has `readline`) and a database's cursor (`fetchone`, as PEP 249 says). Nor is a mock, which
has every attribute.

A manager is entered first, and gives the stream or response: what `contextlib.contextmanager` and
`asynccontextmanager` make (so `httpx.Client.stream(...)`), and what a provider's client has for it:
a class of its package that can be entered, and not closed, which tells it from the client itself.

A raw response is what a provider's client gives for `with_raw_response` and
`with_streaming_response`.
"""

from __future__ import annotations

import contextlib

CLIENTS = frozenset({"openai", "anthropic"})
"""The packages whose classes are known from within."""

_COLLECTIONS = ("readline", "fetchone")
_BLOCKS = (contextlib._GeneratorContextManager, contextlib._AsyncGeneratorContextManager)
_RAW = ("LegacyAPIResponse", "BaseAPIResponse")


def is_clients(cls: type) -> bool:
    """Whether a class is, or derives from, one of a provider's client."""
    return any(base.__module__.partition(".")[0] in CLIENTS for base in cls.__mro__)


def is_plain(cls: type) -> bool:
    """Whether objects of a class are no streams, though they can be iterated over."""
    return any(hasattr(cls, name) for name in _COLLECTIONS) or any(
        base.__name__ == "NonCallableMock" and base.__module__.endswith("mock")
        for base in cls.__mro__
    )


def is_manager(cls: type) -> bool:
    """Whether objects of a class are entered to get the stream or response."""
    if issubclass(cls, _BLOCKS):
        return True
    if not (hasattr(cls, "__enter__") or hasattr(cls, "__aenter__")) or not is_clients(cls):
        return False
    return not (hasattr(cls, "close") or hasattr(cls, "aclose"))


def is_raw(cls: type) -> bool:
    """Whether a class is one of a provider's raw responses."""
    return is_clients(cls) and any(base.__name__ in _RAW for base in cls.__mro__)
