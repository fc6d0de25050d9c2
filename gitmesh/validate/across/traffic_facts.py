"""The facts of traffic objects.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gitmesh.istio.hosts import fully_qualified
from gitmesh.model.kinds import DESTINATION_RULE, GATEWAY, SERVICE_ENTRY, SIDECAR, VIRTUAL_SERVICE
from gitmesh.model.resource import Resource, content_hash
from gitmesh.validate.across.facts import (
    EVERYONE,
    EntryFact,
    EntryPort,
    Fact,
    GatewayFact,
    RoutesFact,
    RuleFact,
    Scope,
    ServerFact,
    SidecarFact,
    VersionedFact,
    WorkloadFact,
)
from gitmesh.validate.across.lenient import labels, mapping, mappings, number, text, texts
from gitmesh.validate.virtual_services import MESH

EVERY_REQUEST = "*"
_CATCH_ALL = ({"prefix": "/"}, {"regex": ".*"})


def scope_of(export_to: tuple[str, ...], namespace: str) -> Scope:
    """Return which namespaces see an object with this exportTo; `~` is nobody."""
    return frozenset(namespace if entry == "." else entry for entry in export_to if entry != "~") or (
        frozenset() if export_to else frozenset((EVERYONE,))
    )


def gateway_key(name: str, namespace: str) -> tuple[str, str]:
    """Return namespace and name of a Gateway as a VirtualService names it."""
    if "/" in name:
        before, _, after = name.partition("/")
        return (namespace if before == "." else before, after)
    if "." in name:  # the old form: name.namespace.svc.cluster.local
        parts = name.split(".")
        return (parts[1], parts[0])
    return (namespace, name)


def rule_facts(resource: Resource) -> Iterator[Fact]:
    """Yield the facts of a DestinationRule."""
    spec, key = resource.spec, resource.key
    if not isinstance(spec.get("host"), str):
        return
    subsets = tuple(
        (part["name"], labels(part.get("labels")))
        for part in mappings(spec.get("subsets"))
        if isinstance(part.get("name"), str)
    )
    yield RuleFact(
        key,
        fully_qualified(spec["host"], key.namespace),
        subsets,
        scope_of(texts(spec.get("exportTo")), key.namespace),
        has_policy=bool(spec.get("trafficPolicy")),
        has_selector=bool(spec.get("workloadSelector")),
    )


def entry_facts(resource: Resource) -> Iterator[Fact]:
    """Yield the facts of a ServiceEntry."""
    spec, key = resource.spec, resource.key
    ports = tuple(
        EntryPort(
            number(port.get("number")),
            text(port.get("name")),
            text(port.get("protocol")).upper(),
            number(port.get("targetPort")),
        )
        for port in mappings(spec.get("ports"))
    )
    selector = spec.get("workloadSelector")
    yield EntryFact(
        key,
        tuple(fully_qualified(host, key.namespace) for host in texts(spec.get("hosts"))),
        ports,
        scope_of(texts(spec.get("exportTo")), key.namespace),
        external=spec.get("location") != "MESH_INTERNAL",
        resolution=text(spec.get("resolution")) or "NONE",
        selector=labels(mapping(selector).get("labels")) if isinstance(selector, Mapping) else None,
        endpoints=tuple(labels(part.get("labels")) for part in mappings(spec.get("endpoints"))),
    )


def gateway_facts(resource: Resource) -> Iterator[Fact]:
    """Yield the facts of a Gateway."""
    servers = tuple(
        ServerFact(
            number(mapping(server.get("port")).get("number")),
            text(server.get("bind")),
            texts(server.get("hosts")),
            tuple(certificates(mapping(server.get("tls")))),
        )
        for server in mappings(resource.spec.get("servers"))
    )
    yield GatewayFact(resource.key, labels(resource.spec.get("selector")), servers)


def certificates(tls: Mapping[str, Any]) -> Iterator[str]:
    """Yield what names the certificates of a server: Secrets, or `file:` and the path of one."""
    if name := text(tls.get("credentialName")):
        yield name
    yield from texts(tls.get("credentialNames"))
    if file := text(tls.get("serverCertificate")):
        yield f"file:{file}:{text(tls.get('privateKey'))}"


def routes_facts(resource: Resource) -> Iterator[Fact]:
    """Yield the facts of a VirtualService."""
    spec, namespace = resource.spec, resource.key.namespace
    names = texts(spec.get("gateways"))
    gateways = tuple(gateway_key(name, namespace) for name in names if name != MESH)
    in_mesh = not names or MESH in names
    yield RoutesFact(
        resource.key,
        tuple(fully_qualified(host, namespace) for host in texts(spec.get("hosts"))),
        in_mesh,
        gateways,
        scope_of(texts(spec.get("exportTo")), namespace),
        by_subset=frozenset(host for host, subset, _ in _targets(spec, namespace) if subset and in_mesh),
        requests=frozenset(_requests(spec)) if gateways else frozenset(),
        sent_to=frozenset((host, port) for host, _, port in _targets(spec, namespace)),
        rules=() if texts(spec.get("hosts")) else tuple(mappings(spec.get("http"))),
    )


def _targets(spec: Mapping[str, Any], namespace: str) -> Iterator[tuple[str, str, int]]:
    """Yield host, subset and port of each destination of an HTTP rule."""
    for rule in mappings(spec.get("http")):
        for part in mappings(rule.get("route")):
            to = mapping(part.get("destination"))
            if isinstance(to.get("host"), str):
                port = number(mapping(to.get("port")).get("number"))
                yield fully_qualified(to["host"], namespace), text(to.get("subset")), port


def _requests(spec: Mapping[str, Any]) -> Iterator[str]:
    for rule in mappings(spec.get("http")):
        matches = list(mappings(rule.get("match")))
        if not matches:
            yield EVERY_REQUEST
        for match in matches:
            yield requests_of(match)


def requests_of(match: Mapping[str, Any]) -> str:
    """Name the requests that meet a match: equal names for matches that differ in their own name only."""
    conditions = {name: value for name, value in match.items() if name not in ("name", "statPrefix")}
    if not conditions or (conditions.keys() == {"uri"} and conditions["uri"] in _CATCH_ALL):
        return EVERY_REQUEST
    return content_hash(conditions)


def sidecar_facts(resource: Resource) -> Iterator[Fact]:
    """Yield the facts of a Sidecar."""
    selector = mapping(resource.spec.get("workloadSelector"))
    yield SidecarFact(resource.key, labels(selector.get("labels")))


def workload_facts(resource: Resource) -> Iterator[Fact]:
    """Yield the facts of a WorkloadEntry."""
    yield WorkloadFact(resource.key.namespace, labels(resource.spec.get("labels")))


def patched(part: Mapping[str, Any]) -> str:
    """Return the name of the filter that a patch is about: its own, or that of its match."""
    if own := text(mapping(mapping(part.get("patch")).get("value")).get("name")):
        return own
    listener = mapping(mapping(part.get("match")).get("listener"))
    return text(mapping(mapping(listener.get("filterChain")).get("filter")).get("name"))


def has_version(part: Mapping[str, Any]) -> bool:
    """Say whether a patch is for proxies of one version only."""
    return bool(text(mapping(mapping(part.get("match")).get("proxy")).get("proxyVersion")))


def versioned_filters(resource: Resource) -> frozenset[str]:
    """Return the names of the filters that an EnvoyFilter patches for one version of proxies only."""
    parts = mappings(resource.spec.get("configPatches"))
    return frozenset(patched(part) for part in parts if has_version(part))


def filter_facts(resource: Resource) -> Iterator[Fact]:
    """Yield the facts of an EnvoyFilter, where they concern others."""
    if filters := versioned_filters(resource):
        yield VersionedFact(resource.key, filters)


TRAFFIC_FACTS: Mapping[str, Callable[[Resource], Iterator[Fact]]] = {
    DESTINATION_RULE.kind: rule_facts,
    SERVICE_ENTRY.kind: entry_facts,
    GATEWAY.kind: gateway_facts,
    VIRTUAL_SERVICE.kind: routes_facts,
    SIDECAR.kind: sidecar_facts,
    "WorkloadEntry": workload_facts,
    "EnvoyFilter": filter_facts,
}
