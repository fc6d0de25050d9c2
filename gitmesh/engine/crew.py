"""The daemons of one process: one for each shard that it may work on, each with its own lease and fence.

Stage: engine (shell).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import anyio

from gitmesh.engine.alarms import SchedulerAlarms
from gitmesh.engine.clock import Clock
from gitmesh.engine.connections import Connections
from gitmesh.engine.daemon import Daemon
from gitmesh.engine.meters import Meters
from gitmesh.engine.ports import Ports
from gitmesh.engine.shards import Shard, shards_of
from gitmesh.kube.client import KubeClient
from gitmesh.kube.fence import Fence
from gitmesh.kube.lease import LeaderElector
from gitmesh.kube.spread import Spread
from gitmesh.model.config import Config
from gitmesh.model.resource import ResourceKey

# (writing, urgent, alarms, shard) -> what a daemon of that shard touches
Outside = Callable[[KubeClient, KubeClient, SchedulerAlarms, Shard], Ports]


@dataclass(frozen=True, slots=True)
class Worker:
    """One daemon with its shard."""

    shard: Shard
    daemon: Daemon
    alarms: SchedulerAlarms
    elector: LeaderElector | None
    meters: Meters

    @property
    def standing(self) -> str:
        """Who works on the shard, as far as is known here, for example `shard 0/1: works here`."""
        if self.elector is None or self.elector.is_leader:
            return f"shard {self.shard.name}: works here"
        holder = self.elector.holder
        return f"shard {self.shard.name}: {f'works at {holder}' if holder else 'nobody known works on it'}"

    async def run(self) -> None:
        """Work until cancelled; with leader election, only while it holds the lease."""
        self._lead(False)
        await (self._work() if self.elector is None else self.elector.run(self._work))

    async def _work(self) -> None:
        self._lead(True)
        try:
            await self.daemon.run()
        finally:
            self._lead(False)

    def _lead(self, leads: bool) -> None:
        self.meters.leader.labels(self.shard.name).set(leads)


def hire(
    config: Config, connections: Connections, clock: Clock, meters: Meters, outside: Outside
) -> tuple[Worker, ...]:
    """Return a worker for each shard; none has begun."""
    spread = Spread(connections.identity)
    return tuple(
        _worker(shard, config, connections, clock, meters, outside, spread) for shard in shards_of(config)
    )


def _worker(
    shard: Shard,
    config: Config,
    connections: Connections,
    clock: Clock,
    meters: Meters,
    outside: Outside,
    spread: Spread,
) -> Worker:
    elector, writing, urgent = None, connections.cluster, connections.urgent
    if config.leader_election:
        elector = LeaderElector(
            connections.leases,
            identity=connections.identity,
            clock=clock,
            lease=config.lease.model_copy(update={"name": shard.lease(config.lease.name)}),
            group=shard.group(config.lease.name),
            layout=shard.layout,
            spread=spread,
        )
        fence = Fence(elector.seconds_left, clock.monotonic)
        elector.unsure = lambda: fence.is_open(config.lease.duration.total_seconds())
        writing, urgent = connections.behind(fence)
    alarms = SchedulerAlarms()
    ports = outside(writing, urgent, alarms, shard)
    daemon = Daemon(ports, config)
    if elector is not None:
        elector.lost = lambda: _leave_notices(daemon, ports)
    return Worker(shard, daemon, alarms, elector, meters)


def _leave_notices(daemon: Daemon, ports: Ports) -> None:
    if ports.notices is not None:
        ports.notices.leave(frozenset(f"{key.namespace}/{key.name}" for key in daemon.memory.sources))


class Crew:
    """All workers of a process."""

    def __init__(self, workers: tuple[Worker, ...]) -> None:
        self.workers = workers

    def live_changed(self, key: ResourceKey) -> None:
        """Take note that the cluster has changed."""
        for worker in self.workers:
            worker.daemon.live_changed(key)

    def repository_changed(self) -> None:
        """Take note that a repository on this machine has moved."""
        for worker in self.workers:
            worker.daemon.repository_changed()

    def configure(self, config: Config) -> None:
        """Go by other settings from now on."""
        for worker in self.workers:
            worker.daemon.configure(config)

    def watch_repository(self, watch: Callable[[str], bool]) -> None:
        """Have repositories on this machine watched."""
        for worker in self.workers:
            worker.daemon.watch_repository = watch

    def start(self) -> None:
        """Let the alarms ring."""
        for worker in self.workers:
            worker.alarms.start()

    def stop(self) -> None:
        """Let no alarm ring any more."""
        for worker in self.workers:
            worker.alarms.stop()

    async def run(self) -> None:
        """Work until cancelled."""
        async with anyio.create_task_group() as group:
            for worker in self.workers:
                group.start_soon(worker.run, name=f"shard {worker.shard.name}")
