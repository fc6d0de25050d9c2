"""What Flagger's own tests do, told as stories of traffic configuration: scenarios F1 to F15."""

from __future__ import annotations

import copy
from typing import Any

import anyio
from stories import NEW, OLD, Story, a_policy, a_rule, a_service, any_weights_of, rising, seldom, tell

from gitmesh.model.kinds import TRAFFIC_SOURCE, VIRTUAL_SERVICE
from gitmesh.model.rollout import Phase

TENS = seldom(a_policy("reviews", steps="10 15s, 20 15s, 30 15s, 100", bake="15s"), "5s", "15s")
TWENTIES = seldom(a_policy("reviews", steps="20 20s, 40 20s, 100", bake="20s"), "10s", "10s")


def test_f1_a_good_canary_takes_each_step_and_becomes_stable():
    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.finish()
        assert story.canary == [0, 10, 20, 30, 100]
        assert story.phases == [Phase.SUCCEEDED, Phase.PROGRESSING, Phase.PROMOTING, Phase.SUCCEEDED]
        assert any_weights_of(story.record.stable.spec) == {"v2": 100}

    tell(plot, TENS)


def test_f4_an_object_that_was_there_before_is_as_it_was_when_the_source_goes():
    async def plot(story: Story) -> None:
        before = a_service("ratings", OLD, retries={"attempts": 3, "perTryTimeout": "1s"})
        before["spec"]["hosts"] = ["ratings", "app.example.com"]
        story.world.cluster.put(copy.deepcopy(before))
        story.set_source(adopt=True)
        story.push(OLD, before, a_rule("ratings"))
        await story.world.until(lambda: len(story.world.status().inventory) == 4)
        assert _spec_of(story, "ratings") == before["spec"], "adopting changes nothing"
        story.world.cluster.take(TRAFFIC_SOURCE, "default", "mesh")
        await anyio.sleep(60)
        assert _spec_of(story, "ratings") == before["spec"]

    tell(plot)


def _spec_of(story: Story, name: str) -> Any:
    found = story.world.cluster.find(VIRTUAL_SERVICE, "default", name)
    assert found is not None
    return found["spec"]


def test_f5_without_a_policy_it_is_live_at_once_and_a_version_that_is_not_there_never():
    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.live({"v2": 100})
        assert story.canary == [0, 100]
        story.push("v1 0, v2 0, v9 100")
        await story.world.until(lambda: story.world.ready() == ("False", "ValidationFailed"))
        await anyio.sleep(30)
        assert story.canary == [0, 100]

    tell(plot)


def test_f6_a_delegate_ramps_and_its_root_stays():
    root = a_service("root", "v1 100")
    root["spec"] = {
        "hosts": ["app.example.com"],
        "http": [
            {
                "match": [{"uri": {"prefix": "/reviews"}}],
                "delegate": {"name": "reviews", "namespace": "default"},
            }
        ],
    }
    delegate, moved = (_without_hosts(a_service("reviews", weights)) for weights in (OLD, NEW))

    async def plot(story: Story) -> None:
        story.push_all(root, moved)
        await story.finish()
        assert story.canary == [0, 10, 20, 30, 100]
        assert _spec_of(story, "root") == root["spec"]
        assert story.spec == moved["spec"]

    tell(plot, TENS, begins=delegate)


def _without_hosts(body: dict[str, Any]) -> dict[str, Any]:
    del body["spec"]["hosts"]
    return body


def test_f7_what_git_has_for_affinity_stays_in_force_on_every_step():
    def sticky(weights: str) -> dict[str, Any]:
        body = a_service("reviews", weights)
        (ramp,) = body["spec"]["http"]
        ramp["route"][1]["headers"] = {"response": {"set": {"set-cookie": "canary=yes; Max-Age=86400"}}}
        cookie = {"headers": {"cookie": {"regex": "^(.*?;)?(canary=yes)(;.*)?$"}}}
        once = {"destination": {"host": "reviews", "subset": "v2"}}
        body["spec"]["http"] = [{"name": "came-before", "match": [cookie], "route": [once]}, ramp]
        return body

    async def plot(story: Story) -> None:
        story.push_all(sticky(NEW))
        for progress in (10, 20, 30):
            await story.at(progress)
            assert story.spec["http"][0] == sticky(NEW)["spec"]["http"][0]
            assert story.spec["http"][1]["route"][1]["headers"]["response"]["set"]
        await story.finish()

    tell(plot, TENS, begins=sticky(OLD))


