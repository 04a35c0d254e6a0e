"""What a response says about its cost: model, tokens, finish reasons, and a price for them.

`read` takes whole responses, `StreamReader` the items of a stream, `PriceBook` turns the tokens
into US dollars. No AI client is imported: its objects are recognised by their class, plain dicts
by their shape. A further provider is one entry in `geomon.usage.providers`.
"""

from geomon.usage.prices import PriceBook
from geomon.usage.reading import Reading
from geomon.usage.stream import MixedReader, StreamReader, is_stream_item, read

__all__ = ["MixedReader", "PriceBook", "Reading", "StreamReader", "is_stream_item", "read"]
