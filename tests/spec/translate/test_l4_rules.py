"""TCP and TLS rules become filter chains: by port, client and gateway while built, by SNI for Envoy."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.mesh_objects import istio, resource_set, service, subsets, to

from gitmesh.playground.translate.destinations import Destination, Subset
from gitmesh.playground.translate.fields import Reports, spec_of
from gitmesh.playground.translate.l4_routes import (
    gateway_tcp_chains,
    gateway_tls_chains,
    tcp_chains,
    tls_chains,
)
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.route_context import RouteContext
from gitmesh.playground.translate.routes import VirtualService, read_virtual_services
from gitmesh.playground.translate.services import Service, read_services

MONGO = "outbound|27017|{}|mongo.default.svc.cluster.local"
HTTPS = "outbound|443|{}|secure.default.svc.cluster.local"


def world() -> dict[str, Service]:
    mongo, secure = service("mongo", 27017), service("secure", 443)
    mongo["spec"]["clusterIP"] = "10.1.2.3"
    for body in (mongo, secure):
        body["spec"]["ports"][0]["name"] = "http-pure-functions-do-not-look-at-it"
    return read_services(resource_set([mongo, secure]), Reports())


def rules(protocol: str, *found: dict[str, Any], **spec: Any) -> tuple[tuple[VirtualService, ...], Reports]:
    reports = Reports()
    host = {"tcp": "mongo", "tls": "secure"}[protocol]
    body = istio("VirtualService", "rules", {"hosts": [host], protocol: list(found), **spec})
    return read_virtual_services(resource_set([body]), reports), reports


def context(port: int, gateway: str = "mesh", **fields: Any) -> RouteContext:
    return RouteContext(gateway, port, world(), **fields)


def target(chain: Envoy) -> Any:
    """Return the cluster, or what each cluster's weight is."""
    proxy = chain["filters"][0]["typed_config"]
    if "cluster" in proxy:
        return proxy["cluster"]
    return {entry["name"]: entry["weight"] for entry in proxy["weighted_clusters"]["clusters"]}


def tcp(*found: dict[str, Any], **fields: Any) -> Any:
    sources, _ = rules("tcp", *found)
    [chain] = tcp_chains(world()["mongo.default.svc.cluster.local"], sources, context(27017, **fields))
    return target(chain)


def tls(*found: dict[str, Any], **fields: Any) -> dict[str, Any]:
    sources, _ = rules("tls", *found)
    chains = tls_chains(world()["secure.default.svc.cluster.local"], sources, context(443, **fields))
    return {
        ",".join(chain.get("filter_chain_match", {}).get("server_names", ["*"])): target(chain)
        for chain in chains
    }


V1, V2 = {"route": [to("mongo", "v1")]}, {"route": [to("mongo", "v2")]}


def test_a_port_without_rules_goes_to_the_service():
    assert tcp() == MONGO.format("")
    assert tls() == {"*": HTTPS.format("")}


def test_connections_are_shared_out_by_weight_whatever_the_sum():
    entries = [to("mongo", "v1", weight=1), to("mongo", "v2", weight=3), to("mongo", "v3", weight=0)]
    assert tcp({"route": entries}) == {MONGO.format("v1"): 1, MONGO.format("v2"): 3}


def test_a_single_destination_needs_no_weight():
    assert tcp({"route": [to("mongo", "v1", weight=0)]}) == MONGO.format("v1")


def test_a_rule_without_any_weight_is_left_out_and_reported():
    sources, reports = rules("tcp", {"route": [to("mongo", "v1"), to("mongo", "v2")]}, V2)
    [chain] = tcp_chains(world()["mongo.default.svc.cluster.local"], sources, context(27017))
    assert target(chain) == MONGO.format("v2")
    assert [item.place for item in reports.all()] == ["spec.tcp[0]"]


def test_the_first_rule_that_holds_takes_the_port():
    assert tcp({"match": [{"port": 1}], **V1}, {"match": [{"port": 2}, {"port": 27017}], **V2}, V1) == (
        MONGO.format("v2")
    )


def test_the_client_decides_while_the_chains_are_built():
    found = [
        {"match": [{"sourceLabels": {"app": "a"}, "gateways": ["mesh"]}], **V1},
        {"match": [{"sourceNamespace": "team"}], **V2},
    ]
    assert tcp(*found, labels={"app": "a", "version": "v9"}) == MONGO.format("v1")
    assert tcp(*found, labels={"app": "b"}, namespace="team") == MONGO.format("v2")
    assert tcp(*found, labels={"app": "b"}) == MONGO.format("")


