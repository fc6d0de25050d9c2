"""Whether an applied configuration fits its schema at all: only then it can be merged field by field.

Stage: none (pure). A real API server tells the first problem alone, and as a fault of its own (500).
Source: kubernetes-sigs/structured-merge-diff, typed/validate.go; words of a kube-apiserver 1.36.
"""

from __future__ import annotations

import json
from typing import Any

from gitmesh.playground.apiserver.objects.structure import (
    INT_OR_STRING,
    Schema,
    embedded,
    field_schema,
    item_schema,
    whole,
)

_EXPECTED = {"string": "string", "boolean": "boolean", "integer": "numeric (int or float)"}
_EXPECTED["number"] = _EXPECTED["integer"]


def problem(body: Any, schema: Schema) -> str:
    """Return what does not fit, with its path; empty when all does. Formats and bounds come later."""
    return _problem(body, whole(schema), "")


def _problem(value: Any, schema: Schema, path: str) -> str:
    schema = embedded(schema)
    kind = schema.get("type")
    if value is None or schema.get(INT_OR_STRING) or not kind:
        return _inside(value, schema, path) if isinstance(value, dict | list) else ""
    if kind in ("object", "array"):
        if isinstance(value, dict if kind == "object" else list):
            return _inside(value, schema, path)
        return f"{path}: {_not('map' if kind == 'object' else 'list', value)}"
    return "" if _fits(value, kind) else f"{path}: expected {_EXPECTED[kind]}, got {_scalar(value)}"


def _inside(value: dict[str, Any] | list[Any], schema: Schema, path: str) -> str:
    if isinstance(value, list):
        inner = item_schema(schema)
        problems = (_problem(item, inner, f"{path}[{index}]") for index, item in enumerate(value))
        return next(filter(None, problems), "")
    for name in sorted(value):
        known = field_schema(schema, name)
        if known is None:
            return f"{path}.{name}: field not declared in schema"
        if found := _problem(value[name], known, f"{path}.{name}"):
            return found
    return ""


def _fits(value: Any, kind: str) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "string":
        return isinstance(value, str)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _not(wanted: str, value: Any) -> str:
    return f"expected {wanted}, got &{{{value if isinstance(value, str) else json.dumps(value)}}}"


def _scalar(value: Any) -> str:
    return f"&value.valueUnstructured{{Value:{json.dumps(value)}}}"
