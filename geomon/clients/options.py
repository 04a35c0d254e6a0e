"""What a program asks of the clients that it instruments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from geomon.clients.hosts import Hosts


@dataclass(frozen=True, slots=True)
class Options:
    """What `geomon.instrument` was told."""

    propagate: Hosts
    """The hosts that request id and trace are handed on to."""
    exclude: Hosts
    """The hosts whose requests are left alone."""


def options(*, propagate: Iterable[str] = (), exclude: Iterable[str] = ()) -> Options:
    """The options of `geomon.instrument`, checked. Raises as `Hosts`."""
    return Options(Hosts(propagate, "propagate"), Hosts(exclude, "exclude"))
