"""Whatever rollouts heed one another in: nothing goes forward that would not by itself, and nothing that goes
back is held."""

from __future__ import annotations

from fakes.builders import a_rollout
from hypothesis import given, settings
from hypothesis import strategies as st

from gitmesh.decide.together import Member, together
from gitmesh.decide.transitions import TABLE, move_of
from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.rollout import Advance, Decision, Finish, Hold, Phase, RollBack

STEPS = "5 10s, 25 10s, 50 10s, 100"
FORWARD = (Advance, Finish)


def decisions(phase: Phase, step: int) -> list[Decision]:
    """What a rollout in this phase may decide."""
    if phase is Phase.WAITING:
        return [Advance(0, "begins"), Hold("held")]
    if phase is Phase.PROGRESSING:
        return [Advance(step + 1, "goes on"), Hold("held"), RollBack("bad")]
    if phase is Phase.PROMOTING:
        return [Finish("done"), Hold("held"), RollBack("bad")]
    return [Hold("rests")]


@st.composite
def members(draw: st.DrawFn) -> list[Member]:
    found = []
    for index in range(draw(st.integers(1, 6))):
        phase = draw(st.sampled_from(list(Phase)))
        step = {Phase.PROGRESSING: draw(st.integers(0, 2)), Phase.PROMOTING: 3}.get(phase, 0)
        base = a_rollout(steps=STEPS)
        assert base.policy_spec
        group = draw(st.sampled_from(["", "shop", "desk"]))
        limit = draw(st.sampled_from([None, 1, 2]))
        record = base.model_copy(
            update={
                "policy_spec": base.policy_spec.model_copy(update={"group": group, "max_concurrent": limit}),
                "phase": phase,
                "step": step,
                "revision": draw(st.sampled_from(["main@1", "main@2"])),
                "taken_along": draw(st.sampled_from(["", "a@b"])) if phase is Phase.ROLLED_BACK else "",
            }
        )
        waits = draw(st.sampled_from(["", "", "ratings, which is Waiting"]))
        decision = draw(st.sampled_from(decisions(phase, step)))
        key = VIRTUAL_SERVICE.key("default", f"s{index}")
        found.append(Member(key, record, decision, waits, draw(st.sampled_from(["p", "q"]))))
    return found


@settings(max_examples=400, deadline=None)
@given(members())
def test_what_others_do_only_ever_holds_or_takes_back(all_of_them: list[Member]):
    found = together(all_of_them)
    assert found.keys() == {member.key for member in all_of_them}
    for member in all_of_them:
        after = found[member.key]
        assert (member.record.phase, move_of(member.record, after)) in TABLE
        if isinstance(member.decision, RollBack):
            assert after == member.decision, "nothing holds a rollback"
        if isinstance(after, FORWARD):
            assert after == member.decision, "nothing goes forward for others"
            assert not (member.begins and member.waits_for)


@settings(max_examples=400, deadline=None)
@given(members())
def test_a_group_goes_one_way(all_of_them: list[Member]):
    found = together(all_of_them)
    for name in ("shop", "desk"):
        group = [member for member in all_of_them if member.group == name]
        goes_back = any(isinstance(member.decision, RollBack) for member in group)
        is_back = any(member.record.phase is Phase.ROLLED_BACK for member in group)
        for member in group:
            if goes_back or is_back:
                assert not isinstance(found[member.key], FORWARD)
                assert not member.record.phase.in_motion or isinstance(found[member.key], RollBack)
        forward = [member for member in group if isinstance(found[member.key], FORWARD)]
        moving = [member for member in group if member.record.phase.in_motion]
        if forward:
            assert all(member.is_ready for member in moving), "all, or none"


@settings(max_examples=400, deadline=None)
@given(members())
def test_no_limit_is_passed_by_what_begins(all_of_them: list[Member]):
    found = together(all_of_them)
    moving = {unit_of(member) for member in all_of_them if member.record.phase.in_motion}
    for policy in ("p", "q"):
        own = [member for member in all_of_them if member.policy == policy]
        taken = {unit_of(member) for member in own if member.record.phase.in_motion}
        begun = [
            m for m in own if m.begins and isinstance(found[m.key], Advance) and unit_of(m) not in moving
        ]
        limits = [m.spec.max_concurrent for m in begun if m.spec and m.spec.max_concurrent is not None]
        if limits and len({unit_of(member) for member in begun}) == 1:
            assert len(taken) < min(limits)


def unit_of(member: Member) -> str:
    """What takes one place: a group, or a rollout by itself."""
    return member.group or member.key.name
