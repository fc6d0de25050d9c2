"""A configuration that does not fit its schema is told in a real API server's words: the first problem."""

from __future__ import annotations

from typing import Any

import pytest

from gitmesh.istio.kinds import MODELS
from gitmesh.model.openapi import structural_schema
from gitmesh.playground.apiserver import failures
from gitmesh.playground.apiserver.bodies import read_body
from gitmesh.playground.apiserver.failures import ApiError
from gitmesh.playground.apiserver.objects.typed import problem

SCHEMA = {"type": "object", "properties": {"spec": structural_schema(MODELS["VirtualService"])}}
APPLY = "application/apply-patch+yaml"


def told(**spec: Any) -> str:
    body = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {}, "spec": spec}
    return problem(body, SCHEMA)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"hostz": ["a"]}, ".spec.hostz: field not declared in schema"),
        ({"hostz": ["a"], "foo": 1}, ".spec.foo: field not declared in schema"),
        ({"hosts": "a"}, ".spec.hosts: expected list, got &{a}"),
        ({"hosts": [1]}, ".spec.hosts[0]: expected string, got &value.valueUnstructured{Value:1}"),
        (
            {"hosts": ["a"], "http": [{"rout": [], "route": [{"x": 1}]}]},
            ".spec.http[0].rout: field not declared in schema",
        ),
        (
            {"http": [{"timeout": 5}]},
            ".spec.http[0].timeout: expected string, got &value.valueUnstructured{Value:5}",
        ),
        (
            {"http": [{"match": [{"uri": {"exact": 7}}]}]},
            ".spec.http[0].match[0].uri.exact: expected string, got &value.valueUnstructured{Value:7}",
        ),
    ],
)
def test_the_first_thing_that_does_not_fit_is_told_with_its_path(spec: dict[str, Any], words: str) -> None:
    assert told(**spec) == words


def test_what_fits_and_what_is_null_is_no_problem() -> None:
    assert told(hosts=["a"], http=[{"route": [{"destination": {"host": "a"}, "weight": 1}]}]) == ""
    assert told(hosts=None, http=[]) == ""


def test_a_kind_without_a_schema_takes_anything() -> None:
    assert problem({"spec": {"a": [1, {"b": 2}]}}, {}) == ""


def test_it_is_a_fault_of_the_server_without_a_reason_as_a_real_one_says() -> None:
    status = failures.not_typed("default/reviews", "v1, Kind=ConfigMap", ".dataz: not there").status()
    assert status["code"] == 500
    assert "reason" not in status
    assert status["message"] == (
        "failed to create typed patch object (default/reviews; v1, Kind=ConfigMap): .dataz: not there"
    )


def test_a_key_that_is_there_twice_is_refused_where_strictness_is_asked_for() -> None:
    text = b"spec:\n  hosts: [a]\n  list:\n    - {x: 1, x: 2}\n  hosts: [b]\n"
    assert read_body(text, APPLY)["spec"]["hosts"] == ["b"]
    with pytest.raises(ApiError, match='line 4: key "x" already set in map') as caught:
        read_body(text, APPLY, strict=True)
    assert caught.value.code == 400
    assert str(caught.value).startswith("error strict decoding YAML: ")
