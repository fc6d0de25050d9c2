"""What of a working copy goes into the playground, and in what form.

Stage: playground (pure). The playground has no controllers: for a Deployment and the like it gets one Pod.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gitmesh.istio.hosts import CLUSTER_DOMAIN, service_host
from gitmesh.istio.matching.reading import items, mapping
from gitmesh.istio.routes import referenced_destinations
from gitmesh.kube.protocol import Body
from gitmesh.model.kinds import (
    CONFIG_MAP,
    NAMESPACE,
    NETWORKING,
    POD,
    SERVICE,
    TRAFFIC_KINDS,
    VIRTUAL_SERVICE,
    Kind,
)
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet

MANAGER = "gitmesh-preview"
MARK = "playground.gitmesh.dev/preview"
# In the order of application: what a route names comes before the route. Deleted is in reverse.
KINDS: tuple[Kind, ...] = (NAMESPACE, CONFIG_MAP, SERVICE, POD, *TRAFFIC_KINDS)
_TEMPLATES = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"})
_CORE = frozenset(("", kind.kind) for kind in (NAMESPACE, CONFIG_MAP, SERVICE, POD))
_CONTAINER_FIELDS = ("name", "image", "ports")
_SUFFIX = f".svc.{CLUSTER_DOMAIN}"


def wanted_objects(resources: ResourceSet, others: ResourceSet) -> dict[ResourceKey, Body]:
    """Return the objects of a working copy as they are applied."""
    found: dict[ResourceKey, Body] = {}
    for key, resource in others.items():
        if key.kind in _TEMPLATES:
            pod = _pod_of(resource)
            found[POD.key(key.namespace, key.name)] = pod
    for key, resource in (*others.items(), *resources.items()):
        if (key.group, key.kind) in _CORE or key.group == NETWORKING:
            found[key] = _marked(key, resource.body)
    return found


def _marked(key: ResourceKey, body: Mapping[str, Any]) -> Body:
    metadata = dict(mapping(body.get("metadata")))
    if key.namespace:
        metadata["namespace"] = key.namespace
    metadata["labels"] = {**mapping(metadata.get("labels")), MARK: "true"}
    return {**{name: value for name, value in body.items() if name != "status"}, "metadata": metadata}


def _pod_of(resource: Resource) -> Body:
    template = mapping(resource.spec.get("template"))
    about = mapping(template.get("metadata"))
    containers = [
        {name: container[name] for name in _CONTAINER_FIELDS if name in container}
        for container in items(mapping(template.get("spec")).get("containers"))
    ]
    body = {
        "apiVersion": POD.api_version,
        "kind": POD.kind,
        "metadata": {"name": resource.key.name, "labels": dict(mapping(about.get("labels")))},
        "spec": {"containers": containers or [{"name": "sample", "image": "playground/sample"}]},
    }
    return _marked(POD.key(resource.key.namespace, resource.key.name), body)


def hints(resources: ResourceSet, services: Iterable[Body], pods: Iterable[Body]) -> Iterator[str]:
    """Yield which hosts get requests and have nothing that answers, and what to do."""
    known = {_place(body): body for body in services}
    running = list(pods)
    for host in sorted(_routed(resources)):
        if not host.endswith(_SUFFIX):
            continue
        name, _, rest = host.partition(".")
        namespace = rest.removesuffix(_SUFFIX)
        service = known.get((namespace, name))
        if service is None:
            yield (
                f"{name} of namespace {namespace} gets requests, and there is no such Service: add one, "
                "and a Deployment, to the repository, or kubectl apply them"
            )
            continue
        selector = mapping(mapping(service.get("spec")).get("selector"))
        if not any(_selects(selector, pod, namespace) for pod in running):
            wanted = ", ".join(f"{label}={value}" for label, value in selector.items()) or "no selector"
            yield (
                f"{service_host(name, namespace)} has no Pod ({wanted}): add a Deployment to the repository; "
                "its Pods need the label app"
            )


def _routed(resources: ResourceSet) -> set[str]:
    return {
        destination.host
        for key, resource in resources.items()
        if (key.group, key.kind) == (VIRTUAL_SERVICE.group, VIRTUAL_SERVICE.kind)
        for destination in referenced_destinations(resource.spec, key.namespace)
    }


def _place(body: Body) -> tuple[str, str]:
    metadata = mapping(body.get("metadata"))
    return str(metadata.get("namespace", "")), str(metadata.get("name", ""))


def _selects(selector: Mapping[str, Any], pod: Body, namespace: str) -> bool:
    labels = mapping(mapping(pod.get("metadata")).get("labels"))
    same_place = _place(pod)[0] == namespace
    return bool(selector) and same_place and all(labels.get(n) == v for n, v in selector.items())
