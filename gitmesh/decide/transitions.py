"""The four decisions of a rollout, and what each makes of the record.

Stage: decide (pure). `TABLE` is the single source of which phase follows which: code, docs and tests read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, assert_never

from gitmesh.decide.gates import closed, promotion
from gitmesh.istio.walks.way import way_of
from gitmesh.istio.weights import describe_weights
from gitmesh.model.analysis import Analysis
from gitmesh.model.evidence import Judged
from gitmesh.model.policy import OnDeadline
from gitmesh.model.rollout import (
    Advance,
    Decision,
    Finish,
    GateAnswer,
    HistoryEntry,
    Hold,
    Outcome,
    Phase,
    Promotion,
    RollBack,
    RolloutRecord,
)
from gitmesh.model.values import format_duration

HISTORY_MAX = 20
QUARANTINE_MAX = 100


class Move(StrEnum):
    """A decision as the table sees it: entering the last step is another move than entering one before."""

    STEP = "advance"
    LAST_STEP = "advance to 100 %"
    HOLD = "hold"
    ROLL_BACK = "roll back"
    FINISH = "finish"


TABLE: Mapping[tuple[Phase, Move], Phase] = {
    (Phase.WAITING, Move.HOLD): Phase.WAITING,
    (Phase.WAITING, Move.STEP): Phase.PROGRESSING,
    (Phase.WAITING, Move.LAST_STEP): Phase.PROMOTING,
    (Phase.WAITING, Move.ROLL_BACK): Phase.ROLLED_BACK,
    (Phase.PROGRESSING, Move.HOLD): Phase.PROGRESSING,
    (Phase.PROGRESSING, Move.STEP): Phase.PROGRESSING,
    (Phase.PROGRESSING, Move.LAST_STEP): Phase.PROMOTING,
    (Phase.PROGRESSING, Move.ROLL_BACK): Phase.ROLLED_BACK,
    (Phase.PROMOTING, Move.HOLD): Phase.PROMOTING,
    (Phase.PROMOTING, Move.FINISH): Phase.SUCCEEDED,
    (Phase.PROMOTING, Move.ROLL_BACK): Phase.ROLLED_BACK,
    (Phase.SUCCEEDED, Move.HOLD): Phase.SUCCEEDED,
    (Phase.ROLLED_BACK, Move.HOLD): Phase.ROLLED_BACK,
}


def decide(
    record: RolloutRecord,
    *,
    held: str = "",
    shut: Hold | None = None,
    gate: GateAnswer | None = None,
    past: str = "",
    now: datetime,
) -> Decision:
    """Say what a rollout does now. Rolling back comes first, and nothing gates it.

    `held` says what holds every forward step, for example "suspended"; empty when nothing does. `shut` holds
    them for a time: a window that is closed, a freeze. `gate` is what the gate of the present step said, and
    `past` what would shut, had nobody overruled it.
    """
    past = f"; {past}" if past else ""
    analysis = analysis_of(record)
    if record.phase.in_motion and analysis and is_condemned(record, analysis):
        return RollBack(rollback_reason(record))
    if not record.phase.in_motion and record.phase is not Phase.WAITING:
        return Hold(record.message)
    late = overdue(record, now)
    if late and record.policy_spec and record.policy_spec.on_deadline is OnDeadline.ROLL_BACK:
        return RollBack(late)
    if held:  # Forward only: nothing below this line takes traffic off a canary.
        return Hold(f"{held} at {record.progress:g} %")
    if late:
        return Hold(f"{late}: stays at {record.progress:g} %")
    if record.phase is Phase.WAITING:
        why = "new weights in Git" if record.steps else "new content in Git, same weights"
        return shut or Advance(0, f"{why}{past}")
    return _next_step(record, shut, gate, past, now)


def _next_step(
    record: RolloutRecord, shut: Hold | None, gate: GateAnswer | None, past: str, now: datetime
) -> Hold | Advance | Finish:
    """Say whether a rollout in motion goes on. What a person has to do is told before what time brings."""
    if record.effective_at is None:
        return shut or Hold(f"waits until {record.progress:g} % is live")
    due, promoted = record.effective_at + dwell(record), promotion(record, gate)
    if now < due and not promoted:
        return Hold(f"{_stay(record)} until {due:%H:%M:%S} UTC", until=due)
    if missing := missing_evidence(record):
        return Hold(missing)
    at_gate = closed(record, gate, now)
    if at_gate and not at_gate.asks:
        return at_gate
    if shut or at_gate:  # nobody is asked for what could not be done
        return shut or at_gate or Hold("")
    why = (f"{gate.reason}; {_passed(record)}" if gate and promoted else _passed(record)) + past
    if is_last(record):
        return Finish(f"finished: {why}")
    alone = not (record.policy_spec and record.policy_spec.group)  # a group goes step by step, together
    leaps = promoted is Promotion.ALL and alone
    return Advance(record.steps - 1 if leaps else record.step + 1, why)


def overdue(record: RolloutRecord, now: datetime) -> str:
    """Say that a rollout in motion has passed its deadline; empty when it has not, or has none."""
    due = deadline_of(record)
    if due is None or now < due:
        return ""
    assert record.policy_spec is not None
    assert record.policy_spec.deadline is not None
    return f"not done within {format_duration(record.policy_spec.deadline)}"


def deadline_of(record: RolloutRecord) -> datetime | None:
    """Return when a rollout in motion has to be done; None without a deadline."""
    deadline = record.policy_spec.deadline if record.policy_spec else None
    if deadline is None or record.started_at is None or not record.phase.in_motion:
        return None
    return record.started_at + deadline


def held_back(record: RolloutRecord, shut: Hold | None) -> RolloutRecord:
    """Return the record for a time in which nothing may go forward: a step that is not live yet stays out."""
    not_live = record.phase.in_motion and record.effective_at is None
    if shut is None or not not_live:
        return changed(record, shut=False) if record.shut else record
    return changed(record, shut=True) if record.step > 0 and record.steps else waiting(record, record.steps)


def waiting(record: RolloutRecord, steps: int) -> RolloutRecord:
    """Return the record of a rollout that has not begun: stable is what should be live."""
    return changed(
        record,
        phase=Phase.WAITING,
        step=0,
        steps=steps,
        progress=0.0,
        weights=describe_weights(record.stable.spec),
        started_at=None,
        entered_at=None,
        effective_at=None,
        next_at=None,
        finished_at=None,
        failed_checks=0,
        verdict=None,
        awaits="",
        shut=False,
        taken_along="",
        relies_on=(),
    )


def advance(
    record: RolloutRecord,
    decision: Decision,
    now: datetime,
    *,
    history_max: int = HISTORY_MAX,
    namespace: str = "",
) -> RolloutRecord:
    """Return the record after a decision. `namespace` of the VirtualService reads short host names."""
    phase = TABLE.get((record.phase, move_of(record, decision)))
    assert phase is not None, f"{record.phase} cannot {move_of(record, decision)}"
    match decision:
        case Hold(reason, until):
            return changed(record, message=reason, next_at=until)
        case Advance(step, reason):
            after = _enter(record, phase, step, now, namespace)
            return noted(after, now, f"{after.progress:g} % ({after.weights}): {reason}", history_max)
        case RollBack(reason, along):
            back = changed(_roll_back(record, now), taken_along=along)
            return noted(back, now, f"rolled back: {reason}", history_max)
        case Finish(reason):
            return noted(_finish(record, now), now, reason, history_max)
        case other:  # pragma: no cover
            assert_never(other)


def mark_effective(record: RolloutRecord, now: datetime) -> RolloutRecord:
    """Note that what the record asks for has been seen live. A dwell counts from here."""
    if record.effective_at is not None:
        return record
    if record.phase is Phase.WAITING:  # when it may begin has nothing to do with what is live
        return changed(record, effective_at=now)
    in_motion = record.phase.in_motion
    return changed(record, effective_at=now, next_at=now + dwell(record) if in_motion else None)


def move_of(record: RolloutRecord, decision: Decision) -> Move:
    """Name a decision as the table does."""
    match decision:
        case Advance(step):
            return Move.LAST_STEP if step >= record.steps - 1 else Move.STEP
        case Hold():
            return Move.HOLD
        case RollBack():
            return Move.ROLL_BACK
        case Finish():
            return Move.FINISH
        case other:  # pragma: no cover
            assert_never(other)


def analysis_of(record: RolloutRecord) -> Analysis | None:
    """Return how the guard judges this rollout; None when nobody asked for a guard."""
    return record.policy_spec.analysis if record.policy_spec else None


def is_last(record: RolloutRecord) -> bool:
    """Say whether no step is left. A change that moves no weight has no steps at all."""
    return record.step >= record.steps - 1


def dwell(record: RolloutRecord) -> timedelta:
    """Return how long the record stays where it is, from the moment that its step is live."""
    policy = record.policy_spec
    if policy is None:
        return timedelta(0)
    hold = policy.steps[max(record.step, 0)].hold if record.steps else timedelta(0)
    return hold + policy.bake if is_last(record) else hold


def missing_evidence(record: RolloutRecord) -> str:
    """Say which evidence the next move lacks; empty when there is enough, or none was asked for.

    Nothing on the canary yet, or an end without a bake, has nothing to be measured.
    """
    bakes = not is_last(record) or dwell(record) > timedelta(0)
    if analysis_of(record) is None or not record.targets or not bakes or not reaches_canary(record):
        return ""
    verdict = record.verdict
    if verdict is None or (record.effective_at is not None and verdict.at < record.effective_at):
        return f"waits for the first check at {record.progress:g} %"
    if verdict.outcome is Outcome.PASS:
        return ""
    count = f", {record.failed_checks} failed in a row" if verdict.outcome is Outcome.FAIL else ""
    return f"{verdict.outcome.value}: {verdict.summary}{count}"


def is_condemned(record: RolloutRecord, analysis: Analysis) -> bool:
    """Say whether there is enough evidence to roll back."""
    return record.failed_checks >= analysis.failures or bool(_condemned(record))


def _condemned(record: RolloutRecord) -> str:
    """Return why the present rollout must go back; empty when there is no reason."""
    return record.judged.condemned if _is_judged(record) else ""


def _is_judged(record: RolloutRecord) -> bool:
    """Say whether what a record has seen is of the present rollout, and not of the one before."""
    return record.started_at is not None and record.judged.rollout == record.started_at


def judged_of(record: RolloutRecord) -> Judged:
    """Return what has been seen of the present rollout; nothing when the record tells of the one before."""
    return record.judged if _is_judged(record) else Judged(rollout=record.started_at)


def reaches_canary(record: RolloutRecord) -> bool:
    """Say whether requests reach the canary, or copies of them."""
    return not record.stand.is_start


def rollback_reason(record: RolloutRecord) -> str:
    """Say why the guard rolls back, with its evidence."""
    if condemned := _condemned(record):
        return condemned
    count = record.failed_checks
    summary = record.verdict.summary if record.verdict else "no evidence kept"
    return f"{summary}; {count} failed {'check' if count == 1 else 'checks'}"


def changed(record: RolloutRecord, **fields: Any) -> RolloutRecord:
    """Return the record with some fields replaced: the very same one, when that changes nothing."""
    if any(getattr(record, name) != value for name, value in fields.items()):
        return record.model_copy(update=fields)
    return record


def noted(record: RolloutRecord, now: datetime, message: str, history_max: int) -> RolloutRecord:
    """Return the record with a message that is also kept in its history, the oldest entries dropped."""
    entry = HistoryEntry(at=now, phase=record.phase, progress=record.progress, message=message)
    history = (*record.history, entry)[-history_max:] if history_max > 0 else ()
    return changed(record, message=message, history=history)


def remembered(record: RolloutRecord, now: datetime, message: str, history_max: int) -> RolloutRecord:
    """Return the record with one more entry in its history, and the same message."""
    return changed(noted(record, now, message, history_max), message=record.message)


def quarantine(record: RolloutRecord, content: str) -> tuple[str, ...]:
    """Return the quarantine with one more content in it."""
    if not content or content in record.quarantined:
        return record.quarantined
    return (*record.quarantined, content)[-QUARANTINE_MAX:]


def progress_at(record: RolloutRecord, step: int) -> float:
    """Return the progress of a step; a change that moves no weight is there at once."""
    if record.policy_spec is None or record.steps == 0:
        return 100.0
    return record.policy_spec.steps[step].progress


def _enter(record: RolloutRecord, phase: Phase, step: int, now: datetime, namespace: str) -> RolloutRecord:
    left = record.progress if record.phase.in_motion else None
    record = changed(record, phase=phase, step=step, progress=progress_at(record, step), left=left)
    return changed(
        record,
        weights=way_of(record, namespace).describe(record.stand),
        started_at=record.started_at or now,
        entered_at=now,
        effective_at=None,
        next_at=None,
        finished_at=None,
        shut=False,
    )


def _roll_back(record: RolloutRecord, now: datetime) -> RolloutRecord:
    return changed(
        record,
        phase=Phase.ROLLED_BACK,
        progress=0.0,
        weights=describe_weights(record.stable.spec),
        entered_at=now,
        effective_at=None,
        next_at=None,
        finished_at=now,
        quarantined=quarantine(record, record.canary_hash),
        canary=None,
        awaits="",
        shut=False,
    )


def _finish(record: RolloutRecord, now: datetime) -> RolloutRecord:
    assert record.canary is not None
    return changed(
        record,
        phase=Phase.SUCCEEDED,
        progress=100.0,
        weights=describe_weights(record.canary.spec),
        entered_at=now,
        next_at=None,
        finished_at=now,
        stable=record.canary,
        previous=record.stable,
        canary=None,
        failed_checks=0,
        awaits="",
        shut=False,
    )


def _stay(record: RolloutRecord) -> str:
    return "bakes" if record.phase is Phase.PROMOTING else f"holds at {record.progress:g} %"


def _passed(record: RolloutRecord) -> str:
    if analysis_of(record) and record.verdict and record.verdict.outcome is Outcome.PASS:
        return record.verdict.summary
    return "time is up, nothing to measure"
