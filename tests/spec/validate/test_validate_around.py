"""Objects of other kinds that bear on traffic, what is known for sure, and objects that are partly wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from fakes.examined import findings

from gitmesh.model.context import Context, ContextPod, services_of
from gitmesh.model.diagnostic import Diagnostic, Severity
from gitmesh.model.kinds import DESTINATION_RULE, GATEWAY, SERVICE_ENTRY
from gitmesh.model.resource import resource_from_body

CLUSTER = Context(services={}, pods=(ContextPod("default", "p", {"app": "p"}),), namespaces={}, secrets={})
DAEMON = Context(services=services_of(["reviews.default.svc.cluster.local"]), advisory=True)
HTTP_SERVER = {"hosts": ["a.example.com"], "port": {"number": 80, "name": "http", "protocol": "HTTP"}}
TO_V1 = {"host": "reviews", "subset": "v1"}


def one(
    kind: str, name: str, spec: Any, version: str = "networking.istio.io/v1", **more: Any
) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", **more.pop("metadata", {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec, **more}


def routes(name: str, to: dict[str, Any], **more: Any) -> dict[str, Any]:
    return one(
        "VirtualService", name, {"hosts": ["reviews"], "http": [{"route": [{"destination": to}]}], **more}
    )


def service(name: str, *ports: dict[str, Any], **labels: str) -> dict[str, Any]:
    return one("Service", name, {"selector": labels, "ports": list(ports)}, "v1")


def deployment(name: str, template: dict[str, Any], **more: Any) -> dict[str, Any]:
    spec = {"template": {"metadata": template, "spec": more.pop("pod", {})}}
    return one("Deployment", name, spec, "apps/v1", **more)


def found(*objects: dict[str, Any], context: Context | None = None) -> list[Diagnostic]:
    return list(findings(yaml.safe_dump_all(objects, sort_keys=False), context=context or Context()))


def codes(*objects: dict[str, Any], context: Context | None = None) -> list[str]:
    return [d.code for d in found(*objects, context=context) if d.code.startswith("GM2")]


# EnvoyFilters ---------------------------------------------------------------------------------------------


def patch(
    operation: str, target: str = "HTTP_FILTER", name: str = "lua", version: str = ""
) -> dict[str, Any]:
    match = {"match": {"proxy": {"proxyVersion": version}}} if version else {}
    return {"applyTo": target, "patch": {"operation": operation, "value": {"name": name}}, **match}


def envoy_filter(name: str, *patches: dict[str, Any], **more: Any) -> dict[str, Any]:
    spec = {"configPatches": list(patches), **more}
    return one("EnvoyFilter", name, spec, "networking.istio.io/v1alpha3")


@pytest.mark.parametrize(
    ("operation", "target", "code"),
    [
        ("MERGE", "CLUSTER", None),
        ("INSERT_FIRST", "HTTP_FILTER", None),
        ("INSERT_BEFORE", "HTTP_FILTER", "GM241"),
        ("INSERT_AFTER", "NETWORK_FILTER", "GM241"),
        ("REPLACE", "HTTP_FILTER", "GM241"),
        ("REPLACE", "CLUSTER", "GM242"),
        ("ADD", "CLUSTER", None),
        ("ADD", "HTTP_ROUTE", "GM243"),
        ("REMOVE", "HTTP_ROUTE", "GM244"),
        ("REMOVE", "ROUTE_CONFIGURATION", "GM244"),
        ("REMOVE", "HTTP_FILTER", "GM241"),
    ],
)
def test_a_patch_must_do_something_and_in_a_known_order(operation: str, target: str, code: str | None):
    told = [d for d in found(envoy_filter("f", patch(operation, target))) if d.code.startswith("GM2")]
    assert [(d.code, d.path) for d in told] == (
        [(code, ("spec", "configPatches", 0, "patch", "operation"))] if code else []
    )


def test_a_priority_puts_patches_in_order():
    assert codes(envoy_filter("f", patch("INSERT_BEFORE"), priority=5)) == []


def test_a_patch_for_one_version_makes_the_order_of_others_differ():
    versioned = envoy_filter("g", patch("ADD", "CLUSTER", version="^1[.]30.*"))
    assert codes(envoy_filter("f", patch("INSERT_BEFORE")), versioned) == ["GM245"]
    assert codes(envoy_filter("f", patch("INSERT_BEFORE", name="wasm")), versioned) == ["GM241"]
    before = patch("ADD", "CLUSTER", version="^1[.]30.*")
    assert codes(envoy_filter("f", before, patch("INSERT_BEFORE"))) == ["GM245"]
    assert codes(envoy_filter("f", patch("INSERT_BEFORE"), before)) == ["GM241"]


@pytest.mark.parametrize("patches", [None, {}, "x", [None], [{"patch": 1}], [{"patch": {"operation": []}}]])
def test_patches_of_any_shape_are_read(patches: Any):
    assert codes(one("EnvoyFilter", "f", {"configPatches": patches}, "networking.istio.io/v1alpha3")) == []


# Deployments ----------------------------------------------------------------------------------------------

TCP, UDP = {"name": "tcp", "port": 53}, {"name": "udp", "port": 53, "protocol": "UDP"}
APP = {"labels": {"app": "a"}}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (TCP, TCP, []),
        (TCP, UDP, ["GM246"]),
        (TCP, {**TCP, "port": 54}, []),
        ({**TCP, "targetPort": 53}, {**TCP, "port": 54, "targetPort": 53}, ["GM247"]),
        (TCP, {**TCP, "port": 54, "targetPort": 53}, ["GM247"]),
        ({**TCP, "targetPort": "dns"}, {**TCP, "targetPort": "dns"}, []),
    ],
)
def test_services_of_the_same_pods_agree_about_their_ports(first: Any, second: Any, expected: list[str]):
    both = service("a", first, app="a"), service("b", second, app="a")
    assert codes(*both, deployment("d", APP)) == expected
    assert codes(*both, deployment("d", {"labels": {"app": "other"}})) == []


@pytest.mark.parametrize(
    ("metadata", "more"),
    [
        ({**APP, "annotations": {"sidecar.istio.io/inject": "false"}}, {}),
        ({"labels": {"app": "a", "sidecar.istio.io/inject": "false"}}, {}),
        (APP, {"pod": {"hostNetwork": True}}),
        (APP, {"metadata": {"labels": {"gateway.istio.io/managed": "istio.io-mesh-controller"}}}),
        (APP, {"metadata": {"namespace": "off"}}),
    ],
)
def test_pods_without_a_sidecar_are_left_alone(metadata: dict[str, Any], more: dict[str, Any]):
    off = one("Namespace", "off", {}, "v1", metadata={"labels": {"istio-injection": "disabled"}})
    both = service("a", TCP, app="a"), service("b", UDP, app="a")
    elsewhere = [{**each, "metadata": {**each["metadata"], "namespace": "off"}} for each in both]
    assert codes(off, *both, *elsewhere, deployment("d", metadata, **more)) == []


# What Istio says ------------------------------------------------------------------------------------------

BAD = {"type": "istio.io/WaypointBound", "status": "False", "reason": "NoWaypoint", "message": "not ready"}


def test_what_the_cluster_says_of_an_object_is_told_at_its_file():
    entry = one(
        "ServiceEntry",
        "ext",
        {
            "hosts": ["a.org"],
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            "resolution": "DNS",
        },
    )
    live = resource_from_body({**entry, "status": {"conditions": [BAD, {**BAD, "type": "argo/Synced"}]}})
    assert live.key == SERVICE_ENTRY.key("default", "ext")
    context = Context(objects={live.key: live})
    (told,) = [d for d in found(entry, context=context) if d.code == "GM248"]
    assert (told.message, told.hint) == ("istio.io/WaypointBound: not ready", "NoWaypoint")
    fine = resource_from_body({**entry, "status": {"conditions": [{**BAD, "status": "True"}]}})
    assert codes(entry, context=Context(objects={fine.key: fine})) == []
    assert codes(context=context) == []


@pytest.mark.parametrize(
    "status", [None, 1, {"conditions": 1}, {"conditions": [1, {"type": []}]}, {"parents": [1]}]
)
def test_a_status_of_any_shape_is_read(status: Any):
    assert codes(one("HTTPRoute", "r", {}, "gateway.networking.k8s.io/v1", status=status)) == []


# What is known for sure -----------------------------------------------------------------------------------


def severity(code: str, *objects: dict[str, Any], context: Context | None = None) -> Severity:
    (told,) = [d for d in found(*objects, context=context) if d.code == code]
    return told.severity


@pytest.mark.parametrize(
    ("beside", "context", "expected"),
    [
        ([], None, Severity.WARNING),
        ([one("DestinationRule", "r", {"host": "ratings"})], None, Severity.WARNING),
        ([one("DestinationRule", "r", {"host": "reviews"})], None, Severity.ERROR),
        ([service("reviews", {"name": "http", "port": 80})], None, Severity.ERROR),
        ([service("ratings", {"name": "http", "port": 80})], None, Severity.ERROR),
        ([], CLUSTER, Severity.ERROR),
        ([], DAEMON, Severity.ERROR),
    ],
)
def test_a_missing_subset_is_an_error_unless_the_file_is_all_there_is(
    beside: list[Any], context: Context | None, expected: Severity
):
    assert severity("GM201", routes("vs", TO_V1), *beside, context=context) is expected


@pytest.mark.parametrize(
    ("gateways", "context", "expected"),
    [
        ([], None, Severity.WARNING),
        (["default"], None, Severity.ERROR),
        (["other"], None, Severity.WARNING),
        ([], CLUSTER, Severity.ERROR),
        (["default"], DAEMON, Severity.WARNING),
    ],
)
def test_a_missing_gateway_is_an_error_where_gateways_are_known(
    gateways: list[str], context: Context | None, expected: Severity
):
    beside = [one("Gateway", "b", {"servers": [HTTP_SERVER]}, metadata={"namespace": n}) for n in gateways]
    bound = routes("vs", {"host": "reviews"}, hosts=["a.example.com"], gateways=["a"])
    assert severity("GM203", bound, *beside, context=context) is expected


@pytest.mark.parametrize(("context", "expected"), [(None, Severity.WARNING), (CLUSTER, Severity.ERROR)])
def test_what_selects_no_pod_is_an_error_where_the_cluster_was_read(
    context: Context | None, expected: Severity
):
    pods = deployment("d", APP)
    gateway = one("Gateway", "g", {"selector": {"istio": "mine"}, "servers": [HTTP_SERVER]})
    assert severity("GM209", pods, gateway, context=context) is expected
    sidecar = one(
        "Sidecar", "s", {"workloadSelector": {"labels": {"app": "b"}}, "egress": [{"hosts": ["./*"]}]}
    )
    assert severity("GM211", pods, sidecar, context=context) is expected


def test_what_may_not_be_read_in_a_cluster_may_be_there():
    unread = frozenset((kind.group, kind.kind) for kind in (GATEWAY, DESTINATION_RULE))
    context = replace(CLUSTER, unread=unread)
    assert severity("GM201", routes("vs", TO_V1), context=context) is Severity.WARNING
    bound = routes("vs", {"host": "reviews"}, hosts=["a.example.com"], gateways=["a"])
    assert severity("GM203", bound, context=context) is Severity.WARNING


def test_claims_need_a_request_authentication_of_the_cluster():
    gateway = one("Gateway", "a", {"selector": {"app": "p"}, "servers": [HTTP_SERVER]})
    match = [{"headers": {"@request.auth.claims.group": {"exact": "x"}}}]
    rule = {"match": match, "route": [{"destination": {"host": "reviews"}}]}
    spec = {"hosts": ["a.example.com"], "gateways": ["a"], "http": [rule]}
    bound = one("VirtualService", "vs", spec)
    assert severity("GM226", gateway, bound, context=CLUSTER) is Severity.ERROR
    unread = replace(CLUSTER, unread=frozenset([("security.istio.io", "RequestAuthentication")]))
    assert "GM226" not in codes(gateway, bound, context=unread)
    assert "GM226" not in codes(gateway, bound)


def test_an_object_that_is_partly_wrong_is_compared_with_others_all_the_same():
    wrong = {"route": [{"destination": {"host": "reviews"}, "weight": "much"}]}
    right = {"route": [{"destination": {"host": "reviews", "subset": "v9"}}]}
    spec = {"hosts": ["reviews"], "http": [wrong, right]}
    told = found(one("DestinationRule", "r", {"host": "reviews"}), one("VirtualService", "vs", spec))
    assert ("GM201", ("spec", "http", 1)) in {(d.code, d.path[:3]) for d in told}
    assert {d.path[:3] for d in told if d.code.startswith("GM2")} == {("spec", "http", 1)}
