"""Names that people write, and the proxies that they mean; a mesh around a bare repository."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.mesh_objects import istio, objects, pod, resource_set, service, virtual_service

from gitmesh.istio.matching.request import read_request
from gitmesh.model.kinds import POD, SERVICE
from gitmesh.playground.errors import PlaygroundError
from gitmesh.playground.sketch import CALLER, sketch
from gitmesh.playground.translate import translate
from gitmesh.playground.translate.doors import Doors
from gitmesh.playground.who import gateway_named, sidecar_named
from gitmesh.playground.workloads import workloads

BODIES = [
    service("web"),
    pod("web", "v1", "127.1.1.1"),
    pod("web", "v2", "127.1.1.2"),
    virtual_service("web", {"match": [{"sourceLabels": {"version": "v2"}}], "route": []}),
]


def who(name: str, namespace: str = "", bodies: list[dict[str, Any]] = BODIES):
    resources = resource_set(bodies)
    return sidecar_named(name, namespace, translate(resources), resources, Doors())


@pytest.mark.parametrize("name", ["web-v1", "web-v1.default"])
def test_a_pod_is_meant_by_its_name(name: str):
    assert who(name).caller.labels == {"app": "web", "version": "v1"}
    assert who(name, "default").routes.startswith("outbound|default")


def test_a_label_means_its_pods_where_they_all_see_the_same():
    assert who("web", bodies=BODIES[:3]).caller.name == "web-v1.default"
    with pytest.raises(PlaygroundError, match=r"several workloads.*web-v1\.default, web-v2\.default"):
        who("web")


def test_a_wrong_name_is_answered_with_the_right_ones():
    with pytest.raises(PlaygroundError, match=r"did you mean web-v1\?.*web-v1\.default, web-v2\.default"):
        who("wep-v1")
    with pytest.raises(PlaygroundError, match="in namespace shop"):
        who("web-v1", "shop")


def gateway(name: str, selector: dict[str, str], *hosts: str, protocol: str = "HTTP") -> dict[str, Any]:
    tls = {"tls": {"mode": "SIMPLE", "credentialName": "cert"}} if protocol == "HTTPS" else {}
    port = {"number": 443 if tls else 80, "name": name, "protocol": protocol}
    server = {"port": port, "hosts": list(hosts), **tls}
    return istio("Gateway", name, {"selector": selector, "servers": [server]})


def at(name: str, url: str, *bodies: dict[str, Any]):
    resources = resource_set(list(bodies))
    return gateway_named(name, read_request("GET", url), translate(resources), resources)


@pytest.mark.parametrize("name", ["web", "default/web", "istio-ingressgateway"])
def test_a_gateway_is_meant_by_its_pod_or_by_its_object(name: str):
    found = at(name, "http://a.test/", gateway("web", {"istio": "ingressgateway"}, "*"))
    assert found.caller.is_gateway
    assert found.routes == "http.8080"


def test_a_gateway_that_no_pod_serves_is_none():
    with pytest.raises(PlaygroundError, match="there is no gateway web that any Pod serves"):
        at("web", "http://a.test/", gateway("web", {"istio": "nowhere"}, "*"))


def test_a_gateway_without_the_port_has_no_routes():
    body = gateway("web", {"istio": "ingressgateway"}, "*")
    assert at("web", "http://a.test:81/", body).routes == ""
    assert at("web", "https://a.test:80/", body).routes == ""


def drawn(*bodies: dict[str, Any], **options: Any):
    return sketch(resource_set(list(bodies)), {}, workloads(), **options)


def test_a_bare_repository_gets_the_workloads_of_a_playground():
    found = drawn(virtual_service("reviews", {"route": []}))
    assert SERVICE.key("default", "reviews") in found.resources
    assert found.resources[POD.key("default", "productpage-v1")].body["status"]["podIP"].startswith("127.")
    assert found.assumed == {}


def test_a_service_that_nobody_defines_is_assumed_with_the_ports_that_are_named():
    rule = {"match": [{"port": 8080}], "route": [{"destination": {"host": "audit", "port": {"number": 70}}}]}
    found = drawn(virtual_service("checkout", rule), asked=("checkout", 9000))
    assert found.assumed == {
        "audit.default.svc.cluster.local": (70,),
        "checkout.default.svc.cluster.local": (8080, 9000),
    }
    service = found.resources[SERVICE.key("default", "checkout")]
    assert [port["port"] for port in service.spec["ports"]] == [8080, 9000]


def test_a_repository_with_workloads_of_its_own_gets_no_others():
    others = objects(
        """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {template: {metadata: {labels: {app: web}}}}
---
apiVersion: v1
kind: Service
metadata: {name: checkout, namespace: shop}
spec: {ports: [{port: 80}]}
"""
    )
    found = sketch({}, others, workloads())
    assert POD.key("default", "productpage-v1") not in found.resources
    assert found.resources[POD.key("shop", "web")].labels == {"app": "web"}


def test_a_made_up_caller_has_the_labels_that_were_given():
    found = drawn(caller=("shop", {"app": "web"}))
    assert found.resources[POD.key("shop", CALLER)].labels == {"app": "web"}
