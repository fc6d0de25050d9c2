"""All facts of a set of objects and of their context, and what rules may ask about them.

Stage: validate (pure). Every answer is a value; one that could be long holds the first few by key.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from copy import copy
from heapq import nsmallest
from itertools import islice
from typing import Any, TypeVar

from gitmesh.istio.hosts import CLUSTER_DOMAIN, service_host
from gitmesh.model.context import Context, ContextPod, ContextService
from gitmesh.model.policy import RolloutPolicy
from gitmesh.model.resource import ResourceKey
from gitmesh.validate.across import facts as known
from gitmesh.validate.across.facts import EVERYONE
from gitmesh.validate.across.lenient import Labels, is_selected
from gitmesh.validate.across.near import NearNames
from gitmesh.validate.across.pods import PodName, Pods
from gitmesh.validate.across.questions import Asked, question
from gitmesh.validate.host_index import HostIndex

SHOWN_MAX = 50
_LOOKED_AT_MAX = 200
_SELECTORS_MAX = 200
_NAMED_MAX = 10
_PAIRS_MAX = 1_000
_SERVICE_SUFFIX = f".svc.{CLUSTER_DOMAIN}"
T = TypeVar("T")
Names = tuple[ResourceKey, ...]


class World(Asked):
    """Built from facts once, and asked many times."""

    def __init__(self, facts: Iterable[known.Fact], context: Context) -> None:
        super().__init__()
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
        self._api_gateways: set[tuple[str, str]] = set()
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

    def again(self) -> World:
        """Return the same for another run: what was asked stays with the run that asked."""
        other = copy(self)
        other.asked, other.answers = set(), {name: dict(known) for name, known in self.answers.items()}
        return other

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

    def _add_name(self, fact: known.NameFact) -> None:
        self._api_gateways.add((fact.key.namespace, fact.key.name))

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

    # Context -----------------------------------------------------------------------------------------------

    @question(Context)
    def is_advisory(self) -> bool:
        """Say whether what is known comes from a cluster that changes without a commit."""
        return self._context.advisory

    @question(known.PolicyFact)
    def policies(self) -> tuple[RolloutPolicy, ...]:
        """Return the RolloutPolicies that are valid, by namespace and name."""
        return tuple(self._policies[key] for key in sorted(self._policies))

    @question(ContextService, Context)
    def knows_services(self, host: str) -> bool:
        """Say whether a Service with this qualified host would be known if there were one.

        From files alone only the namespaces are known of which they hold a Service.
        """
        if self._context.services is not None:
            return True
        if not host.endswith(_SERVICE_SUFFIX):
            return bool(self._with_services)
        return host.removesuffix(_SERVICE_SUFFIX).rpartition(".")[2] in self._with_services

    @question(ContextPod, Context)
    def knows_pods(self, namespace: str) -> bool:
        """Say whether the Pods of a namespace are known; of any namespace when it is empty."""
        return self._pods.are_known(namespace)

    @question(known.SecretFact, Context)
    def knows_secrets(self, namespace: str) -> bool:
        """Say whether the Secrets of a namespace are known."""
        return self._context.secrets is not None or namespace in self._with_secrets

    @question(known.AuthenticationFact)
    def knows_authentications(self) -> bool:
        """Say whether there are RequestAuthentications at all; without one they are kept elsewhere."""
        return bool(self._authentications)

    @question(known.NamespaceFact, Context)
    def namespace_labels(self, namespace: str) -> Labels:
        """Return the labels of a Namespace, as far as they are known."""
        return self._namespaces.get(namespace, ())

    # Hosts -------------------------------------------------------------------------------------------------

    @question(ContextService, Context)
    def service(self, host: str) -> ContextService | None:
        """Return the Service with this qualified host."""
        return self._services.get(host)

    @question(known.EntryFact)
    def entries(self, host: str) -> tuple[known.EntryFact, ...]:
        """Return the ServiceEntries with a host that is this one or covers it."""
        return _first(self._entries.covering(host), lambda entry: entry.key)

    @question(known.RuleFact)
    def rules(self, host: str) -> tuple[known.RuleFact, ...]:
        """Return the DestinationRules for a host, or for a wildcard that covers it."""
        return _first(self._rules.covering(host), lambda rule: rule.key)

    @question(known.RuleFact)
    def has_subset(self, host: str, subset: str) -> bool:
        """Say whether a DestinationRule for a host, or for a wildcard that covers it, defines a subset."""
        return any(subset in names for names in self._subsets.covering(host))

    @question(known.RuleFact)
    def some_subsets(self, host: str) -> tuple[str, ...] | None:
        """Return the first names of subsets of a host; None when no DestinationRule is for it."""
        found = list(self._subsets.covering(host))
        return tuple(nsmallest(_NAMED_MAX, set().union(*found))) if found else None

    @question(ContextService, Context)
    def near_host(self, host: str, namespace: str) -> str:
        """Return the known Service that is most like this host, by its short name if it has one here."""
        if not host.endswith(_SERVICE_SUFFIX):
            return ""
        name, _, where = host.removesuffix(_SERVICE_SUFFIX).partition(".")
        if where not in self._near_services:
            names = (service.name for service in self._services.values() if service.namespace == where)
            self._near_services[where] = NearNames(names)
        near = self._near_services[where].near(name)
        return near if not near or where == namespace else service_host(near, where)

    # Gateways ----------------------------------------------------------------------------------------------

    @question(known.GatewayFact)
    def gateway(self, namespace: str, name: str) -> known.GatewayFact | None:
        """Return a Gateway."""
        return self._gateways.get((namespace, name))

    @question(known.NameFact)
    def has_api_gateway(self, namespace: str, name: str) -> bool:
        """Say whether there is such a Gateway of the Gateway API."""
        return (namespace, name) in self._api_gateways

    @question(known.GatewayFact)
    def near_gateway(self, name: str) -> str:
        """Return the name of a Gateway that is most like this one."""
        if self._near_gateways is None:
            self._near_gateways = NearNames({gateway for _, gateway in self._gateways})
        return self._near_gateways.near(name)

    @question(known.GatewayFact, ContextPod, Context)
    def listeners(self, selector: Labels, port: int, bind: str, host: str) -> Names:
        """Return two Gateways that listen on a port for a host, with this selector or for the same Pods."""
        pods = self._pods.selected(selector, "")
        holders = (self._listeners.get((who, port, bind, host), ()) for who in (selector, *pods))
        return _first((key for keys in holders for key in keys), lambda key: key, 2)

    @question(known.GatewayFact)
    def presenting(self, certificate: str, selector: Labels) -> Names:
        """Return Gateways with a certificate whose selector contains this one, or is part of it."""
        by_selector = self._certificates.get(certificate, {})
        related = [by_selector.get(selector, [])]
        if len(by_selector) <= _SELECTORS_MAX:
            related += (keys for other, keys in by_selector.items() if _is_part(other, selector))
        return _first((key for keys in related for key in keys), lambda key: key, 2)

    @question(ContextPod, Context)
    def pods_of(self, selector: Labels, namespace: str) -> tuple[PodName, ...]:
        """Return the first Pods that a selector takes; of all namespaces when `namespace` is empty."""
        return self._pods.selected(selector, namespace)

    @question(ContextPod, Context)
    def labels_of(self, pod: PodName) -> Labels:
        """Return the labels of a Pod."""
        return tuple(sorted(self._pods.labels_of(pod).items()))

    @question(ContextPod, known.WorkloadFact, Context)
    def has_endpoint(self, labels: Labels) -> bool:
        """Say whether any Pod or WorkloadEntry has these labels."""
        return self._pods.take(labels)

    @question(ContextPod, ContextService, Context)
    def ports_of_pods(self, selector: Labels) -> frozenset[int] | None:
        """Return the ports, and target ports, of all Services for the Pods that a selector takes."""
        return self._pods.service_ports(selector)

    @question(known.SecretFact, Context)
    def secret(self, namespace: str, name: str) -> str | None:
        """Return the type of a Secret."""
        return self._secrets.get((namespace, name))

    @question(known.AuthenticationFact)
    def authentications(self, namespace: str) -> tuple[known.AuthenticationFact, ...]:
        """Return the RequestAuthentications of a namespace."""
        found = (fact for fact in self._authentications if fact.namespace == namespace)
        return _first(found, lambda fact: fact.selector)

    # VirtualServices ---------------------------------------------------------------------------------------

    @question(known.RoutesFact)
    def routes(self, namespace: str, name: str) -> known.RoutesFact | None:
        """Return a VirtualService."""
        return self._routes.get((namespace, name))

    @question(known.RoutesFact)
    def rivals(self, scope: str, host: str) -> Names:
        """Return two VirtualServices that hold rules for a host inside the mesh, as `scope` sees them.

        Source: Istio's IST0109: equal hosts for everyone; for one namespace also hosts that overlap.
        """
        same = self._in_mesh.get((scope, host), ())
        overlapping = (self._private if scope == EVERYONE else self._public).matching(host)
        return _first((*same, *overlapping), lambda key: key, 2)

    @question(known.RoutesFact)
    def routing_by_subset(self, host: str) -> Names:
        """Return two VirtualServices of the mesh for a host that route to its subsets."""
        return _first(self._by_subset.get(host, ()), lambda key: key, 2)

    @question(known.RoutesFact)
    def gets_plain_http(self, host: str, port: int) -> bool:
        """Say whether an HTTP rule sends requests to a port of a host: so that no TLS is in it."""
        return (host, port) in self._sent_to

    @question(known.RoutesFact)
    def bound(self, namespace: str, gateway: str, host: str) -> tuple[known.RoutesFact, ...]:
        """Return VirtualServices that are bound to a Gateway with a host."""
        return _first(self._bound.get(((namespace, gateway), host), ()), lambda fact: fact.key)

    # Sidecars ----------------------------------------------------------------------------------------------

    @question(known.SidecarFact)
    def sidecars(self, namespace: str, selector: Labels) -> Names:
        """Return two Sidecars of a namespace with this very selector."""
        return _first(self._sidecars.get((namespace, selector), ()), lambda key: key, 2)

    @question(known.SidecarFact, ContextPod, Context)
    def sidecars_of(self, pod: PodName) -> Names:
        """Return two Sidecars with a selector that takes a Pod."""
        labels = self._pods.labels_of(pod)
        found = (
            fact.key
            for label in labels.items()
            for fact in self._sidecars_by_label.get((pod.namespace, label), ())
            if is_selected(fact.selector, labels)
        )
        return _first(found, lambda key: key, 2)


def _first(values: Iterable[T], order: Callable[[T], Any], count: int = SHOWN_MAX) -> tuple[T, ...]:
    """Return the first few different values in their order, so that no answer is long."""
    unique = {order(value): value for value in islice(values, _LOOKED_AT_MAX)}
    return tuple(unique[key] for key in nsmallest(count, unique))


def _places(gateway: known.GatewayFact) -> Iterator[tuple[int, str, str]]:
    for server in gateway.servers:
        for host in server.hosts:
            yield server.port, server.bind, host


def _is_part(one: Labels, other: Labels) -> bool:
    return set(one) <= set(other) or set(other) <= set(one)


_ADDERS: dict[type, Callable[[World, Any], None]] = {
    ContextService: World._add_service,
    ContextPod: World._add_pod,
    known.SecretFact: World._add_secret,
    known.NamespaceFact: World._add_namespace,
    known.RuleFact: World._add_rule,
    known.EntryFact: World._add_entry,
    known.GatewayFact: World._add_gateway,
    known.NameFact: World._add_name,
    known.RoutesFact: World._add_routes,
    known.SidecarFact: World._add_sidecar,
    known.AuthenticationFact: World._add_authentication,
    known.WorkloadFact: World._add_workload,
    known.PolicyFact: World._add_policy,
}
