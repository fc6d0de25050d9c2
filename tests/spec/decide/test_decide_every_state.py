"""Every combination of what a decision looks at, held against the table and the promises of the docs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from fakes.builders import ANALYSIS, NOON, a_rollout, a_verdict, seconds

from gitmesh.decide.transitions import TABLE, Move, advance, decide, dwell, move_of
from gitmesh.model.policy import OnDeadline
from gitmesh.model.rollout import (
    Advance,
    Decision,
    Finish,
    GateAnswer,
    Hold,
    Outcome,
    Phase,
    Promotion,
    RollBack,
    RolloutRecord,
)
from gitmesh.model.steps import Gate

NOW = NOON + seconds(30)
LIVE_SINCE = {"not live": None, "in its hold": NOW - seconds(5), "held": NOW - seconds(15)}
VERDICTS = (None, *Outcome)
SHUT = Hold("outside the window", until=NOW + seconds(60))
PLACES = {
    Phase.WAITING: (5,),
    Phase.PROGRESSING: (5, 50),
    Phase.PROMOTING: (100,),
    Phase.SUCCEEDED: (100,),
    Phase.ROLLED_BACK: (25,),
}
Gates = tuple[Gate | None, GateAnswer | None]


@dataclass(frozen=True, slots=True)
class State:
    """One combination."""

    record: RolloutRecord
    held: str
    shut: Hold | None
    gate: GateAnswer | None

    @property
    def decision(self) -> Decision:
        return decide(self.record, held=self.held, shut=self.shut, gate=self.gate, now=NOW)

    @property
    def condemned(self) -> bool:
        """The guard has seen enough."""
        record = self.record
        guarded = record.policy_spec is not None and record.policy_spec.analysis is not None
        return record.phase.in_motion and guarded and record.failed_checks >= ANALYSIS.failures

    @property
    def late(self) -> bool:
        """It is past its deadline, and has not come to its end."""
        assert self.record.policy_spec
        return self.record.phase.in_motion and self.record.policy_spec.deadline is not None

    @property
    def rolls_back_late(self) -> bool:
        assert self.record.policy_spec
        return self.late and self.record.policy_spec.on_deadline is OnDeadline.ROLL_BACK


def records() -> Iterator[RolloutRecord]:
    for phase, since, verdict, failed, analysis in itertools.product(
        Phase, LIVE_SINCE.values(), VERDICTS, (0, 1, 2), (ANALYSIS, None)
    ):
        for percent in PLACES[phase]:
            record = a_rollout(
                at_percent=percent,
                bake="10s",
                analysis=analysis,
                phase=phase,
                effective_at=since,
                failed_checks=failed,
                started_at=NOW - seconds(60),
                verdict=verdict and a_verdict(verdict.value, at=NOW - seconds(1)),
            )
            yield record


def with_gates(record: RolloutRecord) -> Iterator[tuple[RolloutRecord, GateAnswer | None]]:
    assert record.policy_spec
    yield record, None
    steps = tuple(
        step.model_copy(update={"gate": Gate(manual=True)} if index == record.step else {})
        for index, step in enumerate(record.policy_spec.steps)
    )
    gated = record.model_copy(update={"policy_spec": record.policy_spec.model_copy(update={"steps": steps})})
    answer = GateAnswer(step=record.step, content=record.canary_hash, is_open=True, at=NOW)
    yield gated, None
    yield gated, answer.model_copy(update={"by_hand": Promotion.STEP})
    yield gated, answer.model_copy(update={"step": record.step + 1, "by_hand": Promotion.STEP})


def with_deadlines(record: RolloutRecord) -> Iterator[RolloutRecord]:
    assert record.policy_spec
    yield record
    for late in OnDeadline:
        fields = {"deadline": timedelta(seconds=59), "on_deadline": late}
        yield record.model_copy(update={"policy_spec": record.policy_spec.model_copy(update=fields)})


@cache
def every_state() -> tuple[tuple[State, Decision], ...]:
    states = (
        State(late, held, shut, gate)
        for record in records()
        for gated, gate in with_gates(record)
        for late in with_deadlines(gated)
        for held in ("", "suspended")
        for shut in (None, SHUT)
    )
    return tuple((state, state.decision) for state in states)


def test_each_decision_is_in_the_table_and_leads_where_the_table_says():
    seen = set()
    for state, decision in every_state():
        row = state.record.phase, move_of(state.record, decision)
        assert row in TABLE, f"{row} is not in the table"
        if row not in seen or not isinstance(decision, Hold):
            assert advance(state.record, decision, NOW).phase is TABLE[row]
        seen.add(row)
    # These have four steps, and none of them is in a group, with which one that waits may be rolled back.
    assert set(TABLE) - seen == {(Phase.WAITING, Move.LAST_STEP), (Phase.WAITING, Move.ROLL_BACK)}


def test_a_rollout_of_one_step_goes_from_waiting_to_its_end():
    record = a_rollout(at_percent=100, steps="100", phase=Phase.WAITING)
    decision = decide(record, now=NOW)
    assert move_of(record, decision) is Move.LAST_STEP
    assert advance(record, decision, NOW).phase is TABLE[Phase.WAITING, Move.LAST_STEP]


def test_enough_failed_checks_roll_back_whatever_else_is_so():
    assert all(isinstance(decision, RollBack) for state, decision in every_state() if state.condemned)


def test_nothing_rolls_back_but_the_guard_and_the_deadline():
    for state, decision in every_state():
        if isinstance(decision, RollBack):
            assert state.condemned or state.rolls_back_late


def test_nothing_goes_forward_that_is_held_shut_late_or_behind_a_gate():
    for state, decision in every_state():
        if isinstance(decision, Advance | Finish):
            assert not state.held
            assert not state.shut
            assert not state.late
            gate = (
                state.record.policy_spec.steps[state.record.step].gate if state.record.policy_spec else None
            )
            if gate and state.record.phase.in_motion:
                assert state.gate
                assert state.gate.step == state.record.step


def test_nothing_leaves_a_step_before_its_time_unless_a_person_says_so_and_never_without_evidence():
    for state, decision in every_state():
        record = state.record
        if isinstance(decision, Advance | Finish) and record.phase.in_motion:
            assert record.effective_at is not None, "it was seen live"
            promoted = state.gate is not None and state.gate.by_hand
            assert promoted or record.effective_at + dwell(record) <= NOW
            if record.policy_spec and record.policy_spec.analysis:
                assert record.verdict is not None
                assert record.verdict.outcome is Outcome.PASS


def test_a_step_is_followed_by_the_next_one_and_the_last_one_by_the_end():
    for state, decision in every_state():
        if isinstance(decision, Advance) and state.record.phase.in_motion:
            assert decision.step == state.record.step + 1
        if isinstance(decision, Finish):
            assert state.record.progress == 100


def test_what_is_at_rest_stays_there():
    for state, decision in every_state():
        if state.record.phase in (Phase.SUCCEEDED, Phase.ROLLED_BACK):
            assert isinstance(decision, Hold)
