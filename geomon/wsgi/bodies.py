"""Stand-ins for response bodies, which tell when the last byte has passed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geomon.wsgi.exchange import Exchange


class Body:
    """An iterable body.

    Args:
        exchange: The request that it answers.
        body: The application's own.
    """

    __slots__ = ("_body", "_chunks", "_exchange")

    def __init__(self, exchange: Exchange, body: Any) -> None:
        self._exchange = exchange
        self._body = body
        self._chunks: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        exchange = self._exchange
        exchange.running = True
        try:
            if self._chunks is None:
                self._chunks = iter(self._body)
            chunk = next(self._chunks)
        except StopIteration:
            exchange.exhausted()
            raise
        except BaseException as error:
            exchange.failed(error)
            raise
        finally:
            exchange.running = False
        exchange.passed(chunk)
        return chunk

    def close(self) -> None:
        """Closes the application's body; the server calls it when it is done."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            self._exchange.failed(error)
            raise
        finally:
            self._exchange.close()


class SizedBody(Body):
    """A body that servers ask for its length: of one part they know the Content-Length."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)
