"""Ways that are not weights alone: chosen requests, copies, all at once. Scenarios F2, F3, F11, A8 and A9."""

from __future__ import annotations

from typing import Any

import anyio
from stories import NEW, OLD, Story, a_policy, a_service, tell

from gitmesh.model.rollout import Phase

BETA = {"headers": {"x-group": {"exact": "beta"}}}
INSIDER = {"headers": {"cookie": {"regex": "^(.*?;)?(type=insider)(;.*)?$"}}}


def by_steps(*steps: dict[str, Any], analysis: bool = False, bake: str = "2s") -> dict[str, Any]:
    policy = a_policy("reviews", analysis=analysis, bake=bake)
    policy["spec"]["steps"] = [*steps, {"progress": 100}]
    return policy


def destinations(story: Story) -> list[list[str]]:
    """The destinations of each route that take something, in order."""
    return [
        [e["destination"]["subset"] for e in route["route"] if e.get("weight", 100) > 0]
        for route in story.spec["http"]
    ]


def test_f2_blue_green_gives_nothing_until_the_copies_were_good_and_then_everything():
    policy = by_steps({"mirror": 100, "hold": "10s"}, analysis=True)

    async def plot(story: Story) -> None:
        story.world.metrics.requests_per_second["reviews"] = 0
        story.push(NEW)
        await story.phase(Phase.PROGRESSING)
        await story.world.until(lambda: "mirrors" in story.spec["http"][0])
        await anyio.sleep(30)
        assert destinations(story) == [["v1"]], "its hold is over, and no copy has been seen"
        story.world.metrics.requests_per_second["reviews"] = 500
        await story.finish()
        assert story.canary == [0, 100]
        assert story.spec == a_service("reviews", NEW)["spec"], "nothing of the way is left"

    tell(plot, policy)


def test_f2_the_way_back_from_blue_green_is_one_write():
    policy = by_steps(analysis=True, bake="60s")

    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.live({"v2": 100})
        story.fail()
        assert await story.live({"v1": 100}) <= 4
        assert story.canary == [0, 100, 0]

    tell(plot, policy)


def test_f3_chosen_requests_stay_at_their_gate_until_a_person_promotes():
    policy = by_steps({"match": [INSIDER], "hold": "5s", "gate": "manual"})

    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.world.until(lambda: len(story.spec["http"]) == 2)
        await anyio.sleep(60)
        assert destinations(story) == [["v2"], ["v1"]]
        assert "until somebody promotes it" in story.record.message
        story.world.ask("reviews", promote=f"{story.record.canary_hash}@{story.record.step}")
        await story.finish()
        assert story.spec == a_service("reviews", NEW)["spec"]

    tell(plot, policy)


def test_f3_chosen_requests_take_the_canary_and_all_others_stable_until_time_promotes():
    policy = by_steps({"match": [INSIDER], "hold": "20s"})

    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.phase(Phase.PROGRESSING)
        await story.world.until(lambda: len(story.spec["http"]) == 2)
        chosen, rest = story.spec["http"]
        assert [match["headers"] for match in chosen["match"]] == [INSIDER["headers"]]
        assert destinations(story) == [["v2"], ["v1"]]
        assert "match" not in rest
        await anyio.sleep(15)
        assert destinations(story) == [["v2"], ["v1"]]
        await story.finish()
        assert story.spec == a_service("reviews", NEW)["spec"], "the chosen route is gone"

    tell(plot, policy)


def test_f3_a_rollback_takes_the_chosen_requests_back_as_well():
    policy = by_steps({"match": [INSIDER], "hold": "60s"})

    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.world.until(lambda: len(story.spec["http"]) == 2)
        story.world.ask("reviews", rollBack=story.record.canary_hash)
        await story.world.until(lambda: story.spec == a_service("reviews", OLD)["spec"], seconds=1)

    tell(plot, policy)


