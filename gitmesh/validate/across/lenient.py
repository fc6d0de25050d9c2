"""Reading values that may be of any type: what is wrong with them is reported elsewhere, once.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Labels = tuple[tuple[str, str], ...]


def mapping(value: Any) -> Mapping[str, Any]:
    """Return the value if it is a mapping, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the elements of a list that are mappings."""
    return (item for item in (value if isinstance(value, list) else ()) if isinstance(item, Mapping))


def texts(value: Any) -> tuple[str, ...]:
    """Return the elements of a list that are text."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def text(value: Any) -> str:
    """Return the value if it is text, or an empty one."""
    return value if isinstance(value, str) else ""


def number(value: Any) -> int:
    """Return the value if it is a whole number, or 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def labels(value: Any) -> Labels:
    """Return a mapping from text to text in a form that is immutable and in order."""
    found = mapping(value)
    return tuple(sorted((k, v) for k, v in found.items() if isinstance(k, str) and isinstance(v, str)))


def is_selected(by: Labels, pod_labels: Mapping[str, str]) -> bool:
    """Say whether all labels of a selector are among the labels of a Pod; an empty selector takes all."""
    return all(pod_labels.get(name) == value for name, value in by)
