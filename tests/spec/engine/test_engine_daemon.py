"""What the daemon promises about a source: its status, when it tries again, what it leaves alone."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fakes.cluster import Fault
from fakes.daemon_world import (
    DaemonWorld,
    a_policy,
    a_rule,
    a_service,
    files,
    in_world,
    without_threads,
)
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import DESTINATION_RULE, EVENT, TRAFFIC_ROLLOUT, TRAFFIC_SOURCE, VIRTUAL_SERVICE
from gitmesh.model.rollout import Phase
from gitmesh.model.source import OWNER_ANNOTATION, SYNC_ANNOTATION

Story = Callable[[DaemonWorld, Any], Awaitable[None]]
REVIEWS = (a_service("reviews", "v1 100, v2 0"), a_rule("reviews"))
CAREFUL = (*REVIEWS, a_policy("reviews"))
CANARY = (a_service("reviews", "v1 0, v2 100"), a_rule("reviews"), a_policy("reviews"))
RATINGS = (a_service("ratings", "v1 100"), a_rule("ratings"))


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def tell(story: Story, *first: Any, **config: Any) -> None:
    """Run a story in a world with one source, `mesh`, whose repository holds `first` and is applied."""

    async def whole() -> None:
        world = DaemonWorld(**config)
        repository = world.add_source()
        repository.push(files(*(first or REVIEWS)))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            await story(world, repository)

        await in_world(world, act)

    run_virtually(whole)


def conditions(world: DaemonWorld, name: str = "mesh") -> dict[str, tuple[str, str]]:
    return {c.type: (c.status, c.reason) for c in world.status(name).conditions}


def events(world: DaemonWorld, reason: str) -> list[Any]:
    return [e for e in world.cluster.all(EVENT, "default") if e["reason"] == reason]


def test_an_applied_source_is_ready_and_nothing_else():
    async def story(world: DaemonWorld, _: Any) -> None:
        assert conditions(world) == {"Ready": ("True", "Applied"), "InEffect": ("True", "Measured")}
        status = world.status()
        assert status.last_applied_revision == status.fetched_revision == status.accepted_revision
        assert len(status.inventory) == 2

    tell(story)


def test_a_broken_commit_is_stalled_says_where_and_keeps_the_last_good_one_live_and_healed():
    async def story(world: DaemonWorld, repository: Any) -> None:
        good = world.status().last_applied_revision
        repository.push({"bad.yaml": "a: 1\nb: ["})
        await world.until(lambda: world.ready() == ("False", "ValidationFailed"))
        assert conditions(world)["Stalled"] == ("True", "ValidationFailed")
        status = world.status()
        assert status.last_applied_revision == good != status.last_attempted_revision
        assert status.findings[0].at.startswith("bad.yaml:")
        world.cluster.take(VIRTUAL_SERVICE, "default", "reviews")
        assert await world.until(lambda: world.live() == {"v1": 100}) < 1

    tell(story)


def test_an_unreachable_repository_is_reconciling_and_what_is_live_is_still_healed():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.reachable = False
        await world.until(lambda: world.ready() == ("False", "FetchFailed"))
        assert conditions(world)["Reconciling"] == ("True", "FetchFailed")
        world.cluster.put(a_service("reviews", "v1 0, v2 100"))
        assert await world.until(lambda: world.live() == {"v1": 100}) < 1
        repository.reachable = True
        await world.until(lambda: world.ready() == ("True", "Applied"))

    tell(story)


def test_one_drift_is_one_event_and_is_healed_within_a_second():
    async def story(world: DaemonWorld, _: Any) -> None:
        world.cluster.put(a_service("reviews", "v1 40, v2 60"), manager="kubectl-edit")
        assert await world.until(lambda: world.live() == {"v1": 100}) < 1
        await anyio.sleep(30)
        told = events(world, "DriftHealed")
        assert [e["count"] for e in told] == [1]
        assert "kubectl-edit" in told[0]["message"]

    tell(story)


def test_a_refused_heal_is_told_when_it_works_and_only_then():
    async def story(world: DaemonWorld, _: Any) -> None:
        world.cluster.refuses = lambda r: r.kind == "VirtualService"
        world.cluster.put(a_service("reviews", "v1 40, v2 60"))
        await anyio.sleep(10)
        assert not events(world, "DriftHealed")
        assert world.ready()[0] == "False"
        world.cluster.refuses = lambda r: False
        await world.until(lambda: world.live() == {"v1": 100}, seconds=70)
        await anyio.sleep(5)
        assert [e["count"] for e in events(world, "DriftHealed")] == [1]
        assert world.ready() == ("True", "Applied")

    tell(story)


def test_a_failed_write_is_tried_again_after_growing_times():
    async def story(world: DaemonWorld, _: Any) -> None:
        world.cluster.faults = lambda r: (
            Fault.REQUEST_LOST if (r.kind, r.verb) == ("VirtualService", "apply") else None
        )
        world.cluster.put(a_service("reviews", "v1 40, v2 60"))
        asked: list[float] = []
        world.cluster.asked = lambda r: (
            asked.append(world.clock.monotonic()) if (r.kind, r.verb) == ("VirtualService", "apply") else None
        )
        await anyio.sleep(100)
        gaps = [round(later - earlier) for earlier, later in itertools.pairwise(asked)]
        assert gaps == [1, 2, 4, 8, 16, 30, 30]

    tell(story)


def test_somebody_who_writes_at_the_same_time_is_no_failure_and_costs_a_second():
    async def story(world: DaemonWorld, repository: Any) -> None:
        stale = iter([Fault.STALE])
        world.cluster.faults = lambda r: (
            next(stale, None) if (r.kind, r.verb) == ("TrafficRollout", "replace_status") else None
        )
        repository.push(files(*CANARY))
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10}, seconds=13)
        assert not events(world, "ApplyFailed")

    tell(story, *CAREFUL)


def test_a_refused_dry_run_changes_nothing_and_is_asked_again():
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.cluster.refuses = lambda r: r.dry_run and r.name == "ratings"
        repository.push(files(a_service("reviews", "v1 50, v2 50"), a_rule("reviews"), *RATINGS))
        await world.until(lambda: world.ready() == ("False", "PlanRefused"))
        assert world.live() == {"v1": 100}
        world.cluster.refuses = lambda r: False
        await world.until(lambda: world.ready() == ("True", "Applied"), seconds=70)

    tell(story)


def test_a_sync_is_handled_once_it_is_applied_and_is_not_answered_by_an_older_pass():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(files(a_service("reviews", "v1 50, v2 50"), a_rule("reviews")))
        seen: list[tuple[str, dict[str, int]]] = []
        world.cluster.written = lambda r, *_: (
            seen.append((world.status().last_handled_sync, world.live()))
            if r.kind == "TrafficSource"
            else None
        )
        body = world.cluster.find(TRAFFIC_SOURCE, "default", "mesh")
        assert body
        world.cluster.put(
            {
                "apiVersion": body["apiVersion"],
                "kind": body["kind"],
                "metadata": {"name": "mesh", "namespace": "default", "annotations": {SYNC_ANNOTATION: "t1"}},
                "spec": body["spec"],
            }
        )
        assert await world.until(lambda: world.status().last_handled_sync == "t1") < 1
        assert next(weights for token, weights in seen if token == "t1") == {"v1": 50, "v2": 50}
        fetches = len(repository.fetched)
        await anyio.sleep(5)
        assert len(repository.fetched) == fetches, "one request is one fetch"

    tell(story)


def test_a_source_whose_spec_makes_no_sense_says_so_and_stops_no_other():
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.add_source("bad", interval="1ms").push(files(*RATINGS))
        await world.until(lambda: world.ready("bad") == ("False", "InvalidSpec"))
        assert "interval" in world.status("bad").conditions[0].message
        repository.push(files(a_service("reviews", "v1 50, v2 50"), a_rule("reviews")))
        await world.until(lambda: world.live() == {"v1": 50, "v2": 50})
        await world.until(lambda: world.ready() == ("True", "Applied"))
        writes = len(world.writes())
        await anyio.sleep(60)
        assert len(world.writes()) == writes

    tell(story)


def test_a_broken_source_never_stops_another():
    async def story(world: DaemonWorld, repository: Any) -> None:
        broken = world.add_source("aaa")
        broken.push({"bad.yaml": "a: ["})
        await world.until(lambda: world.ready("aaa") == ("False", "ValidationFailed"))
        broken.hangs = True
        repository.push(files(a_service("reviews", "v1 50, v2 50"), a_rule("reviews")))
        await world.until(lambda: world.live() == {"v1": 50, "v2": 50}, seconds=12)

    tell(story)


def test_an_exception_in_one_source_stops_no_other(monkeypatch: pytest.MonkeyPatch):
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.add_source("aaa").push(files(*RATINGS))
        assert world.life
        assert world.life.daemon
        reconciler = world.life.daemon.reconciler
        real = reconciler.run_pass

        async def run_pass(source: Any, memory: Any, alive: Any) -> Any:
            if source.name == "default/aaa":
                raise RuntimeError("a bug")
            return await real(source, memory, alive)

        monkeypatch.setattr(reconciler, "run_pass", run_pass)
        repository.push(files(a_service("reviews", "v1 50, v2 50"), a_rule("reviews")))
        await world.until(lambda: world.live() == {"v1": 50, "v2": 50}, seconds=12)
        assert "a bug" in world.crashes[0]
        world.crashes.clear()

    tell(story)


def test_a_source_that_wants_the_object_of_another_gets_neither_the_object_nor_its_rollout():
    async def story(world: DaemonWorld, repository: Any) -> None:
        thief = world.add_source("zzz")
        thief.push(files(*CANARY, *RATINGS))
        await world.until(lambda: world.ready("zzz") == ("False", "PlanRefused"))
        assert "default/mesh" in world.status("zzz").conditions[0].message
        assert world.record().source == "default/mesh"  # type: ignore[union-attr]
        assert world.live() == {"v1": 100}
        assert world.live("ratings") == {"v1": 100}, "the rest of it is applied"
        repository.push(files(*CANARY))
        await world.until(lambda: world.live() == {"v2": 100})
        assert world.record().source == "default/mesh"  # type: ignore[union-attr]

    tell(story, *CAREFUL)


def test_what_is_not_ours_holds_up_no_rollout_of_ours():
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.cluster.put(a_service("details", "v1 100"))
        details = a_service("details", "v1 50, v2 50")
        repository.push(files(*CANARY, details, a_rule("details")))
        await world.until(lambda: world.ready() == ("False", "PlanRefused"))
        await world.until(lambda: world.live() == {"v2": 100})
        assert world.live("details") == {"v1": 100}
        assert world.record("details") is None

    tell(story, *CAREFUL)


def test_after_a_restart_a_broken_newest_commit_leaves_the_last_good_one_healed():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push({"bad.yaml": "a: ["})
        await world.until(lambda: world.ready() == ("False", "ValidationFailed"))
        for mirror_lost in (False, True):
            assert world.life
            world.life.kill()
            if mirror_lost:
                world.mirrors.clear()
            world.cluster.put(a_service("reviews", "v1 40, v2 60"))
            async with anyio.create_task_group() as group:
                world.spawn(group)
                await world.until(lambda: world.live() == {"v1": 100}, seconds=2)
                assert world.ready() == ("False", "ValidationFailed")
                group.cancel_scope.cancel()

    tell(story)


def test_after_a_restart_without_a_remote_no_older_revision_comes_back():
    async def story(world: DaemonWorld, repository: Any) -> None:
        # The newest good revision is live but for one object, so it never counted as applied.
        world.cluster.put(a_service("details", "v1 100"))
        repository.push(files(*REVIEWS, *RATINGS, a_service("details", "v1 50, v2 50"), a_rule("details")))
        await world.until(lambda: world.ready() == ("False", "PlanRefused"))
        await world.until(lambda: world.live("ratings") == {"v1": 100})
        repository.reachable = False
        assert world.life
        world.life.kill()
        async with anyio.create_task_group() as group:
            world.spawn(group)
            await anyio.sleep(30)
            assert world.live("ratings") == {"v1": 100}
            group.cancel_scope.cancel()

    tell(story)


def test_the_objects_of_a_deleted_source_stay_and_its_mirror_and_alarms_go():
    async def story(world: DaemonWorld, _: Any) -> None:
        world.cluster.take(TRAFFIC_SOURCE, "default", "mesh")
        await anyio.sleep(1)
        writes = len(world.writes())
        await anyio.sleep(60)
        assert world.live() == {"v1": 100}
        assert len(world.writes()) == writes
        assert world.life
        assert world.life.daemon
        assert world.life.alarms
        assert world.life.daemon.memory.sources == {}
        assert world.life.alarms.names() == {"resync"}

    tell(story)


def test_blind_metrics_hold_say_so_and_neither_advance_nor_roll_back():
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.metrics.blind = True
        repository.push(files(*CANARY))
        await anyio.sleep(60)
        record = world.record()
        assert record
        assert (record.phase, record.progress) == (Phase.PROGRESSING, 10)
        assert record.message.startswith("blind: the metrics server is down")
        world.metrics.blind = False
        await world.until(lambda: world.live() == {"v2": 100}, seconds=15)

    tell(story, *CAREFUL)


def test_a_provider_that_never_answers_is_blind_too():
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.metrics.hanging.add("reviews")
        repository.push(files(*CANARY))
        await anyio.sleep(40)
        record = world.record()
        assert record
        assert record.progress == 10
        assert "no answer within 10 s" in record.message

    tell(story, *CAREFUL)


def test_without_a_metrics_provider_a_guarded_rollout_holds_and_says_what_to_do():
    async def whole() -> None:
        world = DaemonWorld()
        world.has_metrics = False
        repository = world.add_source()
        repository.push(files(*CAREFUL))

        async def act(_: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            repository.push(files(*CANARY))
            await anyio.sleep(40)
            record = world.record()
            assert record
            assert record.progress == 10
            assert "--prometheus" in record.message

        await in_world(world, act)

    run_virtually(whole)


def test_a_policy_without_analysis_moves_by_time_also_after_its_record_was_read_back():
    async def story(world: DaemonWorld, repository: Any) -> None:
        policy = a_policy("reviews", steps="10 60s, 100", analysis=False)
        world.metrics.error_percent["reviews", "v2"] = 100
        repository.push(files(CANARY[0], CANARY[1], policy))
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10})
        repository.reachable = False
        assert world.life
        world.life.kill()
        world.mirrors.clear()
        async with anyio.create_task_group() as group:
            world.spawn(group)
            await anyio.sleep(50)
            assert world.live() == {"v1": 90, "v2": 10}, "nobody asked for a guard"
            repository.reachable = True
            await world.until(lambda: world.live() == {"v2": 100})
            group.cancel_scope.cancel()

    tell(story, *CAREFUL)


def test_a_step_that_waits_does_not_go_live_after_a_failed_check():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(
            files(CANARY[0], CANARY[1], a_policy("reviews", steps="10 2s, 50 2s, 100", failures=100))
        )
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10})
        world.cluster.refuses = lambda r: r.kind == "VirtualService" and not r.dry_run
        await world.until(lambda: world.record().progress == 50)  # type: ignore[union-attr]
        world.metrics.error_percent["reviews", "v2"] = 100
        await world.until(lambda: world.record().failed_checks > 0)  # type: ignore[union-attr]
        world.cluster.refuses = lambda r: False
        await anyio.sleep(40)
        assert world.live() == {"v1": 90, "v2": 10}
        world.metrics.error_percent.clear()
        await world.until(lambda: world.live() == {"v2": 100})

    tell(story, *CAREFUL)


def test_an_idle_daemon_asks_the_server_for_nothing_but_watches():
    async def story(world: DaemonWorld, _: Any) -> None:
        await anyio.sleep(5)
        world.cluster.requests.clear()
        await anyio.sleep(1300)  # polls, resyncs
        assert {r.verb for r in world.cluster.requests} <= {"watch"}

    tell(story, *CAREFUL)


def test_a_suspended_source_takes_no_new_commit_and_goes_on_when_it_may():
    async def story(world: DaemonWorld, repository: Any) -> None:
        spec = world.cluster.find(TRAFFIC_SOURCE, "default", "mesh")["spec"]  # type: ignore[index]
        world.add_source("mesh", **{k: v for k, v in spec.items() if k != "url"}, suspend=True)
        repository.push(files(*CANARY))
        await anyio.sleep(30)
        assert world.ready() == ("Unknown", "Suspended")
        assert world.live() == {"v1": 100}
        assert world.record().phase is Phase.SUCCEEDED  # type: ignore[union-attr]
        world.add_source("mesh", suspend=False)
        await world.until(lambda: world.live() == {"v2": 100})

    tell(story, *CAREFUL)


def test_records_of_services_that_left_git_and_the_cluster_are_deleted():
    async def story(world: DaemonWorld, repository: Any) -> None:
        assert world.record("reviews")
        repository.push(files(*RATINGS, a_rule("reviews")))
        await world.until(lambda: not world.live())
        await world.until(lambda: world.cluster.find(TRAFFIC_ROLLOUT, "default", "reviews") is None)
        assert world.cluster.find(DESTINATION_RULE, "default", "reviews")
        await world.until(lambda: world.ready() == ("True", "Applied"))

    tell(story, *CAREFUL, *RATINGS)


def test_the_gauge_of_rollouts_counts_phases():
    async def story(world: DaemonWorld, _: Any) -> None:
        assert world.life
        assert world.life.daemon
        registry = world.life.daemon._ports.meters.registry
        assert registry.get_sample_value("gitmesh_rollouts", {"phase": "Succeeded"}) == 1
        assert registry.get_sample_value("gitmesh_rollouts", {"phase": "RolledBack"}) == 0

    tell(story, *CAREFUL)


def test_what_lost_its_mark_is_still_ours_by_the_inventory():
    async def story(world: DaemonWorld, _: Any) -> None:
        body = world.cluster.find(VIRTUAL_SERVICE, "default", "reviews")
        assert body
        del body["metadata"]["annotations"][OWNER_ANNOTATION]
        world.cluster.take(VIRTUAL_SERVICE, "default", "reviews")
        world.cluster.put(a_service("reviews", "v1 1, v2 99"))
        assert await world.until(lambda: world.live() == {"v1": 100}) < 2

    tell(story)


def test_the_metrics_are_looked_at_once_before_the_first_check_of_each_rollout():
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.metrics.prepared.clear()
        repository.push(files(*CANARY))
        await world.until(lambda: world.metrics.prepared)
        await anyio.sleep(3)
        assert world.metrics.prepared == ["reviews"]

    tell(story, *CAREFUL)
