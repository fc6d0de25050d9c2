"""The API machinery without HTTP: store, kinds, time and identity in one place.

Stage: playground. `reads`, `writes`, `deletes` and `watches` take it as their first argument.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gitmesh.playground.apiserver.limits import ApiLimits
from gitmesh.playground.apiserver.registry import Registry
from gitmesh.playground.apiserver.store import Store


def new_uid() -> str:
    """Return a random uid."""
    return str(uuid.uuid4())


@dataclass(slots=True)
class Cluster:
    """What a request works on. `now` and `new_uid` are parts that a test may replace."""

    store: Store
    registry: Registry
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    limits: ApiLimits = field(default_factory=ApiLimits)
    new_uid: Callable[[], str] = new_uid
    watchers: int = 0
    stopping: bool = False

    def timestamp(self) -> str:
        """Return the time as metav1.Time writes it: UTC, whole seconds."""
        return self.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
