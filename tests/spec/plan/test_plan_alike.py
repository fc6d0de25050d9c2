"""A plan compares what is new, however much there is besides; and comes out as without its memo."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from fakes.builders import SOURCE, a_destination_rule, a_resource, a_set, a_spec, a_virtual_service, owned

from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.source import TrafficSourceSpec
from gitmesh.observe.kept import Kept
from gitmesh.plan import references, refusals
from gitmesh.plan.alike import Alike
from gitmesh.plan.overlay import overlay
from gitmesh.plan.planner import PlanInput, make_plan

SPEC = TrafficSourceSpec(url="https://example.com/mesh.git")
Resources = dict[ResourceKey, Resource]


def many(count: int) -> Resources:
    services = [a_resource("VirtualService", f"app-{n}", a_spec(f"app-{n}: v1")) for n in range(count)]
    rules = [a_destination_rule(f"app-{n}: v1, v2") for n in range(count)]
    return a_set(*services, *rules)


def live_of(effective: Resources) -> Resources:
    return {key: owned(resource) for key, resource in effective.items()}


def an_input(effective: Resources, live: Resources, alike: Alike) -> PlanInput:
    desired = overlay(effective, {}, live, alike)
    return PlanInput(SOURCE, "new", desired, live, frozenset(live), "old", SPEC, 2.0, alike=alike)


def with_route(resources: Resources, name: str, **fields: Any) -> Resources:
    changed = a_resource("VirtualService", name, a_spec(f"{name}: v1", **fields))
    return {**resources, changed.key: changed}


@pytest.mark.parametrize("count", [5, 50])
def test_what_was_alike_is_not_compared_again(count: int):
    alike, desired = Alike(), many(count)
    live = live_of(desired)
    assert make_plan(an_input(desired, live, alike)).is_empty
    assert alike.compared == 2 * count
    plan = make_plan(an_input(desired, live, alike))
    assert (plan.is_empty, plan.unchanged, alike.compared) == (True, 2 * count, 2 * count)


@pytest.mark.parametrize("count", [5, 50])
def test_one_change_costs_one_comparison_however_many_objects_there_are(count: int):
    alike, desired = Alike(), many(count)
    live = live_of(desired)
    make_plan(an_input(desired, live, alike))
    alike.compared = 0
    changed = with_route(desired, "app-3", gateways=["mesh"])
    (change,) = make_plan(an_input(changed, live, alike)).changes()
    assert (change.key.name, alike.compared) == ("app-3", 1)


def test_one_object_that_somebody_changed_costs_one_comparison():
    alike, desired = Alike(), many(20)
    live = live_of(desired)
    make_plan(an_input(desired, live, alike))
    alike.compared = 0
    key = a_virtual_service("app-7: v1").key
    theirs = live[key].with_metadata(labels={**live[key].labels, "somebody": "else"})
    assert make_plan(an_input(desired, {**live, key: theirs}, alike)).is_empty
    assert alike.compared == 1


def test_a_change_that_names_nothing_new_asks_nobody_what_they_name(monkeypatch: pytest.MonkeyPatch):
    alike, desired = Alike(), many(20)
    live = live_of(desired)
    make_plan(an_input(desired, live, alike))

    def asked(*_: object) -> None:
        raise AssertionError("every object was looked at")

    for module, name in ((refusals, "missing_subsets"), (references.Offers, "__init__")):
        monkeypatch.setattr(module, name, asked)
    changed = with_route(desired, "app-3", gateways=["mesh"])
    assert len(tuple(make_plan(an_input(changed, live, alike)).changes())) == 1


def test_what_an_object_names_is_read_out_of_it_once():
    service = a_virtual_service("reviews: v1, v2")
    assert references.needs_of(service) is references.needs_of(service)
    assert references.needs_of(replace(service)) == references.needs_of(service)


def test_an_object_that_is_gone_from_live_is_planned_again():
    alike, desired = Alike(), many(3)
    live = live_of(desired)
    make_plan(an_input(desired, live, alike))
    key = a_virtual_service("app-1: v1").key
    without = {k: r for k, r in live.items() if k != key}
    (change,) = make_plan(an_input(desired, without, alike)).changes()
    assert (change.kind.value, change.key) == ("create", key)


def test_an_object_that_is_gone_from_git_is_deleted_though_it_was_alike():
    alike, desired = Alike(), many(3)
    live = live_of(desired)
    make_plan(an_input(desired, live, alike))
    key = a_virtual_service("app-1: v1").key
    fewer = {k: r for k, r in desired.items() if k != key}
    (change,) = make_plan(an_input(fewer, live, alike)).changes()
    assert (change.kind.value, change.key) == ("delete", key)


def test_a_subset_that_git_drops_is_kept_for_its_route_also_where_all_was_alike():
    alike = Alike()
    rule, route = a_destination_rule("reviews: v1, v2"), a_virtual_service("reviews: v1, v2")
    live = live_of(a_set(rule, route))
    make_plan(an_input(a_set(rule, route), live, alike))
    narrow = a_set(a_destination_rule("reviews: v1"), route)
    kept = overlay(narrow, {}, live, alike)[rule.key]
    assert [s["name"] for s in kept.spec["subsets"]] == ["v1", "v2"]


def test_pairs_of_objects_that_are_gone_are_forgotten():
    alike, desired = Alike(), many(600)
    make_plan(an_input(desired, live_of(desired), alike))
    few = many(2)
    make_plan(an_input(few, live_of(few), alike))
    assert not alike.holds(desired[a_virtual_service("app-9: v1").key], None)
    assert len(alike) == 4


def test_with_and_without_a_memo_the_plan_is_the_same():
    alike, desired = Alike(), many(6)
    live = live_of(desired)
    make_plan(an_input(desired, live, alike))
    changed = with_route({k: r for k, r in desired.items() if k.name != "app-5"}, "app-2", exportTo=["."])
    assert make_plan(an_input(changed, live, alike)) == make_plan(an_input(changed, live, Alike()))


@pytest.mark.parametrize("seed", range(15))
def test_looking_only_at_what_changed_finds_the_same_as_looking_at_all(seed: int):
    chance, kept, alike = random.Random(seed), Kept[Resource](), Alike()
    desired = many(10)
    for key, resource in live_of(desired).items():
        kept.put(key, resource)
    for _ in range(40):
        for _ in range(chance.randrange(3)):
            stranger = owned(a_destination_rule(f"stray-{chance.randrange(4)}: v1"))
            key = chance.choice([*desired, stranger.key])
            content = desired.get(key, stranger)
            if chance.random() < 0.4:
                kept.take(key)
            else:
                kept.put(key, owned(content.with_metadata(labels={"by": str(chance.random())})))
        if chance.random() < 0.2:
            desired = with_route(desired, f"app-{chance.randrange(12)}", gateways=[str(chance.random())])
        live = kept.as_it_is()
        for key in alike.look(desired, live).to_compare:
            if chance.random() < 0.5 and key in live:
                alike.note(desired[key], live[key])
        found = alike.look(desired, live)
        assert set(found.to_compare) == {
            key for key, resource in desired.items() if not alike.holds(resource, live.get(key))
        }
        assert len(found.to_compare) == len(set(found.to_compare))
        assert found.left_over == live.keys() - desired.keys()


@pytest.mark.parametrize("count", [5, 50])
def test_one_change_in_the_cluster_is_looked_up_alone(count: int):
    kept, alike, desired = Kept[Resource](), Alike(), many(count)
    for key, resource in live_of(desired).items():
        kept.put(key, resource)
    alike.look(desired, kept.as_it_is())
    for key, resource in desired.items():
        alike.note(resource, kept.as_it_is()[key])
    alike.look(desired, kept.as_it_is())
    alike.looked, key = 0, next(iter(desired))
    kept.put(key, owned(desired[key].with_metadata(labels={"somebody": "else"})))
    assert alike.look(desired, kept.as_it_is()).to_compare == (key,)
    assert alike.looked == 1
