"""CustomResourceDefinitions: from the object that a person posts to a kind that the server serves.

Stage: playground (pure). Source: kubernetes.io, CustomResourceDefinition v1.
"""

from __future__ import annotations

from typing import Any

from gitmesh.playground.apiserver import failures
from gitmesh.playground.apiserver.kinds import (
    PERMISSIVE,
    Body,
    Column,
    ServedKind,
    ServedVersion,
    metadata_of,
)
from gitmesh.playground.apiserver.registry import version_rank
from gitmesh.playground.apiserver.schema_check import schema_problems

GROUP = "apiextensions.k8s.io"
KIND = "CustomResourceDefinition"
_ENVELOPE: Body = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"type": "object"},
}
_FIXED_TIME = "creationTimestamp"


def definition_written(kind: ServedKind, stored: Body) -> ServedKind | None:
    """Return the kind that this write of a definition makes the server serve; None for any other object."""
    return served_kind(stored) if kind.group == GROUP and kind.kind == KIND else None


def served_kind(body: Body) -> ServedKind:
    """Return the kind that a definition describes. Raises 422 when it does not describe one."""
    spec = body.get("spec") or {}
    names = spec.get("names") or {}
    _check(body, spec, names)
    versions = [_version(v) for v in spec["versions"] if v.get("served", True)]
    return ServedKind(
        group=spec["group"],
        kind=names["kind"],
        plural=names["plural"],
        singular=names.get("singular") or names["kind"].lower(),
        list_kind=names.get("listKind") or f"{names['kind']}List",
        versions=tuple(sorted(versions, key=lambda v: version_rank(v.name))),
        storage=next(v["name"] for v in spec["versions"] if v.get("storage")),
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        has_status=any("status" in (v.get("subresources") or {}) for v in spec["versions"]),
        custom=True,
    )


def _check(body: Body, spec: Any, names: Any) -> None:
    problems: list[tuple[str, str]] = []
    for path, value in (
        ("spec.group", spec.get("group")),
        ("spec.names.kind", names.get("kind")),
        ("spec.names.plural", names.get("plural")),
        ("spec.versions", spec.get("versions")),
    ):
        if not value:
            problems.append((path, "Required value"))
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        problems.append(("spec.scope", "Unsupported value: must be Namespaced or Cluster"))
    name = metadata_of(body).get("name", "")
    if not problems and name != f"{names['plural']}.{spec['group']}":
        problems.append(
            ("metadata.name", f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group')
        )
    if sum(bool(v.get("storage")) for v in spec.get("versions") or ()) != 1:
        problems.append(
            ("spec.versions", "Invalid value: must have exactly one version marked as storage version")
        )
    for number, version in enumerate(spec.get("versions") or ()):
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is not None:
            problems += schema_problems(schema, f"spec.versions[{number}].schema.openAPIV3Schema")
    if problems:
        raise failures.invalid(str(name), GROUP, KIND, problems)


def _version(version: Body) -> ServedVersion:
    schema = (version.get("schema") or {}).get("openAPIV3Schema") or PERMISSIVE
    properties = {**_ENVELOPE, **(schema.get("properties") or {})}
    return ServedVersion(
        name=version["name"],
        schema={**schema, "type": "object", "properties": properties},
        columns=tuple(_columns(version.get("additionalPrinterColumns") or ())),
    )


def _columns(listed: Any) -> list[Column]:
    if not listed:
        return [Column("Age", "date", ".metadata.creationTimestamp")]
    return [
        Column(
            name=column["name"],
            type=column.get("type", "string"),
            json_path=column["jsonPath"],
            format=column.get("format", ""),
            priority=int(column.get("priority", 0)),
            description=column.get("description", ""),
        )
        for column in listed
    ]


def with_defaults(body: Body) -> Body:
    """Return a definition with the names and the status that the server fills in.

    Established at once: there is nothing here that could take time.
    """
    spec = body.get("spec") or {}
    names = dict(spec.get("names") or {})
    kind = str(names.get("kind") or "")
    names.setdefault("singular", kind.lower())
    names.setdefault("listKind", f"{kind}List")
    stored = [v["name"] for v in spec.get("versions") or () if v.get("storage")]
    at = metadata_of(body).get(_FIXED_TIME, "")
    conditions = [
        _condition("NamesAccepted", "NoConflicts", "no conflicts found", at),
        _condition("Established", "InitialNamesAccepted", "the initial names have been accepted", at),
    ]
    status = {"acceptedNames": names, "storedVersions": stored, "conditions": conditions}
    spec = {**spec, "names": names, "conversion": spec.get("conversion") or {"strategy": "None"}}
    return {**body, "spec": spec, "status": status}


def _condition(kind: str, reason: str, message: str, at: str) -> Body:
    return {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": at}
