"""What breaks other tools, told as stories: restarts, edits, silence, refusals. K1 to K16 without K14."""

from __future__ import annotations

import copy
from typing import Any

import anyio
import pytest
from fakes.cluster import Fault
from fakes.daemon_world import files
from stories import NEW, OLD, Story, a_policy, a_rule, a_service, seldom, tell

from gitmesh.model.rollout import Outcome, Phase

OLD_LIVE = {"v1": 100}
THREE_STEPS = a_policy("reviews", steps="10 20s, 30 20s, 60 20s, 100")
TEN_MINUTES = seldom(a_policy("reviews", steps="10 600s, 50 600s, 100"))


def test_k1_weights_set_back_by_hand_are_restored_at_once_and_the_hold_is_not_begun_again():
    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.at(60, seconds=200)
        seen = story.record.effective_at
        await anyio.sleep(10)
        story.edit(OLD)
        assert await story.live({"v1": 40, "v2": 60}) < 1
        assert story.record.effective_at == seen
        assert [e["count"] for e in story.events("DriftHealed")] == [1]
        assert await story.at(100) < 11

    tell(plot, THREE_STEPS)


def test_k2_weights_pushed_up_by_hand_are_corrected_and_never_promoted():
    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.at(10)
        story.edit("v1 10, v2 90")
        assert await story.live({"v1": 90, "v2": 10}) < 1
        await anyio.sleep(10)
        assert story.record.progress == 10
        assert max(story.canary) == 10, "the daemon writes no more than its step"

    tell(plot, THREE_STEPS)


def test_k3_restarts_within_a_hold_move_nothing():
    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.at(10)
        due = story.record.next_at
        for _ in range(24):
            await anyio.sleep(5)
            await story.restart()
        assert story.canary == [0, 10]
        assert story.record.next_at == due
        took = await story.at(50, seconds=600)
        assert 120 + took == pytest.approx(600, abs=1)

    tell(plot, TEN_MINUTES)


def test_k4_a_timeout_from_git_goes_live_in_the_middle_of_a_ramp_and_the_weights_stay():
    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.at(30, seconds=120)
        story.push(NEW, timeout="7s")
        await story.world.until(lambda: story.spec["http"][0].get("timeout") == "7s", seconds=20)
        assert story.world.live() == {"v1": 70, "v2": 30}
        assert story.record.progress == 30
        assert story.canary == [0, 10, 30], "no weight has moved for it"

    tell(plot, THREE_STEPS)


@pytest.mark.parametrize("steps", ["5 20s, 20 20s, 50 20s, 100", "20 20s, 100", "40 20s, 80 20s, 100"])
def test_k5_new_steps_without_the_present_weight_go_on_from_it_and_never_jump_to_the_end(steps: str):
    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.at(10)
        story.policy = a_policy("reviews", steps=steps)
        story.push(NEW)
        await anyio.sleep(12)
        assert story.world.live() == {"v1": 90, "v2": 10}, "it stays where it is, for a hold at most"
        await story.world.until(lambda: story.world.live() != {"v1": 90, "v2": 10}, seconds=22)
        listed = [float(step.split()[0]) for step in steps.split(",")]
        wanted = next(progress for progress in listed if progress > 10)
        assert story.canary == [0, 10, wanted]

    tell(plot, THREE_STEPS)


def test_k6_metrics_that_are_down_for_two_minutes_hold_are_told_and_roll_nothing_back():
    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.at(10)
        story.world.metrics.blind = True
        await anyio.sleep(120)
        record = story.record
        assert story.canary == [0, 10]
        assert record.verdict
        assert record.verdict.outcome is Outcome.BLIND
        assert record.message.startswith("blind: the metrics server is down")
        story.world.metrics.blind = False
        assert await story.at(30) < 3, "its hold is long over"

    tell(plot, THREE_STEPS)


def test_k7_no_requests_hold_and_say_so():
    async def plot(story: Story) -> None:
        story.world.metrics.requests_per_second["reviews"] = 0
        story.push(NEW)
        await story.at(10)
        await anyio.sleep(90)
        assert story.canary == [0, 10]
        assert story.record.message.startswith("insufficient: 0 ")
        story.world.metrics.requests_per_second["reviews"] = 500
        assert await story.at(30) < 8

    tell(plot, THREE_STEPS)


