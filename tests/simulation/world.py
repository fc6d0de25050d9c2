"""One simulated world: Git, cluster, metrics, people, time and accidents, all from one seed."""

from __future__ import annotations

import asyncio
import copy
import math
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
from fakes.cluster import Delay, Fault, Late, Request
from fakes.daemon_world import (
    DaemonWorld,
    Life,
    Repository,
    a_policy,
    a_rule,
    a_service,
    files,
    weights_of,
)
from fakes.virtual_time import START
from safety import BROKEN_MARK, FOREIGN, SECRET, Safety, has_windows, is_shut

from gitmesh.model.kinds import (
    DESTINATION_RULE,
    TRAFFIC_KINDS,
    TRAFFIC_ROLLOUT,
    TRAFFIC_SOURCE,
    VIRTUAL_SERVICE,
)
from gitmesh.model.metrics import RequestStats
from gitmesh.model.rollout import Phase, RolloutRecord
from gitmesh.model.source import ACCEPT_REWRITE_ANNOTATION, SYNC_ANNOTATION

SERVICES = ("reviews", "ratings")
WEIGHTS = (
    {"v1": 100, "v2": 0},
    {"v1": 0, "v2": 100},
    {"v1": 50, "v2": 50},
    {"v1": 75, "v2": 25},
    {"v1": 0, "v2": 0, "v3": 100},
)
STEPS = ("10 2s, 50 3s, 100", "5 1s, 25 1s, 50 1s, 100 1s", "50 4s, 100", "100")
STARTS = (
    START,
    START,
    datetime(2026, 3, 29, 0, 59, tzinfo=UTC),  # a minute before Berlin's clocks go forward
    datetime(2026, 10, 25, 0, 59, tzinfo=UTC),  # and back
)
EVEN_MINUTES = [{"cron": "*/2 * * * *", "duration": "1m", "timezone": "Europe/Berlin"}]
BETA = [{"headers": {"x-group": {"exact": "beta"}}}]
EXTRAS = ("", "", "", "windows", "deadline", "gate", "group", "group", "match", "mirror")
METRICS = ("", "", "latency", "query")  # beside the error rate
ACCIDENTS = (
    *("chaos", "chaos", "calm", "api", "git", "metrics", "refuse", "traffic", "version", "version", "watch"),
    *("clock", "lies", "lag", "lag", "lease"),
)
ANALYSES = ("threshold", "threshold", "sequential", "")
QUERY = "queue"
QUIET_SECONDS = 150.0


