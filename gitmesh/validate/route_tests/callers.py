"""Who sends the request of a case.

Stage: validate (pure).
"""

from __future__ import annotations

from dataclasses import dataclass

from gitmesh.istio.matching.conditions import gateway_name
from gitmesh.istio.matching.reading import labels
from gitmesh.istio.matching.request import Caller
from gitmesh.istio.matching.sidecars import ROOT_NAMESPACE
from gitmesh.model.kinds import GATEWAY
from gitmesh.model.route_test import From
from gitmesh.model.spelling import closest
from gitmesh.validate.route_tests.world import World


@dataclass(frozen=True, slots=True)
class Unknown:
    """A caller that nobody knows. `field` is the one in `from` that names it."""

    field: str
    message: str
    hint: str
    may_be_elsewhere: bool  # in a cluster that is not known here


def caller_of(sender: From, namespace: str, world: World) -> Caller | Unknown:
    """Return who is meant; `namespace` is that of the document."""
    if sender.gateway:
        return _gateway(sender, namespace, world)
    own = sender.namespace or namespace
    if not sender.workload:
        return Caller(own, sender.labels, name=words(sender, namespace))
    known = world.workloads.get((own, sender.workload))
    if known is not None:
        return Caller(own, {**known, **sender.labels}, name=f"{sender.workload}.{own}")
    near = closest(sender.workload, [name for place, name in world.workloads if place == own])
    hint = f"did you mean {near}?" if near else "say its labels instead: from: {labels: {app: ...}}"
    return Unknown("workload", f"no workload {sender.workload} is known in namespace {own}", hint, True)


def _gateway(sender: From, namespace: str, world: World) -> Caller | Unknown:
    name = gateway_name(sender.gateway, namespace)
    place, _, short = name.partition("/")
    resource = world.resources.get(GATEWAY.key(place, short))
    if resource is None:
        names = [f"{k.namespace}/{k.name}" for k in world.resources if k.kind == GATEWAY.kind]
        near = closest(name, names)
        hint = (
            f"did you mean {near}?" if near else "write the namespace and name of a Gateway: namespace/name"
        )
        return Unknown("gateway", f"there is no Gateway {name}", hint, False)
    selector = labels(resource.spec.get("selector"))
    return Caller(sender.namespace or ROOT_NAMESPACE, selector, is_gateway=True, name=name)


def words(sender: From, namespace: str) -> str:
    """Return who sends it as people say it."""
    if sender.gateway:
        return f"gateway {sender.gateway}"
    own = f"namespace {sender.namespace or namespace}"
    if sender.workload:
        return f"workload {sender.workload}, {own}"
    named = ", ".join(f"{name}={value}" for name, value in sender.labels.items())
    return f"{named}, {own}" if named else own
