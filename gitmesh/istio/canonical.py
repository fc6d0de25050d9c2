"""The form in which two specs are compared: what an API server would store.

Stage: decide, plan (pure).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitmesh.model.resource import content_hash


def canonical(value: Any) -> Any:
    """Return a JSON value without its null fields.

    Source: kubernetes.io, Custom Resource Definitions, "Defaulting and Nullable": a null of a field that is
    not nullable is dropped before storage; Istio's nullable fields are wrappers, where null means unset.
    """
    if isinstance(value, (dict, Mapping)):  # to ask for a dict first takes a tenth of the time
        return {key: canonical(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return value


def spec_hash(spec: Mapping[str, Any]) -> str:
    """Name the content of a spec: equal for specs that an API server would store alike."""
    return content_hash(canonical(spec))
