"""Walking a structural schema: what it says of a field, of an item, and of the envelope of every object.

Stage: none (pure). Source: kubernetes.io, CustomResourceDefinitions, "Specifying a structural schema".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]
Path: TypeAlias = tuple[str | int, ...]

# A value of which nothing is known: nothing is pruned, checked or defaulted inside.
ANY: Schema = {}
PRESERVE = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"

_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"type": "string", "nullable": True}
_FLAG: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "nullable": True}
_TEXTS: Schema = {"type": "object", "additionalProperties": _TEXT}
_OWNER: Schema = {
    "type": "object",
    "required": ["apiVersion", "kind", "name", "uid"],
    "x-kubernetes-map-type": "atomic",
    "properties": {
        **dict.fromkeys(("apiVersion", "kind", "name", "uid"), _TEXT),
        **dict.fromkeys(("controller", "blockOwnerDeletion"), _FLAG),
    },
}
_MANAGED_FIELDS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            **dict.fromkeys(("manager", "operation", "apiVersion", "fieldsType", "subresource"), _TEXT),
            "time": _TIME,
            "fieldsV1": {"type": "object", PRESERVE: True},
        },
    },
}
_OBJECT_META: Schema = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion"), _TEXT),
        **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), _TIME),
        **dict.fromkeys(("generation", "deletionGracePeriodSeconds"), _COUNT),
        "labels": _TEXTS,
        "annotations": _TEXTS,
        "finalizers": {"type": "array", "items": _TEXT, "x-kubernetes-list-type": "set"},
        "ownerReferences": {
            "type": "array",
            "items": _OWNER,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["uid"],
        },
        "managedFields": _MANAGED_FIELDS,
    },
}


def whole(schema: Schema) -> Schema:
    """Add apiVersion, kind and the full metadata, which a CRD's schema leaves out."""
    properties = _mapping(schema.get("properties"))
    own_metadata = _mapping(_mapping(properties.get("metadata")).get("properties"))
    metadata = {**_OBJECT_META, "properties": {**_OBJECT_META["properties"], **own_metadata}}
    envelope = {"apiVersion": _TEXT, "kind": _TEXT, "metadata": metadata}
    opened = {} if schema.get("type") or properties else {PRESERVE: True}
    return {"type": "object", **opened, **schema, "properties": {**properties, **envelope}}


def field_schema(schema: Schema, key: str) -> Schema | None:
    """Return the schema of a field, or None when the field is not known and would be pruned."""
    schema = embedded(schema)
    known = _mapping(schema.get("properties")).get(key)
    if known is not None:
        return _mapping(known)
    additional = schema.get("additionalProperties")
    if isinstance(additional, Mapping):
        return additional
    if additional is True or schema.get(PRESERVE) or not _says_object(schema):
        return ANY
    return None


def is_named(schema: Schema, key: str) -> bool:
    """Say whether the field is a named one, not the key of a map and not an unknown one."""
    return key in _mapping(embedded(schema).get("properties"))


def item_schema(schema: Schema) -> Schema:
    """Return the schema of the items of a list."""
    return _mapping(schema.get("items"))


def embedded(schema: Schema) -> Schema:
    """Add the envelope to the schema of a whole object inside another."""
    return whole(schema) if schema.get("x-kubernetes-embedded-resource") else schema


def list_type(schema: Schema) -> str:
    """Return map, set or atomic. A list that says nothing is atomic."""
    kind = schema.get("x-kubernetes-list-type")
    return kind if kind in ("map", "set") else "atomic"


def list_keys(schema: Schema) -> tuple[str, ...]:
    """Return the fields that identify an item of a list of type map."""
    return tuple(schema.get("x-kubernetes-list-map-keys") or ())


def path_text(path: Path) -> str:
    """Write a path as Kubernetes does: `spec.http[0].route[1].weight`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _says_object(schema: Schema) -> bool:
    return schema.get("type") == "object" or "properties" in schema


def _mapping(value: Any) -> Mapping[str, Any]:
    # Nearly always a dict, and asking that first is fast.
    return value if isinstance(value, (dict, Mapping)) else {}
