"""What a check has changed is written down at once if it decides something, and else when its turn comes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from fakes.builders import NOON, a_rollout, a_target, seconds

from gitmesh.decide.keeping import may_wait, patience
from gitmesh.decide.questions import questions
from gitmesh.decide.transitions import advance, decide
from gitmesh.decide.verdict import judge, take_verdict
from gitmesh.model.analysis import Analysis
from gitmesh.model.metric import Metric
from gitmesh.model.metrics import Answer, MetricsFailure, RequestStats
from gitmesh.model.rollout import RolloutRecord

MOST = seconds(30)
ANALYSIS = Analysis(interval=seconds(5), metrics=(Metric(max=1.0),))


def checked(record: RolloutRecord, second: float, answer: Answer) -> RolloutRecord:
    """The record after a check, and after the pass that heard of it."""
    now = NOON + seconds(second)
    after = take_verdict(record, judge(record, dict.fromkeys(questions(record, now), answer), now))
    decision = decide(after, now=now)
    return advance(after, decision, now)


def good(requests: float, bad: float = 0) -> RequestStats:
    return RequestStats(requests, bad, "q")


def stored() -> RolloutRecord:
    """A rollout at 25 % whose first check is written down."""
    rollout = a_rollout(
        at_percent=25,
        analysis=ANALYSIS,
        steps="5 10m, 25 10m, 100",
        started_at=NOON - seconds(60),
        effective_at=NOON,
    )
    return checked(checked(rollout, 5, good(50)), 10, good(100))


def waits(before: RolloutRecord, after: RolloutRecord, most: timedelta = MOST) -> bool:
    return may_wait(before, after, most)


def test_one_more_check_that_says_the_same_can_wait():
    before = stored()
    assert waits(before, checked(before, 15, good(150)))
    assert waits(before, checked(checked(before, 15, good(150)), 20, good(200, bad=1)))


def test_it_waits_no_longer_than_its_turn_takes():
    before, after = stored(), checked(stored(), 15, good(150))
    assert waits(before, after, most=seconds(6))
    assert not waits(before, after, most=seconds(5))


@pytest.mark.parametrize(("in_motion", "seconds_"), [(1, 0.05), (100, 5), (1_000, 50)])
def test_with_few_in_motion_nothing_waits_and_with_many_a_minute_has_as_many_writes(
    in_motion: int, seconds_: float
):
    assert patience(in_motion, 1_200) == timedelta(seconds=seconds_)


Change = Callable[[RolloutRecord], RolloutRecord]
NEWS: dict[str, Change] = {
    "it may go on now": lambda r: checked(r, 15, good(5_000)),
    "it is condemned": lambda r: checked(r, 15, good(200, bad=90)),
    "the metrics are silent": lambda r: checked(r, 15, MetricsFailure("down")),
    "another step": lambda r: checked(r, 15, good(150)).model_copy(update={"step": 2, "progress": 100.0}),
    "the step was not live before": lambda r: checked(r, 15, good(150)).model_copy(
        update={"effective_at": NOON + seconds(12)}
    ),
    "a person paused it": lambda r: checked(r, 15, good(150)).model_copy(
        update={"message": "paused by ada (lunch) at 25 %"}
    ),
    "other content in Git": lambda r: checked(r, 15, good(150)).model_copy(update={"awaits": "abc"}),
    "another failed check": lambda r: checked(r, 15, good(150)).model_copy(update={"failed_checks": 1}),
    "an anchor that has moved": lambda r: checked(r, 15, good(150)).model_copy(
        update={"judged": r.judged.model_copy(update={"since": NOON + seconds(15)})}
    ),
    "checks that are looked at together": lambda r: checked(r, 15, good(150)).model_copy(
        update={"judged": r.judged.model_copy(update={"recent": (True,)})}
    ),
    "another target": lambda r: checked(r, 15, good(150)).model_copy(update={"targets": (a_target("v3"),)}),
}


@pytest.mark.parametrize("news", NEWS, ids=lambda name: name.replace(" ", "-"))
def test_what_decides_something_never_waits(news: str):
    before = stored()
    after = NEWS[news](before)
    assert after != before
    assert not waits(before, after)


def test_every_field_of_a_record_is_news_but_for_those_of_checks():
    """A field that is added later is written down at once, until somebody has thought about it."""
    before = stored()
    after = checked(before, 15, good(150))
    for name in RolloutRecord.model_fields.keys() - {"verdict", "checks", "judged", "message"}:
        another = NOON - seconds(1) if name == "effective_at" else object()
        assert not waits(before, after.model_copy(update={name: another})), name


def test_without_a_record_there_is_nothing_to_wait_for():
    assert not may_wait(None, stored(), MOST)


def test_what_a_crash_loses_is_counted_by_the_next_check():
    """Counts come since an anchor that is written: whoever leads next sees all that was seen before."""
    kept = lost = stored()
    for second in (15, 20, 25):
        kept = checked(kept, second, good(10 * second))
    kept, lost = (checked(record, 30, good(300, bad=2)) for record in (kept, lost))
    (one,), (other,) = kept.judged.tallies, lost.judged.tallies
    assert (one.in_rollout, one.in_step) == (other.in_rollout, other.in_step)
