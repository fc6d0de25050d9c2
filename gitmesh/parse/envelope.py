"""From a document to resources: kind, name, namespace and metadata. The spec is judged later.

Stage: parse (pure).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.resource import Location, Origin, Resource, ResourceKey
from gitmesh.model.spelling import closest
from gitmesh.parse import codes
from gitmesh.parse.foreign import is_cluster_scoped, is_context, without_secrets
from gitmesh.parse.groups import Standing, standing_of
from gitmesh.parse.metadata import check_metadata, is_name, is_subdomain, without_server_fields
from gitmesh.parse.yaml_text import Document

_TOP_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
_LISTS_NESTED_MAX = 4
_IGNORE_HINT = "if this is no Kubernetes file, name it in .gitmeshignore"

PlaceOf = Callable[[int, tuple[str | int, ...]], tuple[int, int]]
Found = Resource | Diagnostic


@dataclass(frozen=True, slots=True)
class Envelope:
    """Reads the documents of one file. `place_of` finds an element of a `List` in a document."""

    file: str
    default_namespace: str
    place_of: PlaceOf

    def read(self, document: Document) -> Iterator[Found]:
        """Yield the resources of a document and what is wrong with it."""
        origin = Origin(self.file, document.index, document.line, document.column)
        yield from self._object(document.value, origin)

    def _object(self, value: Any, origin: Origin) -> Iterator[Found]:
        if not isinstance(value, dict):
            what = "a list" if isinstance(value, list) else "plain text or a number"
            message = f"{what} is not a Kubernetes object"
            yield codes.NO_OBJECT.finding(message, origin.location, hint=_IGNORE_HINT)
            return
        api_version, kind = value.get("apiVersion"), value.get("kind")
        if not isinstance(api_version, str) or not isinstance(kind, str) or not api_version or not kind:
            yield _no_type(value, origin.location)
        elif kind.endswith("List") and isinstance(value.get("items"), list):
            yield from self._elements(value["items"], origin)
        else:
            yield from self._typed(value, api_version, kind, origin)

    def _elements(self, items: list[Any], origin: Origin) -> Iterator[Found]:
        if len(origin.prefix) >= 2 * _LISTS_NESTED_MAX:
            yield codes.LIMIT.finding("a List in a List in a List", origin.location, hint="flatten it")
            return
        for index, item in enumerate(items):
            prefix = (*origin.prefix, "items", index)
            line, column = self.place_of(origin.document, prefix)
            yield from self._object(item, Origin(self.file, origin.document, line, column, prefix))

    def _typed(self, body: dict[str, Any], api_version: str, kind: str, origin: Origin) -> Iterator[Found]:
        judged = standing_of(api_version, kind)
        if judged.standing is Standing.UNMANAGED:
            yield from self._other(body, api_version, kind, origin)
        elif judged.standing is Standing.UNKNOWN:
            yield codes.UNKNOWN_KIND.finding(
                judged.message, origin.location, hint=judged.hint, path=(judged.field,)
            )
        else:
            yield from self._managed(body, api_version, kind, origin)

    def _other(self, body: dict[str, Any], api_version: str, kind: str, origin: Origin) -> Iterator[Found]:
        """Keep what others can be checked against; it is not ours to say more about it."""
        key = self._key(body, api_version, kind)
        if key is None or not is_context(key):
            message = f"{kind} ({api_version}) is not managed by GitMesh and left alone"
            if kind == "CustomResourceDefinition":
                message = f"{kind} is not applied, unless spec.foundations of the TrafficSource names it"
            yield codes.NOT_MANAGED.finding(message, origin.location, path=("kind",))
        if key is not None:
            yield Resource(key, api_version, without_secrets(key, body), origin)

    def _key(self, body: dict[str, Any], api_version: str, kind: str) -> ResourceKey | None:
        metadata, group = body.get("metadata"), api_version.rpartition("/")[0]
        if not isinstance(metadata, dict):
            return None
        name, namespace = metadata.get("name"), metadata.get("namespace") or self.default_namespace
        # Names of other kinds are any text without a slash: those of RBAC have colons.
        if not isinstance(name, str) or not 0 < len(name) <= 253 or not isinstance(namespace, str):
            return None
        return ResourceKey(
            group, kind, "" if is_cluster_scoped(group, kind) else namespace or "default", name
        )

    def _managed(self, body: dict[str, Any], api_version: str, kind: str, origin: Origin) -> Iterator[Found]:
        at = origin.location
        metadata = body.get("metadata")
        if not isinstance(metadata, dict):
            yield codes.BAD_NAME.finding(
                f"{kind} has no metadata with a name",
                at,
                hint="add metadata: {name: ...}",
                path=("metadata",),
            )
            return
        name = metadata.get("name")
        namespace = metadata.get("namespace") or self.default_namespace or "default"
        if not isinstance(name, str) or not is_subdomain(name):
            yield _bad_name(metadata, kind, at)
            return
        if not isinstance(namespace, str) or not is_name(namespace):
            message = f"{_shown(namespace)} is not the name of a namespace"
            hint = "lower-case letters, digits and -, at most 63"
            yield codes.BAD_NAME.finding(message, at, hint=hint, path=("metadata", "namespace"))
            return
        key = ResourceKey(api_version.rpartition("/")[0], kind, namespace, name)
        yield from _unknown_top_fields(body, at, key)
        yield from check_metadata(metadata, at, key)
        clean, findings = without_server_fields(body, at, key)
        yield from findings
        if metadata.get("namespace") != namespace:
            clean = {**clean, "metadata": {**clean["metadata"], "namespace": namespace}}
        yield Resource(key, api_version, clean, origin)


def is_managed(resource: Resource) -> bool:
    """Say whether the resource is of a kind that GitMesh manages."""
    return standing_of(resource.api_version, resource.key.kind).standing is Standing.MANAGED


def _no_type(body: dict[str, Any], at: Location) -> Diagnostic:
    for wanted in ("apiVersion", "kind"):
        value = body.get(wanted)
        if isinstance(value, str) and value:
            continue
        if value is not None and value != "":
            message = f"{wanted} is {_shown(value)}, not text"
            return codes.NO_OBJECT.finding(message, at, hint="quote it", path=(wanted,))
        near = closest(wanted, [name for name in body if name not in _TOP_FIELDS])
        hint = f"did you mean {wanted} where {near} is written?" if near else _IGNORE_HINT
        return codes.NO_OBJECT.finding(
            f"the document has no {wanted}, so it is no Kubernetes object", at, hint=hint
        )
    raise AssertionError("called for a document that has both")


def _bad_name(metadata: dict[str, Any], kind: str, at: Location) -> Diagnostic:
    name = metadata.get("name")
    hint = "lower-case letters, digits, - and ., at most 253"
    if name is None and "generateName" in metadata:
        message = "generateName gives a new name each time, so Git cannot name the object"
        return codes.BAD_NAME.finding(
            message, at, hint="write metadata.name", path=("metadata", "generateName")
        )
    if name is None or name == "":
        near = closest("name", [key for key in metadata if key != "namespace"])
        hint = f"did you mean name where {near} is written?" if near else "add metadata.name"
        return codes.BAD_NAME.finding(
            f"{kind} has no metadata.name", at, hint=hint, path=("metadata", "name")
        )
    return codes.BAD_NAME.finding(
        f"{_shown(name)} is not a name for an object", at, hint=hint, path=("metadata", "name")
    )


def _unknown_top_fields(body: dict[str, Any], at: Location, key: ResourceKey) -> Iterator[Diagnostic]:
    for name in body:
        if name not in _TOP_FIELDS:
            near = closest(name, _TOP_FIELDS)
            hint = f"did you mean {near}?" if near else f"an object has {', '.join(_TOP_FIELDS[:4])}"
            message = f"unknown field {name}"
            yield codes.BAD_METADATA.finding(message, at, hint=hint, path=(name,), key=key, wants_key=True)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return repr(value[:80])
    return "a list" if isinstance(value, list) else "a mapping"
