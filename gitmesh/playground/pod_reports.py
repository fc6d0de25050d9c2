"""The status of one Pod, kept true in the API server.

Stage: playground (effect).
"""

from __future__ import annotations

from datetime import UTC

import anyio
import structlog

from gitmesh.engine.clock import Clock
from gitmesh.kube.errors import ClusterError, NotFoundError, StaleWriteError
from gitmesh.kube.protocol import Body, ClusterClient
from gitmesh.model.kinds import POD
from gitmesh.model.resource import ResourceKey
from gitmesh.playground.pods import PodState, status_of

RETRY_SECONDS = 0.3

_log = structlog.get_logger("gitmesh.playground")


class PodReports:
    """Writes what a Pod has become, whenever it has become something else, or somebody wrote over it."""

    def __init__(self, client: ClusterClient, key: ResourceKey, clock: Clock) -> None:
        self.state = PodState()
        self._client, self._key, self._clock = client, key, clock
        self._dirty = anyio.Event()
        self._reported: PodState | None = None

    @property
    def is_told(self) -> bool:
        """True when the API server knows the state."""
        return self._reported == self.state

    def become(self, state: PodState) -> None:
        """Report a state."""
        self.state = state
        self._dirty.set()

    def look_at(self, body: Body) -> None:
        """Report again where the Pod was made anew, or its status written over."""
        if ((body.get("status") or {}).get("podIP") or "") != self.state.address:
            self._dirty.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._dirty.wait()
            self._dirty = anyio.Event()
            try:
                await self._write()
            except NotFoundError:
                continue  # deleted: who runs us is about to be told
            except StaleWriteError:
                self._dirty.set()
            except ClusterError as error:
                if not error.retryable:
                    _log.error("pod status refused", pod=str(self._key), error=str(error))
                    continue
                await self._clock.sleep(RETRY_SECONDS)
                self._dirty.set()

    async def _write(self) -> None:
        body = await self._client.get(POD, self._key.namespace, self._key.name)
        state = self.state
        status = status_of(body, state, timestamp(self._clock))
        if status != body.get("status"):
            await self._client.replace_status(POD, {**body, "status": status})
        self._reported = state


def timestamp(clock: Clock) -> str:
    """Return the present as Kubernetes writes it."""
    return clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
