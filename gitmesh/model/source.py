"""TrafficSource: which repository steers the cluster, and how far it has got.

Stage: none (pure). The classes are the spec and status of the CRD, field for field.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from gitmesh.model.effect import Effect
from gitmesh.model.inventory import packed, unpacked
from gitmesh.model.repository import RefKind, RepositoryFields, SecretRef
from gitmesh.model.resource import ResourceKey
from gitmesh.model.standing import Approval, HeldPlan, SkippedObject, SourceReference
from gitmesh.model.values import ApiModel
from gitmesh.model.verify import Verify

AUTHOR = re.compile(r"[^<>\x00-\x1f\x7f]{1,100} <[^<>\s\x00-\x1f\x7f]{1,200}>")

DEPENDENCIES_MAX = 50


class Limits(ApiModel):
    """Guards on one plan."""

    delete_percent_max: Annotated[int, Field(ge=0, le=100)] = 50
    change_percent_max: Annotated[int, Field(ge=0, le=100)] = 75


class TrafficSourceSpec(RepositoryFields):
    """What a person writes: where the traffic configuration is, and how GitMesh may act on it."""

    namespace: str = ""  # for documents that name none; empty: the namespace of the TrafficSource
    suspend: bool = False
    prune: bool = True
    heal: bool = True
    depends_on: Annotated[tuple[SourceReference, ...], Field(max_length=DEPENDENCIES_MAX)] = ()
    deletion_policy: Literal["orphan", "delete"] = "orphan"  # what becomes of its objects with the source
    adopt: bool = False  # whether objects that exist already and are nobody's are taken over
    conflicts: Literal["refuse", "force"] = "refuse"  # fields that another field manager owns
    # What may be created before the traffic configuration. It needs permissions of its own.
    foundations: tuple[Literal["Namespace", "CustomResourceDefinition"], ...] = ()
    limits: Limits = Limits()
    push: Literal["denied", "allowed"] = "denied"  # whether GitMesh may write to the repository
    author: Annotated[str, Field(max_length=300)] = "GitMesh <gitmesh@localhost>"  # of what it writes there
    verify: Verify | None = None  # whose commits are taken over; None: everybody's
    signing_key_ref: SecretRef | None = None  # what GitMesh signs its own commits with

    @field_validator("author")
    @classmethod
    def _is_an_author(cls, value: str) -> str:
        if not AUTHOR.fullmatch(value):
            raise ValueError("author is of the form Name <address>")
        return value

    @model_validator(mode="after")
    def _follows_what_is_signed(self) -> TrafficSourceSpec:
        if self.verify and self.verify.mode == "tag" and self.ref.kind not in (RefKind.TAG, RefKind.SEMVER):
            raise ValueError(
                f"verify.mode: tag needs a tag, and this source follows a {self.ref.kind.value}; "
                "set spec.tag or spec.semver, or verify.mode: head"
            )
        return self

    @model_validator(mode="after")
    def _pushes_to_a_branch(self) -> TrafficSourceSpec:
        if self.push == "allowed" and self.ref.kind is not RefKind.BRANCH:
            raise ValueError(
                f"push: allowed needs a branch to push to, and this source follows a {self.ref.kind.value}; "
                "set push: denied, or follow a branch"
            )
        return self


class Condition(ApiModel):
    """A condition as kstatus reads it: Ready, Reconciling, Stalled. InEffect is there once it was measured.

    Source: kubernetes-sigs/cli-utils, kstatus: Reconciling and Stalled are present only while true.
    """

    type: Literal["Ready", "Reconciling", "Stalled", "InEffect"]
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    last_transition_time: datetime | None = None
    observed_generation: int = 0


class Finding(ApiModel):
    """A diagnostic in the status of its source."""

    code: str
    severity: str
    message: str
    hint: str = ""
    at: str = ""


class Refused(ApiModel):
    """Something of the last plan that was not carried out. `resource` is empty for the whole plan."""

    resource: str = ""
    cause: str
    reason: str
    hint: str = ""


class TrafficSourceStatus(ApiModel):
    """What GitMesh reports. `inventory` holds `ResourceKey.path` of each object that this source owns.

    Of more than 1,000 objects `packedInventory` holds the same as lines, with gzip and base64.
    """

    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()
    fetched_revision: str = ""  # `main@<commit>` or `v1.4.2@<commit>`, as all revisions here
    last_attempted_revision: str = ""
    accepted_revision: str = ""  # the newest without errors: what a restart goes on with
    accepted_url: str = ""  # the repository that it is of
    verified_revision: str = ""  # the newest that was signed as spec.verify demands
    verified_by: str = ""
    last_applied_revision: str = ""
    last_handled_sync: str = ""
    worker: str = ""  # the Lease, as `namespace/name`, whose holder works on the source; empty: there is none
    inventory: tuple[str, ...] = ()
    packed_inventory: str = ""
    findings: tuple[Finding, ...] = ()
    held_plan: HeldPlan | None = None
    approval: Approval | None = None
    skipped: tuple[SkippedObject, ...] = ()
    refusals: tuple[Refused, ...] = ()
    effects: tuple[Effect, ...] = ()  # whether requests go where changed routes say

    @property
    def owned(self) -> frozenset[ResourceKey]:
        """The keys of the objects in the inventory."""
        return unpacked(self.inventory, self.packed_inventory)

    def owning(self, keys: frozenset[ResourceKey]) -> Self:
        """Return the same status with this inventory."""
        listed, lines = packed(keys)
        return self.model_copy(update={"inventory": listed, "packed_inventory": lines})


SYNC_ANNOTATION = "gitmesh.dev/sync-requested"
ACCEPT_REWRITE_ANNOTATION = "gitmesh.dev/accept-rewrite"  # the commit whose rewritten history is right
OWNER_ANNOTATION = "gitmesh.dev/source"
RENEWED_ANNOTATION = "gitmesh.dev/renewed"  # leaves with the next write
REVISION_ANNOTATION = "gitmesh.dev/revision"
PRUNE_ANNOTATION = "gitmesh.dev/prune"
RECONCILE_ANNOTATION = "gitmesh.dev/reconcile"
DISABLED = "disabled"  # the value by which both of them say so
APPROVE_ANNOTATION = "gitmesh.dev/approve-plan"  # the hash of a plan, and a reason behind it if there is one
APPROVED_BY_ANNOTATION = "gitmesh.dev/approved-by"  # who; without it, the field manager that set the hash
ADOPT_ANNOTATION = "gitmesh.dev/adopt"  # on an object in Git: enabled or disabled, for it alone
CONFLICTS_ANNOTATION = "gitmesh.dev/conflicts"  # on an object in Git: refuse or force, for it alone
FIELD_MANAGER = "gitmesh"
FINALIZER = "gitmesh.dev/finalizer"  # on a TrafficSource that takes its objects along
