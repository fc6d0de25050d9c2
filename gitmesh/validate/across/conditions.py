"""What Istio says about an object in its status: that something of it is not in effect.

Stage: validate (pure). Source: istio/istio pkg/config/analysis/analyzers/conditions (IST0171).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from gitmesh.model.resource import Resource
from gitmesh.validate.across.facts import ConditionFact
from gitmesh.validate.across.found import Found
from gitmesh.validate.across.lenient import mapping, mappings, text
from gitmesh.validate.across.world import World
from gitmesh.validate.subject import Subject

_BOUND = ("istio.io/WaypointBound",)
_ACCEPTED = ("Accepted", "Programmed", "ResolvedRefs")
_API = "gateway.networking.k8s.io"
# Conditions that are bad when they are False. Others are for others to say.
_REPORTED: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType(
    {
        ("", "Service"): _BOUND,
        ("networking.istio.io", "ServiceEntry"): _BOUND,
        ("networking.istio.io", "WorkloadEntry"): _BOUND,
        ("security.istio.io", "AuthorizationPolicy"): ("ZtunnelAccepted", "WaypointAccepted"),
        (_API, "Gateway"): _ACCEPTED,
        (_API, "HTTPRoute"): _ACCEPTED,
        (_API, "GRPCRoute"): _ACCEPTED,
    }
)
_PARTLY = ("WaypointAccepted", "PartiallyInvalid")
_TOLD_MAX = 10


def check_conditions(resource: Resource, world: World) -> Iterator[Found]:
    """Yield what the status says: that of the object in the cluster, or one that is in the file."""
    if (resource.key.group, resource.key.kind) not in _REPORTED:
        return
    told = world.conditions(resource.key) or tuple(condition_facts(resource))
    for one in told[:_TOLD_MAX]:
        message = f"{one.type[:80]}: {one.message[:200] or one.reason[:80] or 'not in effect'}"
        yield Subject(resource).finding("GM248", message, ("metadata", "name"), hint=one.reason[:80])


def condition_facts(resource: Resource) -> Iterator[ConditionFact]:
    """Yield the conditions of an object that say that something is not as it should be."""
    wanted = _REPORTED.get((resource.key.group, resource.key.kind), ())
    status = mapping(resource.body.get("status")) if wanted else {}
    holders = (status, *mappings(status.get("parents")))
    for condition in (one for holder in holders for one in mappings(holder.get("conditions"))):
        kind, reason = text(condition.get("type")), text(condition.get("reason"))
        is_bad = kind in wanted and text(condition.get("status")) == "False"
        if is_bad or (kind in wanted and (kind, reason) == _PARTLY):
            yield ConditionFact(resource.key, kind, reason, text(condition.get("message")))
