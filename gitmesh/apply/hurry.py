"""Writing what nothing may hold up: an attempt that gets no answer soon is joined by another one.

Stage: apply (effect). For writes that are the same however often they are carried out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

from gitmesh.kube.errors import ClusterError
from gitmesh.kube.protocol import Body, ClusterClient
from gitmesh.model.kinds import Kind

T = TypeVar("T")

JOINED_SECONDS = 0.2  # so long the first attempt is alone; each time after that twice as long
AGAIN_SECONDS = 0.05  # between an error and the next attempt; each time after that twice as long
AGAIN_SECONDS_MAX = 0.5
ATTEMPTS_MAX = 5  # under way together


class Hurried:
    """A client's `apply` and `delete`, within `patience` seconds at most.

    A server that is slow, and not stuck, has to be let finish: to give an attempt up may end its work too.
    So attempts join one another, and the first that works ends the rest.
    """

    def __init__(self, client: ClusterClient, patience: float) -> None:
        self._client = client
        self._patience = patience

    async def apply(self, kind: Kind, body: Body, *, force: bool = False, dry_run: bool = False) -> Body:
        """Apply as `ClusterClient.apply` does."""
        client = self._client
        return await self._hurry(lambda: client.apply(kind, body, force=force, dry_run=dry_run))

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        version: str = "",
        dry_run: bool = False,
    ) -> None:
        """Delete as `ClusterClient.delete` does."""
        client = self._client
        await self._hurry(
            lambda: client.delete(kind, namespace, name, uid=uid, version=version, dry_run=dry_run)
        )

    async def get(self, kind: Kind, namespace: str, name: str) -> Body:
        """Get as `ClusterClient.get` does."""
        return await self._client.get(kind, namespace, name)

    async def merge_patch(self, kind: Kind, namespace: str, name: str, patch: Body) -> Body:
        """Patch as `ClusterClient.merge_patch` does: a patch that names a version works once."""
        return await self._client.merge_patch(kind, namespace, name, patch)

    async def _hurry(self, attempt: Callable[[], Awaitable[T]]) -> T:
        race = _Race(attempt)
        with anyio.move_on_after(self._patience):
            await race.run()
        if race.answers:
            return race.answers[0]
        if race.errors:
            raise race.errors[-1]
        raise ClusterError(
            f"no answer within {self._patience:g} s to {race.started} attempts; tried again", retryable=True
        )


class _Race(Generic[T]):
    """Attempts at one thing."""

    def __init__(self, attempt: Callable[[], Awaitable[T]]) -> None:
        self._attempt = attempt
        self._under_way = 0
        self._ended = anyio.Event()
        self.answers: list[T] = []
        self.errors: list[ClusterError] = []
        self.started = 0

    async def run(self) -> None:
        """Start attempts until one works, or is refused for good."""
        joined, again, failed = JOINED_SECONDS, AGAIN_SECONDS, 0
        async with anyio.create_task_group() as group:
            while not self.answers and not any(not error.retryable for error in self.errors):
                if len(self.errors) > failed:
                    failed = len(self.errors)
                    await anyio.sleep(again)
                    again = min(2 * again, AGAIN_SECONDS_MAX)
                if self._under_way < ATTEMPTS_MAX:
                    self._under_way += 1
                    self.started += 1
                    group.start_soon(self._one)
                with anyio.move_on_after(joined):
                    await self._ended.wait()
                self._ended = anyio.Event()
                joined *= 2
            group.cancel_scope.cancel()

    async def _one(self) -> None:
        try:
            self.answers.append(await self._attempt())
        except ClusterError as error:
            self.errors.append(error)
        finally:
            self._under_way -= 1
            self._ended.set()
