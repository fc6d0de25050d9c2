"""Kubernetes Events: what `kubectl describe` and `kubectl get events` show.

Stage: notify (effect).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import anyio
import structlog

from gitmesh.kube.errors import ClusterError, NotFoundError
from gitmesh.kube.protocol import Body, ClusterClient
from gitmesh.model.kinds import EVENT
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.source import FIELD_MANAGER

REMEMBERED_MAX = 512
# Source: kubernetes/kubernetes, pkg/apis/core/validation/events.go: message 1024 bytes, reason 128.
MESSAGE_BYTES_MAX = 1024
REASON_CHARS_MAX = 128
NAME_CHARS_MAX = 200  # of the object, in the name of the event; a name has at most 253
TIMEOUT_SECONDS = 5

_News = tuple[ResourceKey, str, str, str]  # object, its uid, reason, message

_log = structlog.get_logger("gitmesh.notify")


class Clock(Protocol):
    """The part of the clock that events need."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""


@dataclass(frozen=True, slots=True)
class _Told:
    namespace: str
    name: str
    count: int


class EventRecorder:
    """Tells people what happened to an object. The same news again raises the count of the first event."""

    def __init__(self, client: ClusterClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._told: OrderedDict[_News, _Told] = OrderedDict()
        self._turn = anyio.Lock()

    async def record(self, about: Resource, type: str, reason: str, message: str) -> None:
        """Tell it; `type` is Normal or Warning. Never raises for the cluster's sake: news is not the work."""
        message = _clip(message)
        try:
            with anyio.fail_after(TIMEOUT_SECONDS):
                async with self._turn:
                    await self._record(about, type, reason[:REASON_CHARS_MAX], message)
        except (ClusterError, TimeoutError) as error:
            _log.warning(
                "event not recorded", about=str(about.key), reason=reason, message=message, error=str(error)
            )

    async def _record(self, about: Resource, type_: str, reason: str, message: str) -> None:
        # Another object with the same name is news of its own: `describe` looks for the uid.
        news = (about.key, str(about.metadata.get("uid", "")), reason, message)
        told = self._told.get(news)
        if told is not None:
            try:
                await self._count(news, told)
                return
            except NotFoundError:
                del self._told[news]  # events live an hour; this one is news again
        stored = await self._client.create(EVENT, self._event(about, type_, reason, message))
        metadata = stored["metadata"]
        self._remember(news, _Told(str(metadata.get("namespace", "")), str(metadata["name"]), 1))

    async def _count(self, news: _News, told: _Told) -> None:
        count = told.count + 1
        patch = {"count": count, "lastTimestamp": _timestamp(self._clock.now())}
        await self._client.merge_patch(EVENT, told.namespace, told.name, patch)
        self._remember(news, _Told(told.namespace, told.name, count))

    def _remember(self, news: _News, told: _Told) -> None:
        self._told[news] = told
        self._told.move_to_end(news)
        if len(self._told) > REMEMBERED_MAX:
            self._told.popitem(last=False)

    def _event(self, about: Resource, type_: str, reason: str, message: str) -> Body:
        now = self._clock.now()
        key = about.key
        involved: dict[str, Any] = {
            "apiVersion": about.api_version,
            "kind": key.kind,
            "namespace": key.namespace,
            "name": key.name,
            "uid": about.metadata.get("uid", ""),
            "resourceVersion": about.resource_version,
        }
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {
                "namespace": key.namespace or "default",
                "name": f"{key.name[:NAME_CHARS_MAX].rstrip('.-')}.{_mark(key, reason, message, now)}",
            },
            "involvedObject": {name: value for name, value in involved.items() if value},
            "type": type_,
            "reason": reason,
            "message": message,
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": FIELD_MANAGER,
            "reportingInstance": FIELD_MANAGER,
            "firstTimestamp": _timestamp(now),
            "lastTimestamp": _timestamp(now),
            "count": 1,
        }


def _mark(key: ResourceKey, reason: str, message: str, now: datetime) -> str:
    """Return what makes the name of this event its own."""
    text = f"{key.path}\n{reason}\n{message}\n{now.isoformat()}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _clip(message: str) -> str:
    raw = message.encode()
    if len(raw) <= MESSAGE_BYTES_MAX:
        return message
    return raw[: MESSAGE_BYTES_MAX - 3].decode(errors="ignore") + "…"


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
