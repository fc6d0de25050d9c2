"""The patches of plain JSON: merge patch (RFC 7396) and JSON patch (RFC 6902).

Stage: none (pure). Inputs are never changed; results may share parts with them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gitmesh.playground.apiserver.objects.equality import same
from gitmesh.playground.apiserver.objects.errors import PatchError
from gitmesh.playground.apiserver.objects.strategic import strategic_merge_patch

__all__ = ["PatchError", "json_patch", "merge_patch", "strategic_merge_patch"]

_INDEX = re.compile(r"0|[1-9][0-9]*")


def merge_patch(target: Any, patch: Any) -> Any:
    """Return `target` with `patch` laid over it; null removes a key, a list replaces a list."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def json_patch(target: Any, ops: Any) -> Any:
    """Carry out the operations in order, all or none. Raises PatchError, which names the operation."""
    if not isinstance(ops, Sequence) or isinstance(ops, str):
        raise PatchError("a JSON patch is a list of operations")
    for number, operation in enumerate(ops):
        try:
            target = _operate(target, operation)
        except PatchError as error:
            raise PatchError(f"operation {number} of the JSON patch: {error}") from None
    return target


def _operate(document: Any, operation: Any) -> Any:
    if not isinstance(operation, Mapping):
        raise PatchError("an operation is an object with op and path")
    path = _pointer(operation, "path")
    match operation.get("op"):
        case "add":
            return _add(document, path, _value(operation))
        case "remove":
            return _remove(document, path)
        case "replace":
            return _replace(document, path, _value(operation))
        case "move":
            return _move(document, _pointer(operation, "from"), path)
        case "copy":
            return _add(document, path, _find(document, _pointer(operation, "from")))
        case "test":
            if not same(_find(document, path), _value(operation)):
                raise PatchError(f"test failed: {_text(path)} has another value")
            return document
        case unknown:
            raise PatchError(f"unknown op {unknown!r}; known are add, remove, replace, move, copy, test")


def _value(operation: Mapping[str, Any]) -> Any:
    if "value" not in operation:
        raise PatchError(f"op {operation['op']!r} needs a value")
    return operation["value"]


def _pointer(operation: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """Read a JSON pointer (RFC 6901)."""
    text = operation.get(field)
    if not isinstance(text, str):
        raise PatchError(f"op {operation.get('op')!r} needs a {field}, a JSON pointer such as /spec/http/0")
    if not text:
        return ()
    if not text.startswith("/") or re.search(r"~(?![01])", text):
        raise PatchError(f"{text!r} is not a JSON pointer; write for example /spec/http/0")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/"))


def _text(path: Sequence[str]) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path) or '""'


def _find(document: Any, path: Sequence[str]) -> Any:
    for depth, key in enumerate(path):
        if isinstance(document, dict) and key in document:
            document = document[key]
        elif isinstance(document, list) and _INDEX.fullmatch(key) and int(key) < len(document):
            document = document[int(key)]
        else:
            raise PatchError(f"{_text(path[: depth + 1])} does not exist")
    return document


def _add(document: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    root, container = _open(document, path)
    key = path[-1]
    if isinstance(container, dict):
        container[key] = value
    elif key == "-":
        container.append(value)
    elif _INDEX.fullmatch(key) and int(key) <= len(container):
        container.insert(int(key), value)
    else:
        raise PatchError(f"{_text(path)} is not a place in a list of {len(container)} items")
    return root


def _remove(document: Any, path: Sequence[str]) -> Any:
    _find(document, path)
    if not path:
        return None
    root, container = _open(document, path)
    del container[_key(container, path[-1])]
    return root


def _replace(document: Any, path: Sequence[str], value: Any) -> Any:
    _find(document, path)
    if not path:
        return value
    root, container = _open(document, path)
    container[_key(container, path[-1])] = value
    return root


def _move(document: Any, source: Sequence[str], path: Sequence[str]) -> Any:
    value = _find(document, source)
    if source == path:
        return document
    if path[: len(source)] == source:
        raise PatchError(f"cannot move {_text(source)} into itself, {_text(path)}")
    return _add(_remove(document, source), path, value)


def _open(document: Any, path: Sequence[str]) -> tuple[Any, Any]:
    """Copy every container along the path; return the copied root and the container of the last key."""
    if not isinstance(_find(document, path[:-1]), dict | list):
        raise PatchError(f"{_text(path[:-1])} is neither an object nor a list")
    root = container = document.copy()
    for key in path[:-1]:
        place = _key(container, key)
        container[place] = container[place].copy()
        container = container[place]
    return root, container


def _key(container: Any, key: str) -> Any:
    return key if isinstance(container, dict) else int(key)
