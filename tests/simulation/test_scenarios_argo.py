"""What Argo Rollouts' own tests do, told as stories of traffic configuration: scenarios A1 to A13."""

from __future__ import annotations

from typing import Any

import anyio
from stories import NEW, OLD, Story, a_policy, a_service, any_weights_of, tell

from gitmesh.model.rollout import Phase

TENTH = a_policy("reviews", steps="10 20s, 100", bake="2s")
BY_TIME = a_policy("reviews", steps="10 20s, 100", bake="2s", analysis=False)


def split(v1: int, v2: int, *protocols: str) -> dict[str, Any]:
    """Routes that split by host and not by subset, for HTTP, TLS, or both."""
    body = a_service("reviews", OLD)
    entries = [
        {"destination": {"host": "reviews-v1"}, "weight": v1},
        {"destination": {"host": "reviews-v2"}, "weight": v2},
    ]
    routes: dict[str, Any] = {
        "http": [{"name": "primary", "route": entries}],
        "tls": [{"match": [{"port": 443, "sniHosts": ["reviews.example.com"]}], "route": entries}],
    }
    body["spec"] = {"hosts": ["reviews.example.com"], **{p: routes[p] for p in protocols}}
    return body


def weights(spec: Any, protocol: str) -> list[int]:
    return [entry.get("weight", 0) for entry in spec[protocol][0]["route"]]


def test_a1_a_split_by_host_moves_http_and_tls_together():
    async def plot(story: Story) -> None:
        story.push_all(split(0, 100, "http", "tls"))
        await story.at(10)
        assert weights(story.spec, "http") == weights(story.spec, "tls") == [90, 10]
        await anyio.sleep(10)
        assert weights(story.spec, "http") == weights(story.spec, "tls") == [90, 10]
        await story.finish()
        assert weights(story.spec, "http") == weights(story.spec, "tls") == [0, 100]

    tell(plot, BY_TIME, begins=split(100, 0, "http", "tls"))


def test_a2_a_tls_route_alone_is_moved():
    async def plot(story: Story) -> None:
        story.push_all(split(0, 100, "tls"))
        await story.at(10)
        assert weights(story.spec, "tls") == [90, 10]
        await story.finish()
        assert weights(story.spec, "tls") == [0, 100]

    tell(plot, BY_TIME, begins=split(100, 0, "tls"))


def test_a3_a_single_route_without_a_name_is_split_by_subset():
    def unnamed(text: str) -> dict[str, Any]:
        body = a_service("reviews", text)
        del body["spec"]["http"][0]["name"]
        return body

    async def plot(story: Story) -> None:
        story.push_all(unnamed(NEW))
        await story.finish()
        assert story.canary == [0, 10, 100]

    tell(plot, TENTH, begins=unnamed(OLD))


def test_a4_a_person_can_abort_on_the_way_and_aborting_at_rest_changes_nothing():
    async def plot(story: Story) -> None:
        story.world.ask("reviews", rollBack=story.record.stable.hash)
        await anyio.sleep(10)
        assert (story.canary, story.record.phase) == ([0], Phase.SUCCEEDED), "there is nothing to go back to"
        story.push(NEW)
        await story.at(10)
        story.world.ask("reviews", rollBack=story.record.canary_hash)
        assert await story.live({"v1": 100}) <= 1
        await anyio.sleep(60)
        assert story.canary == [0, 10, 0]
        assert story.record.phase is Phase.ROLLED_BACK

    tell(plot, TENTH)


def test_a5_a_third_version_in_the_middle_of_a_ramp_takes_the_place_of_the_second():
    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.at(10)
        story.push("v1 0, v3 100")
        await story.finish()
        assert story.path == [{"v1": 100}, {"v1": 90, "v2": 10}, {"v1": 90, "v3": 10}, {"v3": 100}]

    tell(plot, TENTH)


def test_a6_a_third_destination_comes_and_goes_and_the_canary_beside_it_stays():
    policy = a_policy("reviews", steps="50 5s, 100", bake="2s")

    async def plot(story: Story) -> None:
        story.push("v1 70, v2 10, v3 20")
        await story.finish()
        story.push("v1 90, v2 10")
        await story.live({"v1": 90, "v2": 10})
        assert story.path == [
            {"v1": 90, "v2": 10},
            {"v1": 80, "v2": 10, "v3": 10},
            {"v1": 70, "v2": 10, "v3": 20},
            {"v1": 90, "v2": 10},
        ]

    tell(plot, policy, begins="v1 90, v2 10")


def test_a7_there_and_back_again():
    policy = a_policy("reviews", steps="25 3s, 100", bake="2s")

    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.finish()
        story.push(OLD, timeout="9s")  # without it this would be a revert, which goes at once
        await story.finish()
        assert story.path == [
            {"v1": 100},
            {"v1": 75, "v2": 25},
            {"v2": 100},
            {"v1": 25, "v2": 75},
            {"v1": 100},
        ]

    tell(plot, policy)


def test_a10_an_abort_gives_stable_everything_although_stable_answers_nothing():
    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.at(10)
        story.fail(100, "v1")
        story.world.ask("reviews", rollBack=story.record.canary_hash)
        assert await story.live({"v1": 100}) <= 1
        await anyio.sleep(30)
        assert story.canary == [0, 10, 0]

    tell(plot, TENTH)


def test_a11_a_check_that_comes_to_no_verdict_pauses_and_says_why():
    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.at(10)
        story.world.metrics.requests_per_second["reviews"] = 1
        await anyio.sleep(60)
        assert story.canary == [0, 10]
        assert story.record.phase is Phase.PROGRESSING
        assert story.record.message.startswith("insufficient: ")

    tell(plot, TENTH)


def test_a12_a_failed_analysis_rolls_back_and_says_so_on_the_object():
    async def plot(story: Story) -> None:
        story.fail(30)
        story.push(NEW)
        await story.at(10)
        await story.phase(Phase.ROLLED_BACK, seconds=5)
        await anyio.sleep(2)
        (told,) = story.events("RolledBack")
        assert "30 % errors, limit 5 %" in told["message"]
        assert story.world.ready() == ("False", "RolledBack")

    tell(plot, TENTH)


def test_a13_going_back_to_what_was_stable_before_is_at_once_and_further_back_takes_the_steps():
    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.finish()
        story.push(OLD)
        await story.live({"v1": 100})
        assert story.canary == [0, 10, 100, 0], "a revert takes no step"
        for text in ("v1 0, v3 100", "v1 50, v3 50"):
            story.push(text)
            await story.finish()
        story.push(OLD)
        await story.finish()
        assert any_weights_of(story.spec) == {"v1": 100}
        assert story.path[-2] == {"v1": 55, "v3": 45}, "what is older takes the first step"

    tell(plot, TENTH)
