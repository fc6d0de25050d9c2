"""Everything that a daemon touches, in memory: repositories, a cluster, metrics, time; and daemons to kill.

Faults of the cluster are ordered through `FakeCluster.faults`, and here: an API server that is down, and
writes that are refused. A daemon that was killed carries out nothing any more, whatever its tasks still try.
"""

from __future__ import annotations

import itertools
import math
import random
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import orjson
from anyio import to_thread
from fakes.cluster import FakeCluster, Request
from fakes.virtual_time import START, VirtualAlarms, VirtualClock

from gitmesh.engine.daemon import Daemon
from gitmesh.engine.meters import Meters
from gitmesh.engine.ports import Ports, everything
from gitmesh.engine.shards import Shard
from gitmesh.engine.tracing import NO_TRACES
from gitmesh.fetch.errors import FetchError, LoginError, MovedError
from gitmesh.fetch.push import Proposal
from gitmesh.fetch.verifying import Demand, Unverified, Verified
from gitmesh.kube.errors import ClusterError, RejectedError
from gitmesh.kube.lease import LeaderElector
from gitmesh.kube.protocol import Body, WatchEvent
from gitmesh.model.config import Config, LeaseConfig
from gitmesh.model.kinds import LEASE, SERVICE, TRAFFIC_ROLLOUT, TRAFFIC_SOURCE, VIRTUAL_SERVICE, Kind
from gitmesh.model.metrics import (
    LatencyQuery,
    LatencyStats,
    Query,
    RequestQuery,
    RequestStats,
    ValueQuery,
    ValueStats,
)
from gitmesh.model.repository import OPEN, Access, Ref
from gitmesh.model.resource import ResourceKey, content_hash
from gitmesh.model.revision import Revision, SourceFile
from gitmesh.model.rollout import RolloutRecord
from gitmesh.model.source import TrafficSourceStatus
from gitmesh.notify.events import EventRecorder
from gitmesh.observe.errors import MetricsError
from gitmesh.observe.live import LiveCache

LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


class KilledError(ClusterError):
    """What a dead daemon gets for an answer. Nobody reads it."""

    def __init__(self) -> None:
        super().__init__("killed", retryable=False)


@dataclass(slots=True)
class Life:
    """One process of the daemon. `effects_left` is how many effects it has until it dies by itself."""

    number: int
    scope: anyio.CancelScope
    daemon: Daemon | None = None
    live: LiveCache | None = None
    alarms: VirtualAlarms | None = None
    dead: bool = False
    effects_left: int | None = None
    elector: LeaderElector | None = None
    cut_off: bool = False  # its Lease cannot be renewed
    shard: Shard | None = None

    @property
    def lease(self) -> str:
        """The name of its Lease."""
        return self.shard.lease("gitmesh") if self.shard else "gitmesh"

    ended: anyio.Event = field(default_factory=anyio.Event)

    def kill(self) -> None:
        self.dead = True
        if self.alarms:
            self.alarms.stop()
        self.scope.cancel()
        self.ended.set()

    def effect(self) -> None:
        """Count one effect; die instead of carrying it out when it was the last one."""
        if self.effects_left is not None:
            self.effects_left -= 1
            if self.effects_left < 0:
                self.kill()
        if self.dead:
            raise KilledError


def count_effect() -> None:
    life = LIFE.get()
    if life is not None:
        life.effect()


