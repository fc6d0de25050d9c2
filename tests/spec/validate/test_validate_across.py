"""Objects are checked against one another, and against what is known of the cluster."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from fakes.examined import files_of, findings

from gitmesh.model.config import ParseLimits
from gitmesh.model.context import Context, ContextPod, ContextPort, ContextService, services_of
from gitmesh.model.diagnostic import Diagnostic, Severity
from gitmesh.model.kinds import DESTINATION_RULE, GATEWAY
from gitmesh.model.resource import resource_from_body
from gitmesh.parse.manifests import parse_files
from gitmesh.validate.check import Validated, validate

VERSIONS = {
    "Service": "v1",
    "Secret": "v1",
    "Namespace": "v1",
    "Deployment": "apps/v1",
    "RequestAuthentication": "security.istio.io/v1",
    "Certificate": "cert-manager.io/v1",
    "APIGateway": "gateway.networking.k8s.io/v1",
}
HTTP_SERVER = {"hosts": ["a.example.com"], "port": {"number": 80, "name": "http", "protocol": "HTTP"}}
TLS_SERVER = {
    "hosts": ["a.example.com"],
    "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
    "tls": {"mode": "SIMPLE", "credentialName": "cert"},
}


def one(kind: str, name: str, spec: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return an object; `namespace`, `labels` and `annotations` are metadata, all else is beside the spec."""
    metadata: dict[str, Any] = {"name": name, "namespace": more.pop("namespace", "default")}
    metadata |= {part: more.pop(part) for part in ("labels", "annotations") if part in more}
    body = {
        "apiVersion": VERSIONS.get(kind, "networking.istio.io/v1"),
        "kind": kind.removeprefix("API"),
        "metadata": metadata,
        **more,
    }
    return body if spec is None else {**body, "spec": spec}


def routes(name: str, *hosts: str, to: Any = "reviews", **more: Any) -> dict[str, Any]:
    destination = {"host": to} if isinstance(to, str) else to
    spec = {"hosts": list(hosts or ("reviews",)), "http": [{"route": [{"destination": destination}]}]}
    return one("VirtualService", name, {**spec, **more})


def service(name: str, *ports: int, **more: Any) -> dict[str, Any]:
    spec = {"ports": [{"port": port, "name": f"http-{port}"} for port in ports]}
    return one("Service", name, {**spec, **more.pop("spec", {})}, **more)


def deployment(name: str, **labels: str) -> dict[str, Any]:
    return one("Deployment", name, {"template": {"metadata": {"labels": labels}}})


def entry(name: str, host: str, *ports: tuple[int, str], **more: Any) -> dict[str, Any]:
    listed = [{"number": number, "name": f"p{number}", "protocol": protocol} for number, protocol in ports]
    return one("ServiceEntry", name, {"hosts": [host], "ports": listed, "resolution": "DNS", **more})


def found(*objects: dict[str, Any], context: Context | None = None) -> list[Diagnostic]:
    text = yaml.safe_dump_all(objects, sort_keys=False)
    return [d for d in findings(text, context=context or Context()) if d.code.startswith("GM2")]


def told(*objects: dict[str, Any], context: Context | None = None) -> set[tuple[str, str]]:
    """Return code and name of the object of each finding that is no remark."""
    remarks = [d for d in found(*objects, context=context) if d.severity is not Severity.INFO]
    return {(d.code, d.key.name) for d in remarks if d.key is not None}


def validated(*objects: dict[str, Any], context: Context | None = None) -> Validated:
    files = files_of({"a.yaml": yaml.safe_dump_all(objects)})
    parsed = parse_files(files, default_namespace="default", limits=ParseLimits())
    return validate(parsed.resources, others=parsed.others, context=context or Context())


