"""Reading whole responses, and streams item by item."""

from __future__ import annotations

from collections.abc import Callable

from geomon import losses
from geomon.usage.providers import PROVIDERS, shape_of
from geomon.usage.reading import Reading, Tally, field

_ITEMS = frozenset(
    shape
    for provider in PROVIDERS
    for name, shape in provider.classes.items()
    if name.endswith(("Chunk", "Event"))
)
_WHOLE_KINDS = frozenset({"chat.completion", "text_completion", "response", "list", "message", ""})
_ITEM_KINDS = frozenset(kind for provider in PROVIDERS for kind in provider.kinds) - _WHOLE_KINDS
_FIRST_EVENTS = ("message_start", "response.created")


def read(response: object) -> Reading | None:
    """What a response of a supported client, or a dict of the same shape, says about itself.

    An item of a stream is read for itself alone. A raw response is parsed only if its body is in
    memory; nothing is consumed.

    Returns:
        None for anything else, and for a response whose attributes raise (a counted loss).
    """
    shape = shape_of(type(response))
    if shape is None:
        return None
    tally = Tally()
    try:
        has_content = shape(response, tally)
    except Exception:
        losses.count("usage", "unreadable")
        return None
    return None if has_content is None else tally.reading(response, has_content)


class StreamReader:
    """Adds up what the items of one stream say. Never raises.

    A stream that breaks off leaves None where the provider had not told the number yet.
    """

    __slots__ = ("_seen", "_tally")

    def __init__(self) -> None:
        self._tally = Tally()
        self._seen: object = None

    def feed(self, item: object) -> bool:
        """Takes the next item; tells whether it carries generated content.

        Items of unknown types are content.
        """
        shape = shape_of(type(item))
        if shape is None:
            return True
        try:
            has_content = shape(item, self._tally)
        except Exception:
            losses.count("usage", "unreadable")
            return True
        if has_content is None:
            return True
        self._seen = item
        return has_content

    @property
    def sources(self) -> list[object]:
        """The objects that carried usage: they are this stream's tokens, not further ones."""
        return self._tally.sources

    def reading(self) -> Reading | None:
        """What all items so far say together; None when none was of a supported client."""
        if self._seen is None:
            return None
        return self._tally.reading(self._seen, has_content=True)


class MixedReader:
    """Finds the stream that an item belongs to, where a program hands over items one by one.

    Args:
        begin: Gives the reader of a further stream.
    """

    __slots__ = ("_begin", "_last", "_readers")

    def __init__(self, begin: Callable[[], StreamReader]) -> None:
        self._begin = begin
        self._readers: dict[str, StreamReader] = {}
        self._last: StreamReader | None = None

    def reader_of(self, item: object) -> StreamReader:
        """The reader of the item's stream.

        OpenAI's chunks carry an id of their stream. What carries none belongs to the stream of the
        item before it, unless it is a stream's first event.
        """
        name = field(item, "id") or field(field(item, "chunk"), "id")
        if isinstance(name, str):
            self._last = self._readers.get(name) or self._readers.setdefault(name, self._begin())
        elif self._last is None or field(item, "type") in _FIRST_EVENTS:
            self._last = self._begin()
        return self._last


def is_stream_item(item: object) -> bool:
    """Whether it is a known item of a stream, which says its part only together with others."""
    if not issubclass(type(item), dict):  # isinstance asks the object, which may raise
        return shape_of(type(item)) in _ITEMS
    kind = field(item, "object") or field(item, "type")
    if not isinstance(kind, str) or kind in _WHOLE_KINDS:
        return False
    return kind in _ITEM_KINDS or kind.partition(".")[0] + ".*" in _ITEM_KINDS
