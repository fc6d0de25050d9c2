"""Tell people and the log what a pass did: one event for each thing that happened, none for what stayed.

Stage: engine (shell). What happened is noted when it happens, and told once there is time for it.
"""

from __future__ import annotations

from dataclasses import replace

from gitmesh.apply.executor import Applied
from gitmesh.decide.retarget import OVERRULED
from gitmesh.engine.memory import Moved, News, SourceMemory
from gitmesh.engine.notices import commit_status_of, of_fetch, of_move, of_news, of_rollout, of_status
from gitmesh.engine.ports import Ports
from gitmesh.engine.report import Source
from gitmesh.engine.rollout_keys import rollout_key
from gitmesh.model.diagnostic import Severity
from gitmesh.model.notice import CommitStatus, Notice, shortened
from gitmesh.model.plan import Change, ChangeKind, Refusal
from gitmesh.model.revert import RevertState
from gitmesh.model.rollout import Phase
from gitmesh.model.source import TrafficSourceStatus
from gitmesh.notify.repositories import without_login
from gitmesh.observe.live import LiveState
from gitmesh.validate.guardrails_plan import Note


async def tell(memory: SourceMemory, ports: Ports) -> None:
    """Write the events that were noted. What is interrupted goes on with the next pass."""
    while memory.news:
        news = memory.news[0]
        if not news.noticed:
            _notice(of_news(news, memory, _repository(memory, ports), ports.clock.now()), ports)
            memory.news[0] = news = replace(news, noticed=True)
        await ports.events.record(news.about, news.type, news.reason, news.message)
        memory.news.popleft()


def note_change(
    source: Source, memory: SourceMemory, applied: Applied, seen: LiveState, ports: Ports
) -> None:
    """Note one change of a plan; `seen` is what was live before it."""
    change = applied.change
    rollout = str(change.key) if rollout_key(change.key) in seen.rollouts else ""
    log = ports.log.bind(stage="apply", source=source.name, resource=str(change.key), rollout=rollout)
    if applied.error is not None:
        log.error("change refused", change=change.kind.value, error=str(applied.error))
        return
    ports.meters.changes.labels(change.kind.value).inc()
    ports.meters.drift.inc(change.drift)
    log.info("change applied", change=change.kind.value, reason=change.reason, drift=change.drift)
    if change.drift and applied.result is not None:
        by = ", ".join(dict.fromkeys(opponent.manager for opponent in change.opponents))
        text = _drift_message(change, by or seen.changed_by(change.key))
        memory.news.append(News(applied.result, "Warning", "DriftHealed", text))


def _drift_message(change: Change, by: str) -> str:
    if change.kind is ChangeKind.CREATE:
        return "was deleted from the cluster; applied again as Git says"
    who = f" (changed by {by})" if by else ""
    fields = ", ".join(".".join(str(p) for p in f.path) for f in change.fields[:3])
    more = f" and {len(change.fields) - 3} more" if len(change.fields) > 3 else ""
    return f"live differed from Git in {fields}{more}{who}; applied again as Git says"


def note_refusals(source: Source, memory: SourceMemory, refusals: tuple[Refusal, ...], ports: Ports) -> None:
    """Note once on each object that is live why it is not written."""
    log = ports.log.bind(stage="plan", source=source.name)
    live = ports.live.snapshot().resources
    for refusal in refusals:
        if refusal in memory.refused or refusal.key is None:
            continue
        log.warning("refused", resource=str(refusal.key), cause=refusal.cause, reason=refusal.reason)
        if refusal.key in live:
            text = f"not changed: {refusal.reason}; {refusal.hint}"
            memory.news.append(News(live[refusal.key], "Warning", refusal.cause, text))
    memory.refused = frozenset(refusals)


def note_guardrails(source: Source, memory: SourceMemory, notes: tuple[Note, ...], ports: Ports) -> None:
    """Note once what guardrails say of plans without refusing them; each step of a rollout is a plan."""
    log = ports.log.bind(stage="plan", source=source.name)
    for note in notes:
        if note in memory.notes:
            continue
        is_warning = note.severity is Severity.WARNING
        (log.warning if is_warning else log.info)("guardrail", said=note.message)
        kind = "Warning" if is_warning else "Normal"
        memory.news.append(News(source.resource, kind, "Guardrail", note.message))
    memory.notes = notes or memory.notes


def note_move(item: Moved, memory: SourceMemory, ports: Ports) -> None:
    """Note where a rollout has gone, if it has, and who paused it."""
    _note_pause(item, memory, ports)
    _note_overruling(item, memory, ports)
    _note_revert(item, memory, ports)
    _notice(_notice_of_move(item, memory, ports), ports)
    if not _is_news(item):
        return
    after = item.after
    log = ports.log.bind(stage="decide", source=after.source, rollout=str(item.key), revision=after.revision)
    log.info(
        "rollout moved",
        phase=after.phase.value,
        progress=after.progress,
        weights=after.weights,
        reason=after.message,
    )
    ports.meters.rollbacks.inc(after.phase is Phase.ROLLED_BACK)
    about = ports.live.snapshot().resources.get(item.key)
    if about is not None and after.phase is not Phase.WAITING:
        memory.news.append(News(about, *_move_event(item), noticed=True))


