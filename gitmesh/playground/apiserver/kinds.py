"""What the server knows about one kind: its names, versions, schema and printer columns.

Stage: playground (pure).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Body = dict[str, Any]
READ_VERBS = ("get", "list", "watch")
ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
PERMISSIVE: Body = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`. `read` is for built-in kinds, `json_path` for all others."""

    name: str
    type: str = "string"
    json_path: str = ""
    format: str = ""
    priority: int = 0
    description: str = ""
    read: Callable[[Body, datetime], Any] | None = None


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """One version of a kind. All versions of a kind share one stored object; only apiVersion differs."""

    name: str
    schema: Body
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class ServedKind:
    """One kind. `versions` stands in order of preference; `storage` is the one that objects are kept in."""

    group: str
    kind: str
    plural: str
    versions: tuple[ServedVersion, ...]
    storage: str
    singular: str
    list_kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    has_status: bool = False
    custom: bool = False  # defined by a CustomResourceDefinition
    verbs: tuple[str, ...] = ALL_VERBS
    field_labels: frozenset[str] = frozenset()
    defaults: Callable[[Body], Body] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def resource(self) -> str:
        """The name that storage and messages use, `virtualservices.networking.istio.io`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def version(self, name: str) -> ServedVersion | None:
        """Return a served version, or None."""
        return next((v for v in self.versions if v.name == name), None)

    def api_version(self, version: str) -> str:
        """Return `group/version`, or the version alone in the core group."""
        return f"{self.group}/{version}" if self.group else version

    def as_version(self, body: Body, version: str) -> Body:
        """Return the object as that version shows it. Conversion strategy None: only apiVersion changes.

        Source: kubernetes.io, Versions in CustomResourceDefinitions.
        """
        wanted = self.api_version(version)
        if body.get("apiVersion") == wanted and body.get("kind") == self.kind:
            return body
        rest = {k: v for k, v in body.items() if k not in ("apiVersion", "kind")}
        return {"apiVersion": wanted, "kind": self.kind, **rest}


@dataclass(frozen=True, slots=True)
class Target:
    """What one request is about."""

    kind: ServedKind
    version: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def schema(self) -> Body:
        """The schema of the requested version."""
        served = self.kind.version(self.version)
        return served.schema if served else PERMISSIVE

    @property
    def api_version(self) -> str:
        """`group/version` as the request wrote it."""
        return self.kind.api_version(self.version)


def metadata_of(body: Mapping[str, Any]) -> Body:
    """Return the metadata, or an empty dict."""
    metadata = body.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
