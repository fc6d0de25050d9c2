"""The routes of one VirtualService, at one gateway (or inside the mesh) and one port.

Stage: playground translation (pure). Source: istio/istio pilot/pkg/networking/core/route,
BuildHTTPRoutesForVirtualService.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from gitmesh.istio.hosts import fully_qualified
from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.playground.translate.actions import action_of, forward_to
from gitmesh.playground.translate.delegates import merged_rules, report_unused
from gitmesh.playground.translate.destinations import age
from gitmesh.playground.translate.fields import Field, Reports, render_path, spec_of
from gitmesh.playground.translate.hash_policies import hash_for_destination, hash_policy
from gitmesh.playground.translate.matches import gateway_name, holds_here, is_catch_all, route_match
from gitmesh.playground.translate.memo import Memo
from gitmesh.playground.translate.naming import Envoy, cluster_name, route_metadata
from gitmesh.playground.translate.route_context import MESH, Known, RouteContext
from gitmesh.playground.translate.services import Service

__all__ = [
    "MESH",
    "RouteContext",
    "VirtualService",
    "default_route",
    "kept_routes",
    "read_virtual_services",
    "routes_of",
]


@dataclass(frozen=True, slots=True)
class VirtualService:
    """One VirtualService: its hosts and gateways resolved, its HTTP rules with those of its delegates."""

    spec: Field
    hosts: tuple[str, ...]
    gateways: frozenset[str]
    rules: tuple[Field, ...] = ()
    export_to: tuple[str, ...] = ()
    asked_labels: frozenset[str] = frozenset()  # the labels of clients that its matches ask for

    @property
    def namespace(self) -> str:
        """Where it lives."""
        return self.spec.key.namespace


def read_virtual_services(
    resources: ResourceSet, reports: Reports, memo: Memo | None = None
) -> tuple[VirtualService, ...]:
    """Return every VirtualService with hosts, oldest first: for one host inside the mesh, the oldest wins."""
    group_kind = (VIRTUAL_SERVICE.group, VIRTUAL_SERVICE.kind)
    chosen = (r for k, r in resources.items() if (k.group, k.kind) == group_kind)
    ordered = sorted(chosen, key=age)
    memo = memo or Memo(reports)
    specs = [
        memo.keep(
            ("VirtualService and whether it is a root", item.key), (item,), partial(_root, item, reports)
        )
        for item in ordered
    ]
    delegates = {spec.key: spec for spec, is_root in specs if not is_root}
    roots = [spec for spec, is_root in specs if is_root]
    if delegates:
        report_unused(delegates, roots)
    parts = tuple(resources[key] for key in delegates)
    return tuple(
        memo.keep(
            ("VirtualService", spec.key), (resources[spec.key], *parts), partial(_read, spec, delegates)
        )
        for spec in roots
    )


def _root(resource: Resource, reports: Reports) -> tuple[Field, bool]:
    spec = spec_of(resource, reports)
    return spec, bool(spec["hosts"].texts())


def _read(spec: Field, delegates: Mapping[ResourceKey, Field]) -> VirtualService:
    namespace = spec.key.namespace
    hosts = tuple(fully_qualified(host, namespace).lower() for host in spec["hosts"].texts() if host)
    gateways = frozenset(gateway_name(name, namespace) for name in spec["gateways"].texts())
    rules = merged_rules(spec, delegates)
    return VirtualService(
        spec,
        hosts,
        gateways or frozenset({MESH}),
        rules,
        tuple(spec["exportTo"].texts()),
        frozenset(_asked_labels(spec, rules)),
    )


def _asked_labels(spec: Field, rules: tuple[Field, ...]) -> Iterator[str]:
    for rule in (*rules, *spec["tcp"].items(), *spec["tls"].items()):
        for match in rule["match"].items():
            yield from (name for name, _ in match["sourceLabels"].entries())


def routes_of(source: VirtualService, context: RouteContext) -> list[Envoy]:
    """Return the routes in order, up to the first that takes everything."""
    routes = []
    for rule in source.rules:
        action = action_of(rule, context)
        if action is None:
            continue
        matches: list[Field | None] = [*rule["match"].items()]
        for match in matches or [None]:
            if match is not None and not holds_here(match, context):
                continue
            route = {**_identity(source, rule, match), "match": route_match(match), **action}
            if match is not None and match["statPrefix"].text():
                route["stat_prefix"] = match["statPrefix"].text()
            routes.append(route)
            if is_catch_all(route["match"]):
                return routes
    return routes


def kept_routes(
    source: VirtualService, context: RouteContext, memo: Memo, name: Hashable, world: Sequence[object]
) -> list[Envoy]:
    """Return the routes, made anew only where something changed that they depend on.

    `name` tells everything of the context but its services and rules; these come from `world`.
    """

    def make() -> tuple[list[Envoy], dict[str, Known]]:
        heard: dict[str, Known] = {}
        return routes_of(source, replace(context, heard=heard)), heard

    return memo.follow(name, (source, context.default_retries), world, make, context.still)


def default_route(service: Service, context: RouteContext) -> Envoy:
    """Return the route of a service that no VirtualService is about."""
    rule = context.rule_for(service)
    cluster = cluster_name(service.host, context.port, variant=rule.variant if rule else "")
    chosen = hash_for_destination(rule, "", context.port) if rule else None
    action = forward_to(cluster, context.default_retries, hash_policy(chosen))
    return {"name": "default", "match": {"prefix": "/"}, "route": action}


def _identity(source: VirtualService, rule: Field, match: Field | None) -> Envoy:
    name, part = rule["name"].text(), match["name"].text() if match else ""
    place = match or rule
    metadata = route_metadata(place.key, render_path(place.path))
    if place.key != source.spec.key:
        # Istio names the root, which is bound to the host; who asks wants to see where the rule is written.
        metadata["filter_metadata"]["istio"] = route_metadata(source.spec.key, "")["filter_metadata"]["istio"]
    return {"name": f"{name}.{part}" if part else name, "metadata": metadata}  # also after no name, as pilot
