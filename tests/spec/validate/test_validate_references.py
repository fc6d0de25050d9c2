"""What one object says about others must be true."""

from __future__ import annotations

import pytest
from fakes.examined import findings

HOSTS = ("reviews.default.svc.cluster.local", "ratings.other.svc.cluster.local")


def rule(host: str, *subsets: str, namespace: str = "default") -> str:
    listed = ", ".join(f"{{name: {name}, labels: {{version: {name}}}}}" for name in subsets)
    return (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
        f"metadata: {{name: r{abs(hash((host, subsets))) % 10**6}, namespace: {namespace}}}\n"
        f"spec: {{host: '{host}', subsets: [{listed}]}}\n"
    )


def route(host: str, subset: str = "", *, name: str = "a", own: str = "a", gateways: str = "[]") -> str:
    wanted = f"host: {host}, subset: {subset}" if subset else f"host: {host}"
    return (
        f"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\n"
        f"spec: {{hosts: [{own}], gateways: {gateways}, "
        f"http: [{{route: [{{destination: {{{wanted}}}}}]}}]}}\n"
    )


def codes(*texts: str, hosts=None) -> list[str]:
    return [d.code for d in findings("---\n".join(texts), known_hosts=hosts)]


@pytest.mark.parametrize(
    ("rule_host", "namespace", "route_host"),
    [
        ("reviews", "default", "reviews"),
        ("reviews", "default", "reviews.default.svc.cluster.local"),
        ("reviews.default.svc.cluster.local", "default", "reviews"),
        ("reviews", "other", "reviews.other.svc.cluster.local"),
        ("*.default.svc.cluster.local", "default", "reviews"),
        ("ext.example.com", "default", "ext.example.com"),
        ("*", "default", "reviews"),
    ],
)
def test_a_subset_is_found_by_the_host_that_a_name_stands_for(rule_host, namespace, route_host):
    assert codes(rule(rule_host, "v1", namespace=namespace), route(route_host, "v1")) == []


def test_a_subset_of_another_namespace_is_another_host():
    assert codes(rule("reviews", "v1", namespace="other"), route("reviews", "v1")) == ["GM201"]


def test_a_missing_subset_says_which_there_are():
    (found,) = findings(rule("reviews", "v2", "v1") + "---\n" + route("reviews", "v3"))
    assert found.message == (
        'subset "v3" of host reviews.default.svc.cluster.local is not defined by any DestinationRule'
    )
    assert found.hint == "add it, or route to one of: v1, v2"


def test_subsets_of_several_rules_for_one_host_are_taken_together():
    assert codes(rule("reviews", "v1"), rule("*", "v2"), route("reviews", "v2")) == []


def test_a_mirror_and_a_tcp_route_are_references_too():
    tcp = "tcp: [{route: [{destination: {host: b, subset: v8}}]}]"
    text = route("reviews").replace("http: [{", f"{tcp}, http: [{{mirror: {{host: c, subset: v9}}, ")
    assert codes(text) == ["GM201", "GM201"]


def test_a_broken_destination_rule_is_reported_once():
    broken = rule("reviews", "v1").replace("host: 'reviews'", "host: 'reviews', hots: 1")
    assert codes(broken, route("reviews", "v1")) == ["GM101"]


def test_hosts_are_only_checked_where_the_cluster_is_known():
    assert codes(route("nowhere")) == []
    assert codes(route("nowhere"), hosts=HOSTS) == ["GM202"]
    assert codes(route("reviews"), hosts=HOSTS) == []


def test_a_service_entry_makes_a_host_known():
    entry = (
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: e}\n"
        "spec: {hosts: ['*.example.com', one.org], ports: [{number: 80, name: http, protocol: HTTP}]}\n"
    )
    assert codes(entry, route("a.example.com"), hosts=HOSTS) == []
    assert codes(entry, route("one.org"), hosts=HOSTS) == []
    assert codes(entry, route("two.org"), hosts=HOSTS) == ["GM202"]


@pytest.mark.parametrize(
    ("host", "hint"),
    [
        ("review", "did you mean reviews?"),
        ("ratings.other", "write ratings.other.svc.cluster.local"),
        ("zzz", ""),
    ],
)
def test_an_unknown_host_is_guessed(host: str, hint: str):
    (found,) = findings(route(host), known_hosts=HOSTS)
    assert found.hint == hint


def test_a_destination_rule_for_an_unknown_host_is_a_warning():
    assert codes(rule("nowhere", "v1"), hosts=HOSTS) == ["GM206"]
    assert codes(rule("*", "v1"), hosts=HOSTS) == []


GATEWAY = (
    "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: entry, namespace: edge}\n"
    "spec: {selector: {a: b}, servers: [{hosts: ['*'], port: {number: 80, name: http, protocol: HTTP}}]}\n"
)


@pytest.mark.parametrize(
    ("gateways", "expected"),
    [
        ("[mesh]", []),
        ("[edge/entry]", []),
        ("[entry.edge.svc.cluster.local]", ["GM140"]),
        ("[entry]", ["GM203"]),
        ("[edge/entri]", ["GM203"]),
    ],
)
def test_gateways_are_looked_up_by_namespace_and_name(gateways: str, expected: list[str]):
    assert codes(GATEWAY, route("reviews", own="a.example.com", gateways=gateways)) == expected


def test_two_virtual_services_for_one_host_of_the_mesh_are_both_wrong():
    one = route("reviews", name="a", own="reviews")
    assert codes(one, route("reviews", name="b", own="reviews.default.svc.cluster.local")) == [
        "GM205",
        "GM205",
    ]
    assert codes(GATEWAY, one, route("reviews", name="b", own="reviews", gateways="[edge/entry]")) == []


def test_thousands_of_hosts_are_compared_in_no_time():
    hosts = [f"'*.h{n}.example.com'" for n in range(5_000)]
    text = route("reviews", own=", ".join([*hosts, "a.h77.example.com"]), gateways="[edge/entry]")
    assert codes(GATEWAY, text) == ["GM121"]


def test_thousands_of_unknown_hosts_are_all_reported_and_guessed():
    many = ", ".join(
        f"{{route: [{{destination: {{host: h{n}}}}}], match: [{{port: 1}}]}}" for n in range(900)
    )
    text = route("reviews").replace("http: [", f"http: [{many}, ")
    hosts = [f"h{n}x.default.svc.cluster.local" for n in range(3_000)]
    found = [d for d in findings(text, known_hosts=hosts) if d.code == "GM202"]
    assert len(found) == 901
    assert sum(d.hint.startswith("did you mean h") for d in found) == 900
