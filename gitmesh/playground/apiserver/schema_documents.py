"""The schemas that OpenAPI documents name: each kind, its list, and the metadata that all share.

Stage: playground (pure). Source: kubernetes.io, The Kubernetes API, "OpenAPI interface definition".
"""

from __future__ import annotations

from gitmesh.playground.apiserver.kinds import Body, ServedKind

META = "io.k8s.apimachinery.pkg.apis.meta.v1"
GVK = "x-kubernetes-group-version-kind"
_TEXT: Body = {"type": "string"}
_TIME: Body = {"type": "string", "format": "date-time"}
_WHOLE: Body = {"type": "integer", "format": "int64"}
_TEXTS: Body = {"type": "object", "additionalProperties": _TEXT}


def _said(schema: Body, description: str) -> Body:
    return {**schema, "description": description}


_OWNER: Body = {
    "type": "object",
    "description": "An object that this one depends on; it is deleted with it.",
    "required": ["apiVersion", "kind", "name", "uid"],
    "properties": {
        "apiVersion": _TEXT,
        "kind": _TEXT,
        "name": _TEXT,
        "uid": _TEXT,
        "controller": {"type": "boolean"},
        "blockOwnerDeletion": {"type": "boolean"},
    },
}
_FIELDS: Body = {
    "type": "object",
    "description": "Which fields one manager owns.",
    "properties": {
        "apiVersion": _TEXT,
        "fieldsType": _TEXT,
        "fieldsV1": {"type": "object"},
        "manager": _TEXT,
        "operation": _TEXT,
        "subresource": _TEXT,
        "time": _TIME,
    },
}
_OBJECT_META: Body = {
    "type": "object",
    "description": "What every object has: its name, labels, annotations and what the server notes.",
    "properties": {
        "name": _said(_TEXT, "Unique among the objects of one kind in a namespace."),
        "generateName": _said(_TEXT, "A prefix; the server adds five characters to it."),
        "namespace": _said(_TEXT, "The namespace that the object is in."),
        "labels": _said(_TEXTS, "Names to select objects by."),
        "annotations": _said(_TEXTS, "Notes of tools; not for selecting."),
        "finalizers": {"type": "array", "items": _TEXT, "x-kubernetes-patch-strategy": "merge"},
        "ownerReferences": {"type": "array", "items": {"$ref": f"{META}.OwnerReference"}},
        "managedFields": {"type": "array", "items": {"$ref": f"{META}.ManagedFieldsEntry"}},
        "uid": _TEXT,
        "resourceVersion": _said(_TEXT, "Changes with every write; guards against a stale one."),
        "generation": _said(_WHOLE, "Counts the changes of the wanted state."),
        "creationTimestamp": _TIME,
        "deletionTimestamp": _TIME,
        "deletionGracePeriodSeconds": _WHOLE,
        "selfLink": _TEXT,
    },
}
_LIST_META: Body = {
    "type": "object",
    "properties": {
        "continue": _TEXT,
        "remainingItemCount": _WHOLE,
        "resourceVersion": _TEXT,
        "selfLink": _TEXT,
    },
}

# `$ref` holds the bare name here; each document writes its own prefix before it.
SHARED: dict[str, Body] = {
    f"{META}.ObjectMeta": _OBJECT_META,
    f"{META}.ListMeta": _LIST_META,
    f"{META}.OwnerReference": _OWNER,
    f"{META}.ManagedFieldsEntry": _FIELDS,
}


def schema_name(kind: ServedKind, version: str) -> str:
    """Return `io.istio.networking.v1.VirtualService`: the group reversed, version and kind."""
    if not kind.group:
        return f"io.k8s.api.core.{version}.{kind.kind}"
    return ".".join([*reversed(kind.group.split(".")), version, kind.kind])


def gvk(kind: ServedKind, version: str, name: str = "") -> Body:
    """Return group, version and kind as the vendor extension writes them."""
    return {"group": kind.group, "kind": name or kind.kind, "version": version}


def object_schema(kind: ServedKind, version: str) -> Body:
    """Return the schema of one kind, with metadata by reference."""
    served = kind.version(version)
    schema: Body = served.schema if served else {"type": "object"}
    envelope: Body = {
        "apiVersion": _said(_TEXT, "The group and version of this form of the object."),
        "kind": _said(_TEXT, "The kind of the object."),
        "metadata": {"$ref": f"{META}.ObjectMeta"},
    }
    properties: Body = {**schema.get("properties", {}), **envelope}
    return {**schema, "type": "object", "properties": properties, GVK: [gvk(kind, version)]}


def list_schema(kind: ServedKind, version: str) -> Body:
    """Return the schema of a list of one kind."""
    return {
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": _TEXT,
            "kind": _TEXT,
            "metadata": {"$ref": f"{META}.ListMeta"},
            "items": {"type": "array", "items": {"$ref": schema_name(kind, version)}},
        },
        GVK: [gvk(kind, version, kind.list_kind)],
    }


def collection_path(kind: ServedKind, version: str) -> str:
    """Return the path template under which objects of a kind are listed."""
    base = f"/apis/{kind.group}/{version}" if kind.group else f"/api/{version}"
    return f"{base}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{base}/{kind.plural}"
