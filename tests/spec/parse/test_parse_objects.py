"""From documents to resources: identity, namespaces, metadata, kinds."""

from __future__ import annotations

import random

import pytest
from fakes.examined import findings, parsed, told

from gitmesh.model.edition import changed_between

HEAD = "apiVersion: networking.istio.io/v1\nkind: Sidecar\n"


def codes(text: str) -> list[str]:
    return [d.code for d in parsed(text).diagnostics]


def test_the_version_is_kept_and_no_part_of_the_identity():
    (resource,) = parsed(HEAD.replace("/v1", "/v1alpha3") + "metadata: {name: a}").resources.values()
    assert resource.api_version == "networking.istio.io/v1alpha3"
    assert resource.key.path == "networking.istio.io/Sidecar/default/a"


def test_a_namespace_is_filled_in_and_a_written_one_kept():
    text = HEAD + "metadata: {name: a}\n---\n" + HEAD + "metadata: {name: a, namespace: other}"
    result = parsed(text, namespace="team")
    assert [key.namespace for key in result.resources] == ["team", "other"]
    assert [r.metadata["namespace"] for r in result.resources.values()] == ["team", "other"]


def test_one_object_in_two_files_names_both():
    text = HEAD + "metadata: {name: a}"
    result = parsed({"x.yaml": text, "y.yaml": text.replace("/v1", "/v1beta1")})
    (found,) = result.diagnostics
    assert (found.code, str(found.at)) == ("GM021", "y.yaml:1:1")
    assert "x.yaml:1:1" in found.message


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ("", "GM017"),
        ("metadata: text", "GM017"),
        ("metadata: {}", "GM017"),
        ("metadata: {generateName: a-}", "GM017"),
        ("metadata: {name: 1}", "GM017"),
        ("metadata: {name: A}", "GM017"),
        ("metadata: {name: a_b}", "GM017"),
        ("metadata: {name: -a}", "GM017"),
        (f"metadata: {{name: {'a' * 254}}}", "GM017"),
        ("metadata: {name: a, namespace: a.b}", "GM017"),
        ("metadata: {name: a, namespace: [b]}", "GM017"),
        ("metadata: {name: a, labels: {x: 1}}", "GM018"),
        ("metadata: {name: a, labels: [x]}", "GM018"),
        ("metadata: {name: a, labels: {x: 'a b'}}", "GM018"),
        ("metadata: {name: a, annotations: {x: true}}", "GM018"),
        ("metadata: {name: a, annotations: {'x y': a}}", "GM018"),
        ("metadata: {name: a, lables: {}}", "GM018"),
        ("metadata: {name: a}\nsepc: {}", "GM018"),
    ],
)
def test_bad_metadata_is_an_error(metadata: str, code: str):
    assert codes(HEAD + metadata) == [code]


def test_a_misspelt_name_is_guessed():
    (found,) = findings(HEAD + "metadata: {nmae: a}")
    assert found.hint == "did you mean name where nmae is written?"


def test_what_the_server_sets_is_left_out_with_a_warning():
    text = HEAD + (
        "metadata:\n  name: a\n  uid: x\n  creationTimestamp: null\n  annotations:\n"
        "    kubectl.kubernetes.io/last-applied-configuration: '{}'\nstatus: {conditions: [1]}\n"
    )
    result = parsed(text)
    (resource,) = result.resources.values()
    assert resource.body == {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Sidecar",
        "metadata": {"name": "a", "annotations": {}, "namespace": "default"},
    }
    assert [place for place in told(text) if "GM022" in place] == ["5:3 GM022", "8:5 GM022", "9:1 GM022"]


@pytest.mark.parametrize(
    ("api_version", "kind", "code"),
    [
        ("v1", "Service", ""),
        ("apps/v1", "Deployment", ""),
        ("v1", "ConfigMap", "GM019"),
        ("networking.istio.io/v1alpha3", "EnvoyFilter", "GM019"),
        ("networking.istio.io/v1", "WorkloadGroup", "GM019"),
        ("gateway.networking.k8s.io/v1", "Gateway", "GM019"),
        ("gitmesh.dev/v1alpha1", "TrafficSource", "GM019"),
        ("networking.istio.io/v1", "VirtualServices", "GM020"),
        ("networking.istio.io/v1", "virtualservice", "GM020"),
        ("networking.istio.io/v2", "VirtualService", "GM020"),
        ("networking.istio.io", "VirtualService", "GM020"),
        ("networking.isto.io/v1", "VirtualService", "GM020"),
        ("gitmesh.dev/v1", "RolloutPolicy", "GM020"),
        ("gitmesh.dev/v1alpha1", "RoloutPolicy", "GM020"),
        ("gitmesh.io/v1alpha1", "RolloutPolicy", "GM020"),
    ],
)
def test_a_kind_is_managed_left_alone_or_unknown(api_version: str, kind: str, code: str):
    result = parsed(f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: a}}\n")
    assert [d.code for d in result.diagnostics] == ([code] if code else [])
    assert result.resources == {}
    assert [other.kind for other in result.others] == ([] if code == "GM020" else [kind])


