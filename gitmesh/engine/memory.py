"""What the daemon remembers of a source between two passes. None of it is truth: all can be rebuilt.

Stage: engine (shell).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.policy import RolloutPolicy
from gitmesh.model.resource import ResourceKey, ResourceSet
from gitmesh.model.revision import Revision
from gitmesh.model.rollout import RolloutRecord, Verdict
from gitmesh.parse.manifests import Parsed


@dataclass(frozen=True, slots=True)
class Desired:
    """What an accepted revision asks for: traffic resources and the policies that move them."""

    revision: Revision
    resources: ResourceSet
    policies: tuple[RolloutPolicy, ...]


@dataclass(slots=True)
class SourceMemory:
    """Everything that one source's passes, fetches and checks hand to one another."""

    key: ResourceKey
    # fetch
    fetched: Revision | None = None
    fetch_error: str = ""
    handled_sync: str = ""
    requested_sync: str = ""
    restored: bool = False  # the last applied revision was looked for in the mirror
    # parse, validate
    parsed: Parsed | None = None
    judged: tuple[str, str, frozenset[str]] | None = None  # commit, namespace, hosts that findings are for
    findings: tuple[Diagnostic, ...] = ()
    desired: Desired | None = None
    # decide
    records: dict[ResourceKey, RolloutRecord] = field(default_factory=dict)
    verdicts: dict[ResourceKey, Verdict] = field(default_factory=dict)
    # apply
    failures: int = 0  # passes in a row that could not do all they wanted
    settled: bool = False  # the last pass found nothing left to do


@dataclass(slots=True)
class Memory:
    """All sources, by key."""

    sources: dict[ResourceKey, SourceMemory] = field(default_factory=dict)

    def of(self, key: ResourceKey) -> SourceMemory:
        """Return the memory of a source, new if there is none."""
        return self.sources.setdefault(key, SourceMemory(key))
