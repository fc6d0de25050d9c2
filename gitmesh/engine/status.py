"""The status of a TrafficSource after a pass: conditions, revisions, inventory, findings.

Stage: engine (pure).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import ValidationError

from gitmesh.engine.contests import fights_of
from gitmesh.engine.effects import effects_of
from gitmesh.engine.health import in_effect_condition, in_short, is_measuring, not_in_effect
from gitmesh.engine.holding import approval_of
from gitmesh.engine.memory import Sorted, SourceMemory
from gitmesh.engine.report import PassReport, Source
from gitmesh.model.config import Config
from gitmesh.model.diagnostic import Diagnostic, Severity, has_errors
from gitmesh.model.plan import PRUNE_FAILED, Refusal, Skipped, SkipReason
from gitmesh.model.resource import Resource
from gitmesh.model.rollout import Phase
from gitmesh.model.source import Condition, Finding, Refused, TrafficSourceStatus
from gitmesh.model.standing import HeldPlan, SkippedObject
from gitmesh.observe.live import LiveState
from gitmesh.plan.diff import format_path

FIELDS_MAX = 10

TEXT_MAX = 1_000  # characters of one reason: webhooks may say anything

NAMED_MAX = 10  # rollouts in the message of a condition
Truth = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What Ready says, and whether we are still working on it or stuck until a person acts."""

    ready: Truth
    reason: str
    message: str
    reconciling: bool = False
    stalled: bool = False


def status_of(
    source: Source,
    memory: SourceMemory,
    report: PassReport,
    live: LiveState,
    config: Config,
    now: datetime,
) -> TrafficSourceStatus:
    """Return the new status. Equal worlds give equal statuses: nothing is written when nothing changed."""
    if _knows_nothing_new(source, memory, report):
        return _with_inventory(source.status, source, memory, report, live)
    verdict = _verdict(source, memory, report, live)
    generation = int(source.resource.metadata.get("generation") or 0)
    applied = source.status.last_applied_revision
    if report.complete and memory.desired is not None and not source.spec.suspend:
        applied = memory.desired.revision.id
    judged = memory.fetched.id if memory.fetched else source.status.fetched_revision
    accepted = memory.desired.revision if memory.desired else None
    status = TrafficSourceStatus(
        observed_generation=generation,
        conditions=(
            *conditions_of(verdict, source.status, generation, now),
            *in_effect_condition(source, memory, live, now),
        ),
        fetched_revision=memory.withheld.revision if memory.withheld else judged,
        last_attempted_revision=judged if memory.judged else source.status.last_attempted_revision,
        accepted_revision=accepted.id if accepted else source.status.accepted_revision,
        accepted_url=accepted.url if accepted else source.status.accepted_url,
        **_signed(source, memory),
        last_applied_revision=applied,
        last_handled_sync=report.handled_sync or source.status.last_handled_sync,
        worker=source.status.worker,
        inventory=source.status.inventory,
        packed_inventory=source.status.packed_inventory,
        findings=tuple(_finding(d) for d in _sorted(memory).findings[: config.findings_max]),
        held_plan=_held(source, memory),
        approval=approval_of(source, memory),
        skipped=tuple(_skipped(s) for s in report.skipped[: config.findings_max]),
        effects=effects_of(memory)[: config.findings_max],
        refusals=tuple(_refused(r) for r in report.refusals[: config.findings_max]),
    )
    return _with_inventory(status, source, memory, report, live)


def _signed(source: Source, memory: SourceMemory) -> dict[str, str]:
    """Return what the status keeps of signatures; nothing where none is demanded."""
    if source.spec.verify is None:
        return {}
    if memory.signed is not None:
        return {"verified_revision": memory.signed.revision, "verified_by": memory.signed.by}
    status = source.status
    return {"verified_revision": status.verified_revision, "verified_by": status.verified_by}


def _held(source: Source, memory: SourceMemory) -> HeldPlan | None:
    """Return the plan that waits; until the first fetch, what the daemon before this one said of it."""
    return memory.held or (source.status.held_plan if memory.fetched is None else None)


def _skipped(skipped: Skipped) -> SkippedObject:
    return SkippedObject(
        resource=str(skipped.key),
        why=skipped.why.value,
        message=skipped.text,
        fields=tuple(format_path(field.path) for field in skipped.fields[:FIELDS_MAX]),
    )


def _knows_nothing_new(source: Source, memory: SourceMemory, report: PassReport) -> bool:
    """Say whether this daemon has just begun: until its first fetch, what the one before it said stands."""
    began = memory.fetched is None and memory.withheld is None and not memory.fetch_error
    return began and bool(source.status.conditions) and not (report.errors or report.refusals)


