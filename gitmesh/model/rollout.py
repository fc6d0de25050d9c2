"""Rollouts: the record that survives restarts, the evidence, and the four decisions.

Stage: none (pure). `RolloutRecord` is the status of a TrafficRollout, field for field.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from gitmesh.model.evidence import Counts, Judged
from gitmesh.model.intent import RolloutIntent as RolloutIntent
from gitmesh.model.policy import RolloutPolicySpec
from gitmesh.model.revert import Revert
from gitmesh.model.stand import Stand
from gitmesh.model.values import ApiModel


class Phase(StrEnum):
    """Where a rollout is."""

    WAITING = "Waiting"  # desired differs from stable, and something holds it at 0 %
    PROGRESSING = "Progressing"  # between the first step and the last
    PROMOTING = "Promoting"  # everything is on the new version and is being baked
    SUCCEEDED = "Succeeded"  # stable is what Git says
    ROLLED_BACK = "RolledBack"  # stable is live, and what Git says is quarantined

    in_motion: bool  # while the guard watches: some traffic is, or may be, on the canary

    def __init__(self, value: str) -> None:
        self.in_motion = value in ("Progressing", "Promoting")


class Outcome(StrEnum):
    """How one measurement ended."""

    PASS = "pass"  # noqa: S105 (a verdict, no password)
    FAIL = "fail"
    INSUFFICIENT = "insufficient"  # too few requests to judge
    BLIND = "blind"  # the metrics could not be read


class Target(ApiModel):
    """A destination that takes more traffic through this rollout: what the guard looks at.

    `host` is fully qualified; `version` is the value of the subset's `version` label, or its name. `shared`:
    the stable variant goes there too, and telemetry does not tell the two apart.
    """

    host: str
    subset: str = ""
    version: str = ""
    shared: bool = False


class Evidence(ApiModel):
    """One metric for one target in one window: what was asked, what came back, what it is held against.

    `stable` is what the stable version shows, where it is compared. `above` and `below` say how much of the
    evidence is there that it takes to roll back, and to advance: 1 is enough.
    """

    metric: str
    outcome: Outcome
    target: Target
    value: float | None = None  # percent for error-rate
    bound: float | None = None
    stable: float | None = None
    requests: float | None = None
    failed_requests: float | None = None
    window_seconds: float = 0.0
    above: float | None = None
    below: float | None = None
    query: str = ""
    message: str = ""


class Verdict(ApiModel):
    """What one check of all metrics and targets came to. The worst evidence decides."""

    at: datetime
    outcome: Outcome
    evidence: tuple[Evidence, ...] = ()

    @property
    def summary(self) -> str:
        """One line for people: the piece of evidence that decided."""
        for item in self.evidence:
            if item.outcome is self.outcome:
                return item.message
        return self.outcome.value


class Count(ApiModel):
    """What was counted of one target for one claim since the anchor of a check.

    `index` is that of the evidence which follows from it. `limit`: what counted as slow. `next_limit`: what
    should from now on, as far as this check can say.
    """

    index: int
    claim: str
    target: Target
    counts: Counts
    stable: Counts | None = None
    limit: float | None = None
    next_limit: float | None = None
    query: str = ""


class Check(Verdict):
    """A verdict with what was counted for it, as the guard hears it; a record keeps only the verdict.

    `rollout` is when the rollout began that it is about.
    """

    since: datetime
    rollout: datetime | None = None
    counts: tuple[Count, ...] = ()


class Snapshot(ApiModel):
    """A spec that was, or is, stable, and the commit that it came from."""

    spec: dict[str, Any]
    hash: str
    revision: str = ""


class HistoryEntry(ApiModel):
    """One thing that happened to a rollout."""

    at: datetime
    phase: Phase
    progress: float
    message: str


class RolloutRecord(ApiModel):
    """Where one rollout stands. Written before the change that it explains.

    `progress` is the percentage of the way from stable to target that should be live now.
    `effective_at` is when the current step was seen live; a dwell counts from there, so neither a crash
    between record and write nor a slow write shortens it. It is None until then.
    """

    phase: Phase
    kind: str = "VirtualService"  # of the object that moves
    source: str = ""  # namespace/name of the TrafficSource
    policy: str = ""
    policy_spec: RolloutPolicySpec | None = None  # so that a rollback needs neither Git nor policy
    revision: str = ""
    step: int = 0  # index into the policy's steps
    steps: int = 0
    progress: float = 100.0
    left: float | None = None  # the progress that was live before the present step; None before the first one
    weights: str = ""  # for people: "v1 75, v2 25"
    started_at: datetime | None = None
    entered_at: datetime | None = None
    effective_at: datetime | None = None
    next_at: datetime | None = None
    finished_at: datetime | None = None
    stable: Snapshot
    previous: Snapshot | None = None
    canary_hash: str = ""
    canary: Snapshot | None = None  # what is on its way; None when nothing is
    targets: tuple[Target, ...] = ()
    baselines: tuple[Target, ...] = ()  # the stable versions that the targets take their traffic from
    quarantined: tuple[str, ...] = ()
    awaits: str = ""  # hash of content that Git has for the same way, while nothing may go forward
    shut: bool = False  # nothing may go forward, and the present step was not live yet: the one before stays
    taken_along: str = ""  # path@hash: the member of its group, and the content, for which it was rolled back
    relies_on: tuple[str, ...] = ()  # path@hash of each that it comes after, as it was when this one began
    revert: Revert | None = None  # of what is quarantined, in Git
    retried: str = ""  # the retry that was honoured, so that one request starts one attempt
    overruled: str = ""  # the request to go past windows or freezes that was heard, see RolloutIntent
    suspended: str = ""  # "paused", with who and why, while a person has suspended it
    failed_checks: int = 0
    verdict: Verdict | None = None
    checks: tuple[Verdict, ...] = ()  # the last ones, without their queries
    judged: Judged = Judged()
    message: str = ""
    history: tuple[HistoryEntry, ...] = ()

    @property
    def stand(self) -> Stand:
        """What the present step says should be live."""
        return self._stand_at(self.step)

    @property
    def live_stand(self) -> Stand:
        """What may be live: the present step, or an earlier one while a failed check stands against it.

        A step that is not live yet does not become so after a failure, or when its window has closed; the
        step before it stays. Before the first step nothing is held: there would never be requests to prove
        it better. A policy that has come to have no analysis holds nothing for a check of the one before it:
        no other check would ever take that back. What was never live is no step before: one that a person
        promoted past, or one that a new policy has in between.
        """
        policy = self.policy_spec
        if policy is None or not self.steps or not self.phase.in_motion or self.effective_at is not None:
            return self.stand
        if not (self.shut or (self.failed_checks and policy.analysis is not None)):
            return self.stand
        earlier = [
            index
            for index, step in enumerate(policy.steps)
            if (step.progress < self.progress if self.progress > 0 else index < self.step)
            and (self.left is None or step.progress <= self.left)
        ]
        if not earlier and self.left:
            return replace(self.stand, progress=self.left)
        return self._stand_at(earlier[-1]) if earlier else self.stand

    def _stand_at(self, index: int) -> Stand:
        policy = self.policy_spec
        if policy is None or not self.steps:
            return Stand(self.progress)
        at = policy.steps[index] if 0 <= index < len(policy.steps) else None
        matches = tuple(match for step in policy.steps[: index + 1] for match in step.match)
        progress = self.progress if at is None or index == self.step else at.progress
        return Stand(progress, matches, at.mirror if at else 0.0, policy.walk)


class Promotion(StrEnum):
    """How far a person has promoted a rollout."""

    NONE = ""
    STEP = "step"  # out of the present step
    ALL = "all"  # out of every step, up to 100 %


class GateAnswer(ApiModel):
    """What a gate said of one step of one content, and when."""

    step: int
    content: str  # its hash
    is_open: bool
    reason: str = ""
    at: datetime
    by_hand: Promotion = Promotion.NONE


@dataclass(frozen=True, slots=True)
class Advance:
    """Enter the step with this index."""

    step: int
    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Stay. `until` is when it is worth looking again; None when only an event can change it.

    `asks`: all is well but for the gate of this step, and somebody has to be asked.
    """

    reason: str
    until: datetime | None = None
    asks: bool = False


@dataclass(frozen=True, slots=True)
class RollBack:
    """Make stable live again and quarantine the canary. `along`: for whom, see RolloutRecord.taken_along."""

    reason: str
    along: str = ""


@dataclass(frozen=True, slots=True)
class Finish:
    """The canary is the new stable."""

    reason: str


Decision = Advance | Hold | RollBack | Finish
