"""The only place that builds the daemon out of its real parts.

Stage: engine (shell).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
import structlog
from anyio import CapacityLimiter, to_thread
from prometheus_client import ProcessCollector

from gitmesh.engine.alarms import SchedulerAlarms
from gitmesh.engine.clock import SystemClock
from gitmesh.engine.connections import Connections, open_connections
from gitmesh.engine.crew import Crew, hire
from gitmesh.engine.daemon import Daemon
from gitmesh.engine.meters import Meters
from gitmesh.engine.ports import Git, Metrics, Ports
from gitmesh.engine.report import Source, read_source
from gitmesh.engine.shards import Shard
from gitmesh.engine.tracing import NoTraces, Traces, open_traces
from gitmesh.engine.watched_calls import WatchedCalls
from gitmesh.fetch.lending import take_back
from gitmesh.fetch.mirror import GitMirror
from gitmesh.fetch.watch import RepositoryWatch
from gitmesh.kube.client import KubeClient
from gitmesh.kube.protocol import ClusterClient
from gitmesh.model.config import Config
from gitmesh.model.resource import ResourceKey
from gitmesh.notify.events import EventRecorder
from gitmesh.notify.notifier import Notifier
from gitmesh.notify.outlet import Outlet
from gitmesh.notify.outlets import open_outlets
from gitmesh.observe.hooks import GateHooks
from gitmesh.observe.live import LiveCache
from gitmesh.observe.providers import ProvidedMetrics

MIRRORS = "mirrors"  # below the data directory
NOTICE_PATIENCE_SECONDS = 3.0  # for what has not been told yet when the daemon stops


@dataclass(slots=True)
class Changeable:
    """The parts that can go by other settings while they work, and the settings of now."""

    config: Config
    metrics: Metrics | None
    hooks: GateHooks
    connections: Connections
    notifier: Notifier
    network: CapacityLimiter  # of what is fetched at the same time


@dataclass(slots=True)
class Running:
    """A daemon with its parts, ready to run. `cluster` and `events` are for what every replica may write."""

    crew: Crew
    cluster: ClusterClient
    live: LiveCache
    meters: Meters
    events: EventRecorder
    _changeable: Changeable

    @property
    def daemon(self) -> Daemon:
        """The daemon, of a process that works on one shard."""
        (worker,) = self.crew.workers
        return worker.daemon

    def sources(self) -> list[Source]:
        """Return every source whose spec makes sense, whoever works on it."""
        present = self.live.snapshot().sources
        found = (read_source(present[key]) for key in sorted(present))
        return [source for source in found if isinstance(source, Source)]

    def shards(self) -> list[str]:
        """Say of each shard who works on it."""
        return [worker.standing for worker in self.crew.workers]

    @property
    def ready(self) -> bool:
        """True once the cluster is known and reachable."""
        return self.live.connected

    async def configure(self, config: Config) -> None:
        """Go by other settings from now on. Raises EdgeError, and changes nothing, when that is impossible.

        What is fixed since the start is the caller's to keep as it was.
        """
        parts, outlets = self._changeable, None
        if config.notifications != parts.config.notifications:
            outlets = open_outlets(config.notifications, SystemClock())
        if isinstance(parts.metrics, ProvidedMetrics):
            for left in parts.metrics.configure(config.metrics):
                await left.close()
        if outlets is not None:
            parts.notifier.configure(outlets, config.notifications)
        parts.hooks.allow(config.gate_hosts)
        parts.connections.limit(config.api_timeout)
        parts.network.total_tokens = config.git.fetches_at_once
        parts.config = config
        self.crew.configure(config)


def open_metrics(config: Config, clock: SystemClock) -> Metrics:
    """Return the configured metrics providers; without any, rollouts are blind and hold."""
    metrics = ProvidedMetrics(clock)
    metrics.configure(config.metrics)
    return metrics


def mirror_directory(config: Config, key: ResourceKey) -> Path:
    """Return where the mirror of a source is kept. The hash keeps hostile names out of the file system."""
    digest = hashlib.sha256(key.path.encode()).hexdigest()[:16]
    return Path(config.data_dir) / MIRRORS / digest


@contextlib.asynccontextmanager
async def daemon(config: Config, kubeconfig: Path | None, context: str = "") -> AsyncIterator[Running]:
    """Build a daemon, wait until it knows the cluster, yield it, and take it apart again."""
    meters = Meters()
    ProcessCollector(registry=meters.registry)
    log, clock = structlog.get_logger(), SystemClock()
    metrics = open_metrics(config, clock)  # nothing is open yet: it may refuse the address
    tracer = open_traces(config.tracing)
    outlets = open_outlets(config.notifications, clock)  # nor here: an extra may be missing
    calls = WatchedCalls(meters, tracer, clock)
    connections = await open_connections(config, kubeconfig, context, calls.around)
    cluster = connections.cluster
    # The cache calls the daemon and the daemon reads the cache; nothing is called before the cache runs.
    live = LiveCache(
        cluster,
        clock=clock,
        on_change=lambda key: crew.live_changed(key),
        namespace=config.namespace,
        only=config.namespace_only,
        on_broken=lambda kind: meters.watch_restarts.labels(kind.kind).inc(),
    )

    await to_thread.run_sync(take_back, Path(config.data_dir) / MIRRORS)
    network = CapacityLimiter(config.git.fetches_at_once)

    def open_git(key: ResourceKey) -> Git:
        return GitMirror(
            mirror_directory(config, key),
            changeable.config.git,
            allow_file_urls=config.allow_file_urls,
            limiter=network,
        )

    hooks = GateHooks(config.gate_hosts)
    notifier = _notifier(outlets, config, clock, meters)
    changeable = Changeable(config, metrics, hooks, connections, notifier, network)
    told = (hooks, notifier)

    def outside(writing: KubeClient, urgent: KubeClient, alarms: SchedulerAlarms, shard: Shard) -> Ports:
        said = (EventRecorder(writing, clock), alarms, clock, open_git, meters, log, urgent, *told)
        lease = f"{config.lease.namespace}/{shard.lease(config.lease.name)}" if config.leader_election else ""
        return Ports(writing, live, metrics, *said, tracer=tracer, follows=shard.follows, worker=lease)

    crew = Crew(hire(config, connections, clock, meters, outside))
    crew.start()
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(live.run)
            group.start_soon(notifier.run)
            await live.wait_synced()
            watch = RepositoryWatch(on_loop(crew.repository_changed))
            if config.allow_file_urls:
                crew.watch_repository(watch.add)
            try:
                yield Running(crew, cluster, live, meters, EventRecorder(cluster, clock), changeable)
            finally:
                watch.close()
                group.cancel_scope.cancel()
    finally:
        crew.stop()
        await _tell_the_rest(notifier, tracer)
        await hooks.close()
        if metrics is not None:
            await metrics.close()
        await connections.close()


def _notifier(outlets: list[Outlet], config: Config, clock: SystemClock, meters: Meters) -> Notifier:
    def count_notice(target: str, outcome: str) -> None:
        meters.notices.labels(target, outcome).inc()

    return Notifier(outlets, config.notifications, clock, count_notice)


async def _tell_the_rest(notifier: Notifier, tracer: Traces | NoTraces) -> None:
    """Deliver what has not been delivered yet, for a short while, also when this is being cancelled."""
    with anyio.CancelScope(shield=True):
        await notifier.close(NOTICE_PATIENCE_SECONDS)
        await to_thread.run_sync(tracer.close)


def on_loop(callback: Callable[[], None]) -> Callable[[], None]:
    """Return a function that any thread may call and that runs `callback` on this event loop."""
    loop = asyncio.get_running_loop()

    def call() -> None:
        loop.call_soon_threadsafe(callback)

    return call


async def lead(running: Running) -> None:
    """Run the daemon until cancelled; with leader election, only while it holds the lease."""
    await running.crew.run()
