"""The kinds that GitMesh reads and writes, with what an API server calls them.

Stage: none (pure). Source: the CRDs of Istio 1.30 and manifests/install/crds.yaml.
"""

from __future__ import annotations

from dataclasses import dataclass

from gitmesh.model.resource import ResourceKey

NETWORKING = "networking.istio.io"
GITMESH = "gitmesh.dev"
GITMESH_V1ALPHA1 = f"{GITMESH}/v1alpha1"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind as an API server serves it. `version` is the one that we speak on the wire."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`group/version`, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def key(self, namespace: str, name: str) -> ResourceKey:
        """Return the key of an object of this kind."""
        return ResourceKey(self.group, self.kind, namespace if self.namespaced else "", name)


VIRTUAL_SERVICE = Kind(NETWORKING, "v1", "VirtualService", "virtualservices")
DESTINATION_RULE = Kind(NETWORKING, "v1", "DestinationRule", "destinationrules")
GATEWAY = Kind(NETWORKING, "v1", "Gateway", "gateways")
SERVICE_ENTRY = Kind(NETWORKING, "v1", "ServiceEntry", "serviceentries")
SIDECAR = Kind(NETWORKING, "v1", "Sidecar", "sidecars")
WORKLOAD_ENTRY = Kind(NETWORKING, "v1", "WorkloadEntry", "workloadentries")
ENVOY_FILTER = Kind(NETWORKING, "v1alpha3", "EnvoyFilter", "envoyfilters")
WORKLOAD_GROUP = Kind(NETWORKING, "v1", "WorkloadGroup", "workloadgroups")
PROXY_CONFIG = Kind(NETWORKING, "v1beta1", "ProxyConfig", "proxyconfigs")

TRAFFIC_SOURCE = Kind(GITMESH, "v1alpha1", "TrafficSource", "trafficsources")
TRAFFIC_ROLLOUT = Kind(GITMESH, "v1alpha1", "TrafficRollout", "trafficrollouts")

NAMESPACE = Kind("", "v1", "Namespace", "namespaces", namespaced=False)
SERVICE = Kind("", "v1", "Service", "services")
POD = Kind("", "v1", "Pod", "pods")
SECRET = Kind("", "v1", "Secret", "secrets")
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps")
EVENT = Kind("", "v1", "Event", "events")
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases")
CUSTOM_RESOURCE_DEFINITION = Kind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)

# The kinds that Git may change. Order is the order of application: what a route names comes before the route.
# Source: istio.io, Traffic Management Best Practices, "Avoid 503 errors while reconfiguring service routes".
TRAFFIC_KINDS = (WORKLOAD_ENTRY, SERVICE_ENTRY, DESTINATION_RULE, GATEWAY, SIDECAR, VIRTUAL_SERVICE)
TRAFFIC_VERSIONS = ("v1", "v1beta1", "v1alpha3")
# Istio's networking kinds that GitMesh leaves alone, wherever it meets them.
OTHER_NETWORKING_KINDS = (ENVOY_FILTER, WORKLOAD_GROUP, PROXY_CONFIG)

_OTHERS = (
    *(TRAFFIC_SOURCE, TRAFFIC_ROLLOUT, NAMESPACE, SERVICE, POD, SECRET, CONFIG_MAP, EVENT, LEASE),
    CUSTOM_RESOURCE_DEFINITION,
)
BY_GROUP_KIND = {(k.group, k.kind): k for k in (*TRAFFIC_KINDS, *OTHER_NETWORKING_KINDS, *_OTHERS)}


def kind_of(key: ResourceKey) -> Kind:
    """Return the kind of a key. Raises KeyError for a kind that GitMesh does not handle."""
    return BY_GROUP_KIND[key.group, key.kind]
