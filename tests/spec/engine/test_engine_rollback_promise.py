"""Nothing holds up a rollback: within three guard intervals and a second, whatever else goes wrong."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest
from fakes.cluster import Delay, Request
from fakes.daemon_world import (
    DaemonWorld,
    Repository,
    a_policy,
    a_rule,
    a_service,
    files,
    in_world,
    without_threads,
)
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import DESTINATION_RULE, EVENT, TRAFFIC_SOURCE
from gitmesh.model.rollout import Phase

LIMIT_SECONDS = 3 * 1.0 + 1.0
SLOW_STEPS = "10 600s, 50 600s, 100"


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def commit(reviews: str, ratings: str = "v1 100, v2 0") -> dict[str, str]:
    return files(
        a_service("reviews", reviews),
        a_rule("reviews"),
        a_service("ratings", ratings),
        a_rule("ratings"),
        a_policy("reviews", "ratings", steps=SLOW_STEPS),
    )


STABLE, CANARY = commit("v1 100, v2 0"), commit("v1 0, v2 100", "v1 0, v2 100")


def repository(world: DaemonWorld) -> Repository:
    return next(iter(world.repositories.values()))


async def ramp(world: DaemonWorld) -> None:
    """Bring both rollouts to 10 %, confirmed."""
    await world.until(lambda: world.ready() == ("True", "Applied"))
    repository(world).push(CANARY)
    for name in ("reviews", "ratings"):
        await world.until(lambda name=name: (r := world.record(name)) and r.progress == 10 and r.effective_at)


async def time_to_stable(world: DaemonWorld, name: str = "reviews") -> float:
    world.metrics.error_percent[name, "v2"] = 100
    return await world.until(lambda: world.live(name) == {"v1": 100}, seconds=30)


def refuse(world: DaemonWorld, matches: Callable[[Request], bool]) -> None:
    world.cluster.refuses = matches


def delay(world: DaemonWorld, seconds: float, matches: Callable[[Request], bool]) -> None:
    world.cluster.faults = lambda request: Delay(seconds) if matches(request) else None


def set_source(world: DaemonWorld, **spec: object) -> None:
    url = next(iter(world.repositories))
    world.cluster.put(
        {
            "apiVersion": TRAFFIC_SOURCE.api_version,
            "kind": TRAFFIC_SOURCE.kind,
            "metadata": {"name": "mesh", "namespace": "default"},
            "spec": {"url": url, "interval": "10s", **spec},
        }
    )


def is_other(request: Request) -> bool:
    return request.kind in ("VirtualService", "DestinationRule") and request.name != "reviews"


DISTURBANCES: dict[str, Callable[[DaemonWorld], object]] = {
    "nothing else is wrong": lambda w: None,
    "Git is unreachable": lambda w: setattr(repository(w), "reachable", False),
    "Git hangs": lambda w: setattr(repository(w), "hangs", True),
    "the newest commit is broken": lambda w: repository(w).push({"bad.yaml": "a: ["}),
    "the repository is empty now": lambda w: repository(w).push({}),
    "the source is suspended": lambda w: set_source(w, suspend=True),
    "the spec of the source makes no sense": lambda w: set_source(w, interval="10ms"),
    "Git has the object no more and prunes nothing": lambda w: (
        set_source(w, prune=False),
        repository(w).push({p: t for p, t in STABLE.items() if p != "virtualservice-reviews.yaml"}),
    ),
    "the rollout is suspended": lambda w: w.ask("reviews", suspend=True),
    "writes of all other objects are refused": lambda w: refuse(w, is_other),
    "every dry run is refused": lambda w: refuse(w, lambda r: r.dry_run),
    "records cannot be written": lambda w: refuse(w, lambda r: r.writes and r.kind == "TrafficRollout"),
    "statuses cannot be written": lambda w: refuse(w, lambda r: r.writes and r.kind == "TrafficSource"),
    "events are slow": lambda w: delay(w, 60, lambda r: r.kind == "Event"),
    "dry runs are slow": lambda w: (
        delay(w, 9, lambda r: r.dry_run),
        repository(w).push(
            commit("v1 0, v2 100", "v1 0, v2 100") | files(a_service("details", "v1 100"), a_rule("details"))
        ),
    ),
    "records are slow": lambda w: delay(w, 9, lambda r: r.kind == "TrafficRollout"),
    "metrics of another rollout hang": lambda w: w.metrics.hanging.add("ratings"),
    "a wave of the same source settles": lambda w: repository(w).push(
        CANARY | files(a_service("details", "v1 100"), a_rule("details"))
    ),
    "a wave of another source settles": lambda w: w.add_source("aaa").push(
        files(a_service("details", "v1 100"), a_rule("details"))
    ),
    "another source is broken": lambda w: w.add_source("aaa").push({"bad.yaml": "a: ["}),
    "watches have expired": lambda w: w.cluster.expire_watches(),
    "the clock is set back": lambda w: w.clock.set_back(0.9),
}


@pytest.mark.parametrize("disturbance", DISTURBANCES, ids=lambda name: name.replace(" ", "-"))
def test_a_failing_canary_is_back_on_stable_in_time_although(disturbance: str):
    async def story() -> None:
        world = DaemonWorld(settle="60s")
        world.add_source().push(STABLE)

        async def act(_: object) -> None:
            # The settle time must not slow down what comes before.
            await anyio.sleep(62)
            await ramp(world)
            DISTURBANCES[disturbance](world)
            await anyio.sleep(11)  # long enough for the next fetch
            assert world.live() == {"v1": 90, "v2": 10}, world.tail()
            assert await time_to_stable(world) <= LIMIT_SECONDS, world.tail()
            await anyio.sleep(5)
            assert world.live() == {"v1": 100}

        await in_world(world, act)

    run_virtually(story)


def test_a_refused_rollback_is_tried_again_within_a_second():
    async def story() -> None:
        world = DaemonWorld()
        world.add_source().push(STABLE)

        async def act(_: object) -> None:
            await ramp(world)
            refuse(world, lambda r: (r.kind, r.name) == ("VirtualService", "reviews"))
            world.metrics.error_percent["reviews", "v2"] = 100
            await anyio.sleep(20)
            assert world.live() == {"v1": 90, "v2": 10}
            refuse(world, lambda r: False)
            assert await world.until(lambda: world.live() == {"v1": 100}) <= 1.0

        await in_world(world, act)

    run_virtually(story)


def test_a_refused_rollback_is_tried_again_while_another_source_settles_and_does_not_starve_it():
    async def story() -> None:
        world = DaemonWorld(settle="5s")
        world.add_source().push(STABLE)

        async def act(_: object) -> None:
            await ramp(world)
            refuse(world, lambda r: (r.kind, r.name) == ("VirtualService", "reviews"))
            world.metrics.error_percent["reviews", "v2"] = 100
            await anyio.sleep(5)
            world.add_source("aaa").push(files(a_service("details", "v1 100"), a_rule("details")))
            assert await world.until(lambda: world.live("details")) < 7
            world.repositories["https://git.example.com/aaa.git"].push(
                files(a_service("details", "v3 100"), a_rule("details", ["v1", "v3"]))
            )
            await world.until(lambda: "v3" in str(world.cluster.all(DESTINATION_RULE)))
            refuse(world, lambda r: False)
            assert await world.until(lambda: world.live() == {"v1": 100}) <= 1.0
            assert world.live("details") == {"v1": 100}, "the other source has settled too early"

        await in_world(world, act)

    run_virtually(story)


def test_a_restart_without_git_and_without_a_mirror_still_guards_and_obeys():
    async def story() -> None:
        world = DaemonWorld()
        world.add_source().push(STABLE)

        async def act(group: anyio.abc.TaskGroup) -> None:
            await ramp(world)
            assert world.life
            world.life.kill()
            world.mirrors.clear()
            repository(world).reachable = False
            world.spawn(group)
            record = world.record("ratings")
            assert record
            world.ask("ratings", rollBack=record.canary_hash)
            assert await world.until(lambda: world.live("ratings") == {"v1": 100}) <= 1.0
            assert await time_to_stable(world) <= LIMIT_SECONDS
            assert [world.record(n).phase for n in ("reviews", "ratings")] == [Phase.ROLLED_BACK] * 2  # type: ignore[union-attr]

        await in_world(world, act)

    run_virtually(story)


def test_a_rollback_that_could_not_be_recorded_is_recorded_later_and_told_once():
    async def story() -> None:
        world = DaemonWorld()
        world.add_source().push(STABLE)

        async def act(_: object) -> None:
            await ramp(world)
            refuse(world, lambda r: r.writes and r.kind == "TrafficRollout")
            await time_to_stable(world)
            await anyio.sleep(10)
            refuse(world, lambda r: False)
            await world.until(lambda: world.record().phase is Phase.ROLLED_BACK, seconds=31)  # type: ignore[union-attr]
            await anyio.sleep(40)
            told = [e for e in world.cluster.all(EVENT, "default") if e["reason"] == "RolledBack"]
            assert [e["count"] for e in told if e["involvedObject"]["kind"] == "VirtualService"] == [1]
            assert world.ready() == ("False", "RolledBack")

        await in_world(world, act)

    run_virtually(story)


def test_a_version_that_fails_in_its_bake_finds_the_subset_that_git_dropped():
    async def story() -> None:
        world = DaemonWorld()
        policy = a_policy("reviews", steps="100 1s", bake="60s")
        world.add_source().push(files(a_service("reviews", "v1 100"), a_rule("reviews", ["v1"]), policy))

        async def act(_: object) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            moved = files(a_service("reviews", "v2 100"), a_rule("reviews", ["v2"]), policy)
            repository(world).push(moved)
            await world.until(lambda: world.live() == {"v2": 100})
            await anyio.sleep(20)
            assert await time_to_stable(world) <= LIMIT_SECONDS, world.tail()
            world.metrics.error_percent.clear()
            record = world.record()
            assert record
            world.ask("reviews", retry=record.canary_hash)
            await world.until(lambda: world.ready() == ("True", "Applied"), seconds=90)
            (rule,) = world.cluster.all(DESTINATION_RULE)
            assert [s["name"] for s in rule["spec"]["subsets"]] == ["v2"], "nothing can go back to v1"

        await in_world(world, act)

    run_virtually(story)
