"""Objects in the form in which they are compared and applied.

Stage: plan (pure).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gitmesh.istio.canonical import canonical
from gitmesh.model.intent import Verb
from gitmesh.model.kinds import kind_of
from gitmesh.model.resource import Resource
from gitmesh.model.source import OWNER_ANNOTATION, RENEWED_ANNOTATION

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "gitmesh"
LAST_APPLIED_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"

# A request of a person is for this moment; in Git it would be made again by every pass.
NOT_APPLIED = frozenset({LAST_APPLIED_ANNOTATION, *(verb.annotation for verb in Verb)})

# Source: kubernetes.io, API conventions, "Metadata": set by the server, and never wanted from a file.
SERVER_SET = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generation",
        "managedFields",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)


def to_apply(resource: Resource, source: str) -> Resource:
    """Return the object as we apply it: ours by its marks, without what the server sets, in one version."""
    metadata = {k: v for k, v in canonical(resource.metadata).items() if k not in SERVER_SET}
    annotations = {k: v for k, v in metadata.get("annotations", {}).items() if k not in NOT_APPLIED}
    metadata["name"] = resource.key.name
    if resource.key.namespace:
        metadata["namespace"] = resource.key.namespace
    metadata["labels"] = {**metadata.get("labels", {}), MANAGED_BY_LABEL: MANAGED_BY}
    metadata["annotations"] = {**annotations, OWNER_ANNOTATION: source}
    kind = kind_of(resource.key)
    body = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": metadata,
        "spec": canonical(resource.spec),
    }
    return replace(resource, api_version=kind.api_version, body=body)


def renewed(wanted: Resource, live: Resource) -> Resource:
    """Return `wanted` as a new version of what is live, although it says the same.

    A write that was sent before, and names the version that it changes, is refused from then on.
    """
    annotations = {**wanted.annotations, RENEWED_ANNOTATION: live.resource_version}
    return wanted.with_metadata(annotations=annotations)


def comparable(live: Resource, wanted: Resource) -> Mapping[str, Any]:
    """Return what of a live object is compared with `wanted`, an object from `to_apply`.

    Labels and annotations that others added are theirs, and so are status and everything the server sets.
    Source: Istio's CRDs set no defaults, so a live spec is the applied one, without nulls.
    """
    metadata: dict[str, Any] = {}
    for field in ("labels", "annotations"):
        ours = wanted.metadata[field]
        theirs = live.metadata.get(field) or {}
        metadata[field] = {name: theirs[name] for name in ours if name in theirs}
    return {"metadata": metadata, "spec": canonical(live.spec)}


def compared(wanted: Resource) -> Mapping[str, Any]:
    """Return the same of the wanted object itself."""
    metadata = {field: wanted.metadata[field] for field in ("labels", "annotations")}
    return {"metadata": metadata, "spec": wanted.spec}
