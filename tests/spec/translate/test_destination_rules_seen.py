"""Which DestinationRules hold for a service depends on who asks; the clusters of different answers differ."""

from __future__ import annotations

from typing import Any

from fakes.mesh_objects import istio, resource_set, service

from gitmesh.playground.translate.destinations import Client, Destination, Destinations
from gitmesh.playground.translate.fields import Reports
from gitmesh.playground.translate.registry import read_registry

HOST = "reviews.shop.svc.cluster.local"


def rule(name: str, namespace: str, host: str = HOST, *, age: int = 0, **spec: Any) -> dict[str, Any]:
    created = f"2024-01-01T00:00:{age:02d}Z"
    return istio(
        "DestinationRule", name, {"host": host, **spec}, namespace=namespace, creationTimestamp=created
    )


def simple(name: str) -> dict[str, Any]:
    return {"trafficPolicy": {"loadBalancer": {"simple": name}}}


def seen(client: Client, *rules: dict[str, Any], reports: Reports | None = None) -> Destination:
    reports = reports or Reports()
    resources = resource_set([service("reviews", namespace="shop"), *rules])
    return Destinations(resources, reports).of(read_registry(resources, reports)[HOST], client)


def way(found: Destination) -> str:
    return found.policy_of(9080, None)["loadBalancer"]["simple"].text() if found.policy else ""


def test_the_rule_of_the_clients_namespace_comes_first_and_gets_clusters_of_its_own():
    rules = [
        rule("a", "shop", **simple("RANDOM")),
        rule("b", "team-a", **simple("ROUND_ROBIN")),
        rule("c", "istio-system", **simple("LEAST_REQUEST")),
    ]
    theirs, ours = seen(Client("team-a"), *rules), seen(Client("shop"), *rules)
    assert (way(theirs), theirs.variant) == ("ROUND_ROBIN", "team-a/b")
    assert (way(ours), ours.variant) == ("RANDOM", "")
    assert way(seen(Client("team-b"), *rules)) == "RANDOM"
    assert way(seen(Client("team-b"), rules[2])) == "LEAST_REQUEST"


def test_an_unexported_rule_is_for_its_own_namespace_only():
    private = rule("a", "shop", exportTo=["."], **simple("RANDOM"))
    assert seen(Client("shop"), private).variant == ""
    outside = seen(Client("team-a"), private)
    assert (outside.policy, outside.variant) == (None, "none")
    named = rule("a", "shop", exportTo=["team-a"], **simple("RANDOM"))
    assert way(seen(Client("team-a"), named)) == "RANDOM"
    assert way(seen(Client("team-b"), named)) == ""


def test_a_rule_for_selected_clients_comes_before_the_rule_for_all_of_the_namespace():
    rules = [
        rule("all", "shop", **simple("RANDOM")),
        rule(
            "some",
            "shop",
            age=1,
            workloadSelector={"matchLabels": {"app": "page"}},
            **simple("ROUND_ROBIN"),
        ),
    ]
    page = seen(Client("shop", {"app": "page"}), *rules)
    assert (way(page), page.variant) == ("ROUND_ROBIN", "shop/some")
    assert way(seen(Client("shop", {"app": "other"}), *rules)) == "RANDOM"
    # A selector never reaches into another namespace.
    assert way(seen(Client("team-a", {"app": "page"}), *rules)) == "RANDOM"


def test_the_most_precise_host_of_a_namespace_decides_alone():
    rules = [
        rule("all", "shop", "*", subsets=[{"name": "v1"}]),
        rule("half", "shop", "*.shop.svc.cluster.local", **simple("RANDOM")),
        rule("one", "shop", "reviews", **simple("ROUND_ROBIN")),
    ]
    found = seen(Client("shop"), *rules)
    assert (way(found), found.subsets) == ("ROUND_ROBIN", ())
    assert way(seen(Client("shop"), *rules[:2])) == "RANDOM"


def test_rules_for_one_host_are_merged_the_oldest_first():
    reports = Reports()
    old = rule("old", "shop", subsets=[{"name": "v1", "labels": {"version": "v1"}}])
    new = rule(
        "new",
        "shop",
        age=1,
        subsets=[{"name": "v1", "labels": {"version": "other"}}, {"name": "v2"}],
        **simple("RANDOM"),
    )
    newest = rule("newest", "shop", age=2, **simple("ROUND_ROBIN"))
    found = seen(Client("shop"), newest, new, old, reports=reports)
    assert [(s.name, s.version) for s in found.subsets] == [("v1", "v1"), ("v2", "v2")]
    assert way(found) == "RANDOM"
    assert {(r.key.name, r.place) for r in reports.all()} == {
        ("new", "spec.subsets[0]"),
        ("newest", "spec.trafficPolicy"),
    }


def test_a_port_replaces_the_policy_and_a_subset_overrides_it_block_by_block():
    policy = {
        "loadBalancer": {"simple": "RANDOM"},
        "outlierDetection": {},
        "portLevelSettings": [{"port": {"number": 81}, "loadBalancer": {"simple": "ROUND_ROBIN"}}],
    }
    own = {"connectionPool": {}, "portLevelSettings": [{"port": {"number": 82}, "tls": {"mode": "SIMPLE"}}]}
    found = seen(
        Client("shop"),
        rule("a", "shop", trafficPolicy=policy, subsets=[{"name": "v1", "trafficPolicy": own}]),
    )

    def blocks(port: int, subset: str = "") -> set[str]:
        chosen = found.policy_of(port, found.subset(subset))
        return {name for name, field in chosen.items() if field.present}

    assert blocks(80) == {"loadBalancer", "outlierDetection"}
    assert blocks(81) == {"loadBalancer"}
    assert blocks(80, "v1") == {"loadBalancer", "outlierDetection", "connectionPool"}
    assert blocks(81, "v1") == {"loadBalancer", "connectionPool"}
    assert blocks(82, "v1") == {"tls"}


def test_a_credential_and_a_place_give_the_client_clusters_of_its_own():
    tls = {"trafficPolicy": {"tls": {"mode": "SIMPLE", "credentialName": "ca"}}}
    assert seen(Client("shop"), rule("a", "shop", **tls)).variant == ""
    gateway = Client("istio-system", router=True)
    assert seen(gateway, rule("a", "shop", **tls)).variant == "gateway=istio-system"


def test_it_is_known_by_which_labels_clients_differ():
    rules = [
        rule("a", "shop", workloadSelector={"matchLabels": {"app": "x"}}),
        rule(
            "b",
            "shop",
            "other",
            trafficPolicy={
                "outlierDetection": {},
                "loadBalancer": {"localityLbSetting": {"failoverPriority": ["network", "tier=gold"]}},
            },
        ),
    ]
    asked = Destinations(resource_set(rules), Reports()).asked_labels
    assert {"app", "network", "istio-locality", "topology.kubernetes.io/zone"} <= asked
    assert Destinations(resource_set(rules[:1]), Reports()).asked_labels == {"app"}
    # What a subset says is to be read with what the host says.
    by_version = {"loadBalancer": {"localityLbSetting": {"failoverPriority": ["version"]}}}
    named = [{"name": "v1", "trafficPolicy": by_version}]
    both = rule("c", "shop", trafficPolicy={"outlierDetection": {}}, subsets=named)
    assert "version" in Destinations(resource_set([both]), Reports()).asked_labels
