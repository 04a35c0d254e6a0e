"""The providers whose responses are understood: one small entry each."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from geomon.usage import anthropic_shapes, openai_shapes
from geomon.usage.raw import Headers, raw_shape
from geomon.usage.reading import Shape, Tally

MOST_TYPES = 4096
"""So many types are remembered; then all are forgotten (mocks make a class each)."""


class Provider(NamedTuple):
    """How one provider's responses are recognised and read."""

    name: str
    """The provider's id: `openai`."""
    root: str
    """The top package of its SDK."""
    classes: Mapping[str, Shape]
    """Shapes by class name of the SDK, also as a pattern: `Response*Event`. First match counts."""
    kinds: Mapping[str, Shape]
    """Shapes of plain dicts by their `object` or `type`; `response.*` is all that begin so."""
    rate_limits: Headers
    """Names of the headers with the limit and with what remains of it."""


PROVIDERS = (
    Provider(
        name=openai_shapes.PROVIDER,
        root="openai",
        classes=openai_shapes.CLASSES,
        kinds=openai_shapes.KINDS,
        rate_limits=("x-ratelimit-limit-{}", "x-ratelimit-remaining-{}"),
    ),
    Provider(
        name=anthropic_shapes.PROVIDER,
        root="anthropic",
        classes=anthropic_shapes.CLASSES,
        kinds=anthropic_shapes.KINDS,
        rate_limits=("anthropic-ratelimit-{}-limit", "anthropic-ratelimit-{}-remaining"),
    ),
)

_roots = {provider.root: provider for provider in PROVIDERS}
_kinds = {kind: shape for provider in PROVIDERS for kind, shape in provider.kinds.items()}
_shapes: dict[type, Shape | None] = {}


def shape_of(kind: type) -> Shape | None:
    """How to read objects of a type; None for types that are no provider's."""
    try:
        return _shapes[kind]
    except Exception:  # a metaclass may raise anything from its hash
        return _learn(kind)


def _learn(kind: type) -> Shape | None:
    try:
        shape = _find(kind)
        if len(_shapes) >= MOST_TYPES:
            _shapes.clear()
        _shapes[kind] = shape
    except Exception:
        return None
    return shape


def _find(kind: type) -> Shape | None:
    if issubclass(kind, dict):
        return _dict_shape
    for base in kind.__mro__:
        provider = _roots.get(base.__module__.partition(".")[0])
        shape = provider and _named(provider, base.__name__)
        if shape:
            return shape
    return None


def _named(provider: Provider, name: str) -> Shape | None:
    if name in ("LegacyAPIResponse", "BaseAPIResponse"):
        return raw_shape(provider.name, provider.rate_limits, shape_of)
    matching = (shape for key, shape in provider.classes.items() if fnmatchcase(name, key))
    return next(matching, None)


def _dict_shape(item: dict[str, Any], tally: Tally) -> bool | None:
    kind = item.get("object") or item.get("type") or ""
    if not isinstance(kind, str):
        return None
    shape = _kinds.get(kind) or _kinds.get(kind.partition(".")[0] + ".*")
    return None if shape is None else shape(item, tally)
