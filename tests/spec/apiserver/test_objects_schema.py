"""A structural schema refuses, prunes and defaults as Kubernetes does, in Kubernetes' words."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gitmesh.playground.apiserver.objects.schema import check, default, prune

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["hosts"],
            "properties": {
                "hosts": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "string"}},
                "mode": {"type": "string", "enum": ["FAST", "SLOW"]},
                "name": {"type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[a-z]+$"},
                "weight": {"type": "integer", "minimum": 0, "maximum": 100},
                "ratio": {"type": "number", "exclusiveMinimum": True, "minimum": 0, "multipleOf": 0.5},
                "share": {"type": "number", "exclusiveMaximum": True, "maximum": 1},
                "small": {"type": "integer", "format": "int32"},
                "enabled": {"type": "boolean", "nullable": True},
                "either": {
                    "anyOf": [{"type": "integer"}, {"type": "string"}],
                    "x-kubernetes-int-or-string": True,
                },
                "anything": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "labels": {"type": "object", "maxProperties": 2, "additionalProperties": {"type": "string"}},
                "closed": {"type": "object"},
                "since": {"type": "string", "format": "date-time"},
                "match": {
                    "type": "object",
                    "oneOf": [{"required": ["exact"]}, {"required": ["prefix"]}],
                    "properties": {"exact": {"type": "string"}, "prefix": {"type": "string"}},
                },
                "probe": {
                    "type": "object",
                    "anyOf": [{"required": ["http"]}, {"required": ["exec"]}],
                    "not": {"required": ["http", "exec"]},
                    "properties": {"http": {"type": "string"}, "exec": {"type": "string"}},
                },
                "limits": {
                    "type": "object",
                    "allOf": [{"properties": {"max": {"minimum": 5}}}],
                    "properties": {"max": {"type": "integer"}},
                },
                "ports": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string"},
                            "protocol": {"type": "string", "default": "TCP"},
                        },
                    },
                },
                "tags": {
                    "type": "array",
                    "x-kubernetes-list-type": "set",
                    "items": {"type": "string"},
                },
                "template": {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {}},
                "retries": {
                    "type": "object",
                    "default": {},
                    "properties": {"attempts": {"type": "integer", "default": 2}},
                },
            },
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}


def an_object(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "x/v1", "kind": "X", "metadata": {"name": "n"}, "spec": {"hosts": ["a"], **spec}}


def errors(body: Any, schema: dict[str, Any] = SCHEMA) -> list[str]:
    return [error.message for error in check(body, schema).errors]


def unknown(body: Any) -> list[str]:
    return [error.message for error in check(body, SCHEMA).unknown]


@pytest.mark.parametrize(
    "spec",
    [
        {"mode": "FAST", "name": "abc", "weight": 0, "ratio": 1.5, "share": 0.5, "small": -(2**31)},
        {"weight": 100.0, "enabled": None, "either": 1},
        {"either": "50%", "anything": {"a": [None, {"b": 1}]}, "labels": {"a": "b"}},
        {
            "match": {"exact": "a"},
            "probe": {"http": "x"},
            "limits": {"max": 5},
            "since": "2024-01-01T00:00:00Z",
        },
        {"ports": [{"name": "a"}, {"name": "b"}], "tags": ["a", "b"]},
        {"template": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}},
    ],
)
def test_an_object_that_fits_is_accepted(spec: dict[str, Any]) -> None:
    report = check(an_object(**spec), SCHEMA)
    assert (report.errors, report.unknown) == ([], [])


@pytest.mark.parametrize(
    ("spec", "path", "wanted", "given"),
    [
        ({"weight": "string"}, "weight", "integer", "string"),
        ({"weight": 1.5}, "weight", "integer", "number"),
        ({"weight": True}, "weight", "integer", "boolean"),
        ({"hosts": "a"}, "hosts", "array", "string"),
        ({"hosts": {}}, "hosts", "array", "object"),
        ({"hosts": ["a", None]}, "hosts[1]", "string", "null"),
        ({"either": True}, "either", "integer,string", "boolean"),
        ({"labels": {"a": 1}}, "labels.a", "string", "integer"),
        ({"match": []}, "match", "object", "array"),
    ],
)
def test_a_wrong_type_is_refused_in_kubernetes_words(
    spec: dict[str, Any], path: str, wanted: str, given: str
) -> None:
    detail = f'spec.{path} in body must be of type {wanted}: "{given}"'
    assert errors(an_object(**spec)) == [f'spec.{path}: Invalid value: "{given}": {detail}']


@pytest.mark.parametrize(
    ("spec", "path", "shown", "detail"),
    [
        ({"name": "a"}, "name", '"a"', "should be at least 2 chars long"),
        ({"name": "AB"}, "name", '"AB"', "should match '^[a-z]+$'"),
        ({"weight": -1}, "weight", "-1", "should be greater than or equal to 0"),
        ({"weight": 101}, "weight", "101", "should be less than or equal to 100"),
        ({"ratio": 0}, "ratio", "0", "should be greater than 0"),
        ({"ratio": 0.7}, "ratio", "0.7", "should be a multiple of 0.5"),
        ({"share": 1}, "share", "1", "should be less than 1"),
        ({"small": 2**31}, "small", "2147483648", "must be of type int32: 2147483648"),
        ({"since": "now"}, "since", '"now"', 'must be of type date-time: "now"'),
        ({"hosts": []}, "hosts", "0", "should have at least 1 items"),
        ({"limits": {"max": 4}}, "limits.max", "4", "should be greater than or equal to 5"),
    ],
)
def test_a_wrong_value_is_refused_in_kubernetes_words(
    spec: dict[str, Any], path: str, shown: str, detail: str
) -> None:
    message = f"spec.{path}: Invalid value: {shown}: spec.{path} in body {detail}"
    assert errors(an_object(**spec)) == [message]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"mode": "MEDIUM"}, 'mode: Unsupported value: "MEDIUM": supported values: "FAST", "SLOW"'),
        ({"name": "abcde"}, "name: Too long: may not be more than 4 bytes"),
        ({"hosts": list("abcd")}, "hosts: Too many: 4: must have at most 3 items"),
        ({"labels": {"a": "", "b": "", "c": ""}}, "labels: Too many: 3: must have at most 2 items"),
        ({"ports": [{"name": "a"}, {"name": "a"}]}, 'ports[1]: Duplicate value: {"name":"a"}'),
        ({"tags": ["a", "b", "a", "a"]}, 'tags[2]: Duplicate value: "a"'),
        ({"ports": [{}]}, "ports[0].name: Required value"),
    ],
)
def test_other_violations_have_their_own_words(spec: dict[str, Any], message: str) -> None:
    assert errors(an_object(**spec)) == [f"spec.{message}"]


def test_a_missing_field_is_named() -> None:
    assert errors({"metadata": {}, "spec": {}}) == ["spec.hosts: Required value"]


def test_one_of_wants_exactly_one() -> None:
    where = 'spec.match: Invalid value: "": "spec.match" must validate one and only one schema (oneOf)'
    assert errors(an_object(match={}))[0] == f"{where}. Found none valid"
    assert errors(an_object(match={"exact": "a", "prefix": "b"})) == [f"{where}. Found 2 valid alternatives"]


def test_any_of_wants_at_least_one_and_not_forbids() -> None:
    assert errors(an_object(probe={}))[0].endswith('"spec.probe" must validate at least one schema (anyOf)')
    assert errors(an_object(probe={"http": "a", "exec": "b"})) == [
        'spec.probe: Invalid value: "": "spec.probe" must not validate the schema (not)'
    ]


def test_metadata_is_checked_although_the_schema_does_not_say_it() -> None:
    body = an_object()
    body["metadata"] = {"name": "n", "labels": {"a": 1}, "colour": "red", "creationTimestamp": None}
    (error,) = errors(body)
    assert error.endswith('metadata.labels.a in body must be of type string: "integer"')
    assert unknown(body) == ['unknown field "metadata.colour"']


def test_every_unknown_field_is_named() -> None:
    body = an_object(
        colour=1, ports=[{"name": "a", "nmae": 1}], closed={"x": 1}, anything={"x": 1}, template={"x": 1}
    )
    assert unknown({**body, "extra": 1}) == [
        'unknown field "spec.colour"',
        'unknown field "spec.ports[0].nmae"',
        'unknown field "spec.closed.x"',
        'unknown field "spec.template.x"',
        'unknown field "extra"',
    ]


def test_a_finding_carries_what_a_status_cause_needs() -> None:
    (error,) = check(an_object(hosts=[1]), SCHEMA).errors
    assert error.path == ("spec", "hosts", 0)
    assert (error.field, error.reason) == ("spec.hosts[0]", "FieldValueTypeInvalid")
    assert error.detail == 'Invalid value: "integer": spec.hosts[0] in body must be of type string: "integer"'


@pytest.mark.parametrize("body", [None, [], "x", 1])
def test_what_is_no_object_is_refused(body: Any) -> None:
    assert "must be of type object" in errors(body)[0]


def test_without_a_schema_everything_fits() -> None:
    body = an_object(x=[{"y": None}])
    assert (check(body, {}).errors, check(body, {}).unknown) == ([], [])
    assert prune(body, {}) == default(body, {}) == body


def test_a_pattern_that_only_re2_knows_is_not_enforced() -> None:
    assert errors({"a": "x"}, {"properties": {"a": {"type": "string", "pattern": r"\pN+("}}}) == []


def test_pruning_drops_what_is_unknown_and_nothing_else() -> None:
    body = an_object(colour=1, anything={"x": {"y": 1}}, ports=[{"name": "a", "nmae": 1}], closed={"x": 1})
    body["metadata"]["colour"] = "red"
    before = copy.deepcopy(body)
    assert prune(body, SCHEMA) == an_object(anything={"x": {"y": 1}}, ports=[{"name": "a"}], closed={})
    assert body == before


def test_defaults_fill_what_is_missing_also_inside_items_and_defaults() -> None:
    body = an_object(ports=[{"name": "a"}, {"name": "b", "protocol": "UDP"}])
    before = copy.deepcopy(body)
    assert default(body, SCHEMA)["spec"] == {
        "hosts": ["a"],
        "ports": [{"name": "a", "protocol": "TCP"}, {"name": "b", "protocol": "UDP"}],
        "retries": {"attempts": 2},
    }
    assert body == before


def test_a_default_is_not_shared_between_objects() -> None:
    first = default(an_object(), SCHEMA)
    first["spec"]["retries"]["attempts"] = 9
    assert default(an_object(), SCHEMA)["spec"]["retries"] == {"attempts": 2}


def test_a_null_goes_where_it_is_not_allowed_and_stays_where_it_is() -> None:
    body = an_object(name=None, enabled=None, retries=None, labels={"a": None}, anything={"x": None})
    assert default(body, SCHEMA)["spec"] == {
        "hosts": ["a"],
        "enabled": None,
        "labels": {},
        "anything": {"x": None},
        "retries": {"attempts": 2},
    }