# Hosts and ports ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("reviews", None),
        ({"host": "reviews", "port": {"number": 9080}}, None),
        ({"host": "reviews", "port": {"number": 9999}}, "GM207"),
        ("reviews-bogus", "GM202"),
        ("reviews.default", "GM202"),
        ("reviews.default.svc.cluster.local", None),
        ("two", "GM240"),
        ({"host": "two", "port": {"number": 90}}, None),
        ("ext.example.com", "GM249"),
        ("a.wild.example.com", "GM249"),
        ({"host": "ext.example.com", "port": {"number": 80}}, None),
        ("other.org", "GM202"),
        ({"host": "ext.example.com", "port": {"number": 443}}, "GM207"),
        # Nothing is known about a namespace of which the files hold no Service.
        ("reviews.elsewhere.svc.cluster.local", None),
        ("outside", None),
    ],
)
def test_destinations_are_looked_up_among_services_and_service_entries(to: Any, code: str | None):
    beside = [
        service("reviews", 9080),
        service("two", 80, 90),
        one("Service", "outside", {"type": "ExternalName", "externalName": "a.org"}),
        entry("ext", "ext.example.com", (80, "HTTP")),
        entry("wild", "*.wild.example.com", (80, "HTTP"), resolution="NONE"),
    ]
    assert told(*beside, routes("vs", to=to)) == ({(code, "vs")} if code else set())


@pytest.mark.parametrize(
    ("hosts", "fields", "rule", "is_told"),
    [
        (["api.example.com"], {}, {}, True),
        (["web"], {}, {}, True),
        (["ext.example.com"], {}, {}, True),
        (["both"], {}, {}, True),
        (["reviews"], {}, {}, False),
        (["other"], {}, {}, False),
        (["*.example.com"], {}, {}, False),
        (["unknown"], {}, {}, False),
        (["web"], {"gateways": ["edge"]}, {}, False),
        (["web"], {"gateways": ["edge", "mesh"]}, {}, True),
        (["both"], {}, {"match": [{"port": 9080}]}, False),
    ],
)
def test_a_destination_that_keeps_a_port_which_it_does_not_have_is_told(
    hosts: list[str], fields: dict[str, Any], rule: dict[str, Any], is_told: bool
):
    beside = [
        service("reviews", 9080),
        service("web", 80),
        service("other", 9080),
        service("both", 80, 9080),
        entry("ext", "ext.example.com", (80, "HTTP")),
    ]
    http = [{**rule, "route": [{"destination": {"host": "reviews"}}]}]
    spec = {"hosts": hosts, "http": http, **fields}
    codes = [d.code for d in found(*beside, one("VirtualService", "vs", spec))]
    assert ("GM249" in codes) == is_told


def test_a_mirror_and_the_routes_of_tcp_and_tls_are_destinations_too():
    rule = {"route": [{"destination": {"host": "reviews"}}], "mirror": {"host": "m"}}
    tcp = {"route": [{"destination": {"host": "t"}}]}
    tls = {"match": [{"sniHosts": ["reviews"]}], "route": [{"destination": {"host": "s"}}]}
    spec = {"hosts": ["reviews"], "http": [rule], "tcp": [tcp], "tls": [tls]}
    where = [d.path[1] for d in found(service("reviews", 80), one("VirtualService", "vs", spec))]
    assert where == ["http", "tcp", "tls"]


def test_what_is_not_exported_to_a_namespace_is_not_there():
    hidden = entry("ext", "ext.example.com", (80, "HTTP"), exportTo=["."])
    hidden["metadata"]["namespace"] = "other"
    (finding,) = found(service("reviews", 80), hidden, routes("vs", to="ext.example.com"))
    assert (finding.code, finding.message) == (
        "GM202",
        "the host ext.example.com cannot be seen from here: "
        "ServiceEntry other/ext does not export it to this namespace",
    )
    private = service("far", 80, namespace="other", annotations={"networking.istio.io/exportTo": "."})
    far = "far.other.svc.cluster.local"
    assert told(private, routes("vs", to=far)) == {("GM202", "vs")}
    assert told(private, routes("vs", to=far, exportTo=["other"])) == set()


def test_behind_a_gateway_a_destination_needs_a_port():
    gateway = one("Gateway", "entry", {"servers": [HTTP_SERVER]})
    bound = routes("vs", "a.example.com", to="two", gateways=["entry"])
    assert told(service("two", 80, 90), gateway, bound) == {("GM208", "vs")}


