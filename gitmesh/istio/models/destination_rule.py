"""DestinationRule: the subsets of a host and how it is talked to.

Stage: validate (pure). Source: CRD destinationrules.networking.istio.io of Istio 1.30.3.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from gitmesh.istio.models.base import IstioModel, malformed
from gitmesh.istio.models.common import SelectorValue
from gitmesh.istio.models.scalars import Items, Map
from gitmesh.istio.models.traffic_policy import TrafficPolicy


def _selector_key(key: str) -> str:
    if not key or "*" in key:
        raise malformed("the key of a selector must not be empty or have a wildcard")
    return key


class WorkloadSelector(IstioModel):
    """The clients to which a DestinationRule applies, by the labels of their Pods."""

    match_labels: Annotated[
        dict[Annotated[str, AfterValidator(_selector_key)], SelectorValue], Field(max_length=4096)
    ] = Field(default_factory=dict)


class Subset(IstioModel):
    """A named part of the endpoints of a host."""

    name: str
    labels: Map[str] = Field(default_factory=dict)
    traffic_policy: TrafficPolicy | None = None


class DestinationRuleSpec(IstioModel):
    """The spec of a DestinationRule."""

    host: str
    traffic_policy: TrafficPolicy | None = None
    subsets: Items[Subset] = ()
    export_to: Items[str] = ()
    workload_selector: WorkloadSelector | None = None
