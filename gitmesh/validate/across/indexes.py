"""All facts of a set of objects and of their context, in the order in which they are looked for.

Stage: validate (pure).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

from gitmesh.istio.hosts import service_host
from gitmesh.model.context import Context, ContextPod, ContextService
from gitmesh.model.policy import RolloutPolicy
from gitmesh.model.resource import ResourceKey
from gitmesh.validate.across import facts as known
from gitmesh.validate.across.facts import EVERYONE
from gitmesh.validate.across.lenient import Labels
from gitmesh.validate.across.near import NearNames
from gitmesh.validate.across.pods import Pods
from gitmesh.validate.host_index import HostIndex

_PAIRS_MAX = 1_000


class Indexes:
    """Built from facts once."""

    def __init__(self, facts: Iterable[known.Fact], context: Context) -> None:
        self._context = context
        self._services: dict[str, ContextService] = dict(context.services or {})
        self._with_services: set[str] = set()  # namespaces of which the files hold Services
        self._secrets: dict[tuple[str, str], str] = dict(context.secrets or {})
        self._with_secrets: set[str] = set()
        self._namespaces: dict[str, Labels] = {
            name: tuple(sorted(labels.items())) for name, labels in (context.namespaces or {}).items()
        }
        self._pods = Pods(context.pods)
        self._policies: dict[tuple[str, str], RolloutPolicy] = {}
        self._rules: HostIndex[known.RuleFact] = HostIndex()
        self._entries: HostIndex[known.EntryFact] = HostIndex()
        self._gateways: dict[tuple[str, str], known.GatewayFact] = {}
        self._api_gateways: dict[tuple[str, str], known.ApiGatewayFact] = {}
        self._versioned: dict[str, list[ResourceKey]] = defaultdict(list)
        self._conditions: dict[ResourceKey, list[known.ConditionFact]] = defaultdict(list)
        self._routes: dict[tuple[str, str], known.RoutesFact] = {}
        self._subsets: HostIndex[set[str]] = HostIndex()
        self._subsets_by_host: dict[str, set[str]] = {}
        self._sidecars: dict[tuple[str, Labels], list[ResourceKey]] = defaultdict(list)
        self._sidecars_by_label: dict[tuple[str, tuple[str, str]], list[known.SidecarFact]] = defaultdict(
            list
        )
        self._authentications: list[known.AuthenticationFact] = []
        self._in_mesh: dict[tuple[str, str], list[ResourceKey]] = defaultdict(list)
        self._public: HostIndex[ResourceKey] = HostIndex()
        self._private: HostIndex[ResourceKey] = HostIndex()
        self._by_subset: dict[str, list[ResourceKey]] = defaultdict(list)
        self._sent_to: set[tuple[str, int]] = set()
        self._bound: dict[tuple[tuple[str, str], str], list[known.RoutesFact]] = defaultdict(list)
        self._listeners: dict[Hashable, list[ResourceKey]] = defaultdict(list)
        self._certificates: dict[str, dict[Labels, list[ResourceKey]]] = defaultdict(dict)
        self._near_services: dict[str, NearNames] = {}
        self._near_gateways: NearNames | None = None
        for fact in facts:
            _ADDERS[type(fact)](self, fact)
        self._pods.add_services(self._services.values())
        for gateway in self._gateways.values() if self._pods.are_known("") else ():
            for pod in self._pods.selected(gateway.selector, ""):
                for place in _places(gateway):
                    self._listeners[pod, *place].append(gateway.key)

    # Facts -------------------------------------------------------------------------------------------------

    def _add_service(self, fact: ContextService) -> None:
        self._services[service_host(fact.name, fact.namespace)] = fact
        self._with_services.add(fact.namespace)

    def _add_secret(self, fact: known.SecretFact) -> None:
        self._secrets[fact.namespace, fact.name] = fact.type
        self._with_secrets.add(fact.namespace)

    def _add_namespace(self, fact: known.NamespaceFact) -> None:
        self._namespaces[fact.name] = fact.labels

    def _add_rule(self, fact: known.RuleFact) -> None:
        self._rules.add(fact.host, fact)
        if fact.host not in self._subsets_by_host:
            self._subsets_by_host[fact.host] = set()
            self._subsets.add(fact.host, self._subsets_by_host[fact.host])
        self._subsets_by_host[fact.host].update(name for name, _ in fact.subsets)

    def _add_entry(self, fact: known.EntryFact) -> None:
        for host in fact.hosts:
            self._entries.add(host, fact)

    def _add_gateway(self, fact: known.GatewayFact) -> None:
        self._gateways[fact.key.namespace, fact.key.name] = fact
        for place in _places(fact):
            self._listeners[fact.selector, *place].append(fact.key)
        for server in fact.servers:
            for certificate in server.certificates:
                self._certificates[certificate].setdefault(fact.selector, []).append(fact.key)

    def _add_api_gateway(self, fact: known.ApiGatewayFact) -> None:
        self._api_gateways[fact.key.namespace, fact.key.name] = fact

    def _add_versioned(self, fact: known.VersionedFact) -> None:
        for name in fact.filters:
            self._versioned[name].append(fact.key)

    def _add_condition(self, fact: known.ConditionFact) -> None:
        self._conditions[fact.key].append(fact)

    def _add_routes(self, fact: known.RoutesFact) -> None:
        self._routes[fact.key.namespace, fact.key.name] = fact
        self._sent_to.update(fact.sent_to)
        if fact.in_mesh:
            for host in fact.hosts:
                for scope in fact.scope:
                    self._in_mesh[scope, host].append(fact.key)
                index = self._public if EVERYONE in fact.scope else self._private
                index.add(host, fact.key)
            for host in fact.by_subset.intersection(fact.hosts):
                self._by_subset[host].append(fact.key)
        pairs = ((gateway, host) for gateway in fact.gateways for host in fact.hosts)
        for _, pair in zip(range(_PAIRS_MAX), pairs, strict=False):
            self._bound[pair].append(fact)

    def _add_sidecar(self, fact: known.SidecarFact) -> None:
        self._sidecars[fact.key.namespace, fact.selector].append(fact.key)
        if fact.selector:
            self._sidecars_by_label[fact.key.namespace, fact.selector[0]].append(fact)

    def _add_authentication(self, fact: known.AuthenticationFact) -> None:
        self._authentications.append(fact)

    def _add_pod(self, fact: ContextPod) -> None:
        self._pods.add(fact)

    def _add_policy(self, fact: known.PolicyFact) -> None:
        self._policies[fact.policy.namespace, fact.policy.name] = fact.policy

    def _add_workload(self, fact: known.WorkloadFact) -> None:
        self._pods.add_workload(fact.labels)


def _places(gateway: known.GatewayFact) -> Iterator[tuple[int, str, str]]:
    for server in gateway.servers:
        for host in server.hosts:
            yield server.port, server.bind, host


_ADDERS: dict[type, Callable[[Indexes, Any], None]] = {
    ContextService: Indexes._add_service,
    ContextPod: Indexes._add_pod,
    known.SecretFact: Indexes._add_secret,
    known.NamespaceFact: Indexes._add_namespace,
    known.RuleFact: Indexes._add_rule,
    known.EntryFact: Indexes._add_entry,
    known.GatewayFact: Indexes._add_gateway,
    known.ApiGatewayFact: Indexes._add_api_gateway,
    known.VersionedFact: Indexes._add_versioned,
    known.ConditionFact: Indexes._add_condition,
    known.RoutesFact: Indexes._add_routes,
    known.SidecarFact: Indexes._add_sidecar,
    known.AuthenticationFact: Indexes._add_authentication,
    known.WorkloadFact: Indexes._add_workload,
    known.PolicyFact: Indexes._add_policy,
}
