"""What each rollout of a source does in a pass: turn it towards Git, decide for it, and mind the others.

Stage: decide (pure; called by the pass).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from gitmesh.decide.delegation import walked_before
from gitmesh.decide.freezes import frozen_by
from gitmesh.decide.retarget import retarget
from gitmesh.decide.reverting import take_revert
from gitmesh.decide.schedule import past, shut_now
from gitmesh.decide.together import Member, missing_dependency, reliance, together
from gitmesh.decide.transitions import advance, changed, decide, held_back
from gitmesh.engine.gates import answer_of
from gitmesh.engine.memory import WALKED, Desired, Moved, SourceMemory
from gitmesh.engine.requests import intent_of
from gitmesh.engine.rollouts import load_records, read_record, rollout_key, untaken
from gitmesh.engine.targets import Rules, resolver
from gitmesh.istio.canonical import spec_hash
from gitmesh.model.kinds import TRAFFIC_SOURCE, kind_of
from gitmesh.model.policy import RolloutPolicy, RolloutPolicySpec
from gitmesh.model.resource import Resource, ResourceKey, resource_from_body
from gitmesh.model.rollout import Decision, Finish, Hold, Phase, RollBack, RolloutIntent, RolloutRecord
from gitmesh.model.source import DISABLED, OWNER_ANNOTATION, RECONCILE_ANNOTATION
from gitmesh.model.windows import Calendar
from gitmesh.observe.live import LiveState
from gitmesh.plan.skips import hands_off

# Under a freeze, what no policy selects waits too; afterwards it is applied at once, as ever.
_WITHOUT_POLICY = RolloutPolicy(name="", namespace="", spec=RolloutPolicySpec(analysis=None))


@dataclass(frozen=True, slots=True)
class Turned:
    """A rollout that was turned towards Git and has not decided yet. `policy`: what it is counted under."""

    turn: _Turn
    record: RolloutRecord
    policy: str = ""
    shut: Hold | None = None
    past: str = ""  # what would shut, had nobody overruled it
    in_git: bool = False
    hands_off: bool = False  # somebody wants the object left alone


def move(
    memory: SourceMemory,
    live: LiveState,
    *,
    source: str,
    suspended: bool,
    history_max: int,
    now: datetime,
    held: str = "",
    inventory: frozenset[ResourceKey] = frozenset(),
    may_adopt: Callable[[Resource], bool] = lambda resource: False,
) -> list[Moved]:
    """Decide for every object that has a policy or a record. Changes nothing.

    `may_adopt` says of an object, as Git has it, whether one that is live and nobody's may be taken over.
    `held`: why nothing of this source goes forward.
    """
    desired = None if suspended else memory.desired
    records = load_records(memory, live, source)
    services = {
        key: resource
        for key, resource in (_steered(desired, records) if desired else {}).items()
        if key not in memory.unread and _is_ours_to_move(resource, live, source, inventory, may_adopt)
    }
    rules = _rules(memory, desired, live) if services or records else ()
    turned = _all_turned(services, desired, records, live, source, Calendar(now), rules)

    def record_of(key: ResourceKey) -> RolloutRecord | None:
        known = turned.get(key)
        return known.record if known else read_record(live.rollouts.get(rollout_key(key)))

    before = walked_before({key: one.record for key, one in turned.items()})

    def waits_for(one: Turned) -> str:
        key, exists = one.turn.key, live.resources.__contains__
        return missing_dependency(one.record, key.namespace, record_of, exists) or before.get(key, "")

    members = [
        _member(one, waits_for(one), memory, held or _held(one, suspended, memory)) for one in turned.values()
    ]
    decisions = together(members)
    return [
        Moved(
            member.key,
            turned[member.key].turn.record,
            take_revert(
                _after(member, decisions[member.key], record_of, now, history_max),
                memory.reverts.get(member.key),
                now,
                history_max,
            ),
            decisions[member.key],
        )
        for member in members
    ]


def _steered(desired: Desired, records: Mapping[ResourceKey, RolloutRecord]) -> dict[ResourceKey, Resource]:
    """Leave out what has neither policy nor record, and so nothing to decide: mostly that is most."""
    wanted = desired.resources
    recorded = {key for key in records if key in wanted and key.kind in WALKED}
    return {key: wanted[key] for key in desired.steered | recorded}


def _rules(memory: SourceMemory, desired: Desired | None, live: LiveState) -> tuple[Rules, ...]:
    """Return the DestinationRules that targets are looked up among: those of Git first, and the live ones."""
    ours = (memory.git_rules.of(desired.resources),) if desired is not None else ()
    return (*ours, memory.live_rules.of(live.resources))


def lets_others_go(moved: Iterable[Moved]) -> bool:
    """Say whether a rollout came to rest in this pass while others wait, perhaps for it."""
    items = list(moved)
    rested = any(isinstance(m.decision, Finish | RollBack) for m in items)
    return rested and any(m.after.phase is Phase.WAITING for m in items)


def _all_turned(
    services: Mapping[ResourceKey, Resource],
    desired: Desired | None,
    records: Mapping[ResourceKey, RolloutRecord],
    live: LiveState,
    source: str,
    calendar: Calendar,
    rules: tuple[Rules, ...],
) -> dict[ResourceKey, Turned]:
    """Turn every rollout; those last that went back for another one, for they ask what became of it."""
    turned: dict[ResourceKey, Turned] = {}
    keys = sorted(services.keys() | records.keys())
    along = {key for key in keys if key in records and records[key].taken_along}
    for key in [*(key for key in keys if key not in along), *sorted(along)]:
        intent = intent_of(key, records.get(key), live)
        turn = _Turn(key, records.get(key), live, source, calendar, rules, intent)
        if key in services and desired is not None:
            pardoned = key in along and _is_pardoned(records[key], turned, services)
            found = _follow_git(turn, services[key], desired, pardoned)
        elif key in live.resources:
            found = _without_git(turn)
        else:
            continue
        if found is not None:
            turned[key] = found
    return {key: turned[key] for key in keys if key in turned}


def _is_pardoned(
    record: RolloutRecord, turned: Mapping[ResourceKey, Turned], services: Mapping[ResourceKey, Resource]
) -> bool:
    """Say whether the content for which a member of a group went back is no longer kept back."""
    path, _, content = record.taken_along.rpartition("@")
    culprit = next((one for key, one in turned.items() if key.path == path), None)
    if culprit is None or content not in culprit.record.quarantined:
        return True
    service = services.get(culprit.turn.key)
    return service is None or spec_hash(service.spec) != content


def _member(one: Turned, waits_for: str, memory: SourceMemory, held: str) -> Member:
    record, turn = one.record, one.turn
    record = memory.take(turn.key, record, untaken(turn.record, memory.verdicts.get(turn.key, ())))
    gate = answer_of(turn.key, record, turn.intent, memory.answers, turn.now)
    decision = decide(record, held=held, shut=one.shut, gate=gate, past=one.past, now=turn.now)
    return Member(turn.key, record, decision, waits_for, one.policy or record.policy)


def _held(one: Turned, suspended: bool, memory: SourceMemory) -> str:
    """Say what holds the forward steps of a rollout; empty when nothing does."""
    if suspended:
        return "suspended"
    if one.turn.intent.suspend:
        return one.record.suspended or "paused"
    if one.hands_off:
        return f"{RECONCILE_ANNOTATION} is {DISABLED}: held"
    if memory.desired is None:
        return "Git has not been read yet: held"
    return "" if one.in_git else "no longer in Git: held"


@dataclass(frozen=True, slots=True)
class _Turn:
    """One VirtualService or DestinationRule in one pass."""

    key: ResourceKey
    record: RolloutRecord | None
    live: LiveState
    source: str
    calendar: Calendar
    rules: tuple[Rules, ...]  # the live ones last
    intent: RolloutIntent  # what people ask for, by the TrafficRollout and by annotations

    @property
    def now(self) -> datetime:
        """The moment of this pass."""
        return self.calendar.now


def _is_ours_to_move(
    resource: Resource,
    live: LiveState,
    source: str,
    inventory: frozenset[ResourceKey],
    may_adopt: Callable[[Resource], bool],
) -> bool:
    """Say whether a rollout of this object is ours: two sources must not share one record."""
    key = resource.key
    if key in live.resources:
        owner = live.resources[key].annotations.get(OWNER_ANNOTATION, "")
        return owner == source or (not owner and (key in inventory or may_adopt(resource)))
    record = read_record(live.rollouts.get(rollout_key(key)))
    if record is None or record.source == source:
        return True
    namespace, _, name = record.source.partition("/")
    return TRAFFIC_SOURCE.key(namespace, name) not in live.sources


def _follow_git(turn: _Turn, service: Resource, desired: Desired, pardoned: bool) -> Turned | None:
    policy = policy_for(service, desired, turn.now)
    overruling = turn.intent.overruling(desired.content_of(service).hash)
    times = (policy.spec if policy else None, service, desired.freezes, turn.calendar, overruling)
    shut = shut_now(*times)
    record = retarget(
        turn.record,
        desired=service,
        live=turn.live.resources.get(turn.key),
        policy=policy,
        resolve=resolver(turn.key.namespace, *turn.rules),
        intent=turn.intent,
        source=turn.source,
        revision=desired.revision.short,
        now=turn.now,
        shut=shut,
        pardoned=pardoned,
        content=desired.content_of(service),
    )
    if record is None:
        return None
    alone = hands_off(service) or hands_off(turn.live.resources.get(turn.key))
    name = policy.full_name if policy else ""
    return Turned(turn, held_back(record, shut), name, shut, past(*times), in_git=True, hands_off=alone)


def _without_git(turn: _Turn) -> Turned | None:
    """Turn a record when Git cannot be read, is not to be followed, or has the object no more.

    The guard works from the record alone, and a person can still ask for a rollback: the record itself
    says which content is on its way.
    """
    record = turn.record
    if record is None:
        return None
    if record.phase is Phase.ROLLED_BACK:
        return Turned(turn, record, record.policy)
    content = record.canary or record.stable
    body = {
        "apiVersion": kind_of(turn.key).api_version,
        "kind": turn.key.kind,
        "metadata": {"namespace": turn.key.namespace, "name": turn.key.name},
        "spec": content.spec,
    }
    policy = record.policy_spec
    turned = retarget(
        record,
        desired=resource_from_body(body),
        live=turn.live.resources.get(turn.key),
        policy=RolloutPolicy(name=record.policy, namespace="", spec=policy) if policy else None,
        resolve=resolver(turn.key.namespace, turn.rules[-1]),
        intent=turn.intent,
        source=turn.source,
        revision=record.revision,
        now=turn.now,
    )
    return Turned(turn, turned, record.policy) if turned else None


def policy_for(service: Resource, desired: Desired, now: datetime) -> RolloutPolicy | None:
    """Return the policy of an object.

    What has none is applied at once, but not while it is frozen: until then it waits as if it had one.
    """
    chosen = desired.policy_of(service)
    if chosen is None and frozen_by(desired.freezes, service.key, service.spec, now):
        return _WITHOUT_POLICY
    return chosen


def _after(
    member: Member,
    decision: Decision,
    record_of: Callable[[ResourceKey], RolloutRecord | None],
    now: datetime,
    history_max: int,
) -> RolloutRecord:
    record, namespace = member.record, member.key.namespace
    if isinstance(decision, Hold) and not (record.phase.in_motion or record.phase is Phase.WAITING):
        return record  # at rest there is nothing to explain anew
    after = advance(record, decision, now, history_max=history_max, namespace=namespace)
    begins = record.phase is Phase.WAITING and after.phase.in_motion
    return changed(after, relies_on=reliance(after, namespace, record_of)) if begins else after
