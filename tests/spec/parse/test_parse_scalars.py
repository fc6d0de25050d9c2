"""YAML means what kubectl makes of it."""

from __future__ import annotations

import json

import pytest
from fakes.examined import findings
from fakes.kubectl_scalars import VALUES

from gitmesh.model.config import ParseLimits
from gitmesh.model.diagnostic import Severity
from gitmesh.parse.json_text import read_json
from gitmesh.parse.yaml_text import read_yaml


@pytest.mark.parametrize(("text", "expected"), [(t, e) for t, e in VALUES.items() if e is not None])
def test_a_value_is_read_as_kubectl_reads_it(text: str, expected: str):
    documents, _ = read_yaml("a.yaml", f"v: {text}\n", ParseLimits())
    assert json.dumps(documents[0].value["v"]) == json.dumps(json.loads(expected))


@pytest.mark.parametrize("text", [t for t, e in VALUES.items() if e is None])
def test_what_kubectl_refuses_is_an_error_with_a_place(text: str):
    documents, found = read_yaml("a.yaml", f"w: 1\nv: {text}\n", ParseLimits())
    assert documents == ()
    assert [(f.severity, f.at.line if f.at else 0) for f in found] == [(Severity.ERROR, 2)]


@pytest.mark.parametrize("text", ["y", "off", "NO", "0777", "08", "1_000"])
def test_a_scalar_that_is_not_what_it_looks_like_is_a_warning(text: str):
    _, found = read_yaml("a.yaml", f"v: {text}\n", ParseLimits())
    assert [f.code for f in found] == ["GM013"]
    assert f'write "{text}"' in found[0].hint


@pytest.mark.parametrize(
    "text", ["true", "False", "null", "~", "'y'", '"0777"', "10", "1.5", "yesterday", "0"]
)
def test_plain_scalars_are_not_commented_on(text: str):
    assert read_yaml("a.yaml", f"v: {text}\n", ParseLimits())[1] == ()


def test_a_repeated_field_names_both_places():
    (found,) = read_yaml("a.yaml", "a: 1\nb:\n  c: 1\n  c: 2\n", ParseLimits())[1]
    assert (found.code, str(found.at)) == ("GM012", "a.yaml:4:3")
    assert "a.yaml:3:3" in found.message


def test_names_that_become_equal_in_json_are_repeated_too():
    found = read_yaml("a.yaml", "1: a\n'1': b\n", ParseLimits())[1]
    assert [f.code for f in found] == ["GM012"]


def test_the_same_field_in_two_elements_is_fine():
    assert read_yaml("a.yaml", "- {a: 1}\n- {a: 2}\n", ParseLimits())[1] == ()


def test_json_numbers_and_duplicates_are_held_to_the_same_rules():
    text = '{\n\t"apiVersion": "v1", "kind": "ConfigMap",\n\t"data": {"a": 75.0, "a": 1}\n}'
    found = findings({"a.json": text})
    assert [(f.code, str(f.at)) for f in found if f.code == "GM012"] == [("GM012", "a.json:3:22")]


@pytest.mark.parametrize("number", ["1e999", "-1e999", 309 * "9", "-" + 399 * "9", 401 * "9"])
def test_a_json_number_that_no_server_can_hold_is_an_error_with_a_place(number: str):
    found = findings({"a.json": f'{{"apiVersion": "v1", "kind": "ConfigMap", "data": {number}}}'})
    assert [(f.code, str(f.at)) for f in found] == [("GM015", "a.json:1:1")]
    assert "too large for a number" in found[0].message


def test_half_of_a_character_is_an_error_with_a_place_and_a_whole_one_is_text():
    half = findings({"a.json": '{"apiVersion": "v1", "kind": "ConfigMap", "data": {"\\udc00": 1}}'})
    assert [(f.code, str(f.at)) for f in half] == [("GM015", "a.json:1:1")]
    assert r"\udc00 is half of a character" in half[0].message
    (document,) = read_json("a.json", r'{"a": "\ud83d\ude00 \u00e9"}', ParseLimits())[0]
    assert document.value == {"a": "\U0001f600 \u00e9"}
