"""Carry a plan out: ask the server about all of it, then write it wave by wave.

Stage: apply (effect). It has no opinions: what happens, in which order and by force or not, the plan says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from gitmesh.kube.errors import ApplyConflictError, ClusterError, NotFoundError, StaleWriteError
from gitmesh.kube.protocol import Body, ClusterClient
from gitmesh.model.kinds import kind_of
from gitmesh.model.plan import Change, ChangeKind, Plan, Refusal, Wave
from gitmesh.model.resource import Resource, resource_from_body

CONCURRENT_MAX = 8


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one change: the object as stored (None for a delete), or why it failed."""

    change: Change
    result: Resource | None
    error: ClusterError | None


async def dry_run(plan: Plan, client: ClusterClient) -> tuple[Refusal, ...]:
    """Ask the server about every change and return all its refusals, in the order of the plan.

    Nothing is written. Raises ClusterError when the server cannot be asked, or live has moved meanwhile:
    that is no refusal.
    """
    changes = tuple(plan.changes())
    errors: dict[int, ClusterError] = {}
    limit = anyio.Semaphore(CONCURRENT_MAX)

    async def ask(index: int, change: Change) -> None:
        async with limit:
            try:
                await _write(change, client, dry_run=True)
            except ClusterError as error:
                errors[index] = error

    async with anyio.create_task_group() as group:
        for index, change in enumerate(changes):
            group.start_soon(ask, index, change)
    for error in errors.values():
        if error.retryable or isinstance(error, StaleWriteError):
            raise error
    return tuple(
        Refusal(str(errors[index]), _hint(errors[index]), changes[index].key) for index in sorted(errors)
    )


async def execute(
    plan: Plan, client: ClusterClient, sleep: Callable[[float], Awaitable[None]]
) -> AsyncIterator[Applied]:
    """Apply wave by wave and yield what became of each change; end after the first wave with an error.

    A cancellation starts no further write, waits for the started ones, and still yields their outcome.
    """
    for number, wave in enumerate(plan.waves):
        landed: dict[int, Applied] = {}
        try:
            if number:
                await sleep(plan.waves[number - 1].settle_seconds)
            await _apply(wave, client, landed)
        except anyio.get_cancelled_exc_class():
            for index in sorted(landed):
                yield landed[index]
            raise
        for index in sorted(landed):
            yield landed[index]
        if any(applied.error for applied in landed.values()):
            return


async def _apply(wave: Wave, client: ClusterClient, landed: dict[int, Applied]) -> None:
    limit = anyio.Semaphore(CONCURRENT_MAX)

    async def write(index: int, change: Change) -> None:
        async with limit:
            await checkpoint_if_cancelled()
            # Half a write is the one thing that nobody could explain later. The client's time limit ends it.
            with anyio.CancelScope(shield=True):
                landed[index] = await _outcome(change, client)

    async with anyio.create_task_group() as group:
        for index, change in enumerate(wave.changes):
            group.start_soon(write, index, change)


async def _outcome(change: Change, client: ClusterClient) -> Applied:
    try:
        stored = await _write(change, client, dry_run=False)
    except ClusterError as error:
        return Applied(change, None, error)
    return Applied(change, resource_from_body(stored) if stored else None, None)


async def _write(change: Change, client: ClusterClient, *, dry_run: bool) -> Body | None:
    key, kind = change.key, kind_of(change.key)
    if change.kind is ChangeKind.DELETE:
        # With the uid, so that an object that somebody made anew under the same name stays.
        uid = str(change.before.metadata.get("uid", "")) if change.before else ""
        await client.delete(kind, key.namespace, key.name, uid=uid, dry_run=dry_run)
        return None
    assert change.after is not None, f"{change.kind} of {key} without an object"
    return await client.apply(kind, change.after.body, force=change.force, dry_run=dry_run)


def _hint(error: ClusterError) -> str:
    if isinstance(error, ApplyConflictError):
        owners = ", ".join(sorted({conflict.manager for conflict in error.conflicts}))
        return f"let {owners} give these fields up, or set spec.adopt on the TrafficSource"
    if isinstance(error, NotFoundError):
        return "create the namespace, or install the CRDs of this kind"
    return "correct the object in Git; nothing of this plan was applied"
