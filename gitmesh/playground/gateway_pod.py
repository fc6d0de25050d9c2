"""One gateway Pod: nothing runs for it, as Envoy is in its place; its status says where.

Stage: playground (effect).
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

import anyio

from gitmesh.engine.clock import Clock
from gitmesh.kube.protocol import Body, ClusterClient
from gitmesh.model.resource import ResourceKey
from gitmesh.playground.errors import PlaygroundError
from gitmesh.playground.pod_reports import PodReports, timestamp
from gitmesh.playground.pods import PodState, container_ports

_READY_PORT = 15021  # by it two playgrounds of one machine learn that they chose the same address


class GatewayPod:
    """Reports an address for a gateway Pod until the Pod is gone."""

    pid: int | None = None

    def __init__(
        self,
        client: ClusterClient,
        key: ResourceKey,
        body: Body,
        *,
        address: Callable[[bool], str],
        clock: Clock,
    ) -> None:
        self.key = key
        self._body, self._address, self._clock = body, address, clock
        self._reports = PodReports(client, key, clock)
        self._scope = anyio.CancelScope()

    @property
    def state(self) -> PodState:
        """Where it is."""
        return self._reports.state

    @property
    def is_reported_ready(self) -> bool:
        """True when the API server has been told the address."""
        return self.state.ready and self._reports.is_told

    def take(self, body: Body) -> None:
        """Look at the Pod as it is now."""
        self._body = body
        self._reports.look_at(body)

    def leave(self) -> None:
        """Stop reporting: the Pod is gone."""
        self._scope.cancel()

    async def report(self) -> dict[str, Any]:
        """Raise PlaygroundError: there is no sample service that could say something of itself."""
        raise PlaygroundError(f"{self.key} is a gateway: Envoy is in its place, and counts its requests")

    async def run(self) -> None:
        """Keep the status true until `leave`."""
        with self._scope:
            address = self._address(False)
            while any(_is_taken(address, port) for port in (*container_ports(self._body), _READY_PORT)):
                address = self._address(True)
            state = PodState("Running", ready=True, address=address, started_at=timestamp(self._clock))
            self._reports.become(state)
            await self._reports.run()


def _is_taken(address: str, port: int) -> bool:
    """Say whether something else listens there."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False
