"""An alert: what a rule found, on its way through the lifecycle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["pending", "firing", "resolved"]


@dataclass(frozen=True)
class Alert:
    """One alert at one moment, as a notifier gets it. Times are seconds since the epoch."""

    name: str
    """The rule's name; also the label `alertname`."""
    state: State
    """`pending` until it was active for the rule's `for`, then `firing`, at last `resolved`."""
    labels: Mapping[str, str]
    """The labels of what the expression gave, without its name, then those of the rule."""
    annotations: Mapping[str, str]
    """The rule's annotations with their templates expanded."""
    value: float
    """What the expression gave at the last evaluation that gave something."""
    active_since: float
    """When the expression began to give it."""
    fired_at: float | None = None
    """When it began to fire."""
    resolved_at: float | None = None
    """When it was resolved."""
    expr: str = ""
    """The rule's expression."""

    @property
    def key(self) -> frozenset[tuple[str, str]]:
        """What tells it from other alerts: its labels."""
        return frozenset(self.labels.items())


Notifier = Callable[[Sequence[Alert]], object]
"""Takes the alerts that changed in one evaluation, firing and resolved ones, and sends them.

It runs in a thread of its own, and raises where it could not send: then it is called again later.
A `concurrent.futures.Future` that it gives is waited for. Its `name`, where it has one, is what it
is called, and known again by after a restart.
"""


class DeliveryError(Exception):
    """Raised by a notifier that could not send.

    Args:
        text: Why.
        retry: Whether it makes sense to try again: not where the receiver refused the message.
        after: Seconds to wait before, where the receiver said so (`Retry-After`).
    """

    def __init__(self, text: str, *, retry: bool = True, after: float | None = None) -> None:
        super().__init__(text)
        self.retry = retry
        self.after = after
