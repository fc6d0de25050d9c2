"""Notices: what people are told beside the cluster itself, by webhooks, chat and commit statuses.

Stage: none (pure).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

TEXT_CHARS_MAX = 1_000
FINDINGS_MAX = 5


class Importance(StrEnum):
    """How much a notice matters, from least to most."""

    PROGRESS = "progress"  # a step of something that goes well
    INFO = "info"
    WARNING = "warning"  # somebody should look
    ERROR = "error"  # somebody has to act, or something was taken back

    @property
    def rank(self) -> int:
        """Its place in the order; more matters more."""
        return list(Importance).index(self)


@dataclass(frozen=True, slots=True)
class RolloutView:
    """Where a rollout stands, as far as it is told. `run` is the same for all notices of one rollout."""

    run: str
    phase: str
    progress: float
    weights: str
    step: int
    steps: int
    policy: str


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that happened, in words and as values. Nothing in it is secret.

    `same` says what makes it the same news as another one; empty: its message. `subject`: notices with the
    same one tell of one thing, and the last of them is how it stands; empty: it stands for itself. `since`
    is when it began to be so, and survives a restart, unlike `at`. `again`: said on beginning to work, by
    this daemon or another perhaps before; whoever can tell what it knows already may be told again.
    """

    event: str  # for example RolloutStep
    importance: Importance
    source: str  # namespace/name of the TrafficSource
    about: str  # ResourceKey.path
    namespace: str
    message: str
    at: datetime
    since: datetime
    revision: str = ""
    repository: str = ""
    same: str = ""
    subject: str = ""
    again: bool = False
    rollout: RolloutView | None = None
    findings: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """What is the same when the same thing is told twice, also by another replica."""
        run = (self.rollout.run, self.rollout.phase, str(self.rollout.step)) if self.rollout else ()
        parts = (*self._what, self.since.isoformat(), *run)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]

    @property
    def topic(self) -> tuple[str, ...]:
        """What it tells about."""
        return (self.source, self.about, self.subject) if self.subject else self._what

    @property
    def news(self) -> tuple[str, ...]:
        """What is the same for notices that say nothing new beside one another."""
        run = (self.rollout.run, self.rollout.phase, str(self.rollout.step)) if self.rollout else ()
        return (*self._what, *run)

    @property
    def _what(self) -> tuple[str, ...]:
        return (self.event, self.source, self.about, self.revision, self.same or self.message)


class CommitState(StrEnum):
    """What a commit status says."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """How far one commit has got, for the place where the repository is."""

    source: str
    repository: str  # the URL, without a login
    commit: str
    state: CommitState
    description: str

    @property
    def topic(self) -> tuple[str, ...]:
        """What it tells about."""
        return (self.source, self.repository, self.commit)

    @property
    def news(self) -> tuple[str, ...]:
        """Two in a row with the same are one; the description alone is no news."""
        return (*self.topic, self.state.value)


def clipped(text: str, most: int = TEXT_CHARS_MAX) -> str:
    """Return a text of at most so many characters, without control characters."""
    plain = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def shortened(revision: str) -> str:
    """Return `main@1a2b3c4` for `main@` and a whole commit."""
    branch, at, commit = revision.rpartition("@")
    return f"{branch}{at}{commit[:7]}"
