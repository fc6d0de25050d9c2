"""The playground, repository, daemon and load that a measurement works with."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import anyio

from gitmesh.engine.clock import SystemClock
from gitmesh.playground.demo.daemon_process import running_daemon
from gitmesh.playground.demo.stage import REQUESTS_PER_SECOND, make_repository
from gitmesh.playground.demo.world import World
from gitmesh.playground.load import LoadGenerator
from gitmesh.playground.supervisor import Playground, Ports, playground

APPLY_SECONDS_MAX = 120.0


@asynccontextmanager
async def benchmark_world(
    directory: Path,
    *,
    policies: bool,
    files: Mapping[str, str] | None = None,
    load: bool = True,
    url: str = "",
    options: Sequence[str] = (),
) -> AsyncIterator[World]:
    """Start everything, wait until the first revision is live, and end it all.

    `url`: of the repository, where the daemon does not reach it by its path. `options`: of the daemon.
    """
    clock, ports = SystemClock(), Ports(api=0, gateway=0, gateway_tls=0, mesh=0)
    async with playground(directory / "play", ports, clock=clock) as play:
        repository = make_repository(directory / "git")
        if not policies:
            shutil.rmtree(repository.work / "policies")
            repository.publish({}, "Without policies")
        if files:
            repository.publish(dict(files), "More objects")
        generator = LoadGenerator(play.mesh_address, clock=clock, rate=REQUESTS_PER_SECOND)
        async with (
            running_daemon(
                play.files.directory, directory / "data", url or repository.url, directory / "log", *options
            ) as daemon,
            anyio.create_task_group() as group,
        ):
            world = World(play.client, repository, generator, daemon, clock)
            await world.until("the first revision to be live", lambda: _applied(world), APPLY_SECONDS_MAX)
            if load:
                group.start_soon(generator.run)
                await world.until("traffic", lambda: _flows(world))
            yield world
            group.cancel_scope.cancel()


async def _applied(world: World) -> bool:
    status = await world.source()
    return any(c.type == "Ready" and c.status == "True" for c in status.conditions)


async def _flows(world: World) -> bool:
    return world.record.last(world.now(), 1).total > 0


def thousand_objects(count: int) -> dict[str, str]:
    """Return ServiceEntries, DestinationRules and VirtualServices for hosts of their own, `count` in all."""
    files = {}
    for number in range(count // 2):
        host = f"svc-{number}.example.com"
        files[f"manifests/many/{number // 50}/svc-{number}.yaml"] = f"""\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: svc-{number}, namespace: default}}
spec:
  hosts: [{host}]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  location: MESH_EXTERNAL
  resolution: STATIC
  endpoints: [{{address: 127.0.0.9}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: svc-{number}, namespace: default}}
spec:
  hosts: [{host}]
  http:
    - timeout: 5s
      retries: {{attempts: 2, perTryTimeout: 2s}}
      route: [{{destination: {{host: {host}}}}}]
"""
    return files


async def request_counts(directory: Path) -> dict[str, int]:
    """Return how many requests the API server has had, by `VERB resource`."""
    play = directory / "play"
    url = _api_url(play)
    headers = {"Authorization": f"Bearer {(play / 'token').read_text().strip()}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{url}/metrics", ssl=False) as answer,
    ):
        text = await answer.text()
    counts: dict[str, int] = {}
    for line in text.splitlines():
        if line.startswith("apiserver_request_total{"):
            labels, _, value = line[len("apiserver_request_total{") :].rpartition("} ")
            found = dict(part.split("=", 1) for part in labels.split(","))
            name = f"{found['verb']} {found['resource']}".replace('"', "")
            counts[name] = counts.get(name, 0) + int(float(value))
    return counts


def _api_url(play: Path) -> str:
    import json

    return str(json.loads((play / "playground.json").read_text())["api"])


__all__ = ["Playground", "benchmark_world", "request_counts", "thousand_objects"]
