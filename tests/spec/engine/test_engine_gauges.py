"""The series of sources and rollouts: they say how each stands, and go when it goes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
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

from gitmesh.engine.gauges import ROLLOUT_SERIES_MAX, Gauges
from gitmesh.engine.meters import Meters
from gitmesh.model.kinds import TRAFFIC_ROLLOUT, TRAFFIC_SOURCE
from gitmesh.model.resource import Resource, ResourceKey, resource_from_body
from gitmesh.model.rollout import Phase

Story = Callable[[DaemonWorld, Repository], Awaitable[None]]


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def commit(weights: str) -> dict[str, str]:
    policy = a_policy("reviews", steps="10 60s, 100", bake="0s")
    return files(a_service("reviews", weights), a_rule("reviews"), policy)


def play(story: Story) -> None:
    async def begin() -> None:
        world = DaemonWorld()
        repository = world.add_source()
        repository.push(commit("v1 100, v2 0"))

        async def act(_: object) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            await story(world, repository)

        await in_world(world, act)

    run_virtually(begin)


def meters_of(world: DaemonWorld) -> Meters:
    assert world.life
    assert world.life.daemon
    return world.life.daemon.reconciler.gauges._meters


def value(meters: Meters, name: str, **labels: str) -> float | None:
    return meters.registry.get_sample_value(f"gitmesh_{name}", labels)


def series(meters: Meters, name: str) -> list[dict[str, str]]:
    families = meters.registry.collect()
    return [s.labels for f in families for s in f.samples if s.name == f"gitmesh_{name}" and s.value]


def test_a_source_that_is_live_is_ready_and_says_which_revision_it_has():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        meters, name = meters_of(world), "default/mesh"
        assert value(meters, "source_ready", source=name) == 1
        assert value(meters, "source_stalled", source=name) == 0
        assert value(meters, "source_objects", source=name) == 2
        fetched = value(meters, "source_last_fetch_timestamp_seconds", source=name)
        assert fetched
        assert 0 <= world.clock.now().timestamp() - fetched < 60
        revisions = {(s["state"], s["revision"]) for s in series(meters, "source_revision_info")}
        applied = world.status().last_applied_revision
        assert revisions == {(state, applied) for state in ("fetched", "accepted", "applied")}
        assert value(meters, "reconcile_lag_seconds_count") == 1

    play(story)


def test_a_refused_commit_stalls_its_source_and_counts_what_was_found():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        repository.push({**commit("v1 100, v2 0"), "broken.yaml": "kind: [\n"})
        await world.until(lambda: world.ready() == ("False", "ValidationFailed"))
        meters, name = meters_of(world), "default/mesh"
        await world.until(lambda: value(meters, "source_stalled", source=name) == 1)
        assert value(meters, "source_ready", source=name) == 0
        assert value(meters, "source_findings", source=name, severity="error") == 1
        revisions = {s["state"]: s["revision"] for s in series(meters, "source_revision_info")}
        assert revisions["fetched"] != revisions["applied"]

    play(story)


def test_what_git_has_and_the_cluster_has_not_says_since_when():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        meters, name = meters_of(world), "default/mesh"
        assert value(meters, "source_behind_since_timestamp_seconds", source=name) == 0
        repository.push(commit("v1 0, v2 100"))
        await world.until(lambda: (r := world.record()) and r.phase is Phase.PROGRESSING, 200)
        since = world.clock.now().timestamp()
        await anyio.sleep(30)
        behind = value(meters, "source_behind_since_timestamp_seconds", source=name)
        assert behind == pytest.approx(since, abs=5)
        await world.until(
            lambda: value(meters, "source_behind_since_timestamp_seconds", source=name) == 0, 200
        )
        assert value(meters, "reconcile_lag_seconds_sum") == pytest.approx(60, abs=15)

    play(story)


def test_a_rollout_shows_its_phase_and_its_progress():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        meters = meters_of(world)
        repository.push(commit("v1 0, v2 100"))
        await world.until(lambda: (r := world.record()) and r.progress == 10 and r.effective_at, 200)
        labels = {"source": "default/mesh", "namespace": "default", "rollout": "reviews"}
        assert value(meters, "rollout_progress_percent", **labels) == 10
        assert series(meters, "rollout_phase") == [{**labels, "phase": "Progressing"}]

    play(story)


def test_a_source_that_is_gone_leaves_no_series():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        meters = meters_of(world)
        await world.cluster.delete(TRAFFIC_SOURCE, "default", "mesh")
        await world.until(lambda: value(meters, "source_ready", source="default/mesh") is None)
        families = meters.registry.collect()
        left = [s.name for f in families for s in f.samples if s.labels.get("source") == "default/mesh"]
        assert [name for name in left if "rollout" not in name] == []

    play(story)


def test_who_does_not_work_any_more_shows_nothing_of_sources():
    async def begin() -> None:
        world, seen = DaemonWorld(), []
        world.add_source().push(commit("v1 100, v2 0"))

        async def act(_: object) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            seen.append(meters_of(world))

        await in_world(world, act)
        (meters,) = seen
        assert series(meters, "source_ready") == []
        assert series(meters, "rollout_phase") == []

    run_virtually(begin)


def all_of(*rollouts: Resource) -> dict[ResourceKey, Resource]:
    return {rollout.key: rollout for rollout in rollouts}


def a_rollout(number: int, **status: Any) -> Resource:
    name = f"r{number:05}"
    status = {"phase": "Succeeded", "source": "default/mesh", "progress": 100, **status}
    return resource_from_body(
        {
            "apiVersion": TRAFFIC_ROLLOUT.api_version,
            "kind": TRAFFIC_ROLLOUT.kind,
            "metadata": {"namespace": "default", "name": name},
            "status": status,
        }
    )


def test_only_so_many_rollouts_have_series_and_those_in_motion_come_first():
    meters = Meters()
    gauges = Gauges(meters)
    many = [a_rollout(n) for n in range(ROLLOUT_SERIES_MAX + 5)]
    moving = a_rollout(99_999, phase="Progressing", progress=25)
    gauges.show_rollouts(all_of(*many, moving))
    assert len(series(meters, "rollout_progress_percent")) == ROLLOUT_SERIES_MAX
    assert value(meters, "rollouts_unlisted") == 6
    labels = {"source": "default/mesh", "namespace": "default", "rollout": "r99999"}
    assert value(meters, "rollout_progress_percent", **labels) == 25
    gauges.show_rollouts(all_of(a_rollout(1)))
    assert [s["rollout"] for s in series(meters, "rollout_progress_percent")] == ["r00001"]


def test_a_status_that_somebody_else_wrote_breaks_nothing():
    meters = Meters()
    Gauges(meters).show_rollouts(all_of(a_rollout(1, progress="much", phase=["x"], source=None)))
    assert value(meters, "rollouts_unlisted") == 0


def test_what_has_not_happened_yet_is_0_so_that_the_first_time_is_an_increase():
    meters = Meters()
    assert value(meters, "checks_total", verdict="blind") == 0
    assert value(meters, "passes_total", outcome="incomplete") == 0
    assert value(meters, "fetches_total", outcome="failure") == 0
    assert value(meters, "changes_total", change="delete") == 0
    assert value(meters, "rollbacks_total") == 0
