"""Watching the foundations of sources, one by one: what somebody changes there is looked at in the next pass.

Stage: observe (called by the daemon). It knows nothing of what is right: a change makes a pass look again.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import anyio

from gitmesh.engine.memory import Memory
from gitmesh.engine.ports import Ports
from gitmesh.kube.errors import ClusterError, NotFoundError, RejectedError, WatchExpiredError
from gitmesh.kube.protocol import Body
from gitmesh.model.kinds import kind_of
from gitmesh.model.resource import ResourceKey

WATCHED_MAX = 50  # of one daemon; what is beyond is looked at with each resync
RETRY_SECONDS = 15.0
QUICK_SECONDS, QUICK_MAX = (
    60.0,
    6,
)  # so many changes, each so soon after the one before, are put right at once
REST_SECONDS_MAX = 300.0
_DOUBLINGS_MAX = 10


class GroundWatch:
    """Follows each Namespace and CustomResourceDefinition that a source asks for, by its name alone.

    All definitions of a cluster together are large, and none of the others is anybody's business here.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._wanted = anyio.Event()

    def look(self) -> None:
        """Look soon which there are to follow."""
        self._wanted.set()

    async def run(self, memory: Memory, wake: Callable[[], None]) -> None:
        """Follow them until cancelled; `wake` is called when one has changed."""

        def changed(key: ResourceKey) -> None:
            for known in memory.sources.values():
                if key in known.ground:
                    known.founded = "", 0.0
            wake()

        followed: dict[ResourceKey, anyio.CancelScope] = {}
        async with anyio.create_task_group() as group:
            while True:
                self._wanted = anyio.Event()
                every = frozenset[ResourceKey]().union(*(known.ground for known in memory.sources.values()))
                wanted = frozenset(sorted(every)[:WATCHED_MAX])
                for key in followed.keys() - wanted:
                    followed.pop(key).cancel()
                for key in sorted(wanted - followed.keys()):
                    followed[key] = anyio.CancelScope()
                    group.start_soon(self._follow, key, changed, followed[key])
                await self._wanted.wait()

    async def _follow(
        self, key: ResourceKey, changed: Callable[[ResourceKey], None], scope: anyio.CancelScope
    ) -> None:
        version = seen = ""
        calm = _Calm(self._ports)
        with scope:
            while True:
                began = self._ports.clock.monotonic()
                try:
                    version = version or await self._version(key)
                    if version != seen:  # also at first: it may have changed since the pass looked at it
                        changed(key)
                    seen = version
                    async for event in self._ports.cluster.watch(
                        kind_of(key), resource_version=version, name=key.name
                    ):
                        version = seen = _version_of(event.object) or version
                        if event.type != "BOOKMARK":
                            await calm.wait()
                            changed(key)
                except (NotFoundError, WatchExpiredError):
                    version = ""
                except RejectedError as error:
                    self._ports.log.info("foundation is not watched", stage="observe", error=str(error))
                    return
                except ClusterError as error:
                    self._ports.log.debug("watch of a foundation ended", stage="observe", error=str(error))
                # A watch that ends after its time is begun anew at once.
                await self._ports.clock.sleep(max(0.0, began + RETRY_SECONDS - self._ports.clock.monotonic()))

    async def _version(self, key: ResourceKey) -> str:
        return _version_of(await self._ports.cluster.get(kind_of(key), key.namespace, key.name))


class _Calm:
    """Waits longer and longer where change comes upon change: somebody else wants it otherwise each time."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._quick = 0
        self._last = -math.inf

    async def wait(self) -> None:
        """Wait before one more change is acted upon; not at all for the first ones."""
        now = self._ports.clock.monotonic()
        self._quick = self._quick + 1 if now - self._last < QUICK_SECONDS else 0
        if self._quick > QUICK_MAX:
            doublings = min(self._quick - QUICK_MAX, _DOUBLINGS_MAX)
            await self._ports.clock.sleep(min(2.0**doublings, REST_SECONDS_MAX))
        self._last = self._ports.clock.monotonic()


def _version_of(body: Body) -> str:
    return str((body.get("metadata") or {}).get("resourceVersion") or "")
