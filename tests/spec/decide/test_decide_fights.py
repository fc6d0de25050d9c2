"""When it is a fight, how long the object rests, and when it is over. Time is simulated."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest

from gitmesh.decide.fights import HEAT_MAX, REST_FIRST_SECONDS, REST_MAX_SECONDS, Contest, written

CONTENT = {"spec": {"weight": 100}}


def healed(moments: Iterable[float], before: Contest | None = None) -> Contest:
    """The contest after drifts that were healed at these moments."""
    for moment in moments:
        before = written(before, CONTENT, moment, drift=True, by="argocd")
    assert before
    return before


def fought(seconds: float, every: float) -> tuple[list[float], Contest]:
    """Somebody undoes each write at once, and GitMesh looks each second: when does it write?"""
    contest: Contest | None = None
    moments = []
    now = 0.0
    while now < seconds:
        if contest is None or not contest.rests_at(now):
            contest = written(contest, CONTENT, now, drift=True, by="argocd")
            moments.append(now)
        now += every
    assert contest
    return moments, contest


def test_single_drifts_are_healed_at_once_however_many_there_are_in_a_day():
    assert not any(healed([60.0 * n for n in range(count)]).rests for count in range(1, 500))


@pytest.mark.parametrize("per_minute", [1, 2, 4])
def test_up_to_four_a_minute_are_no_fight(per_minute: int):
    assert healed([n * 60 / per_minute for n in range(200)]).rests == 0


@pytest.mark.parametrize("per_minute", [6, 12, 60])
def test_more_than_five_a_minute_are_a_fight_within_a_minute_and_a_half(per_minute: int):
    moments = [n * 60 / per_minute for n in range(200)]
    first = next(moment for n, moment in enumerate(moments, 1) if healed(moments[:n]).rests)
    assert first <= 90


def test_five_in_a_burst_are_no_fight_yet_and_the_sixth_is():
    assert healed([0.1 * n for n in range(int(HEAT_MAX))]).rests == 0
    assert healed([0.1 * n for n in range(int(HEAT_MAX) + 1)]).rests == 1


def test_g6_a_fight_is_no_hot_loop_each_rest_is_twice_as_long_up_to_five_minutes():
    moments, contest = fought(3600, every=0.5)
    rests = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert [round(rest) for rest in rests if rest > 1][:7] == [10, 20, 40, 80, 160, 300, 300]
    assert len(moments) < 24, "in an hour"
    assert contest.rest_seconds == REST_MAX_SECONDS
    assert "argocd" in contest.text


def test_a_fight_ends_when_nobody_has_changed_the_object_for_as_long_again_as_it_rested():
    contest = healed([0.1 * n for n in range(6)])
    end = contest.at + 2 * REST_FIRST_SECONDS
    assert contest.rests_at(contest.at + REST_FIRST_SECONDS - 0.1)
    assert not contest.rests_at(contest.at + REST_FIRST_SECONDS)
    assert not contest.is_over(end - 0.1)
    assert contest.is_over(end)
    assert healed([end + 1], contest).rests == 0, "the next one is healed at once, as ever"


def test_it_is_worth_looking_again_when_the_rest_ends_and_when_the_fight_is_over():
    contest = healed([0.0] * 6)
    assert contest.next_moment(0) == REST_FIRST_SECONDS
    assert contest.next_moment(REST_FIRST_SECONDS) == 2 * REST_FIRST_SECONDS
    assert healed([0.0]).next_moment(0) is None


def test_other_content_is_no_fight():
    contest = healed([0.0] * 8)
    assert contest.rests
    for number in range(20):
        contest = written(contest, {"spec": {"weight": number}}, 1.0 + number, drift=False, by="")
        assert contest.rests == 0


def test_what_is_written_first_by_a_commit_is_not_counted_as_healed():
    contest = written(None, CONTENT, 0, drift=False, by="")
    assert contest.heat == 0
    assert healed([0.1 * n for n in range(5)], contest).rests == 0


def test_a_fight_over_whether_an_object_is_there_is_one_too():
    contest: Contest | None = None
    for number in range(8):
        contest = written(contest, None, number, drift=False, by="velero")
    assert contest
    assert contest.rests


def test_what_is_quiet_is_forgotten_and_nothing_overflows():
    assert healed([0.0]).is_over(200)
    assert not healed([0.0]).is_over(30)
    contest = healed([0.0] * 6)
    for _ in range(3000):
        contest = healed([contest.at + contest.rest_seconds], contest)
    assert contest.rest_seconds == REST_MAX_SECONDS
