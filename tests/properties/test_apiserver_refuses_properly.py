"""Whatever a client sends, the API machinery answers, or refuses with a Status; it never breaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitmesh.kube.status import NOT_TYPED
from gitmesh.playground.apiserver import reads, writes
from gitmesh.playground.apiserver.failures import ApiError
from gitmesh.playground.apiserver.kinds import Target
from gitmesh.playground.apiserver.tables import table
from tests.fakes.cluster import EPOCH, FakeCluster

KINDS = (
    ("networking.istio.io", "v1", "virtualservices"),
    ("gitmesh.dev", "v1alpha1", "trafficsources"),
    ("apiextensions.k8s.io", "v1", "customresourcedefinitions"),
    ("", "v1", "services"),
    ("", "v1", "pods"),
    ("", "v1", "secrets"),
    ("", "v1", "configmaps"),
    ("", "v1", "namespaces"),
    ("", "v1", "events"),
    ("", "v1", "endpoints"),
    ("discovery.k8s.io", "v1", "endpointslices"),
    ("coordination.k8s.io", "v1", "leases"),
)
TEXT = (
    "metadata name labels annotations finalizers ownerReferences managedFields uid spec status "
    "conditions type ports port protocol containers env data stringData subsets "
    "addresses endpoints hosts http route names versions group scope kind "
    "selector schema openAPIV3Schema involvedObject source generateName resourceVersion containerStatuses "
)
WORDS = tuple(TEXT.split())
PATHS = ("", "/", "/spec", "/metadata/name", "/metadata/labels/a~1b", "/spec/ports/-", "/x/0")
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 70_000),
    st.floats(-1, 1),
    st.sampled_from([*WORDS, "", "a b", "x"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=14,
)
METADATA = st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=3)
BODIES = st.one_of(
    VALUES,
    st.builds(
        lambda metadata, rest: {**rest, "metadata": {"name": "x", **metadata}},
        METADATA,
        st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=4),
    ),
)
OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {
            "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "jump"]),
            "path": st.sampled_from(PATHS),
        },
        optional={"value": VALUES, "from": st.sampled_from(["/spec", "/metadata", ""])},
    ),
    max_size=3,
)


def a_target(cluster: FakeCluster, which: tuple[str, str, str], name: str, subresource: str = "") -> Target:
    group, version, plural = which
    kind = cluster.api.registry.find(group, version, plural)
    assert kind
    namespace = "default" if kind.namespaced else ""
    return Target(kind, version, namespace, name, subresource if kind.has_status else "")


def consistent(cluster: FakeCluster, which: tuple[str, str, str]) -> None:
    """Check that what is stored can be read, listed, printed and written as JSON."""
    target = a_target(cluster, which, "")
    page = reads.list_page(cluster.api, target, reads.ListOptions())
    orjson.dumps(page.items)
    orjson.dumps(table(target, page.items, list_metadata={}, include="Object", now=EPOCH))
    for item in page.items:
        assert {"name", "uid", "resourceVersion", "creationTimestamp"} <= set(item["metadata"])


def answer_of(call: Callable[[], writes.Written]) -> Any:
    """Return the object, or the Status that refuses it with a code that blames the client."""
    try:
        return call().body
    except ApiError as refusal:
        status = refusal.status()
    # A real server answers a configuration that does not fit its schema so, and clients know it by its words.
    untyped = status["code"] == 500 and status["message"].startswith(NOT_TYPED)
    assert untyped or 400 <= status["code"] < 500
    return status


@pytest.mark.parametrize("which", KINDS, ids=[k[2] for k in KINDS])
@settings(max_examples=25, deadline=None)
@given(
    first=BODIES,
    second=BODIES,
    operations=OPERATIONS,
    media=st.sampled_from([writes.APPLY_PATCH, writes.MERGE_PATCH, writes.STRATEGIC_PATCH]),
    subresource=st.sampled_from(["", "status"]),
    validation=st.sampled_from(["Strict", "Ignore", "Warn"]),
    force=st.booleans(),
)
def test_any_body_is_answered_or_refused(
    which: tuple[str, str, str],
    first: Any,
    second: Any,
    operations: Any,
    media: str,
    subresource: str,
    validation: str,
    force: bool,
):
    cluster = FakeCluster()
    options = writes.WriteOptions("one", False, validation, force)
    other = writes.WriteOptions("two", False, validation, force)
    calls = [
        lambda: writes.create(cluster.api, a_target(cluster, which, ""), first, options),
        lambda: writes.patch(cluster.api, a_target(cluster, which, "x", subresource), media, second, other),
        lambda: writes.patch(
            cluster.api, a_target(cluster, which, "x"), writes.JSON_PATCH, operations, other
        ),
        lambda: writes.update(cluster.api, a_target(cluster, which, "x", subresource), second, options),
    ]
    for call in calls:
        orjson.dumps(answer_of(call))
        consistent(cluster, which)
