"""Create, update and patch: from a request body to a stored object.

Stage: playground. Every way to write ends in `_create` or `_update`, so that all of them keep the same rules.
Source: kubernetes.io, API concepts; Server-Side Apply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gitmesh.playground.apiserver import failures, metadata, reviews
from gitmesh.playground.apiserver.admission import check_namespace, check_valid, known_fields
from gitmesh.playground.apiserver.cluster import Cluster
from gitmesh.playground.apiserver.definitions import definition_written
from gitmesh.playground.apiserver.deletes import drop_oldest, finish_if_ready
from gitmesh.playground.apiserver.kinds import Body, Target
from gitmesh.playground.apiserver.objects import apply, patches, schema, typed
from gitmesh.playground.apiserver.objects.errors import ApplyConflict, ApplyError, PatchError
from gitmesh.playground.apiserver.objects.strategic import strategic_merge_patch

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What the query of a write says."""

    manager: str = "unknown"
    dry_run: bool = False
    validation: str = "Warn"
    force: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """The object as stored (or as it would be stored, in a dry run), and what to warn about."""

    body: Body
    created: bool = False
    warnings: tuple[str, ...] = ()


def create(cluster: Cluster, target: Target, body: Any, options: WriteOptions) -> Written:
    """Create an object. 409 when it exists."""
    given = metadata.check_envelope(target, body)
    if target.kind.verbs == ("create",):
        return Written(reviews.answer(target, given), created=True)
    if given["metadata"].get("resourceVersion"):
        raise failures.bad_request("resourceVersion should not be set on objects to be created")
    given, warnings = known_fields(target, given, options.validation)
    return Written(_create(cluster, target, given, options, tracked=False), True, warnings)


def update(cluster: Cluster, target: Target, body: Any, options: WriteOptions) -> Written:
    """Replace an object, or its status. 409 when metadata.resourceVersion is not the live one."""
    live = _live(cluster, target)
    given = metadata.check_envelope(target, body)
    metadata.check_name(target, given["metadata"])
    _check_precondition(target, live, given)
    if target.kind.custom and not given["metadata"].get("resourceVersion"):
        cause = ("metadata.resourceVersion", "Invalid value: 0x0: must be specified for an update")
        raise failures.invalid(target.name, target.kind.group, target.kind.kind, [cause])
    given, warnings = known_fields(target, given, options.validation)
    return Written(_update(cluster, target, live, given, options, tracked=False), warnings=warnings)


def patch(cluster: Cluster, target: Target, media_type: str, body: Any, options: WriteOptions) -> Written:
    """Change an object by a patch of one of four kinds. Server-side apply creates what is not there."""
    if media_type == APPLY_PATCH:
        return _apply(cluster, target, body, options)
    live = _live(cluster, target)
    shown = target.kind.as_version(live, target.version)
    patched = metadata.check_envelope(target, _patched(target, media_type, shown, body))
    metadata.check_name(target, patched["metadata"])
    _check_same_object(target, live, patched)
    patched, warnings = known_fields(target, patched, options.validation)
    return Written(_update(cluster, target, live, patched, options, tracked=False), warnings=warnings)


def _patched(target: Target, media_type: str, shown: Body, body: Any) -> Any:
    kind = target.kind
    try:
        if media_type == JSON_PATCH:
            return patches.json_patch(shown, body)
        if media_type == MERGE_PATCH:
            return patches.merge_patch(shown, body)
        if media_type == STRATEGIC_PATCH and not kind.custom:
            return strategic_merge_patch(shown, body)
    except PatchError as error:
        cause = [("patch", f"Invalid value: {error}")]
        raise failures.invalid(target.name, kind.group, kind.kind, cause) from error
    accepted = [JSON_PATCH, MERGE_PATCH, APPLY_PATCH, *([] if kind.custom else [STRATEGIC_PATCH])]
    raise failures.unsupported_media(
        f"the body of the request was in an unknown format - accepted media types include: "
        f"{', '.join(accepted)}"
    )


