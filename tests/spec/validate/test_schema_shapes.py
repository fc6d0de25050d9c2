"""Objects of other kinds are held against the schema of their CustomResourceDefinition."""

from __future__ import annotations

import pytest
from fakes.examined import findings, parsed
from fakes.lamps import crd, crd_of_spec, judged, lamp, said

from gitmesh.model.resource import resource_from_body
from gitmesh.validate.schemas.check import check_others
from gitmesh.validate.schemas.definitions import read_schemas
from gitmesh.validate.schemas.normal import as_self, normalized, spelling
from gitmesh.validate.schemas.shape import read_shape

LAMP = crd_of_spec("""
    type: object
    required: [room]
    properties:
      room: {type: string, minLength: 2, maxLength: 8, pattern: "^[a-z]+$"}
      watt: {type: integer, format: int32, minimum: 1, maximum: 60}
      share: {type: number, minimum: 0, exclusiveMinimum: true}
      dimmed: {type: boolean}
      colour: {type: string, enum: [white, red, amber]}
      port: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}
      note: {type: string, nullable: true}
      kind: {type: string, nullable: true, enum: [spot, flood]}
      since: {type: string, format: date-time}
      address: {type: string, format: ipv4}
      labels: {type: object, additionalProperties: {type: string}, maxProperties: 2}
      anything: {type: object, x-kubernetes-preserve-unknown-fields: true}
      bulbs: {type: array, maxItems: 2, items: {type: object, properties: {watt: {type: integer}}}}
      template:
        type: object
        x-kubernetes-embedded-resource: true
        x-kubernetes-preserve-unknown-fields: true
      source:
        type: object
        nullable: true
        properties: {battery: {type: string}, mains: {type: string}, solar: {type: string}}
        oneOf:
          - not: {anyOf: [{required: [battery]}, {required: [mains]}, {required: [solar]}]}
          - required: [battery]
          - required: [mains]
          - required: [solar]
      switch:
        type: object
        properties: {wall: {type: string}, remote: {type: string}}
        oneOf: [{required: [wall]}, {required: [remote]}]
""")


@pytest.mark.parametrize(
    "spec",
    [
        "{room: hall}",
        "{room: hall, watt: 60, share: 0.5, dimmed: true, colour: red}",
        "{room: hall, port: 80}",
        "{room: hall, port: http}",
        "{room: hall, note: null, kind: null, source: null}",
        "{room: hall, watt: null, bulbs: null}",  # null is left out where it is not allowed
        "{room: hall, since: 2026-03-02T12:00:00.5+01:00, address: 10.0.0.1}",
        "{room: hall, labels: {any: text, name: too}}",
        "{room: hall, anything: {goes: [1, {here: null}]}}",
        "{room: hall, template: {apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {}}}",
        "{room: hall, source: {}, switch: {wall: left}}",
        "{room: hall, source: {solar: roof}}",
        "{room: hall, watt: 4.0e+1}",  # a whole number, however it is written
    ],
)
def test_what_the_schema_allows_is_fine(spec: str):
    assert said(LAMP, lamp(spec)) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{room: hall, wat: 40}", "GM501 unknown field wat in spec; did you mean watt?"),
        ("{room: hall, bulbs: [{volt: 1}]}", "GM501 unknown field volt in spec.bulbs[0]; known fields: watt"),
        (
            "{room: hall, watt: '40'}",
            'GM502 spec.watt must be a whole number, found the text "40"; remove the',
        ),
        ("{room: hall, watt: 1.5}", "GM502 spec.watt must be a whole number, found the number 1.5"),
        (
            "{room: hall, port: true}",
            "GM502 spec.port must be text or a whole number, found the boolean true",
        ),
        ("{room: hall, labels: {a: 1}}", "GM502 spec.labels.a must be text, found the number 1; quote it"),
        (
            "{room: hall, labels: {'80': 1}}",
            "GM502 spec.labels.80 must be text, found the number 1; quote it",
        ),
        ("{room: hall, bulbs: {watt: 1}}", "GM502 spec.bulbs must be a list, found a mapping; begin each"),
        ("{room: hall, bulbs: [null]}", "GM502 spec.bulbs[0] must be a mapping, found nothing"),
        ("{watt: 40}", "GM503 room is missing in spec"),
        ("{rooom: hall}", "GM503 room is missing in spec; did you mean room where rooom is written?"),
        ("{room: hall, template: {kind: Pod}}", "GM503 apiVersion is missing in spec.template"),
        (
            "{room: hall, colour: redd}",
            'GM504 the text "redd" is not a value of spec.colour; did you mean red?',
        ),
        (
            "{room: hall, kind: x}",
            'GM504 the text "x" is not a value of spec.kind; one of: spot, flood, null',
        ),
        (
            "{room: hall, source: {mains: a, battery: b}}",
            "GM505 mains and battery exclude each other in spec.s",
        ),
        ("{room: hall, switch: {}}", "GM505 spec.switch needs one of wall, remote"),
        ("{room: hall, watt: 61}", "GM506 spec.watt must be at most 60, found the number 61"),
        ("{room: hall, watt: 0}", "GM506 spec.watt must be at least 1, found the number 0"),
        ("{room: hall, share: 0}", "GM506 spec.share must be more than 0, found the number 0"),
        ("{room: a}", "GM506 spec.room must have at least 2 characters, found 1"),
        ("{room: Hall}", 'GM506 spec.room must match ^[a-z]+$, found the text "Hall"'),
        ("{room: hall, bulbs: [{}, {}, {}]}", "GM506 spec.bulbs must have at most 2 elements, found 3"),
        (
            "{room: hall, labels: {a: '', b: '', c: ''}}",
            "GM506 spec.labels must have at most 2 fields, found 3",
        ),
        (
            "{room: hall, since: 2026-13-02T12:00:00Z}",
            "GM506 spec.since must be of the form date-time, found",
        ),
        ("{room: hall, address: '::1'}", "GM506 spec.address must be of the form ipv4, found"),
    ],
)
def test_what_it_does_not_allow_is_said_in_words(spec: str, expected: str):
    found = said(LAMP, lamp(spec))
    assert any(text.startswith(expected) for text in found), found
    assert len({text[:5] for text in found}) <= 2


