"""What weights do on the way from stable to target."""

from __future__ import annotations

import pytest
from fakes.builders import a_route, a_spec

from gitmesh.istio.routes import Destination
from gitmesh.istio.weights import (
    changed_destinations,
    describe_weights,
    growing_destinations,
    interpolate,
    moves_weight,
    same_course,
)

V1, V2 = a_spec("reviews: v1 100, v2 0"), a_spec("reviews: v1 0, v2 100")


def on_the_way(stable: str, target: str, progress: float) -> str:
    return describe_weights(interpolate(a_spec(stable), a_spec(target), progress))


@pytest.mark.parametrize(
    ("stable", "target", "progress", "expected"),
    [
        ("reviews: v1 100, v2 0", "reviews: v1 0, v2 100", 0, "v1 100, v2 0"),
        ("reviews: v1 100, v2 0", "reviews: v1 0, v2 100", 25, "v1 75, v2 25"),
        (
            "reviews: v1 100, v2 0",
            "reviews: v1 50, v2 50",
            25,
            "v1 87, v2 13",
        ),  # a half unit goes to the canary
        ("reviews: v1 80, v2 20", "reviews: v1 20, v2 80", 50, "v1 50, v2 50"),
        ("reviews: v1 1000, v2 0", "reviews: v1 0, v2 1000", 0.5, "v1 995, v2 5"),
        ("reviews: v1 100, v2 0", "reviews: v1 0, v2 1000", 2.5, "v1 975, v2 25"),
        ("reviews: v1", "reviews: v2", 5, "v2 5, v1 95"),
        ("reviews: v1", "reviews: v1 90, v2 10", 50, "v1 95, v2 5"),
        ("reviews: v1 60, v2 40", "reviews: v3", 50, "v3 50, v1 30, v2 20"),
        ("reviews: v1 999, v2 1", "reviews: v2", 0, "v2 1, v1 999"),
    ],
)
def test_weights_move_that_share_of_the_way(stable: str, target: str, progress: float, expected: str):
    assert on_the_way(stable, target, progress) == expected


def test_at_100_percent_the_target_itself_is_the_result():
    assert interpolate(V1, V2, 100) is V2


def test_a_spec_that_moves_no_weight_is_the_result_itself():
    target = {**V1, "hosts": ["reviews", "reviews.example.com"]}
    assert interpolate(V1, target, 5) is target


def test_a_sum_too_small_for_one_percent_is_multiplied_on_the_way():
    assert on_the_way("reviews: v1 1, v2 0", "reviews: v1 0, v2 1", 25) == "v1 75, v2 25"
    assert on_the_way("reviews: v1 2, v2 1", "reviews: v1 0, v2 3", 50) == "v1 34, v2 68"


def test_a_ramp_that_has_begun_moves_at_least_one_unit():
    assert on_the_way("reviews: v1 100, v2 0", "reviews: v1 90, v2 10", 1) == "v1 99, v2 1"


def test_routes_are_found_by_name_wherever_they_stand():
    stable = {"http": [a_route("v1 100, v2 0", name="main"), a_route("v1", name="other")]}
    target = {"http": [a_route("v1", name="other"), a_route("v1 0, v2 100", name="main")]}
    moved = interpolate(stable, target, 25)
    assert moved["http"][0] is target["http"][0]
    assert describe_weights({"http": [moved["http"][1]]}) == "v1 75, v2 25"


def test_routes_without_a_name_are_found_by_their_match_in_any_order_of_alternatives():
    one, two = {"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/b"}}
    stable = {"http": [a_route("v1 100, v2 0", match=[one, two]), a_route("v1")]}
    target = {
        "http": [a_route("v3", match=[{"uri": {"exact": "/new"}}]), a_route("v1 0, v2 100", match=[two, one])]
    }
    moved = interpolate(stable, target, 10)
    assert describe_weights({"http": [moved["http"][1]]}) == "v1 90, v2 10"


def test_a_route_that_gets_a_name_is_still_the_same_route():
    target = {"http": [a_route("v1 0, v2 100", name="main")]}
    assert describe_weights(interpolate(V1, target, 25)) == "v1 75, v2 25"


def test_a_new_route_is_there_at_once():
    new = a_route("v2", match=[{"headers": {"end-user": {"exact": "jason"}}}])
    target = {"hosts": ["reviews"], "http": [new, *V1["http"]]}
    assert interpolate(V1, target, 5) is target
    assert not moves_weight(V1, target)


def test_short_and_full_host_names_are_the_same_destination():
    target = a_spec("reviews.shop.svc.cluster.local: v1 0, v2 100")
    moved = interpolate(V1, target, 25, namespace="shop")
    assert [entry["weight"] for entry in moved["http"][0]["route"]] == [75, 25]