def test_of_a_secret_only_name_and_type_are_read():
    text = (
        "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\n"
        "metadata: {name: a, namespace: b, annotations: {note: hush}}\ndata: {tls.key: aHVzaA==}\n"
    )
    (secret,) = parsed(text).others.values()
    assert secret.body == {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": "a", "namespace": "b"},
    }


def test_objects_of_other_kinds_are_kept_with_the_namespace_that_they_have():
    text = (
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n"
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\n"
        "apiVersion: v1\nkind: Service\nmetadata: {generateName: a}\n"
    )
    assert [(key.kind, key.namespace) for key in parsed(text).others] == [
        ("Namespace", ""),
        ("Service", "default"),
    ]


@pytest.mark.parametrize(
    "text", ["text", "- a", "a: 1", "kind: Sidecar", "apiVersion: v1", "kind: 1\napiVersion: v1", "7"]
)
def test_what_is_no_object_is_an_error(text: str):
    assert codes(text) == ["GM016"]


def test_lists_are_taken_apart_and_each_element_has_its_place():
    text = (
        "apiVersion: v1\nkind: List\nitems:\n"
        "- apiVersion: networking.istio.io/v1\n  kind: Sidecar\n  metadata:\n    name: a\n"
        "- apiVersion: networking.istio.io/v1\n  kind: SidecarList\n  items:\n"
        "  - apiVersion: networking.istio.io/v1\n    kind: Sidecar\n    metadata:\n      name: B\n"
    )
    result = parsed(text)
    (resource,) = result.resources.values()
    assert resource.origin is not None
    assert (resource.origin.prefix, resource.origin.line, resource.origin.column) == (("items", 0), 4, 3)
    assert [t for t in told(text) if "GM017" in t] == ["14:13 GM017"]


def test_a_commit_that_changes_one_file_parses_one_file():
    texts = {f"f{n}.yaml": HEAD + f"metadata: {{name: a{n}}}" for n in range(20)}
    first = parsed(texts)
    assert first.files_read == 20
    texts["f7.yaml"] = HEAD + "metadata: {name: changed}"
    del texts["f8.yaml"]
    second = parsed(texts, previous=first)
    assert second.files_read == 1
    assert second.resources == parsed(texts).resources
    untouched = next(key for key in second.resources if key.name == "a1")
    assert second.resources[untouched] is first.resources[untouched]


def test_another_default_namespace_reads_everything_again():
    first = parsed({"a.yaml": HEAD + "metadata: {name: a}"})
    second = parsed({"a.yaml": HEAD + "metadata: {name: a}"}, namespace="other", previous=first)
    assert (second.files_read, [k.namespace for k in second.resources]) == (1, ["other"])


def test_findings_of_an_unchanged_file_are_kept():
    first = parsed("a: [")
    assert parsed("a: [", previous=first).diagnostics == first.diagnostics


@pytest.mark.parametrize("seed", range(10))
def test_whatever_a_commit_does_the_objects_are_those_of_a_first_reading_and_it_is_known_which_changed(
    seed: int,
):
    """Files come, go, and change, with one object in several of them now and then."""
    chance, texts = random.Random(seed), dict[str, str]()
    before = parsed(texts)
    for number in range(40):
        path = f"f{chance.randrange(6)}.yaml"
        names = [f"a{chance.randrange(8)}" for _ in range(chance.randrange(1, 4))]
        if chance.random() < 0.4 and path in texts:
            texts[path] += f"\n# {number}"
        else:
            texts[path] = "\n---\n".join(HEAD + f"metadata: {{name: {name}}}" for name in names)
        if chance.random() < 0.2:
            del texts[path]
        after, anew = parsed(texts, previous=before), parsed(texts)
        assert list(after.resources.items()) == list(anew.resources.items())
        assert after.diagnostics == anew.diagnostics
        changed = changed_between(before.resources, after.resources)
        now, was = after.resources.get, before.resources.get
        differing = {key for key in after.resources.keys() | before.resources if now(key) is not was(key)}
        assert changed is None or differing <= changed
        assert changed is not None or not before.files
        before = after


def test_a_commit_that_changes_one_file_says_that_only_its_objects_may_have_changed():
    texts = {f"f{n}.yaml": HEAD + f"metadata: {{name: a{n}}}" for n in range(20)}
    first = parsed(texts)
    texts["f7.yaml"] += "\nspec: {}"
    changed = changed_between(first.resources, parsed(texts, previous=first).resources)
    assert changed is not None
    assert [key.name for key in changed] == ["a7"]


def test_what_many_objects_say_alike_is_kept_once():
    text = HEAD + "metadata: {name: a%s, labels: {team: backend-team}}"
    one, other = parsed({"a.yaml": text % 1, "b.yaml": text % 2}).resources.values()
    assert next(iter(one.labels)) is next(iter(other.labels))
    assert one.labels["team"] is other.labels["team"]
