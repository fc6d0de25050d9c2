"""A mesh around a repository: its traffic objects, with the workloads that they are about.

Stage: playground (pure). Repositories of traffic configuration seldom hold Services and Pods. One with
neither gets those of a new playground; Services that are still lacking are made up from what the objects say,
so that every rule can be asked. What was made up is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gitmesh.istio.hosts import CLUSTER_DOMAIN, fully_qualified
from gitmesh.istio.matching.reading import integer, items, mapping, text, texts
from gitmesh.istio.routes import all_routes, referenced_destinations
from gitmesh.model.kinds import DESTINATION_RULE, POD, SERVICE, VIRTUAL_SERVICE
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet, resource_from_body
from gitmesh.playground.addresses import pod_address

CALLER = "caller"
_TEMPLATES = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"})
_READY = [{"type": "Ready", "status": "True"}]
_SERVICE_SUFFIX = f".svc.{CLUSTER_DOMAIN}"
_DEFAULT_PORT = 80


@dataclass(frozen=True, slots=True)
class Sketch:
    """Objects to translate. `assumed` are the hosts of Services that were made up, with their ports."""

    resources: ResourceSet
    assumed: Mapping[str, tuple[int, ...]]


def sketch(
    traffic: ResourceSet,
    others: ResourceSet,
    sample: Iterable[Mapping[str, Any]],
    *,
    asked: tuple[str, int] = ("", 0),
    caller: tuple[str, Mapping[str, str]] | None = None,
) -> Sketch:
    """Return a mesh for these objects.

    `asked` is host and port of a request, so that its Service has this port; `caller` namespace and labels
    of a workload that is to exist under the name `caller`.
    """
    found: dict[ResourceKey, Resource] = {**others, **traffic}
    found.update((pod.key, pod) for pod in _pods_of_templates(others.values()))
    if not any(key.kind in (SERVICE.kind, POD.kind) and not key.group for key in found):
        found.update((resource.key, resource) for resource in map(resource_from_body, sample))
    if caller is not None:
        pod = _pod(CALLER, caller[0], dict(caller[1]))
        found[pod.key] = pod
    assumed = _assumed_ports(found.values(), asked)
    found.update((service.key, service) for service in map(_service, assumed.items()))
    return Sketch(_with_addresses(found), {host: tuple(sorted(ports)) for host, ports in assumed.items()})


def _pods_of_templates(others: Iterable[Resource]) -> Iterator[Resource]:
    for resource in others:
        if resource.key.group == "apps" and resource.key.kind in _TEMPLATES:
            template = mapping(resource.spec.get("template"))
            labels = mapping(mapping(template.get("metadata")).get("labels"))
            yield _pod(
                resource.key.name,
                resource.key.namespace,
                {str(k): str(v) for k, v in labels.items()},
                mapping(template.get("spec")),
            )


def _pod(
    name: str, namespace: str, labels: Mapping[str, str], spec: Mapping[str, Any] | None = None
) -> Resource:
    return resource_from_body(
        {
            "apiVersion": POD.api_version,
            "kind": POD.kind,
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": spec or {"containers": []},
        }
    )


def _with_addresses(found: ResourceSet) -> dict[ResourceKey, Resource]:
    """Give every Pod an address on loopback, so that it has a proxy. Nothing is ever sent to it."""
    placed: dict[ResourceKey, Resource] = {}
    taken: list[str] = []
    for key, resource in found.items():
        if (key.group, key.kind) == (POD.group, POD.kind):
            address = pod_address("sketch", key, taken)
            taken.append(address)
            status = {"podIP": address, "conditions": _READY}
            resource = Resource(
                key, resource.api_version, {**resource.body, "status": status}, resource.origin
            )
        placed[key] = resource
    return placed


def _assumed_ports(found: Iterable[Resource], asked: tuple[str, int]) -> dict[str, set[int]]:
    """Return the Services that somebody names and nobody defines, each with the ports that are named."""
    resources = tuple(found)
    known = {
        fully_qualified(r.key.name, r.key.namespace)
        for r in resources
        if (r.key.group, r.key.kind) == (SERVICE.group, SERVICE.kind)
    }
    known.update(
        host for r in resources if r.key.kind == "ServiceEntry" for host in texts(r.spec.get("hosts"))
    )
    named: dict[str, set[int]] = {}
    for resource in resources:
        for host, ports in _named(resource):
            if host.endswith(_SERVICE_SUFFIX) and not host.startswith("*") and host not in known:
                named.setdefault(host, set()).update(ports)
    for host, ports in named.items():
        if asked[1] and host in _meant(asked[0]):
            ports.add(asked[1])
    return {host: ports or {_DEFAULT_PORT} for host, ports in sorted(named.items())}


def _meant(host: str) -> Sequence[str]:
    """Return the whole names that a client may mean by a host, wherever it is."""
    if host.endswith(_SERVICE_SUFFIX):
        return (host,)
    name, _, namespace = host.removesuffix(".svc").partition(".")
    return (fully_qualified(name, namespace or "default"),)


def _named(resource: Resource) -> Iterator[tuple[str, set[int]]]:
    namespace = resource.key.namespace
    if (resource.key.group, resource.key.kind) == (DESTINATION_RULE.group, DESTINATION_RULE.kind):
        yield fully_qualified(text(resource.spec.get("host")), namespace), set()
    if (resource.key.group, resource.key.kind) != (VIRTUAL_SERVICE.group, VIRTUAL_SERVICE.kind):
        return
    ports = {
        integer(match.get("port"))
        for route in all_routes(resource.spec)
        for match in items(route.get("match"))
    } - {0}
    for host in texts(resource.spec.get("hosts")):
        yield fully_qualified(host, namespace), ports
    for destination in referenced_destinations(resource.spec, namespace):
        yield destination.host, {destination.port} - {0}


def _service(entry: tuple[str, set[int]]) -> Resource:
    host, ports = entry
    name, _, rest = host.partition(".")
    return resource_from_body(
        {
            "apiVersion": SERVICE.api_version,
            "kind": SERVICE.kind,
            "metadata": {"name": name, "namespace": rest.removesuffix(_SERVICE_SUFFIX)},
            "spec": {"ports": [{"name": f"http-{port}", "port": port} for port in sorted(ports)]},
        }
    )
