"""A failing canary is back on stable within an interval of the guard and a second, while writes hang.

The API server is a process of its own, behind a proxy that holds writes back; daemon, client and Git are the
real ones. Only the metrics are made up.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from pathlib import Path
from typing import Any

import anyio
import pytest
from fakes.apiserver import an_api_server
from fakes.hanging_proxy import HangingProxy, hanging_proxy
from fakes.real_loop import RULES, policy, routes, until

from gitmesh.engine import wiring
from gitmesh.kube.client import KubeClient
from gitmesh.kube.connect import connect
from gitmesh.kube.errors import NotFoundError
from gitmesh.model.config import Config
from gitmesh.model.kinds import TRAFFIC_ROLLOUT, TRAFFIC_SOURCE, VIRTUAL_SERVICE
from gitmesh.model.metrics import RequestQuery, RequestStats
from gitmesh.model.rollout import Phase, RolloutRecord
from gitmesh.playground.repository import GitRepository

pytestmark = [pytest.mark.anyio, pytest.mark.real]
INTERVAL_SECONDS = 0.5
LIMIT_SECONDS = INTERVAL_SECONDS + 1.0
ROUTES = "/virtualservices/reviews"
RECORD = "/trafficrollouts/reviews/status"
ANALYSIS = (  # one failed check is enough, so that nothing but the reaction takes time
    "{mode: threshold, interval: 500ms, window: 2s, failures: 1, "
    "metrics: [{name: error-rate, max: 5%, minRequests: 5}]}"
)
POLICY = policy((10, "2s"), (50, "1h"), (100, "0s"), analysis=ANALYSIS)


class Metrics:
    """Says that all requests fail, from the moment that it is told to."""

    def __init__(self) -> None:
        self.fail = False

    answers = True

    async def prepare(self, query: Any) -> None:
        return None

    async def count(self, query: RequestQuery) -> RequestStats:
        return RequestStats(100, 100 if self.fail else 0, "made up")

    async def close(self) -> None:
        return None


@dataclass
class Stage:
    """A daemon behind a proxy, and a client that goes past it."""

    client: KubeClient
    proxy: HangingProxy
    metrics: Metrics
    repository: GitRepository

    async def weights(self) -> tuple[int, ...]:
        try:
            body = await self.client.get(VIRTUAL_SERVICE, "default", "reviews")
        except NotFoundError:
            return ()
        return tuple(d.get("weight", 0) for d in body["spec"]["http"][0]["route"])

    async def record(self) -> RolloutRecord | None:
        try:
            body = await self.client.get(TRAFFIC_ROLLOUT, "default", "reviews")
        except NotFoundError:
            return None
        return RolloutRecord.model_validate(body["status"]) if body.get("status") else None

    async def wait_weights(self, *weights: int) -> None:
        async def seen() -> bool:
            return await self.weights() == weights

        await until(f"the weights {weights}", seen)

    async def is_rolled_back(self) -> bool:
        record = await self.record()
        return record is not None and record.phase is Phase.ROLLED_BACK


@asynccontextmanager
async def a_stage(directory: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    metrics = Metrics()
    patch.setattr(wiring, "open_metrics", lambda *_: metrics)
    repository = GitRepository.create(directory / "repository")
    repository.publish({"rules.yaml": RULES, "routes.yaml": routes(100, 0), "policy.yaml": POLICY}, "begin")
    with an_api_server(directory / "api") as server:
        async with hanging_proxy(server.address) as proxy:
            config = json.loads(server.kubeconfig.read_text())
            config["clusters"][0]["cluster"]["server"] = proxy.address
            kubeconfig = directory / "kubeconfig"
            kubeconfig.write_text(json.dumps(config))
            settings = Config(data_dir=directory / "data", allow_file_urls=True, settle=timedelta(0))
            client = await connect(server.kubeconfig, timeout=timedelta(seconds=10), environ={})
            async with wiring.daemon(settings, kubeconfig) as running, anyio.create_task_group() as group:
                group.start_soon(running.daemon.run)
                await follow(client, repository)
                yield Stage(client, proxy, metrics, repository)
                group.cancel_scope.cancel()
            await client.close()


async def follow(client: KubeClient, repository: GitRepository) -> None:
    body = {
        "apiVersion": TRAFFIC_SOURCE.api_version,
        "kind": TRAFFIC_SOURCE.kind,
        "metadata": {"name": "mesh", "namespace": "default"},
        "spec": {"url": repository.url, "interval": "1h"},
    }
    await client.apply(TRAFFIC_SOURCE, body, force=True)


@pytest.mark.parametrize(
    ("path", "count", "seconds"),
    [(ROUTES, 1, inf), (ROUTES, 2, inf), (ROUTES, 1, 2.5), (RECORD, 100, inf)],
    ids=["the step for ever", "the step and the way back", "the step, and comes late", "every record"],
)
async def test_stable_is_live_in_time_while_writes_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, count: int, seconds: float
):
    async with a_stage(tmp_path, monkeypatch) as stage:
        await stage.wait_weights(100, 0)
        stage.repository.publish({"routes.yaml": routes(0, 100)}, "move")
        await stage.wait_weights(90, 10)

        def holds(method: str, asked: str) -> float:
            return seconds if asked.endswith(path) and len(stage.proxy.held) < count else 0

        if path == ROUTES:  # the write of the step to 50 % hangs, and then the canary fails
            stage.proxy.holds = holds
            await until("a write that hangs", lambda: _is_held(stage))
        else:
            await anyio.sleep(1)
            stage.proxy.holds = holds
        stage.metrics.fail, began = True, time.monotonic()
        await stage.wait_weights(100, 0)
        assert time.monotonic() - began <= LIMIT_SECONDS
        if path == RECORD:
            stage.proxy.holds = lambda method, asked: 0
        await until("the record", stage.is_rolled_back, 40)
        await anyio.sleep(3)  # what was held back has come by now
        assert await stage.weights() == (100, 0)


async def _is_held(stage: Stage) -> bool:
    return bool(stage.proxy.held)
