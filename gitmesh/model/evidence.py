"""What was seen of a rollout so far, and what it is worth: the memory of its verdicts.

Stage: none (pure). Part of a rollout's record, so that a restart forgets no evidence.
"""

from __future__ import annotations

from datetime import datetime

from gitmesh.model.values import ApiModel


class Bets(ApiModel):
    """The logarithms of the wealth of each bet, and how many checks with requests there were.

    `above` are the bets that the share of bad requests is above the bound, `below` that it is below; empty
    before the first check.
    """

    checks: int = 0
    above: tuple[float, ...] = ()
    below: tuple[float, ...] = ()


class Counts(ApiModel):
    """Requests, and how many were bad: failed, or too slow. Fractions where a provider interpolates."""

    requests: float = 0.0
    bad: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(requests=self.requests + other.requests, bad=self.bad + other.bad)

    def __sub__(self, other: Counts) -> Counts:
        return Counts(requests=self.requests - other.requests, bad=self.bad - other.bad)

    @property
    def percent(self) -> float:
        """The share of bad requests in percent; 0 of none is 0."""
        return self.bad * 100 / self.requests if self.requests > 0 else 0.0


class Tally(ApiModel):
    """What was counted of one target for one claim, and bet on it.

    `seen` and `stable_seen` are counts since the anchor of `Judged`, so that a check that is lost, or taken
    twice, changes nothing. `step_at` is when the step was live that `bets.below` and `in_step` are about.
    `limit` is from how many milliseconds on a request is slow, where that follows
    from the stable version.
    """

    claim: str
    host: str
    version: str = ""
    bets: Bets = Bets()
    counted_at: datetime
    step_at: datetime | None = None
    grown_at: datetime | None = None  # when there were new requests last
    last: Counts = Counts()  # the new requests of the last check
    seen: Counts = Counts()
    stable_seen: Counts = Counts()
    in_step: Counts = Counts()
    in_rollout: Counts = Counts()
    stable_before: Counts = Counts()  # of all checks; the older the less it counts
    limit: float | None = None


class Judged(ApiModel):
    """Everything that verdicts are made from, apart from what a provider says now.

    `rollout` is when the rollout began that this is about: of another it means nothing. `since` is the
    anchor: what is counted is counted from there. `recent` are the last checks of metrics that
    are held against a bound check by check, the newest last: true for a failed one. `condemned` says why the
    evidence suffices to roll back; empty while it does not.
    """

    rollout: datetime | None = None
    since: datetime | None = None
    tallies: tuple[Tally, ...] = ()
    recent: tuple[bool, ...] = ()
    condemned: str = ""
