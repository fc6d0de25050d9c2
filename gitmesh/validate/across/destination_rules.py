"""A DestinationRule beside others, its host, and the Pods of its subsets.

Stage: validate (pure). Source: istio/istio pkg/config/analysis/analyzers/destinationrule (IST0173, IST0174).
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.istio.hosts import CLUSTER_DOMAIN, fully_qualified
from gitmesh.istio.models.destination_rule import DestinationRuleSpec
from gitmesh.validate.across.destinations import unknown_host
from gitmesh.validate.across.facts import RuleFact
from gitmesh.validate.across.found import PODS, SERVICES, Found, Unchecked
from gitmesh.validate.across.lenient import Labels, is_selected
from gitmesh.validate.across.traffic_facts import scope_of
from gitmesh.validate.across.world import World
from gitmesh.validate.subject import Path, Subject

# Labels that istiod adds to endpoints from their node and network; no Pod's own labels have them.
_TOPOLOGY = ("topology.kubernetes.io/", "topology.istio.io/", "failure-domain.beta.kubernetes.io/")


def check_rule(subject: Subject, spec: DestinationRuleSpec, world: World) -> Iterator[Found]:
    """Yield what is wrong between a DestinationRule and other objects; TLS apart."""
    host = fully_qualified(spec.host, subject.namespace)
    if not spec.host.startswith("*"):
        yield from _host(subject, spec, host, world)
        yield from _selected(subject, spec, host, world)
    if spec.workload_selector is None:
        yield from _beside(subject, spec, host, world)


def _host(subject: Subject, spec: DestinationRuleSpec, host: str, world: World) -> Iterator[Found]:
    if world.service(host) is not None or world.entries(host):
        return
    if world.knows_services(host):
        yield unknown_host(subject, ("spec", "host"), "GM206", spec.host, world)
    else:
        yield Unchecked(SERVICES, "GM206")


def _selected(subject: Subject, spec: DestinationRuleSpec, host: str, world: World) -> Iterator[Found]:
    service, entries = world.service(host), world.entries(host)
    namespace = host.removesuffix(f".svc.{CLUSTER_DOMAIN}").rpartition(".")[2]
    selectors = tuple(entry.selector for entry in entries if entry.selector is not None)
    written = tuple(labels for entry in entries for labels in entry.endpoints)
    if service is None and not selectors and not written:
        return  # nothing says where its endpoints come from
    for index, subset in enumerate(spec.subsets):
        labels = {name: value for name, value in subset.labels.items() if not name.startswith(_TOPOLOGY)}
        if not labels or any(is_selected(tuple(labels.items()), dict(one)) for one in written):
            continue
        if service is None and not selectors:
            yield _nobody(subject, index, labels, "endpoint of the ServiceEntry")
        elif not world.knows_pods(namespace if service is not None else subject.namespace):
            yield Unchecked(PODS, "GM230")
        elif not any(world.has_endpoint(wanted) for wanted in _combined(labels, selectors)):
            yield _nobody(subject, index, labels, "Pod or WorkloadEntry")


def _combined(labels: dict[str, str], selectors: tuple[Labels, ...]) -> Iterator[Labels]:
    for selector in selectors or ((),):
        yield tuple(sorted({**dict(selector), **labels}.items()))


def _nobody(subject: Subject, index: int, labels: dict[str, str], what: str) -> Found:
    shown = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))
    message = f"no {what} has the labels {shown[:200]}, so the subset has no endpoints"
    path: Path = ("spec", "subsets", index, "labels")
    return subject.finding("GM230", message, path, hint="requests to it are answered with 503")


def _beside(subject: Subject, spec: DestinationRuleSpec, host: str, world: World) -> Iterator[Found]:
    """Source: istiod merges rules for one host of one namespace: subsets once, the oldest policy only."""
    scope = scope_of(spec.export_to, subject.namespace)
    own = subject.resource.key
    for other in world.rules(host):
        if other.key == own or other.host != host or other.key.namespace != own.namespace:
            continue
        if other.has_selector or other.scope != scope:
            continue
        yield from _merged(subject, spec, other)
        return


def _merged(subject: Subject, spec: DestinationRuleSpec, other: RuleFact) -> Iterator[Found]:
    names = {name for name, _ in other.subsets}
    for index, subset in enumerate(spec.subsets):
        if subset.name in names:
            message = f"{other.key} defines the subset {subset.name[:80]} of this host, too; one is ignored"
            yield subject.finding(
                "GM237", message, ("spec", "subsets", index, "name"), hint="keep one of them"
            )
    if spec.traffic_policy is not None and other.has_policy:
        message = f"{other.key} has a trafficPolicy for this host, too; only that of the older one counts"
        hint = "put what belongs to one host into one DestinationRule"
        yield subject.finding("GM237", message, ("spec", "trafficPolicy"), hint=hint, wants_key=True)
