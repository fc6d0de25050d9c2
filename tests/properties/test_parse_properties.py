"""Whatever stands in a repository: a result comes back, never an exception, and it is the same every time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from fakes.examined import files_of, findings, parsed
from hypothesis import given, settings
from hypothesis import strategies as st

from gitmesh.istio.kinds import MODELS
from gitmesh.model.config import ParseLimits
from gitmesh.model.context import Context, services_of
from gitmesh.model.diagnostic import Severity
from gitmesh.model.resource import Location, Origin, Resource, ResourceKey
from gitmesh.parse.json_text import read_json
from gitmesh.parse.positions import pinpoint
from gitmesh.parse.yaml_text import read_yaml
from gitmesh.validate.check import validate
from gitmesh.validate.policies import read_policies

YAML_WORDS = """
apiVersion kind metadata name namespace labels spec hosts http route destination host subset weight match List
items VirtualService RolloutPolicy networking.istio.io/v1 gitmesh.dev/v1alpha1 steps progress
- : --- ... ? & * ! !!int !!binary << | > { } [ ] , # ' " % @ ` ~ y 0777 .inf 1e3 10s &a *a é
"""
FIELD_NAMES = """
hosts http tcp tls route match subsets trafficPolicy servers port egress destination host subset weight
retries timeout steps analysis select ports endpoints fault delay abort redirect gateways exportTo bind name
attempts uri exact prefix number protocol progress metrics
"""
WORDS = st.sampled_from([*YAML_WORDS.split(), "\t", "\n", "\n\n", "\u2028", "\x00"])
YAMLISH = st.lists(st.one_of(WORDS, st.sampled_from([" ", "\n", "\n  ", "\n- ", ": "])), max_size=60).map(
    "".join
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    WORDS,
)
EXTREMES = st.sampled_from(
    [
        10**309,
        -(10**399),
        2**64,
        1e308,
        5e-324,
        399 * "9",
        "9" * 20 + "h",
        "1e999s",
        2_000 * "h1",
        "\ud800",
        "\x00",
    ]
)
FIELDS = st.one_of(st.sampled_from(FIELD_NAMES.split()), st.text(max_size=4))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(FIELDS, inner, max_size=4)),
    max_leaves=20,
)
CALM = settings(deadline=None)
KINDS = st.sampled_from([*MODELS, "RolloutPolicy"])


@CALM
@given(YAMLISH)
def test_no_text_raises(text: str):
    files = {"a.yaml": text, "b.json": text, ".gitmeshignore": text, "c/Chart.yaml": text}
    result = parsed(files)
    assert parsed(files, previous=result).resources == result.resources
    for finding in findings(files):
        assert finding.at is not None
        assert finding.at.line >= 1
        assert finding.at.column >= 1


@CALM
@given(st.binary(max_size=200))
def test_no_bytes_raise(content: bytes):
    findings({"a.yaml": content, "b.json": content, ".gitmeshignore": content})


@CALM
@given(VALUES)
def test_what_json_can_say_is_read_back(value: Any):
    text = json.dumps(value)
    (document,) = read_json("a.json", text, ParseLimits())[0]
    again = json.loads(json.dumps(document.value))
    assert again == json.loads(json.dumps(document.value))
    if not _has_floats(value):
        assert document.value == value


@CALM
@given(VALUES)
def test_what_a_yaml_writer_writes_with_quotes_is_read_back(value: Any):
    text = yaml.safe_dump(_texts_only(value), default_style='"', allow_unicode=True)
    documents, found = read_yaml("a.yaml", text, ParseLimits())
    assert [f for f in found if f.severity is Severity.ERROR] == []
    assert [d.value for d in documents] == [_texts_only(value)]


@settings(max_examples=300, deadline=None)
@given(KINDS, VALUES, VALUES)
def test_no_body_raises(kind: str, spec: Any, metadata: Any):
    group = "gitmesh.dev" if kind == "RolloutPolicy" else "networking.istio.io"
    body = {
        "apiVersion": f"{group}/v1",
        "kind": kind,
        "metadata": {"name": "a", "labels": metadata},
        "spec": spec,
    }
    key = ResourceKey(group, kind, "default", "a")
    resource = Resource(key, f"{group}/v1", body, Origin("a.yaml", 0))
    known = Context(services=services_of(["a"]))
    found = validate({key: resource}, context=known).findings
    assert validate({key: resource}, context=known).findings == found
    assert all(f.at == Location("a.yaml") for f in found)
    read_policies({key: resource})
    pinpoint(files_of({"a.yaml": "spec: {}"}), found)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, child in children:
        yield from places(child, (*path, name))


def replaced(value: Any, path: tuple[str | int, ...], by: Any) -> Any:
    if not path:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], by)
    return copy


EXAMPLES = list(
    yaml.safe_load_all((Path(__file__).parents[1] / "spec/validate/istio_examples.yaml").read_text())
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_value_at_any_place_of_a_good_object_raises(data: st.DataObject):
    body = data.draw(st.sampled_from(EXAMPLES))
    path = data.draw(st.sampled_from(list(places(body))))
    changed = replaced(body, path, data.draw(VALUES | EXTREMES))
    text = json.dumps([changed, *EXAMPLES])
    findings({"a.yaml": text})
    found = findings({"a.json": f'{{"apiVersion": "v1", "kind": "List", "items": {text}}}'}, known_hosts=())
    assert all(f.at is not None for f in found)


@CALM
@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("xyz"), max_size=6), st.randoms())
def test_taking_over_old_results_changes_nothing(names: dict[str, str], random: Any):
    def texts(of: dict[str, str]) -> dict[str, str]:
        head = "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: "
        return {f"{file}.yaml": f"{head}{{name: {name}}}\n" for file, name in of.items()}

    before = {file: random.choice("xyz") for file in names if random.random() < 0.8}
    fresh = parsed(texts(names))
    reused = parsed(texts(names), previous=parsed(texts(before)))
    assert (reused.resources, reused.diagnostics) == (fresh.resources, fresh.diagnostics)
    assert reused.files_read == sum(before.get(file) != name for file, name in names.items())


def _has_floats(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(_has_floats(v) for v in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, float) or (isinstance(value, int) and abs(value) >= 2**63)


def _texts_only(value: Any) -> Any:
    if isinstance(value, dict):
        return {_printable(k): _texts_only(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_texts_only(v) for v in value]
    return _printable(str(value))


def _printable(text: str) -> str:
    return "".join(c for c in text if c.isprintable())
