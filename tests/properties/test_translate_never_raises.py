"""Whatever stands in an object, the translation answers; and what it answers holds together."""

from __future__ import annotations

from typing import Any

from fakes.mesh_objects import istio, pod, resource_set, service, subsets
from hypothesis import given, settings
from hypothesis import strategies as st

from gitmesh.model.kinds import TRAFFIC_KINDS
from gitmesh.playground.envoy.precheck import structural_problems
from gitmesh.playground.envoy.snapshot import Snapshot
from gitmesh.playground.translate import translate
from gitmesh.playground.translate.handled import HANDLED, WHOLE, Tree

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 70000),
    st.floats(allow_nan=False),
    st.sampled_from(
        ["", "*", "reviews", "*.com", "a/b", "10s", "1000000h", "v1", "HTTP", "mesh", "GET", "@x"]
    ),
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
)


def shaped_like(tree: Tree) -> st.SearchStrategy[Any]:
    """Objects with the right field names most of the time, and with anything in them."""
    if tree is WHOLE:
        return st.one_of(
            LEAVES, st.lists(LEAVES, max_size=2), st.dictionaries(st.text(max_size=3), LEAVES, max_size=2)
        )
    fields = st.fixed_dictionaries({}, optional={name: shaped_like(child) for name, child in tree.items()})
    return st.one_of(fields, st.lists(fields, max_size=2), fields, ANYTHING)


def an_object() -> st.SearchStrategy[dict[str, Any]]:
    kinds = [
        st.builds(
            istio, st.just(kind.kind), st.sampled_from("abc"), shaped_like(HANDLED.get(kind.kind, WHOLE))
        )
        for kind in TRAFFIC_KINDS
    ]
    return st.one_of(kinds)


@settings(max_examples=150, deadline=None)
@given(st.lists(an_object(), max_size=4), ANYTHING, ANYTHING)
def test_translation_answers_whatever_stands_in_the_objects(bodies: list[Any], strange: Any, status: Any):
    odd_service = {
        **service("odd"),
        "spec": {"ports": [{"port": strange, "targetPort": strange}], "selector": strange},
    }
    odd_pod = {**pod("odd", "v1", "127.0.0.1"), "status": status, "spec": strange}
    world = [
        service("reviews"),
        pod("reviews", "v1", "127.0.0.1"),
        subsets("reviews", "v1"),
        odd_service,
        odd_pod,
    ]
    translation = translate(resource_set([*world, *bodies]))
    snapshot = Snapshot(translation.clusters, translation.routes)
    assert not [p for p in structural_problems(snapshot) if "twice" in p]
