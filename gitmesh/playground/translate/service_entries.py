"""ServiceEntries and WorkloadEntries: services and workloads that Kubernetes does not know.

Stage: playground translation (pure). Source: istio/istio pilot/pkg/serviceregistry/serviceentry,
conversion.go and controller.go; istio.io, Service Entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gitmesh.istio.hosts import is_ip
from gitmesh.model.kinds import SERVICE_ENTRY, WORKLOAD_ENTRY
from gitmesh.model.resource import Resource, ResourceSet
from gitmesh.playground.translate.destinations import age
from gitmesh.playground.translate.fields import Field, Reports, spec_of
from gitmesh.playground.translate.places import locality_of
from gitmesh.playground.translate.services import (
    EVERYWHERE,
    Endpoint,
    Protocol,
    Resolution,
    Service,
    ServicePort,
    includes,
    protocol_named,
)

_RESOLUTIONS = {
    "": Resolution.NONE,
    "NONE": Resolution.NONE,
    "STATIC": Resolution.ENDPOINTS,
    "DNS": Resolution.DNS,
    "DNS_ROUND_ROBIN": Resolution.DNS_ROUND_ROBIN,
    "DYNAMIC_DNS": Resolution.DYNAMIC_DNS,
}
_BY_NAME = frozenset({Resolution.DNS, Resolution.DNS_ROUND_ROBIN})
_UNIX = "unix://"


@dataclass(frozen=True, slots=True)
class Workloads:
    """Workloads of each namespace that a selector may find: ready Pods, and WorkloadEntries."""

    pods: Mapping[str, Sequence[Endpoint]]
    entries: Mapping[str, Sequence[Endpoint]]

    def selected(
        self, namespace: str, labels: Mapping[str, str], resolution: Resolution
    ) -> Iterator[Endpoint]:
        """Yield what a workloadSelector finds. Names are looked up for WorkloadEntries only, as in Istio."""
        pods = () if resolution in _BY_NAME else self.pods.get(namespace, ())
        for endpoint in (*pods, *self.entries.get(namespace, ())):
            if includes(endpoint.labels, labels):
                yield endpoint

    def addresses(self, namespace: str) -> Iterator[Endpoint]:
        """Yield the WorkloadEntries that need no looking up."""
        return (entry for entry in self.entries.get(namespace, ()) if _is_address(entry.address))


def read_workload_entries(resources: ResourceSet, reports: Reports) -> dict[str, list[Endpoint]]:
    """Return every WorkloadEntry as an endpoint, by namespace."""
    found: dict[str, list[Endpoint]] = {}
    for resource in _of_kind(resources, WORKLOAD_ENTRY.kind):
        endpoint = _endpoint(spec_of(resource, reports), resource.key.name, resource.labels)
        if endpoint is not None:
            found.setdefault(resource.key.namespace, []).append(endpoint)
    return found


def read_service_entries(
    resources: ResourceSet, workloads: Workloads, reports: Reports
) -> Iterator[tuple[Service, Field]]:
    """Yield the service of each host of each ServiceEntry, the oldest first, and where its host stands."""
    for resource in _of_kind(resources, SERVICE_ENTRY.kind):
        spec = spec_of(resource, reports)
        for host in spec["hosts"].items():
            if host.text():
                yield _service(resource, spec, host, workloads), host


def _of_kind(resources: ResourceSet, kind: str) -> list[Resource]:
    group = SERVICE_ENTRY.group
    return sorted((r for k, r in resources.items() if (k.group, k.kind) == (group, kind)), key=age)


def _service(resource: Resource, spec: Field, host: Field, workloads: Workloads) -> Service:
    name = host.text().lower()
    resolution = _resolution(spec)
    endpoints = list(_endpoints(spec, name, resolution, workloads))
    if resolution in _BY_NAME and any(address.startswith("*") for address in _addresses(endpoints)):
        host.report("a wildcard cannot be looked up: give the ServiceEntry endpoints")
        endpoints = []
    if resolution is Resolution.DNS_ROUND_ROBIN and len(endpoints) > 1:
        spec["endpoints"].report("only the first counts with resolution DNS_ROUND_ROBIN")
    namespace = resource.key.namespace
    return Service(
        host=name,
        name=name,
        namespace=namespace,
        ports=tuple(_ports(spec)),
        addresses=tuple(text for text in spec["addresses"].texts() if is_ip(text)),
        endpoints=tuple(endpoints),
        resolution=resolution,
        external=spec["location"].text("MESH_EXTERNAL") == "MESH_EXTERNAL",
        export_to=frozenset(spec["exportTo"].texts()) or EVERYWHERE,
        created=str(resource.metadata.get("creationTimestamp") or ""),
        is_kubernetes=False,
        subject_alt_names=tuple(spec["subjectAltNames"].texts()),
    )


def _addresses(endpoints: Sequence[Endpoint]) -> Iterator[str]:
    return (endpoint.address for endpoint in endpoints)


def _resolution(spec: Field) -> Resolution:
    text = spec["resolution"].text()
    if text not in _RESOLUTIONS:
        spec["resolution"].report(f"{text} is not known; NONE is taken instead")
    return _RESOLUTIONS.get(text, Resolution.NONE)


def _ports(spec: Field) -> Iterator[ServicePort]:
    seen: set[int] = set()
    for item in spec["ports"].items():
        number = item["number"].integer()
        if not 0 < number < 65536:
            item["number"].report("is not a port number")
        elif number not in seen:
            seen.add(number)
            target = item["targetPort"].integer() or number
            yield ServicePort(number, item["name"].text(), target, _protocol(item))


def _protocol(item: Field) -> Protocol:
    words = (item["protocol"].text(), item["name"].text().partition("-")[0])
    return next((known for word in words if (known := protocol_named(word))), Protocol.AUTO)


def _endpoints(spec: Field, host: str, resolution: Resolution, workloads: Workloads) -> Iterator[Endpoint]:
    selector = spec["workloadSelector"]
    if resolution.is_as_asked:
        return
    if selector.present:
        labels = {name: value.text() for name, value in selector["labels"].entries()}
        # A selector without labels finds nothing, as that of a Kubernetes Service.
        found = workloads.selected(spec.key.namespace, labels, resolution) if labels else ()
        yield from (e for e in found if resolution in _BY_NAME or _is_address(e.address))
        return
    written = list(spec["endpoints"].items())
    for item in written:
        labels = {name: value.text() for name, value in item["labels"].entries()}
        endpoint = _endpoint(item, item["address"].text(), labels)
        if endpoint is not None and (resolution in _BY_NAME or _is_address(endpoint.address)):
            yield endpoint
        elif endpoint is not None:
            item["address"].report("is not an IP address, and resolution STATIC looks nothing up")
    if not written and resolution in _BY_NAME:
        yield Endpoint(host, host)


def _endpoint(spec: Field, name: str, labels: Mapping[str, str]) -> Endpoint | None:
    address = spec["address"].text()
    if not address:
        spec.report("has no address; the playground has one network only")
        return None
    labels = {str(key): str(value) for key, value in labels.items()}
    labels |= {key: value.text() for key, value in spec["labels"].entries()}
    ports = {key: value.integer() for key, value in spec["ports"].entries()}
    return Endpoint(
        workload=name,
        address=address,
        labels=labels,
        weight=max(1, spec["weight"].integer(1)),
        locality=spec["locality"].text().strip("/") or locality_of(labels),
        ports={key: number for key, number in ports.items() if 0 < number < 65536},
    )


def _is_address(address: str) -> bool:
    return is_ip(address) or address.startswith(_UNIX)
