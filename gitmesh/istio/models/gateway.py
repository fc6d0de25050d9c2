"""Gateway: where traffic enters or leaves the mesh.

Stage: validate (pure). Source: CRD gateways.networking.istio.io of Istio 1.30.3.
"""

from __future__ import annotations

from pydantic import Field

from gitmesh.istio.models.base import IstioModel
from gitmesh.istio.models.common import ListenerPort, ServerTLS
from gitmesh.istio.models.scalars import Items, Map


class Server(IstioModel):
    """One listener with the hosts that it serves."""

    port: ListenerPort
    bind: str | None = None
    hosts: Items[str]
    tls: ServerTLS | None = None
    default_endpoint: str | None = None
    name: str | None = None


class GatewaySpec(IstioModel):
    """The spec of a Gateway."""

    servers: Items[Server] = ()
    selector: Map[str] = Field(default_factory=dict)
