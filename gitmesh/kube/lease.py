"""Leader election by a Lease: at most one GitMesh writes.

Stage: none (effect). Source: kubernetes/client-go, tools/leaderelection: the same Lease, the same rules.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import anyio
import structlog

from gitmesh.kube.errors import ClusterError, NotFoundError
from gitmesh.kube.protocol import Body, ClusterClient
from gitmesh.kube.spread import (
    GROUP_LABEL,
    LAYOUT_ANNOTATION,
    WANTED_ANNOTATION,
    Spread,
    other_layouts,
    wanted_by,
)
from gitmesh.model.config import LeaseConfig
from gitmesh.model.kinds import LEASE

RELEASE_TIMEOUT_SECONDS = 5
DEFAULT = LeaseConfig()

_log = structlog.get_logger("gitmesh.kube", stage="engine")


class Clock(Protocol):
    """The part of the clock that an election needs."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A Lease as somebody wrote it, and when we saw that writing first, by our own clock."""

    version: str
    since: float


class LeaderElector:
    """Runs work only while this process holds the Lease.

    The clocks of two machines are never compared: another holder counts as gone when its Lease has not moved
    for its whole duration by our monotonic clock.
    """

    def __init__(
        self,
        client: ClusterClient,
        *,
        identity: str,
        clock: Clock,
        lease: LeaseConfig = DEFAULT,
        jitter: Callable[[], float] = random.random,
        group: str = "",
        layout: str = "1",
        spread: Spread | None = None,
    ) -> None:
        """Take part in one election. Leases of one `group` are about the same work, cut by their `layout`."""
        self.is_leader = False
        self.holder = ""
        self._client = client
        self._identity = identity
        self._namespace = lease.namespace
        self._name = lease.name
        self._duration = int(lease.duration.total_seconds())
        self._renew_deadline = lease.renew_deadline.total_seconds()
        self._retry = lease.retry_period.total_seconds()
        self._clock = clock
        self._jitter = jitter
        self._group = group or lease.name
        self._layout = layout
        self._spread = spread or Spread(identity)
        self._spread.elections.append(self)
        self._seen: _Seen | None = None
        self._waits_for: list[str] = []
        self._others: dict[str, _Seen] = {}
        self._renewed = 0.0  # when the request began that renewed it last
        self._gives_way = False  # another replica asked for it, and we have others
        self.lost: Callable[[], None] = lambda: None  # called when the Lease was lost, and not at an end
        self.unsure: Callable[[], bool] = lambda: False  # whether a write of ours may be carried out yet

    def seconds_left(self) -> float:
        """Return how long the Lease is certain to be ours; 0 and less: no more. A frozen process is told so.

        It is asked before each write. The Lease itself ends later: that is the margin for what is under way.
        """
        return self._renewed + self._renew_deadline - self._clock.monotonic() if self.is_leader else 0.0

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait for the Lease, then do the work; when the Lease is lost, cancel the work and wait again.

        Returns when the work does, or raises what it raises; the Lease is given up then, and on cancellation.
        """
        while True:
            self._renewed = await self._acquire()
            if not await self._alone():
                await self._release()
                await self._clock.sleep(self._retry * (1 + self._jitter()))
                continue
            self.is_leader = True
            _log.info("leading", identity=self._identity, lease=self._name)
            try:
                if await self._lead(work):
                    return
            finally:
                self.is_leader = False
                with anyio.CancelScope(shield=True):
                    await self._release()
            self.lost()
            _log.warning("no longer leading", holder=self.holder, lease=self._name)
            # Who asked for it gets it, and nobody takes back at once what he gave up.
            await self._clock.sleep(2 * self._retry if self._spread.led else 0.0)

    async def _acquire(self) -> float:
        """Try until the Lease is ours; return when the request that won it began."""
        while True:
            began = self._clock.monotonic()
            if await self._try():
                return began
            await self._clock.sleep(self._retry * (1 + 0.2 * self._jitter()))

    async def _alone(self) -> bool:
        """Say whether nobody works by another layout. Asked after the Lease is ours, as the others do too.

        Of two that begin at the same moment one at least sees the other, for each wrote before it looked.
        """
        try:
            held = await other_layouts(self._client, self._namespace, self._group, self._layout)
        except ClusterError as error:
            _log.warning("leases not listed", error=str(error))
            return False
        waits_for = [str(live["metadata"]["name"]) for live in held if not self._other_expired(live)]
        told, self._waits_for = self._waits_for, waits_for
        if waits_for and waits_for != told:
            _log.warning("waiting for the leases of another number of shards", leases=waits_for[:10])
        return not waits_for

    def _other_expired(self, live: Body) -> bool:
        metadata, now = live["metadata"], self._clock.monotonic()
        seen = self._others.get(metadata["name"])
        if seen is None or seen.version != metadata.get("resourceVersion"):
            seen = self._others[metadata["name"]] = _Seen(str(metadata.get("resourceVersion")), now)
        return now - seen.since >= seconds_of(live, self._duration)

    async def _lead(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do the work and renew beside it. Return whether the work ended by itself."""
        failure: Exception | None = None
        done = False

        async def do() -> None:
            nonlocal failure, done
            try:
                await work()
                done = True
            except Exception as error:
                failure = error
            group.cancel_scope.cancel()

        async def stay() -> None:
            await self._keep()
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(do, name="leading")
            group.start_soon(stay, name="renew lease")
        if failure is not None:
            raise failure
        return done

    async def _keep(self) -> None:
        """Renew until it fails for too long, or somebody else holds the Lease."""
        while True:
            left = self._renewed + self._renew_deadline - self._clock.monotonic()
            if left <= 0:
                return
            await self._clock.sleep(min(self._retry, left))
            began = self._clock.monotonic()
            left = self._renewed + self._renew_deadline - began
            if left <= 0:
                return
            with anyio.move_on_after(left):
                if await self._try():
                    self._renewed = began
            if self.holder not in ("", self._identity) or self._gives_way:
                return

    async def _try(self) -> bool:
        """Take or renew the Lease, if it is free or ours. Return whether it is ours now."""
        try:
            return await self._take()
        except ClusterError as error:
            _log.warning("lease not written", error=str(error))
            return False

    async def _take(self) -> bool:
        try:
            live = await self._client.get(LEASE, self._namespace, self._name)
        except NotFoundError:
            self._note(await self._client.create(LEASE, self._first()))
            return True
        spec = live.get("spec") or {}
        self.holder = str(spec.get("holderIdentity") or "")
        if (
            not self.holder
            and wanted_by(live) not in ("", self._identity)
            and self._age(live) < 2 * self._retry
        ):
            return False  # it was given up for somebody
        if self.holder not in ("", self._identity) and not self._expired(live):
            if self._spread.wants(self) and wanted_by(live) == "":
                await self._client.replace(LEASE, _annotated(live, {WANTED_ANNOTATION: self._identity}))
            return False
        self._gives_way = self.is_leader and self._spread.gives_way(live)
        self._note(await self._client.replace(LEASE, self._renewal(live)))
        return True

    def _age(self, live: Body) -> float:
        """Return for how long, by our clock, the Lease has been as it is."""
        now = self._clock.monotonic()
        version = str((live.get("metadata") or {}).get("resourceVersion", ""))
        if self._seen is None or self._seen.version != version:
            self._seen = _Seen(version, now)
        return now - self._seen.since

    def _expired(self, live: Body) -> bool:
        return self._age(live) >= seconds_of(live, self._duration)

    def _note(self, stored: Body) -> None:
        self.holder = str((stored.get("spec") or {}).get("holderIdentity") or "")

    def _first(self) -> Body:
        now = self._timestamp()
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {
                "namespace": self._namespace,
                "name": self._name,
                "labels": {GROUP_LABEL: self._group},
                "annotations": {LAYOUT_ANNOTATION: self._layout},
            },
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": self._duration,
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        }

    def _renewal(self, live: Body) -> Body:
        spec: dict[str, Any] = dict(live.get("spec") or {})
        now = self._timestamp()
        if spec.get("holderIdentity") != self._identity:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        spec |= {"holderIdentity": self._identity, "leaseDurationSeconds": self._duration, "renewTime": now}
        renewed = (live.get("spec") or {}).get("holderIdentity") == self._identity
        kept = wanted_by(live) if renewed else ""  # who takes it has answered whoever asked
        ours = {GROUP_LABEL: self._group}
        annotated = _annotated(live, {LAYOUT_ANNOTATION: self._layout, WANTED_ANNOTATION: kept}, ours)
        return {**annotated, "spec": spec}

    async def _release(self) -> None:
        """Give the Lease up, so that the next leader need not wait for its end.

        Not so while a write was never answered: until the end of the Lease it will have come, or not.
        """
        if self.unsure():
            _log.info("lease not given up: a write was never answered", identity=self._identity)
            return
        try:
            with anyio.fail_after(RELEASE_TIMEOUT_SECONDS):
                live = await self._client.get(LEASE, self._namespace, self._name)
                spec = dict(live.get("spec") or {})
                if spec.get("holderIdentity") != self._identity:
                    return
                # One second, not zero: the API refuses a duration that is not positive.
                spec |= {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._timestamp()}
                await self._client.replace(LEASE, {**live, "spec": spec})
                self.holder = ""
        except (ClusterError, TimeoutError) as error:
            _log.warning("lease not released", error=str(error))

    def _timestamp(self) -> str:
        return self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_of(live: Body, otherwise: int) -> int:
    """Return for how long a Lease counts."""
    duration = (live.get("spec") or {}).get("leaseDurationSeconds")
    return duration if isinstance(duration, int) and duration > 0 else otherwise


def _annotated(live: Body, annotations: Mapping[str, str], labels: Mapping[str, str] | None = None) -> Body:
    """Return a Lease with annotations set, or taken away where they are empty."""
    metadata: dict[str, Any] = dict(live.get("metadata") or {})
    wanted = {**(metadata.get("annotations") or {}), **annotations}
    metadata["annotations"] = {name: value for name, value in wanted.items() if value}
    metadata["labels"] = {**(metadata.get("labels") or {}), **(labels or {})}
    return {**live, "metadata": metadata}
