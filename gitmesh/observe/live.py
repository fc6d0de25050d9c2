"""What is live now: a watch cache of everything that a pass looks at.

Stage: observe (effect).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import anyio
import structlog

from gitmesh.istio.hosts import service_host
from gitmesh.kube.protocol import Body, ClusterClient
from gitmesh.kube.reflector import Clock, EventType, Reflector
from gitmesh.model.context import ContextService
from gitmesh.model.field_managers import FieldManager, field_managers, last_foreign
from gitmesh.model.intent import Verb
from gitmesh.model.kinds import SERVICE, TRAFFIC_KINDS, TRAFFIC_ROLLOUT, TRAFFIC_SOURCE, Kind
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet, resource_from_body
from gitmesh.observe.kept import Kept, Owners
from gitmesh.observe.slim import slim
from gitmesh.validate.across.lenient import mapping
from gitmesh.validate.across.other_facts import read_service

_ASKING = frozenset(verb.annotation for verb in Verb)
_log = structlog.get_logger("gitmesh.observe", stage="observe")

CACHED_KINDS = (*TRAFFIC_KINDS, SERVICE, TRAFFIC_SOURCE, TRAFFIC_ROLLOUT)
_FOLLOWED = frozenset((kind.group, kind.kind) for kind in CACHED_KINDS)


@dataclass(frozen=True, slots=True)
class LiveState:
    """Everything live at one moment; immutable. Equal `version` of one cache means equal content.

    Each mapping is the very same again while nothing in it has changed. `services` by qualified host.
    `managers` says who wrote an object, and which fields of it. `owners`: the traffic objects with the
    mark of each source. `asked`: the objects and rollouts that people ask something of.
    """

    resources: ResourceSet
    services: Mapping[str, ContextService]
    sources: Mapping[ResourceKey, Resource]
    rollouts: Mapping[ResourceKey, Resource]
    managers: Mapping[ResourceKey, tuple[FieldManager, ...]] = field(default_factory=dict)
    version: int = 0
    owners: Mapping[str, frozenset[ResourceKey]] = field(default_factory=dict)
    asked: frozenset[ResourceKey] = frozenset()
    namespace: str = ""  # nothing outside of it was looked at; empty: everything was

    @property
    def service_hosts(self) -> frozenset[str]:
        """The qualified hosts of all Services."""
        return frozenset(self.services)

    def owned_by(self, source: str) -> frozenset[ResourceKey]:
        """Return the traffic objects with the mark of a source."""
        return self.owners.get(source, frozenset())

    def changed_by(self, key: ResourceKey) -> str:
        """Return the field manager other than GitMesh that wrote last; empty when there is none."""
        return last_foreign(self.managers.get(key, ()))


@dataclass(frozen=True, slots=True)
class KindState:
    """How one kind's watch is doing."""

    kind: str
    connected: bool
    synced: bool
    served: bool
    error: str


