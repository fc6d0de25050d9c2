"""The connections to one API server, each for what must not wait behind the others.

Stage: engine (shell).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from gitmesh.kube.client import KubeClient
from gitmesh.kube.connect import apart, connect
from gitmesh.kube.fence import Fence
from gitmesh.kube.transport import Call
from gitmesh.model.config import Config


@dataclass(slots=True)
class Connections:
    """`cluster` is for all, `urgent` for rollbacks, `leases` for leader election; `identity`: who we are."""

    identity: str
    cluster: KubeClient
    urgent: KubeClient
    leases: KubeClient
    _fenced: list[KubeClient] = field(default_factory=list)

    def behind(self, fence: Fence) -> tuple[KubeClient, KubeClient]:
        """Return `cluster` and `urgent` as clients that write only as far as the fence lets them."""
        pair = self.cluster.fenced(fence), self.urgent.fenced(fence)
        self._fenced += pair
        return pair

    def limit(self, timeout: timedelta) -> None:
        """Wait so long for answers from now on."""
        for client in (self.cluster, self.urgent, self.leases, *self._fenced):
            client.limit(timeout)

    async def close(self) -> None:
        """Release all of them."""
        for client in (self.leases, self.urgent, self.cluster):
            await client.close()


async def open_connections(
    config: Config,
    kubeconfig: Path | None,
    context: str,
    around: Callable[[Call], AbstractContextManager[None]],
) -> Connections:
    """Connect; each request is done within `around`. Raises ClusterError."""
    identity = f"{socket.gethostname()}-{os.getpid()}"
    cluster = await connect(kubeconfig, context=context, timeout=config.api_timeout, identity=identity)
    found = Connections(identity, cluster, apart(cluster), apart(cluster))
    for client in (found.cluster, found.urgent, found.leases):
        client.surround(around)
    return found
