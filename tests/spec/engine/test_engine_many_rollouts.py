"""Many rollouts at once: what is known of one, no pass works out again; and nothing is quadratic."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from benchmarks.decisions import World, a_world
from gitmesh.engine.report import PassReport
from gitmesh.engine.status import status_of

FEW, MANY = 20, 40
# Each of these costs more than all the rest that a pass does for a rollout.
DEAR = (
    "read_record",  # parses a record
    "canonical",
    "content_hash",
    "most_precise",  # looks a policy up
    "interpolate",  # lays weights out
    "take_verdict",
    "bet",
    "diff",
    "_to_apply",
    "referenced_destinations",
    "opening_at",  # reads a window
)
ONCE_A_PASS = {"opening_at": 1}  # and not once a rollout


def calls(work: Callable[[], Any]) -> Counter[str]:
    """Count the calls of Python functions by name."""
    found: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            found[frame.f_code.co_name] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return found


def dear(found: Counter[str]) -> dict[str, int]:
    return {name: found[name] for name in DEAR if found[name]}


@pytest.fixture(scope="module")
def worlds() -> tuple[World, World]:
    few, many = a_world(FEW), a_world(MANY)
    for world in (few, many):
        world.decide(world.state)
    return few, many


def test_a_pass_with_nothing_due_works_nothing_out_again(worlds: tuple[World, World]):
    _, many = worlds
    state = many.state
    assert dear(calls(lambda: many.decide(state))) == ONCE_A_PASS


def test_what_the_guard_has_weighed_a_pass_does_not_weigh_again(worlds: tuple[World, World]):
    _, many = worlds
    state = many.state
    many.check()
    try:
        found = calls(lambda: many.decide(state))
        moved, _, _ = many.decide(state)
    finally:
        many.memory.verdicts.clear()
    assert dear(found) == ONCE_A_PASS
    assert all(item.changed and item.after.verdict is not None for item in moved)


def test_one_changed_record_is_the_only_one_that_is_read_and_laid_out(worlds: tuple[World, World]):
    _, many = worlds
    key = next(iter(many.rollouts))
    body = many.rollouts[key].body
    many.rollouts[key] = many.stored(many.rollouts[key])
    assert many.rollouts[key].body["status"] == body["status"]
    state = many.state
    found = calls(lambda: many.decide(state))
    assert (found["read_record"], found["content_hash"], found["interpolate"]) == (1, 0, 0)


def test_twice_as_many_rollouts_are_twice_as_much_work(worlds: tuple[World, World]):
    few, many = (sum(calls(lambda w=world: w.decide(w.state)).values()) for world in worlds)
    assert many < 2.1 * few, (few, many)


def test_a_decision_stands_until_something_is_heard_that_it_could_depend_on():
    world = a_world(FEW)
    first = world.memory.heard
    assert world.memory.heard == first
    world.check()
    assert world.memory.heard != first


def test_the_status_of_a_source_names_some_of_many_rollouts(worlds: tuple[World, World]):
    few, _ = worlds
    moved, _, _ = few.decide(few.state)
    report = PassReport(moved=moved)
    status = status_of(few.source, few.memory, report, few.state, few.config, few.now)
    (ready, *_) = status.conditions
    assert ready.message.count("Progressing 5 %") == 10
    assert ready.message.endswith(" and 10 more")
