"""Which target is told what.

Stage: notify (pure).
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from gitmesh.model.notice import CommitStatus, Notice
from gitmesh.model.notifications import COMMIT_KINDS, NoticeSelector, NotificationTarget
from gitmesh.notify.repositories import place_of


def wants(target: NotificationTarget, notice: Notice) -> bool:
    """Say whether a target is told of a notice."""
    if target.kind in COMMIT_KINDS:
        return False
    if notice.again and not (target.updates or target.kind == "webhook"):
        return False  # it would be a second message
    return (
        notice.importance.rank >= target.least.rank
        and _fits(target.select, notice)
        and not any(_fits(one, notice) for one in target.exclude)
    )


def wants_status(target: NotificationTarget, status: CommitStatus) -> bool:
    """Say whether a target takes a commit status: only where the repository of the source is."""
    if target.kind not in COMMIT_KINDS or place_of(target, status.repository) is None:
        return False
    excluded = any(_any(one.sources, status.source) for one in target.exclude)
    return _any(target.select.sources, status.source) and not excluded


def _fits(selector: NoticeSelector, notice: Notice) -> bool:
    severe = selector.severity is None or notice.importance.rank >= selector.severity.rank
    return (
        severe
        and _any(selector.events, notice.event)
        and _any(selector.sources, notice.source)
        and _any(selector.namespaces, notice.namespace)
    )


def _any(patterns: Iterable[str], text: str) -> bool:
    listed = tuple(patterns)
    return not listed or any(fnmatchcase(text, pattern) for pattern in listed)
