"""Specs as they come, read without ever failing: what has the wrong type counts as absent.

Stage: plan (pure).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gitmesh.model.values import parse_duration

Spec = Mapping[str, Any]
NOTHING: Spec = {}


def mapping(value: Any) -> Spec:
    """Return the mapping, or an empty one."""
    # The first question is for speed: nearly all are.
    return value if type(value) is dict or isinstance(value, Mapping) else NOTHING


def items(value: Any) -> tuple[Spec, ...]:
    """Return the mappings of a list; what is none counts as an empty one, so that places in the list stay."""
    return tuple(mapping(item) for item in value) if isinstance(value, list | tuple) else ()


def text(value: Any) -> str:
    """Return the text, or an empty one."""
    return value if isinstance(value, str) else ""


def texts(value: Any) -> tuple[str, ...]:
    """Return the texts of a list."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | tuple) else ()


def labels(value: Any) -> dict[str, str]:
    """Return the entries of a mapping whose values are text."""
    return {str(name): item for name, item in mapping(value).items() if isinstance(item, str)}


def integer(value: Any) -> int:
    """Return the whole number, or 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def percent(value: Any) -> float | None:
    """Return the number, or None."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def seconds(value: Any) -> float | None:
    """Return a duration in seconds; None when it is absent or none."""
    try:
        return parse_duration(value).total_seconds() if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


def entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the entries of a mapping by name, as pilot does."""
    for name in sorted(mapping(value), key=str):
        yield str(name), value[name]
