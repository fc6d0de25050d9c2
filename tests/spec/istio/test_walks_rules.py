"""What a DestinationRule is on its way: twins, and routes that share with them."""

from typing import Any

from fakes.builders import a_route

from gitmesh.istio.routes import Destination
from gitmesh.istio.walks.rules import (
    cannot_be_walked,
    effective,
    is_twin,
    moves,
    original,
    through,
    twins,
    watched,
    without_twins,
)
from gitmesh.istio.weights import describe_weights
from gitmesh.model.stand import END, Stand
from gitmesh.model.steps import RequestMatch

HOST = "reviews.default.svc.cluster.local"
POOL = {"connectionPool": {"http": {"http1MaxPendingRequests": 1}}}
WIDE_POOL = {"connectionPool": {"http": {"http1MaxPendingRequests": 100}}}
ROUND = {"loadBalancer": {"simple": "ROUND_ROBIN"}}


def rule(*subsets: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"host": "reviews", "subsets": list(subsets), **fields}


def subset(name: str, policy: dict[str, Any] | None = None, **labels: str) -> dict[str, Any]:
    found = {"name": name, "labels": {"version": name, **labels}}
    return {**found, "trafficPolicy": policy} if policy else found


def names(spec: dict[str, Any]) -> list[str]:
    return [s["name"] for s in spec["subsets"]]


STABLE = rule(subset("v1", POOL), subset("v2"))
TARGET = rule(subset("v1", WIDE_POOL), subset("v2"))


def test_a_subset_that_changes_gets_a_twin_with_the_new_policy():
    spec = effective(STABLE, TARGET, Stand(5), namespace="default")
    (twin,) = twins(STABLE, TARGET, namespace="default")
    assert names(spec) == ["v1", "v2", twin.name]
    assert twin.name.startswith("v1-gitmesh-")
    assert spec["subsets"][0] == STABLE["subsets"][0]
    assert spec["subsets"][2] == {"name": twin.name, "labels": {"version": "v1"}, "trafficPolicy": WIDE_POOL}


def test_before_the_first_step_it_is_the_stable_rule_and_at_the_end_the_target():
    assert effective(STABLE, TARGET, Stand(0)) == STABLE
    assert effective(STABLE, TARGET, END) is TARGET


def test_other_content_is_another_twin():
    other = rule(subset("v1", ROUND), subset("v2"))
    assert twins(STABLE, TARGET)[0].name != twins(STABLE, rule(subset("v1", {**POOL, **ROUND})))[0].name
    assert cannot_be_walked(STABLE, other) == ""


def test_a_policy_of_the_host_changes_every_subset_and_the_host():
    before, after = rule(subset("v1"), **{"trafficPolicy": POOL}), rule(subset("v1"), trafficPolicy=WIDE_POOL)
    found = {twin.of: twin for twin in twins(before, after)}
    assert found.keys() == {"v1", ""}
    assert found[""].content == {"name": found[""].name, "trafficPolicy": WIDE_POOL}
    spec = effective(before, after, Stand(5))
    assert spec["trafficPolicy"] == POOL, "what is not walked through a twin stays as it was"


def test_a_twin_says_itself_what_it_would_have_from_the_host():
    before = rule(subset("v1", ROUND), trafficPolicy=POOL)
    after = rule(subset("v1", ROUND), trafficPolicy=WIDE_POOL)
    found = {twin.of: twin for twin in twins(before, after)}
    assert found["v1"].content["trafficPolicy"] == {**WIDE_POOL, **ROUND}


def test_the_settings_of_a_port_are_said_again_for_a_twin():
    port = {"port": {"number": 9080}, **POOL}
    before = rule(subset("v1"), trafficPolicy={"portLevelSettings": [port]})
    after = rule(subset("v1"), trafficPolicy={**WIDE_POOL})
    (twin, _) = twins(before, after)
    assert twin.content["trafficPolicy"] == {
        **WIDE_POOL,
        "portLevelSettings": [{"port": {"number": 9080}, **WIDE_POOL}],
    }


def test_labels_are_walked_too():
    after = rule(subset("v1", POOL, track="new"), subset("v2"))
    (twin,) = twins(STABLE, after)
    assert twin.content["labels"] == {"version": "v1", "track": "new"}


