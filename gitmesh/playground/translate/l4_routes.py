"""TCP and TLS rules: filter chains that hand a connection on, whole or by weight, by port or by SNI.

Stage: playground translation (pure). Source: istio.io, Virtual Service, TCPRoute and TLSRoute;
istio/istio pilot/pkg/networking/core, tls.go, networkfilter.go and gateway.go.

Inside the mesh a listener stands for one port of one Service, so that the destination of a connection is
known while the chains are built.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from gitmesh.istio.hosts import covers
from gitmesh.playground.translate.fields import Field, render_path
from gitmesh.playground.translate.handled import L4_MATCH, unhandled
from gitmesh.playground.translate.matches import gateway_name
from gitmesh.playground.translate.naming import Envoy, cluster_name, route_metadata, typed
from gitmesh.playground.translate.route_context import MESH, RouteContext, destination_host
from gitmesh.playground.translate.routes import VirtualService
from gitmesh.playground.translate.services import Service

_TCP_PROXY = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_WITHOUT_EFFECT = frozenset({"sourceSubnet"})  # pilot reads it no more


def tcp_chains(service: Service, sources: Iterable[VirtualService], context: RouteContext) -> list[Envoy]:
    """Return the one chain of a plain TCP port: the first rule that holds, else the Service itself."""
    for source in _about(service, sources):
        for rule in source.spec["tcp"].items():
            matches = list(rule["match"].items())
            chosen = next((match for match in matches if _holds(match, context, service)), None)
            if chosen is not None or not matches:
                chain = _chain(rule, chosen or rule, source, context)
                if chain:
                    return [chain]
    return [default_chain(service, context)]


def tls_chains(service: Service, sources: Iterable[VirtualService], context: RouteContext) -> list[Envoy]:
    """Return the chains of a port with TLS that is not ended here: one a match, else that of the Service."""
    chosen = _about(service, sources)
    return list(_sni_chains(chosen, context, service)) or [default_chain(service, context)]


def gateway_tcp_chains(sources: Iterable[VirtualService], context: RouteContext) -> list[Envoy]:
    """Return the one chain of a gateway's TCP server; none where no rule of these VirtualServices holds."""
    for source in sources:
        for rule in source.spec["tcp"].items():
            matches = list(rule["match"].items())
            chosen = next((match for match in matches if _holds(match, context, None)), None)
            chain = _chain(rule, chosen or rule, source, context) if chosen or not matches else None
            if chain:
                return [chain]
    return []


def gateway_tls_chains(sources: Iterable[VirtualService], context: RouteContext) -> list[Envoy]:
    """Return the chains of a gateway's server that passes TLS through, by SNI."""
    return list(_sni_chains(sources, context, None))


def default_chain(service: Service, context: RouteContext) -> Envoy:
    """Return the chain of a port that no rule is about."""
    port = service.ports[0].number if len(service.ports) == 1 else context.port
    rule = context.rule_for(service)
    name = cluster_name(service.host, port, variant=rule.variant if rule else "")
    proxy = {"stat_prefix": name, "cluster": name, **_limits(service, "", context)}
    return {"name": "default", "filters": [_tcp_proxy(proxy)]}


def _about(service: Service, sources: Iterable[VirtualService]) -> list[VirtualService]:
    return [
        source
        for source in sources
        if MESH in source.gateways and any(_overlap(host, service.host) for host in source.hosts)
    ]


def _overlap(left: str, right: str) -> bool:
    return covers(left, right) or covers(right, left)


def _sni_chains(
    sources: Iterable[VirtualService], context: RouteContext, service: Service | None
) -> Iterator[Envoy]:
    taken: set[str] = set()
    for source in sources:
        for rule in source.spec["tls"].items():
            for match in rule["match"].items():
                if not _holds(match, context, service):
                    continue
                names = _server_names(match, taken)
                chain = _chain(rule, match, source, context) if names else None
                if chain:
                    taken.update(names)
                    yield (
                        chain
                        if names == ["*"]
                        else {
                            **chain,
                            "filter_chain_match": {"server_names": names},
                        }
                    )


def _server_names(match: Field, taken: set[str]) -> list[str]:
    """Return the names that this match is the first to ask for: Envoy refuses a name in two chains."""
    names = []
    for field in match["sniHosts"].items():
        name = field.text().lower()
        if name in taken:
            field.report("has no effect: an earlier match has this name too")
        elif "*" in name and name != "*" and not name.startswith("*."):
            field.report("is not translated: Envoy knows only wildcards such as *.example.com")
        elif name and name not in names:
            names.append(name)
    return ["*"] if "*" in names else names


