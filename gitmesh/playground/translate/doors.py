"""Where the playground's proxies listen: addresses, and those that are fixed.

Stage: playground translation (pure).
"""

from __future__ import annotations

from dataclasses import dataclass

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens. Port 0: Envoy takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as the start of a URL."""
        return f"http://{self}"


@dataclass(frozen=True, slots=True)
class Doors:
    """The fixed addresses: everything else listens on the address of a Pod.

    `client` is the outbound listener of the built-in client, `probe` says which route takes its requests.
    `gateway` and `gateway_tls` lead to the ingress gateway's ports 80 and 443. `outbound_port` is where the
    outbound listener of each Pod is, on the Pod's own address. Source: istio.io, Ports used by Istio.
    """

    client: Address = Address(HOST, 15001)
    gateway: Address = Address(HOST, 18080)
    gateway_tls: Address = Address(HOST, 18443)
    probe: Address = Address(HOST, 0)
    outbound_port: int = 15001
