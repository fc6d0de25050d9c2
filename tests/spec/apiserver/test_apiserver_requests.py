"""Reading requests: paths, queries, accepted forms, bodies; and the protobuf that kubectl insists on."""

from __future__ import annotations

from typing import Any

import pytest

from gitmesh.playground.apiserver import protobuf, requests
from gitmesh.playground.apiserver.bodies import DEPTH_MAX, PROTOBUF, read_body
from gitmesh.playground.apiserver.core_kinds import CORE_KINDS
from gitmesh.playground.apiserver.failures import ApiError
from gitmesh.playground.apiserver.negotiation import choose_form, wanted_discovery
from gitmesh.playground.apiserver.registry import Registry, version_rank

KINDS = Registry(CORE_KINDS)
APPLY = "application/apply-patch+yaml"


def found(path: str) -> tuple[str, str, str, str]:
    target = requests.find_target(KINDS, tuple(path.strip("/").split("/")))
    return target.kind.kind, target.namespace, target.name, target.subresource


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/pods", ("Pod", "", "", "")),
        ("/api/v1/namespaces/a/pods", ("Pod", "a", "", "")),
        ("/api/v1/namespaces/a/pods/p", ("Pod", "a", "p", "")),
        ("/api/v1/namespaces/a/pods/p/status", ("Pod", "a", "p", "status")),
        ("/api/v1/namespaces", ("Namespace", "", "", "")),
        ("/api/v1/namespaces/a", ("Namespace", "", "a", "")),
        ("/api/v1/namespaces/a/status", ("Namespace", "", "a", "status")),
        ("/apis/coordination.k8s.io/v1/namespaces/a/leases/l", ("Lease", "a", "l", "")),
    ],
)
def test_a_path_names_a_kind_and_an_object(path: str, expected: tuple[str, str, str, str]):
    assert found(path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/api/v2/pods",
        "/api/v1/widgets",
        "/api/v1/pods/p",
        "/api/v1/namespaces/a/namespaces/b",
        "/api/v1/namespaces/a/pods/p/log",
        "/api/v1/namespaces/a/configmaps/c/status",
        "/api/v1/namespaces/a/pods/p/status/more",
        "/api/v1/namespaces//pods",
        "/apis/coordination.k8s.io/v1",
    ],
)
def test_any_other_path_is_not_found(path: str):
    with pytest.raises(ApiError) as caught:
        found(path)
    assert caught.value.code == 404


def test_versions_stand_in_kubernetes_order():
    given = ["v1alpha3", "v2", "v1beta1", "v1", "v10", "v1beta2"]
    assert sorted(given, key=version_rank) == ["v10", "v2", "v1", "v1beta2", "v1beta1", "v1alpha3"]


@pytest.mark.parametrize(
    ("query", "media_type", "code"),
    [
        ({}, APPLY, 422),
        ({"fieldManager": "x" * 200}, APPLY, 422),
        ({"force": "true"}, "application/merge-patch+json", 422),
        ({"fieldValidation": "Sometimes"}, "application/json", 400),
        ({"dryRun": "Some"}, "application/json", 400),
        ({"fieldManager": "x", "force": "perhaps"}, APPLY, 400),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(query: dict[str, str], media_type: str, code: int):
    with pytest.raises(ApiError) as caught:
        requests.write_options(query, media_type, "")
    assert caught.value.code == code


def test_the_manager_is_the_client_when_none_is_named():
    assert requests.write_options({}, "application/json", "kubectl/v1.32 (linux)").manager == "kubectl"
    assert requests.write_options({"fieldManager": "x"}, "application/json", "kubectl/v1").manager == "x"


def test_the_first_form_that_is_served_is_chosen():
    table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    assert choose_form(table).shape == "Table"
    assert choose_form("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json").shape == "Object"
    assert choose_form("application/vnd.kubernetes.protobuf,application/json").shape == "Object"
    with pytest.raises(ApiError) as caught:
        choose_form("application/vnd.kubernetes.protobuf")
    assert caught.value.code == 406


def test_discovery_is_aggregated_for_those_who_ask():
    aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    assert wanted_discovery(f"{aggregated},application/json") == "v2"
    assert wanted_discovery(f"{aggregated.replace('v2', 'v3')},application/json") == ""
    assert wanted_discovery("application/json") == ""


def protobuf_body(kind: str, raw: bytes) -> bytes:
    meta = protobuf.text(1, "v1") + protobuf.text(2, kind)
    return b"k8s\x00" + protobuf.message(1, meta) + protobuf.message(2, raw)


def test_the_protobuf_of_a_config_map_is_read():
    metadata = protobuf.text(1, "settings") + protobuf.message(
        11, protobuf.text(1, "app") + protobuf.text(2, "x")
    )
    entry = protobuf.text(1, "colour") + protobuf.text(2, "blue")
    raw = protobuf.message(1, metadata) + protobuf.message(2, entry) + protobuf.flag(4, True)
    assert read_body(protobuf_body("ConfigMap", raw), PROTOBUF) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "labels": {"app": "x"}},
        "data": {"colour": "blue"},
        "immutable": True,
    }


@pytest.mark.parametrize("cut", range(1, 26))
def test_protobuf_that_is_cut_off_is_refused(cut: int):
    whole = protobuf_body("Namespace", protobuf.message(1, protobuf.text(1, "a-name-of-some-length")))
    with pytest.raises(ApiError) as caught:
        read_body(whole[:-cut], PROTOBUF)
    assert caught.value.code in (400, 415)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"[" * 5000 + b"]" * 5000, "not JSON"),
        (b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1), "deep"),
        (b'{"a": ' * (DEPTH_MAX + 1) + b"1" + b"}" * (DEPTH_MAX + 1), "deep"),
    ],
)
def test_json_that_is_too_deep_is_refused(raw: bytes, told: str):
    with pytest.raises(ApiError, match=told):
        read_body(raw, "application/json")


@pytest.mark.parametrize(
    "raw",
    [
        b"- " * 200_000 + b"x",
        b"[" * 200_000,
        b"a: &a [x]\nb: *a\n",
        b"a: .nan\n",
        b"a: 99999999999999999999999\n",
        b'a: "\\ud800"\n',
        b"a: !!python/object/apply:os.system [x]\n",
        b"a: !!binary aGk=\n",
        b"a: [\n",
        b"a: 1\n---\nb: 2\n",
    ],
    ids=["deep-block", "deep-flow", "alias", "nan", "huge", "surrogate", "tag", "binary", "broken", "two"],
)
def test_yaml_that_json_cannot_hold_is_refused(raw: bytes):
    with pytest.raises(ApiError) as caught:
        read_body(raw, APPLY)
    assert caught.value.code == 400


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"at: 2026-01-01T00:00:00Z\n", {"at": "2026-01-01T00:00:00Z"}),
        (b"1: x\n", {"1": "x"}),
        (b'{"a": [1, true, null]}', {"a": [1, True, None]}),
        (b"{a: b}", {"a": "b"}),
    ],
)
def test_yaml_becomes_what_json_would_be(raw: bytes, value: Any):
    assert read_body(raw, APPLY) == value
