"""What should be live now."""

from __future__ import annotations

from fakes.builders import (
    NOON,
    a_destination_rule,
    a_resource,
    a_rollout,
    a_service_entry,
    a_set,
    a_spec,
    a_virtual_service,
    owned,
)

from gitmesh.decide.transitions import advance
from gitmesh.istio.weights import describe_weights
from gitmesh.model.rollout import Phase, RollBack
from gitmesh.plan.overlay import overlay, overlay_reasons

OLD, NEW = a_virtual_service("reviews: v1 100, v2 0"), a_virtual_service("reviews: v1 0, v2 100")
KEY = NEW.key


def test_without_a_rollout_git_is_live_as_it_is():
    assert overlay(a_set(NEW), {}, a_set(OLD))[KEY] is NEW
    done = a_rollout(at_percent=100).model_copy(update={"phase": Phase.SUCCEEDED})
    assert overlay(a_set(NEW), {KEY: done}, {})[KEY] is NEW


def test_a_rollout_in_motion_has_its_weights_in_between():
    effective = overlay(a_set(NEW), {KEY: a_rollout(at_percent=25)}, {})
    assert describe_weights(effective[KEY].spec) == "v1 75, v2 25"


def test_what_was_rolled_back_or_waits_is_stable_wholly():
    desired = a_virtual_service("reviews: v1 0, v2 100", exportTo=["."])
    for phase in (Phase.ROLLED_BACK, Phase.WAITING):
        record = a_rollout().model_copy(update={"phase": phase})
        assert overlay(a_set(desired), {KEY: record}, {})[KEY].spec == record.stable.spec


def test_a_subset_that_git_dropped_stays_while_a_route_names_it():
    live = a_set(owned(a_destination_rule("reviews: v1, v2")), OLD)
    rule = a_destination_rule("reviews: v2", trafficPolicy={"tls": {"mode": "DISABLE"}})
    effective = overlay(a_set(NEW, rule), {KEY: a_rollout(at_percent=25)}, live)
    spec = effective[rule.key].spec
    assert [subset["name"] for subset in spec["subsets"]] == ["v1", "v2"]
    assert spec["trafficPolicy"] == rule.spec["trafficPolicy"]
    reasons = overlay_reasons(a_set(NEW, rule), {KEY: a_rollout(at_percent=25)}, effective)
    assert reasons[rule.key] == "keeps v1, gone from Git, because a route still names it"
    assert reasons[KEY] == "rollout at 25 % (v1 75, v2 25)"


def test_a_subset_that_git_dropped_stays_until_nothing_can_go_back_to_it():
    desired = a_set(a_virtual_service("reviews: v2"), a_destination_rule("reviews: v2"))
    live = a_set(owned(a_destination_rule("reviews: v1, v2")))
    (rule,) = live
    baking = a_rollout(at_percent=100, stable="reviews: v1", canary="reviews: v2")
    kept = overlay(desired, {KEY: baking}, live)[rule].spec["subsets"]
    assert [subset["name"] for subset in kept] == ["v1", "v2"]
    done = baking.model_copy(update={"phase": Phase.SUCCEEDED})
    assert overlay(desired, {KEY: done}, live)[rule] is desired[rule]


def test_a_subset_that_no_route_names_goes():
    live = a_set(owned(a_destination_rule("reviews: v1, v2, v3")))
    rule = a_destination_rule("reviews: v1, v2")
    assert overlay(a_set(NEW, rule), {KEY: a_rollout()}, live)[rule.key] is rule


def test_a_whole_rule_that_git_dropped_stays_while_a_route_names_its_subsets():
    rule = owned(a_destination_rule("reviews: v1, v2"))
    assert overlay(a_set(NEW), {KEY: a_rollout()}, a_set(rule))[rule.key] is rule


def test_a_service_entry_stays_while_a_route_names_its_host():
    stable, target = "a.example.com: v1", "b.example.com: v1"
    old_entry = owned(a_service_entry("a", "a.example.com"))
    desired = a_set(a_virtual_service(target))
    (key,) = desired
    record = advance(a_rollout(stable=stable, canary=target), RollBack("bad"), NOON)
    effective = overlay(
        desired, {key: record}, a_set(old_entry, owned(a_service_entry("c", "c.example.com")))
    )
    assert set(effective) == {key, old_entry.key}


def test_what_others_own_is_never_retained():
    rule = a_destination_rule("reviews: v1, v2")
    assert rule.key not in overlay(a_set(NEW), {KEY: a_rollout()}, a_set(rule))


def test_with_git_out_of_reach_what_was_rolled_back_stays_so_on_the_live_object():
    live = a_resource("VirtualService", "reviews", a_spec("reviews: v2"), labels={"team": "a"})
    other = a_virtual_service("ratings: v1")
    record = advance(a_rollout(), RollBack("bad"), NOON)
    effective = overlay({}, {KEY: record, other.key: a_rollout()}, a_set(live, other))
    assert set(effective) == {KEY}
    assert effective[KEY].spec == record.stable.spec
    assert effective[KEY].labels == {"team": "a"}
