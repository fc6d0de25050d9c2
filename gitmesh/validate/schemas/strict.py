"""From a structural schema to a strict JSON schema: what an API server asks for with strict field validation.

Stage: validate (pure). Source: kubernetes.io, "Specifying a structural schema", "Field pruning"; fields that
the schema does not name are errors, as with `fieldValidation=Strict`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitmesh.validate.schemas.formats import FORMATS, format_name
from gitmesh.validate.schemas.shape import Schema, SchemaError, Shape

_BOUNDS = (
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "multipleOf",
    "pattern",
    "required",
)
_INTEGERS = {"int32": (-(1 << 31), (1 << 31) - 1), "int64": (-(1 << 63), (1 << 63) - 1)}
_ROOT_FIELDS = ("apiVersion", "kind", "metadata")
_COMBINATIONS_MAX = 50


def strict_schema(shape: Shape) -> dict[str, Any]:
    """Return the JSON schema for whole objects. Raises SchemaError."""
    root = _node(shape, is_object=True)
    named = shape.properties.get("metadata")
    metadata = {} if named is None else {k: _node(v) for k, v in named.properties.items()}
    root["properties"] = {
        **root.get("properties", {}),
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object", "properties": metadata},
    }
    # The server fills in what it owns, and a person never writes it.
    root["required"] = [name for name in root.get("required", ()) if name not in (*_ROOT_FIELDS, "status")]
    return root


def _node(shape: Shape, *, is_object: bool = False) -> dict[str, Any]:
    result: dict[str, Any] = _keywords(shape.schema)
    if shape.int_or_string:
        result["type"] = ["integer", "string"]
    elif shape.type or is_object:
        result["type"] = shape.type or "object"
    if shape.properties or shape.embedded:
        result["properties"] = {name: _node(part) for name, part in shape.properties.items()}
    if shape.values is not None:
        result["additionalProperties"] = _node(shape.values)
    elif (shape.type == "object" or shape.properties) and not shape.is_open:
        result["additionalProperties"] = False
    if shape.items is not None:
        result["items"] = _node(shape.items)
    if shape.embedded:
        _embed(result)
    combined = _combinations(shape.schema, skip_types=shape.int_or_string)
    if shape.nullable and "type" in result:
        _allow_null(result)
        # Null has no fields, and so would break a choice between fields.
        combined = {"if": {"not": {"type": "null"}}, "then": combined} if combined else {}
    return result | combined


def _embed(result: dict[str, Any]) -> None:
    """Make it a whole object of some kind."""
    for name in ("apiVersion", "kind"):
        result["properties"].setdefault(name, {"type": "string", "minLength": 1})
    result["properties"].setdefault("metadata", {"type": "object"})
    result["required"] = sorted({*result.get("required", ()), "apiVersion", "kind"})


def _allow_null(result: dict[str, Any]) -> None:
    types = result["type"]
    result["type"] = [*(types if isinstance(types, list) else [types]), "null"]
    if "enum" in result:
        result["enum"] = [*result["enum"], None]


def _keywords(schema: Schema) -> dict[str, Any]:
    """Return what is said about one value, beside its type."""
    result = {name: schema[name] for name in _BOUNDS if schema.get(name) is not None}
    if isinstance(schema.get("enum"), list):
        result["enum"] = list(schema["enum"])
    result |= _range(schema)
    known = schema.get("format")
    if isinstance(known, str) and known in FORMATS:
        result["format"] = format_name(known)
    return result


def _range(schema: Schema) -> dict[str, Any]:
    """Return the bounds of a number; OpenAPI says with a flag that a bound itself is excluded."""
    result: dict[str, Any] = {}
    least, most = _INTEGERS.get(str(schema.get("format")), (None, None))
    minimum, maximum = schema.get("minimum"), schema.get("maximum")
    if minimum is not None and schema.get("exclusiveMinimum") is True:
        result["exclusiveMinimum"] = minimum
    elif minimum is not None or least is not None:
        result["minimum"] = least if minimum is None else minimum
    if maximum is not None and schema.get("exclusiveMaximum") is True:
        result["exclusiveMaximum"] = maximum
    elif maximum is not None or most is not None:
        result["maximum"] = most if maximum is None else maximum
    return result


def _combinations(schema: Schema, *, skip_types: bool = False) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name in ("allOf", "anyOf", "oneOf"):
        parts = schema.get(name)
        if parts is None:
            continue
        if not isinstance(parts, list) or len(parts) > _COMBINATIONS_MAX:
            raise SchemaError(f"{name} must be a list of at most {_COMBINATIONS_MAX} schemas", ())
        kept = [part for part in parts if not (skip_types and _is_about_types(part))]
        # Without one of its forms a choice would be narrower than it is.
        if kept and (name == "allOf" or len(kept) == len(parts)):
            result[name] = [_part(part) for part in kept]
    if "not" in schema:
        result["not"] = _part(schema["not"])
    return result


def _is_about_types(part: Any) -> bool:
    """Say whether this is how a schema repeats that a value is a number or text."""
    if not isinstance(part, Mapping):
        return False
    return set(part) == {"type"} or (set(part) == {"anyOf"} and all(map(_is_about_types, part["anyOf"])))


def _part(schema: Any) -> dict[str, Any]:
    """Return a schema inside a combination, which only bounds values and names no fields of its own."""
    if not isinstance(schema, Mapping):
        raise SchemaError("a schema must be a mapping", ())
    result = _keywords(schema) | _combinations(schema)
    if isinstance(schema.get("type"), str):
        result["type"] = schema["type"]
    if isinstance(schema.get("properties"), Mapping):
        result["properties"] = {str(name): _part(part) for name, part in schema["properties"].items()}
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), Mapping):
            result[name] = _part(schema[name])
    return result
