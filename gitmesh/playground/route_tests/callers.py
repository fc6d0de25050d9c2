"""Pods for the senders of route tests, so that each has a proxy, and the proxy's routes for a request.

Stage: playground (pure).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gitmesh.istio.hosts import covers
from gitmesh.istio.matching.request import DEFAULT_PORTS, Caller, Request
from gitmesh.model.kinds import POD
from gitmesh.model.resource import Resource, resource_from_body
from gitmesh.playground.addresses import pod_address
from gitmesh.playground.translate.proxies import ROUTER_CONTAINER
from gitmesh.playground.translate.translation import ProxyEntry, Translation

Identity = tuple[bool, str, frozenset[tuple[str, str]]]


def identity_of(caller: Caller) -> Identity:
    """Return what makes two senders the same one."""
    return caller.is_gateway, caller.namespace, frozenset(caller.labels.items())


@dataclass(frozen=True, slots=True)
class Cast:
    """Every sender as a Pod. `names` are those of their proxies."""

    pods: tuple[Resource, ...]
    names: Mapping[Identity, str]


def cast_of(callers: Iterable[Caller]) -> Cast:
    """Return a Pod for each sender."""
    names: dict[Identity, str] = {}
    pods: list[Resource] = []
    taken: list[str] = []
    for caller in callers:
        identity = identity_of(caller)
        if identity in names:
            continue
        name = f"sender-{len(names)}"
        names[identity] = f"{name}.{caller.namespace}"
        address = pod_address("route tests", POD.key(caller.namespace, name), taken)
        taken.append(address)
        pods.append(_pod(name, caller, address))
    return Cast(tuple(pods), names)


def _pod(name: str, caller: Caller, address: str) -> Resource:
    container = ROUTER_CONTAINER if caller.is_gateway else "sender"
    return resource_from_body(
        {
            "apiVersion": POD.api_version,
            "kind": POD.kind,
            "metadata": {"name": name, "namespace": caller.namespace, "labels": dict(caller.labels)},
            "spec": {"containers": [{"name": container}]},
            "status": {"podIP": address},
        }
    )


class Routes:
    """Finds the route configuration that a request of a sender meets."""

    def __init__(self, translation: Translation, cast: Cast) -> None:
        self._entries: dict[str, ProxyEntry] = {entry.name: entry for entry in translation.proxies}
        self._cast = cast

    def of(self, caller: Caller, request: Request) -> tuple[str, str]:
        """Return its name, or an empty one and why there is none."""
        entry = self._entries.get(self._cast.names[identity_of(caller)])
        if entry is None:
            return "", "there is no such proxy"
        return _at_gateway(entry, request) if caller.is_gateway else (entry.routes, "")


def _at_gateway(entry: ProxyEntry, request: Request) -> tuple[str, str]:
    port = request.port or DEFAULT_PORTS[request.scheme]
    served = entry.servers.get(port)
    if served is None or not served.routes:
        return "", f"no Gateway of this workload takes requests at port {port}"
    fitting = [name for name in served.routes if name == "*" or covers(name, request.host)]
    if not fitting:
        return "", f"no server at port {port} has a certificate for {request.host}"
    return served.routes[max(fitting, key=lambda name: (not name.startswith("*"), len(name)))], ""