def _apply(cluster: Cluster, target: Target, body: Any, options: WriteOptions) -> Written:
    applied = metadata.check_envelope(target, body)
    metadata.check_name(target, applied["metadata"])
    if applied["metadata"].get("managedFields"):
        raise failures.bad_request("metadata.managedFields must be nil")
    applied["metadata"] = {**applied["metadata"], "name": target.name}
    if problem := typed.problem(applied, target.schema):
        place = f"{target.namespace}/{target.name}"
        kind = f"{target.kind.group}/{target.version}, Kind={target.kind.kind}"
        raise failures.not_typed(place, kind, problem)
    applied = _only_writable(target, applied)
    live = cluster.store.get(target.kind.resource, target.namespace, target.name)
    if live is None and target.subresource:
        raise failures.not_found(target.name, target.kind.group, target.kind.plural)
    if live is None and applied["metadata"].get("resourceVersion"):
        raise failures.stale_write(target.name, target.kind.group, target.kind.plural)
    if live is not None:
        _check_not_stale(target, live, applied)
        _check_same_object(target, live, applied)
    merged = _merged(cluster, target, live, applied, options)
    if live is None:
        return Written(_create(cluster, target, merged, options, tracked=True), True)
    return Written(_update(cluster, target, live, merged, options, tracked=True))


def _merged(
    cluster: Cluster, target: Target, live: Body | None, applied: Body, options: WriteOptions
) -> Body:
    shown = None if live is None else target.kind.as_version(live, target.version)
    try:
        return apply.apply_patch(
            shown,
            applied,
            manager=options.manager,
            force=options.force,
            schema=target.schema,
            subresource=target.subresource,
            now=cluster.timestamp(),
        )
    except ApplyConflict as error:
        raise failures.apply_conflict(str(error), [(c.cause, c.field) for c in error.conflicts]) from error
    except ApplyError as error:
        raise failures.bad_request(str(error)) from error


def _only_writable(target: Target, applied: Body) -> Body:
    # What the endpoint resets is not owned by the one who sent it. Source: apiserver, resetFields.
    if target.subresource == "status":
        return {k: v for k, v in applied.items() if k in ("apiVersion", "kind", "metadata", "status")}
    if target.kind.has_status:
        return {k: v for k, v in applied.items() if k != "status"}
    return applied


def _live(cluster: Cluster, target: Target) -> Body:
    live = cluster.store.get(target.kind.resource, target.namespace, target.name)
    if live is None:
        raise failures.not_found(target.name, target.kind.group, target.kind.plural)
    return live


def _check_not_stale(target: Target, live: Body, given: Body) -> None:
    kind = target.kind
    version = given["metadata"].get("resourceVersion")
    if version and version != live["metadata"]["resourceVersion"]:
        raise failures.stale_write(target.name, kind.group, kind.plural)


def _check_precondition(target: Target, live: Body, given: Body) -> None:
    """The uid of a whole object that is sent says which one is meant."""
    uid, found = given["metadata"].get("uid"), live["metadata"]["uid"]
    if uid and uid != found:
        message = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {found}"
        raise failures.conflict(target.name, target.kind.group, target.kind.plural, message)


def _check_same_object(target: Target, live: Body, given: Body) -> None:
    """In a patch the uid is a field like any other, and never changes. Source: a kube-apiserver 1.36."""
    uid = given["metadata"].get("uid")
    if uid and uid != live["metadata"]["uid"]:
        cause = [("metadata.uid", f'Invalid value: "{uid}": field is immutable')]
        raise failures.invalid(target.name, target.kind.group, target.kind.kind, cause)


