"""Two objects side by side under a schema: which fields one has, what differs, and one laid over the other.

Stage: none (pure). Source: kubernetes-sigs/structured-merge-diff, typed;
kubernetes.io, Server-Side Apply, "Merge strategy".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from gitmesh.playground.apiserver.objects.equality import same
from gitmesh.playground.apiserver.objects.fieldset import (
    Element,
    FieldPath,
    FieldSet,
    field,
    item_by_keys,
    item_by_value,
)
from gitmesh.playground.apiserver.objects.structure import (
    ANY,
    Schema,
    field_schema,
    is_named,
    item_schema,
    list_keys,
    list_type,
)

# Stands for "there is no such field"; None stands for JSON's null.
ABSENT: Any = object()


class Part(NamedTuple):
    """One field of a map or one item of a list."""

    element: Element
    key: str
    value: Any
    schema: Schema


class Comparison(NamedTuple):
    """The paths that differ. A field inside something atomic differs as the whole."""

    added: FieldSet
    modified: FieldSet
    removed: FieldSet


def parts(value: Any, schema: Schema) -> list[Part] | None:
    """Split a value into what can be owned apart; None when it is owned as a whole.

    Whole are scalars, atomic maps and lists, and lists whose items cannot be told apart.
    """
    if isinstance(value, dict):
        if schema.get("x-kubernetes-map-type") == "atomic":
            return None
        return [Part(field(k), k, v, field_schema(schema, k) or ANY) for k, v in value.items()]
    if isinstance(value, list) and list_type(schema) != "atomic":
        inner = item_schema(schema)
        elements = [item_element(item, schema) for item in value]
        if None not in elements and len(set(elements)) == len(elements):
            return [Part(e or "", "", v, inner) for e, v in zip(elements, value, strict=True)]
    return None


def item_element(item: Any, schema: Schema) -> Element | None:
    """Return what identifies an item in a list of type map or set; None when nothing does."""
    if list_type(schema) == "set":
        return None if item is None or isinstance(item, dict | list) else item_by_value(item)
    if not isinstance(item, dict):
        return None
    properties = item_schema(schema).get("properties") or {}
    keys = {}
    for name in list_keys(schema):
        value = item.get(name, (properties.get(name) or {}).get("default"))
        if value is not None:
            keys[name] = value
    return item_by_keys(keys) if keys else None


def field_set(value: Any, schema: Schema) -> FieldSet:
    """Return the fields that a configuration states: its leaves, its list items, its keys of open maps."""
    return frozenset(_stated(value, schema, ()))


def _stated(value: Any, schema: Schema, path: FieldPath) -> Iterator[FieldPath]:
    inner = parts(value, schema)
    if inner is None:
        yield path
        return
    for part in inner:
        at = (*path, part.element)
        yield from _stated(part.value, part.schema, at)
        if isinstance(value, list) or part.value in (None, {}) or not is_named(schema, part.key):
            yield at


def compare(before: Any, after: Any, schema: Schema) -> Comparison:
    """Return what differs between two objects."""
    added: set[FieldPath] = set()
    modified: set[FieldPath] = set()
    removed: set[FieldPath] = set()
    for path, old, new in _differences(before, after, schema, ()):
        (added if old is ABSENT else removed if new is ABSENT else modified).add(path)
    return Comparison(frozenset(added - {()}), frozenset(modified - {()}), frozenset(removed - {()}))


def _differences(old: Any, new: Any, schema: Schema, path: FieldPath) -> Iterator[tuple[FieldPath, Any, Any]]:
    old_parts, new_parts = _parts_or_nothing(old, schema), _parts_or_nothing(new, schema)
    if _is_empty(old) and _is_empty(new):
        old_parts = new_parts = None
    if old_parts is None and new_parts is None:
        if not (old is not ABSENT and new is not ABSENT and same(old, new)):
            yield path, old, new
        return
    both = {part.element: part for part in [*(old_parts or ()), *(new_parts or ())]}
    olds = {part.element: part.value for part in old_parts or ()}
    news = {part.element: part.value for part in new_parts or ()}
    for element, part in both.items():
        at = (*path, element)
        yield from _differences(olds.get(element, ABSENT), news.get(element, ABSENT), part.schema, at)
    kind_changed = old_parts is None or new_parts is None or _kinds_differ(old, new)
    if old is ABSENT or new is ABSENT or kind_changed:
        yield path, old, new


def _is_empty(value: Any) -> bool:
    return value is ABSENT or value is None or (isinstance(value, dict | list) and not value)


def _parts_or_nothing(value: Any, schema: Schema) -> list[Part] | None:
    return [] if value is ABSENT or value is None else parts(value, schema)


def _kinds_differ(old: Any, new: Any) -> bool:
    """Say whether a map became a list or the reverse."""
    return isinstance(old, dict | list) and isinstance(new, dict | list) and type(old) is not type(new)


def merge(live: Any, config: Any, schema: Schema) -> Any:
    """Return `live` with `config` laid over it. Nothing is removed; null over a map or list keeps it."""
    if live is ABSENT or config is ABSENT:
        return config if live is ABSENT else live
    live_parts, config_parts = _parts_or_nothing(live, schema), _parts_or_nothing(config, schema)
    if live_parts is None or config_parts is None or _kinds_differ(live, config):
        return config
    if not live_parts:
        return config
    if isinstance(live, dict):
        return _merged_map(live_parts, config_parts)
    return _merged_list(live_parts, config_parts)


def _merged_map(live: list[Part], config: list[Part]) -> dict[str, Any]:
    merged = {part.key: part.value for part in live}
    for part in config:
        merged[part.key] = merge(merged.get(part.key, ABSENT), part.value, part.schema)
    return merged


def _merged_list(live: list[Part], config: list[Part]) -> list[Any]:
    """Items in both come in the order of `config`; those in `live` alone keep their place between them."""
    olds = {part.element: part.value for part in live}
    wanted = {part.element for part in config}
    shared = [part.element for part in config if part.element in olds]
    news = [(part.element, merge(olds.get(part.element, ABSENT), part.value, part.schema)) for part in config]
    merged: list[Any] = []
    for part in live:
        if part.element not in wanted:
            merged.append(part.value)
        elif shared and part.element == shared[0]:
            shared.pop(0)
            while news:
                element, value = news.pop(0)
                merged.append(value)
                if element == part.element:
                    break
    return merged + [value for _, value in news]
