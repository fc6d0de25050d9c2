"""A cluster as it is on its first day: built-in kinds, preinstalled definitions, the usual namespaces.

Stage: playground.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from gitmesh.playground.apiserver import preinstalled, writes
from gitmesh.playground.apiserver.cluster import Cluster, new_uid
from gitmesh.playground.apiserver.core_kinds import CORE_KINDS
from gitmesh.playground.apiserver.definitions import served_kind
from gitmesh.playground.apiserver.deletes import DEFINITIONS
from gitmesh.playground.apiserver.kinds import Body, Target
from gitmesh.playground.apiserver.limits import ApiLimits
from gitmesh.playground.apiserver.registry import Registry
from gitmesh.playground.apiserver.store import Store
from gitmesh.playground.apiserver.writes import APPLY_PATCH, WriteOptions

NAMESPACES = ("default", "kube-system", "kube-public")
_OPTIONS = WriteOptions(manager="playground", force=True)


def open_cluster(
    path: str,
    *,
    now: Callable[[], datetime],
    monotonic: Callable[[], float],
    limits: ApiLimits | None = None,
    definitions: Iterable[Body] | None = None,
    uids: Callable[[], str] = new_uid,
) -> Cluster:
    """Open the database (`:memory:` for none) and make sure that everything preinstalled is in it.

    Raises StoreError.
    """
    limits = limits or ApiLimits()
    store = Store(path, limits, first_revision=int(now().timestamp() * 1000))
    registry = Registry(CORE_KINDS)
    cluster = Cluster(store, registry, now, monotonic, limits, uids)
    for body in store.all(DEFINITIONS):
        registry.add(served_kind(body))
    kind = registry.by_resource(DEFINITIONS)
    namespaces = registry.by_resource("namespaces")
    assert kind is not None
    assert namespaces is not None
    with store.together():
        for body in preinstalled.definitions() if definitions is None else definitions:
            target = Target(kind, "v1", name=body["metadata"]["name"])
            writes.patch(cluster, target, APPLY_PATCH, body, _OPTIONS)
        for name in NAMESPACES:
            if store.get("namespaces", "", name) is None:
                writes.create(cluster, Target(namespaces, "v1"), {"metadata": {"name": name}}, _OPTIONS)
    return cluster
