"""Which revision is let through: one that would do too much at once waits until a person approves it.

Stage: plan (called by the pass). Until then the revision before it stays desired, healed and guarded, and its
rollouts go on. See docs/decisions/0015.
"""

from __future__ import annotations

from dataclasses import dataclass

from gitmesh.apply.records import write_source_status
from gitmesh.engine.memory import Desired, News, SourceMemory
from gitmesh.engine.ports import Ports
from gitmesh.engine.report import Source
from gitmesh.model.intent import WORDS_MAX
from gitmesh.model.kinds import TRAFFIC_SOURCE
from gitmesh.model.plan import Plan
from gitmesh.model.source import APPROVE_ANNOTATION, APPROVED_BY_ANNOTATION
from gitmesh.model.standing import Approval, HeldPlan
from gitmesh.observe.live import LiveState

OBJECTS_MAX = 20


@dataclass(frozen=True, slots=True)
class Request:
    """What a person has approved: the hash of a plan, with who and why."""

    plan: str
    by: str
    why: str


def request_of(source: Source, live: LiveState) -> Request | None:
    """Return the approval that the annotations of a TrafficSource ask for."""
    annotations = live.sources.get(source.resource.key, source.resource).annotations
    plan, _, why = annotations.get(APPROVE_ANNOTATION, "").strip().partition(" ")
    if not plan:
        return None
    by = annotations.get(APPROVED_BY_ANNOTATION, "") or live.changed_by(source.resource.key)
    return Request(plan, by[:WORDS_MAX], why.strip()[:WORDS_MAX])


def approval_of(source: Source, memory: SourceMemory) -> Approval | None:
    """Return the last approval, as it is known now."""
    return memory.approval or source.status.approval


async def may_go(source: Source, memory: SourceMemory, wanted: Desired, plan: Plan, ports: Ports) -> bool:
    """Say whether the plan of a revision may be carried out, and hold it otherwise.

    An approval is for this moment: it lets exactly its plan through, and is void as soon as there is another.
    It is in the status before its annotation is taken away, so that it is neither lost nor used twice. Raises
    ClusterError when one of the two cannot be written: then it is not used yet.
    """
    request = request_of(source, ports.live.snapshot())
    asks = any(not change.stands for change in plan.changes())  # else there is nothing to be approved
    if request is not None and asks:
        used = _is_used(source, memory, request)
        if request.plan == plan.hash and not used:
            _approve(source, memory, request, wanted, ports)
        if request.plan == plan.hash:
            await _write_down(source, memory, ports)
        await _take_away(source, ports)
        if request.plan != plan.hash and not used:
            _void(source, memory, request, plan, ports)
    if plan.excess is None or _is_approved(source, memory, wanted):
        memory.held = None
        return True
    memory.held = _held(source, memory, wanted, plan, ports)
    return False


def let_through(source: Source, memory: SourceMemory, wanted: Desired) -> None:
    """Make a revision the desired one. What was approved before it is not approved any more."""
    if not _is_approved(source, memory, wanted):
        close_approval(source, memory)
    memory.applied = settled_before(memory)
    memory.desired, memory.candidate = wanted, None


def settled_before(memory: SourceMemory) -> Desired | None:
    """Return the revision against which another one's drift can be told; None when what was desired last is
    live in part only: then a difference may be what that one left."""
    return memory.applied if memory.applied is memory.desired else None


def close_approval(source: Source, memory: SourceMemory) -> None:
    """Note that an approval is used up."""
    approval = approval_of(source, memory)
    if approval is not None and approval.open:
        memory.approval = approval.model_copy(update={"open": False})


def _is_approved(source: Source, memory: SourceMemory, wanted: Desired) -> bool:
    approval = approval_of(source, memory)
    return approval is not None and approval.open and approval.content == wanted.content


def _is_used(source: Source, memory: SourceMemory, request: Request) -> bool:
    """Say whether this is the approval that was used last, and only could not be taken away."""
    approval = approval_of(source, memory)
    return approval is not None and approval.open and approval.plan == request.plan


def _approve(source: Source, memory: SourceMemory, request: Request, wanted: Desired, ports: Ports) -> None:
    text = f"plan {request.plan} of {wanted.revision.short} approved by {request.by or 'somebody'}"
    text += f" ({request.why})" if request.why else ""
    memory.approval = Approval(
        plan=request.plan,
        revision=wanted.revision.id,
        content=wanted.content,
        by=request.by,
        why=request.why,
        at=ports.clock.now(),
        open=True,
    )
    memory.news.append(News(source.resource, "Normal", "PlanApproved", text))
    ports.log.info(
        "plan approved", stage="plan", source=source.name, plan=request.plan, by=request.by, why=request.why
    )


def _void(source: Source, memory: SourceMemory, request: Request, plan: Plan, ports: Ports) -> None:
    text = f"the approval of plan {request.plan[:40]} is void: what would change now is plan {plan.hash}"
    memory.news.append(News(source.resource, "Warning", "ApprovalVoid", text))
    ports.log.warning(
        "approval is void", stage="plan", source=source.name, approved=request.plan, plan=plan.hash
    )


def _held(source: Source, memory: SourceMemory, wanted: Desired, plan: Plan, ports: Ports) -> HeldPlan:
    assert plan.excess is not None
    before = memory.held or source.status.held_plan
    known = before is not None and before.hash == plan.hash
    changes = [change for change in plan.changes() if not change.stands]
    said = list(dict.fromkeys(f"{change.kind.value} {change.key}" for change in changes))
    return HeldPlan(
        hash=plan.hash,
        revision=wanted.revision.id,
        deletes=plan.excess.deletes,
        changes=plan.excess.changes,
        owned=plan.excess.owned,
        reason=plan.excess.reason,
        since=before.since if known and before else ports.clock.now(),
        objects=tuple(said[:OBJECTS_MAX]),
    )


async def _write_down(source: Source, memory: SourceMemory, ports: Ports) -> None:
    current = ports.live.snapshot().sources.get(source.resource.key, source.resource)
    status = source.status.model_copy(update={"approval": approval_of(source, memory)})
    stored = await write_source_status(ports.cluster, current, status)
    ports.live.absorb(stored.body)


async def _take_away(source: Source, ports: Ports) -> None:
    away = {"metadata": {"annotations": {APPROVE_ANNOTATION: None, APPROVED_BY_ANNOTATION: None}}}
    key = source.resource.key
    stored = await ports.cluster.merge_patch(TRAFFIC_SOURCE, key.namespace, key.name, away)
    ports.live.absorb(stored)
