"""What the mesh itself says of an object: istiod in its status, or nothing because it is bound to nothing.

Stage: observe (pure).
Source: istio.io/api meta/v1alpha1, IstioStatus: conditions, validationMessages, observedGeneration;
istio.io, "Configuration Status Field".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitmesh.model.kinds import GATEWAY, VIRTUAL_SERVICE
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.plan.references import gateways_of

# `Reconciled` is istiod's word for "distributed to every proxy"; `Programmed` the Gateway API's.
CONDITIONS = ("Reconciled", "Programmed")
TEXT_MAX = 300
# What istiod's status has no words for: it gives the code, and where to read about it.
# Source: istio.io, "Analysis Messages": those whose level is Error.
ERRORS = {
    "IST0101": "ReferencedResourceNotFound",
    "IST0106": "SchemaValidationError",
    "IST0109": "ConflictingMeshGatewayVirtualServiceHosts",
    "IST0110": "ConflictingSidecarWorkloadSelectors",
    "IST0111": "MultipleSidecarsWithoutWorkloadSelectors",
    "IST0112": "VirtualServiceDestinationPortSelectorRequired",
    "IST0145": "ConflictingGateways",
    "IST0149": "JwtClaimBasedRoutingWithoutRequestAuthN",
    "IST0161": "InvalidGatewayCredential",
    "IST0173": "DestinationRuleSubsetNotSelectPods",
}


@dataclass(frozen=True, slots=True)
class Look:
    """What one live object says by itself. `said`: why its status says that it is not in effect.

    `bound`: the Gateways without which it rules nothing; empty for what needs none.
    """

    live: Resource
    said: str
    bound: frozenset[ResourceKey]

    @property
    def has_a_word(self) -> bool:
        """True when it may be in trouble; most objects never are."""
        return bool(self.said or self.bound)

    def trouble(self, others: ResourceSet) -> str:
        """Return why the mesh says that the object is not in effect; empty when it does not."""
        if not self.bound or any(key in others for key in self.bound):
            return self.said
        names = ", ".join(sorted(str(key) for key in self.bound))
        return f"it is bound to {names} only, and no such {GATEWAY.kind} exists"


def look_at(live: Resource) -> Look:
    """Look at one live object.

    A status about an older generation says nothing: whoever wrote it has not looked again.
    """
    return Look(live, _said(live), _bound(live))


def _bound(live: Resource) -> frozenset[ResourceKey]:
    named = live.spec.get("gateways")
    if live.key.kind != VIRTUAL_SERVICE.kind or not isinstance(named, list) or "mesh" in named or not named:
        return frozenset()
    return gateways_of(live)


def _said(live: Resource) -> str:
    status = live.body.get("status")
    if not isinstance(status, Mapping) or _is_older(status.get("observedGeneration"), live):
        return ""
    for condition in _mappings(status.get("conditions")):
        if condition.get("type") not in CONDITIONS or condition.get("status") != "False":
            continue
        if _is_older(condition.get("observedGeneration"), live):
            continue
        said = condition.get("message") or condition.get("reason") or "no reason is given"
        return f"its status says {condition['type']} is False: {str(said)[:TEXT_MAX]}"
    errors = [
        m for m in _mappings(status.get("validationMessages")) if str(m.get("level")).upper() == "ERROR"
    ]
    if words := list(dict.fromkeys(map(_worded, errors))):
        found = "an error" if len(words) == 1 else f"{len(words)} errors"
        return f"its status has {found}: {'; '.join(words)}"[:TEXT_MAX]
    return ""


def _worded(message: Mapping[str, Any]) -> str:
    kind = message.get("type")
    code, name = (
        (str(kind.get(part) or "") for part in ("code", "name")) if isinstance(kind, Mapping) else ("", "")
    )
    said = str(message.get("message") or message.get("documentationUrl") or "")
    return " ".join(part for part in (code, name or ERRORS.get(code, ""), said) if part)


def _is_older(observed: Any, live: Resource) -> bool:
    generation = live.metadata.get("generation")
    try:
        return bool(observed) and bool(generation) and int(observed) < int(generation)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
