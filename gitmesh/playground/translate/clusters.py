"""Envoy clusters: one for each port of a service, and one for each subset of it.

Stage: playground translation (pure). Endpoints stand in the cluster itself (type STATIC): replacing a cluster
under load loses no request, and the listener, not the cluster, keeps the statistics that GitMesh reads.
Source: istio/istio pilot/pkg/networking/core, cluster.go and cluster_traffic_policy.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.playground.translate.credentials import Credentials
from gitmesh.playground.translate.load_balancing import balance, passes_through
from gitmesh.playground.translate.localities import Placed, spread
from gitmesh.playground.translate.naming import Envoy, cluster_name, typed
from gitmesh.playground.translate.outliers import detect_outliers
from gitmesh.playground.translate.passthrough import dns_cache
from gitmesh.playground.translate.policies import Client, Destination, Policy, Subset
from gitmesh.playground.translate.pools import pool
from gitmesh.playground.translate.services import Endpoint, Resolution, Service, ServicePort, includes
from gitmesh.playground.translate.tls_upstream import UpstreamTls

_UNIX = "unix://"
_FORWARD_PROXY = "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig"
_DNS = "envoy.extensions.clusters.dns.v3.DnsCluster"
# Source: pilot, buildCluster and DefaultDNSRefreshRate.
_LOOKED_UP = {"dns_lookup_family": "V4_ONLY", "dns_refresh_rate": "60s", "respect_dns_ttl": True}
_ONE_AT_A_TIME = {"all_addresses_in_single_endpoint": True}  # what LOGICAL_DNS was
_DNS_OPTIONS = {
    Resolution.DNS: _LOOKED_UP,
    Resolution.DNS_ROUND_ROBIN: {**_LOOKED_UP, **_ONE_AT_A_TIME},
}


def clusters_of(
    service: Service, destination: Destination, tls: UpstreamTls | None = None
) -> Iterator[Envoy]:
    """Yield the clusters of one service. `tls` also collects the secrets that they name."""
    tls = tls or UpstreamTls(Credentials({}))
    for port in service.ports:
        yield _cluster(service, port, None, destination, tls)
        for subset in destination.subsets:
            yield _cluster(service, port, subset, destination, tls)


def _cluster(
    service: Service, port: ServicePort, subset: Subset | None, destination: Destination, tls: UpstreamTls
) -> Envoy:
    policy = destination.policy_of(port.number, subset)
    name = cluster_name(service.host, port.number, subset.name if subset else "", destination.variant)
    identity = {"host": service.host, "service": service.name, "namespace": service.namespace}
    if subset:
        identity |= {"subset": subset.name, "version": subset.version}
    cluster: Envoy = {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name,
        "alt_stat_name": f"{name};",
        "metadata": {"filter_metadata": {"istio": identity}},
    }
    balance(cluster, policy)
    pool(cluster, policy, port.protocol)
    detect_outliers(cluster, policy)
    may_send = tls.apply(cluster, policy, destination, service.subject_alt_names)
    if _goes_where_asked(service, policy, destination.client):
        _ask_for_anything(cluster, policy)
    else:
        chosen = list(_chosen(service, subset, policy)) if may_send else []
        _assign(cluster, service, port, chosen, policy, destination.client)
    return cluster


def _goes_where_asked(service: Service, policy: Policy, client: Client | None) -> bool:
    """Say whether the address is the client's choice, and not that of the service's endpoints."""
    if service.resolution is Resolution.NONE:
        # A gateway is the address that its client asked for, and has nowhere to pass a request on to.
        return client is None or not client.router
    if service.resolution is Resolution.DYNAMIC_DNS:
        return True
    return passes_through(policy) and not service.is_kubernetes


def _ask_for_anything(cluster: Envoy, policy: Policy) -> None:
    if "loadBalancer" in policy and policy["loadBalancer"]["consistentHash"].present:
        policy["loadBalancer"]["consistentHash"].report("has no effect: the client chooses the address")
    for name in [name for name in cluster if name.endswith("_lb_config") and name != "common_lb_config"]:
        del cluster[name]
    cluster["lb_policy"] = "CLUSTER_PROVIDED"
    # A check of the other side's name may be left out where a DestinationRule says so.
    options = {"dns_cache_config": dns_cache(), "allow_insecure_cluster_options": True}
    cluster["cluster_type"] = typed("envoy.clusters.dynamic_forward_proxy", _FORWARD_PROXY, **options)


def _chosen(service: Service, subset: Subset | None, policy: Policy) -> Iterator[Endpoint]:
    # Who passes through has asked for the address of the Service, which knows nothing of subsets.
    everyone = subset is None or passes_through(policy)
    for endpoint in service.endpoints:
        if everyone or (subset is not None and includes(endpoint.labels, subset.labels)):
            yield endpoint


def _assign(
    cluster: Envoy,
    service: Service,
    port: ServicePort,
    endpoints: list[Endpoint],
    policy: Policy,
    client: Client | None,
) -> None:
    placed = [
        Placed(endpoint.locality, endpoint.labels, _endpoint(endpoint, number), endpoint.weight)
        for endpoint in endpoints
        if (number := endpoint.port(port))
    ]
    if service.resolution is Resolution.DNS_ROUND_ROBIN:
        placed = placed[:1]  # Envoy takes no more
    if service.resolution in _DNS_OPTIONS and placed:
        cluster["cluster_type"] = typed("envoy.clusters.dns", _DNS, **_DNS_OPTIONS[service.resolution])
    else:
        cluster["type"] = "STATIC"
    localities = spread(placed, policy, client or Client(service.namespace))
    cluster["load_assignment"] = {"cluster_name": cluster["name"], "endpoints": localities}


def _endpoint(endpoint: Endpoint, port: int) -> Envoy:
    about = {"workload": endpoint.workload, "version": endpoint.labels.get("version", "")}
    message: Envoy = {
        "endpoint": {"address": _address(endpoint.address, port)},
        "metadata": {"filter_metadata": {"istio": about}},
    }
    if endpoint.weight > 1:
        message["load_balancing_weight"] = endpoint.weight
    return message


def _address(address: str, port: int) -> Envoy:
    if address.startswith(_UNIX):
        return {"pipe": {"path": address.removeprefix(_UNIX)}}
    return {"socket_address": {"address": address, "port_value": port}}
