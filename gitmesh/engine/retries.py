"""When a pass that could not do all it wanted is tried again.

Stage: engine (pure).
"""

from __future__ import annotations

from datetime import timedelta

from gitmesh.engine.report import PassReport

RETRY_FIRST, RETRY_MAX = timedelta(seconds=1), timedelta(seconds=30)
ROLLBACK_RETRY = timedelta(milliseconds=500)
# What the server refused it may accept later, and nothing says when: a namespace comes, a webhook changes.
REFUSED_RETRY = timedelta(minutes=1)
_DOUBLINGS_MAX = 10


def retry_delay(report: PassReport, failures: int) -> timedelta | None:
    """Return when to pass again after an incomplete pass; None after a complete one.

    `failures` counts the incomplete passes in a row before this one.
    """
    if report.preempted:
        return timedelta(0)
    if report.rollback_pending:
        return ROLLBACK_RETRY
    if report.errors or report.overtaken:
        return min(RETRY_FIRST * (1 << min(failures, _DOUBLINGS_MAX)), RETRY_MAX)
    return REFUSED_RETRY if report.refusals else None
