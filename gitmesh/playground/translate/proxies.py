"""The proxies of the playground: one for each Pod, and the built-in client.

Stage: playground translation (pure). One Envoy is all of them; each sidecar has a listener of its own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gitmesh.model.kinds import POD
from gitmesh.model.resource import Resource, ResourceSet
from gitmesh.playground.translate.doors import Address, Doors

CLIENT = "client"  # the built-in client: namespace default, no labels
ROUTER_CONTAINER = "istio-proxy"  # by this name of its only container a Pod says that it is a gateway


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy. A router (a gateway) has no outbound listener."""

    name: str  # `productpage-v1.default`, or `client`
    namespace: str
    labels: Mapping[str, str]
    address: str
    router: bool
    outbound: Address | None

    @property
    def workload(self) -> str:
        """The name by which telemetry knows it."""
        return self.name.removesuffix(f".{self.namespace}")


def read_proxies(
    resources: ResourceSet, doors: Doors, *, client_namespace: str = "default"
) -> tuple[Proxy, ...]:
    """Return the built-in client, and one proxy for each Pod that has an address on loopback."""
    client = Proxy(CLIENT, client_namespace, {}, doors.client.host, router=False, outbound=doors.client)
    return (client, *_of_pods(resources, doors))


def _of_pods(resources: ResourceSet, doors: Doors) -> Iterator[Proxy]:
    taken = {str(doors.client)}
    for key in sorted(resources):
        if (key.group, key.kind) != (POD.group, POD.kind):
            continue
        pod = resources[key]
        address = _loopback_address(pod)
        outbound = Address(address, doors.outbound_port)
        # Two listeners on one address would make Envoy refuse both.
        if not address or str(outbound) in taken:
            continue
        taken.add(str(outbound))
        router = is_router(pod)
        labels = {str(name): str(value) for name, value in pod.labels.items()}
        name = f"{key.name}.{key.namespace}"
        yield Proxy(name, key.namespace, labels, address, router, None if router else outbound)


def is_router(pod: Resource) -> bool:
    """Say whether a Pod is a gateway: the proxy itself is all that runs in it."""
    containers = pod.spec.get("containers")
    names = (
        [c.get("name") for c in containers if isinstance(c, Mapping)] if isinstance(containers, list) else []
    )
    return names == [ROUTER_CONTAINER]


def _loopback_address(pod: Resource) -> str:
    """Return the Pod's address; nothing for one on a network, where the playground must not listen."""
    status = pod.body.get("status")
    text = status.get("podIP") if isinstance(status, Mapping) else None
    if not isinstance(text, str) or pod.metadata.get("deletionTimestamp"):
        return ""
    try:
        return text if ipaddress.ip_address(text).is_loopback else ""
    except ValueError:
        return ""
