"""Who works on a source, where several daemons share the sources: one at a time, also when its label moves.

Stage: engine (shell). The status of a source names the Lease whose holder works on it. Who holds that Lease
lets the source go once it is another shard's and nothing of it is under way. Without a holder nobody works on
it: what is left is fenced. See docs/replicas.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gitmesh.apply.records import write_source_status
from gitmesh.engine.ports import Ports
from gitmesh.engine.report import guarded_source
from gitmesh.kube.errors import ClusterError, NotFoundError, RejectedError
from gitmesh.kube.lease import seconds_of
from gitmesh.model.config import LeaseConfig
from gitmesh.model.kinds import LEASE
from gitmesh.model.resource import Resource, ResourceKey, resource_from_body


@dataclass(frozen=True, slots=True)
class _Seen:
    """A Lease as somebody wrote it, and since when it has been so by our own clock."""

    version: str
    since: float


class Handover:
    """Takes sources over and lets them go. A daemon without a Lease works on whatever it follows."""

    def __init__(self, ports: Ports, lease: LeaseConfig) -> None:
        self._ports = ports
        self._lease = lease
        self._busy: Counter[ResourceKey] = Counter()
        self._seen: dict[ResourceKey, _Seen] = {}

    def holds(self, source: Resource) -> bool:
        """Say whether a source is ours to work on."""
        return not self._ports.worker or _worker_of(source) == self._ports.worker

    @contextmanager
    def at_work(self, key: ResourceKey) -> Iterator[None]:
        """Work on a source: it is not let go meanwhile."""
        self._busy[key] += 1
        try:
            yield
        finally:
            self._busy[key] -= 1

    async def take(self, source: Resource) -> Resource | None:
        """Return a source once it is ours, as it is then; None while another daemon works on it."""
        if self.holds(source):
            return source
        former = _worker_of(source)
        log = self._ports.log.bind(stage="engine", source=f"{source.key.namespace}/{source.key.name}")
        try:
            if former and await self._is_held(source.key, former):
                log.info("waiting until another daemon lets it go", lease=former)
                return None
            taken = await self._write(source, self._ports.worker)
        except ClusterError as error:
            log.warning("not taken over yet", lease=former, error=str(error))
            return None
        self._seen.pop(source.key, None)
        return taken

    async def let_go(self) -> bool:
        """Let go what another shard follows now; say whether that worked for all of it."""
        done = True
        for key, source in self._ports.live.snapshot().sources.items() if self._ports.worker else ():
            if _worker_of(source) != self._ports.worker or self._ports.follows(source):
                continue
            log = self._ports.log.bind(stage="engine", source=f"{key.namespace}/{key.name}")
            try:
                if not self._busy[key]:
                    await self._write(source, "")
                    log.info("let go, for another daemon follows it")
                done = done and not self._busy[key]
            except ClusterError as error:
                done = False
                log.warning("not let go yet", error=str(error))
        return done

    async def _is_held(self, key: ResourceKey, former: str) -> bool:
        """Say whether somebody holds a Lease, as far as its end can be seen by our clock.

        One that we may not read counts as held for as long as ours would be.
        """
        namespace, _, name = former.partition("/")
        version, seconds = "", self._lease.duration.total_seconds()
        try:
            live = await self._ports.cluster.get(LEASE, namespace, name)
        except NotFoundError:
            return False
        except RejectedError as error:
            if error.status != 403:
                raise
        else:
            if not (live.get("spec") or {}).get("holderIdentity"):
                return False
            version = str((live.get("metadata") or {}).get("resourceVersion", ""))
            seconds = seconds_of(live, int(seconds))
        now, seen = self._ports.clock.monotonic(), self._seen.get(key)
        if seen is None or seen.version != version:
            seen = self._seen[key] = _Seen(version, now)
        return now - seen.since < seconds

    async def _write(self, source: Resource, worker: str) -> Resource:
        """Note who works on a source. Raises StaleWriteError when somebody wrote meanwhile."""
        status = guarded_source(source).status.model_copy(update={"worker": worker})
        stored = await write_source_status(self._ports.cluster, source, status)
        self._ports.live.absorb(stored.body)
        return resource_from_body(stored.body)


def _worker_of(source: Resource) -> str:
    worker = (source.body.get("status") or {}).get("worker")
    return worker if isinstance(worker, str) else ""
