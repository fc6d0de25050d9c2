"""Field managers: who owns which fields of a live object, as its metadata.managedFields says.

Stage: none (pure). What the server sends is read as far as it makes sense; nothing here raises.
Source: kubernetes.io, Server-Side Apply, "Field management"; Kubernetes API reference, FieldsV1.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gitmesh.model.source import FIELD_MANAGER

ENTRIES_MAX = 100
FIELDS_MAX = 2_000  # of one entry; what is above is not known to be owned
DEPTH_MAX = 32

# Elements as FieldsV1 writes them: f:spec is a field, k:{"name":"http"} an item of a list by its keys,
# v:"x" an item by its value, i:0 one by its place.
FieldPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FieldManager:
    """Who wrote to an object, how (Apply or Update), when (RFC 3339) last, and which fields it owns.

    Of `fields`, only those are named below which there are no others. Writers of the status are left out.
    """

    name: str
    operation: str
    time: str
    fields: frozenset[FieldPath] = frozenset()

    @property
    def is_ours(self) -> bool:
        """True for what GitMesh itself has applied."""
        return self.name == FIELD_MANAGER and self.operation == "Apply"


def field_managers(body: Mapping[str, Any]) -> tuple[FieldManager, ...]:
    """Return who wrote to the object itself."""
    metadata = body.get("metadata")
    entries = metadata.get("managedFields") if isinstance(metadata, Mapping) else None
    return tuple(
        FieldManager(
            sys.intern(str(entry.get("manager", ""))),
            sys.intern(str(entry.get("operation", ""))),
            str(entry.get("time") or ""),
            _read(entry.get("fieldsV1")),
        )
        for entry in (entries[:ENTRIES_MAX] if isinstance(entries, list) else ())
        if isinstance(entry, Mapping) and not entry.get("subresource")
    )


def last_foreign(managers: tuple[FieldManager, ...]) -> str:
    """Return the name of the manager other than GitMesh that wrote last; empty when there is none."""
    foreign = [manager for manager in managers if manager.name != FIELD_MANAGER]
    return max(foreign, key=lambda manager: manager.time).name if foreign else ""


def field_text(path: FieldPath) -> str:
    """Write a path for people: `spec.http`, `metadata.labels["app.kubernetes.io/name"]`."""
    text = ""
    for element in path:
        kind, content = element[:2], element[2:]
        if kind != "f:":
            text += f"[{content}]"
        elif content.replace("-", "").replace("_", "").isalnum():
            text += f".{content}" if text else content
        else:
            text += f'["{content}"]'
    return text


def _read(tree: Any) -> frozenset[FieldPath]:
    if not isinstance(tree, Mapping):
        return frozenset()
    # Of thousands of objects most are owned alike: one set for all of them.
    try:
        return _decoded(json.dumps(tree))
    except (TypeError, ValueError, RecursionError):
        return frozenset()


@lru_cache(maxsize=4_096)
def _decoded(text: str) -> frozenset[FieldPath]:
    found: set[FieldPath] = set()
    for path in _leaves(json.loads(text), ()):
        if len(found) == FIELDS_MAX:
            break
        found.add(path)
    return frozenset(found)


def _leaves(node: Any, path: FieldPath) -> Iterator[FieldPath]:
    """Yield the paths with nothing below them; `.` says that a field with others below it is owned too."""
    below = [name for name in node if name != "."] if isinstance(node, Mapping) else []
    if path and not below:
        yield path
    elif len(path) < DEPTH_MAX:
        for name in below:
            yield from _leaves(node[name], (*path, sys.intern(name)))
