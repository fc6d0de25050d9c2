"""Whether the schema in a definition is one at all: otherwise its first object would break the server.

Stage: playground (pure). Source: kubernetes.io, "Specifying a structural schema".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_TYPES = ("object", "array", "string", "integer", "number", "boolean")
_NUMBERS = ("minimum", "maximum", "multipleOf")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_FLAGS = (
    "nullable",
    "uniqueItems",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
)
_CHOICES = {
    "type": _TYPES,
    "x-kubernetes-list-type": ("atomic", "set", "map"),
    "x-kubernetes-map-type": ("atomic", "granular"),
}
_DEPTH_MAX = 40


def schema_problems(schema: Any, path: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield field path and message of whatever is wrong with a schema."""
    if not isinstance(schema, dict):
        yield path, "Invalid value: must be an object"
        return
    if depth > _DEPTH_MAX:
        yield path, f"Invalid value: nested more than {_DEPTH_MAX} deep"
        return
    yield from _own_problems(schema, path)
    for name, inner in _parts(schema):
        yield from schema_problems(inner, f"{path}.{name}", depth + 1)


def _own_problems(schema: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    if "$ref" in schema:
        yield f"{path}.$ref", "Forbidden: $ref is not supported"
    for name in ("enum", "allOf", "anyOf", "oneOf"):
        if not isinstance(schema.get(name, []), list):
            yield f"{path}.{name}", "Invalid value: must be a list"
    for name in ("required", "x-kubernetes-list-map-keys"):
        words = schema.get(name, [])
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            yield f"{path}.{name}", "Invalid value: must be a list of text"
    for name in ("format", "description", "title", "pattern"):
        if not isinstance(schema.get(name, ""), str):
            yield f"{path}.{name}", "Invalid value: must be text"
    for name in _FLAGS:
        if not isinstance(schema.get(name, False), bool):
            yield f"{path}.{name}", "Invalid value: must be true or false"
    for name, words in _CHOICES.items():
        if name in schema and schema[name] not in words:
            yield f"{path}.{name}", f"Unsupported value: must be one of {', '.join(words)}"
    if not isinstance(schema.get("properties", {}), dict):
        yield f"{path}.properties", "Invalid value: must be an object"
    for name in (*_NUMBERS, *_COUNTS):
        if name in schema and (isinstance(schema[name], bool) or not isinstance(schema[name], int | float)):
            yield f"{path}.{name}", "Invalid value: must be a number"
    try:
        re.compile(schema.get("pattern", ""))
    except (re.error, TypeError):
        yield f"{path}.pattern", "Invalid value: is no regular expression"


def _parts(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    properties = schema.get("properties")
    if isinstance(properties, dict):
        for name, inner in properties.items():
            yield f"properties[{name}]", inner
    for name in ("items", "not"):
        if name in schema:
            yield name, schema[name]
    if not isinstance(schema.get("additionalProperties", True), bool):
        yield "additionalProperties", schema["additionalProperties"]
    for name in ("allOf", "anyOf", "oneOf"):
        listed = schema.get(name)
        for number, inner in enumerate(listed if isinstance(listed, list) else ()):
            yield f"{name}[{number}]", inner
