"""The kubelet of the playground: a sample process for each Pod with a label `app`, an address for a gateway.

Stage: playground (effect).
"""

from __future__ import annotations

from pathlib import Path
from types import NoneType
from typing import Any

import aiohttp
import anyio
from anyio.abc import TaskGroup

from gitmesh.engine.clock import Clock
from gitmesh.kube.protocol import Body, ClusterClient
from gitmesh.kube.reflector import EventType, Reflector
from gitmesh.model.kinds import POD
from gitmesh.model.resource import ResourceKey
from gitmesh.playground.addresses import pod_address
from gitmesh.playground.errors import PlaygroundError
from gitmesh.playground.gateway_pod import GatewayPod
from gitmesh.playground.pod_process import PodProcess
from gitmesh.playground.pods import identity_of, is_gateway

_POLL_SECONDS = 0.02


class Kubelet:
    """Makes processes follow Pods. `seed` keeps the addresses of two playgrounds apart."""

    def __init__(self, client: ClusterClient, *, logs: Path, seed: str, clock: Clock) -> None:
        self._client = client
        self._logs = logs
        self._seed = seed
        self._clock = clock
        self._pods: dict[ResourceKey, PodProcess | GatewayPod] = {}
        self._addresses: dict[ResourceKey, str] = {}
        self._refused: set[str] = set()  # addresses that something else uses
        self._group: TaskGroup | None = None
        self._session: aiohttp.ClientSession | None = None
        self._reflector = Reflector(client, POD, on_event=self._on_event, clock=clock)

    async def run(self) -> None:
        """Follow the Pods until cancelled; then end every process."""
        self._logs.mkdir(parents=True, exist_ok=True)
        # Each Pod's control port is asked seldom; a kept connection would outlive a restart of the Pod.
        connector = aiohttp.TCPConnector(force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector) as self._session,
            anyio.create_task_group() as self._group,
        ):
            await self._reflector.run()

    async def wait_ready(self, seconds: float) -> None:
        """Wait until every Pod is ready and its status says so. Raises PlaygroundError naming the others."""
        with anyio.move_on_after(seconds):
            await self._reflector.wait_synced()
            while not all(pod.is_reported_ready for pod in self._pods.values()):
                await self._clock.sleep(_POLL_SECONDS)
            return
        late = [
            f"{key.name}: {p.state.message or p.state.phase}"
            for key, p in self._pods.items()
            if not p.is_reported_ready
        ]
        raise PlaygroundError(
            f"not every Pod was ready after {seconds:g} s "
            f"({'; '.join(late) or 'the API server did not list them'}); see the logs in {self._logs}"
        )

    def processes(self) -> dict[str, int]:
        """Return the process id of each running Pod, by `pod/namespace/name`."""
        return {
            f"pod/{key.namespace}/{key.name}": pod.pid
            for key, pod in sorted(self._pods.items())
            if pod.pid is not None
        }

    async def report(self, name: str, namespace: str = "default") -> dict[str, Any]:
        """Return what a Pod's sample service says of itself: counts, knobs, time of the last request."""
        pod = self._pods.get(POD.key(namespace, name))
        if pod is None:
            raise PlaygroundError(f"there is no Pod {namespace}/{name}; look with: kubectl get pods -A")
        return await pod.report()

    def _on_event(self, type_: EventType, key: ResourceKey, body: Body | None) -> None:
        known = self._pods.get(key)
        kind = None if type_ == "DELETED" or body is None else _runs_as(body)
        if known is not None and not isinstance(known, kind or NoneType):
            self._end(known)
            known = None
        if kind is None or body is None:
            return
        if known is not None:
            known.take(body)
        else:
            self._begin(key, body)

    def _begin(self, key: ResourceKey, body: Body) -> None:
        assert self._group is not None
        assert self._session is not None

        def address(refused: bool) -> str:
            return self._address(key, refused=refused)

        pod: PodProcess | GatewayPod
        if is_gateway(body):
            pod = GatewayPod(self._client, key, body, address=address, clock=self._clock)
        else:
            pod = PodProcess(
                self._client,
                self._session,
                key,
                body,
                address=address,
                logs=self._logs,
                clock=self._clock,
            )
        self._pods[key] = pod
        self._group.start_soon(self._run_pod, pod)

    def _end(self, pod: PodProcess | GatewayPod) -> None:
        """Forget a Pod. A new one of its name may come at once, while this one's process still drains."""
        del self._pods[pod.key]
        address = self._addresses.pop(pod.key, None)
        if address is not None:
            self._refused.add(address)
        pod.leave()

    async def _run_pod(self, pod: PodProcess | GatewayPod) -> None:
        await pod.run()
        self._refused.discard(pod.state.address)

    def _address(self, key: ResourceKey, *, refused: bool) -> str:
        if refused:
            self._refused.add(self._addresses.pop(key))
        if key not in self._addresses:
            taken = self._refused | set(self._addresses.values())
            self._addresses[key] = pod_address(self._seed, key, taken)
        return self._addresses[key]


def _runs_as(body: Body) -> type[PodProcess | GatewayPod] | None:
    """Say in what form a Pod runs; None for one that is not the playground's."""
    if is_gateway(body):
        return None if (body.get("metadata") or {}).get("deletionTimestamp") else GatewayPod
    return None if identity_of(body) is None else PodProcess
