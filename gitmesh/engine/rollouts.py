"""Rollout records in one pass: read them, turn them towards what is desired, decide, and write them down.

Stage: decide (called by the pass).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import anyio
from pydantic import ValidationError

from gitmesh.apply.records import write_record
from gitmesh.decide.retarget import retarget
from gitmesh.decide.transitions import advance, decide, mark_effective
from gitmesh.decide.verdict import take_verdict
from gitmesh.engine.announce import note_move
from gitmesh.engine.memory import Desired, Moved, SourceMemory
from gitmesh.engine.ports import Ports
from gitmesh.engine.targets import resolver
from gitmesh.kube.errors import ClusterError
from gitmesh.model.kinds import TRAFFIC_ROLLOUT, TRAFFIC_SOURCE, VIRTUAL_SERVICE
from gitmesh.model.policy import RolloutPolicy, most_precise
from gitmesh.model.resource import Resource, ResourceKey, resource_from_body
from gitmesh.model.rollout import Decision, Hold, Phase, RolloutIntent, RolloutRecord, Verdict
from gitmesh.model.source import OWNER_ANNOTATION
from gitmesh.observe.live import LiveState

RECORD_PATIENCE_SECONDS = 0.25  # so long a rollback waits for its own record


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
    before, memory.read = memory.read, {}
    for key, resource in live.rollouts.items():
        if (resource.body.get("status") or {}).get("source") != source:
            continue
        known = before.get(key)
        # Reading a record costs more than the rest of a pass that finds nothing to do; it is done once.
        record = known[1] if known and known[0] is resource else read_record(resource)
        memory.read[key] = resource, record
        if record is not None:
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
    inventory: frozenset[ResourceKey] = frozenset(),
    adopt: bool = False,
) -> list[Moved]:
    """Decide for every VirtualService that has a policy or a record. Changes nothing."""
    desired = None if suspended else memory.desired
    services = {
        key: resource
        for key, resource in (desired.resources if desired else {}).items()
        if key.kind == VIRTUAL_SERVICE.kind and _is_ours_to_move(key, live, source, inventory, adopt)
    }
    moved = []
    records = load_records(memory, live, source)
    for key in sorted(services.keys() | records.keys()):
        turn = _Turn(key, records.get(key), live, source, now)
        if key in services and desired is not None:
            turned = _follow_git(turn, services[key], desired)
        elif key in live.resources:
            turned = _without_git(turn)
        else:
            continue
        if turned is not None:
            held = _held(turn, suspended, memory, key in services)
            moved.append(_step(turn, turned, memory.verdicts.get(key, ()), held, history_max))
    return moved


def _held(turn: _Turn, suspended: bool, memory: SourceMemory, in_git: bool) -> str:
    """Say what holds the forward steps of a rollout; empty when nothing does."""
    if suspended or turn.intent.suspend:
        return "suspended"
    if memory.desired is None:
        return "Git has not been read yet: held"
    return "" if in_git else "no longer in Git: held"


@dataclass(frozen=True, slots=True)
class _Turn:
    """One VirtualService in one pass."""

    key: ResourceKey
    record: RolloutRecord | None
    live: LiveState
    source: str
    now: datetime

    @property
    def intent(self) -> RolloutIntent:
        return read_intent(self.live.rollouts.get(rollout_key(self.key)))


def _is_ours_to_move(
    key: ResourceKey, live: LiveState, source: str, inventory: frozenset[ResourceKey], adopt: bool
) -> bool:
    """Say whether a rollout of this object is ours: two sources must not share one record."""
    resource = live.resources.get(key)
    if resource is not None:
        owner = resource.annotations.get(OWNER_ANNOTATION, "")
        return owner == source or (not owner and (adopt or key in inventory))
    record = read_record(live.rollouts.get(rollout_key(key)))
    if record is None or record.source == source:
        return True
    namespace, _, name = record.source.partition("/")
    return TRAFFIC_SOURCE.key(namespace, name) not in live.sources


def _follow_git(turn: _Turn, service: Resource, desired: Desired) -> RolloutRecord | None:
    return retarget(
        turn.record,
        desired=service,
        live=turn.live.resources.get(turn.key),
        policy=policy_for(service, desired.policies),
        resolve=resolver(turn.key.namespace, desired.resources, turn.live.resources),
        intent=turn.intent,
        source=turn.source,
        revision=desired.revision.short,
        now=turn.now,
    )


def _without_git(turn: _Turn) -> RolloutRecord | None:
    """Turn a record when Git cannot be read, is not to be followed, or has the object no more.

    The guard works from the record alone, and a person can still ask for a rollback: the record itself
    says which content is on its way.
    """
    record = turn.record
    if record is None or record.phase is Phase.ROLLED_BACK:
        return record
    content = record.canary or record.stable
    body = {
        "apiVersion": VIRTUAL_SERVICE.api_version,
        "kind": VIRTUAL_SERVICE.kind,
        "metadata": {"namespace": turn.key.namespace, "name": turn.key.name},
        "spec": content.spec,
    }
    policy = record.policy_spec
    return retarget(
        record,
        desired=resource_from_body(body),
        live=turn.live.resources.get(turn.key),
        policy=RolloutPolicy(name=record.policy, namespace="", spec=policy) if policy else None,
        resolve=resolver(turn.key.namespace, turn.live.resources),
        intent=turn.intent.model_copy(update={"suspend": True}),
        source=turn.source,
        revision=record.revision,
        now=turn.now,
    )


def policy_for(service: Resource, policies: Iterable[RolloutPolicy]) -> RolloutPolicy | None:
    """Return the policy that selects an object most precisely. Two equal ones are an error on validation."""
    return next(iter(most_precise(policies, service.key, service.spec)), None)


def _step(
    turn: _Turn, record: RolloutRecord, verdicts: tuple[Verdict, ...], held: str, history_max: int
) -> Moved:
    for verdict in _untaken(turn.record, verdicts):
        record = take_verdict(record, verdict)
    decision = decide(record, held=held, now=turn.now)
    after = _after(turn.key, record, decision, turn.now, history_max)
    return Moved(turn.key, turn.record, after, decision)


def _untaken(record: RolloutRecord | None, verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """Leave out what the record has already: its write may have been carried out without our knowing."""
    taken = record.verdict.at if record and record.verdict else None
    known = [i for i, verdict in enumerate(verdicts) if verdict.at == taken]
    return verdicts[known[-1] + 1 :] if known else verdicts


def _after(
    key: ResourceKey, record: RolloutRecord, decision: Decision, now: datetime, history_max: int
) -> RolloutRecord:
    if isinstance(decision, Hold) and not record.phase.in_motion:
        return record  # at rest there is nothing to explain anew
    return advance(record, decision, now, history_max=history_max, namespace=key.namespace)


async def write_down(item: Moved, memory: SourceMemory, ports: Ports) -> None:
    """Write a changed record, before the change that it explains. Raises ClusterError."""
    if not item.changed and item.key not in memory.records:
        return
    key = rollout_key(item.key)
    stored = await write_record(ports.cluster, key, item.after, ports.live.snapshot().rollouts.get(key))
    ports.live.absorb(stored.body)
    memory.records.pop(item.key, None)
    memory.verdicts[item.key] = _untaken(item.after, memory.verdicts.get(item.key, ()))
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
    if item.after.live_progress != item.after.progress:
        return item
    return replace(item, before=item.after, after=mark_effective(item.after, now))


def records_of(moved: Iterable[Moved]) -> Mapping[ResourceKey, RolloutRecord]:
    """Return the records after this pass, by VirtualService."""
    return {item.key: item.after for item in moved}