def _note_pause(item: Moved, memory: SourceMemory, ports: Ports) -> None:
    before, after = item.before.suspended if item.before else "", item.after.suspended
    about = ports.live.snapshot().resources.get(item.key)
    if before == after or about is None:
        return
    words = [entry.message for entry in item.after.history if entry.message.startswith("resumed")]
    said = after or (words[-1] if words else "resumed")
    reason = "Paused" if after else "Resumed"
    _notice(_about_rollout(item, reason, said, memory, ports), ports)
    memory.news.append(News(about, "Normal", reason, said, noticed=True))


def _note_overruling(item: Moved, memory: SourceMemory, ports: Ports) -> None:
    """Note who let a rollout past its windows: that is for everybody to see, who set them."""
    before = item.before.overruled if item.before else ""
    about = ports.live.snapshot().resources.get(item.key)
    words = [entry.message for entry in item.after.history if entry.message.startswith(OVERRULED)]
    if not item.after.overruled or item.after.overruled == before or about is None or not words:
        return
    _notice(_about_rollout(item, "Overruled", words[-1], memory, ports, warns=True), ports)
    memory.news.append(News(about, "Warning", "Overruled", words[-1], noticed=True))


def _note_revert(item: Moved, memory: SourceMemory, ports: Ports) -> None:
    before, after = item.before.revert if item.before else None, item.after.revert
    about = ports.live.snapshot().resources.get(item.key)
    if after is None or about is None or (before is not None and before.message == after.message):
        return
    done = after.state is RevertState.DONE
    reason = "Reverted" if done else f"Revert{after.state.value}"
    _notice(_about_rollout(item, reason, after.message, memory, ports, warns=not done), ports)
    memory.news.append(News(about, "Normal" if done else "Warning", reason, after.message, noticed=True))


def _about_rollout(
    item: Moved, event: str, said: str, memory: SourceMemory, ports: Ports, *, warns: bool = False
) -> Notice:
    repository, now = _repository(memory, ports), ports.clock.now()
    return of_rollout(item, event, said, repository, now, warns=warns)


def _notice_of_move(item: Moved, memory: SourceMemory, ports: Ports) -> Notice | None:
    """Return what to tell of a rollout; on beginning to work, also of one that has not moved."""
    repository, now = _repository(memory, ports), ports.clock.now()
    notice = of_move(item, repository, now)
    if notice is None and item.key not in memory.runs_told:
        notice = of_move(item, repository, now, again=True)
    memory.runs_told.add(item.key)
    return notice


def _notice(item: Notice | CommitStatus | None, ports: Ports) -> None:
    if item is not None and ports.notices is not None:
        ports.notices.tell(item)


def _repository(memory: SourceMemory, ports: Ports) -> str:
    resource = ports.live.snapshot().sources.get(memory.key)
    return without_login(str(resource.spec.get("url", ""))) if resource else ""


def _is_news(item: Moved) -> bool:
    before, after = item.before, item.after
    if before is None:
        return after.phase is not Phase.SUCCEEDED
    was, now = ((r.phase, r.step, r.canary_hash) for r in (before, after))
    return was != now


def _move_event(item: Moved) -> tuple[str, str, str]:
    after = item.after
    if after.phase is Phase.ROLLED_BACK:
        return "Warning", "RolledBack", after.message
    if after.phase is Phase.SUCCEEDED:
        return "Normal", "RolloutSucceeded", after.message
    return "Normal", "RolloutStep", f"{after.progress:g} % of the way to {after.revision}: {after.weights}"


def note_status(source: Source, memory: SourceMemory, status: TrafficSourceStatus, ports: Ports) -> None:
    """Note what Ready says, when it says something new. Call it once the status is stored."""
    _notice(commit_status_of(source, status), ports)
    before = next((c for c in source.status.conditions if c.type == "Ready"), None)
    after = next(c for c in status.conditions if c.type == "Ready")
    is_old = before is not None and (before.reason, before.message) == (after.reason, after.message)
    _note_status_beyond(source, memory, status, ports, is_old=is_old)
    if is_old:
        return
    if after.reason in ("Progressing", "Verifying"):  # each step has its own event, on the VirtualService
        return
    log = ports.log.bind(stage="engine", source=source.name, revision=shortened(status.fetched_revision))
    (log.warning if after.status == "False" else log.info)(after.message, reason=after.reason)
    kind = "Warning" if after.status == "False" else "Normal"
    memory.news.append(News(source.resource, kind, after.reason, after.message, noticed=True))


def _note_status_beyond(
    source: Source, memory: SourceMemory, status: TrafficSourceStatus, ports: Ports, *, is_old: bool
) -> None:
    """Tell people beside the cluster; on beginning to work, also what has not changed."""
    first, told = memory.accepted_told is None, memory.accepted_told
    if first:
        told = source.status.accepted_revision
    if is_old and not first and told == status.accepted_revision:
        return
    memory.accepted_told = status.accepted_revision
    for notice in of_status(source, told or "", status, ports.clock.now(), again=first and is_old):
        _notice(notice, ports)


def note_fetch(source: Source, error: str, failures: int, ports: Ports) -> None:
    """Tell people beside the cluster that fetching has failed for some time, or works again."""
    _notice(of_fetch(source, error, failures, ports.clock.now()), ports)