def test_f8_errors_of_the_canary_roll_back_to_stable():
    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.at(20)
        story.fail(100)
        await story.phase(Phase.ROLLED_BACK, seconds=31)
        await story.live({"v1": 100}, seconds=1)
        assert story.canary == [0, 20, 0]
        assert "100 % errors" in story.record.message

    tell(plot, TWENTIES)


def test_f9_after_a_rollback_a_revert_is_at_rest_and_new_content_goes_out_again():
    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.at(20)
        story.fail(100)
        await story.phase(Phase.ROLLED_BACK)
        story.push(OLD)
        await story.phase(Phase.SUCCEEDED)
        await anyio.sleep(30)
        assert story.canary == [0, 20, 0], "nothing ran for the revert"
        story.fail(0)
        story.push(NEW, timeout="2s")
        await story.at(20)
        await story.finish()
        assert story.canary == [0, 20, 0, 20, 40, 100]

    tell(plot, TWENTIES)


def test_f10_another_revision_in_the_middle_of_a_ramp_begins_at_the_first_step_with_nothing_counted():
    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.at(50)
        story.fail(100)
        await story.world.until(lambda: story.record.failed_checks == 1)
        story.push("v1 0, v2 0, v3 100")
        await story.world.until(lambda: story.record.canary and "v3" in story.record.weights)
        assert (story.record.step, story.record.failed_checks) == (0, 0)
        await story.live({"v1": 90, "v3": 10})
        assert story.canary == [0, 10, 50, 0]

    tell(plot, a_policy("reviews", steps="10 5s, 50 60s, 100", failures=50))


def test_f12_the_last_step_of_a_ramp_is_all_and_not_more():
    policy = a_policy("reviews", steps="100")
    policy["spec"]["ramp"] = "linear 30% every 5s"
    del policy["spec"]["steps"]

    async def plot(story: Story) -> None:
        story.push(NEW)
        await story.finish()
        assert story.canary == [0, 30, 60, 90, 100]
        assert all(sum(weights.values()) == 100 for weights in story.path)

    tell(plot, policy)


def test_f14_tcp_routes_are_walked_as_http_routes_are():
    async def plot(story: Story) -> None:
        story.push_all(_tcp(0, 100))
        await story.finish()
        assert story.canary == [0, 10, 20, 30, 100]
        assert story.spec == _tcp(0, 100)["spec"]

    tell(plot, _by_time(TENS), begins=_tcp(100, 0))


def _tcp(v1: int, v2: int) -> dict[str, Any]:
    body = a_service("reviews", f"v1 {v1}, v2 {v2}")
    route = body["spec"].pop("http")[0]["route"]
    body["spec"]["tcp"] = [{"match": [{"port": 9080}], "route": route}]
    return body


def _by_time(policy: dict[str, Any]) -> dict[str, Any]:
    return {**policy, "spec": {**policy["spec"], "analysis": None}}


def test_f15_gateways_ports_cors_headers_and_matches_stay_while_weights_move():
    def public(weights: str) -> dict[str, Any]:
        body = a_service(
            "reviews",
            weights,
            match=[{"uri": {"prefix": "/"}, "port": 443}],
            corsPolicy={"allowOrigins": [{"regex": ".*"}], "allowCredentials": False, "maxAge": "24h"},
            headers={"request": {"add": {"x-envoy-upstream-rq-timeout-ms": "15000"}}},
        )
        body["spec"] |= {"hosts": ["app.example.com"], "gateways": ["istio-system/public", "mesh"]}
        return body

    async def plot(story: Story) -> None:
        story.push_all(public(NEW))
        for progress in (10, 20, 30):
            await story.at(progress)
            assert _without_routes(story.spec) == _without_routes(public(NEW)["spec"])
        await story.finish()
        assert rising(story.canary)

    tell(plot, TENS, begins=public(OLD))


def _without_routes(spec: Any) -> Any:
    routes = [{k: v for k, v in route.items() if k != "route"} for route in spec["http"]]
    return {**spec, "http": routes}
