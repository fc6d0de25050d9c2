"""Whatever schemas, rules and guardrails say: a result comes back, never an exception, at a bounded cost."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gitmesh.model.resource import Resource, resource_from_body
from gitmesh.validate.cel import Budget, Failed, Problem, Variables, language
from gitmesh.validate.cel_bounds import cost_of, measure
from gitmesh.validate.cel_tree import read_tree
from gitmesh.validate.guardrail_rules import compile_guardrail
from gitmesh.validate.guardrails import check_guardrails
from gitmesh.validate.schemas.check import check_others
from gitmesh.validate.schemas.normal import as_self, normalized
from gitmesh.validate.schemas.shape import SchemaError, read_shape

CALM = settings(deadline=None)
NAMES = st.sampled_from(["a", "b", "namespace", "x-y", "hosts", "80", ""])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["a", "", "1s", "10.0.0.1", "2026-03-02", "YQ==", "\ud800", "é"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=12,
)
PARTS = """
self object self.a object.spec self.hosts oldSelf has(self.a) size(self) 'a' 1 true null [] {}
duration(self.a) self.all(x, x!=1) self.map(x,x+x) self.a.matches('^a') url(self.a) isIP(self.a)
quantity(self.a) self[0] '
+ == && || ! ? : ( ) [ ] . , in 1.5 self.?b
"""
EXPRESSIONS = st.lists(st.sampled_from(PARTS.split()), max_size=8).map(" ".join)
RULES = st.lists(
    st.fixed_dictionaries(
        {"rule": EXPRESSIONS},
        optional={
            "message": st.text(max_size=3),
            "messageExpression": EXPRESSIONS,
            "optionalOldSelf": st.just(True),
        },
    ),
    max_size=2,
)
LEAVES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "integer", "number", "boolean", "object", "array", "thing", 1]),
        "format": st.sampled_from(["int32", "date-time", "byte", "duration", "ipv4", "uri", "unknown", 1]),
        "nullable": st.booleans(),
        "default": VALUES,
        "enum": st.lists(SCALARS, max_size=2),
        "minimum": st.one_of(st.integers(-3, 3), st.text(max_size=1)),
        "maxLength": st.integers(-1, 3),
        "pattern": st.sampled_from(["^a$", "(", "\\d+", "(?=a)"]),
        "x-kubernetes-int-or-string": st.booleans(),
        "x-kubernetes-preserve-unknown-fields": st.booleans(),
        "x-kubernetes-embedded-resource": st.booleans(),
        "x-kubernetes-validations": RULES,
    },
)


def above(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    more = st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(NAMES, inner, max_size=3),
            "items": inner,
            "additionalProperties": st.one_of(inner, st.booleans()),
            "required": st.lists(NAMES, max_size=2),
            "oneOf": st.lists(inner, max_size=2),
            "allOf": st.lists(inner, max_size=2),
            "not": inner,
            "x-kubernetes-list-type": st.sampled_from(["set", "map", "atomic", "heap"]),
            "x-kubernetes-list-map-keys": st.lists(NAMES, max_size=2),
        },
    )
    return st.tuples(LEAVES, more).map(lambda pair: {**pair[0], **pair[1]})


SCHEMAS = st.recursive(LEAVES, above, max_leaves=8)


def definition(schema: Any) -> Resource:
    version = {"name": "v1", "served": True, "schema": {"openAPIV3Schema": schema}}
    spec = {"group": "example.com", "names": {"kind": "Lamp"}, "versions": [version]}
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return resource_from_body({**kind, "metadata": {"name": "lamps.example.com"}, "spec": spec})


def lamp(body: dict[str, Any]) -> Resource:
    head = {
        "apiVersion": "example.com/v1",
        "kind": "Lamp",
        "metadata": {"name": "hall", "namespace": "default"},
    }
    return resource_from_body({**body, **head})


@CALM
@given(SCHEMAS, st.dictionaries(NAMES, VALUES, max_size=3))
def test_no_schema_and_no_object_raises(schema: Any, body: dict[str, Any]):
    resources = {r.key: r for r in (definition(schema), lamp(body))}
    found = check_others(resources)
    assert found.unchecked == ()
    assert check_others(resources, previous=found) == found
    assert check_others(resources) == found


@CALM
@given(st.one_of(VALUES, st.dictionaries(st.sampled_from(["group", "names", "versions"]), VALUES)))
def test_no_definition_raises(spec: Any):
    resource = definition({})
    body = {**resource.body, "spec": spec}
    check_others({r.key: r for r in (resource_from_body(body), lamp({}))})


@CALM
@given(SCHEMAS, VALUES)
def test_filling_in_defaults_twice_changes_nothing_more(schema: Any, value: Any):
    try:
        shape = read_shape(schema)
    except SchemaError:
        return
    once = normalized(value, shape)
    assert normalized(once, shape) == once


@CALM
@given(EXPRESSIONS, VALUES)
def test_no_expression_raises_and_none_makes_more_than_its_bound(text: str, value: Any):
    program = language("self").compile(text)
    if isinstance(program, Problem):
        assert program.reason
        return
    variables = language("self").bind({"self": value})
    if isinstance(variables, Failed):
        return
    assert isinstance(variables, Variables)
    found = program.evaluate(variables, Budget())
    assert isinstance(found, bool | str | Failed)
    if isinstance(found, str):
        assert len(found) <= max(64, cost_of(program._tree, measure(value)).largest, measure(value).total)


@CALM
@given(
    st.fixed_dictionaries(
        {"rules": st.lists(st.fixed_dictionaries({"expression": EXPRESSIONS}), min_size=1, max_size=2)},
        optional={
            "scope": st.sampled_from(["resource", "set", "plan"]),
            "match": st.just({"kinds": ["*"]}),
            "severity": st.sampled_from(["error", "info", "loud"]),
        },
    ),
    st.dictionaries(NAMES, VALUES, max_size=3),
)
def test_no_guardrail_raises(spec: Any, body: dict[str, Any]):
    head = {
        "apiVersion": "gitmesh.dev/v1alpha1",
        "kind": "Guardrail",
        "metadata": {"name": "g", "namespace": "d"},
    }
    guardrail = resource_from_body({**head, "spec": spec})
    compile_guardrail(guardrail)
    others = {r.key: r for r in (lamp(body),)}
    found = check_guardrails({guardrail.key: guardrail}, others)
    assert check_guardrails({guardrail.key: guardrail}, others, previous=found) == found


@CALM
@given(st.binary(max_size=60))
def test_a_tree_is_read_or_refused(message: bytes):
    with suppress(ValueError, RecursionError):
        cost_of(read_tree(message), measure({}))


@CALM
@given(SCHEMAS, VALUES)
def test_rules_see_some_value(schema: Any, value: Any):
    try:
        shape = read_shape(schema)
    except SchemaError:
        return
    as_self(normalized(value, shape), shape)
