"""All services of the mesh: those of Kubernetes, and those of ServiceEntries.

Stage: playground translation (pure). Source: istio/istio pilot/pkg/model, initServiceRegistry.
"""

from __future__ import annotations

from dataclasses import replace

from gitmesh.model.resource import ResourceSet
from gitmesh.playground.translate.fields import Field, Reports
from gitmesh.playground.translate.service_entries import (
    Workloads,
    read_service_entries,
    read_workload_entries,
)
from gitmesh.playground.translate.services import Resolution, Service, read_services, ready_pods


def read_registry(resources: ResourceSet, reports: Reports) -> dict[str, Service]:
    """Return every service by its host. The selector of a Kubernetes Service finds WorkloadEntries too."""
    workloads = Workloads(ready_pods(resources), read_workload_entries(resources, reports))
    candidates = {
        namespace: [*workloads.pods.get(namespace, ()), *workloads.addresses(namespace)]
        for namespace in {*workloads.pods, *workloads.entries}
    }
    found = read_services(resources, reports, candidates)
    for service, place in read_service_entries(resources, workloads, reports):
        known = found.get(service.host)
        found[service.host] = _joined(known, service, place) if known else service
    return found


def _joined(known: Service, service: Service, place: Field) -> Service:
    """Return a known service with the endpoints of a ServiceEntry of the same host and namespace."""
    listed = known.resolution is service.resolution is Resolution.ENDPOINTS
    if listed and known.namespace == service.namespace:
        return replace(known, endpoints=(*known.endpoints, *service.endpoints))
    owner = "a Service" if known.is_kubernetes else "an older ServiceEntry"
    place.report(f"has no effect: {owner} in the namespace {known.namespace} has this host")
    return known
