"""The metadata of an object: names, labels, annotations, and what only a server may set.

Stage: parse (pure). Source: kubernetes.io, "Object Names and IDs", "Labels and Selectors", "Annotations".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.resource import Location, ResourceKey
from gitmesh.model.spelling import closest
from gitmesh.parse import codes

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_NAME = re.compile(_LABEL, re.ASCII)
_SUBDOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_QUALIFIED = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?", re.ASCII)

_OWN = ("name", "namespace", "labels", "annotations", "generateName", "finalizers", "ownerReferences")
_SERVER = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def is_name(text: str) -> bool:
    """Say whether the text is a DNS-1123 label."""
    return len(text) <= 63 and _NAME.fullmatch(text) is not None


def is_subdomain(text: str) -> bool:
    """Say whether the text is a DNS-1123 subdomain."""
    return len(text) <= 253 and _SUBDOMAIN.fullmatch(text) is not None


def check_metadata(metadata: Mapping[str, Any], at: Location, key: ResourceKey) -> Iterator[Diagnostic]:
    """Yield what is wrong beside name and namespace."""
    for name in metadata:
        if name not in _OWN and name not in _SERVER:
            near = closest(name, _OWN)
            hint = f"did you mean {near}?" if near else f"metadata has {', '.join(_OWN[:4])}"
            message = f"unknown field {name} in metadata"
            path = ("metadata", name)
            yield codes.BAD_METADATA.finding(message, at, hint=hint, path=path, key=key, wants_key=True)
    for part in ("labels", "annotations"):
        yield from _check_map(metadata.get(part), part, at, key)


def _check_map(found: Any, part: str, at: Location, key: ResourceKey) -> Iterator[Diagnostic]:
    if found is None:
        return
    if not isinstance(found, dict):
        message = f"metadata.{part} must be a mapping from text to text"
        yield codes.BAD_METADATA.finding(message, at, path=("metadata", part), key=key)
        return
    for name, value in found.items():
        path = ("metadata", part, name)
        if not isinstance(value, str):
            message = f"the value of {part[:-1]} {name} is not text"
            yield codes.BAD_METADATA.finding(message, at, hint="quote it", path=path, key=key)
        elif part == "labels" and not _is_label_value(value):
            message = f"{value[:80]!r} is not the value of a label"
            hint = "letters, digits, -, _ and ., at most 63"
            yield codes.BAD_METADATA.finding(message, at, hint=hint, path=path, key=key)
        if not _is_qualified(name):
            message = f"{name[:80]!r} is not the name of {'a label' if part == 'labels' else 'an annotation'}"
            hint = "an optional DNS name and /, then letters, digits, -, _ and ., at most 63"
            yield codes.BAD_METADATA.finding(message, at, hint=hint, path=path, key=key, wants_key=True)


def _is_label_value(text: str) -> bool:
    return not text or (len(text) <= 63 and _QUALIFIED.fullmatch(text) is not None)


def _is_qualified(text: str) -> bool:
    prefix, slash, name = text.rpartition("/")
    return (not slash or is_subdomain(prefix)) and len(name) <= 63 and _QUALIFIED.fullmatch(name) is not None


def without_server_fields(
    body: dict[str, Any], at: Location, key: ResourceKey
) -> tuple[dict[str, Any], tuple[Diagnostic, ...]]:
    """Return the object as Git may write it, and a warning for each thing that only a server sets."""
    metadata = body["metadata"]
    present = [name for name in _SERVER if name in metadata]
    annotations = metadata.get("annotations")
    recorded = isinstance(annotations, dict) and _LAST_APPLIED in annotations
    if not present and not recorded and "status" not in body:
        return body, ()
    clean = {name: value for name, value in body.items() if name != "status"}
    clean["metadata"] = {name: value for name, value in metadata.items() if name not in _SERVER}
    if recorded:
        clean["metadata"]["annotations"] = {k: v for k, v in annotations.items() if k != _LAST_APPLIED}
    paths: list[tuple[str, ...]] = [("metadata", name) for name in present if metadata[name]]
    if body.get("status"):
        paths.append(("status",))
    if recorded:
        paths.append(("metadata", "annotations", _LAST_APPLIED))
    return clean, tuple(_server_field(path, at, key) for path in paths)


def _server_field(path: tuple[str, ...], at: Location, key: ResourceKey) -> Diagnostic:
    message = f"{path[-1]} is set by the server and is left out"
    hint = "remove it from Git"
    return codes.SERVER_FIELD.finding(message, at, hint=hint, path=path, key=key, wants_key=True)
