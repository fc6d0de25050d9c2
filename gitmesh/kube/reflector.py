"""A reflector: lists one kind, then watches it, for ever, and tells each change once.

Stage: observe (effect).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import anyio
import structlog

from gitmesh.kube.errors import ClusterError, NotFoundError, WatchExpiredError
from gitmesh.kube.protocol import Body, ClusterClient
from gitmesh.model.kinds import Kind
from gitmesh.model.resource import ResourceKey

EventType = Literal["ADDED", "MODIFIED", "DELETED"]
OnEvent = Callable[[EventType, ResourceKey, Body | None], None]
OnListed = Callable[[frozenset[ResourceKey], str], None]

WATCH_SECONDS = 300
BACKOFF_FIRST_SECONDS = 0.2
BACKOFF_MAX_SECONDS = 15.0
HEALTHY_SECONDS = 5.0  # a watch that stood for less counts as a failure, so that nothing ever spins
NOT_SERVED_SECONDS = 30.0

_log = structlog.get_logger("gitmesh.kube", stage="observe")


class Clock(Protocol):
    """The part of the clock that a reflector needs."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class Reflector:
    """Follows every object of one kind and calls `on_event(type, key, body)` for each change.

    A deletion has a body only when the server sent one. After every listing comes
    `on_listed(keys, resource_version)`. Callbacks run in the loop and must not block.
    """

    def __init__(
        self,
        client: ClusterClient,
        kind: Kind,
        *,
        on_event: OnEvent,
        clock: Clock,
        namespace: str = "",
        on_listed: OnListed | None = None,
        jitter: Callable[[], float] = random.random,
        watch_seconds: int = WATCH_SECONDS,
        on_broken: Callable[[Kind], None] = lambda kind: None,
    ) -> None:
        self.kind = kind
        self.connected = False
        self.served = True
        self.error = ""
        self._client = client
        self._namespace = namespace
        self._on_event = on_event
        self._on_listed = on_listed
        self._clock = clock
        self._jitter = jitter
        self._watch_seconds = watch_seconds
        self._on_broken = on_broken
        self._synced = anyio.Event()
        self._known: dict[ResourceKey, str] = {}  # key -> resource version that was told last
        self._version = ""  # where to go on; empty: list
        self._failures = 0
        self._told_recovery = True

    @property
    def synced(self) -> bool:
        """True once the first listing is in, or the server has said that it does not serve the kind."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Wait for `synced`."""
        await self._synced.wait()

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            began = self._clock.monotonic()
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except NotFoundError as error:
                self._not_served(error)
                await self._clock.sleep(self._spread(NOT_SERVED_SECONDS))
                continue
            except ClusterError as error:
                self._failed(error)
            if self._clock.monotonic() - began >= HEALTHY_SECONDS:
                self._failures = 0
            else:
                self._failures += 1
            if self._failures:
                await self._clock.sleep(self._backoff())

    async def _list(self) -> None:
        listing = await self._client.list(self.kind, namespace=self._namespace)
        self._stands()
        self.served = True
        found = {key: body for body in listing.items if (key := self._key(body)).name}
        for key in self._known.keys() - found.keys():
            self._tell("DELETED", key, None)
        for key, body in found.items():
            known = self._known.get(key)
            if known is None or known != _version(body):
                self._tell("ADDED" if known is None else "MODIFIED", key, body)
        if self._on_listed:
            self._on_listed(frozenset(found), listing.resource_version)
        self._version = listing.resource_version
        self._synced.set()

    async def _watch(self) -> None:
        events = self._client.watch(
            self.kind,
            resource_version=self._version,
            namespace=self._namespace,
            timeout_seconds=self._watch_seconds,
        )
        async for event in events:
            self._stands()
            if self._failures and not self._told_recovery:
                self._told_recovery = True
                _log.info("watching again", kind=self.kind.kind)
            version = _version(event.object)
            if event.type == "BOOKMARK" and _is_before(version, self._version):
                raise WatchExpiredError("the server has gone back in time", retryable=True, status=410)
            if event.type != "BOOKMARK" and (key := self._key(event.object)).name:
                self._tell(event.type, key, event.object)
            self._version = version or self._version

    def _tell(self, type_: EventType, key: ResourceKey, body: Body | None) -> None:
        if type_ == "DELETED":
            self._known.pop(key, None)
        else:
            self._known[key] = _version(body or {})
        self._on_event(type_, key, body)

    def _stands(self) -> None:
        self.connected, self.error = True, ""

    def _failed(self, error: ClusterError) -> None:
        self._on_broken(self.kind)
        expired = isinstance(error, WatchExpiredError)
        if expired or not error.retryable:
            self._version = ""
        if not expired:
            if not self._failures:  # the first failure is news; the rest are the same news
                self._told_recovery = False
                _log.warning("watch broken", kind=self.kind.kind, error=str(error))
            self.connected, self.error = False, str(error)

    def _not_served(self, error: NotFoundError) -> None:
        if self.served:
            _log.warning("kind not served", kind=self.kind.kind, error=str(error), hint="install its CRD")
        self.served, self.connected, self.error = False, True, ""
        self._version = ""
        self._failures = 0
        for key in tuple(self._known):
            self._tell("DELETED", key, None)
        self._synced.set()

    def _backoff(self) -> float:
        # The exponent is capped too: 2**n of a long outage would be an overflow.
        wait = BACKOFF_FIRST_SECONDS * 2.0 ** min(self._failures - 1, 16)
        return self._spread(min(wait, BACKOFF_MAX_SECONDS))

    def _spread(self, seconds: float) -> float:
        """Return between half and all of it, so that many clients do not come back at one moment."""
        return seconds * (0.5 + 0.5 * self._jitter())

    def _key(self, body: Body) -> ResourceKey:
        metadata = _metadata(body)
        return self.kind.key(str(metadata.get("namespace") or ""), str(metadata.get("name") or ""))


def _version(body: Body) -> str:
    return str(_metadata(body).get("resourceVersion") or "")


def _metadata(body: Body) -> Mapping[str, Any]:
    """Return the metadata; empty where it has not the shape that every object has."""
    metadata = body.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def _is_before(version: str, known: str) -> bool:
    """Say whether the server's store was set back: from a backup, or because it lives in memory only."""
    return version.isdigit() and known.isdigit() and int(version) < int(known)
