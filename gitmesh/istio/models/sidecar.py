"""Sidecar: what a workload's proxy listens on and which hosts it knows.

Stage: validate (pure). Source: CRD sidecars.networking.istio.io of Istio 1.30.3.
"""

from __future__ import annotations

from typing import Literal

from gitmesh.istio.models.base import IstioModel
from gitmesh.istio.models.common import Destination, LabelSelector, ServerTLS, SidecarPort
from gitmesh.istio.models.scalars import Items
from gitmesh.istio.models.traffic_policy import ConnectionPool

CaptureMode = Literal["DEFAULT", "IPTABLES", "NONE"]


class SidecarIngress(IstioModel):
    """A listener for traffic to the workload."""

    port: SidecarPort
    bind: str | None = None
    capture_mode: CaptureMode | None = None
    default_endpoint: str | None = None
    tls: ServerTLS | None = None
    connection_pool: ConnectionPool | None = None


class SidecarEgress(IstioModel):
    """A listener for traffic from the workload, with the hosts that it may reach."""

    port: SidecarPort | None = None
    bind: str | None = None
    capture_mode: CaptureMode | None = None
    hosts: Items[str]


class OutboundTrafficPolicy(IstioModel):
    """What happens to traffic for hosts that the mesh does not know."""

    mode: Literal["REGISTRY_ONLY", "ALLOW_ANY"] | None = None
    egress_proxy: Destination | None = None


class SidecarSpec(IstioModel):
    """The spec of a Sidecar."""

    workload_selector: LabelSelector | None = None
    ingress: Items[SidecarIngress] = ()
    egress: Items[SidecarEgress] = ()
    inbound_connection_pool: ConnectionPool | None = None
    outbound_traffic_policy: OutboundTrafficPolicy | None = None
