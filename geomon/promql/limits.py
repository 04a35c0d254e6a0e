"""What a query may cost while it is evaluated."""

from __future__ import annotations

from dataclasses import dataclass

from geomon.promql.errors import PromQLError

MAX_LABEL = 10_000
"""Characters of a label value that a query makes."""


@dataclass(frozen=True)
class Limits:
    """How much one query may do; more is a `PromQLError`.

    Attributes:
        steps: Steps of a range query.
        series: Series that one selector may choose.
        samples: Samples held at once, those between the steps of a calculation included.
        reads: Samples looked at, windows that overlap counted again.
    """

    steps: int = 11_000
    series: int = 100_000
    samples: int = 10_000_000
    reads: int = 50_000_000


class Budget:
    """What is left of the limits of a query that runs."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._samples = limits.samples
        self._reads = limits.reads

    def hold(self, samples: int) -> None:
        """Takes memory for that many samples.

        Raises:
            PromQLError: If there is not that much left.
        """
        self._samples -= samples
        if self._samples < 0:
            raise PromQLError(
                "query processing would load too many samples into memory: "
                f"more than {self.limits.samples}"
            )

    def read(self, samples: int) -> None:
        """Takes time for looking at that many samples. Raises as `hold`."""
        self._reads -= samples
        if self._reads < 0:
            raise PromQLError(f"the query would read more than {self.limits.reads} samples")

    def choose(self, series: int) -> None:
        """Takes that many series from the store. Raises as `hold`."""
        if series > self.limits.series:
            raise PromQLError(f"a selector matches more than {self.limits.series} series")


def check_label(length: int) -> None:
    """Refuses a label value that would grow beyond all use.

    Raises:
        PromQLError: If it has more than `MAX_LABEL` characters.
    """
    if length > MAX_LABEL:
        raise PromQLError(f"a label value would have more than {MAX_LABEL} characters")
