"""What becomes of the objects of a TrafficSource that is deleted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fakes.cluster import Fault
from fakes.daemon_world import DaemonWorld, a_policy, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import DESTINATION_RULE, EVENT, TRAFFIC_ROLLOUT, TRAFFIC_SOURCE, VIRTUAL_SERVICE
from gitmesh.model.source import FINALIZER

Story = Callable[[DaemonWorld, Any], Awaitable[None]]
REVIEWS = (a_service("reviews", "v1 100, v2 0"), a_rule("reviews"), a_policy("reviews"))
RATINGS = (a_service("ratings", "v1 100"), a_rule("ratings"))


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def tell(story: Story, *first: Any, policy: str | None = "delete", **config: Any) -> None:
    async def whole() -> None:
        world = DaemonWorld(**config)
        repository = world.add_source(**({"deletionPolicy": policy} if policy else {}))
        repository.push(files(*(first or (*REVIEWS, *RATINGS))))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            await story(world, repository)

        await in_world(world, act)

    run_virtually(whole)


def finalizers(world: DaemonWorld) -> list[str]:
    body = world.cluster.find(TRAFFIC_SOURCE, "default", "mesh")
    assert body
    return body["metadata"].get("finalizers") or []


def delete(world: DaemonWorld) -> None:
    world.cluster.take(TRAFFIC_SOURCE, "default", "mesh")


def is_there(world: DaemonWorld) -> bool:
    return world.cluster.find(TRAFFIC_SOURCE, "default", "mesh") is not None


def objects(world: DaemonWorld) -> list[str]:
    kinds = (VIRTUAL_SERVICE, DESTINATION_RULE)
    return sorted(f"{b['kind']} {b['metadata']['name']}" for kind in kinds for b in world.cluster.all(kind))


def events(world: DaemonWorld, reason: str) -> list[Any]:
    return [e for e in world.cluster.all(EVENT, "default") if e["reason"] == reason]


def test_by_default_the_objects_stay_and_nothing_keeps_the_source():
    async def story(world: DaemonWorld, _: Any) -> None:
        there = objects(world)
        assert not finalizers(world)
        delete(world)
        assert not is_there(world)
        writes = len(world.writes())
        await anyio.sleep(700)
        assert (objects(world), len(world.writes())) == (there, writes)

    tell(story, policy=None)


def test_with_delete_all_it_owned_goes_routes_before_what_they_name_then_the_records_then_the_source():
    async def story(world: DaemonWorld, _: Any) -> None:
        assert finalizers(world) == [FINALIZER]
        world.cluster.put(a_rule("foreign"))
        gone: list[str] = []
        world.cluster.written = lambda r, *_: gone.append(r.kind) if r.verb == "delete" else None
        delete(world)
        assert is_there(world)
        await world.until(lambda: not is_there(world))
        assert objects(world) == ["DestinationRule foreign"]
        assert not world.cluster.all(TRAFFIC_ROLLOUT)
        assert gone == [*["VirtualService"] * 2, *["DestinationRule"] * 2, "TrafficRollout"]
        assert "everything it owned is deleted" in events(world, "Removed")[0]["message"]

    tell(story)


def test_a_service_is_left_to_itself_between_the_routes_and_what_they_named():
    async def story(world: DaemonWorld, _: Any) -> None:
        when: dict[str, float] = {}
        world.cluster.written = lambda r, *_: (
            when.update({r.kind: world.clock.monotonic()}) if r.verb == "delete" else None
        )
        delete(world)
        await world.until(lambda: not is_there(world))
        assert round(when["DestinationRule"] - when["VirtualService"], 6) >= 0.5

    tell(story)


def test_what_is_never_pruned_and_what_is_left_alone_stays():
    async def story(world: DaemonWorld, _: Any) -> None:
        for name, annotation in (("ratings", "prune"), ("reviews", "reconcile")):
            marks = {"metadata": {"annotations": {f"gitmesh.dev/{annotation}": "disabled"}}}
            world.patch(DESTINATION_RULE, name, marks, manager="kubectl")
        await anyio.sleep(1)
        delete(world)
        await world.until(lambda: not is_there(world))
        assert objects(world) == ["DestinationRule ratings", "DestinationRule reviews"]

    tell(story)


def test_g9_a_denied_delete_keeps_the_source_says_so_and_is_tried_again():
    async def story(world: DaemonWorld, _: Any) -> None:
        world.cluster.refuses = lambda r: (r.verb, r.name, r.kind) == ("delete", "ratings", "DestinationRule")
        delete(world)
        await world.until(lambda: world.ready() == ("False", "DeletionRefused"))
        message = world.status().conditions[0].message
        assert "DestinationRule default/ratings" in message
        assert FINALIZER in message
        assert len(objects(world)) == 4, "nothing of a plan that is refused is carried out"
        world.cluster.refuses = lambda r: False
        await world.until(lambda: not is_there(world), seconds=61)
        assert objects(world) == []

    tell(story)


def test_an_api_server_that_fails_is_tried_again_until_all_is_gone():
    async def story(world: DaemonWorld, _: Any) -> None:
        broken = iter([Fault.BROKEN] * 5)
        world.cluster.faults = lambda r: next(broken, None) if r.verb in ("delete", "merge_patch") else None
        delete(world)
        await world.until(lambda: not is_there(world), seconds=90)
        assert objects(world) == []

    tell(story)


def test_what_cannot_be_deleted_in_an_hour_is_left_so_that_no_namespace_hangs_for_ever():
    async def story(world: DaemonWorld, _: Any) -> None:
        world.cluster.refuses = lambda r: (r.verb, r.kind) == ("delete", "DestinationRule")
        delete(world)
        await anyio.sleep(3000)
        assert is_there(world)
        await world.until(lambda: not is_there(world), seconds=700)
        assert "could not be deleted within 1:00:00" in events(world, "Orphaned")[0]["message"]
        assert len(objects(world)) == 4

    tell(story)


def test_a_suspended_source_leaves_its_objects():
    async def story(world: DaemonWorld, _: Any) -> None:
        world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {"suspend": True}})
        await world.until(lambda: world.ready() == ("Unknown", "Suspended"))
        delete(world)
        await world.until(lambda: not is_there(world))
        assert len(objects(world)) == 4
        assert "because the source was suspended" in events(world, "Orphaned")[0]["message"]

    tell(story)


def test_the_finalizer_comes_and_goes_with_the_policy_and_leaves_those_of_others_alone():
    async def story(world: DaemonWorld, _: Any) -> None:
        marks = {"metadata": {"finalizers": [FINALIZER, "example.com/theirs"]}}
        world.patch(TRAFFIC_SOURCE, "mesh", marks, manager="theirs")
        world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {"deletionPolicy": "orphan"}})
        await world.until(lambda: finalizers(world) == ["example.com/theirs"])
        world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {"deletionPolicy": "delete"}})
        await world.until(lambda: finalizers(world) == ["example.com/theirs", FINALIZER])
        delete(world)
        await world.until(lambda: finalizers(world) == ["example.com/theirs"])
        assert objects(world) == []
        writes = len(world.writes())
        await anyio.sleep(700)
        assert len(world.writes()) == writes, "what is not there any more is left in peace"

    tell(story)


def test_a_policy_that_is_changed_while_it_is_being_deleted_counts():
    async def story(world: DaemonWorld, _: Any) -> None:
        world.cluster.refuses = lambda r: (r.verb, r.kind) == ("delete", "DestinationRule")
        delete(world)
        await world.until(lambda: world.ready() == ("False", "DeletionRefused"))
        world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {"deletionPolicy": "orphan"}})
        await world.until(lambda: not is_there(world))
        assert len(objects(world)) == 4

    tell(story)


@pytest.mark.parametrize("effects", range(0, 24, 3))
def test_a_daemon_that_is_killed_on_the_way_goes_on_when_it_is_back(effects: int):
    async def story(world: DaemonWorld, _: Any) -> None:
        assert world.life
        world.life.effects_left = effects
        delete(world)
        with anyio.move_on_after(3):
            await world.life.ended.wait()
        async with anyio.create_task_group() as group:
            if world.life.dead:
                world.spawn(group)
            await world.until(lambda: not is_there(world))
            assert objects(world) == []
            assert not world.cluster.all(TRAFFIC_ROLLOUT)
            group.cancel_scope.cancel()

    tell(story)


def test_nothing_is_healed_or_brought_back_while_it_is_being_deleted():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(a_service("reviews", "v1 0, v2 100"), *REVIEWS[1:], *RATINGS))
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10})
        world.cluster.refuses = lambda r: (r.verb, r.name) == ("delete", "ratings") and not r.dry_run
        world.metrics.error_percent["reviews", "v2"] = 50
        delete(world)
        await world.until(lambda: world.ready()[1].startswith("Deletion"))
        await anyio.sleep(30)
        assert "VirtualService reviews" not in objects(world)

    tell(story)
