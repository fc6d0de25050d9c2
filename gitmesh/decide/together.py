"""Rollouts that heed one another: dependencies, groups that move as one release, and how many move at once.

Stage: decide (pure). Each rollout has decided for itself; here a step forward may become a hold, and in a
group a rollback of one becomes a rollback of all. Nothing here holds up a rollback.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.policy import RolloutPolicySpec
from gitmesh.model.resource import ResourceKey
from gitmesh.model.rollout import Advance, Decision, Finish, Hold, Phase, RollBack, RolloutRecord

_BEGINNING = -1


@dataclass(frozen=True, slots=True)
class Member:
    """One rollout and what it would do by itself.

    `waits_for`: what it depends on and is not there; empty when all is. `policy`: the name to count it under.
    """

    key: ResourceKey
    record: RolloutRecord
    decision: Decision
    waits_for: str = ""
    policy: str = ""

    @property
    def spec(self) -> RolloutPolicySpec | None:
        """Its policy."""
        return self.record.policy_spec

    @property
    def group(self) -> str:
        """The group that it belongs to; empty for none."""
        return self.spec.group if self.spec else ""

    @property
    def begins(self) -> bool:
        """True when it would leave Waiting."""
        return self.record.phase is Phase.WAITING and isinstance(self.decision, Advance)

    @property
    def is_ready(self) -> bool:
        """True when it would go forward."""
        return isinstance(self.decision, Advance | Finish)

    def held(self, reason: str) -> Member:
        """Return the same, held."""
        return replace(self, decision=Hold(reason))


def together(members: Iterable[Member]) -> dict[ResourceKey, Decision]:
    """Return what each rollout does, given what the others do."""
    singles: list[Member] = []
    groups: dict[str, list[Member]] = {}
    for member in members:
        if member.is_ready and member.waits_for:
            member = member.held(f"waits for {member.waits_for}")
        groups.setdefault(member.group, []).append(member) if member.group else singles.append(member)
    units = [[member] for member in singles]
    units += [_as_one(name, group) for name, group in groups.items()]
    units.sort(key=lambda unit: unit[0].key)
    return {member.key: member.decision for unit in _as_many(units) for member in unit}


def missing_dependency(
    record: RolloutRecord,
    namespace: str,
    record_of: Callable[[ResourceKey], RolloutRecord | None],
    exists: Callable[[ResourceKey], bool],
) -> str:
    """Say what a rollout depends on and is not there; empty when all is. `namespace` is the rollout's.

    To begin, it needs all of it at rest with what Git says. On its way it needs what was stable when it
    began, or what has taken its place since: it goes no further on something that was rolled back.
    """
    if not (record.policy_spec and record.policy_spec.after):
        return ""
    if record.phase is not Phase.WAITING and not record.phase.in_motion:
        return ""
    for name, key in dependencies_of(record, namespace):
        other = record_of(key)
        if record.phase.in_motion:
            if other is not None and _is_gone(record, key, other):
                return f"{name}, which {unrest(other)}"
            continue
        if other is None and not exists(key):
            return f"{name}, which does not exist"
        if why := unrest(other):
            return f"{name}, which {why}"
    return ""


def _is_gone(record: RolloutRecord, key: ResourceKey, other: RolloutRecord) -> bool:
    """Say whether the content that a rollout relies on was rolled back, and nothing has come in its place."""
    start = f"{key.path}@"
    relied = next((one.removeprefix(start) for one in record.relies_on if one.startswith(start)), "")
    if not relied or other.stable.hash == relied or not unrest(other):
        return False
    return relied in other.quarantined or other.canary_hash == relied


def reliance(
    record: RolloutRecord, namespace: str, record_of: Callable[[ResourceKey], RolloutRecord | None]
) -> tuple[str, ...]:
    """Return what a rollout that begins now goes on for, see `RolloutRecord.relies_on`."""
    found = ((key, record_of(key)) for _, key in dependencies_of(record, namespace))
    return tuple(f"{key.path}@{other.stable.hash}" for key, other in found if other is not None)


def dependencies_of(record: RolloutRecord, namespace: str) -> Iterator[tuple[str, ResourceKey]]:
    """Yield what a rollout comes after: the name as the policy has it, and whose it is."""
    for name in record.policy_spec.after if record.policy_spec else ():
        where, _, service = name.rpartition("/")
        yield name, VIRTUAL_SERVICE.key(where or namespace, service)


def unrest(record: RolloutRecord | None) -> str:
    """Say why a rollout that was turned towards Git is not at rest with what Git says; empty when it is.

    What has no record has no policy either, and goes live with the revision.
    """
    if record is None or record.phase is Phase.SUCCEEDED:
        return ""
    where = f" at {record.progress:g} %" if record.phase.in_motion else ""
    return f"is {record.phase.value}{where}"


# Groups -----------------------------------------------------------------------------------------------


def _as_one(name: str, group: list[Member]) -> list[Member]:
    """Return a group whose members go back together, and forward only when all of them would."""
    culprit = _culprit(group)
    if culprit is not None:
        return [_after_failure(name, member, culprit) for member in group]
    moving = [member for member in group if member.record.phase.in_motion]
    revisions = {member.record.revision for member in moving}
    active, late = [], []
    for member in group:
        if member.record.phase is Phase.WAITING and moving and member.record.revision not in revisions:
            late.append(member)
        elif member.record.phase.in_motion or member.record.phase is Phase.WAITING:
            active.append(member)
    settled = _in_step(name, active)
    settled |= {
        m.key: m.held(f"waits until the release of group {name} that is on its way is done") for m in late
    }
    return [settled.get(member.key, member) for member in group]


def _culprit(group: Sequence[Member]) -> Member | None:
    """Return the member for which the group goes back, or stays back: mostly one that failed itself."""
    failing = [m for m in group if isinstance(m.decision, RollBack)]
    back = [m for m in group if m.record.phase is Phase.ROLLED_BACK]
    return next(iter([*failing, *(m for m in back if not m.record.taken_along), *back]), None)


def _after_failure(name: str, member: Member, culprit: Member) -> Member:
    if member is culprit or isinstance(member.decision, RollBack):
        return member
    if member.record.phase is Phase.WAITING:
        return member.held(f"{culprit.key.name} of group {name} is rolled back")
    if not member.record.phase.in_motion:
        return member
    failed = culprit.decision if isinstance(culprit.decision, RollBack) else None
    reason = failed.reason if failed else culprit.record.message.removeprefix("rolled back: ")
    along = f"{culprit.key.path}@{culprit.record.canary_hash}"
    return replace(member, decision=RollBack(f"with {culprit.key.name} of group {name}: {reason}", along))


def _in_step(name: str, active: Sequence[Member]) -> dict[ResourceKey, Member]:
    """Let those that are furthest behind take their step, when everybody is ready."""
    unready = next((member for member in active if not member.is_ready), None)
    if unready is not None:
        why = unready.decision.reason
        text = f"waits for {unready.key.name} of group {name}: {why}"
        return {m.key: m.held(text) if m.is_ready else m for m in active}
    levels = {m.key: _level(m) for m in active if isinstance(m.decision, Advance)}
    lowest = min(levels.values(), default=None)
    if lowest is None:
        return {m.key: m for m in active}
    text = f"waits for the rest of group {name}"
    return {m.key: m if levels.get(m.key) == lowest else m.held(text) for m in active}


def _level(member: Member) -> int:
    return _BEGINNING if member.record.phase is Phase.WAITING else member.record.step


# How many at once -------------------------------------------------------------------------------------


def _as_many(units: Iterable[list[Member]]) -> Iterator[list[Member]]:
    """Yield single rollouts and groups, held where too many rollouts of their policy would be in motion."""
    units = list(units)
    count: Counter[str] = Counter()
    for unit in units:
        if any(member.record.phase.in_motion for member in unit):
            count.update({member.policy for member in unit})
    for unit in units:
        beginning = [member for member in unit if member.begins]
        if not beginning or any(member.record.phase.in_motion for member in unit):
            yield unit
            continue
        full = _full(beginning, count)
        if full:
            yield [m.held(full) if m.begins else m for m in unit]
            continue
        count.update({member.policy for member in beginning})
        yield unit


def _full(beginning: Iterable[Member], count: Mapping[str, int]) -> str:
    for member in beginning:
        most, policy = member.spec.max_concurrent if member.spec else None, member.policy
        if most is not None and count.get(policy, 0) >= most:
            moving = count.get(policy, 0)
            noun = "rollout" if moving == 1 else "rollouts"
            return f"{moving} {noun} of policy {policy} {'is' if moving == 1 else 'are'} in motion already"
    return ""
