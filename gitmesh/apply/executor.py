"""Carry a plan out: ask the server about all of it, then write it wave by wave.

Stage: apply (effect). It has no opinions: what happens, in which order and by force or not, the plan says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from gitmesh.apply.foundations import wait_established
from gitmesh.apply.takeover import Taker, require_unchanged, take_over
from gitmesh.kube.errors import ApplyConflictError, ClusterError, NotFoundError, StaleWriteError
from gitmesh.kube.protocol import Body
from gitmesh.model.field_managers import field_managers
from gitmesh.model.kinds import Kind, kind_of
from gitmesh.model.plan import PRUNE_FAILED, Change, ChangeKind, Plan, Refusal, Wave
from gitmesh.model.resource import Resource, ResourceKey, resource_from_body
from gitmesh.plan.foundations import stands_on
from gitmesh.plan.opponents import conflict, refused_by

CONCURRENT_MAX = 8
# What was started when a rollback becomes due is mostly answered by then, and is known and not guessed.
GRACE_SECONDS = 0.1
_PRUNE_HINT = (
    "have whoever refuses it allow the deletion, or annotate the object with gitmesh.dev/prune: disabled to "
    "keep it; nothing of this plan was applied, and it is tried again each minute"
)
NOT_DONE = frozenset({409, 425, 429})  # answers that say that nothing was written, and are worth another try


class Writer(Taker, Protocol):
    """The part of a `ClusterClient` that writes."""

    async def apply(self, kind: Kind, body: Body, *, force: bool = False, dry_run: bool = False) -> Body:
        """Apply server-side; return the object as stored."""

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
        """Delete one object."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one change: the object as stored (None for a delete), or why it failed.

    `is_open`: nobody knows. There was no answer, so it may be carried out, even later.
    """

    change: Change
    result: Resource | None
    error: ClusterError | None

    @property
    def is_open(self) -> bool:
        """True when the change may be carried out although it counts as failed."""
        return self.error is not None and self.error.retryable and self.error.status not in NOT_DONE


async def dry_run(plan: Plan, client: Writer) -> tuple[Refusal, ...]:
    """Ask the server about every change and return all its refusals, in the order of the plan.

    What stands on a foundation that this very plan lays is left out. Nothing is written.
    Raises ClusterError when the server cannot be asked, or live has moved meanwhile:
    that is no refusal.
    """
    unfounded = stands_on(plan)
    changes = tuple(change for change in plan.changes() if change.key not in unfounded)
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
    return tuple([await _refusal(errors[index], changes[index], client) for index in sorted(errors)])


async def _refusal(error: ClusterError, change: Change, client: Writer) -> Refusal:
    if change.kind is ChangeKind.DELETE and not isinstance(error, NotFoundError):
        return Refusal(str(error), _PRUNE_HINT, change.key, PRUNE_FAILED)
    if not isinstance(error, ApplyConflictError):
        return Refusal(str(error), _hint(error), change.key)
    key = change.key
    live = await client.get(kind_of(key), key.namespace, key.name)
    require_unchanged(change, str((live.get("metadata") or {}).get("resourceVersion") or ""))
    return conflict(key, refused_by([(c.manager, c.field) for c in error.conflicts], field_managers(live)))


def whatever_becomes_of_it(resource: Resource) -> bool:
    """Go on with a plan also when what it has written is there no more."""
    return True


async def execute(
    plan: Plan,
    client: Writer,
    sleep: Callable[[float], Awaitable[None]],
    stands: Callable[[Resource], bool] = whatever_becomes_of_it,
) -> AsyncIterator[Applied]:
    """Apply wave by wave and yield what became of each change; end after the first wave with an error.

    A wave relies on those before it. `stands` says of an object that they have written whether it is still
    so: what somebody has undone meanwhile ends the plan. A cancellation starts no further write, waits a
    moment for the started ones, and still yields what became of each.
    """
    assert plan.excess is None, "this plan waits for a person"
    versions: dict[ResourceKey, str] = {}  # what this plan itself has made of an object
    done: list[Applied] = []
    for number, wave in enumerate(plan.waves):
        landed: dict[int, Applied] = {}
        try:
            if number:
                await sleep(plan.waves[number - 1].settle_seconds)
            if undone := [one for one in done if one.result is not None and not stands(one.result)]:
                yield Applied(undone[0].change, None, _undone(undone[0].change))
                return
            await _apply(wave, client, landed, versions)
            if wave.founds:
                await _await_foundations(landed, client, sleep)
        except anyio.get_cancelled_exc_class():
            for index in sorted(landed):
                yield landed[index]
            raise
        for index in sorted(landed):
            yield landed[index]
        if any(applied.error for applied in landed.values()):
            return
        done += landed.values()


async def _await_foundations(
    landed: dict[int, Applied], client: Writer, sleep: Callable[[float], Awaitable[None]]
) -> None:
    laid = {applied.change.key: index for index, applied in landed.items() if applied.error is None}
    for key, error in (await wait_established(laid, client, sleep)).items():
        landed[laid[key]] = replace(landed[laid[key]], error=error)


async def _apply(
    wave: Wave, client: Writer, landed: dict[int, Applied], versions: dict[ResourceKey, str]
) -> None:
    limit = anyio.Semaphore(CONCURRENT_MAX)
    started: set[anyio.CancelScope] = set()

    async def write(index: int, change: Change) -> None:
        async with limit:
            await checkpoint_if_cancelled()
            # To know what became of a write is worth a moment, and no more: a rollback may be waiting.
            with anyio.CancelScope(shield=True) as shield:
                started.add(shield)
                landed[index] = await _outcome(change, client, versions)
            started.discard(shield)
            if shield.cancelled_caught:
                landed[index] = Applied(change, None, _given_up(change))

    async def give_up_when_cancelled() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            for shield in started:
                shield.deadline = anyio.current_time() + GRACE_SECONDS

    async with anyio.create_task_group() as watch:
        watch.start_soon(give_up_when_cancelled)
        async with anyio.create_task_group() as group:
            for index, change in enumerate(wave.changes):
                group.start_soon(write, index, change)
        watch.cancel_scope.cancel()


def _undone(change: Change) -> ClusterError:
    return StaleWriteError(
        f"{change.kind.value} {change.key}: undone by someone else before what relies on it; planned again",
        retryable=True,
        status=409,
    )


def _given_up(change: Change) -> ClusterError:
    return ClusterError(
        f"{change.kind.value} {change.key}: given up without an answer, for something more urgent",
        retryable=True,
    )


async def _outcome(change: Change, client: Writer, versions: dict[ResourceKey, str]) -> Applied:
    try:
        stored = await _write(change, client, dry_run=False, version=versions.get(change.key, ""))
    except ClusterError as error:
        return Applied(change, None, error)
    result = resource_from_body(stored) if stored else None
    if result is not None:
        versions[change.key] = result.resource_version
    return Applied(change, result, None)


async def _write(change: Change, client: Writer, *, dry_run: bool, version: str = "") -> Body | None:
    """Write one change; `version` is what this plan has made of the object before."""
    key, kind = change.key, kind_of(change.key)
    if change.kind is ChangeKind.DELETE:
        # What somebody made anew under the same name stays, and what somebody changed is looked at again.
        uid = str(change.before.metadata.get("uid", "")) if change.before else ""
        version = change.before.resource_version if change.before else ""
        await client.delete(kind, key.namespace, key.name, uid=uid, version=version, dry_run=dry_run)
        return None
    assert change.after is not None, f"{change.kind} of {key} without an object"
    body = _body(change, change.after, version)
    if change.takeover is not None and not dry_run:
        body = _at_version(change.after, await take_over(change, client))
    return await client.apply(kind, body, force=change.force, dry_run=dry_run)


def _body(change: Change, after: Resource, version: str) -> Body:
    """Return what is sent. A write that is carried out late must not undo what was written after it."""
    version = version or (change.before.resource_version if change.before else "")
    if not change.if_unchanged or not version:
        return after.body
    return _at_version(after, version)


def _at_version(resource: Resource, version: str) -> Body:
    metadata: dict[str, Any] = {**resource.metadata, "resourceVersion": version}
    return {**resource.body, "metadata": metadata}


def _hint(error: ClusterError) -> str:
    if isinstance(error, NotFoundError):
        return "create the namespace, or install the CRDs of this kind"
    return "correct the object in Git; nothing of this plan was applied"