def _create(cluster: Cluster, target: Target, given: Body, options: WriteOptions, *, tracked: bool) -> Body:
    kind = target.kind
    if kind.has_status:
        given = {k: v for k, v in given.items() if k != "status"}
    name = _free_name(cluster, target, given["metadata"])
    body = metadata.born(
        given, name=name, uid=cluster.new_uid(), at=cluster.timestamp(), counts_generation=kind.custom
    )
    body = _completed(target, body)
    check_namespace(cluster, target, name)
    if cluster.store.get(kind.resource, target.namespace, name) is not None:
        raise failures.already_exists(name, kind.group, kind.plural)
    if not tracked:
        body = _tracked(cluster, target, None, body, options)
    return _commit(cluster, target, None, body, name, options)


def _completed(target: Target, body: Body) -> Body:
    """Return the object with what the server fills in. Raises 422 when it is not valid."""
    if target.kind.defaults:
        check_valid(target, body)  # what fills in relies on the types
        body = target.kind.defaults(body)
    body = schema.default(body, target.schema)
    check_valid(target, body)
    return body


def _free_name(cluster: Cluster, target: Target, given: Body) -> str:
    for _ in range(cluster.limits.generated_name_tries):
        name = metadata.new_name(given)
        taken = cluster.store.get(target.kind.resource, target.namespace, name) is not None
        if given.get("name") or not taken:
            break
    return name


def _update(
    cluster: Cluster, target: Target, live: Body, given: Body, options: WriteOptions, *, tracked: bool
) -> Body:
    kind = target.kind
    shown = kind.as_version(live, target.version)
    _check_not_stale(target, live, given)
    body = metadata.grown(shown, _merge_parts(target, shown, given), counts_generation=kind.custom)
    body = _completed(target, body)
    _check_finalizers(target, live, body)
    if not tracked:
        body = _tracked(cluster, target, shown, body, options)
    if metadata.says_the_same(shown, body):
        return live
    return _commit(cluster, target, live, body, target.name, options)


def _merge_parts(target: Target, shown: Body, given: Body) -> Body:
    """Return what this endpoint may change, taken from `given`, and all else from the live object."""
    if target.subresource == "status":
        fields = given["metadata"].get("managedFields", shown["metadata"].get("managedFields"))
        parts = {**shown, "metadata": {**shown["metadata"], "managedFields": fields}}
        parts.pop("status", None)
        return {**parts, "status": given["status"]} if "status" in given else parts
    if target.kind.has_status:
        parts = {k: v for k, v in given.items() if k != "status"}
        return {**parts, "status": shown["status"]} if "status" in shown else parts
    return given


def _check_finalizers(target: Target, live: Body, body: Body) -> None:
    if "deletionTimestamp" not in live["metadata"]:
        return
    added = set(body["metadata"].get("finalizers") or ()) - set(live["metadata"].get("finalizers") or ())
    if added:
        text = (
            f"Forbidden: no new finalizers can be added if the object is being deleted, found {sorted(added)}"
        )
        kind = target.kind
        raise failures.invalid(target.name, kind.group, kind.kind, [("metadata.finalizers", text)])


def _tracked(
    cluster: Cluster, target: Target, before: Body | None, after: Body, options: WriteOptions
) -> Body:
    return apply.track_update(
        before,
        after,
        manager=options.manager,
        schema=target.schema,
        subresource=target.subresource,
        now=cluster.timestamp(),
    )


def _commit(
    cluster: Cluster, target: Target, live: Body | None, body: Body, name: str, options: WriteOptions
) -> Body:
    kind = target.kind
    stored = kind.as_version(body, kind.storage)
    serve = definition_written(kind, stored)
    if options.dry_run:
        return stored
    with cluster.store.together():
        result = cluster.store.put(kind.resource, target.namespace, name, stored)
        if serve is not None:
            cluster.registry.add(serve)
        if kind.resource == "events":
            drop_oldest(cluster, kind, cluster.limits.events_max)
        if live is not None and "deletionTimestamp" in result["metadata"]:
            finish_if_ready(cluster, kind, target.namespace, name)
    return result