def test_k8_one_error_of_three_requests_holds_and_rolls_nothing_back():
    async def plot(story: Story) -> None:
        story.world.metrics.requests_per_second["reviews"] = 6  # 3 requests of the canary in a window
        story.fail(33)
        story.push(NEW)
        await story.at(10)
        await anyio.sleep(90)
        assert story.record.phase is Phase.PROGRESSING
        assert story.canary == [0, 10]
        assert story.record.failed_checks == 0

    tell(plot, THREE_STEPS)


def test_k10_a_conflict_while_rolling_back_is_tried_again_within_a_second():
    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.at(10)
        faults = iter([Fault.STALE] * 3)
        story.world.cluster.faults = lambda r: (
            next(faults, None) if r.writes and r.kind in ("VirtualService", "TrafficRollout") else None
        )
        story.fail()
        await story.world.until(lambda: "verdict=fail" in story.world.lines[-1], seconds=5)
        failed = await story.world.until(lambda: story.world.live() == OLD_LIVE, seconds=5)
        assert failed <= 1 + 1, "the second check fails a second later, and the write is there within another"

    tell(plot, THREE_STEPS)


def test_k11_a_rollback_asks_nobody_how_many_endpoints_stable_has():
    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.at(10)
        story.fail(100, "v1")
        story.fail(100, "v2")
        assert await story.live(OLD_LIVE) <= 4
        assert story.record.phase is Phase.ROLLED_BACK

    tell(plot, THREE_STEPS)


def test_k15_what_is_not_a_weight_of_the_ramp_goes_live_as_git_has_it():
    old, new = _rich(OLD), _rich(NEW)

    async def plot(story: Story) -> None:
        story.push_all(new)
        await story.at(30, seconds=120)
        expected = copy.deepcopy(new["spec"])
        for entry, weight in zip(expected["http"][-1]["route"], (70, 30), strict=True):
            entry["weight"] = weight
        assert story.spec == expected
        await story.finish()
        assert story.spec == new["spec"]

    tell(plot, THREE_STEPS, begins=old)


def _rich(weights: str) -> dict[str, Any]:
    """A VirtualService with matched routes, three destinations, a fault, CORS, mirrors and header rules."""
    body = a_service("reviews", weights)
    spec = body["spec"]
    spec["gateways"] = ["mesh", "istio-system/public"]
    spec["exportTo"] = ["*"]
    spec["http"] = [
        {
            "name": "insiders",
            "match": [{"headers": {"cookie": {"regex": "^(.*?;)?(type=insider)(;.*)?$"}}, "port": 80}],
            "route": [
                {"destination": {"host": "reviews", "subset": "v1"}, "weight": 20},
                {"destination": {"host": "reviews", "subset": "v2"}, "weight": 30},
                {"destination": {"host": "reviews", "subset": "v3"}, "weight": 50},
            ],
            "fault": {"delay": {"percentage": {"value": 0.1}, "fixedDelay": "5s"}},
        },
        {
            **spec["http"][0],
            "timeout": "3s",
            "retries": {"attempts": 3, "perTryTimeout": "1s", "retryOn": "5xx,reset"},
            "corsPolicy": {"allowOrigins": [{"exact": "https://example.com"}], "maxAge": "24h"},
            "headers": {"request": {"set": {"x-team": "reviews"}}},
            "mirror": {"host": "reviews", "subset": "v3"},
            "mirrorPercentage": {"value": 1.5},
        },
    ]
    return body


def test_k16_a_rollback_goes_through_although_every_step_forward_is_refused():
    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.at(10)
        other = files(a_service("ratings", "v1 100"), a_rule("ratings"))
        # The next step is refused, as a webhook would; so is everything else that the pass wants.
        story.world.cluster.refuses = lambda r: r.dry_run or r.name == "ratings"
        story.repository.push({**story.repository.commits[-1].files, **other})
        await anyio.sleep(25)
        assert story.world.live() == {"v1": 90, "v2": 10}, "the forward step is refused"
        story.fail()
        assert await story.live(OLD_LIVE) <= 4
        await anyio.sleep(5)
        assert story.record.phase is Phase.ROLLED_BACK

    tell(plot, THREE_STEPS)
