"""PromQL over a `SeriesStore`, meaning what Prometheus 3 means.

The stable language over float samples. What Prometheus hides behind a feature flag, and native
histograms, are refused with a `PromQLError` that says so.
"""

from geomon.promql.errors import PromQLError
from geomon.promql.limits import Limits
from geomon.promql.needs import needs
from geomon.promql.querying import query, query_range
from geomon.promql.values import RangeSeries, Sample

__all__ = ["Limits", "PromQLError", "RangeSeries", "Sample", "needs", "query", "query_range"]
