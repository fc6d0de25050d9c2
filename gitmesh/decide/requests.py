"""What a request of a person means for a rollout as it stands.

Stage: decide (pure). The command line and the engine, for annotations, ask here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import assert_never

from gitmesh.decide.gates import pass_for
from gitmesh.model.intent import ALL, Overrule, RolloutIntent, Verb, overruling_of, shown
from gitmesh.model.resource import ResourceKey
from gitmesh.model.rollout import Phase, RolloutRecord


def asking(
    intent: RolloutIntent,
    verb: Verb,
    record: RolloutRecord,
    *,
    by: str,
    why: str,
    now: datetime,
    full: bool = False,
    freezes: Collection[str] = (),
) -> RolloutIntent | str:
    """Return the intent with one more request in it; text saying why that makes no sense now.

    `full`: promote through every step that is left, and not through the present one alone. `freezes`: names
    of those that are to be overruled, beside windows.
    """
    match verb:
        case Verb.PAUSE | Verb.RESUME:
            return intent.asking(by, why, suspend=verb is Verb.PAUSE)
        case Verb.PROMOTE:
            return _promoting(intent, record, by, why, full)
        case Verb.OVERRULE:
            return _overruling(intent, record, by, why, freezes)
        case Verb.ROLL_BACK:
            content = leaving(record)
            if content:
                return intent.asking(by, why, roll_back=content, retry="", promote="", overrule="")
            if record.phase is Phase.ROLLED_BACK:
                return f"rolled back already: {record.message}"
            return "has had no rollout yet: there is nothing to go back to"
        case Verb.RETRY:
            return _retrying(intent, record, by, why, now)
        case other:  # pragma: no cover
            assert_never(other)


def leaving(record: RolloutRecord) -> str:
    """Return the hash of the content that a rollback takes away now; empty when there is none."""
    if record.phase is Phase.SUCCEEDED:
        return record.stable.hash if record.previous else ""
    return "" if record.phase is Phase.ROLLED_BACK else record.canary_hash


def _promoting(
    intent: RolloutIntent, record: RolloutRecord, by: str, why: str, full: bool
) -> RolloutIntent | str:
    if record.phase is Phase.WAITING and not full:
        return f"has not begun: {shown(record.message)}; promoted in full it goes on as soon as it begins"
    if not is_on_its_way(record):
        return f"is not on its way: it is {record.phase.value}"
    wanted = f"{record.canary_hash}@{ALL}" if full else pass_for(record)
    return intent.asking(by, why, promote=wanted)


def _overruling(
    intent: RolloutIntent, record: RolloutRecord, by: str, why: str, freezes: Collection[str]
) -> RolloutIntent | str:
    """Let one content past windows, and past the freezes that are named. What was named before stays so."""
    if not is_on_its_way(record):
        return (
            f"is not on its way: it is {record.phase.value}; what Git says next can be let past its windows"
        )
    if not why.strip():
        return "needs a reason, which is kept: say why its windows do not count this time"
    policy = record.policy_spec
    if policy and policy.windows and policy.overrule is Overrule.DENIED and not freezes:
        return f"cannot be let past its windows: policy {record.policy} lets nobody overrule them"
    content = record.awaits or record.canary_hash
    before = overruling_of(intent.overrule, content)
    named = sorted({*freezes, *(before.freezes if before else ())})
    return intent.asking(by, why, overrule=f"{content}@{','.join(named)}" if named else content)


def is_on_its_way(record: RolloutRecord) -> bool:
    """Say whether a rollout waits or is in motion."""
    return record.phase.in_motion or record.phase is Phase.WAITING


def meant(
    verb: Verb, key: ResourceKey, record: RolloutRecord, records: Mapping[ResourceKey, RolloutRecord]
) -> tuple[ResourceKey, ...]:
    """Return whose rollouts a request is about: what lets a group go on is about all of it that is there."""
    group = record.policy_spec.group if record.policy_spec else ""
    if verb not in (Verb.PROMOTE, Verb.OVERRULE) or not group:
        return (key,)

    def belongs(other: RolloutRecord) -> bool:
        is_mate = other.policy_spec is not None and other.policy_spec.group == group
        goes_on = verb is Verb.OVERRULE or other.phase.in_motion is record.phase.in_motion
        return is_mate and is_on_its_way(other) and goes_on and other.source == record.source

    return (key, *(k for k, other in sorted(records.items()) if k != key and belongs(other)))


def _retrying(
    intent: RolloutIntent, record: RolloutRecord, by: str, why: str, now: datetime
) -> RolloutIntent | str:
    if record.phase is not Phase.ROLLED_BACK:
        return f"is not rolled back: it is {record.phase.value}"
    content = record.canary_hash
    again = record.retried.partition("@")[0] == content
    return intent.asking(
        by,
        why,
        retry=f"{content}@{now:%Y-%m-%dT%H:%M:%SZ}" if again else content,
        roll_back="",
        promote="",
        overrule="",
    )
