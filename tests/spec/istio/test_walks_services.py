"""What a VirtualService is on its way."""

from typing import Any

from fakes.builders import a_route, a_spec

from gitmesh.istio.walks.request_ids import pattern, share_of
from gitmesh.istio.walks.services import describe, effective, moves, stays_on_course, watched
from gitmesh.istio.weights import describe_weights
from gitmesh.model.policy import Walk
from gitmesh.model.stand import END, Stand
from gitmesh.model.steps import RequestMatch

V1 = a_spec("reviews: v1 100, v2 0")
V2 = a_spec("reviews: v1 0, v2 100")
BETA = RequestMatch.model_validate({"headers": {"x-group": {"exact": "beta"}}})
A_QUARTER = {"x-request-id": {"regex": pattern(share_of(25))}}
RULES = Walk.ROUTES


def names(spec: dict[str, Any]) -> list[str | None]:
    return [route.get("name") for route in spec["http"]]


def http(*routes: dict[str, Any]) -> dict[str, Any]:
    return {"hosts": ["reviews"], "http": list(routes)}


def path(prefix: str, **fields: Any) -> dict[str, Any]:
    return {"match": [{"uri": {"prefix": prefix}}], **fields}


# A/B


def test_matched_requests_go_to_the_canary_wholly_before_the_first_weight():
    spec = effective(V1, V2, Stand(0, (BETA,)))
    first, second = spec["http"]
    assert first["match"] == [{"headers": {"x-group": {"exact": "beta"}}}]
    assert first["route"] == [{"destination": {"host": "reviews", "subset": "v2"}}]
    assert describe_weights({"http": [second]}) == "v1 100, v2 0"


def test_matches_stay_in_force_while_weights_grow():
    spec = effective(V1, V2, Stand(25, (BETA,)))
    assert names(spec) == ["gitmesh-canary", None]
    assert describe_weights({"http": [spec["http"][1]]}) == "v1 75, v2 25"


def test_further_matches_widen():
    staff = RequestMatch.model_validate({"cookies": {"user": "staff"}, "sourceLabels": {"app": "web"}})
    spec = effective(V1, V2, Stand(0, (BETA, staff)))
    beta, other = spec["http"][0]["match"]
    assert beta == {"headers": {"x-group": {"exact": "beta"}}}
    assert other["sourceLabels"] == {"app": "web"}
    assert other["headers"]["cookie"]["regex"] == r"(?:.*;\s*)?(?:user=staff)(?:\s*;.*)?"


def test_a_match_is_asked_on_top_of_what_the_route_asks():
    stable = http(a_route("v1", **path("/a"), name="a"), a_route("v1", name="rest"))
    target = http(a_route("v2", **path("/a"), name="a"), a_route("v1", name="rest"))
    spec = effective(stable, target, Stand(0, (BETA,)))
    assert names(spec) == ["a-gitmesh-canary", "a", "rest"]
    assert spec["http"][0]["match"] == [{"uri": {"prefix": "/a"}, "headers": {"x-group": {"exact": "beta"}}}]


def test_of_two_conditions_on_one_header_the_narrower_one_is_asked():
    asks = [{"headers": {"X-Group": {"prefix": "be"}}}, {"headers": {"x-group": {"exact": "alpha"}}}]
    stable, target = http(a_route("v1", match=asks)), http(a_route("v2", match=asks))
    spec = effective(stable, target, Stand(0, (BETA,)))
    assert spec["http"][0]["match"] == [{"headers": {"X-Group": {"exact": "beta"}}}]


def test_conditions_that_cannot_be_said_together_leave_the_route_to_the_weights():
    asks = [{"headers": {"x-group": {"regex": "b.*"}}}]
    stable, target = http(a_route("v1", match=asks)), http(a_route("v2", match=asks))
    assert len(effective(stable, target, Stand(0, (BETA,)))["http"]) == 1


