"""What an API server does to an object before it is judged: null is left out, defaults are filled in.

Stage: validate (pure). Source: kubernetes.io, "Extend the Kubernetes API with CustomResourceDefinitions",
"Defaulting and Nullable".
"""

from __future__ import annotations

import re
from base64 import b64decode
from functools import lru_cache
from typing import Any

from gitmesh.validate.schemas.shape import TIMES, Shape

_ROOT_METADATA = ("name", "generateName")


def normalized(value: Any, shape: Shape) -> Any:
    """Return the value with defaults, and without null where it is not allowed; elements keep their index."""
    if isinstance(value, dict) and (shape.properties or shape.values is not None):
        return _normalized_mapping(value, shape)
    if isinstance(value, list) and shape.items is not None:
        items = shape.items
        return [normalized(part, items) for part in value]
    return value


def _normalized_mapping(value: dict[str, Any], shape: Shape) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, part in value.items():
        below = shape.properties.get(name) or shape.values
        if part is None and name in shape.properties and not shape.properties[name].nullable:
            continue
        result[name] = part if below is None else normalized(part, below)
    for name, below in shape.properties.items():
        if name not in result and "default" in below.schema:
            result[name] = normalized(below.schema["default"], below)
    return result


def as_self(value: Any, shape: Shape) -> Any:
    """Return a normalized value as rules see it: numbers of the declared type, names that CEL can spell."""
    if isinstance(value, dict):
        return _mapping_as_self(value, shape)
    if isinstance(value, list):
        return value if shape.items is None else [as_self(part, shape.items) for part in value]
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and shape.type == "number":
        return float(value)
    if isinstance(value, float) and shape.type == "integer" and value.is_integer():
        return int(value)
    if isinstance(value, str) and shape.schema.get("format") == "byte":
        return _decoded(value)
    return value


def _decoded(text: str) -> bytes | str:
    try:
        return b64decode(text)
    except ValueError:
        return text  # that it is no base64 is said by the format


def _mapping_as_self(value: dict[str, Any], shape: Shape) -> dict[str, Any]:
    if shape.values is not None:
        return {name: as_self(part, shape.values) for name, part in value.items()}
    if not shape.properties:
        return value
    result = {}
    for name, part in value.items():
        below = shape.properties.get(name)
        if below is not None and (spelled := spelling(name)):
            result[spelled] = as_self(part, below)
    return result


def holds_time(value: Any, shape: Shape) -> bool:
    """Say whether a value below is a date or a duration to CEL, which is text here."""
    if not shape.has_times or value is None:
        return False
    if isinstance(value, dict):
        below = ((part, shape.properties.get(name) or shape.values) for name, part in value.items())
        return any(holds_time(part, inner) for part, inner in below if inner is not None)
    if isinstance(value, list):
        return shape.items is not None and any(holds_time(part, shape.items) for part in value)
    return shape.schema.get("format") in TIMES


def root_as_self(body: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """Return a whole object as rules at the root see it: of its metadata only the name."""
    metadata = body.get("metadata")
    seen = {k: v for k, v in metadata.items() if k in _ROOT_METADATA} if isinstance(metadata, dict) else {}
    fixed = {"apiVersion": body.get("apiVersion"), "kind": body.get("kind"), "metadata": seen}
    return {**as_self(body, shape), **fixed}


_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_RESERVED = frozenset(
    {"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"}
    | {"import", "let", "loop", "package", "namespace", "return", "var", "void", "while"}
)
_SPELLED = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))


@lru_cache(maxsize=4096)
def spelling(name: str) -> str:
    """Return how rules spell the name of a field, or nothing when they cannot."""
    if name in _RESERVED:
        return f"__{name}__"
    for written, spelled in _SPELLED:
        name = name.replace(written, spelled)
    return name if _IDENTIFIER.fullmatch(name) else ""
