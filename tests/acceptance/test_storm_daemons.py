"""Two daemons on one API server, while processes die, freeze and lose their network, and requests are harmed.

    .venv/bin/pytest tests/acceptance/test_storm_daemons.py --seconds 1200 [--storm SEED]

The proxy before the API server sees every request, and whose it is. In the end nothing is lost, nothing was
applied twice, nothing is left over; and at no moment did anybody write who did not hold the Lease. Some of
the objects are rolled out in steps, and their new version fails from time to time: it never grows after a
failed verdict, what is quarantined stays out, and no step is taken that no record tells of.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
import yaml
from fakes.metrics_service import MetricsService, metrics_service
from fakes.real_loop import until
from fakes.replicas import CONFIG, Replica, Replicas, replicas
from fakes.witness_proxy import LEASES, Harm, Seen
from fakes.witnessed_rollouts import (
    grown_after_failure,
    quarantined_again,
    records_back,
    unexplained,
    weights_of,
)

from gitmesh.istio.canonical import spec_hash
from gitmesh.model.kinds import DESTINATION_RULE, TRAFFIC_ROLLOUT, VIRTUAL_SERVICE
from gitmesh.model.rollout import Phase, RolloutRecord
from gitmesh.model.source import OWNER_ANNOTATION

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.timeout(3_600)]
SECONDS = 25.0
CALM_SECONDS = 120.0
NAMES = [f"shop-{number}" for number in range(6)]
WALKS = [f"walk-{number}" for number in range(3)]
WALKED = (0, 20, 50, 80)  # few, so that content which failed comes again
BAD, LAST = 95, 33  # what comes after the storm: more of a version that fails, and what is good
POLICY = f"""\
apiVersion: gitmesh.dev/v1alpha1
kind: RolloutPolicy
metadata: {{name: careful}}
spec:
  select: {{names: [{", ".join(WALKS)}]}}
  steps: [{{progress: 30, hold: 300ms}}, {{progress: 100}}]
  analysis: {{interval: 200ms, metrics: [{{name: error-rate, max: 5%}}]}}
  bake: 300ms
