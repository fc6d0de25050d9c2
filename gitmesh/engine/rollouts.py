"""Rollout records: read them, and write them down.

Stage: decide (called by the pass).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

import anyio
from pydantic import ValidationError

from gitmesh.apply.records import write_record
from gitmesh.decide.transitions import mark_effective
from gitmesh.engine.announce import note_move
from gitmesh.engine.memory import Moved, SourceMemory
from gitmesh.engine.ports import Ports
from gitmesh.engine.rollout_keys import object_key as object_key
from gitmesh.engine.rollout_keys import rollout_key as rollout_key
from gitmesh.kube.errors import ClusterError
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.rollout import RolloutIntent, RolloutRecord, Verdict
from gitmesh.model.source import OWNER_ANNOTATION
from gitmesh.observe.live import LiveState

NOTHING_ASKED = RolloutIntent()
RECORD_PATIENCE_SECONDS = 0.2  # so long a rollback waits for its own record


def read_record(resource: Resource | None) -> RolloutRecord | None:
    """Read the record out of a TrafficRollout; None where there is none, or where it makes no sense.

    What a newer edition has written beside it is left out: a replica of before must still know of it.
    """
    if resource is None or not resource.body.get("status"):
        return None
    try:
        record = RolloutRecord.model_validate(resource.body["status"], extra="ignore")
    except ValidationError:
        return None
    return record if record.source else None


def read_intent(resource: Resource | None) -> RolloutIntent:
    """Read what a person asked for; nothing when it makes no sense."""
    return NOTHING_ASKED if resource is None or not resource.spec else resource.once(_read_intent)


def _read_intent(resource: Resource) -> RolloutIntent:
    try:
        return RolloutIntent.model_validate(resource.spec)
    except ValidationError:
        return NOTHING_ASKED


def load_records(memory: SourceMemory, live: LiveState, source: str) -> dict[ResourceKey, RolloutRecord]:
    """Return the records of one source as the cluster has them; what could not be written yet wins.

    One that somebody has spoilt is written anew as it was read before. Where nobody knows that, it is among
    `memory.unread`: nothing is known of its rollout, so nothing of it may move.
    """
    records, unread = dict(memory.records), set[ResourceKey]()
    before, memory.read = memory.read, {}
    for key, resource in live.rollouts.items():
        if not may_be_of(resource, source):
            continue
        known = before.get(key)
        # Reading a record costs more than the rest of a pass that finds nothing to do; it is done once.
        record = known[1] if known and known[0] is resource else read_record(resource)
        if record is None:
            record = (
                known[1] if known and known[0].metadata.get("uid") == resource.metadata.get("uid") else None
            )
            if record is not None:
                memory.records.setdefault(object_key(key), record)
            elif resource.body.get("status") and object_key(key) not in records:
                unread.add(object_key(key))
        if record is not None and record.source != source:
            continue
        memory.read[key] = resource, record
        if record is not None:
            records.setdefault(object_key(key), record)
    memory.unread = frozenset(unread)
    return records


def may_be_of(rollout: Resource, source: str) -> bool:
    """Say whether a TrafficRollout is of a source by its record, or by its mark: a record can be spoilt."""
    said = (rollout.body.get("status") or {}).get("source")
    return said == source or rollout.annotations.get(OWNER_ANNOTATION) == source


def untaken(record: RolloutRecord | None, verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """Leave out what the record has already: its write may have been carried out without our knowing."""
    taken = record.verdict.at if record and record.verdict else None
    known = [i for i, verdict in enumerate(verdicts) if verdict.at == taken]
    return verdicts[known[-1] + 1 :] if known else verdicts


async def write_down(item: Moved, memory: SourceMemory, ports: Ports) -> None:
    """Write a changed record, before the change that it explains, unless it waits. Raises ClusterError."""
    if not item.changed and item.key not in memory.records:
        if item.waits:
            memory.fold(item.key)
        return
    key = rollout_key(item.key)
    stored = await write_record(ports.cluster, key, item.after, ports.live.get(key))
    ports.live.absorb(stored.body)
    live = ports.live.get(key)
    if live is not None and stored.body.get("status") == item.after.as_json() == live.body.get("status"):
        memory.read[key] = live, item.after  # who wrote it need not read it
    memory.records.pop(item.key, None)
    if item.after.revert is not None and memory.reverts.get(item.key) == item.after.revert:
        del memory.reverts[item.key]  # a later attempt at the same content is another one
    memory.verdicts[item.key] = untaken(item.after, memory.verdicts.get(item.key, ()))
    memory.taken.pop(item.key, None)
    note_move(item, memory, ports)


async def write_down_urgently(item: Moved, memory: SourceMemory, ports: Ports) -> None:
    """Write the record of a rollback, unless that would hold it up: then it is written by a later pass."""
    memory.records[item.key] = item.after
    try:
        with anyio.fail_after(RECORD_PATIENCE_SECONDS):
            await write_down(item, memory, ports)
    except (ClusterError, TimeoutError) as error:
        note_move(item, memory, ports)
        why = str(error) or f"no answer within {RECORD_PATIENCE_SECONDS:g} s"
        ports.log.error("rollback not recorded yet", stage="decide", rollout=str(item.key), error=why)


def confirmed(item: Moved, now: datetime) -> Moved:
    """Note that what the record asks for is live now: its dwell counts from here."""
    if item.after.live_stand != item.after.stand:
        return item
    return replace(item, before=item.after, after=mark_effective(item.after, now))


def records_of(moved: Iterable[Moved]) -> Mapping[ResourceKey, RolloutRecord]:
    """Return the records after this pass, by the object that moves."""
    return {item.key: item.after for item in moved}
