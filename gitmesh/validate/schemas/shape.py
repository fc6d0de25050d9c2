"""Structural schemas, read once into the form that the checks walk.

Stage: validate (pure). Source: kubernetes.io, "Extend the Kubernetes API with CustomResourceDefinitions",
"Specifying a structural schema".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

SchemaPath = tuple[str | int, ...]
Schema = Mapping[str, Any]

_NESTING_MAX = 120
_NODES_MAX = 200_000
_LIST_TYPES = ("atomic", "set", "map")
TIMES = ("date", "date-time", "datetime", "duration")


class SchemaError(Exception):
    """The schema cannot be used. `path` leads to the place from the schema's root."""

    def __init__(self, reason: str, path: SchemaPath) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = path


@dataclass(frozen=True, slots=True)
class CelRule:
    """One of x-kubernetes-validations."""

    rule: str
    message: str = ""
    message_expression: str = ""
    field_path: str = ""
    optional_old_self: bool = False


_NO_SHAPES: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Shape:
    """One node of a structural schema. `schema` is the node as it is written, for the plain keywords.

    `has_rules`: it, or something below, has a rule or a list of unique elements. `has_times`: a value
    below is a date or a duration to CEL.
    """

    schema: Schema
    type: str = ""
    properties: Mapping[str, Shape] = field(default_factory=lambda: _NO_SHAPES)
    items: Shape | None = None
    values: Shape | None = None  # of a map: what each value is
    nullable: bool = False
    preserves: bool = False
    embedded: bool = False
    int_or_string: bool = False
    list_type: str = ""
    map_keys: tuple[str, ...] = ()
    rules: tuple[CelRule, ...] = ()
    has_rules: bool = False
    has_times: bool = False

    @property
    def is_open(self) -> bool:
        """Say whether a mapping may have fields that the schema does not name."""
        return self.preserves or self.schema.get("additionalProperties") is True


def read_shape(schema: Any) -> Shape:
    """Read a schema. Raises SchemaError."""
    return _Reader().read(schema, ())


class _Reader:
    def __init__(self) -> None:
        self._nodes = 0

    def read(self, schema: Any, path: SchemaPath) -> Shape:
        self._nodes += 1
        if not isinstance(schema, Mapping):
            raise SchemaError("a schema must be a mapping", path)
        if len(path) > _NESTING_MAX or self._nodes > _NODES_MAX:
            raise SchemaError("the schema is too large", path)
        properties = self._properties(schema.get("properties"), (*path, "properties"))
        items = self._below(schema.get("items"), (*path, "items"))
        values = self._below(schema.get("additionalProperties"), (*path, "additionalProperties"))
        below = [part for part in (*properties.values(), items, values) if part is not None]
        rules = _rules(schema.get("x-kubernetes-validations"), (*path, "x-kubernetes-validations"))
        list_type = schema.get("x-kubernetes-list-type", "")
        if list_type and list_type not in _LIST_TYPES:
            raise SchemaError(f"x-kubernetes-list-type is one of {', '.join(_LIST_TYPES)}", path)
        unique = list_type in ("set", "map")
        return Shape(
            schema=schema,
            type=_type(schema.get("type", ""), path),
            properties=properties,
            items=items,
            values=values,
            nullable=schema.get("nullable") is True,
            preserves=schema.get("x-kubernetes-preserve-unknown-fields") is True,
            embedded=schema.get("x-kubernetes-embedded-resource") is True,
            int_or_string=schema.get("x-kubernetes-int-or-string") is True,
            list_type=list_type,
            map_keys=_texts(schema.get("x-kubernetes-list-map-keys"), path),
            rules=rules,
            has_rules=bool(rules) or unique or any(part.has_rules for part in below),
            has_times=schema.get("format") in TIMES or any(part.has_times for part in below),
        )

    def _properties(self, found: Any, path: SchemaPath) -> Mapping[str, Shape]:
        if found is None:
            return _NO_SHAPES
        if not isinstance(found, Mapping):
            raise SchemaError("properties must be a mapping", path)
        return {str(name): self.read(part, (*path, str(name))) for name, part in found.items()}

    def _below(self, found: Any, path: SchemaPath) -> Shape | None:
        return None if found is None or isinstance(found, bool) else self.read(found, path)


_TYPES = ("", "object", "array", "string", "integer", "number", "boolean")


def _type(found: Any, path: SchemaPath) -> str:
    if found not in _TYPES:
        raise SchemaError(f"type is one of {', '.join(_TYPES[1:])}", path)
    return str(found)


def _texts(found: Any, path: SchemaPath) -> tuple[str, ...]:
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(part, str) for part in found):
        raise SchemaError("x-kubernetes-list-map-keys must be a list of names", path)
    return tuple(found)


def _rules(found: Any, path: SchemaPath) -> tuple[CelRule, ...]:
    if found is None:
        return ()
    if not isinstance(found, list):
        raise SchemaError("x-kubernetes-validations must be a list", path)
    return tuple(_rule(part, (*path, index)) for index, part in enumerate(found))


def _rule(found: Any, path: SchemaPath) -> CelRule:
    if not isinstance(found, Mapping) or not isinstance(found.get("rule"), str):
        raise SchemaError("an element of x-kubernetes-validations needs a rule", path)

    def text(name: str) -> str:
        value = found.get(name)
        return value if isinstance(value, str) else ""

    old = found.get("optionalOldSelf") is True
    return CelRule(found["rule"], text("message"), text("messageExpression"), text("fieldPath"), old)
