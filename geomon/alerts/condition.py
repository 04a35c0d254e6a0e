"""A rule about geomon's own metrics, which follows their namespace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypedDict

from geomon.alerts.expressions import MARK, held
from geomon.alerts.rule import AlertRule


class Options(TypedDict, total=False):
    """What every condition takes besides.

    Attributes:
        name: The alert's name.
        for_: How long it must be so before the alert fires: seconds, or as `"5m"`.
        keep_firing_for: How long the alert fires on after it is so no more.
        labels: Labels besides `severity="warning"` and what was asked for; they may set it anew.
        annotations: Texts besides `summary` and `description`; they may set them anew.
        namespace: Put before the metrics' names; where it is not given, that of `configure()`.
    """

    name: str
    for_: float | str
    keep_firing_for: float | str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    namespace: str


@dataclass(frozen=True)
class Condition(AlertRule):
    """A rule that a helper has written.

    Args:
        needs_prices: Whether it can never fire where no prices are known.
        pattern: The expression and the annotations with a mark for the namespace; None: it is
            fixed.
    """

    needs_prices: bool = False
    pattern: tuple[str, Mapping[str, str]] | None = field(default=None, repr=False)

    def in_namespace(self, namespace: str) -> Condition:
        """The rule about metrics of this namespace, unless it was made for a certain one."""
        if self.pattern is None:
            return self
        expr, annotations = self.pattern
        return replace(
            self, expr=_put(expr, namespace), annotations=_all_put(annotations, namespace)
        )


@dataclass(frozen=True)
class Draft:
    """What a helper says of its rule, before the caller's options.

    Attributes:
        name: The alert's name.
        condition: When it fires.
        summary: One line, a template.
        description: What it means and where to look, a template.
        labels: Labels that tell it from others of its name.
        severity: `warning` or `critical`.
        needs_prices: As in `Condition`.
        value: What is compared, for `resolve_below`.
        resolve_below: Below what it resolves, where that is not the threshold.
    """

    name: str
    condition: str
    summary: str
    description: str
    labels: Mapping[str, str | None] = field(default_factory=dict)
    severity: str = "warning"
    needs_prices: bool = False
    value: str = ""
    resolve_below: str | None = None

    def rule(self, options: Options) -> Condition:
        """The rule.

        Raises:
            TypeError, RuleError: If an option is wrong.
        """
        _check(options)
        name = options.get("name", self.name)
        own = {key: literal(text) for key, text in self.labels.items() if text}
        labels = {"severity": self.severity, **own, **options.get("labels", {})}
        expr = self.condition
        if self.resolve_below is not None:
            expr = held(expr, self.value, self.resolve_below, name, labels)
        texts = {"summary": self.summary, "description": self.description}
        annotations = {**texts, **options.get("annotations", {})}
        namespace = options.get("namespace")
        return Condition(
            name=name,
            expr=_put(expr, namespace or ""),
            for_=options.get("for_", 0.0),
            keep_firing_for=options.get("keep_firing_for", 0.0),
            labels=labels,
            annotations=_all_put(annotations, namespace or ""),
            needs_prices=self.needs_prices,
            pattern=(expr, annotations) if namespace is None else None,
        )


def literal(text: str) -> str:
    """A template that gives this text."""
    return text.replace("{{", '{{ "{{" }}')


def _check(options: Options) -> None:
    unknown = sorted(set(options) - set(Options.__annotations__))
    if unknown:
        known = ", ".join(Options.__annotations__)
        raise TypeError(f"the option {unknown[0]} is not known: write one of {known}")


def _put(text: str, namespace: str) -> str:
    return text.replace(MARK, f"{namespace}_" if namespace else "")


def _all_put(texts: Mapping[str, str], namespace: str) -> dict[str, str]:
    return {name: _put(text, namespace) for name, text in texts.items()}
