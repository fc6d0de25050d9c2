"""What objects say about one another: subsets, hosts, gateways.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from gitmesh.istio.hosts import CLUSTER_DOMAIN, fully_qualified
from gitmesh.istio.models.virtual_service import VirtualServiceSpec
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.kinds import DESTINATION_RULE, GATEWAY, SERVICE_ENTRY
from gitmesh.model.resource import Resource, ResourceKey, ResourceSet
from gitmesh.model.spelling import closest
from gitmesh.validate.host_index import HostIndex
from gitmesh.validate.subject import Path, Subject
from gitmesh.validate.virtual_services import MESH, bound_to_mesh, destinations

_LISTED_MAX = 10
_GUESSES_MAX = 50
SpecsByKey = Mapping[ResourceKey, VirtualServiceSpec]


@dataclass(slots=True)
class Known:
    """What can be referred to. Read leniently: an error in a DestinationRule is reported once, there."""

    gateways: set[tuple[str, str]] = field(default_factory=set)  # namespace, name
    subsets: HostIndex[frozenset[str]] = field(default_factory=HostIndex)  # names, by qualified host
    services: set[str] | None = None  # qualified hosts; None: not known
    entries: HostIndex[bool] = field(default_factory=HostIndex)  # qualified hosts of ServiceEntries
    guesses: int = _GUESSES_MAX  # comparing names is slow, and one typo may stand in a thousand places

    def subsets_of(self, host: str) -> set[str] | None:
        """Return the subsets of a qualified host, or None when no DestinationRule is for it."""
        found = list(self.subsets.covering(host))
        return {name for names in found for name in names} if found else None

    def has_host(self, host: str) -> bool:
        """Say whether a qualified host exists, as far as that is known."""
        return self.services is None or host in self.services or any(self.entries.covering(host))

    def guess(self, host: str, namespace: str) -> str:
        """Return the known host that is most like this one, by its short name if it has one here."""
        if self.guesses <= 0 or not self.services:
            return ""
        self.guesses -= 1
        suffix = f".{namespace}.svc.{CLUSTER_DOMAIN}"
        return closest(host, (service.removesuffix(suffix) for service in self.services))


def what_is_known(resources: ResourceSet, known_hosts: Collection[str] | None) -> Known:
    """Collect what the resources define. `known_hosts`: qualified hosts of the cluster's Services."""
    known = Known(services=None if known_hosts is None else set(known_hosts))
    for key, resource in resources.items():
        if key.group != GATEWAY.group:
            continue
        if key.kind == GATEWAY.kind:
            known.gateways.add((key.namespace, key.name))
        elif key.kind == DESTINATION_RULE.kind:
            _add_subsets(known, resource)
        elif key.kind == SERVICE_ENTRY.kind:
            _add_entry(known, resource)
    return known


def _add_subsets(known: Known, rule: Resource) -> None:
    host = rule.spec.get("host")
    if not isinstance(host, str):
        return
    subsets = rule.spec.get("subsets")
    parts = [part for part in subsets if isinstance(part, dict)] if isinstance(subsets, list) else []
    names = frozenset(part["name"] for part in parts if isinstance(part.get("name"), str))
    known.subsets.add(fully_qualified(host, rule.key.namespace), names)


def _add_entry(known: Known, entry: Resource) -> None:
    hosts = entry.spec.get("hosts")
    for host in hosts if isinstance(hosts, list) else ():
        if isinstance(host, str):
            known.entries.add(fully_qualified(host, entry.key.namespace), True)


def check_references(subject: Subject, spec: VirtualServiceSpec, known: Known) -> Iterator[Diagnostic]:
    """Yield what a VirtualService refers to and is not there."""
    for path, destination in destinations(spec):
        host = fully_qualified(destination.host, subject.namespace)
        if destination.subset:
            yield from _subset(subject, path, host, destination.subset, known)
        if not known.has_host(host):
            yield _unknown_host(subject, (*path, "host"), destination.host, known)
    yield from _gateways(subject, spec, known)


