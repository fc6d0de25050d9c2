"""A live object without the parts that are large and never looked at.

Stage: observe (pure).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def slim(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object without managedFields and kubectl's copy of what was applied: often half of it.

    Parts that have not the shape that every object has are left out too: another version of a definition may
    have let them in, and one object must not stop the daemon.
    """
    given = body.get("metadata")
    metadata = dict(given) if isinstance(given, Mapping) else {}
    metadata.pop("managedFields", None)
    for name in ("labels", "annotations"):
        if (texts := metadata.pop(name, None)) and isinstance(texts, Mapping):
            kept = {n: t for n, t in texts.items() if isinstance(t, str) and n != _LAST_APPLIED}
            metadata.update({name: kept} if kept else {})
    shaped = {n: v for n, v in body.items() if n not in ("spec", "status") or isinstance(v, Mapping)}
    return {**shaped, "metadata": metadata}
