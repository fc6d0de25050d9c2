"""A failing canary is back on stable within an interval of the guard and a second, with real processes.

Whatever the API server says to the write of the next step, whoever else writes the object, and whoever leads.
Only the metrics are made up; they come over HTTP.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest
from aiohttp import web
from fakes.hanging_proxy import on_a_free_port
from fakes.real_loop import RULES, policy, routes, until
from fakes.replicas import CONFIG, Replica, Replicas, replicas
from fakes.witness_proxy import Harm, Seen

from gitmesh.kube.errors import ClusterError, NotFoundError
from gitmesh.model.kinds import TRAFFIC_ROLLOUT, VIRTUAL_SERVICE
from gitmesh.model.rollout import Phase, RolloutRecord

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.timeout(240)]
INTERVAL_SECONDS = 1.0
LIMIT_SECONDS = INTERVAL_SECONDS + 1.0
ROUTES = "/virtualservices/reviews"
ANALYSIS = (  # one failed check is enough, so that nothing but the reaction takes time
    "{mode: threshold, interval: 1s, window: 5s, failures: 1, "
    "metrics: [{name: error-rate, max: 5%, minRequests: 5}]}"
)
POLICY = policy((10, "2s"), (50, "1h"), (100, "0s"), analysis=ANALYSIS)
STABLE, CANARY = (100, 0), (90, 10)


class Metrics:
    """A web endpoint that says how many requests the canary gets, and how many of them fail."""

    def __init__(self) -> None:
        self.requests = self.failed = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        if asked["version"] != "v2":
            return web.json_response({"requests": 1_000, "failed": 0})
        return web.json_response({"requests": self.requests, "failed": self.failed})


class Stage:
    """Replicas that follow a repository, with a rollout at 10 % that is asked about once a second."""

    def __init__(self, world: Replicas, metrics: Metrics) -> None:
        self.world, self.metrics = world, metrics

    async def record(self) -> RolloutRecord | None:
        try:
            body = await self.world.client.get(TRAFFIC_ROLLOUT, "default", "reviews")
        except NotFoundError:
            return None
        return RolloutRecord.model_validate(body["status"]) if body.get("status") else None

    async def ramp(self) -> None:
        repository = self.world.repository
        files = {"rules.yaml": RULES, "routes.yaml": routes(*STABLE), "policy.yaml": POLICY}
        await self.world.follow()
        await self.world.wait_applied(repository.publish(files, "begin"))
        self.metrics.requests = 100
        repository.publish({"routes.yaml": routes(0, 100)}, "move")
        await until("the canary", self._is_confirmed)

    async def _is_confirmed(self) -> bool:
        record = await self.record()
        live = record is not None and record.progress == 10 and record.effective_at is not None
        return live and await self.world.weights() == CANARY

    async def time_to_stable(self, since: Callable[[], float]) -> float:
        """Let the canary fail; return how many seconds after `since()` stable is live."""
        self.metrics.failed = 100

        async def is_back() -> bool:
            return await self.world.weights() == STABLE

        await until("stable routes", is_back, 60)
        return time.monotonic() - since()

    async def ends_rolled_back(self) -> None:
        async def seen() -> bool:
            record = await self.record()
            return record is not None and record.phase is Phase.ROLLED_BACK and bool(record.effective_at)

        await until("the record", seen, 60)
        await anyio.sleep(2)
        assert await self.world.weights() == STABLE


@asynccontextmanager
async def a_stage(directory: Path, count: int = 1) -> AsyncIterator[Stage]:
    metrics = Metrics()
    async with on_a_free_port(metrics.answer) as url:
        provider = json.dumps({"name": "made-up", "kind": "web", "url": url})
        config = f"{CONFIG}metrics: {{providers: [{provider}]}}\n"
        async with replicas(directory, count, config=config) as world:
            stage = Stage(world, metrics)
            await stage.ramp()
            yield stage


def is_step(seen: Seen) -> bool:
    """Say whether this is a write that goes forward: it names the version of the object that it changes."""
    routes, dry = seen.method == "PATCH" and seen.path.endswith(ROUTES), "dryRun" in seen.query
    return routes and not dry and bool(seen.body.get("metadata", {}).get("resourceVersion"))


@pytest.mark.parametrize("harm", ["409", "500", "429", "hold", "drop before"])
async def test_stable_is_live_in_time_although_every_write_of_the_step_ends_as(harm: Harm, tmp_path: Path):
    async with a_stage(tmp_path) as stage:
        proxy = stage.world.proxy
        proxy.harms = lambda seen: harm if is_step(seen) else ""

        async def met() -> bool:
            return any(seen.harm == harm for seen in proxy.seen)

        await until("a step that does not get through", met)
        began = time.monotonic()
        assert await stage.time_to_stable(lambda: began) <= LIMIT_SECONDS
        await stage.ends_rolled_back()


@pytest.mark.parametrize("harm", ["409", "500", "429"])
async def test_stable_is_live_in_time_although_the_first_writes_of_the_way_back_end_as(
    harm: Harm, tmp_path: Path
):
    async with a_stage(tmp_path) as stage:
        left = [3]

        def harms(seen: Seen) -> Harm:
            if left[0] <= 0 or seen.method != "PATCH" or not seen.path.endswith(ROUTES) or is_step(seen):
                return ""
            left[0] -= "dryRun" not in seen.query
            return harm if "dryRun" not in seen.query else ""

        stage.world.proxy.harms = harms
        began = time.monotonic()
        assert await stage.time_to_stable(lambda: began) <= LIMIT_SECONDS + (1.0 if harm == "429" else 0.0)
        assert left == [0]
        await stage.ends_rolled_back()


async def test_stable_is_live_in_time_although_somebody_else_writes_the_object_all_the_time(tmp_path: Path):
    """So that each write that names a version conflicts, for ever."""
    async with a_stage(tmp_path) as stage, anyio.create_task_group() as group:

        async def write() -> None:
            for number in range(100_000):
                with suppress(ClusterError):
                    note = {"metadata": {"annotations": {"example.com/note": str(number)}}}
                    await stage.world.client.merge_patch(VIRTUAL_SERVICE, "default", "reviews", note)
                await anyio.sleep(0.02)

        group.start_soon(write)
        await anyio.sleep(3)
        began = time.monotonic()
        assert await stage.time_to_stable(lambda: began) <= LIMIT_SECONDS
        group.cancel_scope.cancel()
        await stage.ends_rolled_back()


async def _ask_to_end(stage: Stage, leader: Replica) -> None:
    await leader.stop()


async def _kill(stage: Stage, leader: Replica) -> None:
    leader.kill()


async def _freeze(stage: Stage, leader: Replica) -> None:
    leader.freeze()


@pytest.mark.parametrize("end", [_ask_to_end, _kill, _freeze], ids=["asked to end", "killed", "frozen"])
async def test_whoever_leads_next_rolls_back_in_time(end: Callable, tmp_path: Path):  # type: ignore[type-arg]
    """Counted from the moment that it leads; who is asked to end gives the Lease up at once."""
    async with a_stage(tmp_path, 2) as stage, anyio.create_task_group() as group:
        old, led = await stage.world.leader(), [0.0]
        identity = old.identity

        async def watch() -> None:
            while not led[0]:
                holder = await stage.world.holder()
                if holder and holder != identity:
                    led[0] = time.monotonic()
                await anyio.sleep(0.02)

        group.start_soon(watch)
        stage.metrics.failed = 100  # a moment before the one who would react to it is gone
        await end(stage, old)
        if await stage.world.weights() == CANARY:
            assert await stage.time_to_stable(lambda: led[0]) <= LIMIT_SECONDS
        group.cancel_scope.cancel()
        await stage.ends_rolled_back()
