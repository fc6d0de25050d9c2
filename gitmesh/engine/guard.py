"""The guard: measures every rollout in motion at its interval, apart from dwells, fetches and passes.

Stage: observe, decide (called by the daemon).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio

from gitmesh.decide.questions import questions
from gitmesh.decide.schedule import next_check
from gitmesh.decide.verdict import blind, judge
from gitmesh.engine.memory import Memory
from gitmesh.engine.ports import Metrics, Ports
from gitmesh.engine.report import Source
from gitmesh.engine.rollouts import load_records, untaken
from gitmesh.engine.scope import scope
from gitmesh.model.config import Config
from gitmesh.model.metrics import (
    Answer,
    LatencyQuery,
    MetricsFailure,
    Query,
    RequestQuery,
    ValueQuery,
)
from gitmesh.model.resource import ResourceKey
from gitmesh.model.rollout import Outcome, RolloutRecord, Verdict
from gitmesh.observe.errors import MetricsError

NEVER = datetime.min.replace(tzinfo=UTC)
PATIENCE_SECONDS = 0.3  # so long a failed check waits for the answers that it does not need


@dataclass(frozen=True, slots=True)
class Measurable:
    """One rollout in motion, and whose it is."""

    source: ResourceKey
    key: ResourceKey  # of the VirtualService
    record: RolloutRecord

    @property
    def name(self) -> tuple[ResourceKey, ResourceKey]:
        """What tells it from every other one."""
        return self.source, self.key


@dataclass(frozen=True, slots=True)
class Turn:
    """What the guard has to do now, and when to look again."""

    new: list[Measurable]  # have begun: to be prepared
    due: list[Measurable]  # to be measured; they count as being measured until `check` is done with them
    again: datetime | None  # when the next one is due; None while there is none to come


class Guard:
    """Asks the metrics and leaves verdicts in memory. It never writes to the cluster: passes do.

    Each rollout is measured by itself: one that gets no answer holds up no other.
    """

    def __init__(self, ports: Ports, memory: Memory, config: Config) -> None:
        self._ports = ports
        self._memory = memory
        self._timeout = config.metrics.timeout
        self._measuring: set[tuple[ResourceKey, ResourceKey]] = set()
        self._latest: dict[tuple[ResourceKey, ResourceKey], Verdict] = {}
        self._prepared: dict[tuple[ResourceKey, ResourceKey], datetime | None] = {}

    def configure(self, config: Config) -> None:
        """Go by other settings, and prepare anew what another provider may have to count."""
        self._timeout = config.metrics.timeout
        self._prepared.clear()

    def forget(self) -> None:
        """Begin anew."""
        self._measuring.clear()
        self._latest.clear()
        self._prepared.clear()

    def turn(self, sources: Iterable[Source]) -> Turn:
        """Look at every rollout in motion, once. What is to be prepared or measured now counts as taken."""
        now, items = self._ports.clock.now(), list(self._in_motion(sources))
        self._prepared = {i.name: self._prepared[i.name] for i in items if i.name in self._prepared}
        new = [i for i in items if self._prepared.get(i.name, NEVER) != i.record.started_at]
        self._prepared.update({item.name: item.record.started_at for item in new})
        moments = list(self._moments(items, now))
        due = [item for item, moment in moments if moment <= now]
        self._measuring.update(item.name for item in due)
        return Turn(new, due, min((moment for _, moment in moments if moment > now), default=None))

    async def prepare(self, items: Iterable[Measurable]) -> None:
        """Have the provider look once before the first check, which then has something to compare with."""
        now, metrics = self._ports.clock.now(), self._ports.metrics
        if metrics is None:
            return
        for query in dict.fromkeys(query for item in items for query in questions(item.record, now)):
            # What is wrong with the metrics, the check itself will find and say.
            with suppress(Exception), anyio.move_on_after(self._timeout.total_seconds()):
                await metrics.prepare(query)

    def _moments(self, items: Iterable[Measurable], now: datetime) -> Iterator[tuple[Measurable, datetime]]:
        seen = set()
        for item in items:
            seen.add(item.name)
            moment = next_check(item.record, self._latest.get(item.name), now)
            if moment is not None and item.name not in self._measuring:
                yield item, moment
        for name in self._latest.keys() - seen:
            del self._latest[name]

    def _in_motion(self, sources: Iterable[Source]) -> Iterator[Measurable]:
        live = self._ports.live.snapshot()
        for source in sources:
            memory = self._memory.of(source.resource.key)
            for key, record in load_records(memory, live, source.name).items():
                if record.phase.in_motion:
                    yield Measurable(source.resource.key, key, record)

    async def check(self, item: Measurable) -> Verdict:
        """Measure one rollout and leave the verdict for the next pass."""
        name = f"{item.source.namespace}/{item.source.name}"
        key, revision = str(item.key), item.record.revision
        with scope(self._ports, "check", stage="observe", source=name, rollout=key, revision=revision):
            return await self._check(item)

    async def _check(self, item: Measurable) -> Verdict:
        memory = self._memory.of(item.source)
        # What was heard and not written down yet counts too: evidence grows also while records are refused.
        heard = untaken(item.record, memory.verdicts.get(item.key, ()))
        record = memory.take(item.key, item.record, heard)
        try:
            verdict = await self._measure(record)
            memory.take(item.key, item.record, (*heard, verdict))
        except Exception as error:  # a bug that one rollout meets must never stop the guard of the others
            self._ports.log.exception("check failed unexpectedly", stage="observe", rollout=str(item.key))
            verdict = blind(record, f"{type(error).__name__}: {error}", self._ports.clock.now())
        finally:
            self._measuring.discard(item.name)
        self._latest[item.name] = verdict
        memory.hear(item.key, verdict)
        self._ports.meters.checks.labels(verdict.outcome.value).inc()
        self._ports.log.info(
            "checked",
            verdict=verdict.outcome.value,
            evidence=verdict.summary,
        )
        return verdict

    async def _measure(self, record: RolloutRecord) -> Verdict:
        """Ask everything. The verdict is of the moment of asking: that is what it is about.

        A failure is not made better by whatever else is answered: then a slow answer is waited for no longer.
        """
        now = self._ports.clock.now()
        answers: dict[Query, Answer] = {}
        asked, news = questions(record, now), anyio.Event()

        async def ask(query: Query) -> None:
            nonlocal news
            answers[query] = await self._answer(query)
            news, old = anyio.Event(), news
            old.set()

        async with anyio.create_task_group() as group:
            for query in asked:
                group.start_soon(ask, query)
            with anyio.move_on_after(PATIENCE_SECONDS):
                while len(answers) < len(asked):
                    await news.wait()
            while len(answers) < len(asked) and judge(record, answers, now).outcome is not Outcome.FAIL:
                await news.wait()
            group.cancel_scope.cancel()
        return judge(record, answers, now)

    async def _answer(self, query: Query) -> Answer:
        if self._ports.metrics is None:
            return MetricsFailure("no metrics provider is configured; set --prometheus or --scrape")
        # A provider has limits of its own and better words for them; this one is for a provider that hangs.
        seconds = 2 * self._timeout.total_seconds()
        try:
            with anyio.fail_after(seconds):
                return await _asked(self._ports.metrics, query)
        except MetricsError as error:
            return MetricsFailure(str(error))
        except TimeoutError:
            return MetricsFailure(f"the metrics provider gave no answer within {seconds:g} s")
        except Exception as error:  # one target must never stop the guard of the others
            self._ports.log.exception("check failed unexpectedly", stage="observe", query=str(query))
            return MetricsFailure(f"{type(error).__name__}: {error}")


async def _asked(metrics: Metrics, query: Query) -> Answer:
    match query:
        case RequestQuery():
            return await metrics.count(query)
        case LatencyQuery():
            return await metrics.latency(query)
        case ValueQuery():
            return await metrics.value(query)
