"""A value without some of its fields, so that fields that do not exist keep nothing else from being judged.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Place = tuple[str | int, ...]


def without(value: Any, places: Iterable[Place]) -> Any:
    """Return a copy without the fields at these places; what is not changed is shared with the value."""
    tree: dict[str | int, Any] = {}
    for place in places:
        branch = tree
        for part in place[:-1]:
            branch = branch.setdefault(part, {})
        branch[place[-1]] = {}  # nothing is left below a field that is left out
    return _pruned(value, tree)


def _pruned(value: Any, tree: dict[str | int, Any]) -> Any:
    if isinstance(value, dict):
        return {
            name: _pruned(child, tree[name]) if tree.get(name) else child
            for name, child in value.items()
            if name not in tree or tree[name]
        }
    if isinstance(value, list):
        return [_pruned(child, tree[at]) if tree.get(at) else child for at, child in enumerate(value)]
    return value
