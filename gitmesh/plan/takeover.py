"""Field ownership that moves to us: the entries of metadata.managedFields as they are to be.

Stage: plan (pure; carried out by `apply.takeover`). What kubectl does when it goes over to server-side apply,
for any field manager. Source: kubernetes/client-go, util/csaupgrade, UpgradeManagedFields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gitmesh.model.plan import Takeover
from gitmesh.model.source import FIELD_MANAGER

Entry = Mapping[str, Any]
Tree = Mapping[str, Any]

_SPEC = (("f:spec",),)
# Finalizers and owner references are no configuration: who set them is the one to take them away.
_METADATA = (("f:metadata", "f:labels"), ("f:metadata", "f:annotations"))


def taken_over(body: Mapping[str, Any], takeover: Takeover, api_version: str) -> list[dict[str, Any]]:
    """Return the managedFields of `body` after the takeover.

    Fields of the spec that nobody owns become ours too. Writers of subresources keep everything.
    """
    known = (body.get("metadata") or {}).get("managedFields")
    entries = [dict(e) for e in known if isinstance(e, Mapping)] if isinstance(known, list) else []
    ours: Tree = {}
    others: list[dict[str, Any]] = []
    for entry in entries:
        tree = entry.get("fieldsV1")
        tree = tree if isinstance(tree, Mapping) else {}
        if _is_ours(entry):
            ours = merged(ours, tree)
            continue
        for place in () if entry.get("subresource") else _places(str(entry.get("manager", "")), takeover):
            ours = merged(ours, _at(place, _find(tree, place)))
            tree = _without(tree, place)
        if tree:
            others.append({**entry, "fieldsV1": tree})
    for leaf in _leaves(body.get("spec"), ("f:spec",)):
        if not any(_covers(tree, leaf) for tree in (ours, *(e["fieldsV1"] for e in others))):
            ours = merged(ours, _at(leaf, {}))
    mine = {
        "manager": FIELD_MANAGER,
        "operation": "Apply",
        "apiVersion": api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": ours,
    }
    return [mine, *others]


def merged(one: Tree, other: Tree) -> dict[str, Any]:
    """Return what either of two trees of fields holds."""
    result = dict(one)
    for name, below in other.items():
        result[name] = merged(result.get(name, {}), below if isinstance(below, Mapping) else {})
    return result


def _is_ours(entry: Entry) -> bool:
    named = (entry.get("manager"), entry.get("operation"), entry.get("subresource") or "")
    return named == (FIELD_MANAGER, "Apply", "")


def _places(manager: str, takeover: Takeover) -> Iterator[tuple[str, ...]]:
    if manager in takeover.spec:
        yield from _SPEC
    if manager in takeover.metadata:
        yield from _METADATA


def _find(tree: Tree, place: Sequence[str]) -> Tree | None:
    node: Any = tree
    for name in place:
        node = node.get(name) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) else None


def _at(place: Sequence[str], tree: Tree | None) -> dict[str, Any]:
    """Return a tree that holds another one at a place; nothing where there is none."""
    if tree is None:
        return {}
    result: dict[str, Any] = dict(tree)
    for name in reversed(place):
        result = {name: result}
    return result


def _without(tree: Tree, place: Sequence[str]) -> dict[str, Any]:
    """Take a place away, and what holds nothing else then."""
    name, *rest = place
    kept = {key: below for key, below in tree.items() if key != name}
    below = tree.get(name)
    if rest and isinstance(below, Mapping):
        left = _without(below, rest)
        if any(key != "." for key in left):
            kept[name] = left
    return kept


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, Mapping) and value:
        for name, below in value.items():
            yield from _leaves(below, (*path, f"f:{name}"))
    elif value is not None:
        yield path


def _covers(tree: Tree, leaf: tuple[str, ...]) -> bool:
    """Say whether a field, something above it as one value, or something below it is owned."""
    node: Any = tree
    for name in leaf:
        if not isinstance(node, Mapping) or name not in node:
            return False
        node = node[name]
        if not node:
            return True
    return True