def worst_first(findings: tuple[Diagnostic, ...]) -> list[Diagnostic]:
    """Sort errors before warnings before notes, and each by place."""
    order = [Severity.ERROR, Severity.WARNING, Severity.INFO]
    return sorted(findings, key=lambda d: (order.index(d.severity), str(d.at)))


def _sorted(memory: SourceMemory) -> Sorted:
    """Sort the findings once, and not in each pass: there may be as many as objects."""
    known = memory.sorted
    if known is None or known.of is not memory.findings:
        found = tuple(worst_first(memory.findings))
        known = memory.sorted = Sorted(memory.findings, found, has_errors(found))
    return known


def _verdict(source: Source, memory: SourceMemory, report: PassReport, live: LiveState) -> Verdict:
    rolled_back = [m for m in report.moved if m.after.phase is Phase.ROLLED_BACK]
    in_motion = [m for m in report.moved if m.after.phase.in_motion]
    if report.errors and report.prune_failed:
        text = f"{report.errors[0]}; it is in Git no more, stays in the inventory, and is tried again"
        return Verdict("False", PRUNE_FAILED, text, reconciling=True)
    if report.errors:
        return Verdict("False", "ApplyFailed", report.errors[0], reconciling=True)
    if _sorted(memory).has_errors:
        return Verdict("False", "ValidationFailed", _validation_message(memory), stalled=True)
    if memory.withheld is not None:
        return Verdict("False", memory.withheld.reason, memory.withheld.message, stalled=True)
    if memory.held is not None:
        return Verdict("False", "AwaitingApproval", _held_message(memory, memory.held), stalled=True)
    if memory.waits is not None and _has_to_wait(memory, report):
        text = f"{memory.waits.message}; nothing goes forward until then"
        cycle = memory.waits.is_cycle
        return Verdict("False", memory.waits.reason, text, reconciling=not cycle, stalled=cycle)
    if report.refusals:
        first = report.refusals[0]
        about = f"{first.key}: " if first.key else ""
        more = f" (and {len(report.refusals) - 1} more)" if len(report.refusals) > 1 else ""
        return Verdict("False", first.cause, f"{about}{first.reason}; {first.hint}{more}", stalled=True)
    if memory.fetch_error:
        return Verdict("False", "FetchFailed", memory.fetch_error, reconciling=True)
    if rolled_back:
        first_back = rolled_back[0]
        text = f"{first_back.key} is rolled back: {first_back.after.message}"
        return Verdict("False", "RolledBack", text, stalled=True)
    if source.spec.suspend:
        return Verdict("Unknown", "Suspended", "spec.suspend is true: nothing moves forward")
    if memory.desired is None:
        return Verdict("Unknown", "Fetching", f"waiting for the first fetch of {source.spec.ref}", True)
    if in_motion:
        text = _listed([f"{m.key} {m.after.phase.value} {m.after.progress:g} %" for m in in_motion])
        return Verdict("Unknown", "Progressing", text, reconciling=True)
    if waiting := [m for m in report.moved if m.after.phase is Phase.WAITING]:
        text = _listed([f"{m.key} waits: {m.after.message}" for m in waiting])
        return Verdict("Unknown", "Waiting", text, reconciling=True)
    if not report.complete:
        return Verdict("Unknown", "Progressing", "applying", reconciling=True)
    return _at_rest(source, memory, report, live, f"applied {memory.desired.revision.short}")


def _has_to_wait(memory: SourceMemory, report: PassReport) -> bool:
    """Say whether there is anything that a dependency keeps from going forward."""
    assert memory.waits is not None
    under_way = any(m.after.phase.in_motion or m.after.phase is Phase.WAITING for m in report.moved)
    return memory.waits.is_cycle or memory.candidate is not None or under_way


def _listed(texts: list[str]) -> str:
    """Name some of many: a condition is read in one line, and rewritten with each step of each of them."""
    more = f" and {len(texts) - NAMED_MAX} more" if len(texts) > NAMED_MAX else ""
    return ", ".join(texts[:NAMED_MAX]) + more