class WorldCluster(FakeCluster):
    """A cluster whose API server can be down, whose writes can be refused, and that is looked at."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(now=clock.steady, sleep=clock.sleep)  # its machine is another one
        self.down = False
        self.lag = 0.0  # how long news travel
        self.refuses: Callable[[Request], bool] = lambda request: False
        self.asked: Callable[[Request], Any] = lambda request: None
        self.written: Callable[[Request, Any, Body | None, Body | None], None] = lambda *_: None

    def stop(self) -> None:
        """Take the API server down: watches end, and nothing is answered."""
        self.down = self.api.stopping = True
        self.api.store.wake_all()

    def start(self) -> None:
        self.down = self.api.stopping = False

    async def _do(self, request: Request, work: Callable[[], Any]) -> Any:
        count_effect()
        life = LIFE.get()
        if self.down or (life is not None and life.cut_off and request.kind == LEASE.kind):
            await anyio.lowlevel.checkpoint()
            raise ClusterError(f"{request}: connection refused", retryable=True)
        by_daemon, noted = life is not None, self.asked(request)

        def watched() -> Any:
            count_effect()  # it may have died while the request was on its way
            if self.refuses(request):
                raise RejectedError(f"{request}: denied the request", retryable=False, status=403)
            before = self._seen(request) if request.writes and by_daemon else None
            result = work()
            if request.writes and by_daemon:
                self.written(request, noted, before, self._seen(request))
            return result

        return await super()._do(request, watched)

    async def watch(
        self,
        kind: Kind,
        *,
        resource_version: str,
        namespace: str = "",
        name: str = "",
        timeout_seconds: int = 300,
    ) -> AsyncIterator[WatchEvent]:
        events = super().watch(
            kind,
            resource_version=resource_version,
            namespace=namespace,
            name=name,
            timeout_seconds=timeout_seconds,
        )
        async for event in events:
            if self.lag:
                await anyio.sleep(self.lag)
            yield event

    def _seen(self, request: Request) -> Body | None:
        for kind in WATCHED:
            if kind.kind == request.kind:
                found = self.find(kind, request.namespace, request.name)
                return None if found is None else orjson.loads(orjson.dumps(found))
        return None


WATCHED = (VIRTUAL_SERVICE, TRAFFIC_ROLLOUT, TRAFFIC_SOURCE)


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit: file path -> text."""

    id: str
    files: Mapping[str, str]

    def revision(self, branch: str) -> Revision:
        files = {}
        for path, text in self.files.items():
            raw = text.encode()
            files[path] = SourceFile(path, content_hash(text), raw)
        return Revision(self.id, self.id, branch, files, subject="a change")


