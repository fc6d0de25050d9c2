"""What the engine asks of the world. Effects satisfy these by shape and never import the engine.

Stage: engine (shell).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import random
from typing import Any, Protocol

from gitmesh.engine.clock import Clock
from gitmesh.engine.meters import Meters
from gitmesh.engine.tracing import NO_TRACES
from gitmesh.fetch.push import Proposal
from gitmesh.fetch.verifying import Demand, Unverified, Verified
from gitmesh.kube.protocol import Body, ClusterClient
from gitmesh.model.metrics import (
    LatencyQuery,
    LatencyStats,
    Query,
    RequestQuery,
    RequestStats,
    ValueQuery,
    ValueStats,
)
from gitmesh.model.notice import CommitStatus, Notice
from gitmesh.model.repository import OPEN, Access, Ref
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.revision import Revision
from gitmesh.observe.live import LiveState
from gitmesh.observe.slim import slim


class Git(Protocol):
    """One repository, mirrored. Raises FetchError; LoginError where `access` does not open it.

    Where a `url` may be left out, nothing is fetched without one.
    """

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
        """Bring the newest revision; it is `forced` when it follows neither from `since` nor from `meant`."""

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
        """Read a commit that was fetched before, under the name that it had then."""

    async def look_back(
        self,
        commit: str,
        path: str,
        wanted: Callable[[bytes], bool],
        *,
        url: str = "",
        access: Access = OPEN,
    ) -> bytes | None:
        """Return the newest earlier content of a file that is wanted."""

    async def verify(self, commit: str, base: str, demand: Demand) -> Verified | Unverified:
        """Judge a commit by signatures, without the network. `base`: the accepted one. Raises TrustError."""

    async def push(self, url: str, proposal: Proposal, *, access: Access = OPEN) -> str:
        """Make a commit and push it; return its id. Raises MovedError when others have pushed meanwhile."""

    async def close(self) -> None:
        """End what is running."""

    async def discard(self) -> None:
        """Forget the repository, also on disk."""


class Live(Protocol):
    """The watch cache: what is live, as far as we know now."""

    @property
    def connected(self) -> bool:
        """False while the API server cannot be reached."""

    def snapshot(self) -> LiveState:
        """Return what is live; immutable."""

    def get(self, key: ResourceKey) -> Resource | None:
        """Return one object as it is now; cheaper than `snapshot` where many change."""

    def absorb(self, body: Body) -> None:
        """Take in an object that we have just written, before its watch event comes."""

    def drop(self, key: ResourceKey) -> None:
        """Forget an object that we have just deleted."""


def taking_in(live: Live) -> Callable[[Body], Body]:
    """Return what takes in an object that was written, and keeps of it only what is looked at later.

    It is kept until its whole wave is through; of ten thousand objects the rest would be much.
    """

    def take_in(body: Body) -> Body:
        live.absorb(body)
        return slim(body)

    return take_in


class Metrics(Protocol):
    """Request statistics. Raises MetricsError."""

    @property
    def answers(self) -> bool:
        """False while there is nobody to ask: the configuration names no provider now."""

    async def prepare(self, query: Query) -> None:
        """Be ready to answer this query from now on, for a provider that has to look twice to count."""

    async def count(self, query: RequestQuery) -> RequestStats:
        """Count the requests that the query names."""

    async def latency(self, query: LatencyQuery) -> LatencyStats:
        """Count the requests that the query names by how long they took."""

    async def value(self, query: ValueQuery) -> ValueStats:
        """Return the one number that the query is for."""

    async def close(self) -> None:
        """Release connections."""


class Hooks(Protocol):
    """Who is asked whether a rollout may go on. Never raises for what a hook does."""

    async def ask(self, url: str, timeout: timedelta, told: Mapping[str, Any]) -> tuple[bool, str]:
        """Ask one hook; say whether it allows to go on, and why."""

    async def close(self) -> None:
        """Release connections."""


class Events(Protocol):
    """Where people are told. Never raises."""

    async def record(self, about: Resource, type: str, reason: str, message: str) -> None:
        """Tell that something happened to an object; `type` is Normal or Warning."""


class Notices(Protocol):
    """Where people are told beside the cluster: webhooks, chat, commit statuses."""

    def tell(self, item: Notice | CommitStatus) -> None:
        """Take something to be told. Returns at once and never raises."""

    def begin(self) -> None:
        """Take note that our work begins: another daemon may have told things meanwhile."""

    def leave(self, sources: frozenset[str]) -> None:
        """Leave it to another daemon to tell how these sources stand."""


class Tracer(Protocol):
    """Where pieces of work are traced."""

    def span(self, name: str, attributes: Mapping[str, str]) -> AbstractContextManager[None]:
        """Trace what is done within."""


class Alarms(Protocol):
    """The alarm clock. An alarm only wakes somebody; truth never lives in it."""

    def every(self, name: str, interval: timedelta, ring: Callable[[], None]) -> None:
        """Ring again and again, first after one interval. The same name replaces."""

    def at(self, name: str, when: datetime, ring: Callable[[], None]) -> None:
        """Ring once; at once when the moment has passed. The same name replaces."""

    def ring_all(self, now: datetime) -> None:
        """Ring every alarm: the clock was set, to `now`. A repeated one counts its interval from there."""

    def cancel(self, name: str) -> None:
        """Forget an alarm, if there is one."""


def everything(source: Resource) -> bool:
    """Follow each source."""
    return True


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything that the engine touches.

    `urgent` is the same cluster by connections of its own, for what must not wait behind anything else.
    """

    cluster: ClusterClient
    live: Live
    metrics: Metrics | None
    events: Events
    alarms: Alarms
    clock: Clock
    open_git: Callable[[ResourceKey], Git]
    meters: Meters
    log: Any  # a structlog logger; untyped upstream
    urgent: ClusterClient
    hooks: Hooks | None = None
    notices: Notices | None = None
    worker: str = ""  # our Lease, as `namespace/name`, where there is leader election
    jitter: Callable[[], float] = random  # between 0 and 1
    tracer: Tracer = NO_TRACES
    follows: Callable[[Resource], bool] = everything  # which sources are this daemon's to work on

    @property
    def can_measure(self) -> bool:
        """Say whether there is anybody to ask about requests now."""
        return self.metrics is not None and self.metrics.answers