def test_a_subset_that_only_the_target_has_is_there_from_the_start_as_the_target_means_it():
    after = rule(subset("v1"), subset("v3"), trafficPolicy=POOL)
    spec = effective(rule(subset("v1")), after, Stand(0), namespace="default")
    assert names(spec) == ["v1", "v3"]
    assert spec["subsets"][1]["trafficPolicy"] == POOL


def test_a_subset_that_the_target_drops_stays_until_the_end():
    after = rule(subset("v1", WIDE_POOL))
    assert "v2" in names(effective(STABLE, after, Stand(50)))


def test_what_a_subset_cannot_say_is_not_walked():
    gone = rule(subset("v1"))
    assert "connectionPool" in cannot_be_walked(rule(subset("v1"), trafficPolicy=POOL), gone)
    assert cannot_be_walked(STABLE, {**TARGET, "host": "ratings"}) == "host changes"
    assert cannot_be_walked(STABLE, {**TARGET, "exportTo": ["."]}) == "exportTo changes"
    assert not moves(STABLE, {**STABLE, "exportTo": ["."]})
    assert effective(STABLE, {**TARGET, "host": "ratings"}, Stand(5))["host"] == "ratings"


def test_a_rule_that_only_gains_subsets_has_no_way_to_walk():
    assert not moves(STABLE, rule(*STABLE["subsets"], subset("v3")))


def test_routes_share_with_twins():
    found = twins(STABLE, TARGET, namespace="default")
    spec = {"http": [a_route("v1 50, v2 50")], "tcp": [a_route("v1")]}
    walked = through(spec, found, Stand(10), namespace="default")
    v1 = found[0].name
    assert describe_weights({"http": walked["http"]}) == f"{v1} 5, v2 50, v1 45"
    assert describe_weights({"tcp": walked["tcp"]}) == f"{v1} 10, v1 90"
    assert through(spec, found, Stand(0), namespace="default") is spec
    assert through(spec, found, END, namespace="default") is spec
    assert through(spec, found, Stand(10), namespace="elsewhere") is spec


def test_matched_requests_and_copies_take_twins_too():
    beta = RequestMatch.model_validate({"headers": {"x-group": {"exact": "beta"}}})
    found = twins(STABLE, TARGET, namespace="default")
    spec = {"http": [a_route("v1", name="all")]}
    walked = through(spec, found, Stand(0, (beta,)), namespace="default")
    assert [r["name"] for r in walked["http"]] == ["all-gitmesh-canary", "all"]
    assert walked["http"][0]["route"][0]["destination"]["subset"] == found[0].name
    (copied,) = through(spec, found, Stand(0, mirror=100), namespace="default")["http"]
    assert copied["mirrors"][0]["destination"]["subset"] == found[0].name


def test_a_long_name_leaves_room_for_what_makes_it_a_twin():
    long = "v" * 63
    (twin,) = twins(rule(subset(long, POOL)), rule(subset(long, WIDE_POOL)))
    assert len(twin.name) <= 63


def test_looked_at_is_the_subset_itself_for_its_twin_looks_like_it():
    assert watched(STABLE, TARGET, namespace="default") == (Destination(HOST, "v1"),)


def test_shares_of_twins_go_back_without_knowing_what_they_were_made_from():
    found = twins(STABLE, TARGET, namespace="default")
    originals = {twin.name: original(twin.name, ["v1", "v2"]) for twin in found}
    beta = RequestMatch.model_validate({"headers": {"x-group": {"exact": "beta"}}})
    spec = {"http": [a_route("v1 50, v2 50", name="all")], "tcp": [a_route("v1")]}
    for stand in (Stand(10), Stand(10, (beta,)), Stand(0, mirror=50), Stand(50, (beta,))):
        live = through(spec, found, stand, namespace="default")
        back = without_twins(live, HOST, originals, namespace="default")
        assert {w.split()[0]: w.split()[1] for w in describe_weights({"http": back["http"]}).split(", ")} == {
            "v1": "50",
            "v2": "50",
        }
        assert describe_weights({"tcp": back["tcp"]}) == "v1 100"
        assert not [name for name in originals if name in str(back)]
    assert without_twins(spec, HOST, originals, namespace="default") is spec


def test_a_subset_of_a_person_is_no_twin():
    assert not is_twin("v1-gitmesh")
    assert not is_twin("gitmesh-canary")
    assert is_twin(twins(STABLE, TARGET)[0].name)
