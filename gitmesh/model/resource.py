"""Resources: one Kubernetes object, its identity, and where its text stands in Git.

Stage: none (pure).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

_Said = TypeVar("_Said")


class ResourceKey(NamedTuple):
    """What identifies an object in a cluster. The API version is not part of it.

    A tuple, for a pass looks keys up by the ten thousand, and those of a tuple are hashed in C.

    Source: kubernetes.io, API concepts: all served versions of a group show the same objects.
    """

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}"

    @property
    def path(self) -> str:
        """The form kept in an inventory: `group/kind/namespace/name`; the core group is empty."""
        return f"{self.group}/{self.kind}/{self.namespace}/{self.name}"

    @classmethod
    def from_path(cls, path: str) -> ResourceKey:
        """Read the form that `path` writes. Raises ValueError when it has not four parts."""
        group, kind, namespace, name = path.split("/")
        return cls(group, kind, namespace, name)


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a file of the repository. Line and column count from 1, as editors do."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Which document of which file a resource was read from.

    `document` counts the YAML documents of the file from 0; for an element of a `List` kind,
    `prefix` is the path to it inside that document, for example `("items", 3)`.
    """

    file: str
    document: int
    line: int = 1
    column: int = 1
    prefix: tuple[str | int, ...] = ()

    @property
    def location(self) -> Location:
        """Where the document (or list element) begins."""
        return Location(self.file, self.line, self.column)


@dataclass(frozen=True, slots=True)
class Resource:
    """One object as data. `body` is the whole object and must not be changed by anyone."""

    key: ResourceKey
    api_version: str
    body: Mapping[str, Any]
    origin: Origin | None = None
    _said: dict[Callable[[Resource], Any], Any] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def once(self, say: Callable[[Resource], _Said]) -> _Said:
        """Return `say(self)`, and the very same answer ever after: an object never changes."""
        if self._said is None:
            object.__setattr__(self, "_said", {})  # not for each: most are never asked
        said: dict[Callable[[Resource], Any], Any] = self._said  # type: ignore[assignment]  # set above
        if say not in said:
            said[say] = say(self)
        answer: _Said = said[say]
        return answer

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec, or an empty mapping where there is none."""
        spec = self.body.get("spec")
        return spec if isinstance(spec, (dict, Mapping)) else {}

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The metadata, or an empty mapping where there is none."""
        metadata = self.body.get("metadata")
        return metadata if isinstance(metadata, (dict, Mapping)) else {}

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels; empty when there are none."""
        return self.metadata.get("labels") or {}

    @property
    def annotations(self) -> Mapping[str, str]:
        """The annotations; empty when there are none."""
        return self.metadata.get("annotations") or {}

    @property
    def resource_version(self) -> str:
        """The server's version of this object; empty for one that was read from Git."""
        return str(self.metadata.get("resourceVersion", ""))

    def with_spec(self, spec: Mapping[str, Any]) -> Resource:
        """Return the same object with another spec."""
        return replace(self, body={**self.body, "spec": spec})

    def with_metadata(self, **fields: Any) -> Resource:
        """Return the same object with some metadata fields replaced."""
        return replace(self, body={**self.body, "metadata": {**self.metadata, **fields}})


ResourceSet = Mapping[ResourceKey, Resource]


def content_hash(value: object) -> str:
    """Return 16 hex digits that are equal for equal JSON values, whatever the order of their keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def resource_from_body(body: Mapping[str, Any], origin: Origin | None = None) -> Resource:
    """Build a resource from an object that has apiVersion, kind and metadata.name."""
    api_version = str(body["apiVersion"])
    group = api_version.rpartition("/")[0]
    metadata = body["metadata"]
    key = ResourceKey(group, str(body["kind"]), str(metadata.get("namespace", "")), str(metadata["name"]))
    return Resource(key, api_version, body, origin)
