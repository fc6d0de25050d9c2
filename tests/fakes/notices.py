"""Notices for tests, a target that does as it is told, and one that only listens."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

from gitmesh.model.notice import CommitState, CommitStatus, Importance, Notice, RolloutView
from gitmesh.notify.errors import DeliveryError
from gitmesh.notify.mailbox import Item

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
URL = "https://github.com/mesh/traffic.git"


def a_view(
    progress: float = 10, phase: str = "Progressing", step: int = 0, run: str = "run-1"
) -> RolloutView:
    weights = f"v1 {100 - progress:g}, v2 {progress:g}"
    return RolloutView(run, phase, progress, weights, step, 3, "default/careful")


def a_notice(event: str = "RolloutStep", importance: str = "progress", **fields: Any) -> Notice:
    given: dict[str, Any] = {
        "source": "default/mesh",
        "about": "networking.istio.io/VirtualService/shop/reviews",
        "namespace": "shop",
        "message": "all is well",
        "at": NOON,
        "since": NOON,
        "revision": f"main@{COMMIT}",
        "repository": URL,
    }
    return Notice(event, Importance(importance), **{**given, **fields})


def a_step(progress: float, step: int = 0, run: str = "run-1", **fields: Any) -> Notice:
    told = {"same": "moved", "subject": "rollout", "message": f"{progress:g} %", **fields}
    return a_notice(rollout=a_view(progress, step=step, run=run), **told)


def a_rollback(run: str = "run-1", **fields: Any) -> Notice:
    view = a_view(0, "RolledBack", 1, run)
    return a_notice(
        "RolledBack", "error", rollout=view, subject="rollout", message="7.5 % errors, limit 5 %", **fields
    )


def a_commit_status(state: str = "pending", **fields: Any) -> CommitStatus:
    told = CommitStatus("default/mesh", URL, COMMIT, CommitState(state), "going live")
    return dataclasses.replace(told, **fields)


class Listener:
    """Takes everything and keeps it. `begun` counts the daemons that have begun to work."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.begun = 0

    def begin(self) -> None:
        self.begun += 1

    def leave(self, sources: frozenset[str]) -> None:
        raise AssertionError("nobody lost a Lease here")

    def tell(self, item: Item) -> None:
        self.items.append(item)

    @property
    def notices(self) -> list[Notice]:
        return [item for item in self.items if isinstance(item, Notice)]

    @property
    def events(self) -> list[str]:
        return [notice.event for notice in self.notices]

    @property
    def states(self) -> list[tuple[str, str]]:
        """The commit statuses, without those that say nothing new."""
        found: list[tuple[str, str]] = []
        for item in self.items:
            if isinstance(item, CommitStatus) and (item.commit[:7], item.state.value) not in found[-1:]:
                found.append((item.commit[:7], item.state.value))
        return found


class FakeOutlet:
    """A target whose answers are ordered beforehand; afterwards it takes everything."""

    def __init__(self, name: str = "chat", *, merges: bool = False) -> None:
        self.name = name
        self.merges = merges
        self.answers: list[DeliveryError | Exception | None] = []
        self.tried: list[Item] = []
        self.taken: list[Item] = []
        self.closed = False
        self.begun = 0

    def begin(self) -> None:
        self.begun += 1

    def takes(self, item: Item) -> bool:
        return True

    async def deliver(self, item: Item) -> None:
        self.tried.append(item)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.taken.append(item)

    async def close(self) -> None:
        self.closed = True