# The cluster ----------------------------------------------------------------------------------------------


def test_a_missing_service_is_an_error_but_for_a_daemon_a_warning():
    services = services_of(["ratings.default.svc.cluster.local"])
    for advisory, severity in ((False, Severity.ERROR), (True, Severity.WARNING)):
        context = Context(services=services, advisory=advisory)
        (finding,) = found(routes("vs"), context=context)
        assert (finding.code, finding.severity) == ("GM202", severity)


def test_a_missing_subset_stays_an_error_for_a_daemon():
    context = Context(services=services_of(["reviews.default.svc.cluster.local"]), advisory=True)
    (finding,) = found(routes("vs", to={"host": "reviews", "subset": "v1"}), context=context)
    assert (finding.code, finding.severity) == ("GM201", Severity.ERROR)


def test_services_of_files_and_of_the_cluster_are_taken_together():
    live = {"ratings.default.svc.cluster.local": ContextService("default", "ratings", (ContextPort(80),))}
    known = Context(services=live)
    assert told(service("reviews", 80), routes("a"), routes("b", "x.y", to="ratings"), context=known) == set()
    assert told(routes("c", to="nowhere.far.svc.cluster.local"), context=known) == {("GM202", "c")}


def test_live_objects_count_and_nothing_is_said_about_them():
    rule = one("DestinationRule", "live", {"host": "reviews", "subsets": [{"name": "v1"}, {"name": "v1"}]})
    gateway = one("Gateway", "entry", {"servers": [HTTP_SERVER]})
    live = {DESTINATION_RULE.key("default", "live"): rule, GATEWAY.key("default", "entry"): gateway}
    context = Context(objects={key: resource_from_body(body) for key, body in live.items()})
    bound = routes("vs", "a.example.com", to={"host": "reviews", "subset": "v1"}, gateways=["entry"])
    assert told(bound) == {("GM201", "vs"), ("GM203", "vs")}
    assert told(bound, context=context) == set()
    emptied = one("DestinationRule", "live", {"host": "reviews"})
    assert told(bound, emptied, context=context) == {("GM201", "vs")}


def test_what_cannot_be_checked_is_said_once_for_each_kind():
    objects = [
        *(routes(f"vs{n}", f"h{n}.example.com") for n in range(5)),
        one("DestinationRule", "dr", {"host": "reviews"}),
        one("Gateway", "gw", {"selector": {"a": "b"}, "servers": [TLS_SERVER]}),
    ]
    infos = validated(*objects).unchecked
    assert [(d.code, d.severity, d.message) for d in infos] == [
        ("GM290", "info", "not checked, as the Pods are not known: GM209 IST0101"),
        ("GM290", "info", "not checked, as the Secrets are not known: GM210 IST0101"),
        ("GM290", "info", "not checked, as the Services are not known: GM202 IST0101, GM206 IST0174"),
    ]
    assert infos[2].hint == "give --cluster, or put the Services into the repository"
    everything = Context(services={}, pods=(), namespaces={}, secrets={})
    assert validated(*objects, context=everything).unchecked == ()
    assert validated(one("Sidecar", "s", {"egress": [{"hosts": ["./*"]}]})).unchecked == ()


# DestinationRules -----------------------------------------------------------------------------------------


def subset_rule(labels: dict[str, str], host: str = "reviews") -> dict[str, Any]:
    return one("DestinationRule", "dr", {"host": host, "subsets": [{"name": "v2", "labels": labels}]})


@pytest.mark.parametrize(
    ("labels", "codes"),
    [
        ({"version": "v1"}, set()),
        ({"version": "v2"}, {("GM230", "dr")}),
        ({"version": "v1", "topology.kubernetes.io/zone": "b"}, set()),
        ({"app": "vm"}, set()),
        ({}, set()),
    ],
)
def test_a_subset_needs_pods(labels: dict[str, str], codes: set[tuple[str, str]]):
    machine = one("WorkloadEntry", "vm", {"address": "10.0.0.1", "labels": {"app": "vm"}})
    beside = [service("reviews", 80), deployment("reviews", version="v1"), machine]
    assert told(*beside, subset_rule(labels)) == codes


