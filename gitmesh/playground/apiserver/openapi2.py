"""OpenAPI v2, as JSON and as protobuf. kubectl before 1.27 checks and explains objects with it.

Stage: playground (pure). Those versions take nothing but protobuf.
Source: google/gnostic, openapiv2/OpenAPIv2.proto for field numbers; apiextensions-apiserver,
ToStructuralOpenAPIV2 for what is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from gitmesh.playground.apiserver.kinds import Body, ServedKind
from gitmesh.playground.apiserver.protobuf import flag, message, text
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

# Clients ask for `...v2@v1.0+protobuf`, and some cannot parse that very name in an answer.
# Source: kubernetes/kube-openapi, pkg/handler.
MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_PREFIX = "#/definitions/"
_ENVELOPE = {"apiVersion", "kind", "metadata"}
_KEPT = ("description", "format", "type", "required", "items", "properties", "additionalProperties")


class OpenApi2:
    """The document, made when it is asked for and kept until the kinds change."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._generation = -1
        self._made: dict[str, bytes] = {}

    def json(self) -> bytes:
        """Return the document as JSON."""
        return self._document("json")

    def protobuf(self) -> bytes:
        """Return the document as an openapi.v2.Document message."""
        return self._document("protobuf")

    def _document(self, form: str) -> bytes:
        if self._generation != self._registry.generation:
            self._made, self._generation = {}, self._registry.generation
        if form not in self._made:
            document = _document(self._registry)
            self._made[form] = orjson.dumps(document) if form == "json" else _encode(document)
        return self._made[form]


def _document(registry: Registry) -> Body:
    definitions: dict[str, Body] = dict(SHARED)
    paths: dict[str, Body] = {}
    for kind in registry.all():
        for version in kind.versions:
            name = schema_name(kind, version.name)
            definitions[name] = object_schema(kind, version.name)
            definitions[f"{name}List"] = list_schema(kind, version.name)
            if "patch" in kind.verbs:
                paths[f"{collection_path(kind, version.name)}/{{name}}"] = _path(kind, version.name)
    return {
        "swagger": "2.0",
        "info": {"title": "GitMesh playground", "version": "v1"},
        "paths": paths,
        "definitions": {name: _lean(schema) for name, schema in definitions.items()},
    }


def _path(kind: ServedKind, version: str) -> Body:
    # kubectl looks at the patch operation to learn whether a dry run is possible.
    parameter = {"name": "dryRun", "in": "query", "type": "string", "uniqueItems": True}
    ref = {"$ref": _PREFIX + schema_name(kind, version)}
    return {
        "patch": {
            "parameters": [parameter],
            "responses": {"200": {"description": "OK", "schema": ref}},
            GVK: gvk(kind, version),
        }
    }


def _lean(schema: Any) -> Any:
    """Return what OpenAPI v2 can say of a schema; where it can say nothing true, it says nothing."""
    if "$ref" in schema:
        return {"$ref": _PREFIX + schema["$ref"]}
    extensions = {k: v for k, v in schema.items() if k.startswith("x-kubernetes-")}
    said = {"description": schema["description"]} if "description" in schema else {}
    if GVK in schema and not set(schema["properties"]) - _ENVELOPE:  # a kind of which nothing is known
        return {**said, "type": "object", **extensions}
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") and GVK not in schema
    if open_ended or schema.get("x-kubernetes-int-or-string") or schema.get("nullable"):
        return {**said, **extensions}
    found: Body = {key: schema[key] for key in _KEPT if key in schema}
    if "properties" in found:
        found["properties"] = {k: _lean(v) for k, v in found["properties"].items()}
    if isinstance(found.get("items"), dict):
        found["items"] = _lean(found["items"])
    if isinstance(found.get("additionalProperties"), dict):
        found["additionalProperties"] = _lean(found["additionalProperties"])
    return {**found, **extensions}


def _encode(document: Body) -> bytes:
    info = text(1, document["info"]["title"]) + text(2, document["info"]["version"])
    paths = b"".join(message(2, _named(path, _encode_path(item))) for path, item in document["paths"].items())
    schemas = _named_schemas(document["definitions"])
    return text(1, document["swagger"]) + message(2, info) + message(8, paths) + message(9, schemas)


def _named(name: str, value: bytes) -> bytes:
    return text(1, name) + message(2, value)


def _named_schemas(schemas: dict[str, Body]) -> bytes:
    return b"".join(message(1, _named(name, _encode_schema(schema))) for name, schema in schemas.items())


def _encode_path(item: Body) -> bytes:
    patch = item["patch"]
    parameters = b"".join(message(8, _encode_parameter(p)) for p in patch["parameters"])
    answer = patch["responses"]["200"]
    schema_item = message(1, _encode_schema(answer["schema"]))
    response = message(1, text(1, answer["description"]) + message(2, schema_item))
    responses = message(9, message(1, _named("200", response)))
    return message(8, parameters + responses + _vendor(13, {GVK: patch[GVK]}))


def _encode_parameter(parameter: Body) -> bytes:
    query = text(2, parameter["in"]) + text(4, parameter["name"]) + text(6, parameter["type"])
    # ParametersItem > Parameter > NonBodyParameter > QueryParameterSubSchema
    return message(1, message(2, message(3, query + flag(20, True))))


def _encode_schema(schema: Body) -> bytes:
    parts = [
        text(1, schema.get("$ref", "")),
        text(2, schema.get("format", "")),
        text(4, schema.get("description", "")),
        *(text(19, name) for name in schema.get("required", ())),
    ]
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        parts.append(message(21, message(1, _encode_schema(more))))
    if "type" in schema:
        parts.append(message(22, text(1, schema["type"])))
    if "items" in schema:
        parts.append(message(23, message(1, _encode_schema(schema["items"]))))
    if "properties" in schema:
        parts.append(message(25, _named_schemas(schema["properties"])))
    extensions = {k: v for k, v in schema.items() if k.startswith("x-kubernetes-")}
    return b"".join(parts) + _vendor(31, extensions)


def _vendor(number: int, extensions: Body) -> bytes:
    return b"".join(message(number, _named(k, text(2, _yaml(v)))) for k, v in _sorted(extensions))


def _sorted(extensions: Body) -> Iterable[tuple[str, Any]]:
    return sorted(extensions.items())


def _yaml(value: Any) -> str:
    return orjson.dumps(value).decode() + "\n"  # JSON is YAML