def test_all_that_is_wrong_with_an_object_is_found_at_once_at_its_place():
    text = lamp("\n  watt: x\n  colour: rde\n  bulbs:\n    - volt: 1")
    found = [f"{d.at.line}:{d.at.column} {d.code}" for d in judged(LAMP, text) if d.at]
    assert found == ["4:1 GM503", "5:9 GM502", "6:11 GM504", "8:7 GM501"]


def test_fields_of_the_object_itself_are_checked_and_what_a_server_sets_is_not():
    text = lamp("{room: hall}") + "spek: {}\nstatus: {anything: 1}\n"
    assert said(LAMP, text) == [
        "GM501 unknown field spek in the object; did you mean spec?",
    ]
    named = crd("type: object\nproperties: {metadata: {type: object, properties: {name: {maxLength: 3}}}}")
    (found,) = said(named, lamp("{}").replace("spec: {}\n", ""))
    assert found == "GM506 metadata.name must have at most 3 characters, found 4"


def test_a_default_is_filled_in_before_anything_is_judged():
    shape = read_shape(
        {
            "type": "object",
            "properties": {
                "a": {"type": "string", "default": "x"},
                "b": {
                    "type": "object",
                    "default": {},
                    "properties": {"c": {"type": "integer", "default": 1}},
                },
                "n": {"type": "string", "nullable": True, "default": "y"},
                "l": {"type": "array", "items": {"type": "object", "properties": {"d": {"default": 2}}}},
            },
        }
    )
    assert normalized({}, shape) == {"a": "x", "b": {"c": 1}, "n": "y"}
    assert normalized({"a": None, "n": None, "l": [{}, None]}, shape) == {
        "a": "x",
        "b": {"c": 1},
        "n": None,
        "l": [{"d": 2}, None],
    }


def test_rules_see_names_that_cel_can_spell_and_numbers_of_the_declared_type():
    assert [spelling(name) for name in ("namespace", "a-b", "a.b/c", "a__b", "ok_1", "é", "1a")] == [
        "__namespace__",
        "a__dash__b",
        "a__dot__b__slash__c",
        "a__underscores__b",
        "ok_1",
        "",
        "",
    ]
    shape = read_shape({"properties": {"n": {"type": "number"}, "i": {"type": "integer"}, "if": {}}})
    seen = as_self({"n": 1, "i": 2.0, "if": True, "unknown": 3}, shape)
    assert seen == {"n": 1.0, "i": 2, "__if__": True}
    assert [type(value) for value in seen.values()] == [float, int, bool]


