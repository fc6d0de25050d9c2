"""Leader election by a Lease: at most one GitMesh writes.

Stage: none (effect). Source: kubernetes/client-go, tools/leaderelection: the same Lease, the same rules.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import anyio
import structlog

from gitmesh.kube.errors import ClusterError, NotFoundError
from gitmesh.kube.protocol import Body, ClusterClient
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
    ) -> None:
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
        self._seen: _Seen | None = None
        self._renewed = 0.0  # when the request began that renewed it last
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
            self.is_leader = True
            _log.info("leading", identity=self._identity)
            try:
                if await self._lead(work):
                    return
            finally:
                self.is_leader = False
                with anyio.CancelScope(shield=True):
                    await self._release()
            _log.warning("no longer leading", holder=self.holder)

    async def _acquire(self) -> float:
        """Try until the Lease is ours; return when the request that won it began."""
        while True:
            began = self._clock.monotonic()
            if await self._try():
                return began
            await self._clock.sleep(self._retry * (1 + 0.2 * self._jitter()))

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
            if self.holder not in ("", self._identity):
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
        if self.holder not in ("", self._identity) and not self._expired(live):
            return False
        self._note(await self._client.replace(LEASE, self._renewal(live)))
        return True

    def _expired(self, live: Body) -> bool:
        now = self._clock.monotonic()
        version = str((live.get("metadata") or {}).get("resourceVersion", ""))
        if self._seen is None or self._seen.version != version:
            self._seen = _Seen(version, now)
            return False
        duration = (live.get("spec") or {}).get("leaseDurationSeconds")
        seconds = duration if isinstance(duration, int) and duration > 0 else self._duration
        return now - self._seen.since >= seconds

    def _note(self, stored: Body) -> None:
        self.holder = str((stored.get("spec") or {}).get("holderIdentity") or "")

    def _first(self) -> Body:
        now = self._timestamp()
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {"namespace": self._namespace, "name": self._name},
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
        return {**live, "spec": spec}

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