def test_source_labels_are_not_asked_beside_gateways_where_istio_ignores_them():
    web = RequestMatch.model_validate({"sourceLabels": {"app": "web"}})
    asks = [{"gateways": ["mesh"], "uri": {"prefix": "/"}}]
    stable, target = http(a_route("v1", match=asks)), http(a_route("v2", match=asks))
    assert len(effective(stable, target, Stand(0, (web,)))["http"]) == 1


# Mirrors


def test_a_mirror_copies_to_what_will_grow_and_moves_nothing():
    spec = effective(V1, V2, Stand(0, mirror=50))
    (route,) = spec["http"]
    assert describe_weights(spec) == "v1 100, v2 0"
    assert route["mirrors"] == [
        {"destination": {"host": "reviews", "subset": "v2"}, "percentage": {"value": 50}}
    ]


def test_a_mirror_that_is_there_already_is_kept():
    audit = {"host": "audit"}
    before = http(a_route("v1", mirror=audit, mirrorPercentage={"value": 7}))
    after = http(a_route("v2", mirror=audit, mirrorPercentage={"value": 7}))
    (route,) = effective(before, after, Stand(0, mirror=100))["http"]
    assert "mirror" not in route
    assert route["mirrors"][0] == {"destination": audit, "percentage": {"value": 7}}
    assert route["mirrors"][1]["destination"]["subset"] == "v2"


def test_several_that_grow_share_the_copies():
    spec = effective(a_spec("reviews: v1"), a_spec("reviews: v2 75, v3 25"), Stand(0, mirror=100))
    shares = {m["destination"]["subset"]: m["percentage"]["value"] for m in spec["http"][0]["mirrors"]}
    assert shares == {"v2": 75, "v3": 25}


# By routes


def test_a_changed_route_stands_twice_the_new_one_first_with_the_ids():
    old, new = a_route("v1", name="all"), a_route("v1", name="all", timeout="2s")
    spec = effective(http(old), http(new), Stand(25, walk=RULES))
    assert spec["http"] == [{**new, "name": "all-gitmesh-canary", "match": [{"headers": A_QUARTER}]}, old]


def test_a_route_that_is_the_same_in_both_stands_once():
    same, rest = a_route("v1", **path("/a"), name="a"), a_route("v1", name="rest")
    changed = {**rest, "timeout": "1s"}
    spec = effective(http(same, rest), http(same, changed), Stand(25, walk=RULES))
    assert names(spec) == ["a", "rest-gitmesh-canary", "rest"]


def test_an_added_route_takes_its_share_only():
    rest, added = a_route("v1", name="rest"), a_route("v2", **path("/new"), name="new")
    spec = effective(http(rest), http(added, rest), Stand(25, walk=RULES))
    assert names(spec) == ["new-gitmesh-canary", "rest"]
    assert spec["http"][0]["match"] == [{"uri": {"prefix": "/new"}, "headers": A_QUARTER}]


def test_of_a_removed_route_the_share_takes_what_the_new_list_says():
    gone, rest = a_route("v2", **path("/old"), name="old"), a_route("v1", name="rest")
    spec = effective(http(gone, rest), http(rest), Stand(25, walk=RULES))
    assert names(spec) == ["rest-gitmesh-canary", "old", "rest"]


def test_a_request_that_no_new_route_takes_falls_on_no_old_one():
    gone, kept = a_route("v2", **path("/old"), name="old"), a_route("v1", **path("/a"), name="a")
    spec = effective(http(gone, kept), http(kept), Stand(25, walk=RULES))
    assert names(spec) == ["a-gitmesh-canary", "gitmesh-canary", "old", "a"]
    assert spec["http"][1]["directResponse"] == {"status": 404}


def test_reordered_routes_are_walked():
    one, two = a_route("v1", **path("/"), name="one"), a_route("v2", **path("/b"), name="two")
    spec = effective(http(one, two), http(two, one), Stand(25, walk=RULES))
    assert names(spec) == ["two-gitmesh-canary", "one-gitmesh-canary", "one", "two"]