@pytest.mark.parametrize("protocol", ["tcp", "tls"])
def test_tcp_and_tls_routes_ramp_too(protocol: str):
    match = [{"port": 443, "sniHosts": ["a"]}]
    stable = {protocol: [a_route("v1 100, v2 0", match=match)]}
    target = {protocol: [a_route("v1 0, v2 100", match=match)]}
    assert describe_weights(interpolate(stable, target, 25)) == "v1 75, v2 25"


def test_everything_else_of_the_target_passes_through():
    extra = {"fault": {"abort": {"httpStatus": 503}}, "timeout": "3s", "somethingNew": {"deep": [1, None]}}
    route = a_route("v1 0, v2 90, v3 10", **extra)
    route["route"][1]["headers"] = {"request": {"set": {"x": "y"}}}
    target = {"hosts": ["reviews"], "exportTo": ["."], "http": [route, {"redirect": {"uri": "/"}}]}
    moved = interpolate({"http": [a_route("v1 90, v2 0, v3 10")]}, target, 50)
    assert {k: v for k, v in moved.items() if k != "http"} == {"hosts": ["reviews"], "exportTo": ["."]}
    assert moved["http"][1] is target["http"][1]
    assert {k: v for k, v in moved["http"][0].items() if k != "route"} == extra
    assert moved["http"][0]["route"][1] == {**route["route"][1], "weight": 45}
    assert describe_weights(moved) == "v1 45, v2 45, v3 10"


def test_a_destination_that_leaves_keeps_its_whole_entry_until_it_has_left():
    stable = a_spec("reviews: v1")
    stable["http"][0]["route"][0]["headers"] = {"response": {"remove": ["x"]}}
    moved = interpolate(stable, a_spec("reviews: v2"), 50)
    assert moved["http"][0]["route"][1] == {**stable["http"][0]["route"][0], "weight": 50}


def test_ports_tell_destinations_apart():
    def spec(old: int, new: int) -> dict:
        entries = [
            {"destination": {"host": "reviews", "port": {"number": port}}, "weight": weight}
            for port, weight in ((9080, old), (9081, new))
        ]
        return {"http": [{"route": entries}]}

    assert describe_weights(interpolate(spec(100, 0), spec(0, 100), 25)) == "reviews:9080 75, reviews:9081 25"


def test_inputs_are_left_as_they_were():
    stable, target = a_spec("reviews: v1"), a_spec("reviews: v2")
    interpolate(stable, target, 50)
    assert (stable, target) == (a_spec("reviews: v1"), a_spec("reviews: v2"))


def test_growing_destinations_are_those_that_take_a_larger_share():
    stable, target = a_spec("reviews: v1 50, v2 50"), a_spec("reviews: v1 20, v2 50, v3 30")
    assert growing_destinations(stable, target, namespace="default") == (
        Destination("reviews.default.svc.cluster.local", "v3"),
    )


def test_of_a_change_without_weights_the_destinations_of_changed_routes_are_watched():
    stable = {"http": [a_route("v1", name="a"), a_route("v2 100, v3 0", name="b")]}
    target = {"http": [a_route("v1", name="a"), a_route("v2 100, v3 0", name="b", timeout="1s")]}
    assert [d.subset for d in changed_destinations(stable, target)] == ["v2"]
    assert [d.subset for d in changed_destinations(stable, {**stable, "hosts": ["x"]})] == ["v1", "v2"]


def test_two_targets_are_on_the_same_course_when_they_lead_to_the_same_shares():
    slower = {**V2, "http": [{**V2["http"][0], "timeout": "1s"}]}
    assert same_course(V1, V2, slower)
    assert same_course(V1, V2, a_spec("reviews: v2"))
    assert not same_course(V1, V2, a_spec("reviews: v1 50, v2 50"))


@pytest.mark.parametrize(
    "spec", [{}, {"http": None}, {"http": [None]}, {"http": [{"route": []}]}, {"http": [{"route": "x"}]}]
)
def test_nonsense_is_passed_through_and_never_raises(spec: dict):
    assert interpolate(spec, V2, 50) == V2
    assert interpolate(V2, spec, 50) == spec
    describe_weights(spec)


def test_weights_are_described_per_route():
    spec = {"http": [a_route("v1 75, v2 25"), a_route("v3"), a_route("v1 75, v2 25")]}
    assert describe_weights(spec) == "v1 75, v2 25; v3 100"
    two_hosts = {"http": [{"route": [*a_route("v1 1", "a")["route"], *a_route("v1 2", "b")["route"]]}]}
    assert describe_weights(two_hosts) == "a/v1 1, b/v1 2"
