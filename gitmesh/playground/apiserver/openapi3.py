"""OpenAPI v3: one document for each group and version. kubectl asks it what it may send.

Stage: playground (pure). Source: kubernetes.io, The Kubernetes API, "OpenAPI V3".
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from gitmesh.playground.apiserver.failures import no_such_path
from gitmesh.playground.apiserver.kinds import Body, ServedKind
from gitmesh.playground.apiserver.registry import Registry
from gitmesh.playground.apiserver.schema_documents import (
    GVK,
    SHARED,
    collection_path,
    gvk,
    list_schema,
    object_schema,
    schema_name,
)

_PREFIX = "#/components/schemas/"
_WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")
_PATCHES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
)
_STRATEGIC = "application/strategic-merge-patch+json"


class OpenApi3:
    """The documents, made when they are asked for and kept until the kinds change."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._generation = -1
        self._made: dict[str, bytes] = {}

    def index(self) -> Body:
        """Answer /openapi/v3: where each document is, with a hash so that clients may keep it."""
        paths = {}
        for group, versions in self._registry.groups().items():
            for version in versions:
                path = f"apis/{group}/{version}" if group else f"api/{version}"
                digest = hashlib.sha256(self.document(path)).hexdigest()[:32].upper()
                paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
        return {"paths": paths}

    def document(self, path: str) -> bytes:
        """Answer /openapi/v3/apis/GROUP/VERSION. Raises 404."""
        if self._generation != self._registry.generation:
            self._made, self._generation = {}, self._registry.generation
        if path not in self._made:
            self._made[path] = orjson.dumps(_document(self._registry, *_group_version(path)))
        return self._made[path]


def _group_version(path: str) -> tuple[str, str]:
    match path.split("/"):
        case ["api", version]:
            return "", version
        case ["apis", group, version]:
            return group, version
    raise no_such_path()


def _document(registry: Registry, group: str, version: str) -> Body:
    kinds = registry.served_in(group, version)
    if not kinds:
        raise no_such_path()
    schemas: dict[str, Body] = dict(SHARED)
    paths: dict[str, Body] = {}
    for kind in kinds:
        schemas[schema_name(kind, version)] = object_schema(kind, version)
        schemas[f"{schema_name(kind, version)}List"] = list_schema(kind, version)
        paths |= _paths(kind, version)
    return {
        "openapi": "3.0.0",
        "info": {"title": "GitMesh playground", "version": "v1"},
        "paths": paths,
        "components": {"schemas": {name: _linked(schema) for name, schema in schemas.items()}},
    }


def _linked(value: Any) -> Any:
    """Return the schema with references as this document writes them.

    A reference with siblings is wrapped, as OpenAPI 3.0 ignores what stands beside one.
    """
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            return {"allOf": [{"$ref": _PREFIX + value["$ref"]}]}
        return {key: _linked(inner) for key, inner in value.items()}
    return [_linked(inner) for inner in value] if isinstance(value, list) else value


def _paths(kind: ServedKind, version: str) -> dict[str, Body]:
    collection = collection_path(kind, version)
    ref = {"$ref": _PREFIX + schema_name(kind, version)}
    listed = {"$ref": f"{_PREFIX}{schema_name(kind, version)}List"}
    common = {GVK: gvk(kind, version), "tags": [kind.plural]}
    # kubectl apply chooses its kind of patch by this list. Source: kubectl, gvkSupportsPatchOpenAPIV3.
    patches = _PATCHES if kind.custom else (*_PATCHES, _STRATEGIC)

    def operation(action: str, answer: Body, *, writes: bool = False) -> Body:
        found: Body = {**common, "x-kubernetes-action": action, "responses": _responses(answer)}
        if writes:
            found["parameters"] = [_parameter(name) for name in _WRITE_PARAMETERS]
            media = patches if action == "patch" else ("application/json",)
            found["requestBody"] = {"content": {m: {"schema": {"type": "object"}} for m in media}}
        return found

    paths = {collection: {"post": operation("post", ref, writes=True)}}
    if "list" in kind.verbs:
        paths[collection]["get"] = operation("list", listed)
        paths[f"{collection}/{{name}}"] = {
            "get": operation("get", ref),
            "put": operation("put", ref, writes=True),
            "patch": operation("patch", ref, writes=True),
            "delete": operation("delete", {"type": "object"}, writes=True),
        }
    return paths


def _responses(answer: Body) -> Body:
    return {"200": {"description": "OK", "content": {"application/json": {"schema": answer}}}}


def _parameter(name: str) -> Body:
    return {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
