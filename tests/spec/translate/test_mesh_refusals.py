"""What Envoy refuses is found, held back, and said; everything else is served."""

from __future__ import annotations

import pytest
from fakes.mesh_objects import istio, resource_set

from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.resource import ResourceSet
from gitmesh.playground.mesh_refusals import Refusals

pytestmark = pytest.mark.anyio


def key(name: str):
    return VIRTUAL_SERVICE.key("default", name)


def world(**specs: str) -> ResourceSet:
    return resource_set(istio("VirtualService", name, {"hosts": [text]}) for name, text in specs.items())


class Envoy:
    """Refuses every object whose host is `bad`; with `together`, also `one` and `other` in company."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, resources: ResourceSet) -> str:
        self.asked += 1
        hosts = [resource.spec["hosts"][0] for resource in resources.values()]
        if "bad" in hosts:
            return "bad host"
        return "quarrel" if {"one", "other"} <= set(hosts) else ""


async def test_the_refused_object_alone_is_left_out():
    refusals, envoy = Refusals(), Envoy()
    live = world(**{f"vs-{number}": "good" for number in range(100)}, culprit="bad")
    assert await refusals.blame(live, "somewhere", envoy) == {key("culprit")}
    assert refusals.reasons() == {key("culprit"): "bad host"}
    assert refusals.effective(live).keys() == live.keys() - {key("culprit")}
    assert envoy.asked < 20  # by halves, not one by one


async def test_several_refused_objects_are_all_found():
    refusals = Refusals()
    live = world(a="bad", b="good", c="bad", d="good", e="bad")
    assert await refusals.blame(live, "", Envoy()) == {key("a"), key("c"), key("e")}


async def test_a_refused_change_leaves_what_was_accepted_before():
    refusals = Refusals()
    before = world(a="good", b="good")
    refusals.accept(before)
    changed = world(a="bad", b="better")
    await refusals.blame(changed, "", Envoy())
    served = refusals.effective(changed)
    assert served[key("a")].spec == before[key("a")].spec
    assert served[key("b")].spec == changed[key("b")].spec


async def test_new_content_is_tried_again_and_the_same_content_is_not():
    refusals = Refusals()
    await refusals.blame(world(a="bad"), "", Envoy())
    assert refusals.effective(world(a="bad")) == {}
    repaired = world(a="good")
    assert refusals.effective(repaired) == repaired
    assert refusals.reasons() == {}


async def test_a_deleted_object_is_forgotten():
    refusals = Refusals()
    await refusals.blame(world(a="bad"), "", Envoy())
    assert refusals.effective({}) == {}
    assert refusals.reasons() == {}


async def test_objects_that_do_not_go_together_are_held_back_together():
    refusals = Refusals()
    live = world(a="one", b="other")
    assert await refusals.blame(live, "quarrel", Envoy()) == {key("a"), key("b")}
    assert refusals.reasons()[key("a")] == "quarrel"


async def test_nothing_is_blamed_when_no_object_has_changed():
    refusals = Refusals()
    refusals.accept(world(a="bad"))
    assert await refusals.blame(world(a="bad"), "", Envoy()) == frozenset()