def test_without_pods_of_the_namespace_a_subset_is_not_judged():
    assert told(service("reviews", 80), subset_rule({"version": "v2"})) == set()
    assert told(subset_rule({"version": "v2"}, host="a.example.com")) == set()


def test_endpoints_of_a_service_entry_can_be_a_subset():
    listed = [{"address": "1.2.3.4", "labels": {"version": "v1"}}]
    written = entry("ext", "ext.example.com", (80, "HTTP"), endpoints=listed, resolution="STATIC")
    assert told(written, subset_rule({"version": "v1"}, "ext.example.com")) == set()
    assert told(written, subset_rule({"version": "v2"}, "ext.example.com")) == {("GM230", "dr")}


def tls(mode: str, host: str = "ext.example.com", **ports: Any) -> dict[str, Any]:
    settings = {"mode": mode, "caCertificates": "/ca.pem"} if mode != "ISTIO_MUTUAL" else {"mode": mode}
    return one("DestinationRule", "dr", {"host": host, "trafficPolicy": {"tls": settings, **ports}})


@pytest.mark.parametrize(
    ("mode", "port", "more", "codes"),
    [
        ("SIMPLE", (443, "HTTPS"), {}, {"GM234"}),
        ("SIMPLE", (443, "HTTP"), {}, set()),
        ("SIMPLE", (80, "HTTP"), {}, {"GM235"}),
        ("SIMPLE", (80, "HTTP"), {"endpoints": [{"address": "a.org", "ports": {"p80": 443}}]}, set()),
        ("ISTIO_MUTUAL", (80, "HTTP"), {}, {"GM233"}),
        ("ISTIO_MUTUAL", (80, "HTTP"), {"location": "MESH_INTERNAL"}, set()),
        ("DISABLE", (443, "HTTPS"), {}, set()),
    ],
)
def test_tls_settings_that_contradict_the_destination(
    mode: str, port: tuple[int, str], more: dict[str, Any], codes: set[str]
):
    objects = [entry("ext", "ext.example.com", port, **more), tls(mode)]
    assert {code for code, _ in told(*objects)} == codes


def test_a_port_that_gets_plain_http_from_an_egress_gateway_is_encrypted_once():
    objects = [entry("ext", "ext.example.com", (443, "HTTPS")), tls("SIMPLE")]
    sent = routes("vs", "ext.example.com", to={"host": "ext.example.com", "port": {"number": 443}})
    assert told(*objects, sent) == set()


def test_the_settings_of_a_port_replace_those_of_the_host():
    ports = {"portLevelSettings": [{"port": {"number": 443}, "loadBalancer": {"simple": "RANDOM"}}]}
    assert told(entry("ext", "ext.example.com", (443, "HTTPS")), tls("SIMPLE", **ports)) == set()


