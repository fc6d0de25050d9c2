"""Dropping what a schema does not know, and filling in what it has a default for.

Stage: none (pure).
Source: kubernetes.io, CustomResourceDefinitions, "Field pruning" and "Defaulting and Nullable".
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from gitmesh.playground.apiserver.objects.structure import (
    ANY,
    Path,
    Schema,
    embedded,
    field_schema,
    item_schema,
    whole,
)


def prune(body: Any, schema: Schema) -> Any:
    """Return the object without the fields that the schema does not know."""
    return _pruned(body, whole(schema), (), [])


def unknown_fields(body: Any, schema: Schema) -> list[Path]:
    """Return the paths that `prune` would drop."""
    dropped: list[Path] = []
    _pruned(body, whole(schema), (), dropped)
    return dropped


def _pruned(value: Any, schema: Schema, path: Path, dropped: list[Path]) -> Any:
    if isinstance(value, list):
        inner = item_schema(schema)
        return [_pruned(item, inner, (*path, index), dropped) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, child in value.items():
        known = field_schema(schema, key)
        if known is None:
            dropped.append((*path, key))
        else:
            kept[key] = _pruned(child, known, (*path, key), dropped)
    return kept


def default(body: Any, schema: Schema) -> Any:
    """Return the object with defaults filled in, and without nulls where the schema allows none.

    A null goes to the default if there is one, else the field goes. Items of a list stay.
    """
    return _defaulted(body, whole(schema))


def _defaulted(value: Any, schema: Schema) -> Any:
    if isinstance(value, list):
        inner = item_schema(schema)
        return [_defaulted(_unless_null(item, inner), inner) for item in value]
    if not isinstance(value, dict):
        return value
    filled = {}
    for key, child in value.items():
        inner = field_schema(schema, key) or ANY
        child = _unless_null(child, inner)
        if child is not None or not inner or inner.get("nullable"):
            filled[key] = _defaulted(child, inner)
    for key, inner in (embedded(schema).get("properties") or {}).items():
        if key not in filled and inner.get("default") is not None:
            filled[key] = _defaulted(deepcopy(inner["default"]), inner)
    return filled


def _unless_null(value: Any, schema: Schema) -> Any:
    if value is None and not schema.get("nullable"):
        return deepcopy(schema.get("default"))
    return value
