"""People promote, pause, resume, roll back and retry, by spec or by annotation; it is known who and why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

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

from gitmesh.decide.requests import asking
from gitmesh.model.intent import RolloutIntent, Verb, patch_of
from gitmesh.model.kinds import EVENT, TRAFFIC_ROLLOUT, VIRTUAL_SERVICE, Kind
from gitmesh.model.rollout import Phase, RolloutRecord

STEPS = "10 600s, 50 600s, 100"
Story = Callable[[DaemonWorld, Repository], Awaitable[None]]


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def commit(weights: str, **policy: Any) -> dict[str, str]:
    told = {"steps": STEPS, "bake": "60s", **policy}
    return files(a_service("reviews", weights), a_rule("reviews"), a_policy("reviews", **told))


def play(story: Story, **policy: Any) -> None:
    """Play a story that begins with a rollout at its first step, seen live."""

    async def begin() -> None:
        world = DaemonWorld()
        repository = world.add_source()
        repository.push(commit("v1 100, v2 0", **policy))

        async def act(_: object) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            repository.push(commit("v1 0, v2 100", **policy))
            await world.until(lambda: (r := world.record()) and r.progress == 10 and r.effective_at)
            await story(world, repository)

        await in_world(world, act)

    run_virtually(begin)


def record(world: DaemonWorld) -> RolloutRecord:
    found = world.record()
    assert found
    return found


def ask(world: DaemonWorld, verb: Verb, *, full: bool = False, by: str = "ada", why: str = "because") -> None:
    """Ask as the command line does."""
    body = world.cluster.find(TRAFFIC_ROLLOUT, "default", "reviews")
    assert body
    intent = RolloutIntent.model_validate(body["spec"])
    asked = asking(intent, verb, record(world), by=by, why=why, now=world.clock.now(), full=full)
    assert isinstance(asked, RolloutIntent), asked
    world.patch(TRAFFIC_ROLLOUT, "reviews", {"spec": patch_of(intent, asked)})


def annotate(world: DaemonWorld, verb: Verb, value: str = "true", kind: Kind = VIRTUAL_SERVICE) -> None:
    """Ask as `kubectl annotate` does."""
    world.patch(kind, "reviews", {"metadata": {"annotations": {verb.annotation: value}}}, "kubectl-annotate")


def annotations(world: DaemonWorld) -> set[str]:
    found = set()
    for kind in (VIRTUAL_SERVICE, TRAFFIC_ROLLOUT):
        body = world.cluster.find(kind, "default", "reviews")
        assert body
        found |= set(body["metadata"].get("annotations") or {})
    return found - {"gitmesh.dev/source"}


def history(world: DaemonWorld) -> list[str]:
    return [entry.message for entry in record(world).history]


def test_promote_ends_the_hold_of_a_step_and_of_that_step_alone():
    async def story(world: DaemonWorld, _: Repository) -> None:
        ask(world, Verb.PROMOTE)
        await world.until(lambda: world.live() == {"v1": 50, "v2": 50}, 10)
        assert "promoted by ada (because); " in record(world).message or any(
            "promoted by ada (because); " in line for line in history(world)
        )
        await anyio.sleep(300)
        assert world.live() == {"v1": 50, "v2": 50}

    play(story)


def test_promote_in_full_skips_the_steps_that_are_left_and_keeps_the_bake():
    async def story(world: DaemonWorld, _: Repository) -> None:
        ask(world, Verb.PROMOTE, full=True)
        await world.until(lambda: world.live() == {"v2": 100}, 10)
        assert record(world).phase is Phase.PROMOTING
        await anyio.sleep(40)
        assert record(world).phase is Phase.PROMOTING, "the bake is as long as ever"
        ask(world, Verb.PROMOTE)
        await world.until(lambda: record(world).phase is Phase.SUCCEEDED, 10)

    play(story)


def test_the_guard_judges_a_promoted_rollout_as_ever():
    async def story(world: DaemonWorld, _: Repository) -> None:
        ask(world, Verb.PROMOTE, full=True)
        await world.until(lambda: world.live() == {"v2": 100}, 10)
        world.metrics.error_percent["reviews", "v2"] = 100
        await world.until(lambda: world.live() == {"v1": 100}, 10)

    play(story)


def test_nothing_is_promoted_without_evidence():
    async def story(world: DaemonWorld, _: Repository) -> None:
        world.metrics.blind = True
        await anyio.sleep(3)
        ask(world, Verb.PROMOTE, full=True)
        await anyio.sleep(120)
        assert world.live() == {"v1": 90, "v2": 10}
        world.metrics.blind = False
        await world.until(lambda: world.live() == {"v2": 100}, 20)

    play(story)


def test_a_promotion_is_of_one_content():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        world.metrics.blind = True
        await anyio.sleep(3)
        ask(world, Verb.PROMOTE, full=True)
        repository.push(commit("v1 20, v2 80"))
        await world.until(lambda: record(world).weights == "v1 92, v2 8", 20)
        world.metrics.blind = False
        await anyio.sleep(120)
        assert world.live() == {"v1": 92, "v2": 8}

    play(story)


def test_pause_keeps_a_rollout_where_it_is_and_resume_lets_it_go_on():
    async def story(world: DaemonWorld, _: Repository) -> None:
        ask(world, Verb.PAUSE, why="lunch")
        await world.until(lambda: record(world).suspended == "paused by ada (lunch)", 5)
        await anyio.sleep(700)
        assert world.live() == {"v1": 90, "v2": 10}
        assert record(world).message == "paused by ada (lunch) at 10 %"
        ask(world, Verb.RESUME, by="bob", why="")
        await world.until(lambda: world.live() == {"v1": 50, "v2": 50}, 10)
        assert {"paused by ada (lunch)", "resumed by bob"} <= set(history(world))
        told = {(e["reason"], e["message"]) for e in world.cluster.all(EVENT, "default")}
        assert {("Paused", "paused by ada (lunch)"), ("Resumed", "resumed by bob")} <= told

    play(story)


def test_rollback_and_retry_say_who_asked():
    async def story(world: DaemonWorld, _: Repository) -> None:
        ask(world, Verb.ROLL_BACK, why="complaints\nfrom the shop")
        await world.until(lambda: world.live() == {"v1": 100}, 1)
        await world.until(lambda: record(world).phase is Phase.ROLLED_BACK, 5)
        assert record(world).message == "rolled back on request by ada (complaints from the shop)"
        ask(world, Verb.RETRY, by="bob", why="was a drill")
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10}, 5)
        assert "may go out again by bob (was a drill)" in history(world)
        ask(world, Verb.ROLL_BACK)
        await world.until(lambda: world.live() == {"v1": 100}, 2)
        await world.until(lambda: record(world).phase is Phase.ROLLED_BACK, 5)
        ask(world, Verb.RETRY)
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10}, 5)

    play(story)


def test_a_spec_that_kubectl_wrote_names_its_field_manager():
    async def story(world: DaemonWorld, _: Repository) -> None:
        ask(world, Verb.PAUSE)
        await world.until(lambda: record(world).suspended, 5)
        await anyio.sleep(2)
        world.patch(TRAFFIC_ROLLOUT, "reviews", {"spec": {"suspend": False}}, "kubectl-patch")
        await world.until(lambda: not record(world).suspended, 5)
        assert "resumed by kubectl-patch" in history(world), "ada paused it, and did not let it go on"

    play(story)


@pytest.mark.parametrize("kind", [VIRTUAL_SERVICE, TRAFFIC_ROLLOUT], ids=lambda kind: kind.kind)
def test_annotations_ask_the_same_and_are_taken_away(kind: Kind):
    async def story(world: DaemonWorld, _: Repository) -> None:
        annotate(world, Verb.PAUSE, "lunch", kind)
        await world.until(lambda: record(world).suspended == "paused by kubectl-annotate (lunch)", 5)
        await world.until(lambda: not annotations(world), 5)
        annotate(world, Verb.RESUME, kind=kind)
        await world.until(lambda: not record(world).suspended and not annotations(world), 5)
        annotate(world, Verb.PROMOTE, kind=kind)
        await world.until(lambda: world.live() == {"v1": 50, "v2": 50}, 10)
        annotate(world, Verb.ROLL_BACK, "too many errors", kind)
        await world.until(lambda: world.live() == {"v1": 100}, 1)
        await world.until(lambda: record(world).phase is Phase.ROLLED_BACK and not annotations(world), 5)
        assert record(world).message == "rolled back on request by kubectl-annotate (too many errors)"
        annotate(world, Verb.RETRY, kind=kind)
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10} and not annotations(world), 5)
        annotate(world, Verb.PROMOTE, "full", kind)
        await world.until(lambda: world.live() == {"v2": 100} and not annotations(world), 10)
        await world.until(lambda: record(world).phase is Phase.SUCCEEDED, 70)
        annotate(world, Verb.ROLL_BACK, kind=kind)
        await world.until(lambda: world.live() == {"v1": 100}, 2)

    play(story)


def test_an_annotation_that_says_no_asks_for_nothing():
    async def story(world: DaemonWorld, _: Repository) -> None:
        annotate(world, Verb.ROLL_BACK, "false")
        await anyio.sleep(5)
        assert world.live() == {"v1": 90, "v2": 10}

    play(story)


def test_what_makes_no_sense_is_refused_with_a_reason():
    async def story(world: DaemonWorld, _: Repository) -> None:
        annotate(world, Verb.RETRY)
        await world.until(lambda: not annotations(world), 5)
        (told,) = (e for e in world.cluster.all(EVENT, "default") if e["reason"] == "RequestRefused")
        assert told["message"] == (
            "asked to retry by kubectl-annotate: it is not rolled back: it is Progressing"
        )
        assert world.live() == {"v1": 90, "v2": 10}

    play(story)


def is_request(request: Request) -> bool:
    return request.verb == "merge_patch"


@pytest.mark.parametrize("verb", [Verb.ROLL_BACK, Verb.PAUSE])
def test_what_stops_and_goes_back_does_not_wait_for_the_annotation_to_be_written_down(verb: Verb):
    async def story(world: DaemonWorld, _: Repository) -> None:
        world.cluster.faults = lambda r: Late(10_000) if is_request(r) else None
        annotate(world, verb)
        if verb is Verb.ROLL_BACK:
            await world.until(lambda: world.live() == {"v1": 100}, 1)
            await anyio.sleep(30)
            assert world.live() == {"v1": 100}
        else:
            await anyio.sleep(1200)
            assert world.live() == {"v1": 90, "v2": 10}

    play(story)


def test_a_retry_whose_annotation_cannot_be_taken_away_is_not_made_at_all():
    async def story(world: DaemonWorld, _: Repository) -> None:
        ask(world, Verb.ROLL_BACK)
        await world.until(lambda: world.live() == {"v1": 100}, 2)
        world.cluster.faults = lambda r: Fault.REQUEST_LOST if is_request(r) else None
        annotate(world, Verb.RETRY)
        await anyio.sleep(120)
        assert world.live() == {"v1": 100}
        world.cluster.faults = lambda r: None
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10}, 40)

    play(story)


def test_a_request_in_git_is_no_request():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        service = a_service("reviews", "v1 0, v2 100")
        service["metadata"]["annotations"] = {Verb.ROLL_BACK.annotation: "true", "team": "shop"}
        repository.push(commit("v1 0, v2 100") | files(service))
        await world.until(lambda: "team" in annotations(world), 20)
        await anyio.sleep(20)
        assert world.live() == {"v1": 90, "v2": 10}
        assert Verb.ROLL_BACK.annotation not in annotations(world)

    play(story)
