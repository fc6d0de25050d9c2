"""Removing fields from an object, and the sets that say which may go.

Stage: none (pure). Source: kubernetes-sigs/structured-merge-diff, typed/remove.go, merge/update.go (prune).
"""

from __future__ import annotations

from typing import Any

from gitmesh.playground.apiserver.objects.fieldset import FieldPath, FieldSet, Tree, encode, is_member
from gitmesh.playground.apiserver.objects.merging import field_set, parts
from gitmesh.playground.apiserver.objects.structure import (
    ANY,
    Schema,
    field_schema,
    is_named,
    item_schema,
    list_type,
)


def remove(body: Any, fields: FieldSet, schema: Schema) -> Any:
    """Return the object without the fields. What loses all its parts stays, empty."""
    return _without(body, encode(fields), schema) if fields else body


def _without(value: Any, tree: Tree, schema: Schema) -> Any:
    inner = parts(value, schema)
    if inner is None:
        return value
    kept = []
    for part in inner:
        node = tree.get(part.element)
        if node is None:
            kept.append((part.key, part.value))
        elif not is_member(node):
            kept.append((part.key, _without(part.value, node, part.schema)))
    return dict(kept) if isinstance(value, dict) else [item for _, item in kept]


def remove_disowned(merged: Any, *, last: FieldSet, owned: FieldSet, schema: Schema) -> Any:
    """Remove what the applier stated last time (`last`) and nobody, itself included, owns now (`owned`)."""
    last, owned = with_named_parents(last, schema), with_named_parents(owned, schema)
    everything = with_named_parents(field_set(merged, schema), schema)
    untouched = _left_without(merged, last, schema)
    disowned = everything - untouched - owned
    # What is empty now goes too, unless someone owns it as such; but nothing that the applier never stated.
    gone = (everything - _left_without(merged, disowned, schema)) & last
    return remove(merged, gone - owned, schema)


def _left_without(body: Any, fields: FieldSet, schema: Schema) -> FieldSet:
    """Return the fields that an object still states without some."""
    return with_named_parents(field_set(remove(body, fields, schema), schema), schema)


def with_named_parents(fields: FieldSet, schema: Schema) -> FieldSet:
    """Add the named fields that lie on the way to a path. The items and keys on the way stay out."""
    parents = {
        path[: depth + 1]
        for path in fields
        for depth, inner in enumerate(_schemas_along(path[:-1], schema))
        if path[depth].startswith("f:") and is_named(inner, path[depth][2:])
    }
    return fields | parents


def _schemas_along(path: FieldPath, schema: Schema) -> list[Schema]:
    """Return for every element of the path the schema of what it is an element of."""
    along = []
    for element in path:
        along.append(schema)
        is_field = element.startswith("f:")
        schema = (field_schema(schema, element[2:]) or ANY) if is_field else item_schema(schema)
    return along


def fit_to_schema(fields: FieldSet, schema: Schema) -> FieldSet:
    """Cut the paths that lead into what the schema now calls atomic: the whole is owned instead."""
    return frozenset(_fitted(path, schema) for path in fields)


def _fitted(path: FieldPath, schema: Schema) -> FieldPath:
    for depth, inner in enumerate(_schemas_along(path, schema)):
        is_list = inner.get("type") == "array" and list_type(inner) == "atomic"
        if depth and (is_list or inner.get("x-kubernetes-map-type") == "atomic"):
            return path[:depth]
    return path
