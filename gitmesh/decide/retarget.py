"""What Git, and a person, make of a rollout: start, start again, carry on, go back, or be done.

Stage: decide (pure). Called every pass for each VirtualService of the desired revision. It compares states
and reacts to no event, so calling it again with the same arguments changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gitmesh.decide.transitions import (
    HISTORY_MAX,
    changed,
    noted,
    quarantine,
    remembered,
    waiting,
)
from gitmesh.istio.canonical import canonical, spec_hash
from gitmesh.istio.routes import Destination
from gitmesh.istio.walks.way import Way, way_of
from gitmesh.istio.weights import describe_weights
from gitmesh.model.policy import RolloutPolicy, RolloutPolicySpec
from gitmesh.model.resource import Resource
from gitmesh.model.rollout import Hold, Phase, RolloutIntent, RolloutRecord, Snapshot, Target

OVERRULED = "waits for no window"  # how the history begins to tell of that
Resolve = Callable[[str, str], Target]  # (fully qualified host, subset) -> how metrics know it


def retarget(
    record: RolloutRecord | None,
    *,
    desired: Resource,
    live: Resource | None,
    policy: RolloutPolicy | None,
    resolve: Resolve,
    intent: RolloutIntent,
    source: str,
    revision: str,
    now: datetime,
    history_max: int = HISTORY_MAX,
    shut: Hold | None = None,
    pardoned: bool = False,
    content: Snapshot | None = None,
) -> RolloutRecord | None:
    """Return the record that fits what is desired now; None where there is nothing to remember.

    `live` matters only when there is no record, or one of what never came to be: a live object is then stable
    as it is, and without one there is nothing to protect and the desired content goes live whole. What is
    new waits; to begin is a decision. `shut`: nothing may go forward now. `pardoned`: what it was rolled back
    for is gone.
    `content`: that of `desired`, where it is known already.
    """
    if record is None and policy is None:
        return None
    content = content or snapshot(desired, revision)
    turn = _Turn(content, desired.key.namespace, policy, resolve, intent, revision, now, history_max, shut)
    if record is None or (live is None and _never_came_to_be(record, content)):
        kept = record.quarantined if record else ()
        record = changed(_first_record(turn, live, source), kind=desired.key.kind, quarantined=kept)
    record = _with_policy(_pardoned(record) if pardoned else record, policy, turn.namespace)
    return _follow(turn, _obey(turn, record))


@dataclass(frozen=True, slots=True)
class _Turn:
    """What one call of `retarget` knows."""

    desired: Snapshot
    namespace: str
    policy: RolloutPolicy | None
    resolve: Resolve
    intent: RolloutIntent
    revision: str
    now: datetime
    history_max: int
    shut: Hold | None

    def note(self, record: RolloutRecord, message: str) -> RolloutRecord:
        return noted(record, self.now, message, self.history_max)


def snapshot(resource: Resource, revision: str) -> Snapshot:
    """Return the content of an object, as a record holds it."""
    spec, digest = resource.once(_content)
    return Snapshot(spec=spec, hash=digest, revision=revision)


def _content(resource: Resource) -> tuple[dict[str, Any], str]:
    return canonical(resource.spec), spec_hash(resource.spec)


def _first_record(turn: _Turn, live: Resource | None, source: str) -> RolloutRecord:
    stable = turn.desired if live is None else snapshot(live, "")
    record = RolloutRecord(
        phase=Phase.SUCCEEDED,
        source=source,
        revision=stable.revision,
        weights=describe_weights(stable.spec),
        finished_at=turn.now,
        stable=stable,
        canary_hash=stable.hash,
    )
    return turn.note(record, "created" if live is None else "found live as it is")


def _never_came_to_be(record: RolloutRecord, content: Snapshot) -> bool:
    """Say whether the object was to be created, was not, and is to be created with another content now.

    Nothing leads from a content that was never live to another one: what it needs may never have been there.
    """
    created = record.phase is Phase.SUCCEEDED and record.effective_at is None and len(record.history) == 1
    return created and content.hash != record.stable.hash and content.hash not in record.quarantined


def _with_policy(record: RolloutRecord, policy: RolloutPolicy | None, namespace: str) -> RolloutRecord:
    """Take over a changed policy. What is in motion keeps its progress and finds it in the new steps."""
    if policy is None or record.policy_spec is policy.spec or record.policy_spec == policy.spec:
        return record if policy is None else changed(record, policy=policy.name)
    record = changed(record, policy=policy.name, policy_spec=_in_motion(record, policy.spec))
    waits = record.phase is Phase.WAITING
    if not waits and (record.steps == 0 or not record.phase.in_motion):
        return record
    if record.phase is Phase.PROGRESSING:
        record = changed(record, step=_step_at(policy.spec, record))
    elif record.phase is Phase.PROMOTING:
        record = changed(record, step=len(policy.spec.steps) - 1)
    elif record.canary is not None and not way_of(record, namespace).moves:
        return changed(record, steps=0)
    return changed(record, steps=len(policy.spec.steps))


def _in_motion(record: RolloutRecord, policy: RolloutPolicySpec) -> RolloutPolicySpec:
    """Return what a changed policy means for what is in motion: it ends on the way on which it began."""
    before = record.policy_spec
    if before is None or not record.phase.in_motion or before.walk is policy.walk:
        return policy
    return policy.model_copy(update={"walk": before.walk})


def _step_at(policy: RolloutPolicySpec, record: RolloutRecord) -> int:
    """Return the last step that is not ahead of the record; -1 when every step is.

    Before the first weight that is the step with the same number, if it moves no weight either.
    """
    return max(
        (
            index
            for index, step in enumerate(policy.steps)
            if step.progress <= record.progress and (record.progress > 0 or index <= record.step)
        ),
        default=-1,
    )


def _pardoned(record: RolloutRecord) -> RolloutRecord:
    """Let content go again that was rolled back for another member of its group only."""
    kept = tuple(content for content in record.quarantined if content != record.canary_hash)
    return changed(record, quarantined=kept, taken_along="")


def _obey(turn: _Turn, record: RolloutRecord) -> RolloutRecord:
    """Do what a person asked for: retry, then roll back. Asked for both, the content stays away."""
    intent = turn.intent
    suspended = f"paused{intent.reason('suspend').text}" if intent.suspend else ""
    if suspended != record.suspended:
        said = suspended or f"resumed{intent.reason('suspend').text}"
        record = remembered(changed(record, suspended=suspended), turn.now, said, turn.history_max)
    if intent.retry != record.retried:
        wanted = intent.retry.partition("@")[0]
        kept = tuple(content for content in record.quarantined if content != wanted)
        if kept != record.quarantined:
            said = f"may go out again{intent.reason('retry').text}"
            record = remembered(changed(record, revert=None), turn.now, said, turn.history_max)
        record = changed(record, retried=intent.retry, quarantined=kept)
    if intent.overrule != record.overruled:
        overruling = intent.overruling(turn.desired.hash)
        record = changed(record, overruled=intent.overrule)
        if overruling is not None:
            named = "".join(f", past freeze {name}" for name in sorted(overruling.freezes))
            said = f"{OVERRULED}{named}: overruled{overruling.text}"
            record = remembered(record, turn.now, said, turn.history_max)
    unwanted = intent.roll_back
    if not unwanted or unwanted in record.quarantined:
        return record
    if unwanted != record.stable.hash:
        return changed(record, quarantined=quarantine(record, unwanted))
    if record.phase is not Phase.SUCCEEDED or record.previous is None:
        return record
    return _back_to_previous(turn, record, record.previous)


def _back_to_previous(turn: _Turn, record: RolloutRecord, previous: Snapshot) -> RolloutRecord:
    if previous.hash in record.quarantined:
        return record
    record = changed(
        record, stable=previous, previous=None, quarantined=quarantine(record, record.stable.hash)
    )
    who = turn.intent.reason("roll_back").text
    return _rolled_back(turn, record, f"rolled back on request{who}, to what was stable before")


def _follow(turn: _Turn, record: RolloutRecord) -> RolloutRecord:
    """Compare what is desired with what is stable, what is on its way, and what must not come back."""
    content = turn.desired.hash
    if content == record.stable.hash:
        return _settled(turn, record)
    if content in record.quarantined:
        return _kept_back(turn, record)
    if turn.policy is None:
        return _at_once(turn, record, "no policy selects it: applied at once", previous=record.stable)
    if record.previous is not None and content == record.previous.hash:
        # Not kept as previous: the content that was just reverted has to prove itself again.
        return _at_once(turn, record, "reverted in Git: applied at once", previous=None)
    if record.canary is not None and content == record.canary_hash:
        return changed(record, awaits="") if record.awaits else record
    return _new_content(turn, record)


def _settled(turn: _Turn, record: RolloutRecord) -> RolloutRecord:
    """Git says what is stable already."""
    if record.phase is Phase.SUCCEEDED:
        return record
    back = record.phase.in_motion
    record = changed(
        _at_rest(turn, record, Phase.SUCCEEDED), canary_hash=record.stable.hash, revision=turn.revision
    )
    return turn.note(record, "reverted in Git: back to stable" if back else "Git says what is stable")


def _kept_back(turn: _Turn, record: RolloutRecord) -> RolloutRecord:
    """Git says what failed. It stays away, and it shows that Git is ahead of the cluster."""
    if record.phase is Phase.ROLLED_BACK and record.canary_hash == turn.desired.hash:
        return record
    on_request = turn.intent.roll_back == turn.desired.hash and record.canary_hash == turn.desired.hash
    record = changed(record, canary_hash=turn.desired.hash, revision=turn.revision)
    if on_request:
        return _rolled_back(turn, record, f"rolled back on request{turn.intent.reason('roll_back').text}")
    return _rolled_back(turn, record, "Git says what was rolled back before; stable stays")


def _rolled_back(turn: _Turn, record: RolloutRecord, message: str) -> RolloutRecord:
    return turn.note(_at_rest(turn, record, Phase.ROLLED_BACK), message)


def _at_once(turn: _Turn, record: RolloutRecord, message: str, *, previous: Snapshot | None) -> RolloutRecord:
    record = changed(
        record,
        stable=turn.desired,
        previous=previous,
        canary_hash=turn.desired.hash,
        revision=turn.revision,
    )
    if turn.policy is None:
        record = changed(record, policy="", policy_spec=None)
    return turn.note(_at_rest(turn, record, Phase.SUCCEEDED), message)


def _at_rest(turn: _Turn, record: RolloutRecord, phase: Phase) -> RolloutRecord:
    """End what was in motion: `stable` is what should be live."""
    return changed(
        record,
        phase=phase,
        step=0,
        steps=0,
        progress=100.0 if phase is Phase.SUCCEEDED else 0.0,
        weights=describe_weights(record.stable.spec),
        entered_at=turn.now,
        effective_at=None,
        next_at=None,
        finished_at=turn.now,
        canary=None,
        failed_checks=0,
        awaits="",
        shut=False,
        taken_along="",
    )


def _new_content(turn: _Turn, record: RolloutRecord) -> RolloutRecord:
    """Wait with new content, or carry on when it leads to the same weights."""
    assert turn.policy is not None
    walk = turn.policy.spec.walk
    way = Way(record.kind, record.stable.spec, turn.desired.spec, walk, turn.namespace)
    carries_on = (
        way.moves
        and record.phase.in_motion
        and record.canary is not None
        and way_of(record, turn.namespace).stays_on_course(turn.desired.spec)
    )
    if carries_on and turn.shut:
        return changed(record, awaits=turn.desired.hash)
    record = changed(
        record,
        revision=turn.revision,
        canary=turn.desired,
        canary_hash=turn.desired.hash,
        targets=_watched(turn, way),
        baselines=_targets(turn, way.baselines),
        awaits="",
    )
    if carries_on:
        return turn.note(record, f"changed in Git on the way, same weights: stays at {record.progress:g} %")
    record = waiting(record, len(turn.policy.spec.steps) if way.moves else 0)
    return changed(record, message="new content in Git", policy_spec=turn.policy.spec)


def _watched(turn: _Turn, way: Way) -> tuple[Target, ...]:
    found = ((turn.resolve(d.host, d.subset), way.shares(d)) for d in way.watched)
    return tuple(dict.fromkeys(t.model_copy(update={"shared": True}) if both else t for t, both in found))


def _targets(turn: _Turn, destinations: tuple[Destination, ...]) -> tuple[Target, ...]:
    return tuple(dict.fromkeys(turn.resolve(d.host, d.subset) for d in destinations))
