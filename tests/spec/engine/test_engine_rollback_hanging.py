"""A rollback is live within one guard interval and a second, whatever becomes of the writes around it."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest
from fakes.cluster import Fault, Late, Request
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

from gitmesh.model.rollout import Phase

LIMIT_SECONDS = 1.0 + 1.0  # one interval of the guard, and one second
STEPS = "10 5s, 50 600s, 100"
Matches = Callable[[Request], bool]


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def commit(reviews: str, ratings: str = "v1 100, v2 0") -> dict[str, str]:
    """One failed check is enough, so that nothing but the reaction takes time."""
    return files(
        a_service("reviews", reviews),
        a_rule("reviews"),
        a_service("ratings", ratings),
        a_rule("ratings"),
        a_policy("reviews", "ratings", steps=STEPS, failures=1),
    )


STABLE, CANARY = commit("v1 100, v2 0"), commit("v1 0, v2 100")


def is_route(request: Request, name: str = "reviews") -> bool:
    return request.writes and (request.kind, request.name) == ("VirtualService", name)


def is_record(request: Request) -> bool:
    return request.writes and request.kind == "TrafficRollout"


def phase(world: DaemonWorld) -> Phase | None:
    record = world.record()
    return record.phase if record else None


class First:
    """Orders a fault for the first few requests of a kind."""

    def __init__(self, count: int, fault: Fault | Late, matches: Matches) -> None:
        self.left, self.fault, self.matches = count, fault, matches
        self.hit: list[Request] = []

    def __call__(self, request: Request) -> Fault | Late | None:
        if self.left <= 0 or not self.matches(request):
            return None
        self.left -= 1
        self.hit.append(request)
        return self.fault


async def ramp(world: DaemonWorld, repository: Repository) -> None:
    """Bring reviews to 10 %, seen live."""
    await world.until(lambda: world.ready() == ("True", "Applied"))
    repository.push(CANARY)
    await world.until(lambda: (r := world.record()) and r.progress == 10 and r.effective_at)


async def time_to_stable(world: DaemonWorld, limit: float = LIMIT_SECONDS) -> None:
    world.metrics.error_percent["reviews", "v2"] = 100
    took = await world.until(
        lambda: world.live() == {"v1": 100} and phase(world) is Phase.ROLLED_BACK, seconds=30
    )
    assert took <= limit, f"{took} s; {world.tail()}"


async def stays_stable(world: DaemonWorld, seconds: float = 90) -> None:
    """Nothing that was sent before, and comes late, brings the canary back, but for a moment."""
    bad = 0.0
    for _ in range(int(seconds / 0.05)):
        await anyio.sleep(0.05)
        bad = bad + 0.05 if world.live() != {"v1": 100} else 0.0
        assert bad <= 0.2, world.tail()
    assert phase(world) is Phase.ROLLED_BACK


WORLDS: dict[str, Callable[[], First]] = {
    "the write of the next step hangs for ever": lambda: First(1, Late(10_000), is_route),
    "the write of the next step comes late": lambda: First(1, Late(20), is_route),
    "the write of the next step, and the first ones of the rollback, hang": lambda: First(
        3, Late(10_000), is_route
    ),
    "they come late, one after the other": lambda: First(3, Late(7), is_route),
    "every write of the record hangs": lambda: First(100, Late(10_000), is_record),
    "the first writes of everything hang": lambda: First(4, Late(30), lambda r: r.writes),
    "the write of the next step conflicts": lambda: First(3, Fault.STALE, is_route),
    "the answer to the next step is lost": lambda: First(1, Fault.ANSWER_LOST, is_route),
    "the request of the next step is lost, and so are those after it": lambda: First(
        3, Fault.REQUEST_LOST, is_route
    ),
}


@pytest.mark.parametrize("heal", [True, False], ids=["healing", "not-healing"])
@pytest.mark.parametrize("wrong", WORLDS, ids=lambda name: name.replace(" ", "-"))
def test_a_failing_canary_is_back_on_stable_in_time_although(wrong: str, heal: bool):
    async def story() -> None:
        world = DaemonWorld()
        repository = world.add_source(heal=heal)
        repository.push(STABLE)

        async def act(_: object) -> None:
            await ramp(world, repository)
            record = world.record()
            assert record
            assert record.next_at
            # Until a moment before the step to 50 %: its write meets the fault, and then the canary fails.
            await anyio.sleep((record.next_at - world.clock.now()).total_seconds() - 0.1)
            faults = WORLDS[wrong]()
            world.cluster.faults = faults
            if "record" in wrong:
                world.metrics.error_percent["reviews", "v2"] = 100
                took = await world.until(lambda: world.live() == {"v1": 100}, seconds=30)
                assert took <= LIMIT_SECONDS, world.tail()
                world.cluster.faults = lambda request: None
                await world.until(lambda: phase(world) is Phase.ROLLED_BACK, seconds=60)
            else:
                await world.until(lambda: faults.hit)
                await time_to_stable(world)
            await stays_stable(world)

        await in_world(world, act)

    run_virtually(story)


def test_the_first_step_that_is_carried_out_late_gives_the_canary_nothing():
    async def story() -> None:
        world = DaemonWorld()
        repository = world.add_source(heal=False)
        repository.push(STABLE)

        async def act(_: object) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            world.cluster.faults = First(1, Late(9), is_route)
            repository.push(CANARY)
            await world.until(lambda: (r := world.record()) and r.progress == 10)
            await anyio.sleep(1)
            record = world.record()
            assert record
            world.ask("reviews", rollBack=record.canary_hash)
            await world.until(lambda: phase(world) is Phase.ROLLED_BACK, LIMIT_SECONDS)
            await stays_stable(world, 30)

        await in_world(world, act)

    run_virtually(story)


def test_a_rollback_that_is_stuck_keeps_no_other_one_waiting():
    async def story() -> None:
        world = DaemonWorld()
        repository = world.add_source()
        repository.push(STABLE)

        async def act(_: object) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            repository.push(commit("v1 0, v2 100", "v1 0, v2 100"))
            for name in ("reviews", "ratings"):
                await world.until(lambda name=name: world.live(name) == {"v1": 90, "v2": 10})
            world.cluster.faults = First(10_000, Late(10_000), lambda r: is_route(r, "ratings"))
            world.metrics.error_percent["ratings", "v2"] = 100
            await anyio.sleep(3.3)
            assert world.live("ratings") == {"v1": 90, "v2": 10}
            await time_to_stable(world)
            world.cluster.faults = lambda request: None
            assert await world.until(lambda: world.live("ratings") == {"v1": 100}) <= 10

        await in_world(world, act)

    run_virtually(story)


def test_a_slow_server_rolls_back_in_the_end():
    """Each write takes six seconds: more than the patience of the first attempts."""

    async def story() -> None:
        world = DaemonWorld()
        repository = world.add_source()
        repository.push(STABLE)

        async def act(_: object) -> None:
            await ramp(world, repository)
            world.cluster.faults = lambda r: Late(6) if is_route(r) else None
            world.metrics.error_percent["reviews", "v2"] = 100
            await world.until(lambda: phase(world) is Phase.ROLLED_BACK)
            await world.until(lambda: world.live() == {"v1": 100}, seconds=8)
            await world.until(lambda: (r := world.record()) and r.effective_at, seconds=40)

        await in_world(world, act)

    run_virtually(story)


def test_whoever_leads_next_rolls_back_in_time_whenever_the_one_before_ends():
    """The daemon is killed a moment after the canary began to fail; its writes may come late."""

    async def story(delay: float) -> None:
        world = DaemonWorld()
        repository = world.add_source()
        repository.push(STABLE)

        async def act(group: anyio.abc.TaskGroup) -> None:
            await ramp(world, repository)
            world.cluster.faults = First(1, Late(3), is_route)
            world.metrics.error_percent["reviews", "v2"] = 100
            await anyio.sleep(delay)
            assert world.life
            world.life.kill()
            world.spawn(group)
            took = await world.until(lambda: world.live() == {"v1": 100}, seconds=30)
            assert took <= LIMIT_SECONDS, f"{took} s after {delay}; {world.tail()}"
            await stays_stable(world, 20)

        await in_world(world, act)

    for tenths in range(12):
        run_virtually(lambda tenths=tenths: story(tenths / 10))