def _subset(subject: Subject, path: Path, host: str, subset: str, known: Known) -> Iterator[Diagnostic]:
    defined = known.subsets_of(host)
    if defined is not None and subset in defined:
        return
    message = f'subset "{subset[:80]}" of host {host[:120]} is not defined by any DestinationRule'
    if defined is None:
        hint = f"add a DestinationRule for {host[:120]} with this subset"
    elif defined:
        hint = f"add it, or route to one of: {', '.join(sorted(defined)[:_LISTED_MAX])}"
    else:
        hint = "add it: the DestinationRule for this host has no subsets"
    yield subject.finding("GM201", message, (*path, "subset"), hint=hint)


def _unknown_host(subject: Subject, path: Path, host: str, known: Known) -> Diagnostic:
    message = f"there is no Service or ServiceEntry for the host {host[:120]}"
    services = known.services or set()
    if host.count(".") == 1 and f"{host}.svc.{CLUSTER_DOMAIN}" in services:
        return subject.finding("GM202", message, path, hint=f"write {host}.svc.{CLUSTER_DOMAIN}")
    near = known.guess(host, subject.namespace)
    return subject.finding("GM202", message, path, hint=f"did you mean {near}?" if near else "")


def check_rule_host(subject: Subject, known: Known) -> Iterator[Diagnostic]:
    """Yield a finding for a DestinationRule whose host does not exist."""
    host = subject.resource.spec.get("host")
    if not isinstance(host, str) or host.startswith("*"):
        return
    if not known.has_host(fully_qualified(host, subject.namespace)):
        yield _unknown_host(subject, ("spec", "host"), host, known)


def _gateways(subject: Subject, spec: VirtualServiceSpec, known: Known) -> Iterator[Diagnostic]:
    named: list[tuple[Path, str]] = [(("spec", "gateways", i), name) for i, name in enumerate(spec.gateways)]
    for index, rule in enumerate(spec.http):
        for number, match in enumerate(rule.match):
            base: Path = ("spec", "http", index, "match", number, "gateways")
            named += [((*base, i), name) for i, name in enumerate(match.gateways)]
    for path, name in named:
        if name != MESH and _gateway_key(name, subject.namespace) not in known.gateways:
            message = f"there is no Gateway {name[:120]} in the repository"
            near = closest(name, sorted({gateway for _, gateway in known.gateways})[:_GUESSES_MAX])
            hint = f"did you mean {near}?" if near else "write namespace/name for one of another namespace"
            yield subject.finding("GM203", message, path, hint=hint)


def _gateway_key(name: str, namespace: str) -> tuple[str, str]:
    if "/" in name:
        before, _, after = name.partition("/")
        return (namespace if before == "." else before, after)
    if "." in name:  # the old form: name.namespace.svc.cluster.local
        parts = name.split(".")
        return (parts[1], parts[0])
    return (namespace, name)


def check_shared_hosts(specs: SpecsByKey, resources: ResourceSet) -> Iterator[Diagnostic]:
    """Yield a finding where two VirtualServices hold rules for one host inside the mesh.

    Source: Istio's IST0109; istiod takes one of them for each client and ignores the other.
    """
    first: dict[tuple[str, str], ResourceKey] = {}
    for key in sorted(specs):
        spec = specs[key]
        if not bound_to_mesh(spec):
            continue
        scope = key.namespace if tuple(spec.export_to) in ((".",), (key.namespace,)) else "*"
        for index, host in enumerate(spec.hosts):
            owner = first.setdefault((scope, fully_qualified(host, key.namespace)), key)
            if owner != key:
                message = (
                    f"{owner} has rules for the host {host[:120]}, too, and Istio takes only one of them"
                )
                hint = "put all rules for a host into one VirtualService"
                subject = Subject(resources[key])
                yield subject.finding("GM205", message, ("spec", "hosts", index), hint=hint)
