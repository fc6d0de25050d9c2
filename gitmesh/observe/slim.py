"""A live object without the parts that are large and never looked at.

Stage: observe (pure).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitmesh.model.source import FIELD_MANAGER

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class FieldManager:
    """Who wrote to an object, how (Apply or Update), and when (RFC 3339) last."""

    name: str
    operation: str
    time: str


def slim(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object without managedFields and kubectl's copy of what was applied: often half of it."""
    metadata = dict(body.get("metadata") or {})
    metadata.pop("managedFields", None)
    annotations = metadata.get("annotations")
    if isinstance(annotations, Mapping) and _LAST_APPLIED in annotations:
        kept = {name: value for name, value in annotations.items() if name != _LAST_APPLIED}
        metadata["annotations"] = kept
        if not kept:
            del metadata["annotations"]
    return {**body, "metadata": metadata}


def field_managers(body: Mapping[str, Any]) -> tuple[FieldManager, ...]:
    """Return who wrote to the object itself; writers of its status are left out."""
    entries = (body.get("metadata") or {}).get("managedFields")
    return tuple(
        FieldManager(
            sys.intern(str(entry.get("manager", ""))),
            sys.intern(str(entry.get("operation", ""))),
            str(entry.get("time", "")),
        )
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, Mapping) and not entry.get("subresource")
    )


def last_foreign(managers: tuple[FieldManager, ...]) -> str:
    """Return the name of the manager other than GitMesh that wrote last; empty when there is none."""
    foreign = [manager for manager in managers if manager.name != FIELD_MANAGER]
    return max(foreign, key=lambda manager: manager.time).name if foreign else ""
