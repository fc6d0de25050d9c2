"""What a pass works on and what it did.

Stage: engine (shell).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import ValidationError

from gitmesh.apply.executor import Applied
from gitmesh.engine.rollouts import Moved
from gitmesh.model.plan import Refusal
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.source import TrafficSourceSpec, TrafficSourceStatus


@dataclass(slots=True)
class PassReport:
    """What one pass did, for the log, the status and the next alarm."""

    moved: list[Moved] = field(default_factory=list)
    applied: list[Applied] = field(default_factory=list)
    refusals: tuple[Refusal, ...] = ()
    errors: list[str] = field(default_factory=list)
    preempted: bool = False  # the guard stopped it: pass again at once
    rollback_pending: bool = False  # stable could not be written: try again within a second

    @property
    def complete(self) -> bool:
        """True when everything that was wanted is done."""
        return not (self.errors or self.refusals or self.preempted or self.rollback_pending)


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
    def default_namespace(self) -> str:
        """Where documents go that name no namespace."""
        return self.spec.namespace or self.resource.key.namespace

    @property
    def inventory(self) -> frozenset[ResourceKey]:
        """The keys of the objects that this source owns."""
        return frozenset(ResourceKey.from_path(path) for path in self.status.inventory)


def read_source(resource: Resource) -> Source | str:
    """Read a TrafficSource; text saying what is wrong when its spec makes no sense."""
    try:
        spec = TrafficSourceSpec.model_validate(dict(resource.spec))
    except ValidationError as error:
        first = error.errors()[0]
        text = first["msg"].removeprefix("Value error, ")  # pydantic's own words for our own errors
        return f"spec.{'.'.join(str(part) for part in first['loc'])}: {text}"
    try:
        status = TrafficSourceStatus.model_validate(resource.body.get("status") or {})
    except ValidationError:
        # A status that somebody else wrote is not worth stopping for: it is rebuilt from what is live.
        status = TrafficSourceStatus()
    return Source(resource, spec, status)
