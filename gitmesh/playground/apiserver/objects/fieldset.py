"""Sets of field paths, and their form in `metadata.managedFields` (FieldsV1).

Stage: none (pure). An element of a path is kept as FieldsV1 writes it: `f:spec` is a field,
`k:{"name":"http"}` an item of a list by its keys, `v:"x"` an item of a set by its value, `i:0` by its index.
Source: kubernetes-sigs/structured-merge-diff, fieldpath/serialize.go; kubernetes/api reference, FieldsV1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

Element: TypeAlias = str
FieldPath: TypeAlias = tuple[Element, ...]
FieldSet: TypeAlias = frozenset[FieldPath]
Tree: TypeAlias = dict[str, Any]

NOTHING: FieldSet = frozenset()
_SELF = "."


def field(name: str) -> Element:
    """Return the element of a named field or of a key of a map."""
    return f"f:{name}"


def item_by_keys(keys: Mapping[str, Any]) -> Element:
    """Return the element of an item of a list of type map."""
    return "k:" + _canonical(dict(keys))


def item_by_value(value: Any) -> Element:
    """Return the element of an item of a list of type set."""
    return "v:" + _canonical(value)


def _canonical(value: Any) -> str:
    return json.dumps(_whole_numbers(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _whole_numbers(value: Any) -> Any:
    """Write 80.0 as 80, so that one JSON number has one text."""
    if isinstance(value, dict):
        return {key: _whole_numbers(child) for key, child in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def encode(fields: Iterable[FieldPath]) -> Tree:
    """Return the set as nested objects; `.` marks a member that has members below it."""
    members = set(fields)
    tree: Tree = {}
    for path in sorted(members):
        node = tree
        for element in path:
            node = node.setdefault(element, {})
    return _marked(tree, (), members)


def _marked(tree: Tree, path: FieldPath, members: set[FieldPath]) -> Tree:
    """Add the marks in the order that readers expect: first."""
    mark: Tree = {_SELF: {}} if tree and path in members else {}
    return mark | {element: _marked(node, (*path, element), members) for element, node in tree.items()}


def decode(tree: Any) -> FieldSet:
    """Read what `encode` writes. Raises ValueError."""
    found: set[FieldPath] = set()
    _collect(tree, (), found)
    return frozenset(found)


def _collect(node: Any, path: FieldPath, found: set[FieldPath]) -> None:
    if not isinstance(node, Mapping):
        raise ValueError("a set of fields is an object")
    if path and (not node or _SELF in node):
        found.add(path)
    for element, child in node.items():
        if element != _SELF:
            _collect(child, (*path, _read(element)), found)


def _read(element: str) -> Element:
    kind, content = element[:2], element[2:]
    if kind == "f:":
        return element
    if kind == "i:" and content.isdigit():
        return element
    if kind in ("k:", "v:"):
        value = json.loads(content)
        if kind == "v:" or isinstance(value, dict):
            return kind + _canonical(value)
    raise ValueError(f"{element!r} is not an element of a field path")


def is_member(node: Tree) -> bool:
    """Say whether a node of an encoded set stands for a path that is in the set."""
    return not node or _SELF in node


def path_text(path: FieldPath) -> str:
    """Write a path for a person: `.spec.ports[name="http"].number`."""
    return "".join(_element_text(element) for element in path)


def _element_text(element: Element) -> str:
    kind, content = element[:2], element[2:]
    if kind == "f:":
        return f".{content}"
    if kind == "k:":
        return "[" + ",".join(f"{key}={_canonical(v)}" for key, v in json.loads(content).items()) + "]"
    return f"[={content}]" if kind == "v:" else f"[{content}]"
