"""What users of other GitOps tools ask for, told of one source: windows, suspending, restarts, bad commits.

The numbers are those of docs/gitops-scenarios.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from fakes.daemon_world import DaemonWorld, a_policy, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import DESTINATION_RULE, EVENT, TRAFFIC_SOURCE, VIRTUAL_SERVICE
from gitmesh.model.rollout import Phase
from gitmesh.model.source import SYNC_ANNOTATION

Story = Callable[[DaemonWorld, Any, Any], Awaitable[None]]
OLD, NEW = "v1 100, v2 0", "v1 0, v2 100"
STEPS = "30 60s, 60 60s, 100"
MONDAY_NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def tell(story: Story, policy: Any = None, weights: str = OLD, **spec: Any) -> None:
    """Run a story in a world where `weights` are applied, by a policy if there is one."""

    async def whole() -> None:
        world = DaemonWorld(start=MONDAY_NOON)
        repository = world.add_source(**spec)
        repository.push(commit(weights, policy))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            await story(world, repository, group)

        await in_world(world, act)

    run_virtually(whole)


def commit(weights: str, policy: Any = None) -> dict[str, str]:
    return files(a_service("reviews", weights), a_rule("reviews"), *([policy] if policy else []))


def message(world: DaemonWorld) -> str:
    return next(c.message for c in world.status().conditions if c.type == "Ready")


def in_windows(policy: Any, *windows: dict[str, str]) -> Any:
    return {**policy, "spec": {**policy["spec"], "windows": list(windows)}}


def ask(world: DaemonWorld, **marks: str) -> None:
    annotations = {f"gitmesh.dev/{name}": value for name, value in marks.items()}
    world.patch(VIRTUAL_SERVICE, "reviews", {"metadata": {"annotations": annotations}}, manager="kubectl")


def test_g1_a_commit_brings_both_objects_live_and_its_revision_is_recorded():
    async def story(world: DaemonWorld, repository: Any, _: Any) -> None:
        assert world.live() == {"v1": 100}
        assert world.cluster.find(DESTINATION_RULE, "default", "reviews")
        assert world.status().last_applied_revision == f"main@{repository.commits[-1].id}"

    tell(story)


def test_g3_a_weight_that_is_edited_outside_of_a_rollout_is_back_within_a_second_with_an_event():
    async def story(world: DaemonWorld, repository: Any, _: Any) -> None:
        world.cluster.put(a_service("reviews", "v1 55, v2 45"), manager="kubectl-edit")
        assert await world.until(lambda: world.live() == {"v1": 100}) < 1
        await anyio.sleep(1)
        (event,) = [e for e in world.cluster.all(EVENT, "default") if e["reason"] == "DriftHealed"]
        assert "kubectl-edit" in event["message"]

    tell(story)


def test_g14_a_restart_at_thirty_percent_goes_on_at_thirty_percent():
    async def story(world: DaemonWorld, repository: Any, group: Any) -> None:
        repository.push(commit(NEW, policy))
        await world.until(lambda: world.live() == {"v1": 70, "v2": 30})
        due = world.record().next_at  # type: ignore[union-attr]
        seen: list[dict[str, int]] = []
        world.cluster.written = lambda r, *_: seen.append(world.live()) if r.name == "reviews" else None
        for _ in range(5):
            assert world.life
            world.life.kill()
            world.spawn(group)
            await anyio.sleep(8)
        assert world.live() == {"v1": 70, "v2": 30}
        assert world.record().next_at == due  # type: ignore[union-attr]
        await world.until(lambda: world.live() == {"v1": 40, "v2": 60}, seconds=30)
        assert {"v1": 100} not in seen
        assert {"v2": 100} not in seen

    policy = a_policy("reviews", steps=STEPS)
    tell(story, policy)


def test_g24_a_window_that_closes_during_a_rollout_holds_its_weight_and_a_rollback_is_still_allowed():
    async def story(world: DaemonWorld, repository: Any, _: Any) -> None:
        repository.push(commit(NEW, policy))
        await world.until(lambda: world.live() == {"v1": 70, "v2": 30})
        await anyio.sleep(300)
        assert world.live() == {"v1": 70, "v2": 30}, "its hold is long over, and the window closed"
        world.metrics.error_percent["reviews", "v2"] = 60
        assert await world.until(lambda: world.live() == {"v1": 100}) < 5
        assert world.record().phase is Phase.ROLLED_BACK  # type: ignore[union-attr]

    window = {"cron": "0 12 * * *", "duration": "1m", "timezone": "UTC"}
    policy = in_windows(a_policy("reviews", steps=STEPS), window)
    tell(story, policy)


def test_g25_outside_of_its_window_a_change_waits_and_says_until_when():
    async def story(world: DaemonWorld, repository: Any, _: Any) -> None:
        repository.push(commit(NEW, policy))
        await world.until(lambda: world.ready() == ("Unknown", "Waiting"))
        assert "VirtualService default/reviews waits" in message(world)
        record = world.record()
        assert record
        assert (record.phase, record.next_at) == (Phase.WAITING, datetime(2026, 3, 2, 13, 0, tzinfo=UTC))
        await anyio.sleep(3000)
        assert world.live() == {"v1": 100}
        await world.until(lambda: world.live() == {"v1": 70, "v2": 30}, seconds=700)

    window = {"cron": "0 13 * * *", "duration": "1h", "timezone": "UTC"}
    policy = in_windows(a_policy("reviews", steps=STEPS), window)
    tell(story, policy)


def test_g26_a_sync_and_a_promotion_do_not_overrule_a_window_and_another_window_in_git_does():
    async def story(world: DaemonWorld, repository: Any, _: Any) -> None:
        repository.push(commit(NEW, in_windows(policy, at_thirteen)))
        await world.until(lambda: world.ready() == ("Unknown", "Waiting"))
        world.patch(TRAFFIC_SOURCE, "mesh", {"metadata": {"annotations": {SYNC_ANNOTATION: "now"}}})
        ask(world, promote="full")
        await anyio.sleep(120)
        assert world.live() == {"v1": 100}
        repository.push(commit(NEW, in_windows(policy, at_thirteen, {**at_thirteen, "cron": "* 12 * * *"})))
        await world.until(lambda: world.live() != {"v1": 100})

    at_thirteen = {"cron": "0 13 * * *", "duration": "1h", "timezone": "UTC"}
    policy = a_policy("reviews", steps=STEPS)
    tell(story, policy)


def test_g26_a_person_lets_one_content_past_its_windows_and_that_is_on_record():
    async def story(world: DaemonWorld, repository: Any, _: Any) -> None:
        repository.push(commit(NEW, policy))
        await world.until(lambda: world.ready() == ("Unknown", "Waiting"))
        ask(world, overrule="the shop is down")
        await world.until(lambda: world.live() == {"v1": 70, "v2": 30}, seconds=2)
        (event,) = [e for e in world.cluster.all(EVENT, "default") if e["reason"] == "Overruled"]
        assert event["message"] == "waits for no window: overruled by kubectl (the shop is down)"
        await world.until(lambda: world.live() == {"v2": 100}, seconds=200)
        repository.push(commit("v1 50, v2 50", policy))
        await world.until(lambda: world.ready() == ("Unknown", "Waiting"))

    at_thirteen = {"cron": "0 13 * * *", "duration": "1h", "timezone": "UTC"}
    policy = in_windows(a_policy("reviews", steps=STEPS), at_thirteen)
    tell(story, policy)


def test_g26_where_it_is_not_allowed_nobody_goes_past_a_window():
    async def story(world: DaemonWorld, repository: Any, _: Any) -> None:
        repository.push(commit(NEW, policy))
        await world.until(lambda: world.ready() == ("Unknown", "Waiting"))
        ask(world, overrule="the shop is down")
        await anyio.sleep(120)
        assert world.live() == {"v1": 100}
        (event,) = [e for e in world.cluster.all(EVENT, "default") if e["reason"] == "RequestRefused"]
        assert "policy careful lets nobody overrule them" in event["message"]

    at_thirteen = {"cron": "0 13 * * *", "duration": "1h", "timezone": "UTC"}
    policy = in_windows(a_policy("reviews", steps=STEPS), at_thirteen)
    policy["spec"]["overrule"] = "denied"
    tell(story, policy)


def test_g28_a_suspended_source_writes_nothing_and_catches_up_when_it_is_resumed():
    async def story(world: DaemonWorld, repository: Any, _: Any) -> None:
        world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {"suspend": True}})
        await world.until(lambda: world.ready() == ("Unknown", "Suspended"))
        for weights in ("v1 90, v2 10", "v1 80, v2 20"):
            repository.push(commit(weights))
            await anyio.sleep(20)
        world.cluster.put(a_service("reviews", "v1 1, v2 99"))
        await anyio.sleep(60)
        written = [r for r in world.writes() if r.kind == "VirtualService" and not r.dry_run]
        assert len(written) == 1, "the first commit"
        world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {"suspend": False}})
        await world.until(lambda: world.live() == {"v1": 80, "v2": 20}, seconds=2)

    tell(story)


def test_g29_the_token_of_a_sync_request_comes_back_in_the_status():
    async def story(world: DaemonWorld, repository: Any, _: Any) -> None:
        for token in ("one", "two"):
            world.patch(TRAFFIC_SOURCE, "mesh", {"metadata": {"annotations": {SYNC_ANNOTATION: token}}})
            assert await world.until(lambda token=token: world.status().last_handled_sync == token) < 2

    tell(story, interval="1h")


def test_g37_a_bad_commit_goes_back_by_itself_is_remembered_and_the_next_one_proceeds():
    async def story(world: DaemonWorld, repository: Any, _: Any) -> None:
        world.metrics.error_percent["reviews", "v2"] = 60
        repository.push(commit(NEW, policy))
        await world.until(lambda: (r := world.record()) is not None and r.phase is Phase.ROLLED_BACK)
        assert world.live() == {"v1": 100}
        world.metrics.error_percent.clear()
        repository.push({**commit(NEW, policy), "README.md": "the same again"})
        await anyio.sleep(120)
        assert world.live() == {"v1": 100}, "the same content never goes out again unasked"
        assert world.ready() == ("False", "RolledBack")
        repository.push(commit("v1 20, v2 80", policy))
        await world.until(lambda: world.live() == {"v1": 20, "v2": 80}, seconds=400)

    policy = a_policy("reviews", steps="30 5s, 100")
    tell(story, policy)


def test_g11_a_refusal_never_deletes_anything():
    async def story(world: DaemonWorld, repository: Any, _: Any) -> None:
        deleted: list[str] = []
        world.cluster.asked = lambda r: deleted.append(str(r)) if r.verb == "delete" else None
        world.cluster.refuses = lambda r: r.kind == "VirtualService"
        repository.push(commit("v1 50, v2 50"))
        await world.until(lambda: world.ready() == ("False", "PlanRefused"))
        await anyio.sleep(200)
        assert (deleted, world.live()) == ([], {"v1": 100})

    tell(story)


def test_g12_of_writes_of_which_one_fails_the_others_are_reported_and_the_inventory_holds_what_exists():
    async def story(world: DaemonWorld, repository: Any, _: Any) -> None:
        more = [a_rule(f"other{number}") for number in range(4)]
        world.cluster.refuses = lambda r: r.name == "other2" and not r.dry_run
        repository.push({**commit(OLD), **files(*more)})
        await world.until(lambda: world.ready() == ("False", "ApplyFailed"))
        assert "other2" in message(world)
        there = {body["metadata"]["name"] for body in world.cluster.all(DESTINATION_RULE)}
        recorded = {path.rpartition("/")[2] for path in world.status().inventory}
        assert there <= recorded, "what exists is known, also what is only half done"
        world.cluster.refuses = lambda r: False
        await world.until(lambda: world.ready() == ("True", "Applied"))

    tell(story)


def test_g9_a_delete_that_fails_although_its_dry_run_was_fine_stays_in_the_inventory_and_is_tried_again():
    async def story(world: DaemonWorld, repository: Any, _: Any) -> None:
        repository.push({**commit(OLD), **files(a_rule("old"))})
        await world.until(lambda: len(world.status().inventory) == 3)
        world.cluster.refuses = lambda r: (r.verb, r.name, r.dry_run) == ("delete", "old", False)
        repository.push(commit(OLD))
        await world.until(lambda: world.ready() == ("False", "PruneFailed"))
        assert "default/old" in message(world)
        assert "stays in the inventory, and is tried again" in message(world)
        assert len(world.status().inventory) == 3
        world.cluster.refuses = lambda r: False
        await world.until(lambda: world.ready() == ("True", "Applied"))
        assert len(world.status().inventory) == 2
        assert world.cluster.find(DESTINATION_RULE, "default", "old") is None

    tell(story)
