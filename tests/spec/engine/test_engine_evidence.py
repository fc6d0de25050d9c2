"""Mode sequential with a whole daemon: neither restarts nor records that cannot be written cost evidence."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from fakes.daemon_world import DaemonWorld, a_policy, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.model.rollout import Outcome, Phase, RolloutRecord


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def commit(weights: str, **analysis: Any) -> dict[str, str]:
    policy = a_policy("reviews", steps="10 3s, 50 3s, 100", bake="3s", mode="sequential")
    policy["spec"]["analysis"] |= analysis
    return files(a_service("reviews", weights), a_rule("reviews"), policy)


def the_record(world: DaemonWorld) -> RolloutRecord:
    record = world.record()
    assert record is not None
    return record


async def begin(world: DaemonWorld, **analysis: Any) -> None:
    (repository,) = world.repositories.values()
    await world.until(lambda: world.ready() == ("True", "Applied"))
    repository.push(commit("v1 0, v2 100", **analysis))
    await world.until(lambda: world.live() == {"v1": 90, "v2": 10})


def played(act: Any, **analysis: Any) -> None:
    async def story() -> None:
        world = DaemonWorld()
        world.add_source().push(commit("v1 100, v2 0", **analysis))

        async def whole(group: anyio.abc.TaskGroup) -> None:
            await begin(world, **analysis)
            await act(world, group)

        await in_world(world, whole)

    run_virtually(story)


def test_a_good_version_walks_to_the_end_on_evidence():
    async def act(world: DaemonWorld, group: Any) -> None:
        await world.until(lambda: the_record(world).phase is Phase.SUCCEEDED, seconds=60)
        assert world.live() == {"v2": 100}

    played(act)


def test_a_bad_version_is_back_within_an_interval_and_a_second():
    async def act(world: DaemonWorld, group: Any) -> None:
        world.metrics.error_percent["reviews", "v2"] = 100
        assert await world.until(lambda: world.live() == {"v1": 100}) <= 2.0, world.tail()
        assert "by chance in at most 0.1 % of rollouts" in the_record(world).message

    played(act)


BOTH = [{"name": "error-rate", "max": "5%"}, {"name": "error-rate", "compare": "stable", "margin": "1%"}]


@pytest.mark.parametrize("walk", ["weights", "routes"])
def test_a_change_that_moves_no_weight_is_judged_without_the_comparisons_that_it_lacks(walk: str):
    def changed(seconds: str) -> dict[str, str]:
        policy = a_policy("reviews", steps="50 3s, 100", bake="3s", mode="sequential")
        policy["spec"]["analysis"]["metrics"] = BOTH
        policy["spec"]["walk"] = walk
        return files(a_service("reviews", "v1 100, v2 0", timeout=seconds), a_rule("reviews"), policy)

    async def story() -> None:
        world = DaemonWorld()
        world.add_source().push(changed("3s"))

        async def whole(group: anyio.abc.TaskGroup) -> None:
            (repository,) = world.repositories.values()
            await world.until(lambda: world.ready() == ("True", "Applied"))
            repository.push(changed("4s"))
            await world.until(lambda: the_record(world).phase.in_motion)
            await world.until(lambda: the_record(world).phase is Phase.SUCCEEDED, seconds=60)
            repository.push(changed("5s"))
            await world.until(lambda: the_record(world).phase.in_motion)
            world.metrics.error_percent["reviews", "v1"] = 60
            await world.until(lambda: the_record(world).phase is Phase.ROLLED_BACK, seconds=10)

        await in_world(world, whole)

    run_virtually(story)


def test_little_traffic_holds_until_it_is_enough():
    async def act(world: DaemonWorld, group: Any) -> None:
        world.metrics.requests_per_second["reviews"] = 5.0
        await anyio.sleep(60)
        assert world.live() == {"v1": 90, "v2": 10}
        assert the_record(world).verdict.outcome is Outcome.INSUFFICIENT  # type: ignore[union-attr]
        await world.until(lambda: world.live() == {"v1": 50, "v2": 50}, seconds=200)

    played(act)


@pytest.mark.parametrize("pause", [0.0, 4.0])
def test_a_new_leader_goes_on_with_the_evidence_of_the_one_before(pause: float):
    """A few failures each life: none of them would suffice alone."""

    async def act(world: DaemonWorld, group: anyio.abc.TaskGroup) -> None:
        world.metrics.requests_per_second["reviews"] = 20.0  # two a second to the canary
        world.metrics.error_percent["reviews", "v2"] = 25
        for _ in range(60):
            if the_record(world).phase is Phase.ROLLED_BACK:
                break
            assert world.life is not None
            world.life.kill()
            await anyio.sleep(pause)
            world.spawn(group)
            await anyio.sleep(2.2)
        assert the_record(world).phase is Phase.ROLLED_BACK, world.tail()

    played(act)


def test_evidence_grows_also_while_records_cannot_be_written():
    async def act(world: DaemonWorld, group: Any) -> None:
        world.metrics.requests_per_second["reviews"] = 100.0
        await anyio.sleep(2)
        world.cluster.refuses = lambda r: r.writes and r.kind == "TrafficRollout"
        world.metrics.error_percent["reviews", "v2"] = 20
        assert await world.until(lambda: world.live() == {"v1": 100}, seconds=30) < 12, world.tail()

    played(act)


def test_a_query_is_judged_by_the_last_checks_also_in_this_mode():
    metrics = [{"name": "queue", "query": 'queue{version="$version"}', "max": 10}]

    async def act(world: DaemonWorld, group: Any) -> None:
        text = 'queue{version="v2"}'
        await anyio.sleep(4)
        assert the_record(world).verdict.outcome is Outcome.BLIND  # type: ignore[union-attr]
        world.metrics.values[text] = 3.0
        await world.until(lambda: world.live() == {"v1": 50, "v2": 50})
        world.metrics.values[text] = 30.0
        assert await world.until(lambda: world.live() == {"v1": 100}) <= 4.0

    played(act, metrics=metrics)


def test_slower_than_stable_is_rolled_back_and_as_fast_goes_on():
    metrics = [{"name": "latency-p95", "compare": "stable", "margin": "100ms"}]

    async def slow(world: DaemonWorld, group: Any) -> None:
        world.metrics.slow_percent["reviews", "v2"] = 60
        await world.until(lambda: the_record(world).phase is Phase.ROLLED_BACK, seconds=90)

    async def fast(world: DaemonWorld, group: Any) -> None:
        await world.until(lambda: the_record(world).phase is Phase.SUCCEEDED, seconds=90)

    played(slow, metrics=metrics)
    played(fast, metrics=metrics)