@pytest.mark.parametrize(
    ("subnets", "version"),
    [(["10.0.0.0/8"], "v1"), (["192.168.0.0/16", "10.1.2.3"], "v1"), (["192.168.0.0/16"], ""), (["x"], "")],
)
def test_a_subnet_is_compared_with_the_address_of_the_service(subnets: list[str], version: str):
    assert tcp({"match": [{"destinationSubnets": subnets}], **V1}) == MONGO.format(version)


def test_a_rule_for_another_service_changes_nothing():
    sources, _ = rules("tcp", V1, hosts=["secure"])
    [chain] = tcp_chains(world()["mongo.default.svc.cluster.local"], sources, context(27017))
    assert target(chain) == MONGO.format("")


def test_a_condition_that_cannot_be_evaluated_is_never_widened():
    sources, reports = rules("tcp", {"match": [{"brandNew": 1}], **V1})
    [chain] = tcp_chains(world()["mongo.default.svc.cluster.local"], sources, context(27017))
    assert target(chain) == MONGO.format("")
    assert [item.place for item in reports.all()] == ["spec.tcp[0].match[0].brandNew"]


def sni(*names: str, subset: str = "", **fields: Any) -> dict[str, Any]:
    return {"match": [{"sniHosts": list(names), **fields}], "route": [to("secure", subset)]}


def test_tls_is_told_apart_by_the_name_that_the_client_asks_for():
    found = tls(sni("a.example.com", "B.example.com", subset="v1"), sni("*.example.com", subset="v2"))
    assert found == {"a.example.com,b.example.com": HTTPS.format("v1"), "*.example.com": HTTPS.format("v2")}


def test_of_two_rules_for_one_name_the_first_wins():
    assert tls(sni("a", subset="v1"), sni("a", "b", subset="v2")) == {
        "a": HTTPS.format("v1"),
        "b": HTTPS.format("v2"),
    }
    assert tls(sni("a", subset="v1", port=1), sni("a", subset="v2")) == {"a": HTTPS.format("v2")}


def test_every_name_is_a_chain_without_a_condition():
    assert tls(sni("*", "a", subset="v1")) == {"*": HTTPS.format("v1")}


def test_a_wildcard_in_the_middle_is_reported():
    sources, reports = rules("tls", sni("*a.com", "b.com"))
    [chain] = tls_chains(world()["secure.default.svc.cluster.local"], sources, context(443))
    assert chain["filter_chain_match"] == {"server_names": ["b.com"]}
    assert [item.place for item in reports.all()] == ["spec.tls[0].match[0].sniHosts[0]"]


def test_a_gateway_looks_at_port_and_gateway_only():
    found = [
        {"match": [{"port": 1}], **V2},
        {"match": [{"gateways": ["other"]}], **V2},
        {"match": [{"gateways": ["front"], "sourceLabels": {"app": "x"}}], **V1},
    ]
    sources, _ = rules("tcp", *found, gateways=["front"])
    [chain] = gateway_tcp_chains(sources, context(27017, "default/front"))
    assert target(chain) == MONGO.format("v1")
    assert gateway_tcp_chains(rules("tcp")[0], context(27017, "default/front")) == []


def test_a_gateway_that_passes_tls_through_has_no_chain_of_its_own():
    sources, _ = rules("tls", sni("a", subset="v1"), gateways=["front"])
    [chain] = gateway_tls_chains(sources, context(443, "default/front"))
    assert (chain["filter_chain_match"], target(chain)) == ({"server_names": ["a"]}, HTTPS.format("v1"))
    assert gateway_tls_chains((), context(443, "default/front")) == []


def test_a_chain_names_its_object_and_rule():
    sources, _ = rules("tls", sni("a"))
    [chain] = tls_chains(world()["secure.default.svc.cluster.local"], sources, context(443))
    about = chain["metadata"]["filter_metadata"]["gitmesh"]
    assert (about["source"], about["rule"]) == ("default/rules", "spec.tls[0].match[0]")


def test_connections_live_as_long_as_the_destination_rule_says():
    pool = {"tcp": {"idleTimeout": "7s", "maxConnectionDuration": "1m"}}
    hashed = {"consistentHash": {"useSourceIp": True}}
    body = subsets("mongo", "v1", "v2", trafficPolicy={"connectionPool": pool, "loadBalancer": hashed})
    [resource] = resource_set([body]).values()
    spec = spec_of(resource, Reports())
    said = Destination((Subset("v1", {}, spec["none"]),), spec["trafficPolicy"])
    sources, _ = rules("tcp", V1)
    [chain] = tcp_chains(
        world()["mongo.default.svc.cluster.local"], sources, context(27017, destination_of=lambda _: said)
    )
    proxy = chain["filters"][0]["typed_config"]
    assert (proxy["idle_timeout"], proxy["max_downstream_connection_duration"]) == ("7s", "60s")
    assert proxy["hash_policy"] == [{"source_ip": {}}]