class LiveCache:
    """Follows the cluster and hands out snapshots.

    `on_change(key)` runs for each change that the watch brings, not for what `absorb` and `drop` bring: an
    own write whose watch event comes after `absorb` wakes nobody. Should the event come first, it does wake,
    and the pass finds nothing to do. A kind that the server does not serve is empty and looked for again.
    """

    def __init__(
        self,
        client: ClusterClient,
        *,
        clock: Clock,
        on_change: Callable[[ResourceKey], None],
        namespace: str = "",
        only: bool = False,
        jitter: Callable[[], float] = random.random,
        on_broken: Callable[[Kind], None] = lambda kind: None,
    ) -> None:
        """Prepare; `run` does the work. `namespace` restricts the TrafficSources, with `only` everything;
        empty: nothing is restricted.

        `on_broken` is told each time that a watch has to begin anew.
        """
        self._on_change = on_change
        self._traffic = Kept[Resource]()
        self._sources = Kept[Resource]()
        self._rollouts = Kept[Resource]()
        self._managers = Kept[tuple[FieldManager, ...]]()
        self._owners = Owners()
        self._asked: frozenset[ResourceKey] = frozenset()  # few at any time
        self._only = namespace if only else ""
        self._services: dict[ResourceKey, ContextService] = {}
        self._by_host: Mapping[str, ContextService] | None = None
        self._absorbed: dict[ResourceKey, str] = {}  # own writes that the watch has not shown yet
        self._version = 0
        self._snapshot: LiveState | None = None
        self._reflectors = tuple(
            Reflector(
                client,
                kind,
                on_event=self._on_event,
                on_listed=self._after_listing(kind),
                clock=clock,
                namespace=namespace if only or kind is TRAFFIC_SOURCE else "",
                jitter=jitter,
                on_broken=on_broken,
            )
            for kind in CACHED_KINDS
        )

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        async with anyio.create_task_group() as group:
            for reflector in self._reflectors:
                group.start_soon(reflector.run, name=f"watch {reflector.kind.plural}")

    async def wait_synced(self) -> None:
        """Wait until every kind was listed once, or is known not to be served."""
        for reflector in self._reflectors:
            await reflector.wait_synced()

    @property
    def synced(self) -> bool:
        """True once `wait_synced` would not wait."""
        return all(reflector.synced for reflector in self._reflectors)

    @property
    def connected(self) -> bool:
        """False while any watch is broken: what `snapshot` says may be old."""
        return all(reflector.connected for reflector in self._reflectors)

    @property
    def states(self) -> tuple[KindState, ...]:
        """How each kind's watch is doing."""
        return tuple(
            KindState(r.kind.kind, r.connected, r.synced, r.served, r.error) for r in self._reflectors
        )

    def snapshot(self) -> LiveState:
        """Return what is live. The same object again while nothing has changed."""
        if self._snapshot is None:
            self._snapshot = self._take()
        return self._snapshot

    def get(self, key: ResourceKey) -> Resource | None:
        """Return one object as it is known now. It costs less than a snapshot where many change."""
        return self._kept(key).get(key)

    def absorb(self, body: Body) -> None:
        """Take in an object that we have just written; an older version than the known one is ignored.

        So is an object of a kind that is not followed, a Namespace say: nothing would tell when it goes.
        """
        resource = resource_from_body(slim(body))
        key, version = resource.key, resource.resource_version
        if (key.group, key.kind) not in _FOLLOWED:
            return
        known = self._kept(key).get(key)
        if known is not None and not _is_newer(version, known.resource_version):
            return
        self._absorbed[key] = version
        self._store(key, resource, body)

    def drop(self, key: ResourceKey) -> None:
        """Forget an object that we have just deleted."""
        self._absorbed.pop(key, None)
        self._remove(key)

    def _on_event(self, type_: EventType, key: ResourceKey, body: Body | None) -> None:
        try:
            self._take_in(type_, key, body)
        except Exception:  # an object that nobody foresaw must not end the watch of all the others
            _log.exception("object not taken in", object=str(key))

    def _take_in(self, type_: EventType, key: ResourceKey, body: Body | None) -> None:
        if self._overtaken(key, body):
            return
        if type_ == "DELETED" or body is None:
            changed = self._remove(key)
        elif key.kind == SERVICE.kind:
            changed = self._add_service(key, body)
        else:
            changed = self._update(key, body)
        if changed:
            self._on_change(key)

    def _overtaken(self, key: ResourceKey, body: Body | None) -> bool:
        """Say whether an own write is newer than this event. The events alone are in order already."""
        absorbed = self._absorbed.get(key)
        if absorbed is None:
            return False
        if body is None:
            return True  # missing in a listing: `_after_listing` knows how old the listing is
        version = str((body.get("metadata") or {}).get("resourceVersion") or "")
        if version != absorbed and _is_newer(absorbed, version) and _both_numeric(absorbed, version):
            return True
        del self._absorbed[key]
        return False

    def _update(self, key: ResourceKey, body: Body) -> bool:
        resource = resource_from_body(slim(body))
        known = self._kept(key).get(key)
        if (
            known is not None
            and resource.resource_version
            and (known.resource_version == resource.resource_version)
        ):
            return False
        self._store(key, resource, body)
        return True

    def _after_listing(self, kind: Kind) -> Callable[[frozenset[ResourceKey], str], None]:
        def listed(keys: frozenset[ResourceKey], version: str) -> None:
            """Let go of own writes that somebody deleted while the watch was away."""
            for key, absorbed in tuple(self._absorbed.items()):
                ours = (key.group, key.kind) == (kind.group, kind.kind)
                if ours and key not in keys and not _is_newer(absorbed, version):
                    self.drop(key)
                    self._on_change(key)

        return listed

    def _kept(self, key: ResourceKey) -> Kept[Resource]:
        if key.kind == TRAFFIC_SOURCE.kind:
            return self._sources
        return self._rollouts if key.kind == TRAFFIC_ROLLOUT.kind else self._traffic

    def _store(self, key: ResourceKey, resource: Resource, body: Body) -> None:
        kept = self._kept(key)
        if kept is self._traffic:
            self._owners.move(key, kept.get(key), resource)
        kept.put(key, resource)
        asks = not _ASKING.isdisjoint(resource.annotations)
        if asks != (key in self._asked):
            self._asked ^= {key}
        self._managers.put(key, field_managers(body))
        self._touch()

    def _add_service(self, key: ResourceKey, body: Body) -> bool:
        service = read_service(
            key.namespace, key.name, mapping(body.get("spec")), mapping(body.get("metadata"))
        )
        if self._services.get(key) == service:
            return False
        self._services[key] = service
        self._by_host = None
        self._touch()
        return True

    def _remove(self, key: ResourceKey) -> bool:
        kept = self._kept(key)
        gone = kept.take(key)
        if kept is self._traffic:
            self._owners.move(key, gone, None)
        if key in self._asked:
            self._asked -= {key}
        known = gone is not None
        if self._services.pop(key, None) is not None:
            known, self._by_host = True, None
        self._managers.take(key)
        if known:
            self._touch()
        return known

    def _touch(self) -> None:
        self._version += 1
        self._snapshot = None

    def _take(self) -> LiveState:
        if self._by_host is None:
            hosts = {service_host(key.name, key.namespace): found for key, found in self._services.items()}
            self._by_host = MappingProxyType(hosts)
        return LiveState(
            resources=self._traffic.as_it_is(),
            services=self._by_host,
            sources=self._sources.as_it_is(),
            rollouts=self._rollouts.as_it_is(),
            managers=self._managers.as_it_is(),
            version=self._version,
            owners=self._owners.as_they_are(),
            asked=self._asked,
            namespace=self._only,
        )


def _both_numeric(a: str, b: str) -> bool:
    return a.isdigit() and b.isdigit()


def _is_newer(version: str, known: str) -> bool:
    """Compare resource versions; those that are no numbers cannot be compared, and count as newer.

    Source: kubernetes.io, API concepts, "Resource versions": comparable as integers since 1.35, and before
    in every release.
    """
    return int(version) > int(known) if _both_numeric(version, known) else True
