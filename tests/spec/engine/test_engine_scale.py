"""What many objects cost a daemon, counted: comparisons, requests, snapshots; never seconds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fakes.cluster import Delay, Request
from fakes.daemon_world import DaemonWorld, a_policy, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.decide.fights import Contest
from gitmesh.engine import health, status
from gitmesh.model.inventory import LISTED_MAX
from gitmesh.model.kinds import SERVICE_ENTRY, TRAFFIC_SOURCE, VIRTUAL_SERVICE
from gitmesh.model.resource import Resource, resource_from_body
from gitmesh.observe import reported
from gitmesh.observe.live import CACHED_KINDS
from gitmesh.observe.reported import Look
from gitmesh.plan.alike import Alike
from gitmesh.plan.normalize import to_apply

Story = Callable[[DaemonWorld, Any], Awaitable[None]]
SMALL, LARGE = 10, 60


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def apps(count: int) -> list[dict[str, Any]]:
    return [body for n in range(count) for body in (a_service(f"app-{n}"), a_rule(f"app-{n}"))]


def tell(story: Story, *bodies: Any, seconds: float = 60, **config: Any) -> None:
    async def whole() -> None:
        world = DaemonWorld(**config)
        world.has_metrics = False  # whether it is in effect is measured, and told, on top
        repository = world.add_source()
        repository.push(files(*bodies))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"), seconds)
            assert world.life
            assert world.life.daemon
            world.life.daemon.wake()  # what was just written is compared once, as the server has it
            await anyio.sleep(5)
            await story(world, repository)

        await in_world(world, act)

    run_virtually(whole)


def memo(world: DaemonWorld) -> Alike:
    assert world.life
    assert world.life.daemon
    (memory,) = world.life.daemon.memory.sources.values()
    return memory.alike


@pytest.mark.parametrize("count", [SMALL, LARGE])
def test_a_pass_with_nothing_to_do_compares_and_asks_nothing(count: int):
    async def story(world: DaemonWorld, _: Any) -> None:
        assert world.life
        assert world.life.daemon
        memo(world).compared, passes = 0, world.life.daemon.passes
        requests = len(world.cluster.requests)
        for _ in range(3):
            world.life.daemon.wake()
            await anyio.sleep(1)
        assert world.life.daemon.passes >= passes + 3
        assert memo(world).compared == 0
        asked = [r for r in world.cluster.requests[requests:] if r.verb not in ("watch", "list")]
        assert asked == []

    tell(story, *apps(count))


@pytest.mark.parametrize("count", [SMALL, LARGE])
def test_one_changed_object_costs_the_same_however_many_there_are(count: int):
    async def story(world: DaemonWorld, repository: Any) -> None:
        memo(world).compared = 0
        before = len(world.writes())
        bodies = apps(count)
        bodies[4] = a_service("app-2", "v1 50, v2 50")
        repository.push(files(*bodies))
        await world.until(lambda: world.live("app-2") == {"v1": 50, "v2": 50})
        await anyio.sleep(5)
        # Seen different, twice, for a revision is tried before it is taken; then alike, as it was stored.
        assert memo(world).compared <= 4
        written = [f"{r.verb} {r.kind}" for r in world.writes()[before:] if not r.dry_run]
        assert written == [
            "replace_status TrafficSource",
            "apply VirtualService",
            "replace_status TrafficSource",
            "create Event",
        ]

    tell(story, *apps(count))


@pytest.mark.parametrize("count", [SMALL, LARGE])
def test_a_label_of_somebody_else_costs_one_comparison(count: int):
    async def story(world: DaemonWorld, _: Any) -> None:
        memo(world).compared = 0
        before = len(world.writes())
        world.patch(VIRTUAL_SERVICE, "app-3", {"metadata": {"labels": {"somebody": "else"}}}, "kubectl")
        await anyio.sleep(5)
        assert memo(world).compared == 1
        assert world.writes()[before:] == []

    tell(story, *apps(count))


def test_what_was_written_a_moment_ago_is_not_looked_through_in_each_pass(monkeypatch: pytest.MonkeyPatch):
    looked: list[Contest] = []
    monkeypatch.setattr(Contest, "is_over", lambda contest, now: looked.append(contest) or False)
    monkeypatch.setattr(Contest, "rests_at", lambda contest, now: looked.append(contest) or False)

    async def story(world: DaemonWorld, _: Any) -> None:
        assert world.life
        assert world.life.daemon
        (memory,) = world.life.daemon.memory.sources.values()
        assert len(memory.contests) == 2 * LARGE
        for second in range(20):
            world.patch(VIRTUAL_SERVICE, "app-0", {"metadata": {"labels": {"seen": str(second)}}})
            await anyio.sleep(1)
        assert 0 < len(looked) <= 3 * 2 * LARGE

    tell(story, *apps(LARGE))


def test_what_waits_under_a_policy_is_found_among_many_without_one():
    async def story(world: DaemonWorld, repository: Any) -> None:
        bodies = [*apps(LARGE), a_policy("app-7", analysis=False)]
        bodies[14] = a_service("app-7", "v1 0, v2 100")
        repository.push(files(*bodies))
        await world.until(lambda: world.live("app-7").get("v2") == 10)
        await world.until(lambda: world.live("app-7").get("v2") == 100)

    tell(story, *apps(LARGE), a_policy("app-7", analysis=False), a_service("app-7", "v1 100, v2 0"))


def test_many_events_take_no_snapshot_each(monkeypatch: pytest.MonkeyPatch):
    async def story(world: DaemonWorld, _: Any) -> None:
        assert world.life
        assert world.life.live
        taken: list[int] = []
        real = world.life.live._take
        monkeypatch.setattr(world.life.live, "_take", lambda: taken.append(1) or real())  # type: ignore[func-returns-value]
        for number in range(LARGE):
            labels = {"metadata": {"labels": {"somebody": "else"}}}
            world.patch(VIRTUAL_SERVICE, f"app-{number}", labels, "kubectl")
        await anyio.sleep(5)
        assert 0 < len(taken) < LARGE / 10

    tell(story, *apps(LARGE))


def test_a_sync_that_gets_on_may_take_longer_than_a_pass_that_stands():
    """Eight requests at a time, each of a second: 120 objects take half a minute, and more than 10 s."""

    async def story(world: DaemonWorld, _: Any) -> None:
        assert not any("took too long" in line for line in world.lines)

    async def whole() -> None:
        world = DaemonWorld(pass_timeout="10s")

        def slow(request: Request) -> Delay | None:
            return Delay(1.0) if request.verb == "apply" else None

        world.cluster.faults = slow
        repository = world.add_source()
        repository.push(files(*apps(LARGE)))

        async def act(group: Any) -> None:
            took = await world.until(lambda: world.ready() == ("True", "Applied"), 120)
            assert took > 25
            await story(world, repository)

        await in_world(world, act)

    run_virtually(whole)


def test_what_was_written_is_known_before_its_wave_is_through():
    async def whole() -> None:
        world = DaemonWorld()
        world.cluster.faults = lambda request: (
            Delay(5.0) if request.name == "app-9" and not request.dry_run else None
        )
        world.add_source().push(files(*apps(SMALL)))

        async def act(group: Any) -> None:
            await world.until(lambda: world.cluster.find(VIRTUAL_SERVICE, "default", "app-1"))
            assert world.life
            assert world.life.live
            known = world.life.live.get(VIRTUAL_SERVICE.key("default", "app-1"))
            assert known is not None
            await world.until(lambda: world.ready() == ("True", "Applied"))

        await in_world(world, act)

    run_virtually(whole)


def entries(count: int) -> list[dict[str, Any]]:
    spec = {"ports": [{"number": 443, "name": "tls", "protocol": "TLS"}], "resolution": "DNS"}
    return [
        {
            "apiVersion": SERVICE_ENTRY.api_version,
            "kind": SERVICE_ENTRY.kind,
            "metadata": {"name": f"e-{n}", "namespace": "default"},
            "spec": {"hosts": [f"e-{n}.example.com"], **spec},
        }
        for n in range(count)
    ]


def test_a_large_inventory_is_packed_grows_and_shrinks_and_survives_a_restart():
    count = LISTED_MAX + 5

    async def story(world: DaemonWorld, repository: Any) -> None:
        status = world.status()
        assert (status.inventory, len(status.owned)) == ((), count)
        repository.push(files(*entries(count - 10)))
        await world.until(lambda: len(world.status().owned) == count - 10)
        assert len(world.status().inventory) == count - 10, "few enough for a list"

    tell(story, *entries(count))


def test_the_list_that_an_earlier_release_wrote_is_taken_over():
    async def story(world: DaemonWorld, repository: Any) -> None:
        source = world.cluster.find(TRAFFIC_SOURCE, "default", "mesh")
        assert source is not None
        paths = sorted(key.path for key in world.status().owned)
        status = {**source["status"], "inventory": paths}
        status.pop("packedInventory", None)
        metadata = {"name": "mesh", "namespace": "default"}
        world.cluster.put_status({**source, "metadata": metadata, "status": status}, manager="gitmesh")
        await anyio.sleep(5)
        assert {key.path for key in world.status().owned} == set(paths)
        repository.push(files(*apps(SMALL - 1)))
        await world.until(lambda: len(world.status().owned) == 2 * SMALL - 2)

    tell(story, *apps(SMALL))


IDLE = 5_000  # VirtualServices


def test_g36_five_thousand_virtual_services_at_rest_cost_no_request_and_no_comparison_in_an_hour():
    """What is live is as Git says from the start, as after a restart of the daemon."""

    async def whole() -> None:
        world = DaemonWorld()
        world.has_metrics = False
        services = [a_service(f"app-{n}", "v1 100") for n in range(IDLE)]
        rule = a_rule("app-0")
        for body in services:
            body["spec"]["http"] = [{"route": [{"destination": {"host": body["metadata"]["name"]}}]}]
        for body in (*services, rule):
            ours = to_apply(resource_from_body(body), "default/mesh").body
            world.cluster.put(ours, manager="gitmesh")
        world.add_source(interval="10m").push(files(*services, rule))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            await anyio.sleep(1_200)  # a resync, so that all was compared
            memo(world).compared, asked = 0, len(world.cluster.requests)
            await anyio.sleep(3_600)
            later = world.cluster.requests[asked:]
            assert [r for r in later if r.verb not in ("watch", "list")] == []
            assert len(later) < 20 * len(CACHED_KINDS), "watches that are asked for again, and nothing else"
            assert memo(world).compared == 0

        await in_world(world, act)

    run_virtually(whole)


def test_of_many_objects_only_one_that_changed_is_asked_what_the_mesh_says(monkeypatch: pytest.MonkeyPatch):
    async def story(world: DaemonWorld, _: Any) -> None:
        looked: list[str] = []

        def look_at(live: Resource) -> Look:
            looked.append(live.key.name)
            return reported.look_at(live)

        monkeypatch.setattr(health, "look_at", look_at)
        world.patch(VIRTUAL_SERVICE, "app-3", {"metadata": {"labels": {"somebody": "else"}}}, "kubectl")
        await anyio.sleep(5)
        assert looked == ["app-3"]

    tell(story, *apps(LARGE))


def test_many_findings_are_sorted_once_and_not_in_each_pass(monkeypatch: pytest.MonkeyPatch):
    """None of these hosts is a Service, of which each is warned."""

    async def story(world: DaemonWorld, _: Any) -> None:
        assert world.life
        assert world.life.daemon
        sorted_: list[int] = []
        real = status.worst_first
        monkeypatch.setattr(status, "worst_first", lambda found: sorted_.append(1) or real(found))  # type: ignore[func-returns-value]
        for _ in range(3):
            world.life.daemon.wake()
            await anyio.sleep(1)
        assert sorted_ == []

    tell(story, *apps(SMALL))


@pytest.mark.parametrize("count", [SMALL, LARGE])
def test_a_pass_with_nothing_to_do_looks_up_only_what_changed(count: int):
    async def story(world: DaemonWorld, _: Any) -> None:
        assert world.life
        assert world.life.daemon
        world.life.daemon.wake()
        await anyio.sleep(5)
        memo(world).looked = 0
        world.life.daemon.wake()
        await anyio.sleep(5)
        assert memo(world).looked == 0
        world.patch(VIRTUAL_SERVICE, "app-3", {"metadata": {"labels": {"somebody": "else"}}}, "kubectl")
        await anyio.sleep(5)
        assert memo(world).looked <= 3, "by the overlay, by who chooses the thread, by the plan"

    tell(story, *apps(count))


@pytest.mark.parametrize("count", [SMALL, LARGE])
def test_one_changed_object_is_looked_up_alone_however_many_there_are(count: int):
    async def story(world: DaemonWorld, repository: Any) -> None:
        bodies = apps(count)
        bodies[6] = a_service("app-3", "v1 60, v2 40")  # the first commit after the start has no earlier one
        repository.push(files(*bodies))
        await world.until(lambda: world.live("app-3") == {"v1": 60, "v2": 40})
        await anyio.sleep(5)
        memo(world).looked = 0
        bodies[4] = a_service("app-2", "v1 50, v2 50")
        repository.push(files(*bodies))
        await world.until(lambda: world.live("app-2") == {"v1": 50, "v2": 50})
        await anyio.sleep(5)
        assert memo(world).looked <= 12, "by three who ask, of the trial, the pass, and the one after it"

    tell(story, *apps(count))


def test_a_policy_that_comes_or_goes_among_many_objects_is_heeded():
    async def story(world: DaemonWorld, repository: Any) -> None:
        bodies = apps(SMALL)
        repository.push(files(*bodies, a_policy("app-2", analysis=False)))
        await anyio.sleep(15)
        bodies[4] = a_service("app-2", "v1 0, v2 100")
        repository.push(files(*bodies, a_policy("app-2", analysis=False)))
        await world.until(lambda: world.live("app-2").get("v2") == 10)
        await world.until(lambda: world.live("app-2").get("v2") == 100)
        bodies[4] = a_service("app-2")
        repository.push(files(*bodies))
        seen: set[int] = set()
        await world.until(
            lambda: seen.add(world.live("app-2").get("v2", 0)) or world.live("app-2") == {"v1": 100}
        )  # type: ignore[func-returns-value]
        assert seen <= {0, 100}, "at once, for no policy selects it any more"

    tell(story, *apps(SMALL))
