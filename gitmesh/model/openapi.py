"""Structural OpenAPI schemas from pydantic models, in the dialect that a CustomResourceDefinition takes.

Stage: none (pure). Source: kubernetes.io, "Extend the Kubernetes API with CustomResourceDefinitions",
section "Specifying a structural schema".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

_DESCRIPTION_CHARS_MAX = 200
_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_KEPT = (
    "type",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "oneOf",
    "allOf",
)


def structural_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a model by its aliases: no `$ref`, no `default`, no `additionalProperties: false`.

    Defaults stay out, so that a server adds nothing to what a person wrote; unknown fields are pruned by
    the server, or refused when a request asks for strict field validation.
    """
    schema = model.model_json_schema(by_alias=True)
    return _structural(schema, schema.get("$defs", {}))


def _structural(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    schema = _resolved(schema, definitions)
    result: dict[str, Any] = {name: schema[name] for name in _KEPT if name in schema}
    result |= {name: value for name, value in schema.items() if name.startswith("x-kubernetes-")}
    result |= _exclusive_bounds(schema)
    _name_lengths(result)
    if description := _short(schema.get("description", "")):
        result["description"] = description
    if "const" in schema:
        result["enum"] = [schema["const"]]
    elif "enum" in schema:
        result["enum"] = list(schema["enum"])
    if "properties" in schema:
        result["properties"] = {
            name: _structural(part, definitions) for name, part in schema["properties"].items()
        }
    result |= _elements(schema, definitions)
    if "type" not in result and "x-kubernetes-int-or-string" not in result:
        result[_PRESERVE] = True
    return result


def _elements(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said about the elements of an array or the values of a map."""
    if schema.get("type") == "array":
        return {"items": _structural(schema.get("items", {}), definitions)}
    if schema.get("type") != "object" or "properties" in schema:
        return {}
    values = schema.get("additionalProperties", True)
    if isinstance(values, Mapping) and values:
        return {"additionalProperties": _structural(values, definitions)}
    return {} if values is False else {_PRESERVE: True}


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references and take the one alternative beside null, until neither is left."""
    while True:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            inner, outer = definitions[name], schema
        elif len(alternatives := _alternatives(schema)) == 1:
            inner, outer = alternatives[0], schema
        else:
            return schema
        rest = {k: v for k, v in outer.items() if k not in ("$ref", "anyOf", "default", "title")}
        schema = {**inner, **rest}


def _alternatives(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    options = schema.get("anyOf") or []
    return [option for option in options if option.get("type") != "null"]


def _exclusive_bounds(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Turn JSON Schema's numeric exclusive bounds into the flags of OpenAPI 3.0."""
    bounds: dict[str, Any] = {}
    for name, plain in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if name in schema:
            bounds |= {plain: schema[name], name: True}
    return bounds


def _name_lengths(schema: dict[str, Any]) -> None:
    """Rename the bounds on lengths by type: pydantic says maxLength also for a list behind a validator."""
    suffix = {"array": "Items", "object": "Properties"}.get(schema.get("type", ""))
    for bound in ("min", "max"):
        if suffix and f"{bound}Length" in schema:
            schema[f"{bound}{suffix}"] = schema.pop(f"{bound}Length")


def _short(description: str) -> str:
    """Return the first paragraph as one line, or nothing when it is long."""
    text = " ".join(description.partition("\n\n")[0].split())
    return text if len(text) <= _DESCRIPTION_CHARS_MAX else ""