class Repository:
    """A remote: its commits, and whether it can be reached."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.pushed = 0
        self.commits: list[Commit] = []
        self.reachable = True
        self.hangs = False
        self.opens_with: Access | None = None  # None: anybody may come in
        self.tries = 0
        self.fetched: list[Commit] = []  # what a daemon has seen, in order
        self.fetched_at: list[float] = []
        self.branches: dict[str, Commit] = {}  # pushed for review
        self.unsigned: set[str] = set()  # commits whose signatures nobody trusts
        self.proposals: list[Proposal] = []
        self.refuses_pushes: Callable[[], FetchError | None] = lambda: None

    def push(self, files: Mapping[str, str]) -> Commit:
        commit = Commit(f"{self.pushed:05x}{self.number:02x}" + "0" * 33, dict(files))
        self.pushed += 1
        self.commits.append(commit)
        return commit

    def force_push(self, files: Mapping[str, str], *, forgets: int) -> Commit:
        """Push something that does not follow from the last commits, which are in the branch no more."""
        del self.commits[-forgets:]
        return self.push(files)


class FakeMirror:
    """A `Git` port: the mirror of one repository. `kept` is its disk, which may outlive a daemon."""

    def __init__(self, repositories: Mapping[str, Repository], kept: dict[str, Commit]) -> None:
        self._repositories, self._kept = repositories, kept
        self._last: Revision | None = None

    async def fetch(
        self,
        url: str,
        ref: Ref | str,
        path: str,
        *,
        ignore: tuple[str, ...] = (),
        since: str = "",
        meant: str = "",
        access: Access = OPEN,
    ) -> Revision:
        count_effect()
        branch = Ref.of(ref).name
        repository = self._repositories[url]
        repository.tries += 1
        await anyio.sleep(60 if repository.hangs else 0.05)
        if not repository.reachable or repository.hangs:
            raise FetchError(f"fetch {url}: could not resolve host", retryable=True)
        if repository.opens_with not in (None, access):
            raise LoginError(f"fetch {url}: the server did not let us in")
        if branch != "main":
            raise FetchError(f"no branch {branch}", retryable=False)
        if not repository.commits:
            return Revision("0" * 40, "0" * 40, branch)
        commit = repository.commits[-1]
        repository.fetched.append(commit)
        repository.fetched_at.append(anyio.current_time())
        self._kept.update({c.id: c for c in repository.commits})
        if self._last is None or self._last.commit != commit.id:
            self._last = replace(commit.revision(branch), url=url)
        before, known = since.rpartition("@")[2], {c.id for c in repository.commits}
        forced = bool(before) and before not in known and (not meant or meant not in known)
        if forced != self._last.forced:
            self._last = replace(self._last, forced=forced)
        return self._last

    async def read(
        self,
        commit: str,
        name: str,
        path: str,
        *,
        ignore: tuple[str, ...] = (),
        url: str = "",
        access: Access = OPEN,
    ) -> Revision:
        count_effect()
        await anyio.sleep(0.01)
        if commit not in self._kept:
            raise FetchError(f"the mirror does not have {commit}", retryable=True)
        return self._kept[commit].revision(name)

    async def look_back(
        self,
        commit: str,
        path: str,
        wanted: Callable[[bytes], bool],
        *,
        url: str = "",
        access: Access = OPEN,
    ) -> bytes | None:
        count_effect()
        known = [kept for kept in self._kept.values() if kept.id <= commit]
        versions = [kept.files[path].encode() for kept in known if path in kept.files]
        return next((version for version in reversed(versions) if wanted(version)), None)

    async def verify(self, commit: str, base: str, demand: Demand) -> Verified | Unverified:
        count_effect()
        await anyio.sleep(0.01)
        unsigned = {c for r in self._repositories.values() for c in r.unsigned}
        return Unverified(f"commit {commit[:7]} is not signed") if commit in unsigned else Verified("ada")

    async def push(self, url: str, proposal: Proposal, *, access: Access = OPEN) -> str:
        count_effect()
        repository = self._repositories[url]
        await anyio.sleep(60 if repository.hangs else 0.05)
        if not repository.reachable or repository.hangs:
            raise FetchError(f"push to {url}: could not resolve host", retryable=True)
        if refusal := repository.refuses_pushes():
            raise refusal
        if proposal.branch in repository.branches:
            return repository.branches[proposal.branch].id
        head = repository.commits[-1]
        if proposal.base != head.id:
            raise MovedError(f"{proposal.branch} has moved")
        count_effect()
        repository.proposals.append(proposal)
        files = {**head.files, **{path: content.decode() for path, content in proposal.files.items()}}
        if proposal.branch != "main":
            repository.branches[proposal.branch] = Commit("b" * 40, files)
            return "b" * 40
        return repository.push(files).id

    async def discard(self) -> None:
        self._kept.clear()

    async def close(self) -> None:
        return None


Flow = tuple[str, str, bool]  # service, version, with copies


class FakeMetrics:
    """A `Metrics` port: requests flow by live weights, and some share of each version's fails or is slow."""

    def __init__(self, cluster: WorldCluster, clock: VirtualClock) -> None:
        self._cluster = cluster
        self._clock = clock
        self.error_percent: dict[tuple[str, str], float] = {}  # (service, version) -> percent
        self.slow_percent: dict[tuple[str, str], float] = {}  # of requests that take 800 ms; others take 200
        self.values: dict[str, float] = {}  # of queries
        self.slow_values = 0.01  # so long it takes to answer one
        self.requests_per_second: dict[str, float] = {}
        self.answers = True  # False: no provider is configured
        self.blind = False
        self.hanging: set[str] = set()  # services whose queries are never answered
        self.twist: Callable[[RequestStats], RequestStats] = lambda stats: stats  # what it says instead
        self.answered: Callable[[str, str, RequestStats], None] = lambda *_: None
        self.prepared: list[str] = []
        self._flowed: dict[Flow, list[tuple[float, float, float]]] = {}  # when, requests, failed

    async def prepare(self, query: Query) -> None:
        if isinstance(query, ValueQuery):
            return
        service = query.target.host.partition(".")[0]
        self.prepared.append(service)
        await self._answer(query)
        self._flow((service, query.target.version, query.copies))

    async def count(self, query: RequestQuery) -> RequestStats:
        stats = await self._count(query)
        self.answered(query.target.host.partition(".")[0], query.target.version, stats)
        return stats

    async def _count(self, query: RequestQuery) -> RequestStats:
        count_effect()
        service, version = query.target.host.partition(".")[0], query.target.version
        await self._answer(query)
        flow = (service, version, query.copies)
        self._flow(flow)
        if query.since is None:
            requests = self._rate(flow) * query.window.total_seconds()
            failed = requests * self.error_percent.get((service, version), 0.0) / 100
        else:
            end = self._clock.monotonic() - (self._clock.now() - query.since - query.window).total_seconds()
            begin = end - query.window.total_seconds()
            (r1, f1), (r0, f0) = (self._total(flow, moment) for moment in (end, begin))
            requests, failed = r1 - r0, f1 - f0
        return self.twist(RequestStats(requests, failed, "count"))

    async def latency(self, query: LatencyQuery) -> LatencyStats:
        service, version = query.target.host.partition(".")[0], query.target.version
        asked = RequestQuery(query.target, query.window, query.since, copies=query.copies)
        requests = (await self._count(asked)).requests
        fast = requests * (1 - self.slow_percent.get((service, version), 0.0) / 100)
        return LatencyStats(((100, 0), (250, fast), (500, fast), (1000, requests), (math.inf, requests)), "")

    async def value(self, query: ValueQuery) -> ValueStats:
        count_effect()
        await anyio.sleep(self.slow_values)
        if self.blind or query.text not in self.values:
            raise MetricsError(f"no series for {query.text}")
        return ValueStats(self.values[query.text], query.text)

    async def _answer(self, query: RequestQuery | LatencyQuery) -> None:
        hangs = query.target.host.partition(".")[0] in self.hanging
        await anyio.sleep(100_000 if hangs else 0.01)
        if self.blind:
            raise MetricsError("the metrics server is down")

    def _rate(self, flow: Flow) -> float:
        service, version, copies = flow
        live = self._cluster.find(VIRTUAL_SERVICE, "default", service)
        share = share_of(live, version) + (copies_of(live, version) if copies else 0.0)
        return self.requests_per_second.get(service, 500.0) * share

    def _flow(self, flow: Flow) -> None:
        """Let what flows now have flowed since the last look."""
        now = self._clock.monotonic()
        past = self._flowed.setdefault(flow, [(now, 0.0, 0.0)])
        before, requests, failed = past[-1]
        new = self._rate(flow) * (now - before)
        bad = new * self.error_percent.get(flow[:2], 0.0) / 100
        past.append((now, requests + new, failed + bad))

    def _total(self, flow: Flow, moment: float) -> tuple[float, float]:
        past = self._flowed[flow]
        for early, late in itertools.pairwise(past):
            if moment <= late[0]:
                part = max(moment - early[0], 0.0) / ((late[0] - early[0]) or 1.0)
                return early[1] + part * (late[1] - early[1]), early[2] + part * (late[2] - early[2])
        return past[-1][1:]

    async def close(self) -> None:
        return None