def test_rules_for_one_host_are_joined_and_the_younger_policy_is_lost():
    first = one(
        "DestinationRule", "a", {"host": "reviews", "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}}
    )
    again = {**first, "metadata": {"name": "b", "namespace": "default"}}
    assert told(first, again) == {("GM237", "a"), ("GM237", "b")}
    private = one("DestinationRule", "c", {**first["spec"], "exportTo": ["."]})
    assert told(first, private) == set()
    wide = one("DestinationRule", "d", {**first["spec"], "host": "*.default.svc.cluster.local"})
    assert told(first, wide) == set()


# Gateways -------------------------------------------------------------------------------------------------


def gateway(name: str, *servers: dict[str, Any], selector: dict[str, str] | None = None) -> dict[str, Any]:
    return one("Gateway", name, {"selector": selector or {"istio": "entry"}, "servers": list(servers)})


@pytest.mark.parametrize(
    ("hosts", "served", "fits"),
    [
        (["a.example.com"], ["a.example.com"], True),
        (["a.example.com"], ["*.example.com"], True),
        (["*.example.com"], ["a.example.com"], True),
        (["a.example.com"], ["*"], True),
        (["a.example.com"], ["./a.example.com"], True),
        (["a.example.com"], ["default/*"], True),
        (["a.example.com"], ["other/*"], False),
        (["a.example.com"], ["b.example.com"], False),
        (["a.example.com", "c.org"], ["c.org"], True),
    ],
)
def test_a_gateway_must_serve_one_of_the_hosts(hosts: list[str], served: list[str], fits: bool):
    objects = gateway("entry", {**HTTP_SERVER, "hosts": served}), routes("vs", *hosts, gateways=["entry"])
    assert told(*objects) == (set() if fits else {("GM221", "vs")})


def test_gateways_of_the_gateway_api_exist_and_those_that_istio_makes_are_none_to_bind_to():
    made = one("APIGateway", "entry", {})
    assert told(made, routes("vs", "a.example.com", gateways=["entry"])) == set()
    name = "entry-istio-autogenerated-k8s-gateway-http"
    assert told(made, routes("vs", "a.example.com", gateways=[name])) == {("GM229", "vs")}


@pytest.mark.parametrize(
    ("hostnames", "fits"),
    [(["a.example.com"], True), (["*.example.com"], True), ([""], True), (["b.example.com"], False)],
)
def test_a_gateway_of_the_gateway_api_must_serve_one_of_the_hosts_too(hostnames: list[str], fits: bool):
    listeners = [{"name": "http", "port": 80, "hostname": host} for host in hostnames]
    made = one("APIGateway", "entry", {"listeners": listeners})
    bound = routes("vs", "a.example.com", gateways=["entry"])
    assert told(made, bound) == (set() if fits else {("GM221", "vs")})


def test_a_misspelt_gateway_is_guessed():
    (finding,) = found(gateway("entry", HTTP_SERVER), routes("vs", "a.example.com", gateways=["entri"]))
    assert (finding.code, finding.hint) == ("GM203", "did you mean entry?")


def test_gateways_with_other_selectors_conflict_where_they_share_pods():
    one_way = gateway("a", TLS_SERVER, selector={"istio": "entry"})
    other_way = gateway(
        "b", {**TLS_SERVER, "tls": {"mode": "SIMPLE", "credentialName": "c2"}}, selector={"app": "x"}
    )
    assert told(one_way, other_way) == set()
    shared = deployment("gw", istio="entry", app="x")
    assert {code for code, _ in told(one_way, other_way, shared)} == {"GM225"}
    plain = gateway("a", HTTP_SERVER), gateway("b", HTTP_SERVER)
    assert {code for code, _ in told(*plain)} == {"GM239"}


@pytest.mark.parametrize(
    ("selector", "code"), [({"istio": "ingressgateway"}, None), ({"istio": "mine"}, "GM209"), ({}, None)]
)
def test_a_gateway_needs_pods_unless_istio_brings_them(selector: dict[str, str], code: str | None):
    spec = {"selector": selector, "servers": [HTTP_SERVER]}
    objects = one("Gateway", "gw", spec), deployment("reviews", app="reviews")
    assert {found_code for found_code, _ in told(*objects)} - {"GM228"} == ({code} if code else set())


def test_secrets_are_looked_for_where_the_gateway_runs():
    secrets = {("edge", "cert"): "kubernetes.io/tls"}
    runs_in_edge = Context(pods=(ContextPod("edge", "p", {"istio": "entry"}),), secrets=secrets)
    assert told(gateway("gw", TLS_SERVER), context=runs_in_edge) == set()
    runs_here = Context(pods=(ContextPod("default", "p", {"istio": "entry"}),), secrets=secrets)
    assert told(gateway("gw", TLS_SERVER), context=runs_here) == {("GM210", "gw")}


def test_a_certificate_of_cert_manager_is_a_secret():
    made = one("Certificate", "c", {"secretName": "cert"})
    beside = deployment("gw", istio="entry"), one("Secret", "other", type="kubernetes.io/tls")
    assert told(*beside, gateway("gw", TLS_SERVER)) == {("GM210", "gw")}
    assert told(*beside, made, gateway("gw", TLS_SERVER)) == set()


def test_ports_of_a_gateway_are_those_of_its_services():
    pods = deployment("gw", istio="entry")
    named = {"ports": [{"port": 8443, "name": "https", "targetPort": 443}], "selector": {"istio": "entry"}}
    assert told(pods, service("gw", spec=named), gateway("gw", TLS_SERVER)) == set()
    wrong = {**named, "ports": [{"port": 8443, "name": "https", "targetPort": 8443}]}
    assert told(pods, service("gw", spec=wrong), gateway("gw", TLS_SERVER)) == {("GM228", "gw")}


CLAIM = {
    "match": [{"headers": {"@request.auth.claims.g": {"exact": "a"}}}],
    "route": [{"destination": {"host": "r"}}],
}


@pytest.mark.parametrize(
    ("labels", "code"), [({"istio": "entry"}, None), ({"app": "r"}, "GM226"), (None, None)]
)
def test_claims_need_a_request_authentication_at_the_gateway(labels: dict[str, str] | None, code: str | None):
    policy = one("RequestAuthentication", "t", {"selector": {"matchLabels": labels}} if labels else {})
    spec = {"hosts": ["a.example.com"], "gateways": ["gw"], "http": [CLAIM]}
    objects = [gateway("gw", HTTP_SERVER), deployment("gw", istio="entry"), one("VirtualService", "vs", spec)]
    assert {found_code for found_code, _ in told(*objects, policy)} == ({code} if code else set())


# VirtualServices ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "conflict"),
    [
        ({}, {}, True),
        ({"exportTo": ["."]}, {}, True),
        ({"exportTo": ["one"]}, {"exportTo": ["two"]}, False),
        ({"exportTo": ["one"]}, {"exportTo": ["two", "one"]}, True),
        ({"hosts": ["a.example.com"]}, {"hosts": ["*.example.com"]}, False),
        ({"hosts": ["a.example.com"], "exportTo": ["."]}, {"hosts": ["*.example.com"]}, True),
        ({"hosts": ["*.example.com"], "exportTo": ["."]}, {"hosts": ["a.example.com"]}, True),
        ({"gateways": ["default/gw"]}, {}, False),
        ({"gateways": ["default/gw", "mesh"]}, {}, True),
    ],
)
def test_two_virtual_services_of_the_mesh_conflict(
    first: dict[str, Any], second: dict[str, Any], conflict: bool
):
    beside = gateway("gw", {**HTTP_SERVER, "hosts": ["*"]})
    found_codes = told(beside, routes("a", **first), routes("b", **second))
    assert {each for each in found_codes if each[0] == "GM205"} == (
        {("GM205", "a"), ("GM205", "b")} if conflict else set()
    )