"""
PROVIDERS = 'metrics: {{providers: [{{name: told, kind: web, url: "{address}"}}]}}\n'
HARMS: tuple[Harm, ...] = ("drop before", "drop after", "truncate", "429", "500", "503")
DELAY_SECONDS_MAX = 0.3  # below the margin between the deadline of a leader and the end of its Lease
TRAFFIC = ("/virtualservices/", "/destinationrules/")


def rule(name: str) -> dict[str, Any]:
    subsets = [{"name": version, "labels": {"version": version}} for version in ("v1", "v2")]
    return {
        "apiVersion": DESTINATION_RULE.api_version,
        "kind": DESTINATION_RULE.kind,
        "metadata": {"name": name},
        "spec": {"host": name, "subsets": subsets},
    }


def route(name: str, weight: int) -> dict[str, Any]:
    destinations = [
        {"destination": {"host": name, "subset": "v1"}, "weight": 100 - weight},
        {"destination": {"host": name, "subset": "v2"}, "weight": weight},
    ]
    return {
        "apiVersion": VIRTUAL_SERVICE.api_version,
        "kind": VIRTUAL_SERVICE.kind,
        "metadata": {"name": name},
        "spec": {"hosts": [name], "http": [{"name": "all", "route": destinations}]},
    }


@dataclass
class Storm:
    """Everything that happens, from one seed."""

    world: Replicas
    metrics: MetricsService
    chance: random.Random
    there: dict[str, int] = field(default_factory=dict)  # name -> weight of v2, as Git has it now
    past: list[dict[str, int]] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    sick: frozenset[str] = frozenset()  # the walks whose v2 fails now
    harm: float = 0.0
    done: Counter[str] = field(default_factory=Counter)
    ended: list[tuple[str, float]] = field(default_factory=list)  # who was killed, and when

    @property
    def last(self) -> str:
        return self.commits[-1]

    def fails(self, host: str, version: str) -> float:
        return 50.0 if version == "v2" and host.partition(".")[0] in self.sick else 0.0

    def commit(self, *walks: tuple[str, int]) -> None:
        """Change some objects: weights, new ones, and some that go; a walk never goes."""
        files: dict[str, str | bytes | None] = {"policy.yaml": POLICY}
        for name, weight in walks or [(self.chance.choice(WALKS), self.chance.choice(WALKED))]:
            self.there[name] = weight
            files[f"{name}.yaml"] = yaml.safe_dump_all([rule(name), route(name, weight)])
        for name in self.chance.sample(NAMES, self.chance.randint(1, 3)):
            if name in self.there and len(self.there) > 2 and self.chance.random() < 0.25:
                del self.there[name]
                files[f"{name}.yaml"] = None
            else:
                weight = self.chance.choice([w for w in range(0, 101) if w != self.there.get(name)])
                self.there[name] = weight
                files[f"{name}.yaml"] = yaml.safe_dump_all([rule(name), route(name, weight)])
        self.past.append(dict(self.there))
        self.commits.append(self.world.repository.publish(files, f"change {len(self.past)}")[:7])
        self.done["commits"] += 1

    def harms(self, seen: Seen) -> Harm:
        return self.chance.choice(HARMS) if self.chance.random() < self.harm else ""

    def delay(self, seen: Seen) -> float:
        return self.chance.uniform(0, DELAY_SECONDS_MAX) if self.chance.random() < self.harm else 0.0

    async def blow(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.world.proxy.harms, self.world.proxy.delay = self.harms, self.delay
        async with anyio.create_task_group() as group:
            for work in (self._commits, self._accidents, self._weather):
                group.start_soon(work, end)
        self.world.proxy.harms = lambda seen: ""
        self.world.proxy.delay = lambda seen: 0.0
        self.world.proxy.cut.clear()

    async def _commits(self, end: float) -> None:
        while time.monotonic() < end:
            await anyio.to_thread.run_sync(self.commit)
            await anyio.sleep(self.chance.uniform(0.3, 2.0))

    async def _weather(self, end: float) -> None:
        while time.monotonic() < end:
            self.harm = self.chance.choice((0.0, 0.1, 0.3))
            self.sick = frozenset(name for name in WALKS if self.chance.random() < 0.4)
            await anyio.sleep(self.chance.uniform(0.5, 2.0))
        self.harm, self.sick = 0.0, frozenset()

    async def _accidents(self, end: float) -> None:
        while time.monotonic() < end:
            await anyio.sleep(self.chance.uniform(0.5, 2.5))
            replica = self.chance.choice(self.world.all)
            if self.chance.random() < 0.7:  # who waits matters less than who works
                holder = await self.world.holder()
                replica = next((r for r in self.world.all if r.identity == holder), replica)
            accident = self.chance.choice(("kill", "freeze", "freeze", "cut", "end"))
            self.done[accident] += 1
            await self._accident(accident, replica)

    async def _accident(self, accident: str, replica: Replica) -> None:
        if accident == "kill":
            replica.kill()
            self.ended.append((replica.identity, time.monotonic()))
            replica.start()
        elif accident == "end":
            await replica.stop()
            replica.start()
        elif accident == "freeze":
            replica.freeze()
            await anyio.sleep(self.chance.choice((0.3, 1.5, 4.0)))
            replica.thaw()
        else:
            self.world.proxy.cut.add(replica.identity)
            await anyio.sleep(self.chance.choice((0.5, 3.0)))
            self.world.proxy.cut.clear()


async def test_nothing_is_lost_nothing_is_applied_twice_and_nothing_is_left_over(
    tmp_path: Path, request: pytest.FixtureRequest
):
    seconds = request.config.getoption("--seconds", default=None) or SECONDS
    seed = request.config.getoption("--storm", default=None) or int(time.time())
    async with (
        metrics_service() as metrics,
        replicas(tmp_path, 2, config=CONFIG + PROVIDERS.format(address=metrics.address)) as world,
    ):
        storm = Storm(world, metrics, random.Random(seed))
        metrics.client, metrics.failing = world.client, storm.fails
        await world.follow(limits={"deletePercentMax": 100, "changePercentMax": 100})
        storm.commit(*((name, 0) for name in WALKS))
        await world.wait_applied(storm.last)
        await storm.blow(seconds)
        await every_bad_canary_goes_back(world, storm)
        await anyio.to_thread.run_sync(storm.commit, *((name, LAST) for name in WALKS))
        said = f"seed {seed} (--storm {seed}), {dict(storm.done)}"
        await world.wait_applied(storm.last, seconds=CALM_SECONDS)
        assert await live(world) == storm.there, said
        assert await leftovers(world) == set(), said
        keys = {
            f"{kind}/default/{name}" for name in storm.there for kind in ("VirtualService", "DestinationRule")
        }
        inventory = {path.partition("/")[2] for path in (await world.status()).inventory}
        assert inventory == keys, said
        assert lone_writers(world.proxy.seen) == [], said
        assert steps_back(world.proxy.seen, storm.past) == [], said
        await check_rollouts(world, storm, said)
        assert len(repeats(world.proxy.seen)) <= len(lost(world.proxy.seen)) + len(storm.ended), said
        await until(f"nothing to be written any more; {said}", lambda: is_quiet(world), CALM_SECONDS)
        assert storm.done["commits"] > seconds / 5, said
        assert len([one for one in world.proxy.seen if one.harm]) > 3, f"it was no storm: {said}"
        assert storm.done.total() - storm.done["commits"] > seconds / 12, f"it was no storm: {said}"


async def records(world: Replicas) -> dict[str, RolloutRecord]:
    found = (await world.client.list(TRAFFIC_ROLLOUT)).items
    return {body["metadata"]["name"]: RolloutRecord.model_validate(body["status"]) for body in found}


async def every_bad_canary_goes_back(world: Replicas, storm: Storm) -> None:
    """Push more of a version that fails: whatever the storm has left, all of that goes back and stays out."""
    storm.sick = frozenset(WALKS)
    await anyio.to_thread.run_sync(storm.commit, *((name, BAD) for name in WALKS))

    async def all_back() -> bool:
        found = await records(world)
        content = {name: spec_hash(route(name, BAD)["spec"]) for name in WALKS}
        back = [name for name in WALKS if found[name].phase is Phase.ROLLED_BACK]
        return back == WALKS and all(content[name] in found[name].quarantined for name in WALKS)

    await until("every bad canary to be rolled back", all_back, CALM_SECONDS)
    stable = {name: weights_of(one.stable.spec)["v2"] for name, one in (await records(world)).items()}

    async def all_stable() -> bool:
        there = await live(world)
        return {name: there[name] for name in WALKS} == stable

    await until("stable to be live", all_stable, CALM_SECONDS)
    storm.sick = frozenset()


async def check_rollouts(world: Replicas, storm: Storm, said: str) -> None:
    """Check what must hold of each step, and that every record is there and true."""
    seen = world.proxy.seen
    assert grown_after_failure(seen, WALKS, "v2") == [], said
    assert quarantined_again(seen, WALKS) == [], said
    assert unexplained(seen, WALKS, "v2") == [], said
    assert records_back(seen, WALKS, storm.commits) == [], said
    found = await records(world)
    assert set(found) == set(WALKS), said
    assert {record.phase for record in found.values()} == {Phase.SUCCEEDED}, said
    for name, record in found.items():
        assert record.stable.hash == spec_hash(route(name, LAST)["spec"]), said


async def live(world: Replicas) -> dict[str, int]:
    """Return the weights of v2, by name, of everything that is live."""
    found = (await world.client.list(VIRTUAL_SERVICE)).items
    return {body["metadata"]["name"]: body["spec"]["http"][0]["route"][1]["weight"] for body in found}


async def leftovers(world: Replicas) -> set[str]:
    """Return the rules that no route needs any more, and what carries no mark of the source."""
    routes = {body["metadata"]["name"] for body in (await world.client.list(VIRTUAL_SERVICE)).items}
    rules = (await world.client.list(DESTINATION_RULE)).items
    found = {body["metadata"]["name"] for body in rules} ^ routes
    for body in (*(await world.client.list(VIRTUAL_SERVICE)).items, *rules):
        if body["metadata"]["annotations"].get(OWNER_ANNOTATION) != "default/mesh":
            found.add(body["metadata"]["name"])
    return found


async def is_quiet(world: Replicas) -> bool:
    """Say whether nothing is written any more."""
    await until("the Lease to be held", world.holder)
    before = len(world.proxy.writes())
    await anyio.sleep(2)
    return len(world.proxy.writes()) == before


def on_traffic(seen: list[Seen]) -> list[Seen]:
    """Return the writes of traffic objects, in the order in which the server answered."""
    found = [one for one in seen if one.wrote and any(part in one.path for part in TRAFFIC)]
    return sorted(found, key=lambda one: one.answered)


def lone_writers(seen: list[Seen]) -> list[str]:
    """Return the writes of those who did not hold the Lease when the server answered them."""
    answered = sorted((one for one in seen if 200 <= one.status < 300), key=lambda one: one.answered)
    holder, wrong = "", []
    for one in answered:
        if LEASES in one.path and one.method in ("PUT", "POST"):
            holder = str((one.body.get("spec") or {}).get("holderIdentity") or "")
        elif one.wrote and one.agent and one.agent != holder:
            wrong.append(f"{one.agent} wrote {one.path} while {holder or 'nobody'} held the Lease")
    return wrong


def steps_back(seen: list[Seen], past: list[dict[str, int]]) -> list[str]:
    """Return the writes that brought an older revision of an object after a newer one."""
    reached: dict[str, int] = {}
    wrong = []
    for one in on_traffic(seen):
        name = one.path.rpartition("/")[2]
        if "/virtualservices/" not in one.path or name in WALKS:
            continue
        weight = None
        if one.method == "PATCH":
            weight = one.body["spec"]["http"][0]["route"][1]["weight"]
        possible = [number for number, there in enumerate(past) if there.get(name) == weight]
        later = [number for number in possible if number >= reached.get(name, 0)]
        if not later:
            wrong.append(f"{one.agent} brought {name} back to {weight}, which was commit {possible}")
        else:
            reached[name] = later[0]
    return wrong


def repeats(seen: list[Seen]) -> list[Seen]:
    """Return the writes that changed nothing, for the object was so already.

    A rollback names no version, and is sent again as soon as its answer is late: it says the same.
    """
    versions: dict[str, str] = {}
    found = []
    for one in on_traffic(seen):
        names_version = bool((one.body.get("metadata") or {}).get("resourceVersion"))
        if one.version and versions.get(one.path) == one.version and names_version:
            found.append(one)
        versions[one.path] = one.version
    return found


def lost(seen: list[Seen]) -> list[Seen]:
    """Return the writes whose answer never came, so that they had to be repeated."""
    return [one for one in on_traffic(seen) if one.harm in ("drop after", "truncate")]
