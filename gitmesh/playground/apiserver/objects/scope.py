"""What a request may touch and own: not the server's metadata, and the status only through its subresource.

Stage: none (pure). Source: kubernetes/apimachinery, pkg/util/managedfields/internal/stripmeta.go;
kubernetes/apiextensions-apiserver, pkg/registry/customresource/strategy.go (reset fields).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitmesh.playground.apiserver.objects.errors import ApplyError
from gitmesh.playground.apiserver.objects.fieldset import FieldPath, FieldSet, field, path_text
from gitmesh.playground.apiserver.objects.merging import item_element
from gitmesh.playground.apiserver.objects.structure import ANY, Schema, field_schema, item_schema, list_type

STATUS = "status"
_SERVER_METADATA = frozenset(
    (
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generation",
        "managedFields",
        "resourceVersion",
        "selfLink",
        "uid",
    )
)
_METADATA = field("metadata")
# No manager owns these, and no apply removes them.
UNOWNED: FieldSet = frozenset(
    {(field("apiVersion"),), (field("kind"),), (_METADATA,)}
    | {(_METADATA, field(name)) for name in ("name", "namespace", *_SERVER_METADATA)}
)
_DROPPED_WHEN_EMPTY = ("annotations", "finalizers", "labels", "ownerReferences")


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of an object that a request is about. `status_apart`: status is a subresource of this kind."""

    subresource: str
    status_apart: bool

    def owned(self, fields: FieldSet) -> FieldSet:
        """Leave out the paths that no manager can own through this request."""
        return frozenset(path for path in fields - UNOWNED if self._covers(path))

    def _covers(self, path: FieldPath) -> bool:
        if self.subresource == STATUS:
            return path[0] == field(STATUS)
        return not self.status_apart or path[0] != field(STATUS)

    def restrict(self, live: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        """Take back from `live` what the request must not change."""
        if self.subresource == STATUS:
            return _with_status(live, body)
        return _with_status(body, live) if self.status_apart else dict(body)


def _with_status(body: Mapping[str, Any], source: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in body.items() if key != STATUS}
    return {**kept, STATUS: source[STATUS]} if STATUS in source else kept


def metadata_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the metadata, or nothing."""
    metadata = body.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def _with_metadata(body: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {**body, "metadata": dict(metadata)} if metadata or "metadata" in body else dict(body)


def without_managed_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object without metadata.managedFields."""
    kept = {key: value for key, value in metadata_of(body).items() if key != "managedFields"}
    return _with_metadata(body, kept)


def without_server_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without the metadata that only the server writes."""
    kept = {key: value for key, value in metadata_of(body).items() if key not in _SERVER_METADATA}
    return _with_metadata(body, kept)


def tidy(body: Mapping[str, Any]) -> dict[str, Any]:
    """Drop empty collections of metadata, as the typed metadata of a real server does."""
    metadata = metadata_of(body)
    kept = {key: value for key, value in metadata.items() if value or key not in _DROPPED_WHEN_EMPTY}
    return _with_metadata(body, kept)


def require_distinct_items(value: Any, schema: Schema, path: FieldPath = ()) -> None:
    """Raise ApplyError when an item of a list cannot be told from another, or has no identity."""
    if isinstance(value, dict):
        for key, child in value.items():
            require_distinct_items(child, field_schema(schema, key) or ANY, (*path, field(key)))
    if not isinstance(value, list):
        return
    seen = set()
    for index, item in enumerate(value):
        element = item_element(item, schema) if list_type(schema) != "atomic" else f"i:{index}"
        if element is None:
            raise ApplyError(f"{path_text(path)}: item {index} has nothing that identifies it in this list")
        if element in seen:
            raise ApplyError(f"{path_text(path)}: duplicate entries for key {path_text((element,))}")
        seen.add(element)
        require_distinct_items(item, item_schema(schema), (*path, element))