@pytest.mark.parametrize(
    ("match", "same"),
    [
        (None, True),
        ([{"uri": {"prefix": "/"}}], True),
        ([{"uri": {"prefix": "/b"}}], False),
        ([{"name": "mine", "uri": {"prefix": "/a"}}], True),
    ],
)
def test_rules_of_several_virtual_services_at_one_gateway(match: list[Any] | None, same: bool):
    def bound(name: str, *matches: list[Any] | None) -> dict[str, Any]:
        rules = [{"match": m} if m else {} for m in matches]
        http = [{**rule, "route": [{"destination": {"host": "reviews"}}]} for rule in rules]
        return one("VirtualService", name, {"hosts": ["a.example.com"], "gateways": ["gw"], "http": http})

    first = bound("a", [{"uri": {"prefix": "/a"}}], None)
    codes = told(gateway("gw", HTTP_SERVER), first, bound("b", match))
    assert codes == ({("GM236", "a"), ("GM236", "b")} if same else set())


@pytest.mark.parametrize(
    ("root", "match", "drops"),
    [
        ({"prefix": "/api"}, {"prefix": "/api/v1"}, False),
        ({"prefix": "/api"}, {"exact": "/api/v1"}, False),
        ({"prefix": "/api"}, {"prefix": "/"}, True),
        ({"prefix": "/api"}, {"regex": "/api.*"}, True),
        ({"exact": "/api"}, {"prefix": "/api"}, True),
        ({"exact": "/api"}, {"exact": "/api"}, False),
    ],
)
def test_a_delegate_can_only_narrow(root: dict[str, str], match: dict[str, str], drops: bool):
    delegating = {"match": [{"uri": root}], "delegate": {"name": "parts", "namespace": "other"}}
    top = one("VirtualService", "vs", {"hosts": ["reviews"], "http": [delegating]})
    rule = {"match": [{"uri": match}], "route": [{"destination": {"host": "reviews"}}]}
    parts = one("VirtualService", "parts", {"http": [rule]}, namespace="other")
    assert told(top, parts) == ({("GM214", "vs")} if drops else set())


