"""The templates of labels and annotations."""

from __future__ import annotations

from collections.abc import Mapping

from geomon.alerts.templates.blocks import write
from geomon.alerts.templates.errors import ExpansionError
from geomon.alerts.templates.parsing import Parsed, parse
from geomon.alerts.templates.running import Query, Run
from geomon.alerts.templates.values import Data

_NONE: Mapping[str, str] = {}


class Template:
    """A text with Go's templates in it, as rule files have them.

    Args:
        text: Such as `{{ $labels.type }} fails: {{ $value | humanizePercentage }}`.

    Raises:
        TemplateError: If it is wrong, or uses what is not in.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._parsed: Parsed | None = parse(text) if "{{" in text else None

    def expand(
        self,
        labels: Mapping[str, str],
        value: float,
        query: Query | None = None,
        external_labels: Mapping[str, str] = _NONE,
        external_url: str = "",
    ) -> str:
        """The text for one alert.

        Args:
            labels: What `$labels` is.
            value: What `$value` is.
            query: Gives `query "…"` its samples.
            external_labels: What `$externalLabels` is.
            external_url: What `$externalURL` is.

        Returns:
            The text; `<error expanding template: …>` where it failed, as in Prometheus.
        """
        if self._parsed is None:
            return self.text
        run = Run(Data(labels, external_labels, external_url, value), query, self._parsed.variables)
        try:
            write(self._parsed.parts, run, run.data)
        except ExpansionError as error:
            return f"<error expanding template: {error}>"
        except Exception as error:  # whatever a query raises
            return f"<error expanding template: {type(error).__name__}: {error}>"
        return run.text

    def __repr__(self) -> str:
        return f"Template({self.text!r})"
