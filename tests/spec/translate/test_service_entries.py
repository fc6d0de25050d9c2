"""A ServiceEntry is a service like another; its endpoints come from itself, from WorkloadEntries and Pods."""

from __future__ import annotations

from typing import Any

from fakes.mesh_objects import istio, pod, resource_set, service

from gitmesh.playground.translate.destinations import Client, Destinations
from gitmesh.playground.translate.fields import Reports
from gitmesh.playground.translate.registry import read_registry
from gitmesh.playground.translate.scopes import visible_services
from gitmesh.playground.translate.services import Protocol, Resolution, Service

HTTP = {"number": 80, "name": "http", "protocol": "HTTP"}


def entry(*hosts: str, name: str = "it", **spec: Any) -> dict[str, Any]:
    return istio("ServiceEntry", name, {"hosts": list(hosts), "ports": [HTTP], **spec})


def workload(name: str, address: str, labels: dict[str, str], **spec: Any) -> dict[str, Any]:
    return istio("WorkloadEntry", name, {"address": address, "labels": labels, **spec})


def registry(*bodies: dict[str, Any], reports: Reports | None = None) -> dict[str, Service]:
    return read_registry(resource_set(bodies), reports or Reports())


def places(found: Service, port: int = 80) -> list[tuple[str, int | None]]:
    wanted = found.port(port)
    assert wanted is not None
    return [(endpoint.address, endpoint.port(wanted)) for endpoint in found.endpoints]


def test_each_host_is_a_service_with_every_port():
    ports = [
        HTTP,
        {"number": 443, "name": "web", "protocol": "HTTPS"},
        {"number": 27018, "name": "mongo", "protocol": "MONGO"},
        {"number": 9, "name": "grpc-x", "protocol": ""},
    ]
    found = registry(entry("A.test", "*.b.test", ports=ports, addresses=["10.1.2.3", "10.0.0.0/8"]))
    assert found.keys() == {"a.test", "*.b.test"}
    one = found["a.test"]
    assert [p.protocol for p in one.ports] == [Protocol.HTTP, Protocol.TLS, Protocol.TCP, Protocol.GRPC]
    assert (one.resolution, one.external, one.is_kubernetes) == (Resolution.NONE, True, False)
    assert one.addresses == ("10.1.2.3",)


def test_endpoints_serve_a_port_where_they_say_else_at_its_target():
    ports = [{**HTTP, "targetPort": 8080}]
    endpoints = [{"address": "10.0.0.1"}, {"address": "10.0.0.2", "ports": {"http": 7}, "weight": 3}]
    found = registry(entry("a.test", resolution="STATIC", ports=ports, endpoints=endpoints))["a.test"]
    assert places(found) == [("10.0.0.1", 8080), ("10.0.0.2", 7)]
    assert [endpoint.weight for endpoint in found.endpoints] == [1, 3]


def test_the_host_itself_is_looked_up_where_there_are_no_endpoints():
    assert places(registry(entry("a.test", resolution="DNS"))["a.test"]) == [("a.test", 80)]
    named = entry("a.test", resolution="DNS", endpoints=[{"address": "eu.a.test"}])
    assert places(registry(named)["a.test"]) == [("eu.a.test", 80)]
    reports = Reports()
    assert places(registry(entry("*.test", resolution="DNS"), reports=reports)["*.test"]) == []
    assert [report.place for report in reports.all()] == ["spec.hosts[0]"]


def test_a_name_is_no_static_endpoint():
    reports = Reports()
    endpoints = [{"address": "a.test"}, {"address": "unix:///run/a.sock"}, {"network": "other"}]
    found = registry(entry("a.test", resolution="STATIC", endpoints=endpoints), reports=reports)["a.test"]
    assert places(found) == [("unix:///run/a.sock", 80)]
    assert [r.place for r in reports.all()] == ["spec.endpoints[0].address", "spec.endpoints[2]"]


def test_a_selector_finds_workload_entries_and_pods_of_its_namespace():
    selector = {"workloadSelector": {"labels": {"app": "vm"}}}
    around = [
        workload("vm-1", "10.0.0.1", {"app": "vm"}, ports={"http": 8080}, locality="eu/a"),
        workload("vm-2", "10.0.0.2", {"app": "other"}),
        workload("vm-3", "vm-3.test", {"app": "vm"}),
        pod("vm", "v1", "127.0.0.11"),
    ]
    found = registry(entry("a.test", resolution="STATIC", **selector), *around)["a.test"]
    assert places(found) == [("127.0.0.11", 80), ("10.0.0.1", 8080)]
    assert found.endpoints[1].locality == "eu/a"
    by_name = registry(entry("a.test", resolution="DNS", **selector), *around)["a.test"]
    assert [endpoint.address for endpoint in by_name.endpoints] == ["10.0.0.1", "vm-3.test"]
    nothing = registry(entry("a.test", resolution="STATIC", workloadSelector={}), *around)["a.test"]
    assert nothing.endpoints == ()


def test_a_kubernetes_service_finds_workload_entries_too():
    found = registry(service("vm", 80), workload("vm-1", "10.0.0.1", {"app": "vm"}))
    assert places(found["vm.default.svc.cluster.local"]) == [("10.0.0.1", 80)]


def test_entries_for_one_host_add_their_endpoints_in_one_namespace():
    static = {"resolution": "STATIC", "location": "MESH_INTERNAL"}
    first = entry("a.test", endpoints=[{"address": "10.0.0.1"}], **static)
    second = entry("a.test", name="more", endpoints=[{"address": "10.0.0.2"}], **static)
    reports = Reports()
    found = registry(first, second, entry("a.test", name="other", resolution="DNS"), reports=reports)[
        "a.test"
    ]
    assert [address for address, _ in places(found)] == ["10.0.0.1", "10.0.0.2"]
    assert not found.external
    assert [str(report.key.name) for report in reports.all()] == ["other"]


def test_each_namespace_may_have_its_own_service_of_one_host():
    def of(namespace: str, address: str, **spec: Any) -> dict[str, Any]:
        body = entry("a.test", resolution="STATIC", endpoints=[{"address": address}], **spec)
        body["metadata"]["namespace"] = namespace
        return body

    reports = Reports()
    bodies = [of("one", "10.0.0.1", exportTo=["."]), of("two", "10.0.0.2"), of("zero", "10.0.0.3")]
    found = registry(*bodies, reports=reports)

    def seen(namespace: str) -> tuple[str, str]:
        service = visible_services(found, namespace)["a.test"]
        client = Client(namespace)
        variant = Destinations(resource_set(bodies), reports).of(service, client).variant
        return service.endpoints[0].address, variant

    assert seen("one") == ("10.0.0.1", "")
    assert seen("two") == seen("other") == ("10.0.0.2", "of=two")
    assert reports.all() == ()


def test_a_kubernetes_service_comes_before_an_entry_of_its_host():
    reports = Reports()
    squatting = entry("vm.default.svc.cluster.local", exportTo=["."])
    squatting["metadata"]["namespace"] = "other"
    found = registry(service("vm", 80), squatting, reports=reports)
    assert visible_services(found, "other")["vm.default.svc.cluster.local"].is_kubernetes
    assert [str(report.key.namespace) for report in reports.all()] == ["other"]
