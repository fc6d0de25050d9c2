"""Sets the stage for the story: playground, repository, load and daemon, each ended at the end.

Stage: playground (effect).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from gitmesh.engine.clock import Clock, SystemClock
from gitmesh.playground.demo.daemon_process import running_daemon
from gitmesh.playground.demo.files import copy_sample
from gitmesh.playground.demo.promise import Promise, Teller
from gitmesh.playground.demo.story import Story
from gitmesh.playground.demo.world import World
from gitmesh.playground.load import LoadGenerator
from gitmesh.playground.repository import GitRepository
from gitmesh.playground.supervisor import Ports, playground

REQUESTS_PER_SECOND = 300.0


async def tell_story(directory: Path, teller: Teller) -> list[Promise]:
    """Run the whole story in a directory of its own; return what was promised and measured."""
    teller.scene("The playground: an API server, a real Envoy, a process for each pod")
    async with stage(directory, teller) as world:
        return await Story(world, teller).run()


@asynccontextmanager
async def stage(directory: Path, teller: Teller, clock: Clock | None = None) -> AsyncIterator[World]:
    """Build everything that the story acts on."""
    clock = clock or SystemClock()
    play_dir = directory / "play"
    free = Ports(api=0, gateway=0, gateway_tls=0, mesh=0)
    async with playground(play_dir, free, on_progress=teller.say, clock=clock) as play:
        repository = await anyio.to_thread.run_sync(lambda: make_repository(directory / "git"))
        load = LoadGenerator(play.mesh_address, clock=clock, rate=REQUESTS_PER_SECOND)
        log = directory / "daemon.log"
        teller.say(f"Git repository {repository.url}; daemon log {log}")
        async with (
            running_daemon(play_dir, directory / "data", repository.url, log) as daemon,
            anyio.create_task_group() as group,
        ):
            group.start_soon(load.run)
            yield World(play.client, repository, load, daemon, clock)
            group.cancel_scope.cancel()


def make_repository(directory: Path) -> GitRepository:
    """Create a repository from the sample configuration, with one commit."""
    repository = GitRepository.create(directory)
    copy_sample(repository.work)
    repository.commit("Route everything to v1")
    repository.push()
    return repository
