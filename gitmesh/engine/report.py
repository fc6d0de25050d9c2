"""What a pass works on and what it did.

Stage: engine (shell).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import ValidationError

from gitmesh.engine.memory import Moved
from gitmesh.kube.errors import ClusterError, StaleWriteError
from gitmesh.model.plan import Change, ChangeKind, Refusal, Skipped
from gitmesh.model.repository import COMMIT
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.rollout import Hold
from gitmesh.model.source import ACCEPT_REWRITE_ANNOTATION, TrafficSourceSpec, TrafficSourceStatus


@dataclass(slots=True)
class PassReport:
    """What one pass came to, for the status and the next alarm."""

    handled_sync: str = ""  # the request that the revision of this pass answers
    moved: list[Moved] = field(default_factory=list)
    refusals: tuple[Refusal, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    deletes: Hold | None = None  # what keeps everything from being deleted now
    errors: list[str] = field(default_factory=list)
    prune_failed: bool = False  # and the first error is that something could not be deleted
    overtaken: bool = False  # somebody wrote what we had read: look again, decide again
    preempted: bool = False  # a rollback is due: pass again at once
    rollback_pending: bool = False  # stable could not be written: try again within a second

    @property
    def complete(self) -> bool:
        """True when everything that was wanted is done."""
        troubled = self.overtaken or self.preempted or self.rollback_pending
        return not (self.errors or self.refusals or troubled)

    def failed(self, error: ClusterError, change: Change | None = None) -> None:
        """Take note of what stopped the pass, and which change it was, if it was one."""
        if isinstance(error, StaleWriteError):
            self.overtaken = True
            return
        if not self.errors:
            self.prune_failed = change is not None and change.kind is ChangeKind.DELETE
        self.errors.append(str(error))


@dataclass(frozen=True, slots=True)
class Source:
    """A TrafficSource as this pass sees it."""

    resource: Resource
    spec: TrafficSourceSpec
    status: TrafficSourceStatus

    @property
    def name(self) -> str:
        """`namespace/name`, the form of ownership marks."""
        return f"{self.resource.key.namespace}/{self.resource.key.name}"

    @property
    def rewritten_to(self) -> str:
        """The commit that a person has named as where a rewritten history goes on; empty for none."""
        named = self.resource.annotations.get(ACCEPT_REWRITE_ANNOTATION, "").strip()
        return named if COMMIT.fullmatch(named) else ""

    @property
    def default_namespace(self) -> str:
        """Where documents go that name no namespace."""
        return self.spec.namespace or self.resource.key.namespace

    @property
    def inventory(self) -> frozenset[ResourceKey]:
        """The keys of the objects that this source owns."""
        return self.resource.once(_inventory_of)


def _inventory_of(resource: Resource) -> frozenset[ResourceKey]:
    return resource.once(_read_status).owned


def guarded_source(resource: Resource) -> Source:
    """Read a TrafficSource for the guard: one whose spec makes no sense is as one that is suspended."""
    source = read_source(resource)
    if isinstance(source, Source):
        return source
    return Source(resource, TrafficSourceSpec(url="", suspend=True), resource.once(_read_status))


def read_source(resource: Resource) -> Source | str:
    """Read a TrafficSource; text saying what is wrong when its spec makes no sense."""
    return resource.once(_read)


def _read(resource: Resource) -> Source | str:
    try:
        spec = TrafficSourceSpec.model_validate(dict(resource.spec))
    except ValidationError as error:
        first = error.errors()[0]
        text = first["msg"].removeprefix("Value error, ")  # pydantic's own words for our own errors
        return f"{'.'.join(['spec', *(str(part) for part in first['loc'])])}: {text}"
    return Source(resource, spec, resource.once(_read_status))


def _read_status(resource: Resource) -> TrafficSourceStatus:
    try:
        return TrafficSourceStatus.model_validate(resource.body.get("status") or {}, extra="ignore")
    except ValidationError:
        # A status that somebody else wrote is not worth stopping for: it is rebuilt from what is live.
        return TrafficSourceStatus()