def test_f11_copies_come_before_the_first_weight_and_end_with_it():
    policy = by_steps({"mirror": 100, "hold": "5s"}, {"progress": 10, "hold": "5s"})

    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.world.until(lambda: "mirrors" in story.spec["http"][0])
        assert story.world.live() == {"v1": 100}
        (copies,) = story.spec["http"][0]["mirrors"]
        assert copies["destination"]["subset"] == "v2"
        await story.live({"v1": 90, "v2": 10})
        assert "mirrors" not in story.spec["http"][0]
        await story.finish()

    tell(plot, policy)


def test_f11_a_canary_that_fails_its_copies_never_gets_a_request_of_a_client():
    policy = by_steps({"mirror": 100, "hold": "5s"}, {"progress": 10, "hold": "5s"}, analysis=True)

    async def plot(story: Story) -> None:
        story.fail()
        story.push(NEW)
        await story.world.until(lambda: "mirrors" in story.spec["http"][0])
        await story.phase(Phase.ROLLED_BACK, seconds=10)
        await story.world.until(lambda: story.spec == a_service("reviews", OLD)["spec"], seconds=1)
        assert story.canary == [0]
        assert "error" in story.record.message

    tell(plot, policy)


def test_f11_copies_that_were_good_let_the_weights_begin_and_too_few_do_not():
    policy = by_steps({"mirror": 100, "hold": "5s"}, {"progress": 10, "hold": "5s"}, analysis=True)

    async def plot(story: Story) -> None:
        story.world.metrics.requests_per_second["reviews"] = 0
        story.push(NEW)
        await story.world.until(lambda: "mirrors" in story.spec["http"][0])
        await anyio.sleep(30)
        assert story.canary == [0], "nothing was copied, so nothing is known"
        story.world.metrics.requests_per_second["reviews"] = 500
        await story.live({"v1": 90, "v2": 10})
        await story.finish()
        assert story.canary == [0, 10, 100]

    tell(plot, policy)


def test_a8_chosen_requests_stay_chosen_while_weights_grow_behind_them():
    policy = by_steps(
        {"match": [BETA], "hold": "5s"}, {"progress": 20, "hold": "5s"}, {"progress": 40, "hold": "5s"}
    )

    async def plot(story: Story) -> None:
        story.push(NEW)
        for weights in ({"v1": 80, "v2": 20}, {"v1": 60, "v2": 40}):
            await story.live(weights)
            assert destinations(story) == [["v2"], ["v1", "v2"]]
            assert story.spec["http"][0]["match"][0]["headers"] == BETA["headers"]
        await story.finish()
        assert destinations(story) == [["v2"]]

    tell(plot, policy)


def test_a9_routes_and_copies_of_git_keep_their_order_and_those_of_the_way_leave_no_trace():
    def with_copies(text: str) -> dict[str, Any]:
        body = a_service("reviews", text)
        (primary,) = body["spec"]["http"]
        copies = [
            {
                "name": name,
                "match": [{"method": {"exact": method}}],
                "route": [{"destination": {"host": "reviews", "subset": "v1"}}],
                "mirror": {"host": "reviews", "subset": "v3"},
                "mirrorPercentage": {"value": percent},
            }
            for name, method, percent in (("mirror-route-1", "GET", 100.0), ("mirror-route-2", "POST", 80.0))
        ]
        body["spec"]["http"] = [*copies, primary]
        return body

    policy = by_steps({"match": [BETA], "hold": "5s"}, {"mirror": 50, "hold": "5s"})
    wanted = with_copies(NEW)["spec"]

    async def plot(story: Story) -> None:
        story.push_all(with_copies(NEW))
        for _ in range(8):
            names = [route["name"] for route in story.spec["http"]]
            assert [n for n in names if n.startswith("mirror-route")] == ["mirror-route-1", "mirror-route-2"]
            assert story.spec["http"][:2] == wanted["http"][:2]
            await anyio.sleep(2)
        await story.finish()
        assert story.spec == wanted

    tell(plot, policy, begins=with_copies(OLD))
