"""Promises about ways that are not weights, all parts real: promoted or gone back, and nothing left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import yaml
from fakes.real_loop import RULES, World, guard, until

from gitmesh.istio.walks.rules import is_twin
from gitmesh.model.kinds import DESTINATION_RULE, VIRTUAL_SERVICE, Kind
from gitmesh.model.rollout import Phase, RolloutRecord
from gitmesh.playground.load import LoadGenerator

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.usefixtures("daemon")]

OF_RULE = "reviews.destinationrule"
STEPS = [{"progress": 30, "hold": "1s"}, {"progress": 100}]


def routes(subset: str = "v1", **route: Any) -> str:
    entry = {"destination": {"host": "reviews", "subset": subset}}
    spec = {"hosts": ["reviews"], "http": [{"name": "all", **route, "route": [entry]}]}
    return written("VirtualService", spec)


def rule(policy: dict[str, Any]) -> str:
    spec = yaml.safe_load(RULES)["spec"]
    spec["subsets"][0]["trafficPolicy"] = policy
    return written("DestinationRule", spec)


def written(kind: str, spec: dict[str, Any]) -> str:
    head = {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": "reviews"}}
    return yaml.safe_dump({**head, "spec": spec})


def policy(**spec: Any) -> str:
    body = {
        "apiVersion": "gitmesh.dev/v1alpha1",
        "kind": "RolloutPolicy",
        "metadata": {"name": "careful"},
        "spec": {"steps": STEPS, "analysis": yaml.safe_load(guard()), "bake": "0s", **spec},
    }
    return yaml.safe_dump(body)


async def spec_of(world: World, kind: Kind) -> dict[str, Any]:
    return dict((await world.client.get(kind, "default", "reviews"))["spec"])


async def is_live(world: World, text: str, kind: Kind = VIRTUAL_SERVICE) -> bool:
    return await spec_of(world, kind) == yaml.safe_load(text)["spec"]


async def wait_record(world: World, name: str, phase: Phase) -> RolloutRecord:
    async def seen() -> RolloutRecord | None:
        record = await world.rollout(name)
        return record if record and record.phase is phase else None

    return await until(f"{name} to be {phase}", seen)


@asynccontextmanager
async def at_rest(world: World, **files: str) -> AsyncIterator[LoadGenerator]:
    """A world whose first commit is live, and load on it."""
    named = {f"{name}.yaml": text for name, text in files.items()}
    await world.publish(named)
    await world.follow()
    await world.wait_ready("True")
    async with world.load() as load:

        async def answered() -> bool:
            return load.record.total > 20 and load.record.failed == 0

        await until("answers", answered)
        yield load


BY_ROUTES = policy(select={"names": ["reviews"]}, walk="routes")
SLOW = {"fault": {"delay": {"fixedDelay": "0.001s", "percentage": {"value": 100}}}, "timeout": "3s"}
BROKEN = {"fault": {"abort": {"httpStatus": 503, "percentage": {"value": 100}}}}


async def test_a_good_change_of_a_route_is_walked_by_request_ids_to_what_git_says(world: World):
    async with at_rest(world, rules=RULES, routes=routes(), policy=BY_ROUTES) as load:
        await world.publish({"routes.yaml": routes(**SLOW)})
        record = await wait_record(world, "reviews", Phase.PROGRESSING)
        assert record.progress == 30

        async def both() -> bool:
            names = [route["name"] for route in (await spec_of(world, VIRTUAL_SERVICE))["http"]]
            return names == ["all-gitmesh-canary", "all"]

        await until("both variants", both)
        await wait_record(world, "reviews", Phase.SUCCEEDED)
        assert await is_live(world, routes(**SLOW))
        assert load.record.failed == 0


async def test_a_bad_change_of_a_route_hits_its_share_and_goes_back_to_the_letter(world: World):
    async with at_rest(world, rules=RULES, routes=routes(), policy=BY_ROUTES) as load:
        await world.publish({"routes.yaml": routes(**BROKEN)})
        record = await wait_record(world, "reviews", Phase.ROLLED_BACK)
        assert "errors" in record.message

        async def back() -> bool:
            return await is_live(world, routes())

        await until("the stable routes", back)
        assert 0 < load.record.failed < load.record.total / 2


WIDE, BALANCED = {"connectionPool": {"tcp": {"maxConnections": 100}}}, {"loadBalancer": {"simple": "RANDOM"}}
# The service speaks no TLS: nothing that takes the twin is answered.
DEAF = {"connectionPool": {"tcp": {"connectTimeout": "0.1s"}}, "tls": {"mode": "SIMPLE"}}
BY_TWINS = policy(select={"names": ["reviews"], "kinds": ["DestinationRule"]})


async def has_twin(world: World) -> bool:
    subsets = [s["name"] for s in (await spec_of(world, DESTINATION_RULE))["subsets"]]
    entries = (await spec_of(world, VIRTUAL_SERVICE))["http"][0]["route"]
    named = [entry["destination"]["subset"] for entry in entries]
    return any(map(is_twin, subsets)) and any(map(is_twin, named))


async def test_a_good_policy_is_walked_through_a_twin_and_leaves_none(world: World):
    new = rule({**WIDE, **BALANCED})
    async with at_rest(world, rules=rule(WIDE), routes=routes(), policy=BY_TWINS) as load:
        await world.publish({"rules.yaml": new})
        await until("a twin", lambda: has_twin(world))
        await wait_record(world, OF_RULE, Phase.SUCCEEDED)
        assert await is_live(world, new, DESTINATION_RULE)
        assert await is_live(world, routes())
        assert load.record.failed == 0


async def test_a_bad_policy_hits_the_share_of_its_twin_and_goes_back_to_the_letter(world: World):
    async with at_rest(world, rules=rule(WIDE), routes=routes(), policy=BY_TWINS) as load:
        await world.publish({"rules.yaml": rule(DEAF)})
        await wait_record(world, OF_RULE, Phase.ROLLED_BACK)

        async def back() -> bool:
            return await is_live(world, rule(WIDE), DESTINATION_RULE) and await is_live(world, routes())

        await until("the stable rule, and routes without twins", back)
        assert 0 < load.record.failed < load.record.total / 2


async def test_chosen_requests_then_copies_then_weights(world: World):
    beta = {"headers": {"x-group": {"exact": "beta"}}}
    steps = [{"match": [beta], "hold": "500ms"}, {"mirror": 100, "hold": "500ms"}, *STEPS]
    careful = policy(select={"names": ["reviews"]}, steps=steps, analysis=None)
    async with at_rest(world, rules=RULES, routes=routes(), policy=careful) as load:
        await world.publish({"routes.yaml": routes("v2")})
        seen: list[tuple[int, bool]] = []

        async def done() -> bool:
            http = (await spec_of(world, VIRTUAL_SERVICE))["http"]
            if (found := (len(http), "mirrors" in http[-1])) not in seen:
                seen.append(found)
            return await is_live(world, routes("v2"))

        await until("what Git says", done)
        await wait_record(world, "reviews", Phase.SUCCEEDED)
        assert (2, False) in seen
        assert (2, True) in seen
        assert load.record.failed == 0


COPIES = [{"mirror": 100, "hold": "1s"}, *STEPS]


async def test_a_bad_canary_is_found_by_copies_and_no_client_ever_meets_it(world: World):
    careful = policy(select={"names": ["reviews"]}, steps=COPIES)
    async with at_rest(world, rules=RULES, routes=routes(), policy=careful) as load:
        await world.make_fail("reviews-v2", 60)
        await world.publish({"routes.yaml": routes("v2")})
        copied = False

        async def rolled_back() -> RolloutRecord | None:
            nonlocal copied
            copied = copied or "mirrors" in (await spec_of(world, VIRTUAL_SERVICE))["http"][-1]
            record = await world.rollout()
            return record if record and record.phase is Phase.ROLLED_BACK else None

        record = await until("the rollback", rolled_back)
        assert copied
        assert "errors" in record.message
        walked = [e.progress for e in record.history if e.at >= (record.started_at or e.at)]
        assert set(walked) == {0}, record.history

        async def back() -> bool:
            return await is_live(world, routes())

        await until("the stable routes", back)
        assert load.record.failed == 0


async def test_a_good_canary_gets_weight_after_its_copies_were_judged(world: World):
    careful = policy(select={"names": ["reviews"]}, steps=COPIES)
    async with at_rest(world, rules=RULES, routes=routes(), policy=careful) as load:
        await world.publish({"routes.yaml": routes("v2")})
        await wait_record(world, "reviews", Phase.PROGRESSING)
        record = await wait_record(world, "reviews", Phase.SUCCEEDED)
        first = next(entry for entry in record.history if entry.progress == 30)
        assert "nothing to measure" not in first.message
        assert load.record.failed == 0


async def test_blue_green_switches_everything_after_the_copies_and_back_in_one_go(world: World):
    steps = [{"mirror": 100, "hold": "1s"}, {"progress": 100}]
    switch = policy(select={"names": ["reviews"]}, steps=steps, bake="30s")
    async with at_rest(world, rules=RULES, routes=routes(), policy=switch) as load:
        await world.publish({"routes.yaml": routes("v2")})
        splits: set[tuple[int, ...]] = set()

        async def switched() -> bool:
            entries = (await spec_of(world, VIRTUAL_SERVICE))["http"][-1]["route"]
            splits.add(tuple(entry.get("weight", 100) for entry in entries))
            return await is_live(world, routes("v2"))

        await until("the switch", switched)
        record = await wait_record(world, "reviews", Phase.PROMOTING)
        assert "nothing to measure" not in record.message, "its copies were judged"
        assert load.record.failed == 0
        await world.make_fail("reviews-v2", 100)
        record = await wait_record(world, "reviews", Phase.ROLLED_BACK)

        async def back() -> bool:
            return await is_live(world, routes())

        await until("the stable routes", back)
        assert "errors" in record.message
        assert all(set(split) <= {0, 100} for split in splits), "nothing between none and all"