def test_versions_are_those_of_the_definition():
    both = (
        LAMP
        + """\
    - {name: v1beta1, served: false, schema: {openAPIV3Schema: {type: object}}}
    - name: v1alpha1
      served: true
      deprecated: true
      deprecationWarning: use v1
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
    )
    assert said(both, lamp("{}", "v2")) == [
        "GM511 Lamp has no version v2 in example.com; served versions: v1, v1alpha1",
    ]
    assert said(both, lamp("{}", "v1beta1"))[0].startswith("GM511 Lamp has no version v1beta1")
    assert said(both, lamp("{}", "v1alpha1")) == ["GM513 example.com/v1alpha1 is deprecated for Lamp: use v1"]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("type: thing", "type is one of object"),
        ("[a]", "a schema must be a mapping"),
        ("type: object\nproperties: []", "properties must be a mapping"),
        ("type: object\nproperties: {spec: {type: string, pattern: '(a'}}", "the schema is not valid"),
        ("type: object\nx-kubernetes-validations: [{}]", "needs a rule"),
        ("type: object\noneOf: {}", "oneOf must be a list"),
        ("type: object\nproperties: {spec: {type: string, minLength: a}}", "the schema is not valid"),
    ],
)
def test_a_definition_that_cannot_be_used_is_a_warning_that_says_why(schema: str, words: str):
    (found,) = judged(crd(schema), lamp("{}"))
    assert (found.code, found.severity) == ("GM512", "warning")
    assert words in found.message
    assert found.at is not None
    assert found.at.file == "crd.yaml"


@pytest.mark.parametrize(
    "definition",
    [
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\n",
        LAMP.replace("k8s.io/v1", "k8s.io/v1beta1"),
        LAMP.replace("names: {kind: Lamp, plural: lamps}", "names: []"),
        LAMP.partition("  versions:")[0] + "  versions: {}\n",
        LAMP.partition("  versions:")[0] + "  versions: [1]\n",
    ],
)
def test_so_is_one_that_does_not_say_what_it_defines(definition: str):
    assert [d.code for d in judged(definition)] == ["GM512"]


def test_a_definition_that_nothing_needs_is_not_looked_into():
    assert judged(crd("type: thing")) == []


def test_of_which_kinds_no_schema_is_known_is_said_once_for_each():
    text = "---\n".join(
        [
            lamp("{a: 1}"),
            lamp("{}").replace("hall", "attic"),
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n",
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n",
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\n",
        ]
    )
    found = check_others(parsed(text).others).unchecked
    assert [(d.code, d.severity, str(d.at)) for d in found] == [
        ("GM500", "info", "a.yaml:11:1"),
        ("GM500", "info", "a.yaml:1:1"),
        ("GM500", "info", "a.yaml:23:1"),
    ]
    assert "Deployment, Service" in found[0].message
    assert "--crds" in found[1].hint


def test_a_schema_that_is_given_goes_before_one_in_the_files():
    others = parsed({"crd.yaml": LAMP, "lamp.yaml": lamp("{room: hall, wat: 40}")}).others
    loose = parsed(crd("type: object\nx-kubernetes-preserve-unknown-fields: true")).others
    assert [d.code for d in check_others(others).findings] == ["GM501"]
    assert check_others(others, read_schemas(loose.values())[0]).findings == ()


def test_what_was_said_about_an_equal_object_is_taken_over_until_its_schema_changes():
    first = parsed({"crd.yaml": LAMP, "lamp.yaml": lamp("{wat: 40}")})
    again = parsed({"crd.yaml": LAMP, "lamp.yaml": lamp("{wat: 40}"), "b.yaml": "a: 1"}, previous=first)
    once = check_others(first.others)
    twice = check_others(again.others, previous=once)
    (key,) = once.judged
    assert twice.judged[key] is once.judged[key]
    loose = {"crd.yaml": crd("type: object\nx-kubernetes-preserve-unknown-fields: true")}
    changed = parsed({**loose, "lamp.yaml": lamp("{wat: 40}")}, previous=first)
    assert check_others(changed.others, previous=twice).findings == ()


def test_a_body_that_is_no_json_is_not_passed_over_in_silence():
    schemas, _ = read_schemas(parsed(LAMP).others.values())
    body = {
        "apiVersion": "example.com/v1",
        "kind": "Lamp",
        "metadata": {"name": "a"},
        "spec": {"room": "\ud800"},
    }
    resource = resource_from_body(body)
    (found,) = check_others({resource.key: resource}, schemas).findings
    assert found.code == "GM510"


def test_kinds_of_our_own_and_traffic_kinds_have_their_own_checks():
    text = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec: {hosts: [a]}\n"
    )
    assert not [d for d in findings(text) if d.code.startswith("GM5")]
