"""Server-side apply and the bookkeeping of field ownership for every other write.

Stage: none (pure). Inputs are never changed; results share parts with them.
Source: kubernetes.io, Server-Side Apply; kubernetes-sigs/structured-merge-diff, merge/update.go;
kubernetes/apimachinery, pkg/util/managedfields/internal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gitmesh.playground.apiserver.objects.equality import same
from gitmesh.playground.apiserver.objects.errors import ApplyConflict, ApplyError, Conflict
from gitmesh.playground.apiserver.objects.fieldset import NOTHING, FieldPath, FieldSet, path_text
from gitmesh.playground.apiserver.objects.last_applied import (
    KUBECTL,
    allowed_by_last_applied,
    with_last_applied,
)
from gitmesh.playground.apiserver.objects.merging import ABSENT, Comparison, compare, field_set, merge
from gitmesh.playground.apiserver.objects.ownership import (
    BEFORE_FIRST_APPLY,
    Claim,
    Owner,
    Owners,
    applier,
    cap_updaters,
    read_owners,
    updater,
    without,
    write_owners,
)
from gitmesh.playground.apiserver.objects.removal import fit_to_schema, remove_disowned
from gitmesh.playground.apiserver.objects.scope import (
    UNOWNED,
    Scope,
    metadata_of,
    require_distinct_items,
    tidy,
    without_managed_fields,
    without_server_fields,
)
from gitmesh.playground.apiserver.objects.structure import Schema, whole

__all__ = ["ApplyConflict", "ApplyError", "Conflict", "apply_patch", "track_update"]


@dataclass(frozen=True, slots=True)
class _Write:
    """What every step of one write needs to know."""

    owner: Owner
    version: str
    now: str
    schema: Schema
    scope: Scope

    def differences(self, before: Any, after: Any) -> Comparison:
        """Compare, leaving out what this write cannot own."""
        return Comparison(*(self.scope.owned(part) for part in compare(before, after, self.schema)))

    def claim(self, fields: FieldSet) -> Claim:
        """Own the fields from now on."""
        return Claim(fields, self.version, self.now)


def apply_patch(
    live: Mapping[str, Any] | None,
    applied: Mapping[str, Any],
    *,
    manager: str,
    force: bool,
    schema: Schema,
    subresource: str = "",
    now: str,
    status_subresource: bool = True,
) -> dict[str, Any]:
    """Return the object after server-side apply; equal to `live` when nothing changed.

    The caller checks the preconditions of the request (uid, resourceVersion) before, and prunes, defaults and
    checks afterwards. `now` is RFC 3339. Raises ApplyConflict when others own a field with another value,
    ApplyError for a wrong configuration.
    """
    schema = whole(schema)
    if (applied.get("metadata") or {}).get("managedFields") is not None:
        raise ApplyError("metadata.managedFields must be nil")
    config = without_server_fields(applied)
    require_distinct_items(config, schema)
    write = _Write(
        owner=applier(manager, subresource),
        version=str(applied.get("apiVersion", "")),
        now=now,
        schema=schema,
        scope=Scope(subresource, status_subresource),
    )
    body = without_managed_fields(live) if live is not None else {}
    owners = _owners_before_apply(live, body, write)
    result, owners_after = _apply(body, config, owners, write, force)
    result = with_last_applied(result, config) if manager == KUBECTL else result
    if _is_unchanged(body, result, owners.get(write.owner), owners_after.get(write.owner)):
        owners_after = {**owners_after, write.owner: owners[write.owner]}
    return _with_owners(result, owners_after)


def _owners_before_apply(live: Mapping[str, Any] | None, body: dict[str, Any], write: _Write) -> Owners:
    """Read who owns what. What nobody is known to own belongs to a manager of the time before."""
    owners = _read(live, write.schema)
    if live is None or owners:
        return owners
    before = updater(BEFORE_FIRST_APPLY, write.version, write.owner.subresource)
    return {before: write.claim(write.differences({}, body).added)}


def _read(body: Mapping[str, Any] | None, schema: Schema) -> Owners:
    """Read managedFields; entries that cannot be read count as none, as on a real server."""
    try:
        owners = read_owners(metadata_of(body or {}).get("managedFields"))
    except (ValueError, TypeError):
        return {}
    return {
        owner: replace(claim, fields=fit_to_schema(claim.fields, schema)) for owner, claim in owners.items()
    }


def _apply(
    live: dict[str, Any], config: dict[str, Any], owners: Owners, write: _Write, force: bool
) -> tuple[dict[str, Any], Owners]:
    stated = write.scope.owned(field_set(config, write.schema))
    claimed = {**owners, write.owner: write.claim(stated)}
    last = owners[write.owner].fields if write.owner in owners else NOTHING
    merged = merge(live or ABSENT, config, write.schema)
    owned = UNOWNED.union(*(claim.fields for claim in claimed.values()))
    merged = remove_disowned(merged, last=last, owned=owned, schema=write.schema)
    result = write.scope.restrict(live, merged)
    differing = write.differences(live, result)
    written = differing.added | differing.modified
    others = {owner: claim for owner, claim in claimed.items() if owner != write.owner}
    if not force:
        _refuse_conflicts(others, written, _allowed(live, write))
    others = dict(without(others, written | differing.removed))
    return tidy(result), {**others, write.owner: claimed[write.owner]}


def _allowed(live: dict[str, Any], write: _Write) -> FieldSet:
    """Return the fields of others that this manager may change without force."""
    if write.owner.manager != KUBECTL:
        return NOTHING
    return allowed_by_last_applied(live, write.version, write.schema)


def _refuse_conflicts(others: Owners, written: FieldSet, allowed: FieldSet) -> None:
    found: list[tuple[Owner, FieldPath]] = sorted(
        (owner, path) for owner, claim in others.items() for path in (claim.fields & written) - allowed
    )
    if found:
        raise ApplyConflict([Conflict(str(owner), path_text(path)) for owner, path in found])


def _is_unchanged(
    before: dict[str, Any], after: dict[str, Any], old: Claim | None, new: Claim | None
) -> bool:
    """Say whether an apply did nothing, so that its time must not move. Versions show the same content."""
    if old is None or new is None or (old.fields, old.version) != (new.fields, new.version):
        return False
    return same({**before, "apiVersion": ""}, {**after, "apiVersion": ""})


def _with_owners(body: Mapping[str, Any], owners: Owners) -> dict[str, Any]:
    entries = write_owners(owners)
    if not entries:
        return without_managed_fields(body)
    return {**body, "metadata": {**metadata_of(body), "managedFields": entries}}


def track_update(
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
    *,
    manager: str,
    schema: Schema,
    subresource: str = "",
    now: str,
    status_subresource: bool = True,
) -> dict[str, Any]:
    """Return `after` with the managedFields of a create (`before` is None), an update or a patch.

    What changed belongs to the manager; without a change the entries and their times stay. A client may
    rewrite managedFields, except through a subresource: `[]` or `[{}]` clears them, and an object without
    any is not tracked until the next apply. `now` is RFC 3339.
    """
    schema = whole(schema)
    version = str(after.get("apiVersion", ""))
    write = _Write(
        owner=updater(manager, version, subresource),
        version=version,
        now=now,
        schema=schema,
        scope=Scope(subresource, status_subresource),
    )
    owners = _owners_before_update(before, after, write)
    if before is not None and not owners:
        return without_managed_fields(after)
    old = without_managed_fields(before) if before is not None else {}
    differing = write.differences(old, without_managed_fields(after))
    written = differing.added | differing.modified
    left = dict(without(owners, written | differing.removed))
    if written:
        previous = left[write.owner].fields if write.owner in left else NOTHING
        left[write.owner] = write.claim(previous | written)
    return _with_owners(after, cap_updaters(left))


def _owners_before_update(
    before: Mapping[str, Any] | None, after: Mapping[str, Any], write: _Write
) -> Owners:
    """Take the entries that the client sent, else those of the object as it was."""
    sent = metadata_of(after).get("managedFields")
    if write.owner.subresource:
        return _read(before, write.schema)
    if sent is not None and sent in ([], [{}]):
        return {}
    return _read(after, write.schema) or _read(before, write.schema)
