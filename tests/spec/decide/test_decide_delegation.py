"""A VirtualService and one that it delegates to are walked by request ids one after the other."""

from __future__ import annotations

from typing import Any

from fakes.builders import a_policy_spec, a_rollout, a_spec

from gitmesh.decide.delegation import walked_before
from gitmesh.istio.canonical import spec_hash
from gitmesh.model.kinds import DESTINATION_RULE, VIRTUAL_SERVICE
from gitmesh.model.policy import Walk
from gitmesh.model.rollout import Phase, RolloutRecord, Snapshot

ROOT, PART = (VIRTUAL_SERVICE.key("default", name) for name in ("root", "reviews"))
WAITING, MOVING = Phase.WAITING, Phase.PROGRESSING


def a_walk(phase: Phase, *delegates: Any, walk: Walk = Walk.ROUTES, group: str = "") -> RolloutRecord:
    spec = a_spec("app: v1")
    spec["http"] += [{"delegate": delegate} for delegate in delegates]
    policy = a_policy_spec().model_copy(update={"walk": walk, "group": group})
    content = Snapshot(spec=spec, hash=spec_hash(spec))
    return a_rollout(phase=phase, policy_spec=policy).model_copy(
        update={"stable": content, "canary": content}
    )


def before(root: RolloutRecord, part: RolloutRecord) -> dict[str, str]:
    return {key.name: text for key, text in walked_before({ROOT: root, PART: part}).items()}


def test_the_root_goes_first_and_the_delegate_waits_until_it_is_done():
    root = a_walk(WAITING, {"name": "reviews"})
    assert before(root, a_walk(WAITING)) == {"reviews": "root, which delegates to it and is Waiting"}
    root = a_walk(MOVING, {"name": "reviews", "namespace": "default"})
    told = "root, which delegates to it and is Progressing at 25 %"
    assert before(root, a_walk(WAITING)) == {"reviews": told}
    assert before(a_walk(Phase.SUCCEEDED, {"name": "reviews"}), a_walk(WAITING)) == {}


def test_a_delegate_that_has_begun_ends_before_its_root_begins():
    root = a_walk(WAITING, {"name": "reviews"})
    told = "reviews, to which it delegates and which is Progressing at 25 %"
    assert before(root, a_walk(MOVING)) == {"root": told}
    assert before(a_walk(MOVING, {"name": "reviews"}), a_walk(MOVING)) == {}, "what has begun goes on"


def test_nothing_waits_that_asks_for_no_ids_or_for_another_delegate():
    assert before(a_walk(WAITING, {"name": "reviews"}, walk=Walk.WEIGHTS), a_walk(WAITING)) == {}
    assert before(a_walk(WAITING, {"name": "reviews"}), a_walk(WAITING, walk=Walk.WEIGHTS)) == {}
    assert before(a_walk(WAITING, {"name": "reviews", "namespace": "shop"}), a_walk(WAITING)) == {}
    assert before(a_walk(WAITING, {"name": 5}, "x", None), a_walk(WAITING)) == {}
    rule = DESTINATION_RULE.key("default", "reviews")
    assert walked_before({ROOT: a_walk(WAITING, {"name": "reviews"}), rule: a_walk(WAITING)}) == {}


def test_a_group_is_left_to_begin_together():
    both = a_walk(WAITING, {"name": "reviews"}, group="shop"), a_walk(WAITING, group="shop")
    assert before(*both) == {}
    other = a_walk(WAITING, {"name": "reviews"}, group="shop"), a_walk(WAITING, group="desk")
    assert list(before(*other)) == ["reviews"]
