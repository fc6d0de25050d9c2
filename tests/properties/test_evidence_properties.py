"""Whatever the guard's looks meet: no request is counted twice, and none is lost while counters only grow.

Looks at any cadence; checks that are lost, late or heard twice; counters that are late or
begin again at zero; new steps, and restarts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fakes.builders import NOON, a_rollout, seconds
from hypothesis import given, settings
from hypothesis import strategies as st

from gitmesh.decide.questions import questions
from gitmesh.decide.verdict import judge, take_verdict
from gitmesh.model.analysis import Analysis
from gitmesh.model.metric import Metric
from gitmesh.model.metrics import RequestStats
from gitmesh.model.rollout import Check, RolloutRecord

ANALYSIS = Analysis(interval=seconds(1), window=seconds(5), metrics=(Metric(max=1.0),), alpha=1e-6)


@dataclass
class Counted:
    """A counter as a provider keeps it: what it showed at each moment of the provider's own clock."""

    shown: list[tuple[datetime, float, float]] = field(default_factory=lambda: [(NOON, 0.0, 0.0)])
    hidden: tuple[float, float] = (0.0, 0.0)  # what has happened, and is not shown yet

    def at(self, moment: datetime) -> tuple[float, float]:
        known = [entry for entry in self.shown if entry[0] <= moment]
        return known[-1][1:] if known else (0.0, 0.0)


class Play:
    """One rollout whose guard is looked at closely."""

    def __init__(self) -> None:
        self.now = NOON
        self.counter = Counted()
        self.true = (0.0, 0.0)
        self.waiting: list[Check] = []
        self.record = a_rollout(analysis=ANALYSIS, started_at=NOON, effective_at=NOON, at_percent=25)
        self.whole = True  # nothing has happened that may cost a request

    def flow(self, requests: int, bad: int, *, late: bool) -> None:
        bad = min(bad, requests)
        self.true = self.true[0] + requests, self.true[1] + bad
        _, shown, shown_bad = self.counter.shown[-1]
        hidden, hidden_bad = self.counter.hidden
        hidden, hidden_bad = hidden + requests, hidden_bad + bad
        if not late:
            self.counter.shown.append((self.now, shown + hidden, shown_bad + hidden_bad))
            hidden = hidden_bad = 0.0
        self.counter.hidden = hidden, hidden_bad

    def look(self) -> None:
        """Ask now; what comes of it is heard later, or never."""
        answers: dict[Any, RequestStats] = {}
        for query in questions(self.record, self.now):
            assert query.since is not None  # type: ignore[union-attr]
            (r1, b1), (r0, b0) = (self.counter.at(m) for m in (self.now, query.since))  # type: ignore[union-attr]
            grown = (r1 - r0, b1 - b0) if r1 >= r0 and b1 >= b0 else (r1, b1)  # it began again at zero
            answers[query] = RequestStats(grown[0], min(grown[1], grown[0]), "q")
        self.waiting.append(judge(self.record, answers, self.now))

    def hear(self, lost: int, *, twice: bool) -> None:
        """The next check is heard; some before it never are. The guard looks, and hears, one by one."""
        del self.waiting[: min(lost, len(self.waiting) - 1)]
        if self.waiting:
            check = self.waiting[0] if twice else self.waiting.pop(0)
            self.record = take_verdict(self.record, check)

    def reset(self) -> None:
        self.counter.shown.append((self.now, 0.0, 0.0))
        self.whole = False

    def overlap(self, lost: set[int], *, step: bool) -> None:
        """Three checks are asked before any of them is heard; a step may become live meanwhile."""
        self.waiting.clear()
        for number in range(3):
            self.now += timedelta(seconds=1)
            self.flow(10 + number, 1, late=False)
            self.look()
            if step and number == 0:
                self.step()
        for number, check in enumerate(self.waiting):
            if number not in lost:
                self.record = take_verdict(self.record, check)
        self.waiting.clear()

    def step(self) -> None:
        self.record = self.record.model_copy(update={"effective_at": self.now})

    def restart(self) -> None:
        self.waiting.clear()
        self.record = RolloutRecord.model_validate(self.record.as_json())

    @property
    def counted(self) -> tuple[float, float]:
        tallies = self.record.judged.tallies
        return (tallies[0].in_rollout.requests, tallies[0].in_rollout.bad) if tallies else (0.0, 0.0)


small = st.integers(0, 30)
events = st.lists(
    st.one_of(
        st.tuples(st.just("flow"), small, small, st.booleans()),
        st.tuples(st.just("wait"), st.sampled_from([0.1, 1.0, 7.0, 4_000.0])),
        st.tuples(st.just("look")),
        st.tuples(st.just("look")),
        st.tuples(st.just("hear"), st.integers(0, 5), st.booleans()),
        st.tuples(st.just("hear"), st.integers(0, 5), st.booleans()),
        st.tuples(st.just("step")),
        st.tuples(st.just("restart")),
        st.tuples(st.just("reset")),
        st.tuples(st.just("overlap"), st.sets(st.integers(0, 2)), st.booleans()),
    ),
    max_size=40,
)


def played(script: list[tuple[Any, ...]], *, without: frozenset[str] = frozenset()) -> Play:
    play = Play()
    for name, *what in script:
        if name in without:
            continue
        if name == "flow":
            play.now += timedelta(milliseconds=1)
            play.flow(what[0], what[1], late=what[2])
        elif name == "wait":
            play.now += timedelta(seconds=what[0])
        elif name == "look":
            play.now += timedelta(milliseconds=1)
            play.look()
        elif name == "hear":
            play.hear(what[0], twice=what[1])
        elif name == "step":
            play.step()
        elif name == "restart":
            play.restart()
        elif name == "overlap":
            play.overlap(what[0], step=what[1])
        elif name == "reset":
            play.now += timedelta(milliseconds=1)
            play.reset()
        counted, true = play.counted, play.true
        assert counted[0] <= true[0] + 1e-6, f"{counted} of {true}"
        assert counted[1] <= true[1] + 1e-6, f"{counted} of {true}"
    return play


@settings(max_examples=400, deadline=None)
@given(events)
def test_no_request_is_ever_counted_twice(script: list[tuple[Any, ...]]):
    played(script)


@settings(max_examples=400, deadline=None)
@given(events)
def test_while_counters_only_grow_the_next_check_knows_all_that_was_shown(script: list[tuple[Any, ...]]):
    """However many checks were lost, late or heard twice before it, and over steps and restarts."""
    play = played(script, without=frozenset({"reset"}))
    play.waiting.clear()
    for _ in range(2):  # the first may only find that counts do not fit to those before
        play.now += timedelta(seconds=1)
        play.look()
        play.hear(0, twice=False)
    shown = play.counter.at(play.now)
    assert math.isclose(play.counted[0], shown[0], abs_tol=1e-6)
    assert math.isclose(play.counted[1], shown[1], abs_tol=1e-6)
