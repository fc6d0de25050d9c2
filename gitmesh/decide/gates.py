"""Gates: whether the gate of a step is open, and whether somebody has to be asked.

Stage: decide (pure). A gate stands behind its step: it has to be open before the next one is entered, and
that of the last step before the rollout ends.
"""

from __future__ import annotations

from datetime import datetime

from gitmesh.model.intent import ALL, RolloutIntent
from gitmesh.model.rollout import GateAnswer, Hold, Promotion, RolloutRecord
from gitmesh.model.steps import Gate

BY_HAND = "promoted"


def gate_of(record: RolloutRecord) -> Gate | None:
    """Return the gate of the step that a rollout in motion is in."""
    moves = record.phase.in_motion and record.steps > 0 and record.step >= 0
    if record.policy_spec is None or not moves:
        return None
    return record.policy_spec.steps[record.step].gate


def pass_for(record: RolloutRecord) -> str:
    """Return what a person writes as `promote` to open the gate of the present step."""
    return f"{record.canary_hash}@{record.step}"


def opened_by_hand(record: RolloutRecord, intent: RolloutIntent, now: datetime) -> GateAnswer | None:
    """Return the answer of a person, if there is one for this step of this content.

    The last step is left by a request for that step alone: it is where everything is watched once more.
    """
    if intent.promote == pass_for(record):
        by_hand = Promotion.STEP
    elif intent.promote == f"{record.canary_hash}@{ALL}" and record.step < record.steps - 1:
        by_hand = Promotion.ALL
    else:
        return None
    return GateAnswer(
        step=record.step,
        content=record.canary_hash,
        is_open=True,
        reason=BY_HAND + intent.reason("promote").text,
        at=now,
        by_hand=by_hand,
    )


def promotion(record: RolloutRecord, answer: GateAnswer | None) -> Promotion:
    """Return how far a person has promoted a rollout, out of the step that it is in."""
    if answer is None or (answer.step, answer.content) != (record.step, record.canary_hash):
        return Promotion.NONE
    return answer.by_hand


def closed(record: RolloutRecord, answer: GateAnswer | None, now: datetime) -> Hold | None:
    """Return what holds a rollout at the gate of its step; None when nothing does, or a person opened it.

    Somebody who was asked is believed for as long as the gate's interval, and then asked again.
    """
    gate = gate_of(record)
    if gate is None:
        return None
    if answer is not None and (answer.step, answer.content) != (record.step, record.canary_hash):
        answer = None
    place = f"at {record.progress:g} %"
    if answer and answer.by_hand:
        return None
    if gate.manual:
        return None if answer and answer.is_open else Hold(f"waits {place} until somebody promotes it")
    if gate.cel:
        if answer and answer.is_open:
            return None
        return Hold(f"gate {place} is closed: {answer.reason if answer else 'not evaluated yet'}")
    return _asked(gate, answer, place, now)


def _asked(gate: Gate, answer: GateAnswer | None, place: str, now: datetime) -> Hold | None:
    assert gate.http is not None
    if answer is None:
        return Hold(f"asks {place} whether to go on", asks=True)
    again = answer.at + gate.http.interval
    # An answer from the future comes from a clock that was set back since.
    if answer.is_open and answer.at <= now < again:
        return None
    asks = not answer.at <= now < again
    reason = (
        f"asks {place} whether to go on" if answer.is_open else f"gate {place} is closed: {answer.reason}"
    )
    return Hold(reason, until=None if asks else again, asks=asks)