class Simulation:
    """Plays one world: accidents for a while, then none, and then everything has to be right."""

    def __init__(self, seed: int, steps: int) -> None:
        chance = random.Random(seed)
        start, writes = chance.choice(STARTS), chance.choice([1_200, 20])
        self.world = DaemonWorld(seed, start, evidence_writes_per_minute=writes)
        self.random = self.world.random
        self.replicas = 2 if self._chance(0.25) else 1
        self.alive: list[Life] = self.world.replicas
        # Each world has accidents of its own: those that stay away leave room for others to meet.
        self.accidents = self.random.sample(ACCIDENTS, self.random.randint(3, len(ACCIDENTS)))
        self.restless = self.random.choice([0.1, 0.25, 0.4])  # the share of what happens that is an accident
        self.safety = Safety(self.world, lambda: self._healthy)
        self.steps = steps
        self.chaos = 0.0
        self.suspended = False
        self.pause = 0.0  # in which nothing else happens
        self.frozen: dict[str, Any] | None = None
        self.refused: set[tuple[str, str]] = set()
        self.commits = self.random.choice([0.12, 0.35])  # where there are fewer, rollouts get further
        self.loses_steps = self._chance(0.3)
        self.stuck: dict[str, tuple[datetime | None, float]] = {}  # service -> its lost step, and since when
        self.git: dict[str, Any] = {name: self._new(STEPS[0]) for name in SERVICES}
        if self._chance(0.3):
            self.world.metrics.error_percent[self.random.choice(SERVICES), "v2"] = 30.0
        self.good: dict[str, Any] = copy.deepcopy(self.git)
        self.world.metrics.values[QUERY] = 0.5
        self.world.metrics.slow_values = self.random.choice([0.01, 0.01, 3.0])
        self.world.cluster.faults = self._fault
        self.world.cluster.refuses = lambda r: (r.kind, r.name) in self.refused
        self._group: anyio.abc.TaskGroup | None = None
        self._put_foreign()
        self.repository: Repository = self.world.add_source()
        self.world.add_source("other")
        self._push("begins")
        self._push_other()

    # Chance

    def _chance(self, share: float) -> bool:
        return self.random.random() < share

    def _fault(self, request: Request) -> Any:
        # Chance is drawn for every request, so that the same seed gives the same world.
        drawn = self.random.random()
        if self._is_stuck(request):
            return Fault.REQUEST_LOST
        if drawn >= self.chaos:
            return None
        kinds: list[Any] = [Delay(self.random.choice([0.02, 0.3, 1.5]))]
        if request.verb == "watch":
            kinds += [Fault.EXPIRED, Fault.REQUEST_LOST, Fault.THROTTLED]
        elif request.writes:
            kinds += [Fault.ANSWER_LOST, Fault.REQUEST_LOST, Fault.THROTTLED, Fault.BROKEN, Fault.DOUBLED]
            kinds.append(Late(self.random.choice([0.1, 0.8, 2.5])))
            kinds.append(Fault.STALE)
        else:
            kinds += [Fault.REQUEST_LOST, Fault.THROTTLED, Fault.BROKEN]
        return self.random.choice(kinds)

    def _is_stuck(self, request: Request) -> bool:
        """Say whether this is the write of a step that must not get through yet.

        The step is in its record meanwhile, and something comes up that speaks against it.
        """
        name, now = request.name, self.world.clock.monotonic()
        if not (self.loses_steps and request.kind == VIRTUAL_SERVICE.kind and request.writes):
            return False
        record = self.world.record(name)
        if (
            record is None
            or not record.phase.in_motion
            or record.effective_at is not None
            or record.step == 0
        ):
            return False
        step, since = self.stuck.get(name, (None, 0.0))
        if step != record.entered_at:
            self.world.log(f"accident: the write of the next step of {name} is lost, again and again")
            self.stuck[name] = record.entered_at, now
            for target in record.targets:
                self._fail_for(1.2, name, target.version)
            return True
        # Until a check has failed, or the windows have closed; in the worst moment it gets through.
        shut = is_shut(record, self.world.clock.now())
        return not (record.failed_checks or shut or now - since > (100 if has_windows(record) else 6))

    def _fail_for(self, seconds: float, name: str, version: str) -> None:
        """Let requests to a version fail for a while: once is not yet enough to go back."""
        errors, before = (
            self.world.metrics.error_percent,
            self.world.metrics.error_percent.get((name, version)),
        )
        errors[name, version] = 30.0

        def end() -> None:
            errors[name, version] = before or 0.0

        asyncio.get_running_loop().call_later(seconds, end)

    # Git

    def _files(self) -> dict[str, str]:
        bodies: list[Any] = []
        for name, says in self.git.items():
            route: dict[str, Any] = {"timeout": says["timeout"]} if says["timeout"] else {}
            if says["token"]:
                route["headers"] = {"request": {"set": {"authorization": f"Bearer {SECRET}"}}}
            weights = ", ".join(f"{v} {w}" for v, w in says["weights"].items())
            bodies.append(a_service(name, weights, **route))
            bodies.append(a_rule(name, ("v1", "v2", "v3") if "v3" in says["weights"] else ("v1", "v2")))
            if says["policy"]:
                policy = a_policy(
                    name,
                    steps=says["policy"],
                    analysis=bool(says["analysis"]),
                    mode=says["analysis"] or "threshold",
                    policy=f"careful-{name}",
                )
                add_extra(policy["spec"], says["extra"])
                add_metric(policy["spec"], says["metric"])
                bodies.append(policy)
        if self.frozen:
            bodies.append(self.frozen)
        return files(*bodies)

    def _new(self, steps: str) -> dict[str, Any]:
        """What Git says of a service at first."""
        return {
            "weights": WEIGHTS[0],
            "timeout": "",
            "policy": steps,
            "analysis": self.random.choice(ANALYSES),
            "extra": self.random.choice(EXTRAS),
            "metric": self.random.choice(METRICS),
            "token": self._chance(0.2),
        }

    def _push(self, why: str) -> None:
        self.repository.push(self._files())
        self.good = copy.deepcopy(self.git)
        said = {n: (s["weights"], s["timeout"], s["policy"], s["extra"]) for n, s in self.git.items()}
        self.world.log(f"push: {why}: {said}")

    def _push_other(self) -> None:
        """The other repository has a VirtualService of its own, and sometimes wants one of the first's."""
        repository = self.world.repositories["https://git.example.com/other.git"]
        bodies = [a_service("details", self.random.choice(["v1 100", "v1 50, v2 50"])), a_rule("details")]
        if self._chance(0.3):
            bodies.append(a_service("reviews", "v1 40, v2 60"))
            bodies.append(a_policy("reviews", steps="100"))
        repository.push(files(*bodies) if self._chance(0.8) else {"bad.yaml": "kind: ["})

    def commit(self) -> None:
        name = self.random.choice(SERVICES)
        says = self.git.get(name)
        kind = self.random.choice(
            [
                *(*("weights",) * 7, "timeout", "timeout", "policy", "policy", "remove", "broken", "empty"),
                *("revert", "force", "freeze"),
            ]
        )
        if says is None:
            self.git[name] = self._new(self.random.choice(STEPS))
        elif kind == "weights":
            says["weights"] = self.random.choice([w for w in WEIGHTS if w != says["weights"]])
            for other in self.git.values():
                if self._chance(0.4):  # one release of several
                    other["weights"] = says["weights"]
        elif kind == "timeout":
            says["timeout"] = self.random.choice(["1s", "2s", "3s", ""])
        elif kind == "policy":
            says["policy"] = self.random.choice([*STEPS, ""])
            says["analysis"] = self.random.choice(ANALYSES)
            says["extra"] = self.random.choice(EXTRAS)
        elif kind == "remove":
            del self.git[name]
            if not self.git:
                self.git[name] = says
        elif kind == "broken":
            self._push_broken()
            return
        elif kind == "empty":
            self.repository.push({})
            self.world.log("push: empty")
            return
        elif kind == "revert" and len(self.repository.commits) > 1:
            self.repository.push(self.repository.commits[-2].files)
            self.world.log("push: revert")
            return
        elif kind == "force":
            self._force_push()
            return
        elif kind == "freeze":
            self.frozen = (
                None if self.frozen else a_freeze(self.world.clock.now(), self.random.randint(5, 60))
            )
        self._push(kind)

    def _force_push(self) -> None:
        forgets = self.random.randint(1, min(3, len(self.repository.commits)))
        commit = self.repository.force_push(self._files(), forgets=forgets)
        self.world.log(f"push: force, {forgets} commits are in the branch no more")
        # It is held until a person says that it was meant.
        meant = {"metadata": {"annotations": {ACCEPT_REWRITE_ANNOTATION: commit.id}}}
        self.world.patch(TRAFFIC_SOURCE, "mesh", meant)

    def _push_broken(self) -> None:
        kept = self.git
        self.git = copy.deepcopy(kept)
        for says in self.git.values():
            says["timeout"] = BROKEN_MARK
        broken = self._files()
        self.git = kept
        name = self.random.choice(sorted(self.git))
        if self._chance(0.5):
            broken["bad.yaml"] = "a: [1"
        else:
            service = a_service(name, "v1 50, v9 50", timeout=BROKEN_MARK)
            broken.update(files(service))
        self.repository.push(broken)
        self.world.log("push: broken")

    # People

    def _put_foreign(self) -> None:
        for body in (a_service(FOREIGN, "v1 100"), a_rule(FOREIGN)):
            self.world.cluster.put(body)

    def person(self) -> None:
        name = self.random.choice(SERVICES)
        cluster = self.world.cluster
        kind = self.random.choice(
            ["edit", "delete", "rule", "record", "rollback", "retry", "suspend", "sync", "promote", "promote"]
        )
        self.world.log(f"person: {kind} {name}")
        record = self.world.record(name)
        live = cluster.find(VIRTUAL_SERVICE, "default", name)
        if kind == "edit" and live is not None:
            weights = self.random.choice(["v1 90, v2 10", "v1 10, v2 90", "v1 100, v2 0"])
            cluster.put(a_service(name, weights))
        elif kind == "delete" and live is not None:
            cluster.take(VIRTUAL_SERVICE, "default", name)
        elif kind == "rule" and cluster.find(DESTINATION_RULE, "default", name) is not None:
            cluster.take(DESTINATION_RULE, "default", name)
            self.safety.taken_away(name)
        elif kind == "record" and record is not None and self._chance(0.3):
            cluster.take(TRAFFIC_ROLLOUT, "default", name)
            self.safety.forget(name)
        elif kind == "rollback" and record is not None:
            leaving = record.canary_hash if record.phase is not Phase.SUCCEEDED else record.stable.hash
            self.world.ask(name, rollBack=leaving)
            if record.phase is Phase.SUCCEEDED:  # what was stable before may name what Git dropped since
                self.safety.ever_taken.add(name)
        elif kind == "retry" and record is not None and record.phase is Phase.ROLLED_BACK:
            self.world.ask(name, retry=record.canary_hash)
            self.safety.allow(name, record.canary_hash)
        elif kind == "promote" and record is not None and record.phase.in_motion:
            self.promote(name, record, all_steps=self._chance(0.3))
        elif kind == "promote" and record is not None and record.phase is Phase.WAITING:
            self.overrule(name, record)
        elif kind == "suspend" and record is not None:
            self.world.ask(name, suspend=self._chance(0.5))
        elif kind == "sync":
            self._sync()

    def promote(self, name: str, record: RolloutRecord, *, all_steps: bool = False) -> None:
        wanted = f"{record.canary_hash}@{'all' if all_steps else record.step}"
        self.safety.promoted.add(wanted)
        self.world.ask(name, promote=wanted)

    def overrule(self, name: str, record: RolloutRecord) -> None:
        """Let what waits past its windows, and half of it past a freeze."""
        wanted = f"{record.canary_hash}{'@sale' if record.canary_hash < '8' else ''}"
        self.safety.overruled.add(wanted)
        self.world.log(f"person: overrule {name} {wanted}")
        self.world.ask(name, overrule=wanted)

    def _sync(self, **spec: Any) -> None:
        body = {
            "apiVersion": TRAFFIC_SOURCE.api_version,
            "kind": TRAFFIC_SOURCE.kind,
            "metadata": {
                "name": "mesh",
                "namespace": "default",
                "annotations": {SYNC_ANNOTATION: str(self.random.random())},
            },
            "spec": {"url": "https://git.example.com/mesh.git", "interval": "10s", **spec},
        }
        self.world.cluster.put(body)

    def suspend_source(self) -> None:
        self.suspended = self._chance(0.4)
        self.world.log(f"person: source suspended: {self.suspended}")
        self._sync(suspend=self.suspended)

    # Accidents

    def accident(self) -> None:
        kind = self.random.choice(self.accidents)
        self.world.log(f"accident: {kind}")
        self.safety.disturbed()
        name = self.random.choice(SERVICES)
        cluster, metrics = self.world.cluster, self.world.metrics
        if kind == "chaos":
            self.chaos = self.random.choice([0.02, 0.1, 0.3])
        elif kind == "calm":
            self._calm()
        elif kind == "api":
            (cluster.start if cluster.down else cluster.stop)()
        elif kind == "git":
            self.repository.reachable = self._chance(0.5)
            self.repository.hangs = self._chance(0.2)
        elif kind == "metrics":
            metrics.blind = self._chance(0.4)
            metrics.values[QUERY] = self.random.choice([0.5, 0.5, 50.0, math.nan])
            metrics.slow_values = self.random.choice([0.01, 3.0])
            metrics.hanging = {name} if self._chance(0.2) else set()
        elif kind == "refuse":
            what = self.random.choice([*(k.kind for k in TRAFFIC_KINDS), "TrafficRollout", "TrafficSource"])
            self.refused.add((what, "mesh" if what == "TrafficSource" else name))
        elif kind == "traffic":
            metrics.requests_per_second[name] = self.random.choice([1.0, 100.0, 500.0])
        elif kind == "version":
            version = self.random.choice(["v1", "v2", "v3"])
            metrics.error_percent[name, version] = self.random.choice([0.0, 30.0, 30.0])
        elif kind == "watch":
            cluster.expire_watches()
        elif kind == "clock":
            clock = self.world.clock
            self.random.choice([clock.set_back, clock.set_forward])(self.random.choice([0.05, 0.7, 40.0]))
            self.pause = 20.0 if self._chance(0.3) else 0.0
        elif kind == "lies":
            metrics.twist = self.random.choice([self._lie, self._gap, honest])
        elif kind == "lag":
            cluster.lag = self.random.choice([0.0, 0.2, 3.0])
        elif kind == "lease" and self.replicas > 1 and self.alive:
            life = self.random.choice(self.alive)
            life.cut_off = not life.cut_off

    def _lie(self, stats: RequestStats) -> RequestStats:
        """What a broken metrics server might answer."""
        if self.random.random() < 0.7:
            return stats
        odd = [(math.nan, 0.0), (-5.0, 0.0), (10.0, 20.0), (math.inf, 1.0), (stats.requests, stats.requests)]
        requests, failed = self.random.choice(odd)
        return replace(stats, requests=requests, failed=failed)

    def _gap(self, stats: RequestStats) -> RequestStats:
        return replace(stats, requests=0.0, failed=0.0) if self.random.random() < 0.4 else stats

    def _calm(self) -> None:
        self.chaos = 0.0
        self.world.cluster.lag = 0.0
        self.world.metrics.twist = honest
        for life in self.alive:
            life.cut_off = False
        self.refused.clear()
        self.world.cluster.start()
        self.repository.reachable, self.repository.hangs = True, False
        self.world.metrics.blind = False
        self.world.metrics.hanging = set()
        self.world.metrics.requests_per_second.clear()
        self.world.metrics.values[QUERY] = 0.5
        self.world.metrics.slow_values = 0.01

    @property
    def _healthy(self) -> bool:
        """Nothing stands between a failed check and stable routes."""
        cluster, metrics = self.world.cluster, self.world.metrics
        ill = self.chaos or cluster.down or cluster.lag or metrics.blind or metrics.hanging
        ill = ill or self.refused or self.loses_steps
        lives = all(not (life.dead or life.cut_off) and life.effects_left is None for life in self.alive)
        leads = any(life.daemon and (not life.elector or life.elector.is_leader) for life in self.alive)
        return not ill and metrics.twist is honest and lives and leads

    def kill(self) -> None:
        self.safety.disturbed()
        life = self.random.choice(self.alive)
        if self._chance(0.5):
            life.effects_left = self.random.randrange(12)  # in the middle of something
        else:
            life.kill()
        if self._chance(0.3):
            self.world.mirrors.clear()
        if self._chance(0.3):
            self.repository.reachable = False  # what it was restarted for may be down as a whole

    # The play

    async def play(self) -> None:
        async with anyio.create_task_group() as group:
            for slot in range(self.replicas):
                self.alive.append(self.world.spawn(group, elects=self.replicas > 1))
                group.start_soon(self._reincarnate, group, slot)
            for _ in range(self.steps):
                self._act()
                await anyio.sleep(self.random.choice([0.0, 0.02, 0.3, 1.0, 2.5, 6.0]) + self.pause)
                self.pause = 0.0
                self._check()
            await self._end()
            group.cancel_scope.cancel()

    def _recover(self) -> None:
        """Nothing stays away for ever: a world in which nothing can happen shows nothing."""
        if self.world.cluster.down and self._chance(0.25):
            self.world.log("the API server is back")
            self.world.cluster.start()
        if not self.repository.reachable and self._chance(0.2):
            self.repository.reachable = True
        if self.suspended and self._chance(0.3):
            self.suspended = False
            self._sync(suspend=False)

    def _act(self) -> None:
        self._recover()
        drawn = self.random.random()
        if drawn < self.restless:
            self.accident()
            return
        drawn = self.random.random()
        if drawn < self.commits:
            self.commit()
        elif drawn < self.commits + 0.2:
            self.person()
        elif drawn < self.commits + 0.33:
            self.kill()
        elif drawn < self.commits + 0.35:
            self.suspend_source()
        elif drawn < self.commits + 0.4:
            self._push_other()

    async def _reincarnate(self, group: anyio.abc.TaskGroup, slot: int) -> None:
        while True:
            life = self.alive[slot]
            await life.ended.wait()
            self.world.log(f"daemon {life.number} was killed")
            await anyio.sleep(self.random.choice([0.0, 0.5, 5.0]))
            self.alive[slot] = self.world.spawn(group, elects=self.replicas > 1)

    def _check(self) -> None:
        if self.world.crashes:
            raise AssertionError(self.world.crashes[0])
        self.safety.look()
        if self.safety.violations:
            raise AssertionError(self.safety.violations[0])

    async def _end(self) -> None:
        """No more accidents and no more commits: everything becomes right, and then nothing is written."""
        self.world.log("the accidents end")
        self.loses_steps = False
        self._calm()
        for name in SERVICES:
            record = self.world.record(name)
            if record is not None:
                self.world.ask(name, suspend=False)
        self._sync(suspend=False)
        if self._chance(0.7):
            self._push("the last one")
        for life in self.alive:
            life.effects_left = None
        self.safety.disturbed()
        for _ in range(int(QUIET_SECONDS // 10)):
            await anyio.sleep(10)
            for name in SERVICES:  # somebody comes by who opens every gate
                if (record := self.world.record(name)) and record.phase.in_motion:
                    self.promote(name, record)
        self._check()
        wrong = list(self._unsettled())
        before = len(self.world.writes())
        await anyio.sleep(60)
        records = [self.world.record(name) for name in SERVICES]
        if not any(record and record.phase.in_motion for record in records):
            wrong += [f"idle, and yet: {request}" for request in self.world.writes()[before:]]
        self._check()
        assert not wrong, "\n".join(wrong)

    def _waits_for_ever(self, name: str, record: RolloutRecord) -> bool:
        """A group does not begin while one of it is rolled back."""
        others = [self.world.record(other) for other in SERVICES if other != name]
        grouped = record.policy_spec is not None and record.policy_spec.group
        return bool(grouped) and any(other and other.phase is Phase.ROLLED_BACK for other in others)

    def _unsettled(self) -> Iterator[str]:
        head = self.repository.commits[-1].files
        says = self.world.ready()
        if not head:
            if says[0] == "True" and self.world.status().inventory:
                yield f"the repository is empty, and Ready says {says}"
            return
        if any(BROKEN_MARK in text for text in head.values()):
            if says != ("False", "ValidationFailed"):
                yield f"the newest commit is broken, and Ready says {says}"
            return
        # A subset that only an earlier spec names may be nowhere any more; then a person has to act.
        if self.safety.ever_taken and "no DestinationRule" in self.world.status().conditions[0].message:
            return
        rolled_back = False
        for name in SERVICES:
            live = self.world.cluster.find(VIRTUAL_SERVICE, "default", name)
            text = head.get(f"virtualservice-{name}.yaml")
            record = self.world.record(name)
            if text is None:
                if live is not None:
                    yield f"{name} is not in Git any more, and live"
                continue
            wanted = anyio_json(text)["spec"]
            if live is None:
                yield f"{name} is in Git and not live"
            elif record is not None and record.phase is Phase.ROLLED_BACK:
                rolled_back = True
                if live["spec"] != record.stable.spec:
                    yield f"{name} is rolled back, and not stable: {weights_of(live['spec'])}"
            elif record is not None and record.phase is Phase.WAITING and self._waits_for_ever(name, record):
                rolled_back = True
                if live["spec"] != record.stable.spec:
                    yield f"{name} waits, and is not stable: {weights_of(live['spec'])}"
            elif live["spec"] != wanted:
                state = record and (record.phase, record.progress, record.message)
                yield f"{name}: live {weights_of(live['spec'])}, Git {weights_of(wanted)}, {state}"
        expected = ("False", "RolledBack") if rolled_back else ("True", "Applied")
        if says != expected:
            yield f"Ready says {says}, expected {expected}: {self.world.status().conditions[0].message}"


def add_extra(spec: dict[str, Any], extra: str) -> None:
    """Give a policy one more thing that a rollout has to heed."""
    first = spec["steps"][0]
    if extra == "windows":
        spec["windows"] = EVEN_MINUTES
    elif extra == "deadline":
        spec["deadline"] = "30s"
    elif extra == "gate":
        first["gate"] = "manual"
    elif extra == "group":
        spec["group"] = "shop"
    elif extra == "match":
        spec["steps"] = [{"match": BETA, "hold": "2s"}, *spec["steps"]]
    elif extra == "mirror":
        spec["steps"] = [{"mirror": 50, "hold": "2s"}, *spec["steps"]]


def add_metric(spec: dict[str, Any], metric: str) -> None:
    """Have the guard of a policy look at one more thing."""
    if metric == "latency" and spec["analysis"]:
        spec["analysis"]["metrics"].append({"name": "latency-p95", "max": "500ms", "minRequests": 20})
    elif metric == "query" and spec["analysis"]:
        spec["analysis"]["metrics"].append({"name": "queue", "query": QUERY, "max": 10})


def a_freeze(now: datetime, seconds: int) -> dict[str, Any]:
    """A FreezeWindow that begins now."""
    ends = now + timedelta(seconds=seconds)
    return {
        "apiVersion": "gitmesh.dev/v1alpha1",
        "kind": "FreezeWindow",
        "metadata": {"name": "sale", "namespace": "default"},
        "spec": {
            **{"from": now.isoformat(), "to": ends.isoformat(), "who": "ops", "why": "the sale"},
            "overrule": "allowed" if seconds % 2 else "denied",
        },
    }


def honest(stats: RequestStats) -> RequestStats:
    return stats


def anyio_json(text: str) -> Any:
    import orjson

    return orjson.loads(text)
