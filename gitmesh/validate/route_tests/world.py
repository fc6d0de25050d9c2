"""The mesh in which route tests are run: the objects of a repository, and what they need around them.

Stage: validate (pure). Repositories of traffic configuration seldom hold Services. Where the cluster's are
not known, a Service stands in for each host that the objects name. What was read of an object before is taken
over while the object is the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from gitmesh.istio.hosts import CLUSTER_DOMAIN, fully_qualified, service_host
from gitmesh.istio.matching.reading import integer, items, mapping, text, texts
from gitmesh.istio.matching.sidecars import ALLOW_ANY, ROOT_NAMESPACE
from gitmesh.istio.matching.traffic import Traffic
from gitmesh.istio.routes import all_routes, referenced_destinations
from gitmesh.model.context import NOTHING_KNOWN, Context, ContextService
from gitmesh.model.kinds import (
    CONFIG_MAP,
    DESTINATION_RULE,
    NETWORKING,
    POD,
    SERVICE,
    SERVICE_ENTRY,
    VIRTUAL_SERVICE,
)
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet, resource_from_body

STAND_IN_PORT = 80  # of a Service of which nobody names a port
MESH_CONFIG = CONFIG_MAP.key(ROOT_NAMESPACE, "istio")
TEMPLATES = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"})
_SERVICE_SUFFIX = f".svc.{CLUSTER_DOMAIN}"
_EXPORT = "networking.istio.io/exportTo"
_CONFIG_CHARACTERS_MAX = 1_000_000

Asked = frozenset[tuple[str, int, str]]  # host of a request, its port (0: none), namespace of who asks


@dataclass(frozen=True, slots=True)
class Facts:
    """What one object says of hosts: those it serves, or as a VirtualService answers for; those it names,
    with ports; and their subsets."""

    serves: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    names: tuple[tuple[str, int], ...] = ()
    subsets: tuple[tuple[str, str], ...] = ()


_NOTHING = Facts()


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """The mesh. `resources` are all of it, with the Services that stand in; `traffic` answers for it.

    `hosts` are all that can be reached, `workloads` the labels by namespace and name. `is_sure` says that
    what is not here is nowhere.
    """

    resources: ResourceSet
    traffic: Traffic
    hosts: frozenset[str]
    subsets: Mapping[str, frozenset[str]]
    stand_ins: Mapping[str, tuple[int, ...]]
    workloads: Mapping[tuple[str, str], Mapping[str, str]]
    is_sure: bool
    inputs: Mapping[ResourceKey, Resource] = field(repr=False)
    context: Mapping[str, ContextService] | None = field(repr=False)
    asked: Asked = field(repr=False)
    facts: Mapping[ResourceKey, Facts] = field(repr=False)

    def is_for(self, inputs: ResourceSet, context: Context, asked: Asked) -> bool:
        """Say whether a world of these would be the same."""
        return (
            self.context is context.services
            and self.asked == asked
            and len(self.inputs) == len(inputs)
            and all(self.inputs.get(key) is resource for key, resource in inputs.items())
        )

    def hosts_moved_since(self, before: World) -> set[str] | None:
        """Return the hosts of the VirtualServices that changed; None where more than these changed."""
        if self is before:
            return set()
        if self.stand_ins != before.stand_ins or self.context is not before.context:
            return None
        moved: set[str] = set()
        for key in self.inputs.keys() | before.inputs.keys():
            new, old = self.inputs.get(key), before.inputs.get(key)
            if new is old or key.kind == DESTINATION_RULE.kind:
                continue  # a DestinationRule chooses no route
            for resource in (new, old):
                hosts = texts(resource.spec.get("hosts")) if resource else ()
                if resource and (key.kind != VIRTUAL_SERVICE.kind or not hosts):
                    return None
                moved.update(fully_qualified(host, key.namespace).lower() for host in hosts)
        return moved

    def without_cluster(self) -> World:
        """Return the world of the files alone."""
        return world_of(self.inputs, self.inputs, NOTHING_KNOWN, self.asked, replace(self, asked=frozenset()))


def world_of(
    resources: ResourceSet, others: ResourceSet, context: Context, asked: Asked, before: World | None = None
) -> World:
    """Return the world of a revision, the same one as before where nothing of it has changed."""
    inputs = {key: r for key, r in resources.items() if key.group == NETWORKING}
    inputs.update((key, r) for key, r in others.items() if _is_context(key))
    if before is not None and before.is_for(inputs, context, asked):
        return before
    known, old = (before.facts, before.inputs) if before else ({}, {})
    facts = {k: known[k] if k in known and old.get(k) is r else facts_of(r) for k, r in inputs.items()}
    every: dict[ResourceKey, Resource] = {
        key: r for key, r in inputs.items() if key.group == NETWORKING or _is_core(key)
    }
    unclear: dict[str, ContextService] = {}
    for host, service in (context.services or {}).items():
        key = SERVICE.key(service.namespace, service.name)
        if service.ports is None:
            unclear[host] = service
        elif key not in every:
            every[key] = _service(service)
    served = {host for fact in facts.values() for host in fact.serves}
    served.update(service_host(key.name, key.namespace) for key in every if key.kind == SERVICE.kind)
    stand_ins = _stand_ins(facts.values(), unclear, served, asked)
    for host, ports in stand_ins.items():
        found = _stand_in(host, ports)
        every[found.key] = found
    return World(
        resources=every,
        traffic=Traffic(
            every,
            outbound=_outbound(inputs.get(MESH_CONFIG)),
            previous=before.traffic if before else None,
        ),
        hosts=frozenset({*served, *stand_ins, *(h for fact in facts.values() for h in fact.answers)}),
        subsets=_subsets(facts.values()),
        stand_ins=stand_ins,
        workloads=_workloads(inputs.values(), context),
        is_sure=context.services is not None and not context.advisory,
        inputs=inputs,
        context=context.services,
        asked=asked,
        facts=facts,
    )


def _is_core(key: ResourceKey) -> bool:
    return (key.group, key.kind) == ("", SERVICE.kind) or key == MESH_CONFIG


def _is_context(key: ResourceKey) -> bool:
    return _is_core(key) or (key.group, key.kind) == ("", POD.kind) or key.kind in TEMPLATES


def facts_of(resource: Resource) -> Facts:
    """Read what an object says of hosts."""
    key, spec = resource.key, resource.spec
    match (key.group, key.kind):
        case (VIRTUAL_SERVICE.group, VIRTUAL_SERVICE.kind):
            own = (fully_qualified(host, key.namespace).lower() for host in texts(spec.get("hosts")))
            return Facts(answers=tuple(own), names=tuple(_named_by_rules(spec, key.namespace)))
        case (DESTINATION_RULE.group, DESTINATION_RULE.kind):
            host = fully_qualified(text(spec.get("host")), key.namespace).lower()
            subsets = tuple((host, text(subset.get("name"))) for subset in items(spec.get("subsets")))
            return Facts(names=((host, 0),), subsets=subsets)
        case (SERVICE_ENTRY.group, SERVICE_ENTRY.kind):
            return Facts(serves=tuple(host.lower() for host in texts(spec.get("hosts"))))
    return _NOTHING


def _named_by_rules(spec: Mapping[str, Any], namespace: str) -> Iterator[tuple[str, int]]:
    ports = {integer(match.get("port")) for rule in all_routes(spec) for match in items(rule.get("match"))}
    for host in texts(spec.get("hosts")):
        for port in ports | {0}:
            yield fully_qualified(host, namespace).lower(), port
    for destination in referenced_destinations(spec, namespace):
        yield destination.host.lower(), destination.port


def _subsets(facts: Iterable[Facts]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for fact in facts:
        for host, name in fact.subsets:
            found.setdefault(host, set()).add(name)
    return {host: frozenset(names) for host, names in found.items()}


def _stand_ins(
    facts: Iterable[Facts], unclear: Mapping[str, ContextService], served: Collection[str], asked: Asked
) -> dict[str, tuple[int, ...]]:
    """Return the Services that somebody names and nobody defines, each with the ports that are named."""
    ports: dict[str, set[int]] = {host: set() for host in unclear if host not in served}
    for fact in facts:
        for host, port in fact.names:
            if host.endswith(_SERVICE_SUFFIX) and "*" not in host and host not in served:
                ports.setdefault(host, set()).add(port)
    for host, port, namespace in asked:
        for meant in meant_by(host, namespace):
            if meant in ports:
                ports[meant].add(port)
    return {host: tuple(sorted(p - {0})) or (STAND_IN_PORT,) for host, p in sorted(ports.items())}


def meant_by(host: str, namespace: str) -> Iterator[str]:
    """Yield the whole names that a client in this namespace may mean by a host."""
    yield host.removesuffix(".")
    name, _, rest = host.partition(".")
    if not rest:
        yield service_host(name, namespace)
    elif rest.removesuffix(".svc").isascii() and "." not in rest.removesuffix(".svc"):
        yield service_host(name, rest.removesuffix(".svc"))


def _stand_in(host: str, ports: Iterable[int]) -> Resource:
    name, _, rest = host.partition(".")
    entries = [{"name": f"http-{port}", "port": port} for port in ports]
    return _service_of(name, rest.removesuffix(_SERVICE_SUFFIX), {"ports": entries})


def _service(known: ContextService) -> Resource:
    entries = [
        {
            "name": port.name,
            "port": port.number,
            "protocol": port.protocol or "TCP",
            **({"appProtocol": port.app_protocol} if port.app_protocol else {}),
        }
        for port in known.ports or ()
    ]
    spec = {"selector": dict(known.selector), "ports": entries, "type": known.type or "ClusterIP"}
    annotations = {_EXPORT: ",".join(known.export_to)} if known.export_to else {}
    return _service_of(known.name, known.namespace, spec, annotations=annotations)


def _service_of(name: str, namespace: str, spec: Mapping[str, Any], **metadata: Any) -> Resource:
    return resource_from_body(
        {
            "apiVersion": SERVICE.api_version,
            "kind": SERVICE.kind,
            "metadata": {"name": name, "namespace": namespace, **metadata},
            "spec": spec,
        }
    )


def _workloads(inputs: Iterable[Resource], context: Context) -> dict[tuple[str, str], Mapping[str, str]]:
    """Return the labels of workloads by namespace and name; a Service stands for what it selects."""
    found: dict[tuple[str, str], Mapping[str, str]] = {}
    for service in (context.services or {}).values():
        if service.selector:
            found[service.namespace, service.name] = service.selector
    for pod in context.pods or ():
        found[pod.namespace, pod.name] = pod.labels
    ranked = sorted(inputs, key=lambda r: (r.key.kind in TEMPLATES, r.key.kind == POD.kind))
    for resource in ranked:  # what runs itself comes after, and so instead of, what selects it
        if labels := _labels(resource):
            found[resource.key.namespace, resource.key.name] = labels
    return found


def _labels(resource: Resource) -> dict[str, str]:
    if resource.key.kind in TEMPLATES:
        template = mapping(mapping(resource.spec.get("template")).get("metadata"))
        return _texts_of(template.get("labels"))
    if (resource.key.group, resource.key.kind) == ("", POD.kind):
        return _texts_of(resource.labels)
    if (resource.key.group, resource.key.kind) == ("", SERVICE.kind):
        return _texts_of(resource.spec.get("selector"))
    return {}


def _texts_of(labels: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in mapping(labels).items()}


def _outbound(config: Resource | None) -> str:
    """Return what the mesh does with hosts that it does not know. Source: istio.io, Global Mesh Options."""
    written = mapping(config.body.get("data") if config else None).get("mesh")
    if not isinstance(written, str):
        return ALLOW_ANY
    try:
        options = yaml.safe_load(written[:_CONFIG_CHARACTERS_MAX])
    except (yaml.YAMLError, ValueError, RecursionError):
        return ALLOW_ANY
    return text(mapping(mapping(options).get("outboundTrafficPolicy")).get("mode")) or ALLOW_ANY
