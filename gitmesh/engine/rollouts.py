"""Rollout records in one pass: read them, turn them towards what is desired, decide, and write them down.

Stage: decide (called by the pass).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from gitmesh.apply.records import write_record
from gitmesh.decide.retarget import retarget
from gitmesh.decide.transitions import advance, decide, mark_effective
from gitmesh.decide.verdict import take_verdict
from gitmesh.engine.memory import Desired, SourceMemory
from gitmesh.engine.ports import Ports
from gitmesh.engine.targets import resolver
from gitmesh.kube.errors import ClusterError
from gitmesh.model.kinds import GITMESH, TRAFFIC_ROLLOUT, VIRTUAL_SERVICE
from gitmesh.model.policy import RolloutPolicy
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.rollout import Decision, Hold, Phase, RollBack, RolloutIntent, RolloutRecord
from gitmesh.observe.live import LiveState


@dataclass(frozen=True, slots=True)
class Moved:
    """One rollout in one pass: before, after, and why."""

    key: ResourceKey  # of the VirtualService
    before: RolloutRecord | None
    after: RolloutRecord
    decision: Decision

    @property
    def changed(self) -> bool:
        """True when there is something to write down."""
        return self.before != self.after


def rollout_key(key: ResourceKey) -> ResourceKey:
    """Return the key of the TrafficRollout that belongs to a VirtualService."""
    return TRAFFIC_ROLLOUT.key(key.namespace, key.name)


def service_key(key: ResourceKey) -> ResourceKey:
    """Return the key of the VirtualService that a TrafficRollout belongs to."""
    return VIRTUAL_SERVICE.key(key.namespace, key.name)


def read_record(resource: Resource | None) -> RolloutRecord | None:
    """Read the record out of a TrafficRollout; None where there is none, or where it makes no sense."""
    if resource is None or not resource.body.get("status"):
        return None
    try:
        return RolloutRecord.model_validate(resource.body["status"])
    except ValidationError:
        return None


def read_intent(resource: Resource | None) -> RolloutIntent:
    """Read what a person asked for; nothing when it makes no sense."""
    try:
        return RolloutIntent.model_validate(resource.spec if resource else {})
    except ValidationError:
        return RolloutIntent()


def load_records(memory: SourceMemory, live: LiveState, source: str) -> dict[ResourceKey, RolloutRecord]:
    """Return the records of one source as the cluster has them; what could not be written yet wins."""
    records = dict(memory.records)
    for key, resource in live.rollouts.items():
        record = read_record(resource)
        if record is not None and record.source == source:
            records.setdefault(service_key(key), record)
    return records


def move(
    memory: SourceMemory,
    live: LiveState,
    *,
    source: str,
    suspended: bool,
    history_max: int,
    now: datetime,
) -> list[Moved]:
    """Decide for every VirtualService that has a policy or a record. Changes nothing."""
    records = load_records(memory, live, source)
    desired = memory.desired
    services = [r for r in (desired.resources.values() if desired else ()) if r.key.kind == "VirtualService"]
    moved = []
    for service in services:
        rollout = live.rollouts.get(rollout_key(service.key))
        turned = _turn(service, records.get(service.key), rollout, live, desired, source, now)
        if turned is None:
            continue
        moved.append(
            _step(service.key, records.get(service.key), turned, memory, rollout, suspended, history_max, now)
        )
    for key in records.keys() - {s.key for s in services}:
        # Git is unreachable, or no longer has the object: the guard still works from the record alone.
        record, rollout = records[key], live.rollouts.get(rollout_key(key))
        if desired is None:
            moved.append(_step(key, record, record, memory, rollout, True, history_max, now))
    return moved


def _turn(
    service: Resource,
    record: RolloutRecord | None,
    rollout: Resource | None,
    live: LiveState,
    desired: Desired | None,
    source: str,
    now: datetime,
) -> RolloutRecord | None:
    assert desired is not None
    return retarget(
        record,
        desired=service,
        live=live.resources.get(service.key),
        policy=policy_for(service, desired.policies),
        resolve=resolver(service.key.namespace, desired.resources, live.resources),
        intent=read_intent(rollout),
        source=source,
        revision=desired.revision.short,
        now=now,
    )


def policy_for(service: Resource, policies: Iterable[RolloutPolicy]) -> RolloutPolicy | None:
    """Return the one policy that selects a VirtualService. Two would have been an error on validation."""
    return next((p for p in policies if p.matches(service.key, service.spec)), None)


def _step(
    key: ResourceKey,
    before: RolloutRecord | None,
    record: RolloutRecord,
    memory: SourceMemory,
    rollout: Resource | None,
    suspended: bool,
    history_max: int,
    now: datetime,
) -> Moved:
    verdict = memory.verdicts.get(key)
    if verdict is not None and record.phase.in_motion:
        record = take_verdict(record, verdict)
    decision = decide(record, suspended=suspended or read_intent(rollout).suspend, now=now)
    return Moved(key, before, _after(key, record, decision, now, history_max), decision)


def _after(
    key: ResourceKey, record: RolloutRecord, decision: Decision, now: datetime, history_max: int
) -> RolloutRecord:
    if isinstance(decision, Hold) and not record.phase.in_motion:
        return record  # at rest there is nothing to explain anew
    return advance(record, decision, now, history_max=history_max, namespace=key.namespace)


async def write_down(moved: Iterable[Moved], memory: SourceMemory, live: LiveState, ports: Ports) -> None:
    """Write every changed record before the change that it explains.

    A forward record that cannot be written raises ClusterError and so stops its pass. A rollback does not
    wait for its paperwork: the record is kept in memory and written by a later pass.
    """
    for item in moved:
        if item.changed:
            await write_one(item, memory, live, ports)


async def write_one(item: Moved, memory: SourceMemory, live: LiveState, ports: Ports) -> None:
    """Write one record; see `write_down`."""
    key = rollout_key(item.key)
    try:
        stored = await write_record(ports.cluster, key, item.after, ports.live.snapshot().rollouts.get(key))
    except ClusterError as error:
        if item.after.phase is not Phase.ROLLED_BACK:
            raise
        memory.records[item.key] = item.after
        ports.log.error("rollback not recorded yet", stage="decide", rollout=str(item.key), error=str(error))
        return
    memory.records.pop(item.key, None)
    ports.live.absorb(stored.body)


async def confirm(moved: Iterable[Moved], memory: SourceMemory, ports: Ports, now: datetime) -> None:
    """Note that what the records ask for is live now: dwells count from here."""
    for item in moved:
        record = mark_effective(item.after, now)
        if record != item.after:
            await write_one(
                Moved(item.key, item.after, record, item.decision), memory, ports.live.snapshot(), ports
            )


def records_of(moved: Iterable[Moved]) -> Mapping[ResourceKey, RolloutRecord]:
    """Return the records after this pass, by VirtualService."""
    return {item.key: item.after for item in moved}


def rolled_back_now(item: Moved) -> bool:
    """Say whether this very pass rolled the rollout back."""
    return isinstance(item.decision, RollBack) or (
        item.after.phase is Phase.ROLLED_BACK
        and (item.before is None or item.before.phase is not Phase.ROLLED_BACK)
    )


def is_ours(resource: Resource) -> bool:
    """Say whether an object is one of GitMesh's own kinds."""
    return resource.key.group == GITMESH