CHOSEN_SHARE = 0.1


def share_of(service: Body | None, version: str) -> float:
    """Return which part of the requests a version takes; a tenth of them are chosen, where some are."""
    routes = [r for r in service["spec"]["http"] if "route" in r] if service else []  # others delegate
    parts = [(CHOSEN_SHARE, routes[0]), (1 - CHOSEN_SHARE, routes[-1])] if len(routes) > 1 else []
    found = 0.0
    for part, route in parts or [(1.0, route) for route in routes]:
        weights = weights_of({"http": [route]})
        found += part * weights.get(version, 0) / (sum(weights.values()) or 1)
    return found


def copies_of(service: Body | None, version: str) -> float:
    mirrors = service["spec"]["http"][-1].get("mirrors", ()) if service else ()
    return sum(m["percentage"]["value"] / 100 for m in mirrors if m["destination"].get("subset") == version)


def weights_of(spec: Mapping[str, Any]) -> dict[str, int]:
    """Return the weights of the last route by subset; a lone destination takes 100."""
    entries = spec["http"][-1]["route"]
    if len(entries) == 1:
        return {entries[0]["destination"]["subset"]: 100}
    return {e["destination"]["subset"]: w for e in entries if (w := int(e.get("weight", 0)))}


class WorldLog:
    """A structlog logger as far as the engine goes: keeps lines, and calls what nobody expected a finding."""

    def __init__(self, write: Callable[[str], None], crashed: Callable[[str], None]) -> None:
        self._write, self._crashed = write, crashed

    def bind(self, **_: Any) -> WorldLog:
        return self

    def _line(self, message: str, **fields: Any) -> None:
        self._write(f"{message} {' '.join(f'{k}={v}' for k, v in fields.items())}")

    info = warning = error = _line

    def exception(self, message: str, **fields: Any) -> None:
        life = LIFE.get()
        if life is None or not life.dead:  # what the dead say means nothing
            self._crashed(f"{message} {fields}\n{traceback.format_exc()}")


