"""The few objects that kubectl posts as protobuf and never as JSON, read into plain values.

Stage: playground (pure). `kubectl create namespace|configmap|secret`, `auth can-i`, `auth whoami`.
Source: kubernetes/api, generated.proto of core/v1 and authorization/v1; apimachinery, runtime.Unknown.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

from gitmesh.playground.apiserver import failures
from gitmesh.playground.apiserver.protobuf import fields

_MAGIC = b"k8s\x00"


@dataclass(frozen=True, slots=True)
class _Message:
    """Which field number is which key. Maps are text to text; those in `binary`, text to bytes."""

    texts: dict[int, str] = field(default_factory=dict)
    flags: dict[int, str] = field(default_factory=dict)
    lists: dict[int, str] = field(default_factory=dict)
    maps: dict[int, str] = field(default_factory=dict)
    messages: dict[int, tuple[str, _Message]] = field(default_factory=dict)
    binary: frozenset[str] = frozenset()


_METADATA = _Message(
    texts={1: "name", 2: "generateName", 3: "namespace", 5: "uid", 6: "resourceVersion"},
    maps={11: "labels", 12: "annotations"},
    lists={14: "finalizers"},
)
_META = {1: ("metadata", _METADATA)}
_OBJECTS: dict[str, _Message] = {
    "Namespace": _Message(messages=_META),
    "ServiceAccount": _Message(messages=_META),
    "ConfigMap": _Message(
        messages=_META,
        maps={2: "data", 3: "binaryData"},
        flags={4: "immutable"},
        binary=frozenset({"binaryData"}),
    ),
    "Secret": _Message(
        messages=_META,
        maps={2: "data", 4: "stringData"},
        texts={3: "type"},
        flags={5: "immutable"},
        binary=frozenset({"data"}),
    ),
    "SelfSubjectReview": _Message(messages=_META),
    "SelfSubjectAccessReview": _Message(messages=_META),
    "SelfSubjectRulesReview": _Message(messages=_META),
    "DeleteOptions": _Message(
        messages={2: ("preconditions", _Message(texts={1: "uid", 2: "resourceVersion"}))},
        flags={3: "orphanDependents"},
        texts={4: "propagationPolicy"},
        lists={5: "dryRun"},
    ),
}


def decode(raw: bytes) -> dict[str, Any]:
    """Return the object. Raises 415 with advice for a kind that is not read, 400 for broken bytes."""
    if not raw.startswith(_MAGIC):
        raise failures.bad_request("the protobuf body does not begin as Kubernetes' does")
    try:
        unknown = dict(fields(raw[len(_MAGIC) :]))
        kind_meta = dict(fields(_bytes(unknown.get(1))))
        api_version, kind = _bytes(kind_meta.get(1)).decode(), _bytes(kind_meta.get(2)).decode()
        shape = _OBJECTS.get(kind)
        if shape is None:
            raise failures.unsupported_media(
                f"a protobuf body of kind {kind or 'unknown'} is not read here; "
                f"write the object to a file and use kubectl create -f or kubectl apply -f"
            )
        return {"apiVersion": api_version, "kind": kind, **_read(shape, _bytes(unknown.get(2)))}
    except ValueError as error:
        raise failures.bad_request(f"the protobuf body cannot be read: {error}") from error


def _bytes(value: int | bytes | None) -> bytes:
    return value if isinstance(value, bytes) else b""


def _read(shape: _Message, raw: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, value in fields(raw):
        if number in shape.flags:
            found[shape.flags[number]] = bool(value)
        elif isinstance(value, int):
            continue
        elif number in shape.texts and value:
            found[shape.texts[number]] = value.decode()
        elif number in shape.lists:
            found.setdefault(shape.lists[number], []).append(value.decode())
        elif number in shape.messages:
            name, inner = shape.messages[number]
            found[name] = _read(inner, value)
        elif number in shape.maps:
            name = shape.maps[number]
            entry = dict(fields(value))
            content = _bytes(entry.get(2))
            shown = base64.b64encode(content) if name in shape.binary else content
            found.setdefault(name, {})[_bytes(entry.get(1)).decode()] = shown.decode()
    return found
