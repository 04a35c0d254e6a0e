"""Reading whole responses, and streams item by item."""

from __future__ import annotations

from geomon import losses
from geomon.usage.providers import shape_of
from geomon.usage.reading import Reading, Tally


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
