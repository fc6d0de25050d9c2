"""Strategic merge patch: merging lists item by item, for the built-in kinds.

Stage: none (pure). Source: kubernetes/community, sig-api-machinery/strategic-merge-patch.md;
the merge keys are the patchMergeKey tags of kubernetes/api, core/v1 and meta/v1.
"""

from __future__ import annotations

from typing import Any

from gitmesh.playground.apiserver.objects.equality import same
from gitmesh.playground.apiserver.objects.errors import PatchError

# A list that is not here is atomic: a patch replaces it. "" is a list of plain values that merge as a set.
# A pair (parent, field) goes before the field alone.
_MERGE_KEYS: dict[tuple[str, str] | str, str] = {
    "conditions": "type",
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "finalizers": "",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "podIPs": "ip",
    "ports": "containerPort",
    "resourceClaims": "name",
    "schedulingGates": "name",
    "secrets": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
    ("spec", "ports"): "port",
}
_PATCH = "$patch"
_RETAIN = "$retainKeys"
_ORDER = "$setElementOrder/"
_DELETE = "$deleteFromPrimitiveList/"


def strategic_merge_patch(target: Any, patch: Any) -> Any:
    """Return `target` with `patch` laid over it. Raises PatchError for a directive that cannot be."""
    if not isinstance(patch, dict):
        raise PatchError("a strategic merge patch is an object")
    return _merge_map(target if isinstance(target, dict) else {}, patch, "")


def _merge_map(target: dict[str, Any], patch: dict[str, Any], parent: str) -> dict[str, Any]:
    directive = patch.get(_PATCH, "merge")
    if directive == "replace":
        return _merge_map({}, {key: value for key, value in patch.items() if key != _PATCH}, parent)
    if directive == "delete":
        return {}
    if directive != "merge":
        raise PatchError(f"unknown $patch {directive!r}; known are merge, replace, delete")
    merged = _retained(target, patch)
    for key, value in patch.items():
        if key.startswith("$"):
            _check_directive(key, value)
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_value(merged.get(key), value, parent, key)
    for key, value in patch.items():
        if key.startswith(_DELETE):
            field = key.removeprefix(_DELETE)
            if isinstance(merged.get(field), list):
                merged[field] = [x for x in merged[field] if not any(same(x, y) for y in value)]
        elif key.startswith(_ORDER):
            field = key.removeprefix(_ORDER)
            if isinstance(merged.get(field), list):
                merged[field] = _ordered(merged[field], target.get(field), value, _key_of(parent, field))
    return merged


def _check_directive(key: str, value: Any) -> None:
    known = key in (_PATCH, _RETAIN) or key.startswith((_ORDER, _DELETE))
    if not known:
        raise PatchError(f"unknown directive {key!r}")
    if key != _PATCH and not isinstance(value, list):
        raise PatchError(f"directive {key!r} needs a list")


def _retained(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(patch.get(_RETAIN), list):
        return dict(target)
    return {key: value for key, value in target.items() if key in patch[_RETAIN]}


def _merge_value(target: Any, patch: Any, parent: str, key: str) -> Any:
    if isinstance(patch, dict):
        return _merge_map(target if isinstance(target, dict) else {}, patch, key)
    if isinstance(patch, list):
        return _merge_list(target if isinstance(target, list) else [], patch, parent, key)
    return patch


def _key_of(parent: str, field: str) -> str | None:
    """Return the merge key of a list; empty for a set of plain values; None for an atomic list."""
    return _MERGE_KEYS.get((parent, field), _MERGE_KEYS.get(field))


def _merge_list(target: list[Any], patch: list[Any], parent: str, field: str) -> list[Any]:
    key = _key_of(parent, field)
    directives = [x for x in patch if isinstance(x, dict) and x.get(_PATCH) == "replace"]
    if key is None or directives:
        return [x for x in patch if not (isinstance(x, dict) and _PATCH in x)]
    if key == "":
        return target + [x for x in patch if not any(same(x, y) for y in target)]
    merged = list(target)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise PatchError(f"an item of {field} in the patch has no {key}, its merge key")
        _merge_item(merged, item, key, field)
    return merged


def _merge_item(merged: list[Any], item: dict[str, Any], key: str, field: str) -> None:
    at = next((i for i, x in enumerate(merged) if isinstance(x, dict) and same(x.get(key), item[key])), None)
    if item.get(_PATCH) == "delete":
        if at is not None:
            del merged[at]
    elif at is None:
        merged.append(_merge_map({}, item, field))
    else:
        merged[at] = _merge_map(merged[at], item, field)


def _ordered(items: list[Any], before: Any, order: list[Any], key: str | None) -> list[Any]:
    """Sort the items named in `order` as it says; keep the others beside their old neighbours."""

    def identity(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    def place(item: Any, among: list[Any]) -> int:
        found = (i for i, x in enumerate(among) if same(identity(x), identity(item)))
        return next(found, -1)

    was = before if isinstance(before, list) else []
    named = sorted((x for x in items if place(x, order) >= 0), key=lambda x: place(x, order))
    others = [x for x in items if place(x, order) < 0]
    result: list[Any] = []
    for item in named:
        while others and 0 <= place(others[0], was) < place(item, was):
            result.append(others.pop(0))
        result.append(item)
    return result + others
