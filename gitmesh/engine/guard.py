"""The guard: measures every rollout in motion at its interval, apart from dwells, fetches and passes.

Stage: observe, decide (called by the daemon).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import anyio

from gitmesh.decide.schedule import next_check, queries
from gitmesh.decide.verdict import judge
from gitmesh.engine.memory import Memory, SourceMemory
from gitmesh.engine.ports import Ports
from gitmesh.engine.report import Source
from gitmesh.engine.rollouts import load_records
from gitmesh.model.metrics import MetricsFailure, RequestQuery, RequestStats
from gitmesh.model.resource import ResourceKey
from gitmesh.model.rollout import Outcome, RolloutRecord, Verdict
from gitmesh.observe.errors import MetricsError


class Guard:
    """Asks the metrics and leaves verdicts in memory. It never writes to the cluster: passes do."""

    def __init__(self, ports: Ports, memory: Memory) -> None:
        self._ports = ports
        self._memory = memory

    def in_motion(self, sources: list[Source]) -> Iterator[tuple[SourceMemory, ResourceKey, RolloutRecord]]:
        """Yield every rollout that has something to measure."""
        live = self._ports.live.snapshot()
        for source in sources:
            memory = self._memory.of(source.resource.key)
            for key, record in load_records(memory, live, source.name).items():
                if record.phase.in_motion and record.policy_spec and record.policy_spec.analysis:
                    yield memory, key, record

    def next_due(self, sources: list[Source]) -> datetime | None:
        """Return when the next check is due; None while nothing is in motion."""
        now = self._ports.clock.now()
        dues = (self._due(*item, now) for item in self.in_motion(sources))
        return min((due for due in dues if due is not None), default=None)

    def _due(
        self, memory: SourceMemory, key: ResourceKey, record: RolloutRecord, now: datetime
    ) -> datetime | None:
        return next_check(record, memory.verdicts.get(key), now)

    async def check(self, sources: list[Source]) -> bool:
        """Measure what is due. Returns True when a verdict is a failure, so that a pass must not wait."""
        now = self._ports.clock.now()
        due = [
            item for item in self.in_motion(sources) if (moment := self._due(*item, now)) and moment <= now
        ]
        failed = False

        async def one(memory: SourceMemory, key: ResourceKey, record: RolloutRecord) -> None:
            nonlocal failed
            verdict = await self._measure(record)
            memory.verdicts[key] = verdict
            failed = failed or verdict.outcome is Outcome.FAIL
            self._ports.meters.checks.labels(verdict.outcome.value).inc()
            self._ports.log.info(
                "checked",
                stage="observe",
                rollout=str(key),
                verdict=verdict.outcome.value,
                evidence=verdict.summary,
            )

        async with anyio.create_task_group() as group:
            for item in due:
                group.start_soon(one, *item)
        return failed

    async def _measure(self, record: RolloutRecord) -> Verdict:
        asked = queries(record, self._ports.clock.now())
        answers: dict[RequestQuery, RequestStats | MetricsFailure] = {}

        async def ask(query: RequestQuery) -> None:
            answers[query] = await self._count(query)

        async with anyio.create_task_group() as group:
            for query in asked:
                group.start_soon(ask, query)
        by_target = {query.target: answers[query] for query in asked}
        return judge(record, by_target, self._ports.clock.now())

    async def _count(self, query: RequestQuery) -> RequestStats | MetricsFailure:
        if self._ports.metrics is None:
            return MetricsFailure("no metrics provider is configured; set --prometheus or --scrape")
        try:
            return await self._ports.metrics.count(query)
        except MetricsError as error:
            return MetricsFailure(str(error))
