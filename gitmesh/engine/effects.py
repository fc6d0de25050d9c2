"""Whether what was written is in effect: measured beside passes, after a change and until it is confirmed.

Stage: observe (called by the daemon). No rollback and no step waits for it, and none is decided by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import anyio

from gitmesh.apply.executor import Applied
from gitmesh.decide.effect import Compared, Fit, Share, also_ruled_elsewhere, compare, expected
from gitmesh.engine.memory import Memory, SourceMemory
from gitmesh.engine.ports import Metrics, Ports
from gitmesh.engine.report import Source
from gitmesh.engine.rollouts import read_record, rollout_key
from gitmesh.engine.scope import scope
from gitmesh.engine.targets import Rules, resolver, versions
from gitmesh.istio.canonical import spec_hash
from gitmesh.model.config import Config
from gitmesh.model.effect import Effect, EffectState, Watch
from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.metrics import COUNT_MAX, RequestQuery
from gitmesh.model.plan import ChangeKind
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.rollout import Target
from gitmesh.observe.errors import MetricsError

WATCHED_MAX = 100  # objects of one source at a time; a commit that changes more is measured in part
LOOK_FIRST, LOOK_MAX = timedelta(seconds=2), timedelta(minutes=5)
CONTRADICTED_LOOK_MAX = timedelta(seconds=30)
LAG = timedelta(seconds=1)  # for the change to reach the proxies; those that are later, a second look sees
WAIT_MAX = timedelta(seconds=30)  # so long Ready waits for enough requests, once there are some
GIVE_UP = timedelta(hours=1)
AGAINST_MIN = 2  # looks in a row, each at new requests: proxies do not get a change all at once
CONCURRENT_MAX = 4
_DOUBLINGS_MAX = 10

Name = tuple[ResourceKey, ResourceKey]  # source, object


def note_written(memory: SourceMemory, applied: Applied, ports: Ports) -> None:
    """Begin to watch what a change has made of the routes."""
    key = applied.change.key
    if applied.error is not None or key.kind != VIRTUAL_SERVICE.kind:
        return
    if applied.change.kind is ChangeKind.DELETE or applied.result is None:
        memory.effects.pop(key, None)
        return
    content = spec_hash(applied.result.spec)
    known = memory.effects.get(key)
    if not ports.can_measure or (known is not None and known.effect.content == content):
        return
    if known is None and len(memory.effects) >= WATCHED_MAX:
        settled = [k for k, watch in memory.effects.items() if watch.due is None]
        if not settled:
            return
        del memory.effects[settled[0]]
    now = ports.clock.now()
    effect = Effect(resource=key.path, content=content, changed_at=now)
    memory.effects[key] = Watch(effect, due=now + LAG)


def restore(source: Source, memory: SourceMemory, ports: Ports) -> None:
    """Take up what the daemon before this one was not done with."""
    if memory.effects_restored:
        return
    memory.effects_restored = True
    for effect in source.status.effects if ports.can_measure else ():
        if effect.resource.count("/") == 3:
            due = None if effect.state.is_final else ports.clock.now()
            memory.effects.setdefault(ResourceKey.from_path(effect.resource), Watch(effect, due=due))


def effects_of(memory: SourceMemory) -> tuple[Effect, ...]:
    """Return what is known, in a fixed order."""
    return tuple(watch.effect for _, watch in sorted(memory.effects.items()))


class Verifier:
    """Looks at what changed and leaves in memory what it saw; passes write it down."""

    def __init__(self, ports: Ports, memory: Memory, config: Config) -> None:
        self._ports = ports
        self._memory = memory
        self._config = config
        self._wanted = anyio.Event()
        self._looking: set[Name] = set()
        self._limit = anyio.Semaphore(CONCURRENT_MAX)

    def configure(self, config: Config) -> None:
        """Go by other settings from now on."""
        self._config = config

    def look(self) -> None:
        """Look soon whether anything is due."""
        self._wanted.set()

    async def run(self, wake: Callable[[], None]) -> None:
        """Look whenever something is due, until cancelled; `wake` is called when there is news."""
        self._looking.clear()
        async with anyio.create_task_group() as group:
            while True:
                self._wanted = anyio.Event()
                for name in self._take_due():
                    group.start_soon(self._look, name, wake)
                self._arm()
                await self._wanted.wait()

    def _moments(self) -> Iterator[tuple[Name, datetime]]:
        for source, memory in self._memory.sources.items():
            for key, watch in memory.effects.items():
                if watch.due is not None and (source, key) not in self._looking:
                    yield (source, key), watch.due

    def _take_due(self) -> list[Name]:
        now = self._ports.clock.now()
        due = [name for name, moment in self._moments() if moment <= now]
        self._looking.update(due)
        return due

    def _arm(self) -> None:
        moments = [moment for _, moment in self._moments()]
        if moments:
            self._ports.alarms.at("effects", min(moments), self.look)
        else:
            self._ports.alarms.cancel("effects")

    async def _look(self, name: Name, wake: Callable[[], None]) -> None:
        source = f"{name[0].namespace}/{name[0].name}"
        about = {"source": source, "rollout": str(name[1]), "revision": self._memory.of(name[0]).at}
        with scope(self._ports, "effect", stage="observe", **about):
            await self._look_at(name, wake)

    async def _look_at(self, name: Name, wake: Callable[[], None]) -> None:
        memory = self._memory.of(name[0])
        watch = memory.effects.get(name[1])
        try:
            async with self._limit:
                after = await self._after(name[1], watch) if watch else None
        except Exception as error:  # what goes wrong here concerns nothing else
            self._ports.log.exception("measuring failed unexpectedly")
            after = self._blind(watch, f"{type(error).__name__}: {error}") if watch else None
        finally:
            self._looking.discard(name)
        if watch is not None and memory.effects.get(name[1]) is watch:  # else it has changed meanwhile
            if after is None:
                del memory.effects[name[1]]
            else:
                memory.effects[name[1]] = after
            if after is None or after.effect != watch.effect:
                wake()
        self.look()

    async def _after(self, key: ResourceKey, watch: Watch) -> Watch | None:
        """Return the watch after one look; None when there is nothing to look at."""
        live, now = self._ports.live.snapshot(), self._ports.clock.now()
        service = live.resources.get(key)
        if service is None or spec_hash(service.spec) != watch.effect.content:
            return None
        record = read_record(live.rollouts.get(rollout_key(key)))
        if record is not None and record.phase.in_motion:
            return replace(watch, due=now + 2 * LOOK_FIRST, since=None)
        shares = _expected(service, self._memory.live_rules.of(live.resources))
        if not shares or self._ports.metrics is None or not self._ports.can_measure:
            return None
        if watch.since is None:
            return await self._begun(watch, shares, self._ports.metrics)
        try:
            counts = await self._counted(shares, watch.since, now, self._ports.metrics)
        except MetricsError as error:
            return self._blind(watch, str(error))
        found = compare(shares, counts)
        if found.fit is Fit.CONTRADICTED:
            return await self._against(service, watch, shares, found, self._ports.metrics)
        return self._for(watch, found, now)

    async def _begun(self, watch: Watch, shares: tuple[Share, ...], metrics: Metrics) -> Watch:
        """Count from now on: what came before the change had reached the proxies says nothing."""
        since = self._ports.clock.now()
        for share in shares:
            # What is wrong with the metrics, the counting itself will find and say.
            with suppress(MetricsError), anyio.move_on_after(self._config.metrics.timeout.total_seconds()):
                await metrics.prepare(_query(share.target, since, since))
        return replace(watch, since=since, due=self._ports.clock.now() + LOOK_FIRST)

    async def _counted(
        self, shares: tuple[Share, ...], since: datetime, now: datetime, metrics: Metrics
    ) -> dict[Target, float]:
        seconds = 2 * self._config.metrics.timeout.total_seconds()
        counts: dict[Target, float] = {}
        try:
            with anyio.fail_after(seconds):
                for share in shares:
                    requests = (await metrics.count(_query(share.target, since, now))).requests
                    if not 0 <= requests <= COUNT_MAX:
                        raise MetricsError(f"{requests:g} is no count of requests")
                    counts[share.target] = requests
        except TimeoutError:
            raise MetricsError(f"the metrics provider gave no answer within {seconds:g} s") from None
        return counts

    def _for(self, watch: Watch, found: Compared, now: datetime) -> Watch:
        """Go on after a look that contradicts nothing."""
        effect = watch.effect
        counted = f"{found.requests:.0f} requests"
        if found.fit is Fit.CONFIRMED:
            return self._with(watch, EffectState.MEASURED, f"of {counted}, {found.figures}", due=None)
        patient = found.requests > 0 and now - effect.changed_at < WAIT_MAX
        if patient and effect.state is EffectState.MEASURING:
            return replace(watch, due=now + LOOK_FIRST, looks=watch.looks + 1, against=0)
        if effect.state is EffectState.CONTRADICTED and found.requests:
            return replace(watch, due=now + LOOK_FIRST, looks=watch.looks + 1, against=0)
        if effect.state is EffectState.CONTRADICTED:
            return replace(watch, due=self._later(watch, now, CONTRADICTED_LOOK_MAX), looks=watch.looks + 1)
        few = "too few requests" if found.requests > 0 else "no requests"
        return self._with(watch, EffectState.NOT_MEASURED, few, due=self._later(watch, now, LOOK_MAX))

    async def _against(
        self, service: Resource, watch: Watch, shares: tuple[Share, ...], found: Compared, metrics: Metrics
    ) -> Watch:
        """Go on after a look that contradicts: look once more, at new requests, before it is said."""
        against = watch.against + 1
        again = await self._begun(replace(watch, looks=watch.looks + 1), shares, metrics)
        if against < AGAINST_MIN:
            return replace(again, against=against)
        text = f"of {found.requests:.0f} requests, {found.figures}"
        now, why = self._ports.clock.now(), also_ruled_elsewhere(service)
        if why:
            due = self._later(watch, now, LOOK_MAX)
            return self._with(again, EffectState.NOT_MEASURED, f"{text}; but {why}", due=due, against=against)
        hint = "look for another VirtualService of the host, and at exportTo and gateways"
        due = self._later(watch, now, CONTRADICTED_LOOK_MAX)
        return self._with(again, EffectState.CONTRADICTED, f"{text}; {hint}", due=due, against=against)

    def _blind(self, watch: Watch, why: str) -> Watch:
        due = self._later(watch, self._ports.clock.now(), LOOK_MAX)
        if watch.effect.state is EffectState.CONTRADICTED:
            return replace(watch, due=due, looks=watch.looks + 1)
        return self._with(watch, EffectState.NOT_MEASURED, why[:300], due=due)

    def _with(
        self, watch: Watch, state: EffectState, text: str, *, due: datetime | None, against: int = 0
    ) -> Watch:
        """Return the watch with another outcome; the same outcome keeps its first words."""
        effect = watch.effect
        if effect.state is not state:
            effect = effect.model_copy(update={"state": state, "message": text})
            self._ports.log.info("effect", state=state.value, said=text)
        return replace(watch, effect=effect, due=due, looks=watch.looks + 1, against=against)

    def _later(self, watch: Watch, now: datetime, most: timedelta) -> datetime | None:
        if now - watch.effect.changed_at > GIVE_UP and watch.effect.state is not EffectState.CONTRADICTED:
            return None
        return now + min(LOOK_FIRST * (1 << min(watch.looks, _DOUBLINGS_MAX)), most)


def _expected(service: Resource, rules: Rules) -> tuple[Share, ...]:
    resolve = resolver(service.key.namespace, rules)
    return expected(service, resolve, lambda host: versions(host, rules))


def _query(target: Target, since: datetime, now: datetime) -> RequestQuery:
    window = max(now - since, timedelta(milliseconds=1))
    return RequestQuery(target, window, since)