def _at_rest(
    source: Source, memory: SourceMemory, report: PassReport, live: LiveState, applied: str
) -> Verdict:
    """Say whether what Git says is live, when nothing is left to be done."""
    if fights := fights_of(memory):
        found = [Skipped(key, SkipReason.FIGHT, contest.text) for key, contest in fights.items()]
        return Verdict("False", "Fight", f"{applied}, but {_and_more(found)}", stalled=True)
    if drifted := [s for s in report.skipped if s.why.is_drift]:
        return Verdict("False", "Drifted", f"{applied}, but {_and_more(drifted)}", stalled=True)
    if later := [s for s in report.skipped if s.why is SkipReason.NOT_NOW]:
        return Verdict("Unknown", "Waiting", f"{applied}, but {_and_more(later)}", reconciling=True)
    if idle := not_in_effect(source, memory, live):
        return Verdict("False", "NotInEffect", f"{applied}, but {in_short(idle)}", reconciling=True)
    if is_measuring(memory):
        return Verdict("Unknown", "Verifying", f"{applied}; measuring whether it is in effect", True)
    if left := [s for s in report.skipped if s.why is SkipReason.RECONCILE_DISABLED]:
        return Verdict("True", "Applied", f"{applied}; left alone: {_and_more(left)}")
    return Verdict("True", "Applied", applied)


def _and_more(skipped: list[Skipped]) -> str:
    more = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
    return f"{skipped[0].key}: {skipped[0].text}{more}"


def _held_message(memory: SourceMemory, held: HeldPlan) -> str:
    branch, _, commit = held.revision.rpartition("@")
    stays = f"{memory.desired.revision.short} stays" if memory.desired else "nothing is applied"
    return (
        f"{branch}@{commit[:7]} waits for a person, {stays}: {held.reason}; "
        f"if it is meant, `gitmesh approve {held.hash}` lets exactly this through"
    )


def _validation_message(memory: SourceMemory) -> str:
    errors = [d for d in memory.findings if d.severity is Severity.ERROR]
    revision = memory.fetched.short if memory.fetched else ""
    kept = f"; {memory.desired.revision.short} stays" if memory.desired else "; nothing is applied"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{revision} has {len(errors)} error{'s' if len(errors) > 1 else ''}{kept}: {errors[0]}{more}"


def conditions_of(
    verdict: Verdict, before: TrafficSourceStatus, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Return a verdict as conditions; one that says the same as before keeps its time."""
    old = {c.type: c for c in before.conditions}

    def condition(type: Literal["Ready", "Reconciling", "Stalled"], status: Truth) -> Condition:
        last = old.get(type)
        since = last.last_transition_time if last and last.status == status else now
        return Condition(
            type=type,
            status=status,
            reason=verdict.reason,
            message=verdict.message,
            last_transition_time=since,
            observed_generation=generation,
        )

    conditions = [condition("Ready", verdict.ready)]
    if verdict.reconciling:
        conditions.append(condition("Reconciling", "True"))
    if verdict.stalled:
        conditions.append(condition("Stalled", "True"))
    return tuple(conditions)


def _with_inventory(
    status: TrafficSourceStatus, source: Source, memory: SourceMemory, report: PassReport, live: LiveState
) -> TrafficSourceStatus:
    """Take over what is owned now. To pack it costs more than all the rest, and it changes seldom."""
    owned, before = live.owned_by(source.name), source.inventory
    known = memory.inventoried
    if known is not None and known[0] is owned and known[1] is before:
        return status
    if not report.complete:
        owned |= before
    if owned != before:
        return status.owning(owned)
    if report.complete:
        memory.inventoried = owned, before
    return status


def _refused(refusal: Refusal) -> Refused:
    return Refused(
        resource=str(refusal.key or ""),
        cause=refusal.cause,
        reason=refusal.reason[:TEXT_MAX],
        hint=refusal.hint[:TEXT_MAX],
    )


def _finding(diagnostic: Diagnostic) -> Finding:
    return Finding(
        code=diagnostic.code,
        severity=diagnostic.severity.value,
        message=diagnostic.message,
        hint=diagnostic.hint,
        at=str(diagnostic.at) if diagnostic.at else "",
    )


def invalid_status(resource: Resource, problem: str, now: datetime) -> TrafficSourceStatus:
    """Return the status of a TrafficSource whose own spec makes no sense; the rest of it stays as it was."""
    try:
        before = TrafficSourceStatus.model_validate(resource.body.get("status") or {}, extra="ignore")
    except ValidationError:
        before = TrafficSourceStatus()
    generation = int(resource.metadata.get("generation") or 0)
    verdict = Verdict("False", "InvalidSpec", problem, stalled=True)
    return before.model_copy(
        update={
            "observed_generation": generation,
            "conditions": conditions_of(verdict, before, generation, now),
        }
    )