def test_before_the_first_step_it_is_the_stable_spec_and_at_the_end_the_target():
    old, new = http(a_route("v1")), http(a_route("v1", timeout="2s"))
    assert effective(old, new, Stand(0, walk=RULES)) is old
    assert effective(old, new, END) is new


def test_a_match_takes_the_new_routes_too():
    old, new = http(a_route("v1")), http(a_route("v1", timeout="2s"))
    spec = effective(old, new, Stand(0, (BETA,), walk=RULES))
    assert spec["http"][0]["match"] == [{"headers": {"x-group": {"exact": "beta"}}}]
    both = effective(old, new, Stand(25, (BETA,), walk=RULES))
    assert both["http"][0]["match"] == [{"headers": A_QUARTER}, {"headers": {"x-group": {"exact": "beta"}}}]


def test_a_match_that_cannot_be_said_of_every_new_route_chooses_nobody():
    asks = [{"headers": {"x-group": {"regex": "b.*"}}}]
    old = http(a_route("v1", match=asks), a_route("v1"))
    new = http(a_route("v1", match=asks), a_route("v2"))
    assert effective(old, new, Stand(0, (BETA,), walk=RULES)) == old


def test_weights_of_connections_move_beside_the_ids_of_requests():
    def both(subset: str, **fields: Any) -> dict[str, Any]:
        return {**http(a_route("v1", **fields)), "tcp": [a_route(subset, **{"match": [{"port": 9000}]})]}

    spec = effective(both("v1"), both("v2", timeout="1s"), Stand(25, walk=RULES))
    assert names(spec) == ["gitmesh-canary", None]
    assert describe_weights({"tcp": spec["tcp"]}) == "v2 25, v1 75"


def test_routes_that_ask_for_the_id_themselves_are_not_walked():
    asks = [{"headers": {"X-Request-ID": {"prefix": "a"}}}]
    old, new = http(a_route("v1", match=asks)), http(a_route("v1", match=asks, timeout="1s"))
    assert not moves(old, new, RULES)
    assert effective(old, new, Stand(25, walk=RULES)) is new


# Whether there is a way, and what is looked at


def test_a_change_that_moves_no_weight_is_a_way_by_routes_only():
    old, new = http(a_route("v1")), http(a_route("v1", timeout="2s"))
    assert moves(old, new, RULES)
    assert not moves(old, new, Walk.WEIGHTS)
    assert not moves(old, {**old, "exportTo": ["."]}, RULES)


def test_another_target_by_routes_begins_anew():
    old, new = http(a_route("v1")), http(a_route("v1", timeout="2s"))
    assert stays_on_course(old, new, {**new}, RULES)
    assert not stays_on_course(old, new, http(a_route("v1", timeout="3s")), RULES)


def test_looked_at_are_the_destinations_of_what_differs():
    old = http(a_route("v1", **path("/a")), a_route("v3"))
    new = http(a_route("v2", **path("/a")), a_route("v3"))
    assert [d.subset for d in watched(old, new, RULES)] == ["v2"]
    assert [d.subset for d in watched(old, http(*old["http"][:1], a_route("v3", timeout="1s")), RULES)] == [
        "v3"
    ]


def test_people_read_where_it_stands():
    timeout = http(a_route("v1", timeout="2s"))
    assert describe(V1, V2, Stand(25)) == "v1 75, v2 25"
    assert describe(V1, V2, Stand(0, (BETA,))) == "v1 100, v2 0; 1 match on the canary"
    assert describe(V1, V2, Stand(0, mirror=100)) == "v1 100, v2 0; copies of 100 % to the canary"
    assert (
        describe(http(a_route("v1")), timeout, Stand(25, walk=RULES))
        == "25 % of requests take the new routes"
    )
