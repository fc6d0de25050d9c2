"""What the story acts on and reads from: repository, cluster, load.

Stage: playground (effect).
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
from pydantic import ValidationError

from gitmesh.engine.clock import Clock
from gitmesh.kube.errors import NotFoundError
from gitmesh.kube.protocol import Body, ClusterClient
from gitmesh.model.kinds import POD, TRAFFIC_ROLLOUT, TRAFFIC_SOURCE, VIRTUAL_SERVICE
from gitmesh.model.rollout import RolloutRecord
from gitmesh.model.source import TrafficSourceStatus
from gitmesh.playground.child import Child
from gitmesh.playground.demo.promise import Moment
from gitmesh.playground.errors import PlaygroundError
from gitmesh.playground.load import LoadGenerator, LoadRecord
from gitmesh.playground.pods import ERROR_PERCENT
from gitmesh.playground.repository import GitRepository

NAMESPACE, SERVICE, SOURCE = "default", "reviews", "traffic"
LOOK_SECONDS = 0.1
SHARE_SECONDS = 3


@dataclass(slots=True)
class World:
    """Everything that a scene can touch."""

    client: ClusterClient
    repository: GitRepository
    load: LoadGenerator
    daemon: Child
    clock: Clock

    @property
    def record(self) -> LoadRecord:
        """What the load generator has seen."""
        return self.load.record

    def now(self) -> float:
        """Return the time that the load generator counts in, in seconds."""
        return self.clock.monotonic()

    async def push(self, files: dict[str, str], message: str) -> float:
        """Commit and push; return when the push was done."""

        await anyio.to_thread.run_sync(lambda: self.repository.publish(files, message))
        return self.now()

    async def push_revert(self) -> float:
        """Revert the newest commit and push; return when the push was done."""
        await anyio.to_thread.run_sync(self.repository.revert)
        return self.now()

    async def virtual_service(self) -> Body:
        """Return the live VirtualService."""
        return await self.client.get(VIRTUAL_SERVICE, NAMESPACE, SERVICE)

    async def edit_by_hand(self, spec: Any) -> None:
        """Change the live VirtualService as somebody with kubectl would."""
        await self.client.merge_patch(VIRTUAL_SERVICE, NAMESPACE, SERVICE, {"spec": spec})

    async def make_fail(self, pod: str, percent: int) -> None:
        """Make a share of a Pod's answers errors, as `kubectl annotate pod` does."""
        patch = {"metadata": {"annotations": {ERROR_PERCENT: str(percent)}}}
        await self.client.merge_patch(POD, NAMESPACE, pod, patch)

    async def rollout(self) -> RolloutRecord | None:
        """Return where the rollout stands; None while there is none."""
        try:
            body = await self.client.get(TRAFFIC_ROLLOUT, NAMESPACE, SERVICE)
            return RolloutRecord.model_validate(body["status"])
        except (NotFoundError, KeyError, ValidationError):
            return None

    async def source(self) -> TrafficSourceStatus:
        """Return how far the source has got."""
        try:
            body = await self.client.get(TRAFFIC_SOURCE, NAMESPACE, SOURCE)
        except NotFoundError:
            return TrafficSourceStatus()
        return TrafficSourceStatus.model_validate(body.get("status") or {})

    async def until(self, what: str, seen: Callable[[], Awaitable[Any]], seconds_max: float = 30.0) -> Any:
        """Look until something is seen, and return it. Raises PlaygroundError when it takes too long."""
        end = self.now() + seconds_max
        while self.now() < end:
            if not self.daemon.is_running:
                raise PlaygroundError("the daemon ended by itself; its log says why")
            if found := await seen():
                return found
            await self.clock.sleep(LOOK_SECONDS)
        raise PlaygroundError(f"waited {seconds_max:g} s for {what}, in vain; the daemon's log may say why")

    def effective_seconds(self, record: RolloutRecord) -> float:
        """Return for how long the present step has been live."""
        if record.effective_at is None:
            return 0.0
        return (self.clock.now() - record.effective_at).total_seconds()

    def moment(self, record: RolloutRecord) -> Moment:
        """Return what the progress display shows now: of the present step, never of the one before."""
        tally = self.record.since(math.ceil(self.now() - min(SHARE_SECONDS, self.effective_seconds(record))))
        left = (record.next_at - self.clock.now()).total_seconds() if record.next_at else None
        return Moment(
            phase=record.phase.value,
            step=min(record.step + 1, record.steps),
            steps=record.steps,
            written=record.weights,
            share_percent=tally.share("v2") if tally.total else None,
            error_percent=100 * tally.failed / tally.total if tally.total else 0.0,
            next_seconds=left,
            verdict=record.verdict.summary if record.verdict else "",
        )
