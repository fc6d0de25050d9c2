"""Guardrail: what must hold for resources and plans, as it is written in Git.

Stage: none (pure).
"""

from __future__ import annotations

from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import Field

from gitmesh.model.diagnostic import Severity
from gitmesh.model.kinds import TRAFFIC_KINDS
from gitmesh.model.resource import ResourceKey
from gitmesh.model.values import ApiModel

_APPLIED = frozenset((kind.group, kind.kind) for kind in TRAFFIC_KINDS)
_Pattern = Annotated[str, Field(min_length=1, max_length=253)]
_Patterns = Annotated[tuple[_Pattern, ...], Field(max_length=100)]
_Text = Annotated[str, Field(max_length=1_000)]


class Scope(StrEnum):
    """What the expressions of a guardrail look at."""

    RESOURCE = "resource"  # `object`: each matching resource by itself
    SET = "set"  # `resources`: all matching resources of the revision
    PLAN = "plan"  # `changes`: all matching changes of a plan


class Match(ApiModel):
    """Which resources, or changes, a guardrail is for. An empty list matches everything.

    Patterns use `*` and `?`. Without `kinds`: those that GitMesh applies. Kinds that are named may be others.
    """

    kinds: _Patterns = ()
    namespaces: _Patterns = ()
    names: _Patterns = ()

    def matches(self, key: ResourceKey) -> bool:
        """Say whether the guardrail is for this object."""
        is_kind = _any(self.kinds, key.kind) if self.kinds else (key.group, key.kind) in _APPLIED
        return is_kind and _any(self.namespaces, key.namespace) and _any(self.names, key.name)


def _any(patterns: tuple[str, ...], value: str) -> bool:
    return not patterns or value in patterns or any(fnmatchcase(value, pattern) for pattern in patterns)


class GuardrailRule(ApiModel):
    """A CEL expression that must be true, and what is said when it is not.

    `message_expression` is CEL, too, and comes before `message`. `field` is where a finding about a resource
    points, for example spec.hosts.
    """

    expression: Annotated[str, Field(min_length=1, max_length=10_000)]
    message: _Text = ""
    message_expression: Annotated[str, Field(max_length=10_000)] = ""
    field: Annotated[str, Field(max_length=253)] = ""


class GuardrailSpec(ApiModel):
    """The spec of a Guardrail."""

    match: Match = Match()
    scope: Scope = Scope.RESOURCE
    severity: Severity = Severity.ERROR
    rules: Annotated[tuple[GuardrailRule, ...], Field(min_length=1, max_length=100)]


class Guardrail(ApiModel):
    """One guardrail with its name. Its namespace limits nothing: `match` says what it is for."""

    name: str
    namespace: str
    spec: GuardrailSpec
