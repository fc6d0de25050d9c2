"""Which news of a rollout are written down at once, and which can wait for the next.

Stage: decide (pure). A check mostly says what the one before said. A crash loses what was not written: then
the stored record leads to the same decisions, or holds until the next checks say the same again.
"""

from __future__ import annotations

from datetime import timedelta

from gitmesh.model.evidence import Judged
from gitmesh.model.rollout import Outcome, RolloutRecord, Verdict

# What a check changes in a record although it decides nothing.
_OF_CHECKS = ("verdict", "checks", "judged", "message")


def patience(in_motion: int, writes_per_minute: int) -> timedelta:
    """Return how long evidence may wait when so many rollouts have some. With few it never waits."""
    return timedelta(minutes=1) * in_motion / writes_per_minute


def may_wait(before: RolloutRecord | None, after: RolloutRecord, most: timedelta) -> bool:
    """Say whether a record that is stored as `before` may stay so for now, for `most` altogether.

    By time and not by what checks say: to lose only good ones, or only bad ones, would be no fair test.
    """
    if before is None or before is after or before.verdict is None or after.verdict is None:
        return False
    if after.verdict.at - before.verdict.at >= most or after.verdict.outcome is Outcome.FAIL:
        return False
    of_this_step = after.effective_at is not None and before.verdict.at >= after.effective_at
    alike = before.verdict.outcome is after.verdict.outcome and _decides(before.judged) == _decides(
        after.judged
    )
    if not (of_this_step and alike and _says(before) == _says(after)):
        return False
    return before.model_copy(update={name: getattr(after, name) for name in _OF_CHECKS}) == after


def _decides(judged: Judged) -> tuple[object, ...]:
    return judged.rollout, judged.since, judged.recent, judged.condemned


def _says(record: RolloutRecord) -> str:
    """Return what a record says to people, apart from what its last check has told."""
    verdict: Verdict | None = record.verdict
    return record.message.replace(verdict.summary, "") if verdict and verdict.summary else record.message
