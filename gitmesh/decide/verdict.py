"""Verdicts: what the answers of one check come to.

Stage: decide (pure). Four outcomes, worst first: fail, blind, insufficient, pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from gitmesh.decide.measuring import Look
from gitmesh.decide.questions import anchor_of, judged_by
from gitmesh.decide.saying import blind_text, weighed_evidence
from gitmesh.decide.transitions import analysis_of, changed, judged_of, reaches_canary
from gitmesh.decide.weighing import Weighed, weigh
from gitmesh.model.analysis import Analysis, Response
from gitmesh.model.evidence import Judged
from gitmesh.model.metrics import Answer, MetricsFailure, Query
from gitmesh.model.rollout import Check, Count, Evidence, Outcome, RolloutRecord, Verdict

__all__ = ["MetricsFailure", "blind", "judge", "take_verdict"]

WORST_FIRST = (Outcome.FAIL, Outcome.BLIND, Outcome.INSUFFICIENT, Outcome.PASS)
CHECKS_KEPT = 5


def judge(record: RolloutRecord, answers: Mapping[Query, Answer], now: datetime) -> Check:
    """Judge every metric for every target of a rollout. A question without an answer is blind."""
    analysis = analysis_of(record)
    evidence: list[Evidence] = []
    counts: list[Count] = []
    for metric in judged_by(record, analysis) if analysis else ():
        for target in record.targets:
            assert analysis is not None
            found = Look(record, analysis, metric, target, answers, now).seen(len(evidence))
            if isinstance(found, Count):
                counts.append(found)
                found = Evidence(metric=metric.name, outcome=Outcome.INSUFFICIENT, target=target)
            evidence.append(found)
    since = anchor_of(record, now)
    check = Check(
        at=now,
        outcome=Outcome.PASS,
        evidence=tuple(evidence),
        since=since,
        rollout=record.started_at,
        counts=tuple(counts),
    )
    weighed = weigh(record, check)[1] if counts else ()
    return _with_weighed(check, weighed, analysis)


def blind(record: RolloutRecord, why: str, now: datetime) -> Check:
    """Return the check in which nothing could be seen at all."""
    analysis = analysis_of(record)
    names = [metric.name for metric in analysis.metrics] if analysis else []
    evidence = tuple(
        Evidence(metric=name, outcome=Outcome.BLIND, target=target, message=blind_text(why, target))
        for name in names
        for target in record.targets
    )
    return Check(at=now, outcome=Outcome.BLIND, evidence=evidence, since=now, rollout=record.started_at)


def _with_weighed(check: Check, weighed: Iterable[Weighed], analysis: Analysis | None) -> Check:
    """Return the check with the evidence that its counts come to."""
    evidence = list(check.evidence)
    for item in weighed:
        assert analysis is not None
        evidence[item.count.index] = weighed_evidence(item, analysis, check.at - check.since)
    return check.model_copy(update={"evidence": tuple(evidence), "outcome": _worst(evidence)})


def _worst(evidence: Iterable[Evidence]) -> Outcome:
    """Return the outcome that decides; without any evidence there is too little."""
    outcomes = {item.outcome for item in evidence}
    return next((outcome for outcome in WORST_FIRST if outcome in outcomes), Outcome.INSUFFICIENT)


def take_verdict(record: RolloutRecord, verdict: Verdict) -> RolloutRecord:
    """Take in a verdict, once: weigh what it counted, and count it if it failed.

    Ignored: one that was taken already, and one from before this rollout. One from before the present step
    may still count as a failure, for its requests were this canary's. A pass from then proves nothing for
    the step; it does end a row of failures, which keeps the step from going live.
    """
    analysis = analysis_of(record)
    if analysis is None or not record.targets or not record.phase.in_motion or not _is_news(record, verdict):
        return record
    judged = judged_of(record)
    weighed: tuple[Weighed, ...] = ()
    if isinstance(verdict, Check) and verdict.counts:
        judged, weighed = weigh(record, verdict)
        verdict = _with_weighed(verdict, weighed, analysis)
    failed = _counts_as_failed(analysis, verdict, weighed)
    if verdict.outcome is Outcome.INSUFFICIENT and not reaches_canary(record):
        failed = None  # nothing could be counted, which is nobody's fault
    before_step = record.effective_at is None or verdict.at < record.effective_at
    ends_row = failed is False and record.failed_checks > 0
    if before_step and not (failed or ends_row or weighed):
        return record
    recent = _recent(record, judged, analysis, failed)
    judged = judged.model_copy(
        update={"recent": recent, "condemned": judged.condemned or _condemned(verdict, weighed)}
    )
    return changed(
        record,
        verdict=Verdict(at=verdict.at, outcome=verdict.outcome, evidence=verdict.evidence),
        checks=_kept(record, verdict),
        judged=judged,
        failed_checks=sum(recent),
    )


def _is_news(record: RolloutRecord, verdict: Verdict) -> bool:
    if isinstance(verdict, Check):
        if verdict.rollout != record.started_at:
            return False  # by name and not by time: the clock may have been set back since
    elif record.started_at is not None and verdict.at < record.started_at:
        return False
    return record.verdict is None or verdict.at != record.verdict.at


def _counts_as_failed(analysis: Analysis, verdict: Verdict, weighed: tuple[Weighed, ...]) -> bool | None:
    """Say whether a check failed by what it shows by itself; None when it neither failed nor passed.

    What was weighed fails by evidence, and not by the number of checks; but it can lack requests.
    """
    outcome = verdict.outcome
    if weighed:
        indices = {item.count.index for item in weighed}
        others = [e for i, e in enumerate(verdict.evidence) if i not in indices]
        starved = any(not item.tally.last.requests for item in weighed)
        outcome = _worst(others) if others else Outcome.PASS
        outcome = Outcome.INSUFFICIENT if starved and outcome is Outcome.PASS else outcome
    match outcome:
        case Outcome.FAIL:
            return True
        case Outcome.INSUFFICIENT:
            return True if analysis.on_insufficient_data is Response.ROLL_BACK else None
        case Outcome.BLIND:
            return True if analysis.on_metrics_unavailable is Response.ROLL_BACK else None
        case Outcome.PASS:
            return False


def _recent(
    record: RolloutRecord, judged: Judged, analysis: Analysis, failed: bool | None
) -> tuple[bool, ...]:
    """Return the last checks that are looked at together. Where failures must be in a row, a pass ends it."""
    recent = judged.recent or (True,) * record.failed_checks  # a record of an older version has only these
    if failed is None:
        return recent
    in_a_row = analysis.checks == analysis.failures
    recent = (*recent, failed)[-analysis.checks :]
    return () if not any(recent) or (in_a_row and not failed) else recent


def _condemned(verdict: Verdict, weighed: tuple[Weighed, ...]) -> str:
    guilty = [item.count.index for item in weighed if item.outcome is Outcome.FAIL]
    return verdict.evidence[guilty[0]].message if guilty else ""


def _kept(record: RolloutRecord, verdict: Verdict) -> tuple[Verdict, ...]:
    began = record.started_at or verdict.at
    bare = tuple(item.model_copy(update={"query": ""}) for item in verdict.evidence)
    checks = [check for check in record.checks if check.at >= began]
    return (*checks, Verdict(at=verdict.at, outcome=verdict.outcome, evidence=bare))[-CHECKS_KEPT:]