def _holds(match: Field, context: RouteContext, service: Service | None) -> bool:
    """Say whether a match holds at this gateway and port, for this client. See `holds_here` for HTTP."""
    gateways = match["gateways"]
    names = [gateway_name(name, gateways.key.namespace) for name in gateways.texts()]
    if names and context.gateway not in names:
        return False
    if match["port"].integer() not in (0, context.port):
        return False
    if not _is_understood(match):
        return False
    if service is None:  # a gateway looks at nothing else
        return True
    return context.is_from(match["sourceLabels"], match["sourceNamespace"].text()) and _is_addressed(
        match["destinationSubnets"], service
    )


def _is_understood(match: Field) -> bool:
    unknown = list(unhandled(match, L4_MATCH))
    for field in unknown:
        if field.path[-1] in _WITHOUT_EFFECT:
            field.report("has no effect, as in Istio")
        else:
            field.report("the playground cannot evaluate this condition, so the whole match is left out")
    return all(field.path[-1] in _WITHOUT_EFFECT for field in unknown)


def _is_addressed(subnets: Field, service: Service) -> bool:
    """Say whether the Service has an address in one of the subnets; no subnets: any address."""
    fields = list(subnets.items())
    if not fields:
        return True
    if not service.addresses:
        subnets.report(f"{service.host} has no address, so this match takes no connection to it")
        return False
    addresses = [ipaddress.ip_address(address) for address in service.addresses]
    for field in fields:
        try:
            network = ipaddress.ip_network(field.text(), strict=False)
        except ValueError:
            field.report("is not an address or a subnet such as 10.0.0.0/8")
            continue
        if any(address in network for address in addresses if address.version == network.version):
            return True
    return False


def _chain(rule: Field, place: Field, source: VirtualService, context: RouteContext) -> Envoy | None:
    proxy = _proxied(rule, source, context)
    if proxy is None:
        return None
    key, name = source.spec.key, render_path(place.path)
    return {
        "name": f"{key.namespace}/{key.name} {name}",
        "filters": [_tcp_proxy(proxy)],
        "metadata": route_metadata(key, name),
    }


def _proxied(rule: Field, source: VirtualService, context: RouteContext) -> Envoy | None:
    entries = list(rule["route"].items())
    weighted = [entry for entry in entries if entry["weight"].integer() > 0]
    if len(entries) == 1:
        cluster = context.cluster_of(entries[0]["destination"], of_requests=False)
        target: Envoy = {"stat_prefix": cluster, "cluster": cluster}
        subset = entries[0]["destination"]["subset"].text()
    elif weighted:
        clusters = [
            {
                "name": context.cluster_of(entry["destination"], of_requests=False),
                "weight": entry["weight"].integer(),
            }
            for entry in weighted
        ]
        key = source.spec.key
        target = {"stat_prefix": f"{key.name}.{key.namespace}", "weighted_clusters": {"clusters": clusters}}
        subset = ""
    else:
        rule.report("no destination has a weight, so the rule is left out")
        return None
    # Of several destinations the first decides, as in Istio.
    service = context.services.get(destination_host(entries[0]["destination"]))
    return target | (_limits(service, subset, context) if service else {})


def _limits(service: Service, subset: str, context: RouteContext) -> Envoy:
    """Return what the DestinationRule of the Service says of whole connections."""
    destination = context.rule_for(service)
    limits: Envoy = {}
    if destination is None or destination.policy is None:
        return limits
    tcp = destination.policy["connectionPool"]["tcp"]
    for field, name in (
        ("idleTimeout", "idle_timeout"),
        ("maxConnectionDuration", "max_downstream_connection_duration"),
    ):
        duration = tcp[field].duration()
        if duration:
            limits[name] = duration
    balancers = [destination.policy["loadBalancer"]]
    balancers += [s.policy["loadBalancer"] for s in destination.subsets if s.name == subset]
    balancer = next((found for found in reversed(balancers) if found.present), None)
    if balancer is not None and balancer["consistentHash"]["useSourceIp"].boolean():
        limits["hash_policy"] = [{"source_ip": {}}]
    return limits


def _tcp_proxy(proxy: Envoy) -> Envoy:
    return typed("envoy.filters.network.tcp_proxy", _TCP_PROXY, **proxy)
