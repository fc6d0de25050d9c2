"""All services of the mesh: those of Kubernetes, and those of ServiceEntries.

Stage: playground translation (pure). Source: istio/istio pilot/pkg/model, initServiceRegistry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gitmesh.model.resource import ResourceSet
from gitmesh.playground.translate.fields import Field, Reports
from gitmesh.playground.translate.memo import Memo
from gitmesh.playground.translate.service_entries import (
    Workloads,
    read_service_entries,
    read_workload_entries,
)
from gitmesh.playground.translate.services import Resolution, Service, read_services, ready_pods


def read_registry(
    resources: ResourceSet, reports: Reports, memo: Memo | None = None
) -> Mapping[str, Service]:
    """Return every service by its host; one whose host another namespace has too by `host@namespace`.

    The selector of a Kubernetes Service finds WorkloadEntries too. What has not changed is the very same
    object as it was before, by `memo`.
    """
    memo = memo or Memo(reports)
    found = _read(resources, reports, memo)
    same = [(name, memo.same(("service", name), service)) for name, service in found.items()]
    kept = memo.same("registry", same)
    return memo.keep("registry by host", (kept,), lambda: dict(kept))


def _read(resources: ResourceSet, reports: Reports, memo: Memo) -> dict[str, Service]:
    workloads = Workloads(ready_pods(resources, memo), read_workload_entries(resources, reports))
    candidates = {
        namespace: [*workloads.pods.get(namespace, ()), *workloads.addresses(namespace)]
        for namespace in {*workloads.pods, *workloads.entries}
    }
    found = read_services(resources, reports, candidates, memo)
    for service, place in read_service_entries(resources, workloads, reports):
        known = found.get(service.host)
        if known is None:
            found[service.host] = service
        elif known.namespace == service.namespace:
            found[service.host] = _joined(known, service, place)
        else:
            _add_twin(found, known, service, place)
    return found


def _joined(known: Service, service: Service, place: Field) -> Service:
    """Return a known service with the endpoints of another ServiceEntry of the same host and namespace."""
    if known.resolution is service.resolution is Resolution.ENDPOINTS:
        return replace(known, endpoints=(*known.endpoints, *service.endpoints))
    place.report(f"has no effect: {_owner(known)} has this host")
    return known


def _add_twin(found: dict[str, Service], known: Service, service: Service, place: Field) -> None:
    """Keep a service of the same host in another namespace for those who do not see the older one."""
    name = f"{service.host}@{service.namespace}"
    if name in found:
        found[name] = _joined(found[name], service, place)
        return
    found[name] = replace(service, twin_of_older=True)
    if known.is_kubernetes or ("*" in known.export_to and "*" in service.export_to):
        place.report(f"has no effect where {_owner(known)} is seen, which has this host")


def _owner(service: Service) -> str:
    what = "a Service" if service.is_kubernetes else "an older ServiceEntry"
    return f"{what} in the namespace {service.namespace}"