def test_rules_of_the_mesh_do_not_reach_what_a_gateway_sends():
    rule = one("DestinationRule", "dr", {"host": "reviews", "subsets": [{"name": "v1"}]})
    inside = routes("inside", to={"host": "reviews", "subset": "v1"})
    bound = routes("vs", "a.example.com", gateways=["gw"])
    assert told(gateway("gw", HTTP_SERVER), rule, inside, bound) == {("GM224", "vs")}
    to_subset = routes("vs", "a.example.com", gateways=["gw"], to={"host": "reviews", "subset": "v1"})
    assert told(gateway("gw", HTTP_SERVER), rule, inside, to_subset) == set()


# Sidecars and ServiceEntries ------------------------------------------------------------------------------


def sidecar(name: str, **labels: str) -> dict[str, Any]:
    selector = {"workloadSelector": {"labels": labels}} if labels else {}
    return one("Sidecar", name, {**selector, "egress": [{"hosts": ["./*"]}]})


def test_sidecars_conflict_where_they_are_for_the_same_proxies():
    assert told(sidecar("a"), sidecar("b", app="x")) == set()
    assert told(sidecar("a"), sidecar("b")) == {("GM215", "a"), ("GM215", "b")}
    assert told(sidecar("a", app="x"), sidecar("b", app="x")) == {("GM216", "a"), ("GM216", "b")}
    assert told(sidecar("a", app="x"), sidecar("b", v="1"), deployment("d", app="x")) == {("GM211", "b")}
    both = deployment("d", app="x", v="1")
    assert told(sidecar("a", app="x"), sidecar("b", v="1"), both) == {("GM216", "a"), ("GM216", "b")}


def test_service_entries_must_agree_where_somebody_sees_both():
    http, grpc = (entry(name, "ext.example.com", (80, name.upper())) for name in ("http", "grpc"))
    assert told(http, grpc) == {("GM231", "http"), ("GM231", "grpc")}
    grpc["spec"]["exportTo"] = ["one"]
    assert told({**http, "spec": {**http["spec"], "exportTo": ["two"]}}, grpc) == set()


# Services -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("port", "says"),
    [
        ({"port": 80, "name": "http"}, True),
        ({"port": 80, "name": "http-web"}, True),
        ({"port": 80, "name": "grpc-web-x"}, True),
        ({"port": 80, "name": "HTTP2"}, True),
        ({"port": 80, "name": "web"}, False),
        ({"port": 80, "name": "httpx"}, False),
        ({"port": 80}, False),
        ({"port": 80, "name": "web", "appProtocol": "http"}, True),
        ({"port": 80, "name": "http", "appProtocol": "mine"}, False),
        ({"port": 80, "appProtocol": "kubernetes.io/h2c"}, True),
        ({"port": 53, "name": "dns", "protocol": "UDP"}, True),
        ({"port": 3306, "name": "db"}, True),
    ],
)
def test_a_port_says_its_protocol(port: dict[str, Any], says: bool):
    codes = [d.code for d in found(one("Service", "s", {"ports": [port]}))]
    assert codes == ([] if says else ["GM217"])


def test_a_port_of_an_external_name_may_not_be_tcp():
    spec = {"type": "ExternalName", "externalName": "a.org", "ports": [{"port": 80, "name": "tcp"}]}
    assert [d.code for d in found(one("Service", "s", spec))] == ["GM218"]
