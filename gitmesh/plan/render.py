"""Plans as people and programs read them.

Stage: plan (pure).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from gitmesh.model.plan import ABSENT, Change, ChangeKind, Excess, Plan, Refusal
from gitmesh.plan.diff import format_path
from gitmesh.plan.masking import masked

SIGNS = {ChangeKind.CREATE: "+", ChangeKind.UPDATE: "~", ChangeKind.DELETE: "-"}
VALUE_MAX = 80
FIELDS_MAX = 20


def render_text(plan: Plan) -> list[str]:
    """Return the plan as lines: waves, changes with their reason, and each field's old and new value."""
    lines = [line for refusal in plan.refusals for line in _refusal_lines(refusal)]
    lines.extend(f"= skipped, {skipped.key}: {skipped.text}" for skipped in plan.skipped)
    for number, wave in enumerate(plan.waves, start=1):
        lines.append(f"wave {number} of {len(plan.waves)}: {wave.title}")
        lines.extend(line for change in wave.changes for line in _change_lines(change))
        if wave.settle_seconds:
            lines.append(f"  wait {wave.settle_seconds:g}s")
    lines.append(_summary(plan))
    if not plan.is_empty:
        lines.append(
            f"plan {plan.hash}" + (f" waits for approval: {plan.excess.reason}" if plan.excess else "")
        )
    if plan.excess:
        lines.append(f"    `gitmesh approve {plan.hash}` lets exactly this through, once it is held")
    return lines


def render_json(plan: Plan) -> dict[str, Any]:
    """Return the plan in the form that programs read; what looks like a secret is masked here too."""
    return {
        "source": plan.source,
        "revision": plan.revision,
        "hash": plan.hash,
        "unchanged": plan.unchanged,
        "held": _excess_json(plan.excess) if plan.excess else None,
        "skipped": [{"resource": str(s.key), "why": s.why.value, "reason": s.text} for s in plan.skipped],
        "refusals": [
            {"resource": str(r.key) if r.key else None, "cause": r.cause, "reason": r.reason, "hint": r.hint}
            for r in plan.refusals
        ],
        "waves": [
            {
                "title": wave.title,
                "settleSeconds": wave.settle_seconds,
                "changes": [_change_json(change) for change in wave.changes],
            }
            for wave in plan.waves
        ],
    }


def _excess_json(excess: Excess) -> dict[str, Any]:
    return {
        "reason": excess.reason,
        "deletes": excess.deletes,
        "changes": excess.changes,
        "owned": excess.owned,
    }


def _change_json(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind.value,
        "resource": str(change.key),
        "key": change.key.path,
        "reason": change.reason,
        "drift": change.drift,
        "fields": [
            {"path": format_path(f.path), "old": masked(f.path, f.old), "new": masked(f.path, f.new)}
            for f in change.fields
        ],
        "takenFrom": [
            {"manager": o.manager, "operation": o.operation, "since": o.since, "fields": list(o.fields)}
            for o in change.opponents
        ],
    }


def _refusal_lines(refusal: Refusal) -> Iterator[str]:
    about = f"{refusal.key}: " if refusal.key else "the whole plan: "
    yield f"! refused, {about}{refusal.reason}"
    yield f"    {refusal.hint}"


def _change_lines(change: Change) -> Iterator[str]:
    yield f"  {SIGNS[change.kind]} {change.key}" + (f"  ({change.reason})" if change.reason else "")
    for field in change.fields[:FIELDS_MAX]:
        old, new = (_value(masked(field.path, value)) for value in (field.old, field.new))
        yield f"      {format_path(field.path)}: {old} -> {new}"
    if len(change.fields) > FIELDS_MAX:
        yield f"      and {len(change.fields) - FIELDS_MAX} more fields"
    for opponent in change.opponents:
        yield f"      taken from {opponent}"


def _value(value: Any) -> str:
    text = value if value == ABSENT else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_MAX else f"{text[: VALUE_MAX - 1]}…"


def _summary(plan: Plan) -> str:
    kinds = [change.kind for change in plan.changes()]
    counts = [f"{kinds.count(kind)} to {kind.value}" for kind in ChangeKind if kind in kinds]
    refused = [f"{len(plan.refusals)} refused"] if plan.refusals else []
    skipped = [f"{len(plan.skipped)} skipped"] if plan.skipped else []
    return (
        f"{', '.join([*(counts or ['nothing to change']), *refused, *skipped])}; {plan.unchanged} unchanged"
    )
