"""Which model describes the spec of which Istio kind.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import BaseModel

from gitmesh.istio.models.destination_rule import DestinationRuleSpec
from gitmesh.istio.models.gateway import GatewaySpec
from gitmesh.istio.models.service_entry import ServiceEntrySpec
from gitmesh.istio.models.sidecar import SidecarSpec
from gitmesh.istio.models.virtual_service import VirtualServiceSpec
from gitmesh.istio.models.workload_entry import WorkloadEntrySpec

MODELS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {
        "VirtualService": VirtualServiceSpec,
        "DestinationRule": DestinationRuleSpec,
        "Gateway": GatewaySpec,
        "ServiceEntry": ServiceEntrySpec,
        "Sidecar": SidecarSpec,
        "WorkloadEntry": WorkloadEntrySpec,
    }
)
