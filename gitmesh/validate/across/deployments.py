"""A Deployment whose Services contradict each other.

Stage: validate (pure). Source: istio/istio pkg/config/analysis/analyzers/deployment/services.go (IST0116,
IST0137); the ports of a Pod are the sidecar's listeners, so they can be of one kind only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from gitmesh.model.context import ContextService
from gitmesh.model.resource import Resource
from gitmesh.validate.across.found import Found
from gitmesh.validate.across.lenient import labels, mapping
from gitmesh.validate.across.world import World
from gitmesh.validate.subject import Subject

_INJECT = "sidecar.istio.io/inject"
_MANAGED = ("gateway.istio.io/managed", "istio.io-mesh-controller")  # Pods that Istio itself runs


def check_deployment(resource: Resource, world: World) -> Iterator[Found]:
    """Yield ports of the Pods that Services describe in different ways."""
    template = mapping(resource.spec.get("template"))
    metadata = mapping(template.get("metadata"))
    pod_labels = labels(metadata.get("labels"))
    if not pod_labels or not _in_mesh(resource, metadata, mapping(template.get("spec")), world):
        return
    services = [one for one in world.services_for(resource.key.namespace, pod_labels) if one.ports]
    if len(services) < 2:
        return
    subject = Subject(resource)
    protocols = _grouped(services, lambda port: port.number, lambda port: port.protocol or "TCP")
    for number, found in protocols.items():
        if len(found) > 1:
            message = f"{_named(found)} give port {number} of these Pods different protocols"
            hint = "give them one protocol, or other ports"
            yield subject.finding("GM246", message, ("metadata", "name"), hint=hint)
    targets = _grouped(services, lambda port: port.target or port.number, lambda port: port.number)
    for target, found in targets.items():
        if len(found) > 1:
            listed = ", ".join(sorted(str(number) for number in found)[:10])
            message = f"{_named(found)} send to port {target} of these Pods from different ports: {listed}"
            hint = "give Services for the same Pods the same port"
            yield subject.finding("GM247", message, ("metadata", "name"), hint=hint)


Grouped = dict[Hashable, dict[Hashable, set[str]]]


def _grouped(services: list[ContextService], by: Any, value: Any) -> Grouped:
    """Return, for each port, what Services say of it, and the names of those that say so."""
    found: Grouped = defaultdict(lambda: defaultdict(set))
    for service in services:
        for port in service.ports or ():
            found[by(port)][value(port)].add(service.name)
    return found


def _named(found: Mapping[Hashable, set[str]]) -> str:
    names = sorted(set().union(*found.values()))
    return ("Service " if len(names) == 1 else "Services ") + ", ".join(names[:5])[:200]


def _in_mesh(resource: Resource, metadata: Mapping[str, Any], pod: Mapping[str, Any], world: World) -> bool:
    """Say whether the Pods have a sidecar, as far as that is written somewhere."""
    if pod.get("hostNetwork") is True or _MANAGED in labels(resource.metadata.get("labels")):
        return False
    for place in ("labels", "annotations"):
        written = mapping(metadata.get(place)).get(_INJECT)
        if written is not None:
            return str(written).lower() == "true"
    return ("istio-injection", "disabled") not in world.namespace_labels(resource.key.namespace)
