"""Which rules about several objects hold for an object.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from gitmesh.istio.models.destination_rule import DestinationRuleSpec
from gitmesh.istio.models.gateway import GatewaySpec
from gitmesh.istio.models.service_entry import ServiceEntrySpec
from gitmesh.istio.models.sidecar import SidecarSpec
from gitmesh.istio.models.virtual_service import VirtualServiceSpec
from gitmesh.validate.across.bound_gateways import check_gateways
from gitmesh.validate.across.conditions import check_conditions
from gitmesh.validate.across.deployments import check_deployment
from gitmesh.validate.across.destination_rules import check_rule
from gitmesh.validate.across.destinations import check_destinations
from gitmesh.validate.across.envoy_filters import check_envoy_filter
from gitmesh.validate.across.found import Found
from gitmesh.validate.across.gateways import check_gateway_across
from gitmesh.validate.across.mesh_hosts import check_delegates, check_mesh_hosts
from gitmesh.validate.across.service_entries import check_entry_across
from gitmesh.validate.across.service_ports import check_service_ports
from gitmesh.validate.across.sidecars import check_sidecar_across
from gitmesh.validate.across.spoken import check_spoken
from gitmesh.validate.across.tls import check_client_tls
from gitmesh.validate.across.world import World
from gitmesh.validate.subject import Subject


def check_across(subject: Subject, spec: BaseModel | None, world: World) -> Iterator[Found]:
    """Yield what is wrong between this object and others. `spec` is None when its shape is wrong."""
    match spec:
        case VirtualServiceSpec():
            yield from check_destinations(subject, spec, world)
            yield from check_gateways(subject, spec, world)
            yield from check_mesh_hosts(subject, spec, world)
            yield from check_delegates(subject, spec, world)
            yield from check_spoken(subject, spec, world)
        case DestinationRuleSpec():
            yield from check_rule(subject, spec, world)
            yield from check_client_tls(subject, spec, world)
        case GatewaySpec():
            yield from check_gateway_across(subject, spec, world)
        case ServiceEntrySpec():
            yield from check_entry_across(subject, spec, world)
        case SidecarSpec():
            yield from check_sidecar_across(subject, spec, world)
        case _:
            yield from _others(subject, world)
    yield from check_conditions(subject.resource, world)


def _others(subject: Subject, world: World) -> Iterator[Found]:
    match (subject.resource.key.group, subject.resource.key.kind):
        case ("", "Service"):
            yield from check_service_ports(subject.resource)
        case ("apps", "Deployment"):
            yield from check_deployment(subject.resource, world)
        case ("networking.istio.io", "EnvoyFilter"):
            yield from check_envoy_filter(subject.resource, world)