class DaemonWorld:
    """One cluster, its repositories, and one daemon at a time."""

    def __init__(self, seed: int = 0, start: datetime = START, **config: Any) -> None:
        self.random = random.Random(seed)
        self.clock = VirtualClock(start)
        self.cluster = WorldCluster(self.clock)
        self.metrics = FakeMetrics(self.cluster, self.clock)
        self.has_metrics = True
        self.hooks: Any = None
        self.tracer: Any = NO_TRACES
        self.notices: Any = None  # of each daemon: who is told beside the cluster
        self.jitter = 0.5  # of polls: none
        self.repositories: dict[str, Repository] = {}
        self.mirrors: dict[ResourceKey, dict[str, Commit]] = {}
        self.lines: list[str] = []
        self.crashes: list[str] = []
        self.life: Life | None = None
        self.lives = 0
        self.replicas: list[Life] = []  # where there are several
        settings = {"settle": "500ms", "data_dir": Path("/nowhere"), **config}
        self.config = Config.model_validate(settings)
        for host in ("reviews", "ratings", "details"):
            self.cluster.put(
                {
                    "apiVersion": "v1",
                    "kind": SERVICE.kind,
                    "metadata": {"name": host, "namespace": "default"},
                    "spec": {"ports": [{"port": 9080}]},
                }
            )

    # What a test looks at

    def log(self, line: str) -> None:
        self.lines.append(f"{self.clock.monotonic():9.3f}  {line}")

    def live(self, name: str = "reviews") -> dict[str, int]:
        """The live weights of a VirtualService."""
        found = self.cluster.find(VIRTUAL_SERVICE, "default", name)
        return weights_of(found["spec"]) if found else {}

    def record(self, name: str = "reviews") -> RolloutRecord | None:
        found = self.cluster.find(TRAFFIC_ROLLOUT, "default", name)
        status = found.get("status") if found else None
        return RolloutRecord.model_validate(status) if status else None

    def status(self, name: str = "mesh") -> TrafficSourceStatus:
        found = self.cluster.find(TRAFFIC_SOURCE, "default", name)
        assert found is not None
        return TrafficSourceStatus.model_validate(found.get("status") or {})

    def ready(self, name: str = "mesh") -> tuple[str, str]:
        """Status and reason of the condition Ready."""
        condition = next((c for c in self.status(name).conditions if c.type == "Ready"), None)
        return (condition.status, condition.reason) if condition else ("", "")

    def writes(self) -> list[Request]:
        quiet = ("list", "watch", "get")
        return [r for r in self.cluster.requests if r.verb not in quiet and r.kind != LEASE.kind]

    # What a test does

    def add_source(self, name: str = "mesh", **spec: Any) -> Repository:
        url = f"https://git.example.com/{name}.git"
        body = {
            "apiVersion": TRAFFIC_SOURCE.api_version,
            "kind": TRAFFIC_SOURCE.kind,
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"url": url, "interval": "10s", **spec},
        }
        self.cluster.put(body)
        return self.repositories.setdefault(url, Repository(len(self.repositories) + 1))

    def ask(self, name: str, **spec: Any) -> None:
        """Set the spec of a TrafficRollout, as a person."""
        if self.cluster.find(TRAFFIC_ROLLOUT, "default", name) is not None:
            self.cluster.put(
                {
                    "apiVersion": TRAFFIC_ROLLOUT.api_version,
                    "kind": TRAFFIC_ROLLOUT.kind,
                    "metadata": {"name": name, "namespace": "default"},
                    "spec": spec,
                }
            )

    def patch(self, kind: Kind, name: str, patch: Body, manager: str = "gitmesh") -> None:
        """Change an object by a merge patch; as the command line does, unless another manager is named."""
        self.cluster.edit(kind, "default", name, patch, manager=manager)

    async def until(self, condition: Callable[[], object], seconds: float = 60) -> float:
        """Let time pass until something holds; fail when it takes longer. Returns how long it took."""
        began = self.clock.monotonic()
        while not condition():
            assert self.clock.monotonic() - began < seconds, "it did not happen; " + self.tail()
            await anyio.sleep(0.05)
        return self.clock.monotonic() - began

    def tail(self, count: int = 40) -> str:
        return "last lines:\n" + "\n".join(self.lines[-count:])

    # The daemon

    def spawn(self, group: anyio.abc.TaskGroup, *, elects: bool = False, shard: Shard | None = None) -> Life:
        """Start a daemon with an empty memory. If it elects, it works only while it holds the Lease."""
        self.lives += 1
        life = self.life = Life(self.lives, anyio.CancelScope(), shard=shard)
        if elects or shard:
            life.elector = LeaderElector(
                self.cluster,
                identity=f"replica-{self.lives}",
                lease=LeaseConfig(namespace="default", name=life.lease),
                clock=self.clock,
                jitter=self.random.random,
            )
        group.start_soon(self._run, life)
        return life

    async def _run(self, life: Life) -> None:
        LIFE.set(life)
        with life.scope:
            life.alarms = alarms = VirtualAlarms(self.clock)
            born: list[Daemon] = []
            life.live = live = LiveCache(
                self.cluster,
                clock=self.clock,
                on_change=lambda key: born[0].live_changed(key) if born else None,
                namespace=self.config.namespace,
                only=self.config.namespace_only,
                jitter=self.random.random,
            )
            ports = Ports(
                cluster=self.cluster,
                urgent=self.cluster,
                live=live,
                metrics=self.metrics if self.has_metrics else None,
                events=EventRecorder(self.cluster, self.clock),
                alarms=alarms,
                clock=self.clock,
                open_git=lambda key: FakeMirror(self.repositories, self.mirrors.setdefault(key, {})),
                meters=Meters(),
                log=WorldLog(self.log, self.crashes.append),
                hooks=self.hooks,
                notices=self.notices,
                jitter=lambda: self.jitter,
                tracer=self.tracer,
                follows=life.shard.follows if life.shard else everything,
                worker=f"default/{life.lease}" if life.shard else "",
            )
            async with anyio.create_task_group() as group:
                group.start_soon(live.run)
                await live.wait_synced()
                born.append(Daemon(ports, self.config))
                life.daemon = born[0]
                await (life.elector.run(born[0].run) if life.elector else born[0].run())


