"""What holds for every plan between any two states of a cluster."""

from __future__ import annotations

from typing import Any

from fakes.builders import (
    SOURCE,
    a_destination_rule,
    a_service_entry,
    a_set,
    a_virtual_service,
    after,
    carry_out,
    owned,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from gitmesh.model.plan import ChangeKind
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.source import Limits, TrafficSourceSpec
from gitmesh.plan.planner import PlanInput, make_plan
from gitmesh.plan.references import missing_subsets

SUBSETS = ["v1", "v2", "v3"]
HOSTS = ["reviews", "ratings"]
State = dict[ResourceKey, Resource]


@st.composite
def rules(draw: st.DrawFn) -> list[Resource]:
    """Some subsets of some hosts, in one or two DestinationRules each."""
    found = []
    for host in HOSTS:
        for name in (host, f"{host}-more"):
            subsets = draw(st.lists(st.sampled_from(SUBSETS), max_size=3, unique=True))
            if subsets:
                found.append(a_destination_rule(f"{host}: {', '.join(subsets)}", name=name))
    return found


@st.composite
def states(draw: st.DrawFn) -> State:
    """A consistent set: every route names subsets that some rule defines."""
    definitions = draw(rules())
    routes = []
    for host in HOSTS:
        known = sorted({s["name"] for r in definitions if r.spec["host"] == host for s in r.spec["subsets"]})
        if known and draw(st.booleans()):
            chosen = draw(st.lists(st.sampled_from(known), min_size=1, max_size=2, unique=True))
            weights = draw(st.integers(0, 100))
            parts = (
                [f"{chosen[0]} {weights}", f"{chosen[-1]} {100 - weights}"] if len(chosen) == 2 else chosen
            )
            routes.append(a_virtual_service(f"{host}: {', '.join(parts)}"))
    entries = [a_service_entry(n, f"{n}.example.com") for n in draw(st.sets(st.sampled_from("ab")))]
    return a_set(*definitions, *routes, *entries)


def an_input(effective: State, live: State, **fields: Any) -> PlanInput:
    return PlanInput(
        source=SOURCE,
        revision="2",
        effective=effective,
        live=live,
        inventory=frozenset(),
        previous_revision="1",
        spec=TrafficSourceSpec(url="u", limits=Limits(delete_percent_max=100)),
        settle_seconds=2,
        **fields,
    )


def lived(state: State) -> State:
    return {key: owned(resource) for key, resource in state.items()}


@settings(max_examples=150, deadline=None)
@given(states().filter(bool), states())
def test_planning_after_applying_gives_an_empty_plan(desired: State, before: State):
    live = lived(before)
    plan = make_plan(an_input(desired, live))
    assert not plan.refusals
    live = carry_out(plan, live)
    assert live.keys() == desired.keys()
    assert all(live[key].spec == resource.spec for key, resource in desired.items())
    again = make_plan(an_input(desired, live))
    assert (again.is_empty, again.unchanged) == (True, len(desired))


@settings(max_examples=150, deadline=None)
@given(states().filter(bool), states())
def test_no_state_in_between_names_a_missing_subset(desired: State, before: State):
    live = lived(before)
    for change in make_plan(an_input(desired, live)).changes():
        stored = after(change)
        if stored is None:
            del live[change.key]
        else:
            live[change.key] = stored
        assert not missing_subsets(live.values()), f"after {change.kind} {change.key}"


@settings(max_examples=100, deadline=None)
@given(states().filter(bool), states(), st.data())
def test_only_what_is_owned_is_touched(desired: State, before: State, data: st.DataObject):
    foreign = data.draw(st.sets(st.sampled_from(sorted(before)) if before else st.nothing()))
    live = {key: r if key in foreign else owned(r) for key, r in before.items()}
    plan = make_plan(an_input(desired, live))
    assert not {change.key for change in plan.changes()} & foreign
    assert {r.key for r in plan.refusals} >= foreign & desired.keys()
    assert not any(change.force for change in plan.changes()), "nobody else is known to own a field"
    broken_before = missing_subsets(live.values())
    broken_after = missing_subsets(carry_out(plan, live).values())
    assert all(needs <= broken_before.get(key, frozenset()) for key, needs in broken_after.items())


@settings(max_examples=100, deadline=None)
@given(states().filter(bool), states())
def test_deletes_come_last_but_for_rules_that_shrink_after_them(desired: State, before: State):
    deleting = False
    for change in make_plan(an_input(desired, lived(before))).changes():
        if change.kind is ChangeKind.DELETE:
            deleting = True
        elif deleting:
            assert (change.kind, change.key.kind) == (ChangeKind.UPDATE, "DestinationRule")


@settings(max_examples=50, deadline=None)
@given(states().filter(bool), states())
def test_a_plan_is_the_same_whatever_the_order_of_its_input(desired: State, before: State):
    one = make_plan(an_input(desired, lived(before)))
    turned = dict(reversed(list(desired.items()))), dict(reversed(list(lived(before).items())))
    assert make_plan(an_input(*turned)) == one
