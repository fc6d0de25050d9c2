"""Any order of commits, verdicts, time, restarts and people: what a rollout never does, and that it ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fakes.builders import (
    ANALYSIS,
    NOON,
    SOURCE,
    a_policy,
    a_set,
    a_spec,
    a_virtual_service,
    resolve,
    seconds,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gitmesh.decide.retarget import retarget
from gitmesh.decide.schedule import next_check
from gitmesh.decide.transitions import advance, analysis_of, decide, dwell, mark_effective
from gitmesh.decide.verdict import take_verdict
from gitmesh.istio.canonical import spec_hash
from gitmesh.istio.weights import growing_destinations
from gitmesh.model.rollout import Outcome, Phase, RolloutIntent, RolloutRecord, Verdict
from gitmesh.plan.overlay import overlay

CONTENTS = [
    a_spec("reviews: v1 100, v2 0"),
    a_spec("reviews: v1 0, v2 100"),
    a_spec("reviews: v1 50, v2 50"),
    a_spec("reviews: v1 0, v2 100", exportTo=["."]),
    a_spec("reviews: v1 100, v2 0", exportTo=["."]),
    a_spec("reviews: v3"),
]
POLICIES = [
    a_policy("5 10s, 25 10s, 50 10s, 100", bake="20s"),
    a_policy("10 5s, 100 5s"),
    a_policy("100", bake="10s"),
    a_policy("20, 40, 100"),
]
HASHES = [spec_hash(content) for content in CONTENTS]
SERVICE = a_virtual_service()
ROUNDS_MAX = 60


class Rollouts(RuleBasedStateMachine):
    """One VirtualService, its record as it was last written, and the cluster's content."""

    @initialize(policy=st.sampled_from(POLICIES))
    def begin(self, policy: Any) -> None:
        self.now = NOON
        self.policy = policy
        self.intent = RolloutIntent()
        self.desired = CONTENTS[0]
        self.record: RolloutRecord | None = None
        self.live: dict[str, Any] = CONTENTS[0]
        self.may_retry = ""
        self.run_pass()

    # One pass as the engine runs it: decide, write, overlay, apply, confirm.
    def run_pass(self, *, applied: bool = True) -> None:
        before = self.record
        desired = SERVICE.with_spec(self.desired)
        record = retarget(
            before,
            desired=desired,
            live=SERVICE.with_spec(self.live),
            policy=self.policy,
            resolve=resolve,
            intent=self.intent,
            source=SOURCE,
            revision="main@1111111",
            now=self.now,
        )
        assert record is not None
        if before is not None and set(before.quarantined) - set(record.quarantined):
            assert self.may_retry, "one request starts one attempt"
            self.may_retry = ""
        turned = record
        if record.phase.in_motion or record.phase is Phase.WAITING:
            record = advance(
                record,
                decide(record, held="suspended" if self.intent.suspend else "", now=self.now),
                self.now,
            )
        self.check_step(turned, record)
        self.record = RolloutRecord.model_validate(record.as_json())
        assert self.record == record, "what is written is what is read"
        if applied:
            self.live = dict(overlay(a_set(desired), {SERVICE.key: record}, {})[SERVICE.key].spec)
            self.record = mark_effective(record, self.now)

    def check_step(self, before: RolloutRecord, after: RolloutRecord) -> None:
        """A decision may take a step; it must have waited for it, and have evidence for it."""
        forward = after.progress > before.progress or after.phase is Phase.SUCCEEDED is not before.phase
        if not forward:
            return
        assert not self.intent.suspend, "suspended holds forward steps"
        if before.phase is Phase.WAITING:
            assert after.step == 0, "a rollout begins with its first step"
            return
        assert before.effective_at is not None
        assert self.now >= before.effective_at + dwell(before), "no dwell is cut short"
        assert after.step <= before.step + 1, "no step is skipped"
        final = before.phase is Phase.PROMOTING and dwell(before) == timedelta(0)
        if analysis_of(before) and not final:
            assert before.verdict is not None
            assert before.verdict.outcome is Outcome.PASS, "nothing advances without evidence"
            assert before.verdict.at >= before.effective_at

    @rule(content=st.sampled_from(CONTENTS))
    def commit(self, content: dict[str, Any]) -> None:
        self.desired = content
        self.run_pass()

    @rule(span=st.sampled_from([0, 8, 11]), outcome=st.sampled_from([Outcome.PASS] * 3 + list(Outcome)))
    def check(self, span: float, outcome: Outcome) -> None:
        """Time passes, the guard measures, a pass runs."""
        self.one_check(span, outcome)

    def one_check(self, span: float, outcome: Outcome) -> None:
        self.now += seconds(span)
        self.measure(outcome)
        before = self.record
        self.run_pass()
        assert before is not None
        if before.phase.in_motion and before.failed_checks >= ANALYSIS.failures:
            assert self.record is not None
            assert not (self.record.phase.in_motion and self.record.canary_hash == before.canary_hash)

    @rule(outcomes=st.lists(st.sampled_from([Outcome.PASS] * 3 + list(Outcome)), max_size=6))
    def several_checks(self, outcomes: list[Outcome]) -> None:
        self.checks(outcomes)

    @rule(content=st.sampled_from(CONTENTS), again=st.booleans())
    def a_bad_commit(self, content: dict[str, Any], again: bool) -> None:
        """It fails; perhaps somebody asks for another attempt, and it fails again."""
        self.commit(content)
        self.checks([Outcome.PASS, Outcome.FAIL, Outcome.FAIL])
        if again and self.record is not None and self.record.phase is Phase.ROLLED_BACK:
            self.may_retry = "" if self.intent.retry == self.record.canary_hash else self.record.canary_hash
            self.intent = RolloutIntent(retry=self.record.canary_hash)
            self.run_pass()
            self.checks([Outcome.FAIL, Outcome.FAIL, Outcome.PASS])

    def checks(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            self.one_check(8, outcome)

    @rule(outcomes=st.lists(st.sampled_from(Outcome), min_size=1, max_size=4))
    def checks_while_suspended(self, outcomes: list[Outcome]) -> None:
        self.intent = self.intent.model_copy(update={"suspend": True})
        self.checks(outcomes)
        self.intent = self.intent.model_copy(update={"suspend": False})

    def measure(self, outcome: Outcome) -> None:
        self.now += seconds(1)
        assert self.record is not None
        self.record = take_verdict(self.record, Verdict(at=self.now, outcome=outcome))

    @rule(span=st.sampled_from([0, 0.5, 8, 11, 3600]))
    def time_passes(self, span: float) -> None:
        self.now += seconds(span)
        self.run_pass()

    @rule(times=st.integers(1, 20), applied=st.booleans())
    def restarts(self, times: int, applied: bool) -> None:
        """The daemon dies between its record and its writes, again and again."""
        for _ in range(times):
            before = self.record
            self.run_pass(applied=applied)
            assert before is not None
            assert self.record is not None
            assert self.record.step <= before.step + 1
        settled = self.record
        self.run_pass(applied=False)
        if not applied and settled is not None and settled.effective_at is None:
            assert self.record == settled, "what was never live goes no further"

    @rule(
        action=st.sampled_from(["suspend", "resume", "roll back", "retry", "clear", "edit policy"]),
        which=st.sampled_from([*HASHES, "canary", "stable", "failed"]),
        policy=st.sampled_from(POLICIES),
    )
    def a_person_steps_in(self, action: str, which: str, policy: Any) -> None:
        """Somebody asks for something; mostly something that means something now."""
        assert self.record is not None
        known = {
            "canary": self.record.canary_hash,
            "stable": self.record.stable.hash,
            "failed": (*self.record.quarantined, "")[0],
        }
        content = known.get(which, which)
        asked = {
            "suspend": {"suspend": True},
            "resume": {"suspend": False},
            "roll back": {"roll_back": content},
            "retry": {"retry": content, "roll_back": ""},
            "clear": {"retry": "", "roll_back": ""},
            "edit policy": {},
        }[action]
        if action == "retry" and content != self.intent.retry:
            self.may_retry = content
        self.policy = policy if action == "edit policy" else self.policy
        self.intent = self.intent.model_copy(update=asked)
        self.run_pass()

    @rule()
    def everything_passes(self) -> None:
        """Liveness: with nobody in the way and good evidence, every rollout ends."""
        self.intent = RolloutIntent(retry=self.intent.retry)
        self.run_pass()
        for _ in range(ROUNDS_MAX):
            assert self.record is not None
            if not self.record.phase.in_motion:
                break
            due = next_check(self.record, None, self.now)
            self.now = max(due or self.now, self.now) + seconds(10)
            self.measure(Outcome.PASS)
            self.run_pass()
        assert self.record is not None
        assert self.record.phase in (Phase.SUCCEEDED, Phase.ROLLED_BACK)
        if self.record.phase is Phase.SUCCEEDED:
            assert self.live == self.desired
        else:
            assert self.live == self.record.stable.spec

    @invariant()
    def quarantined_content_is_not_live(self) -> None:
        record = getattr(self, "record", None)
        if record is None or record.effective_at is None:
            return
        if record.phase.in_motion:
            assert record.canary_hash not in record.quarantined
        if record.phase is Phase.ROLLED_BACK:
            assert spec_hash(self.live) == record.stable.hash
        assert record.stable.hash not in record.quarantined

    @invariant()
    def the_guard_looks_at_what_grows(self) -> None:
        record = getattr(self, "record", None)
        if record is None or not record.phase.in_motion or not record.steps:
            return
        grown = growing_destinations(record.stable.spec, record.canary.spec, namespace="default")
        assert {d.subset for d in grown} == {t.subset for t in record.targets}


TestRollouts = Rollouts.TestCase
TestRollouts.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
