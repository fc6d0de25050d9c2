"""Somebody lets a content past its windows, or a freeze: by spec, by annotation, for a group, for once."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fakes.daemon_world import DaemonWorld, a_policy, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.decide.requests import asking
from gitmesh.model.intent import RolloutIntent, Verb, patch_of
from gitmesh.model.kinds import EVENT, TRAFFIC_ROLLOUT, VIRTUAL_SERVICE, Kind
from gitmesh.model.rollout import Phase, RolloutRecord

Story = Callable[[DaemonWorld, Any], Awaitable[None]]
NAMES = ("reviews", "ratings")
CLOSED = [{"cron": "0 22 * * *", "duration": "1h"}]  # a story begins at noon
WAITS = "outside its windows until Mon 02 Mar 22:00 UTC"


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def commit(
    *canaries: str, weights: str = "v1 0, v2 100", freeze: Any = None, policed: bool = True, **spec: Any
) -> dict[str, str]:
    bodies: list[Any] = [freeze] if freeze else []
    for name in NAMES:
        bodies += [a_service(name, weights if name in canaries else "v1 100, v2 0"), a_rule(name)]
    policy = copy.deepcopy(a_policy(*NAMES, steps="10 10s, 100"))
    policy["spec"] |= {"windows": CLOSED, **spec}
    return files(*bodies, *([policy] if policed else []))


def a_freeze(name: str = "sale", **spec: Any) -> dict[str, Any]:
    moments = {"from": "2026-03-02T00:00:00Z", "to": "2026-03-03T00:00:00Z"}
    return {
        "apiVersion": "gitmesh.dev/v1alpha1",
        "kind": "FreezeWindow",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {**moments, "who": "sre", "why": "Black Friday", **spec},
    }


def tell(story: Story, *canaries: str, **fields: Any) -> None:
    """Play a story that begins when a commit waits for its windows."""

    async def whole() -> None:
        world = DaemonWorld()
        repository = world.add_source()
        repository.push(commit(**{**fields, "freeze": None}))

        async def act(_: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            repository.push(commit(*(canaries or ("reviews",)), **fields))
            await world.until(lambda: (r := world.record()) is not None and r.phase is Phase.WAITING)
            await story(world, repository)

        await in_world(world, act)

    run_virtually(whole)


def record_of(world: DaemonWorld, name: str = "reviews") -> RolloutRecord:
    record = world.record(name)
    assert record is not None
    return record


def overrule(world: DaemonWorld, *freezes: str, name: str = "reviews") -> None:
    """Ask as the command line does."""
    body = world.cluster.find(TRAFFIC_ROLLOUT, "default", name)
    assert body
    intent, now = RolloutIntent.model_validate(body["spec"]), world.clock.now()
    record = record_of(world, name)
    asked = asking(intent, Verb.OVERRULE, record, by="ada", why="hotfix", now=now, freezes=freezes)
    assert isinstance(asked, RolloutIntent), asked
    world.patch(TRAFFIC_ROLLOUT, name, {"spec": patch_of(intent, asked)})


def annotate(
    world: DaemonWorld, value: str, verb: Verb = Verb.OVERRULE, kind: Kind = VIRTUAL_SERVICE
) -> None:
    """Ask as `kubectl annotate` does."""
    world.patch(kind, "reviews", {"metadata": {"annotations": {verb.annotation: value}}}, "kubectl-annotate")


def told(world: DaemonWorld, reason: str) -> list[str]:
    return [e["message"] for e in world.cluster.all(EVENT, "default") if e["reason"] == reason]


def test_an_overruled_content_takes_its_steps_outside_its_windows_and_each_says_who_wanted_it():
    async def story(world: DaemonWorld, repository: Any) -> None:
        await anyio.sleep(60)
        assert record_of(world).message == WAITS
        overrule(world)
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10}, 2)
        began = world.clock.monotonic()
        await world.until(lambda: world.live() == {"v2": 100})
        assert world.clock.monotonic() - began > 9.9, "its holds are as ever"
        await world.until(lambda: record_of(world).phase is Phase.SUCCEEDED)
        said = [entry.message for entry in record_of(world).history]
        assert sum(f"although {WAITS}: overruled by ada (hotfix)" in each for each in said) == 3
        assert told(world, "Overruled") == ["waits for no window: overruled by ada (hotfix)"]
        repository.push(commit("reviews", weights="v1 50, v2 50"))
        await world.until(lambda: record_of(world).phase is Phase.WAITING)
        await anyio.sleep(60)
        assert record_of(world).message == WAITS, "what comes next waits for windows again"

    tell(story)


def test_an_overruled_content_that_fails_goes_back_and_its_retry_waits_for_a_window():
    async def story(world: DaemonWorld, _: Any) -> None:
        world.metrics.error_percent["reviews", "v2"] = 50
        overrule(world)
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10}, 2)
        await world.until(lambda: world.live() == {"v1": 100}, 5)
        world.metrics.error_percent.clear()
        annotate(world, "fixed", Verb.RETRY)
        await world.until(lambda: record_of(world).phase is Phase.WAITING)
        await anyio.sleep(30)
        assert record_of(world).message == WAITS

    tell(story)


def test_a_freeze_holds_what_was_let_past_its_windows_until_it_is_named_and_only_if_it_lets_itself():
    async def story(world: DaemonWorld, repository: Any) -> None:
        overrule(world)
        await anyio.sleep(60)
        assert record_of(world).message.startswith("freeze sale by sre: Black Friday")
        overrule(world, "sale")
        await world.until(lambda: record_of(world).message.endswith("; it lets nobody overrule it"))
        await anyio.sleep(60)
        assert world.live() == {"v1": 100}
        repository.push(commit("reviews", freeze=a_freeze(overrule="allowed")))
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10}, 15)
        assert (
            told(world, "Overruled")[-1] == "waits for no window, past freeze sale: overruled by ada (hotfix)"
        )

    tell(story, freeze=a_freeze())


def test_a_freeze_that_begins_later_holds_an_overruled_rollout_where_it_is():
    async def story(world: DaemonWorld, repository: Any) -> None:
        overrule(world)
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10}, 2)
        repository.push(commit("reviews", freeze=a_freeze(overrule="allowed")))
        await anyio.sleep(120)
        assert world.live() == {"v1": 90, "v2": 10}
        assert record_of(world).message.startswith("freeze sale by sre")

    tell(story, steps=[{"progress": 10, "hold": "60s"}, {"progress": 100}])


def test_what_no_policy_selects_is_let_past_a_freeze_as_well():
    async def story(world: DaemonWorld, _: Any) -> None:
        await anyio.sleep(30)
        assert world.live() == {"v1": 100}
        annotate(world, "freeze:sale closes a leak")
        await world.until(lambda: world.live() == {"v2": 100}, 5)
        assert "although freeze sale by sre" in str(record_of(world).history)

    tell(story, policed=False, freeze=a_freeze(overrule="allowed"))


@pytest.mark.parametrize("kind", [VIRTUAL_SERVICE, TRAFFIC_ROLLOUT], ids=lambda kind: kind.kind)
def test_an_annotation_asks_the_same_with_its_reason_and_without_one_it_is_refused(kind: Kind):
    async def story(world: DaemonWorld, _: Any) -> None:
        annotate(world, "true", kind=kind)
        await world.until(lambda: told(world, "RequestRefused") != [])
        assert "it needs a reason" in told(world, "RequestRefused")[0]
        await anyio.sleep(10)
        assert world.live() == {"v1": 100}
        annotate(world, "the shop is down", kind=kind)
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10}, 5)
        assert "overruled by kubectl-annotate (the shop is down)" in str(record_of(world).history)

    tell(story)


@pytest.mark.parametrize("verb", [Verb.OVERRULE, Verb.PROMOTE])
def test_an_annotation_on_one_of_a_group_is_for_all_of_it(verb: Verb):
    async def story(world: DaemonWorld, _: Any) -> None:
        annotate(world, "the shop is down")
        await world.until(lambda: all(world.live(n) == {"v1": 90, "v2": 10} for n in NAMES), 5)
        if verb is Verb.PROMOTE:
            await anyio.sleep(60)
            assert world.live() == {"v1": 90, "v2": 10}
            annotate(world, "looks good", Verb.PROMOTE)
        await world.until(lambda: all(world.live(n) == {"v2": 100} for n in NAMES), 200)

    hold = "1h" if verb is Verb.PROMOTE else "5s"
    tell(story, *NAMES, group="shop", steps=[{"progress": 10, "hold": hold}, {"progress": 100}])


def test_a_policy_whose_windows_nobody_overrules_holds():
    async def story(world: DaemonWorld, _: Any) -> None:
        annotate(world, "hotfix")
        await world.until(lambda: told(world, "RequestRefused") != [])
        assert "lets nobody overrule them" in told(world, "RequestRefused")[0]
        content = record_of(world).canary_hash
        world.patch(TRAFFIC_ROLLOUT, "reviews", {"spec": {"overrule": content}})  # past the command line
        await anyio.sleep(30)
        assert record_of(world).message == f"{WAITS}; the policy lets nobody overrule them"
        assert world.live() == {"v1": 100}

    tell(story, overrule="denied")


def test_a_pause_holds_what_was_overruled():
    async def story(world: DaemonWorld, _: Any) -> None:
        annotate(world, "lunch", Verb.PAUSE)
        await world.until(lambda: record_of(world).suspended != "")
        overrule(world)
        await anyio.sleep(30)
        assert world.live() == {"v1": 100}

    tell(story)


@pytest.mark.parametrize("verb", list(Verb), ids=lambda verb: verb.value)
def test_a_reason_as_long_as_an_annotation_may_be_stops_neither_the_request_nor_the_passes(verb: Verb):
    async def story(world: DaemonWorld, _: Any) -> None:
        overrule(world)
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10}, 2)
        annotate(world, "x" * 100_000, verb)
        body = world.cluster.find
        await world.until(
            lambda: (
                verb.annotation not in body(VIRTUAL_SERVICE, "default", "reviews")["metadata"]["annotations"]
            )
        )
        if verb is Verb.ROLL_BACK:
            await world.until(lambda: world.live() == {"v1": 100}, 2)
        world.metrics.error_percent["reviews", "v2"] = 50
        await world.until(lambda: world.live() == {"v1": 100}, 10)

    tell(story, steps=[{"progress": 10, "hold": "1h"}, {"progress": 50, "hold": "1h"}, {"progress": 100}])