async def _inline(work: Callable[..., Any], *args: Any, **_: Any) -> Any:
    await anyio.lowlevel.checkpoint()
    return work(*args)


def without_threads(patch: Any) -> None:
    """Carry out what would go to a thread in the loop: virtual time knows nothing of threads."""
    patch.setattr(to_thread, "run_sync", _inline)


async def in_world(world: DaemonWorld, work: Callable[[anyio.abc.TaskGroup], Awaitable[None]]) -> None:
    """Run a daemon in this world while `work` acts on it."""
    async with anyio.create_task_group() as group:
        world.spawn(group)
        await work(group)
        assert not world.crashes, world.crashes[0]
        group.cancel_scope.cancel()


def files(*bodies: Mapping[str, Any]) -> dict[str, str]:
    """Manifests -> the files of a commit."""
    return {f"{b['kind']}-{b['metadata']['name']}.yaml".lower(): orjson.dumps(b).decode() for b in bodies}


def a_service(name: str = "reviews", weights: str = "v1 100", **route: Any) -> dict[str, Any]:
    """`"v1 100, v2 0"` -> a VirtualService."""
    entries = []
    for part in weights.split(","):
        subset, _, weight = part.strip().partition(" ")
        entries.append({"destination": {"host": name, "subset": subset}, "weight": int(weight)})
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"hosts": [name], "http": [{"name": "all", "route": entries, **route}]},
    }


def a_rule(name: str = "reviews", subsets: Iterable[str] = ("v1", "v2")) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "host": name,
            "subsets": [{"name": s, "labels": {"version": s}} for s in subsets],
        },
    }


def a_policy(
    *names: str,
    steps: str = "10 2s, 50 3s, 100",
    bake: str = "2s",
    analysis: bool = True,
    failures: int = 2,
    policy: str = "careful",
    mode: str = "threshold",
) -> dict[str, Any]:
    parts = [part.split() for part in steps.split(",")]
    return {
        "apiVersion": "gitmesh.dev/v1alpha1",
        "kind": "RolloutPolicy",
        "metadata": {"name": policy, "namespace": "default"},
        "spec": {
            "select": {"names": list(names or ("reviews",))},
            "steps": [
                {"progress": float(p[0]), **dict(zip(("hold", "gate"), p[1:], strict=False))} for p in parts
            ],
            "bake": bake,
            "analysis": {
                "mode": mode,
                "interval": "1s",
                "window": "5s",
                "failures": failures,
                "metrics": [{"name": "error-rate", "max": 5, "minRequests": 20}],
            }
            if analysis
            else None,
        },
    }
