"""What rules may ask about all objects and their context.

Stage: validate (pure). Every answer is a value; one that could be long holds the first few by key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from heapq import nsmallest
from itertools import islice
from typing import Any, TypeVar

from gitmesh.istio.hosts import CLUSTER_DOMAIN, service_host
from gitmesh.model.context import Context, ContextPod, ContextService
from gitmesh.model.kinds import GATEWAY
from gitmesh.model.policy import RolloutPolicy
from gitmesh.model.resource import ResourceKey
from gitmesh.validate.across import facts as known
from gitmesh.validate.across.facts import EVERYONE
from gitmesh.validate.across.indexes import Indexes
from gitmesh.validate.across.lenient import Labels, is_selected
from gitmesh.validate.across.near import NearNames
from gitmesh.validate.across.pods import PodName
from gitmesh.validate.across.questions import Asked, question

SHOWN_MAX = 50
_LOOKED_AT_MAX = 200
_SELECTORS_MAX = 200
_NAMED_MAX = 10
_AUTHENTICATION = ("security.istio.io", "RequestAuthentication")
_SERVICE_SUFFIX = f".svc.{CLUSTER_DOMAIN}"
T = TypeVar("T")
Names = tuple[ResourceKey, ...]


class World(Indexes, Asked):
    """Built from facts once, and asked many times."""

    def __init__(self, facts: Iterable[known.Fact], context: Context) -> None:
        Asked.__init__(self)
        Indexes.__init__(self, facts, context)

    def again(self) -> World:
        """Return the same for another run: what was asked stays with the run that asked."""
        other = copy(self)
        other.asked, other.answers = set(), {name: dict(known) for name, known in self.answers.items()}
        return other

    # Context -----------------------------------------------------------------------------------------------

    @question(Context)
    def is_advisory(self) -> bool:
        """Say whether what is known comes from a cluster that changes without a commit."""
        return self._context.advisory

    @question(Context)
    def reads_cluster(self) -> bool:
        """Say whether a cluster was read, so that what it does not hold does not exist."""
        return self._reads_cluster()

    def _reads_cluster(self, kind: tuple[str, str] | None = None) -> bool:
        known = self._context.services is not None and not self._context.advisory
        return known and kind not in self._context.unread

    @question(Context)
    def may_not_read(self, group: str, kind: str) -> bool:
        """Say whether a cluster was read without the objects of a kind."""
        return (group, kind) in self._context.unread

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

    @question(known.AuthenticationFact, Context)
    def knows_authentications(self) -> bool:
        """Say whether RequestAuthentications are known; of files without one they are kept elsewhere."""
        return bool(self._authentications) or self._reads_cluster(_AUTHENTICATION)

    @question(known.NamespaceFact, Context)
    def namespace_labels(self, namespace: str) -> Labels:
        """Return the labels of a Namespace, as far as they are known."""
        return self._namespaces.get(namespace, ())

    # Hosts -------------------------------------------------------------------------------------------------

    @question(ContextService, Context)
    def service(self, host: str) -> ContextService | None:
        """Return the Service with this qualified host."""
        return self._services.get(host)

    @question(ContextService, Context)
    def services_for(self, namespace: str, labels: Labels) -> tuple[ContextService, ...]:
        """Return the Services that select Pods of a namespace with these labels."""
        found = self._pods.services_of(namespace, dict(labels))
        return _first(found, lambda service: service.name)

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

    @question(known.ApiGatewayFact)
    def api_gateway(self, namespace: str, name: str) -> known.ApiGatewayFact | None:
        """Return a Gateway of the Gateway API."""
        return self._api_gateways.get((namespace, name))

    @question(known.GatewayFact, Context)
    def knows_gateways(self, namespace: str) -> bool:
        """Say whether a Gateway of a namespace would be known if there were one."""
        named = any(where == namespace for where, _ in self._gateways)
        return named or self._reads_cluster((GATEWAY.group, GATEWAY.kind))

    @question(known.VersionedFact)
    def versioned(self, name: str) -> Names:
        """Return two EnvoyFilters that patch the filter of this name for proxies of one version only."""
        return _first(self._versioned.get(name, ()), lambda key: key, 2)

    @question(known.ConditionFact)
    def conditions(self, key: ResourceKey) -> tuple[known.ConditionFact, ...]:
        """Return what the cluster says of an object: what of it is not in effect."""
        return _first(self._conditions.get(key, ()), lambda one: (one.type, one.reason, one.message))

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
        """Return Gateways with a certificate whose selector contains this one.

        Source: IST0138, so that of two the one with the wider selector is told.
        """
        by_selector = self._certificates.get(certificate, {})
        related = [by_selector.get(selector, [])]
        if len(by_selector) <= _SELECTORS_MAX:
            wanted = set(selector)
            related += (keys for other, keys in by_selector.items() if wanted.issubset(other))
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
