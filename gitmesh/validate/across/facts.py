"""What one object tells others, small and immutable. Equal facts have equal consequences.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitmesh.model.context import ContextPod, ContextService
from gitmesh.model.policy import RolloutPolicy
from gitmesh.model.resource import ResourceKey
from gitmesh.validate.across.lenient import Labels

EVERYONE = "*"
Scope = frozenset[str]  # namespaces that see an object


@dataclass(frozen=True, slots=True)
class RuleFact:
    """A DestinationRule: its qualified host, and the labels of each of its subsets."""

    key: ResourceKey
    host: str
    subsets: tuple[tuple[str, Labels], ...]
    scope: Scope
    has_policy: bool
    has_selector: bool  # it holds for some clients only


@dataclass(frozen=True, slots=True)
class EntryPort:
    """A port of a ServiceEntry; `protocol` in capital letters, `target` 0 when it is the port itself."""

    number: int
    name: str
    protocol: str
    target: int


@dataclass(frozen=True, slots=True)
class EntryFact:
    """A ServiceEntry. `endpoints` holds the labels of each endpoint that is written out."""

    key: ResourceKey
    hosts: tuple[str, ...]
    ports: tuple[EntryPort, ...]
    scope: Scope
    external: bool
    resolution: str
    selector: Labels | None
    endpoints: tuple[Labels, ...]


@dataclass(frozen=True, slots=True)
class ServerFact:
    """A server of a Gateway; `certificates` name Secrets or files."""

    port: int
    bind: str
    hosts: tuple[str, ...]
    certificates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GatewayFact:
    """A Gateway."""

    key: ResourceKey
    selector: Labels
    servers: tuple[ServerFact, ...]


@dataclass(frozen=True, slots=True)
class RoutesFact:
    """A VirtualService. `requests` names which requests its HTTP rules take, when bound to a gateway.

    `rules` is its HTTP rules as JSON when it is a delegate, and empty otherwise.
    """

    key: ResourceKey
    hosts: tuple[str, ...]
    in_mesh: bool
    gateways: tuple[tuple[str, str], ...]
    scope: Scope
    by_subset: frozenset[str]  # hosts for which it routes to subsets
    requests: frozenset[str]
    sent_to: frozenset[tuple[str, int]]  # hosts and ports that get plain HTTP; port 0: not chosen
    rules: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class SidecarFact:
    """A Sidecar; without a selector it is for its whole namespace."""

    key: ResourceKey
    selector: Labels


@dataclass(frozen=True, slots=True)
class AuthenticationFact:
    """A RequestAuthentication."""

    namespace: str
    selector: Labels


@dataclass(frozen=True, slots=True)
class ApiGatewayFact:
    """A Gateway of the Gateway API. `hosts` of its listeners; `*` for one that takes every host."""

    key: ResourceKey
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VersionedFact:
    """An EnvoyFilter, and the filters that it patches for proxies of one version only."""

    key: ResourceKey
    filters: frozenset[str]


@dataclass(frozen=True, slots=True)
class ConditionFact:
    """A condition in the status of an object that says that something of it is not in effect."""

    key: ResourceKey
    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class SecretFact:
    """A Secret, or an object from which a controller makes one. `type` is empty when not known."""

    namespace: str
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class NamespaceFact:
    """A Namespace with its labels."""

    name: str
    labels: Labels


@dataclass(frozen=True, slots=True)
class WorkloadFact:
    """A WorkloadEntry: an endpoint that is no Pod."""

    namespace: str
    labels: Labels


@dataclass(frozen=True, slots=True)
class PolicyFact:
    """A RolloutPolicy that is valid."""

    policy: RolloutPolicy


Fact = (
    RuleFact
    | EntryFact
    | GatewayFact
    | RoutesFact
    | SidecarFact
    | AuthenticationFact
    | ApiGatewayFact
    | VersionedFact
    | ConditionFact
    | SecretFact
    | NamespaceFact
    | WorkloadFact
    | PolicyFact
    | ContextService
    | ContextPod
)
