"""The way from client-side to server-side apply: the last-applied annotation counts as ownership.

Stage: none (pure). Source: kubernetes.io, Server-Side Apply, "Upgrading from client-side apply";
kubernetes/apimachinery, pkg/util/managedfields/internal/lastappliedmanager.go, lastappliedupdater.go.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gitmesh.playground.apiserver.objects.fieldset import NOTHING, FieldSet
from gitmesh.playground.apiserver.objects.merging import compare, field_set
from gitmesh.playground.apiserver.objects.scope import metadata_of
from gitmesh.playground.apiserver.objects.structure import Schema

# Only this manager is treated so; any other name opts out.
KUBECTL = "kubectl"
_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"


def allowed_by_last_applied(live: Mapping[str, Any], version: str, schema: Schema) -> FieldSet:
    """Return the fields that kubectl stated last time and that are still so: it may change them."""
    try:
        last = json.loads(_annotations(live).get(_ANNOTATION, ""))
    except (TypeError, ValueError):
        return NOTHING
    if not isinstance(last, dict) or last.get("apiVersion") != version:
        return NOTHING
    differing = compare(last, live, schema)
    return field_set(last, schema) - differing.modified - differing.added - differing.removed


def with_last_applied(body: dict[str, Any], applied: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the annotation up to date, where there is one."""
    if not _annotations(body).get(_ANNOTATION):
        return body
    stated = {key: value for key, value in _annotations(applied).items() if key != _ANNOTATION}
    metadata = {key: value for key, value in metadata_of(applied).items() if key != "annotations"}
    if stated:
        metadata["annotations"] = stated
    text = json.dumps({**applied, "metadata": metadata}, sort_keys=True, separators=(",", ":")) + "\n"
    annotations = {**_annotations(body), _ANNOTATION: text}
    return {**body, "metadata": {**metadata_of(body), "annotations": annotations}}


def _annotations(body: Mapping[str, Any]) -> Mapping[str, Any]:
    annotations = metadata_of(body).get("annotations")
    return annotations if isinstance(annotations, Mapping) else {}
