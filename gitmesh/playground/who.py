"""Whom a request is sent as: the names that people write, and the proxy that they mean.

Stage: playground (pure).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gitmesh.istio.hosts import covers
from gitmesh.istio.matching.reading import integer, items
from gitmesh.istio.matching.request import DEFAULT_PORTS, Caller, Request
from gitmesh.model.kinds import GATEWAY, SERVICE
from gitmesh.model.resource import ResourceSet
from gitmesh.model.spelling import closest
from gitmesh.playground.errors import PlaygroundError
from gitmesh.playground.translate.doors import Doors
from gitmesh.playground.translate.gateways import BUILT_IN, BUILT_IN_PORTS, routers
from gitmesh.playground.translate.proxies import CLIENT, Proxy, read_proxies
from gitmesh.playground.translate.services import includes
from gitmesh.playground.translate.translation import ProxyEntry, Translation

_NAMED_MAX = 12


@dataclass(frozen=True, slots=True)
class Who:
    """One proxy, as GitMesh's own matching and as Envoy's probes know it.

    `routes` is its route configuration; empty where Envoy has none for the request.
    """

    caller: Caller
    routes: str


def sidecar_named(
    name: str, namespace: str, translation: Translation, resources: ResourceSet, doors: Doors
) -> Who:
    """Return the workload that is meant: a Pod, or all Pods with this label `app` where they see the same.

    `namespace` is empty where it was not given. Raises PlaygroundError.
    """
    entries = {entry.name: entry for entry in translation.proxies}
    proxies = [proxy for proxy in read_proxies(resources, doors) if proxy.name in entries]
    found = [p for p in proxies if _is_called(p, name) and not p.router and namespace in ("", p.namespace)]
    if not found:
        raise PlaygroundError(_unknown(name, namespace, [p for p in proxies if not p.router]))
    if len({entries[proxy.name].routes for proxy in found}) > 1:
        raise PlaygroundError(
            f"{name} are several workloads, which do not see the same: name one of {_listed(found)}"
        )
    return _sidecar(found[0], entries[found[0].name])


def gateway_named(name: str, request: Request, translation: Translation, resources: ResourceSet) -> Who:
    """Return the gateway that is meant, by the name of its Pod or of a Gateway. Raises PlaygroundError."""
    entries = {entry.name: entry for entry in translation.proxies if not entry.outbound}
    found = [proxy for proxy in routers(read_proxies(resources, Doors())) if proxy.name in entries]
    chosen = next((proxy for proxy in found if _is_called(proxy, name)), None)
    chosen = chosen or _serving(name, found, resources)
    if chosen is None:
        objects = [f"{key.namespace}/{key.name}" for key in resources if key.kind == GATEWAY.kind]
        known = ", ".join([*(proxy.name for proxy in found), *sorted(objects)][:_NAMED_MAX])
        raise PlaygroundError(f"there is no gateway {name} that any Pod serves; there are {known}")
    caller = Caller(
        chosen.namespace,
        chosen.labels,
        is_gateway=True,
        name=chosen.name,
        ports=_ports_of(chosen, resources),
    )
    return Who(caller, _routes_at(entries[chosen.name], request))


def _sidecar(proxy: Proxy, entry: ProxyEntry) -> Who:
    return Who(Caller(proxy.namespace, proxy.labels, name=proxy.name), entry.routes)


def _is_called(proxy: Proxy, name: str) -> bool:
    return name in (proxy.name, proxy.workload, proxy.labels.get("app"))


def _serving(name: str, found: Iterable[Proxy], resources: ResourceSet) -> Proxy | None:
    """Return the workload that serves a Gateway object called `name` or `namespace/name`."""
    namespace, _, short = name.rpartition("/")
    for key in sorted(resources):
        if (key.group, key.kind) != (GATEWAY.group, GATEWAY.kind) or key.name != short:
            continue
        if namespace in ("", key.namespace):
            selector = resources[key].spec.get("selector")
            wanted = {str(k): str(v) for k, v in selector.items()} if isinstance(selector, Mapping) else {}
            return next((proxy for proxy in found if includes(proxy.labels, wanted)), None)
    return None


def _ports_of(gateway: Proxy, resources: ResourceSet) -> dict[int, int]:
    """Return where a gateway's Pod takes what is sent to a port of its Service."""
    if gateway is BUILT_IN:
        return dict(BUILT_IN_PORTS)
    ports: dict[int, int] = {}
    for key, service in sorted(resources.items()):
        selector = service.spec.get("selector") if key.kind == SERVICE.kind and not key.group else None
        if not isinstance(selector, Mapping) or key.namespace != gateway.namespace:
            continue
        if selector and includes(gateway.labels, {str(k): str(v) for k, v in selector.items()}):
            for port in items(service.spec.get("ports")):
                number = integer(port.get("port"))
                ports.setdefault(number, integer(port.get("targetPort")) or number)
    return ports


def _routes_at(entry: ProxyEntry, request: Request) -> str:
    """Return the route configuration of a gateway that answers: at this port, and for this name in TLS."""
    served = entry.servers.get(request.port or DEFAULT_PORTS[request.scheme])
    if served is None or served.has_tls != (request.scheme == "https"):
        return ""
    fitting = [name for name in served.routes if name == "*" or covers(name, request.host)]
    best = max(fitting, key=lambda name: (not name.startswith("*"), len(name)), default="")
    return served.routes.get(best, "")


def _unknown(name: str, namespace: str, proxies: list[Proxy]) -> str:
    places = f" in namespace {namespace}" if namespace else ""
    near = closest(name, [proxy.workload for proxy in proxies])
    meant = f"; did you mean {near}?" if near else ""
    known = f"there are {_listed(proxies)}"
    return f"no Pod is called {name}{places}, and none has the label app={name}{meant or ';'} {known}"


def _listed(proxies: Iterable[Proxy]) -> str:
    names = [proxy.name for proxy in proxies if proxy.name != CLIENT]
    more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    return ", ".join([CLIENT, *names[:_NAMED_MAX]]) + more
