"""What people are told: notices and commit statuses, made of what a pass saw.

Stage: engine (pure).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime

from gitmesh.decide.transitions import dwell
from gitmesh.engine.memory import Moved, News, SourceMemory
from gitmesh.engine.report import Source
from gitmesh.model.notice import (
    FINDINGS_MAX,
    CommitState,
    CommitStatus,
    Importance,
    Notice,
    RolloutView,
    shortened,
)
from gitmesh.model.rollout import Hold, Outcome, Phase, RolloutRecord
from gitmesh.model.source import Condition, TrafficSourceStatus
from gitmesh.notify.repositories import without_login

BLIND_CHECKS = 3  # in a row, before people are told
_NOT_TOLD = frozenset(
    {"Progressing", "Verifying", "Fetching", "RolledBack", "FetchFailed"}
)  # others tell of these
_UNJUDGED = frozenset(  # nothing about the commit
    {"FetchFailed", "Suspended", "InvalidSpec", "Fetching", "Fight", "Drifted"}
    | {"Deleting", "DeletionFailed", "DeletionRefused"}
)
_NOT_YET = frozenset({"AwaitingApproval", "DependencyNotReady"})  # the newest commit is to be let through yet
_KEPT_OUT = frozenset({"HistoryRewritten", "VerificationFailed"})  # the newest commit is not to be trusted
_UNEVENTFUL = (Outcome.INSUFFICIENT, Outcome.BLIND)


def of_news(news: News, memory: SourceMemory, repository: str, now: datetime) -> Notice:
    """Return the notice of an event that says all there is to say."""
    key = news.about.key
    return Notice(
        event=news.reason,
        importance=Importance.WARNING if news.type == "Warning" else Importance.INFO,
        source=f"{memory.key.namespace}/{memory.key.name}",
        about=key.path,
        namespace=key.namespace,
        message=news.message,
        at=now,
        since=now,
        revision=memory.desired.revision.id if memory.desired else "",
        repository=repository,
    )


def of_move(item: Moved, repository: str, now: datetime, *, again: bool = False) -> Notice | None:
    """Return the notice of a rollout that has gone somewhere, or is held for want of evidence."""
    before, after = item.before, item.after
    event = _event_of(before, after)
    if again:
        event = "RolloutStep" if after.phase.in_motion else ""
    if not event and _is_held(item, now):
        event = "RolloutHeld"
    if not event:
        return None
    held = after.verdict.outcome.value if event == "RolloutHeld" and after.verdict else ""
    return of_rollout(item, event, after.message, repository, now, same=held or "moved", again=again)


def of_rollout(
    item: Moved,
    event: str,
    message: str,
    repository: str,
    now: datetime,
    *,
    same: str = "",
    again: bool = False,
    warns: bool = False,
) -> Notice:
    """Return a notice about a rollout, with where it stands."""
    record = item.after
    return Notice(
        event=event,
        importance=Importance.WARNING if warns else _IMPORTANCE.get(event, Importance.INFO),
        source=record.source,
        about=item.key.path,
        namespace=item.key.namespace,
        message=message,
        at=now,
        since=record.entered_at or now,
        revision=record.revision,
        repository=repository,
        same=same,
        subject="rollout",
        again=again,
        rollout=view_of(item),
    )


def view_of(item: Moved) -> RolloutView:
    """Return where a rollout stands."""
    record = item.after
    began = record.started_at or record.entered_at
    name = f"{record.source}\n{item.key.path}\n{began.isoformat() if began else record.canary_hash}"
    return RolloutView(
        run=hashlib.sha256(name.encode()).hexdigest()[:32],
        phase=record.phase.value,
        progress=record.progress,
        weights=record.weights,
        step=record.step,
        steps=record.steps,
        policy=record.policy,
    )


_IMPORTANCE = {
    "RolloutStep": Importance.PROGRESS,
    "RolledBack": Importance.ERROR,
    "RolloutHeld": Importance.WARNING,
}


def _event_of(before: RolloutRecord | None, after: RolloutRecord) -> str:
    if before is not None:
        was, now = ((r.phase, r.step, r.canary_hash) for r in (before, after))
        if was == now:
            return ""
    if after.phase is Phase.ROLLED_BACK:
        return "RolledBack"
    if after.phase is Phase.SUCCEEDED:
        return "RolloutSucceeded" if before is not None else ""
    if not after.phase.in_motion:
        return ""  # what waits is told of with its source
    anew = before is None or not before.phase.in_motion or before.started_at != after.started_at
    return "RolloutStarted" if anew else "RolloutStep"


def _is_held(item: Moved, now: datetime) -> bool:
    """Say whether nothing but evidence is missing to go on, or the metrics are away for several checks."""
    after = item.after
    if not after.phase.in_motion or after.verdict is None or after.verdict.outcome not in _UNEVENTFUL:
        return False
    last = [check.outcome for check in after.checks[-BLIND_CHECKS:]]
    if last == [Outcome.BLIND] * BLIND_CHECKS:
        return True
    over = after.effective_at is not None and now >= after.effective_at + dwell(after)
    return over and isinstance(item.decision, Hold)


def of_status(
    source: Source, told: str, status: TrafficSourceStatus, now: datetime, *, again: bool = False
) -> Iterator[Notice]:
    """Yield the notices of what a status says anew; `told` is the accepted revision that was told last."""
    repository = without_login(source.spec.url)
    accepted, ready = status.accepted_revision, _ready(status)
    if accepted != told:
        text = f"{shortened(accepted)} has no errors and is to be applied"
        yield _about_source(
            source,
            "RevisionAccepted",
            Importance.PROGRESS,
            text,
            accepted,
            repository,
            now,
            again=again,
            subject="revision",
        )
    if ready.reason in _NOT_TOLD:
        return
    refused = ready.reason == "ValidationFailed"
    findings = tuple(f"{f.at + ': ' if f.at else ''}{f.code} {f.message}" for f in status.findings)
    yield _about_source(
        source,
        "RevisionRefused" if refused else ready.reason,
        _importance(ready, status),
        ready.message,
        _revision_of(ready, status),
        repository,
        now,
        since=ready.last_transition_time,
        findings=findings[:FINDINGS_MAX] if refused else (),
        again=again,
        subject="revision" if refused else "ready",
    )


def of_fetch(source: Source, error: str, failures: int, now: datetime) -> Notice:
    """Return the notice that a repository cannot be fetched, or, without an error, that it can again."""
    event = "FetchFailed" if error else "FetchRecovered"
    importance = Importance.ERROR if error else Importance.INFO
    message = f"{error} ({failures} times in a row)" if error else "the repository is fetched again"
    return _about_source(
        source,
        event,
        importance,
        message,
        source.status.accepted_revision,
        without_login(source.spec.url),
        now,
        same=event,
        subject="fetch",
    )


def commit_status_of(source: Source, status: TrafficSourceStatus) -> CommitStatus | None:
    """Return what to say of a commit where its repository is; None when nothing is known of it."""
    ready = _ready(status)
    commit = _revision_of(ready, status).rpartition("@")[2]
    if not commit or ready.reason in _UNJUDGED:
        return None
    if ready.status == "True":
        state = CommitState.SUCCESS
    elif ready.reason in _NOT_YET:
        state = CommitState.PENDING
    elif any(c.type == "Stalled" for c in status.conditions):
        state = CommitState.FAILURE
    else:
        state = CommitState.PENDING
    return CommitStatus(source.name, without_login(source.spec.url), commit, state, ready.message)


def _revision_of(ready: Condition, status: TrafficSourceStatus) -> str:
    """Return the revision that a condition is about."""
    if ready.reason in _KEPT_OUT:
        return status.fetched_revision
    if ready.reason == "ValidationFailed" or ready.reason in _NOT_YET:
        return status.last_attempted_revision
    return status.accepted_revision


def _about_source(
    source: Source,
    event: str,
    importance: Importance,
    message: str,
    revision: str,
    repository: str,
    now: datetime,
    *,
    since: datetime | None = None,
    findings: tuple[str, ...] = (),
    same: str = "",
    subject: str = "",
    again: bool = False,
) -> Notice:
    key = source.resource.key
    return Notice(
        event=event,
        importance=importance,
        source=source.name,
        about=key.path,
        namespace=key.namespace,
        message=message,
        at=now,
        since=since or now,
        revision=revision,
        repository=repository,
        same=same,
        subject=subject,
        again=again,
        findings=findings,
    )


def _importance(ready: Condition, status: TrafficSourceStatus) -> Importance:
    if ready.status == "False":
        stalled = any(c.type == "Stalled" for c in status.conditions)
        return Importance.ERROR if stalled else Importance.WARNING
    return Importance.PROGRESS if ready.reason == "Waiting" else Importance.INFO


def _ready(status: TrafficSourceStatus) -> Condition:
    return next(c for c in status.conditions if c.type == "Ready")
