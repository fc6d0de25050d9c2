"""Delete: preconditions, finalizers, and what goes with an object (its dependents, its namespace's content).

Stage: playground. Source: kubernetes.io, Finalizers; Garbage Collection; Namespaces.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gitmesh.playground.apiserver import failures
from gitmesh.playground.apiserver.cluster import Cluster
from gitmesh.playground.apiserver.index import owner_uids
from gitmesh.playground.apiserver.kinds import Body, ServedKind, Target, metadata_of

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
KEPT_NAMESPACES = frozenset({"default", "kube-system", "kube-public"})
_PROPAGATION = ("", "Background", "Foreground", "Orphan")


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """What a DELETE says in its body and its query. Foreground is answered like Background."""

    uid: str = ""
    resource_version: str = ""
    propagation: str = ""
    dry_run: bool = False


def delete_options(body: Any, *, dry_run: bool, propagation: str) -> DeleteOptions:
    """Read DeleteOptions. Raises 400 when they make no sense."""
    given = body if isinstance(body, dict) else {}
    preconditions = given.get("preconditions") or {}
    policy = given.get("propagationPolicy") or propagation
    if policy not in _PROPAGATION:
        raise failures.bad_request(
            f'propagationPolicy "{policy}" is not one of Background, Foreground, Orphan'
        )
    if given.get("orphanDependents"):
        policy = "Orphan"
    return DeleteOptions(
        uid=str(preconditions.get("uid") or ""),
        resource_version=str(preconditions.get("resourceVersion") or ""),
        propagation=policy,
        dry_run=dry_run or given.get("dryRun") == ["All"],
    )


def delete(cluster: Cluster, target: Target, options: DeleteOptions) -> Body:
    """Delete one object. Return it while finalizers hold it, else a Status that says it is gone."""
    kind = target.kind
    live = cluster.store.get(kind.resource, target.namespace, target.name)
    if live is None:
        raise failures.not_found(target.name, kind.group, kind.plural)
    _check_preconditions(target, live, options)
    if kind.resource == "namespaces" and target.name in KEPT_NAMESPACES:
        raise failures.forbidden(target.name, "", "namespaces", "this namespace may not be deleted")
    if options.dry_run:
        return _gone(target, live)
    with cluster.store.together():
        remove(cluster, kind, target.namespace, target.name, orphan=options.propagation == "Orphan")
    left = cluster.store.get(kind.resource, target.namespace, target.name)
    return _gone(target, live) if left is None else kind.as_version(left, target.version)


def delete_collection(
    cluster: Cluster, kind: ServedKind, bodies: Iterable[Body], options: DeleteOptions
) -> None:
    """Delete all the given objects."""
    if options.dry_run:
        return
    with cluster.store.together():
        for body in bodies:
            meta = metadata_of(body)
            orphan = options.propagation == "Orphan"
            remove(cluster, kind, meta.get("namespace", ""), meta["name"], orphan=orphan)


def _check_preconditions(target: Target, live: Body, options: DeleteOptions) -> None:
    meta = live["metadata"]
    checks = (
        ("UID", options.uid, meta["uid"]),
        ("ResourceVersion", options.resource_version, meta["resourceVersion"]),
    )
    for what, wanted, found in checks:
        if wanted and wanted != found:
            message = f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
            raise failures.conflict(target.name, target.kind.group, target.kind.plural, message)


def _gone(target: Target, live: Body) -> Body:
    details = {
        "name": target.name,
        "group": target.kind.group,
        "kind": target.kind.plural,
        "uid": live["metadata"]["uid"],
    }
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {key: value for key, value in details.items() if value},
    }


def remove(cluster: Cluster, kind: ServedKind, namespace: str, name: str, *, orphan: bool = False) -> None:
    """Delete an object, or mark it and wait when it has finalizers or content."""
    live = cluster.store.get(kind.resource, namespace, name)
    if live is None:
        return
    if "deletionTimestamp" not in live["metadata"]:
        if not _waits(cluster, kind, name, live):
            _take_out(cluster, kind, namespace, name, orphan=orphan)
            return
        marks = {"deletionTimestamp": cluster.timestamp(), "deletionGracePeriodSeconds": 0}
        marked = {**live, "metadata": {**live["metadata"], **marks}}
        if kind.resource == "namespaces":
            marked = {**marked, "status": {**marked.get("status", {}), "phase": "Terminating"}}
        cluster.store.put(kind.resource, namespace, name, marked)
    if kind.resource == "namespaces":
        _empty_namespace(cluster, name)
    if kind.resource == DEFINITIONS:
        _remove_instances(cluster, name)
    finish_if_ready(cluster, kind, namespace, name)


def _waits(cluster: Cluster, kind: ServedKind, name: str, live: Body) -> bool:
    if live["metadata"].get("finalizers"):
        return True
    if kind.resource == "namespaces":
        return not cluster.store.index.is_empty(name)
    return kind.resource == DEFINITIONS and cluster.store.count(name) > 0


def finish_if_ready(cluster: Cluster, kind: ServedKind, namespace: str, name: str) -> None:
    """Take an object out that is marked as deleted and that nothing holds any more."""
    live = cluster.store.get(kind.resource, namespace, name)
    if live is None or "deletionTimestamp" not in live["metadata"] or _waits(cluster, kind, name, live):
        return
    _take_out(cluster, kind, namespace, name)


def _take_out(cluster: Cluster, kind: ServedKind, namespace: str, name: str, *, orphan: bool = False) -> None:
    last = cluster.store.remove(kind.resource, namespace, name)
    if kind.resource == DEFINITIONS:
        spec = last["spec"]
        cluster.registry.remove(spec["group"], spec["names"]["plural"])
    if not orphan:
        _remove_dependents(cluster, last["metadata"]["uid"])
    if namespace:
        spaces = cluster.registry.by_resource("namespaces")
        if spaces:
            finish_if_ready(cluster, spaces, "", namespace)
    _finish_definition(cluster, kind)


def _finish_definition(cluster: Cluster, kind: ServedKind) -> None:
    definitions = cluster.registry.by_resource(DEFINITIONS)
    if kind.custom and definitions:
        finish_if_ready(cluster, definitions, "", kind.resource)


def _empty_namespace(cluster: Cluster, namespace: str) -> None:
    for resource, _, name in cluster.store.index.in_namespace(namespace):
        kind = cluster.registry.by_resource(resource)
        if kind:
            remove(cluster, kind, namespace, name)


def _remove_instances(cluster: Cluster, resource: str) -> None:
    kind = cluster.registry.by_resource(resource)
    for body in cluster.store.all(resource) if kind else ():
        assert kind is not None
        remove(cluster, kind, metadata_of(body).get("namespace", ""), metadata_of(body)["name"])


def _remove_dependents(cluster: Cluster, uid: str) -> None:
    """Remove what has no other owner."""
    for resource, namespace, name in cluster.store.index.owned_by(uid):
        kind = cluster.registry.by_resource(resource)
        body = cluster.store.get(resource, namespace, name)
        if kind and body and set(owner_uids(body)) == {uid}:
            remove(cluster, kind, namespace, name)


def drop_oldest(cluster: Cluster, kind: ServedKind, keep: int) -> None:
    """Remove the objects of a kind that were written longest ago when there are more than `keep`."""
    if cluster.store.count(kind.resource) <= keep:
        return
    bodies = sorted(cluster.store.all(kind.resource), key=lambda b: int(b["metadata"]["resourceVersion"]))
    for body in bodies[: len(bodies) - keep + keep // 10]:
        remove(cluster, kind, metadata_of(body).get("namespace", ""), metadata_of(body)["name"])
