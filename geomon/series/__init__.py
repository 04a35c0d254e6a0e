"""Timestamped samples of a registry: what alert rules and the dashboard are evaluated over."""

from geomon.series.samples import STALE, Samples
from geomon.series.store import SeriesStore

__all__ = ["STALE", "Samples", "SeriesStore"]
