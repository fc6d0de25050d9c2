"""Only what can be wrong is read by an Envoy of its own: what has changed, but for weights and endpoints."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fakes.mesh_objects import pod, resource_set, service, subsets, to, virtual_service

from gitmesh.playground.envoy.precheck import structural_problems
from gitmesh.playground.envoy.snapshot import Snapshot, what_can_be_wrong
from gitmesh.playground.translate import translate

ROUTES = "outbound|default"
HOST = "reviews.default.svc.cluster.local"


def snapshot(weight: int = 10, *, address: str = "127.0.0.11", header: str = "a", **rule: Any) -> Snapshot:
    headers = {"response": {"set": {"x": header}}}
    destinations = [
        to("reviews", "v1", weight=100 - weight, headers=headers),
        to("reviews", "v2", weight=weight),
    ]
    bodies = [
        service("reviews"),
        service("ratings"),
        pod("reviews", "v1", address),
        subsets("reviews", "v1", "v2"),
        virtual_service("reviews", {"route": destinations, **rule}),
    ]
    return Snapshot.of(translate(resource_set(bodies)))


def with_cluster(**fields: Any) -> Snapshot:
    good = snapshot()
    name = f"outbound|9080|v1|{HOST}"
    return replace(good, clusters={**good.clusters, name: {**good.clusters[name], **fields}})


def at(address: str, **fields: Any) -> dict[str, Any]:
    endpoint = {"address": {"socket_address": {"address": address, "port_value": 9080}}}
    return {"endpoints": [{"lb_endpoints": [{"endpoint": endpoint}], **fields}]}


def test_nothing_is_doubtful_of_what_is_known():
    assert what_can_be_wrong(snapshot(), snapshot()) == Snapshot()


@pytest.mark.parametrize("weight", [20, 0])
def test_weights_are_not_doubtful(weight: int):
    assert snapshot(weight) != snapshot()
    assert what_can_be_wrong(snapshot(), snapshot(weight)) == Snapshot()


def test_endpoints_are_not_doubtful():
    known, other = with_cluster(load_assignment=at("127.0.0.13")), with_cluster(load_assignment=at("::1"))
    assert other != known
    assert what_can_be_wrong(known, other) == Snapshot()


@pytest.mark.parametrize(
    "rule", [{"header": "b"}, {"timeout": "1s"}, {"match": [{"uri": {"regex": "["}}]}], ids=str
)
def test_of_routes_only_the_virtual_hosts_that_changed_are_doubtful(rule: dict[str, Any]):
    doubtful = what_can_be_wrong(snapshot(), snapshot(**rule))
    assert not doubtful.clusters
    assert not doubtful.listeners
    names = {host["name"].rpartition(":")[0] for host in doubtful.routes[ROUTES]["virtual_hosts"]}
    assert names == {HOST}


def test_a_change_of_a_route_configuration_as_a_whole_is_doubtful():
    good = snapshot()
    changed = {**good.routes[ROUTES], "vhds": {"no": "such"}}
    doubtful = what_can_be_wrong(good, replace(good, routes={**good.routes, ROUTES: changed}))
    assert doubtful.routes[ROUTES]["vhds"] == {"no": "such"}


def test_everything_is_doubtful_at_first():
    good = snapshot()
    doubtful = what_can_be_wrong(Snapshot(), good)
    assert doubtful.clusters == good.clusters
    assert doubtful.routes == good.routes
    assert doubtful.listeners == good.listeners


@pytest.mark.parametrize(
    "fields",
    [
        {"connect_timeout": "1s"},
        {"load_assignment": at("no address")},
        {"load_assignment": at("127.0.0.12", priority=3)},
    ],
    ids=str,
)
def test_of_clusters_those_that_changed_are_doubtful(fields: dict[str, Any]):
    doubtful = what_can_be_wrong(snapshot(), with_cluster(**fields))
    assert list(doubtful.clusters) == [f"outbound|9080|v1|{HOST}"]
    assert not doubtful.routes


def test_a_secret_is_doubtful_together_with_what_uses_it():
    def snapshot(key: str) -> Snapshot:
        context = {"common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": "s"}]}}
        chain = {"filters": [], "transport_socket": {"name": "tls", "typed_config": context}}
        listeners = {"l": {"name": "l", "filter_chains": [chain]}, "m": {"name": "m", "filter_chains": []}}
        secrets = {"s": {"name": "s", "tls_certificate": key}, "t": {"name": "t"}}
        return Snapshot(listeners=listeners, secrets=secrets)

    doubtful = what_can_be_wrong(snapshot("one"), snapshot("two"))
    assert doubtful.listeners.keys() == {"l"}
    assert doubtful.secrets.keys() == {"s"}
    assert what_can_be_wrong(snapshot("one"), snapshot("one")) == Snapshot()


def test_a_domain_twice_or_a_sum_beyond_the_limit_is_found_without_envoy():
    good = snapshot()
    config = good.routes[ROUTES]
    other = {**config["virtual_hosts"][0], "name": "other"}
    shouted = {**other, "domains": [domain.upper() for domain in other["domains"]]}
    for host in (config["virtual_hosts"][0], other, shouted):
        twice = {**config, "virtual_hosts": [*config["virtual_hosts"], host]}
        changed = replace(good, routes={**good.routes, ROUTES: twice})
        assert any("twice" in problem for problem in structural_problems(changed))
    clusters = [{"name": "a", "weight": 4_000_000_000}, {"name": "b", "weight": 4_000_000_000}]
    route = {"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": clusters}}}
    heavy = Snapshot(routes={"m": {"virtual_hosts": [{"name": "h", "domains": ["h"], "routes": [route]}]}})
    assert any("add to 8000000000" in problem for problem in structural_problems(heavy))
    assert not list(structural_problems(good))


def test_an_address_twice_or_a_name_that_leads_nowhere_is_found_without_envoy():
    manager = {"rds": {"route_config_name": "r"}}
    secret = {"tls_certificate_sds_secret_configs": [{"name": "s"}]}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 80}}
    listener = {"name": "l", "address": address, "filter_chains": [manager, secret]}
    twin = {**listener, "name": "m", "filter_chains": []}
    found = list(structural_problems(Snapshot(listeners={"l": listener, "m": twin})))
    assert len(found) == 3
    assert "the same address, 127.0.0.1:80" in found[0]
    assert "no route configuration r" in found[1]
    assert "no secret s" in found[2]
