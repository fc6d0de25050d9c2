"""Who owns which fields: the entries of `metadata.managedFields` as a mapping.

Stage: none (pure).
Source: kubernetes/apimachinery, pkg/util/managedfields/internal/managedfields.go and capmanagers.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, TypeAlias

from gitmesh.playground.apiserver.objects.fieldset import FieldSet, decode, encode

UPDATE_MANAGERS_MAX = 10
ANCIENT_CHANGES = "ancient-changes"
BEFORE_FIRST_APPLY = "before-first-apply"


class Owner(NamedTuple):
    """What identifies an entry. An applier has one entry for all versions, so its `version` is empty."""

    manager: str
    operation: Literal["Apply", "Update"]
    version: str
    subresource: str

    def __str__(self) -> str:
        text = _quoted(self.manager)
        if self.subresource:
            text += f" with subresource {_quoted(self.subresource)}"
        return f"{text} using {self.version}" if self.operation == "Update" else text


@dataclass(frozen=True, slots=True)
class Claim:
    """What an owner owns, in which version it last said so, and when (RFC 3339)."""

    fields: FieldSet
    version: str
    time: str


Owners: TypeAlias = Mapping[Owner, Claim]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def applier(manager: str, subresource: str) -> Owner:
    """Return the identity of a manager that applies."""
    return Owner(manager or "unknown", "Apply", "", subresource)


def updater(manager: str, version: str, subresource: str) -> Owner:
    """Return the identity of a manager that creates, updates or patches."""
    return Owner(manager or "unknown", "Update", version, subresource)


def read_owners(entries: Any) -> Owners:
    """Read managedFields. Raises ValueError when an entry is not one."""
    return dict(_read_entry(entry) for entry in entries or ())


def _read_entry(entry: Any) -> tuple[Owner, Claim]:
    match entry:
        case {
            "operation": "Apply" | "Update" as operation,
            "apiVersion": str(version),
            "fieldsType": "FieldsV1",
        }:
            manager, subresource = str(entry.get("manager", "")), str(entry.get("subresource") or "")
            claim = Claim(decode(entry.get("fieldsV1") or {}), version, str(entry.get("time") or ""))
            if operation == "Apply":
                return Owner(manager, "Apply", "", subresource), claim
            return Owner(manager, "Update", version, subresource), claim
    raise ValueError("an entry of managedFields needs operation, apiVersion and fieldsType")


def write_owners(owners: Owners) -> list[dict[str, Any]]:
    """Return managedFields: appliers first, then by time and name. Owners of nothing are left out."""
    entries = [_entry(owner, claim) for owner, claim in owners.items() if claim.fields]
    return sorted(entries, key=_order)


def _entry(owner: Owner, claim: Claim) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "manager": owner.manager,
        "operation": owner.operation,
        "apiVersion": claim.version,
    }
    if claim.time:
        entry["time"] = claim.time
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": encode(claim.fields)}
    if owner.subresource:
        entry["subresource"] = owner.subresource
    return entry


def _order(entry: Mapping[str, Any]) -> tuple[str, ...]:
    fields = ("operation", "time", "manager", "apiVersion", "subresource")
    return tuple(str(entry.get(field, "")) for field in fields)


def without(owners: Owners, fields: FieldSet) -> Owners:
    """Take fields away from every owner."""
    return {owner: replace(claim, fields=claim.fields - fields) for owner, claim in owners.items()}


def cap_updaters(owners: Owners) -> Owners:
    """Keep at most UPDATE_MANAGERS_MAX updaters: the oldest of each version melt into one entry."""
    capped = {owner: claim for owner, claim in owners.items() if claim.fields}
    updaters = [owner for owner in capped if owner.operation == "Update"]
    updaters.sort(key=lambda owner: (capped[owner].time, owner))
    excess = len(updaters) - UPDATE_MANAGERS_MAX
    first_of_version: dict[str, Owner] = {}
    for oldest in updaters:
        if excess <= 0:
            break
        first = first_of_version.setdefault(oldest.version, oldest)
        if first == oldest:
            continue
        bucket = updater(ANCIENT_CHANGES, oldest.version, "")
        gathered = capped.pop(bucket if bucket in capped else first)
        recent = capped.pop(oldest, gathered)
        capped[bucket] = replace(recent, fields=recent.fields | gathered.fields)
        excess -= 1
    return capped
