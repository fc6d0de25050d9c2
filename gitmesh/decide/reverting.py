"""Which rollbacks Git is to follow by a revert commit, and what such a commit says.

Stage: decide (pure).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from gitmesh.decide.transitions import changed, remembered
from gitmesh.model.intent import shown
from gitmesh.model.resource import ResourceKey, content_hash
from gitmesh.model.revert import Revert, RevertState
from gitmesh.model.rollout import Phase, RolloutRecord

BRANCHES = "gitmesh/revert-"
Mode = Literal["none", "push", "branch"]


def wants_revert(record: RolloutRecord, wanted: str, *, allowed: bool) -> Mode:
    """Return how a rollback is to be answered in Git, which wants the content of the hash `wanted`.

    Only once stable is live: a revert holds nothing up. What was refused is not tried before it is allowed.
    """
    policy, revert = record.policy_spec, record.revert
    mode: Mode = policy.rollback.revert if policy else "none"
    back = record.phase is Phase.ROLLED_BACK and record.effective_at is not None
    if not back or wanted != record.canary_hash or wanted not in record.quarantined:
        return "none"
    if revert is None or revert.content != wanted or revert.state is RevertState.PENDING:
        return mode
    return mode if revert.state is RevertState.REFUSED and allowed else "none"


def take_revert(
    record: RolloutRecord, revert: Revert | None, now: datetime, history_max: int
) -> RolloutRecord:
    """Return the record with what became of a revert of what is quarantined in it."""
    known = record.revert
    if revert is None or revert == known or revert.content not in record.quarantined:
        return record
    # When it was tried last is no news by itself: that is not written again and again.
    if known is not None and known.model_copy(update={"at": revert.at}) == revert:
        return record
    return remembered(changed(record, revert=revert), now, revert.message, history_max)


def release_of(key: ResourceKey, record: RolloutRecord) -> str:
    """Name what is reverted by one commit: a group as a whole, everything else by itself."""
    group = record.policy_spec.group if record.policy_spec else ""
    return f"group {group}" if group else str(key)


def branch_of(items: Sequence[tuple[ResourceKey, RolloutRecord]]) -> str:
    """Name the branch for a pull request. Equal contents have equal names, so that one is made once."""
    key, record = items[0]
    group = record.policy_spec.group if record.policy_spec else ""
    name = re.sub(r"[^A-Za-z0-9-]+", "-", group or key.name).strip("-")[:60] or "release"
    contents = sorted(other.canary_hash for _, other in items)
    return f"{BRANCHES}{name}-{contents[0] if len(contents) == 1 else content_hash(contents)}"


def commit_message(items: Sequence[tuple[ResourceKey, RolloutRecord]]) -> str:
    """Say what a revert commit does, and why."""
    count = len(items)
    what = str(items[0][0]) if count == 1 else f"{count} objects"
    lines = [f"Put {what} back to what is live", ""]
    for key, record in items:
        since = f", stable since {record.stable.revision}" if record.stable.revision else ""
        lines.append(f"{key} ({record.revision}{since}): {shown(record.message)}")
    name = items[0][0].name
    lines += [
        "",
        "GitMesh has rolled this back in the cluster and keeps it back. To let the same content go out",
        f"again, revert this commit and run `gitmesh retry {name}`.",
    ]
    return "\n".join(lines)
