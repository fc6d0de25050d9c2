"""What a request of a person means for a rollout as it stands.

Stage: decide (pure). The command line and the engine, for annotations, ask here.
"""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from gitmesh.decide.gates import pass_for
from gitmesh.model.intent import ALL, RolloutIntent, Verb, shown
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
) -> RolloutIntent | str:
    """Return the intent with one more request in it; text saying why that makes no sense now.

    `full`: promote through every step that is left, and not through the present one alone.
    """
    match verb:
        case Verb.PAUSE | Verb.RESUME:
            return intent.asking(by, why, suspend=verb is Verb.PAUSE)
        case Verb.PROMOTE:
            return _promoting(intent, record, by, why, full)
        case Verb.ROLL_BACK:
            content = leaving(record)
            if content:
                return intent.asking(by, why, roll_back=content, retry="", promote="")
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
    if not (record.phase.in_motion or record.phase is Phase.WAITING):
        return f"is not on its way: it is {record.phase.value}"
    wanted = f"{record.canary_hash}@{ALL}" if full else pass_for(record)
    return intent.asking(by, why, promote=wanted)


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
    )
