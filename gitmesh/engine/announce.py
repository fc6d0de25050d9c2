"""Tell people and the log what a pass did: one event for each thing that happened, none for what stayed.

Stage: engine (shell).
"""

from __future__ import annotations

from gitmesh.apply.executor import Applied
from gitmesh.engine.memory import SourceMemory
from gitmesh.engine.ports import Ports
from gitmesh.engine.report import PassReport, Source
from gitmesh.engine.rollouts import Moved, rolled_back_now
from gitmesh.model.plan import Change, ChangeKind
from gitmesh.model.rollout import Advance, Finish, Phase
from gitmesh.model.source import TrafficSourceStatus
from gitmesh.observe.live import LiveState


async def announce(
    source: Source,
    memory: SourceMemory,
    report: PassReport,
    status: TrafficSourceStatus,
    seen: LiveState,
    ports: Ports,
) -> None:
    """Write events and log lines for what this pass did; `seen` is what was live when it began."""
    for applied in report.applied:
        by = seen.changed_by(applied.change.key)
        await _announce_change(source, applied, by, ports)
    for item in report.moved:
        await _announce_move(source, item, ports)
    await _announce_source(source, memory, status, ports)


async def _announce_change(source: Source, applied: Applied, by: str, ports: Ports) -> None:
    change = applied.change
    log = ports.log.bind(stage="apply", source=source.name, resource=str(change.key))
    if applied.error is not None:
        log.error("change refused", change=change.kind.value, error=str(applied.error))
        return
    ports.meters.changes.labels(change.kind.value).inc()
    ports.meters.drift.inc(change.drift)
    log.info("change applied", change=change.kind.value, reason=change.reason, drift=change.drift)
    if change.drift and applied.result is not None:
        await ports.events.record(applied.result, "Warning", "DriftHealed", _drift_message(change, by))


def _drift_message(change: Change, by: str) -> str:
    if change.kind is ChangeKind.CREATE:
        return "was deleted from the cluster; applied again as Git says"
    who = f" (changed by {by})" if by else ""
    fields = ", ".join(".".join(str(p) for p in f.path) for f in change.fields[:3])
    more = f" and {len(change.fields) - 3} more" if len(change.fields) > 3 else ""
    return f"live differed from Git in {fields}{more}{who}; applied again as Git says"


async def _announce_move(source: Source, item: Moved, ports: Ports) -> None:
    before, after = item.before, item.after
    moved_on = before is None or (before.phase, before.step, before.canary_hash) != (
        after.phase,
        after.step,
        after.canary_hash,
    )
    if not moved_on or (before is None and after.phase is Phase.SUCCEEDED):
        return
    log = ports.log.bind(stage="decide", source=source.name, rollout=str(item.key), revision=after.revision)
    log.info(
        "rollout moved",
        phase=after.phase.value,
        progress=after.progress,
        weights=after.weights,
        reason=after.message,
    )
    about = ports.live.snapshot().resources.get(item.key)
    if about is None:
        return
    if rolled_back_now(item):
        ports.meters.rollbacks.inc()
        await ports.events.record(about, "Warning", "RolledBack", after.message)
    elif after.phase is Phase.SUCCEEDED:
        await ports.events.record(about, "Normal", "RolloutSucceeded", after.message)
    elif isinstance(item.decision, Advance | Finish) or after.phase.in_motion:
        text = f"{after.progress:g} % of the way to {after.revision}: {after.weights}"
        await ports.events.record(about, "Normal", "RolloutStep", text)


async def _announce_source(
    source: Source, memory: SourceMemory, status: TrafficSourceStatus, ports: Ports
) -> None:
    before = next((c for c in source.status.conditions if c.type == "Ready"), None)
    after = next(c for c in status.conditions if c.type == "Ready")
    if before is not None and (before.reason, before.message) == (after.reason, after.message):
        return
    if after.reason == "Progressing":  # each step has its own event, on the VirtualService
        return
    log = ports.log.bind(stage="engine", source=source.name, revision=status.fetched_revision)
    (log.warning if after.status == "False" else log.info)(after.message, reason=after.reason)
    kind = "Warning" if after.status == "False" else "Normal"
    await ports.events.record(source.resource, kind, after.reason, after.message)
