"""The rules of a CustomResourceDefinition are evaluated as an API server does for a new object."""

from __future__ import annotations

import pytest
from fakes.lamps import crd, crd_of_spec, judged, lamp, said


def ruled(rule: str, more: str = "", properties: str = "") -> str:
    """A definition whose spec has one rule."""
    return crd_of_spec(f"""
        type: object
        properties:
          fade: {{type: string}}
          watt: {{type: integer}}
          share: {{type: number, default: 0.5}}
          namespace: {{type: string}}
          on-since: {{type: string, format: date-time}}
          hosts: {{type: array, items: {{type: string}}}}
          labels: {{type: object, additionalProperties: {{type: string}}}}
          {properties or "extra: {type: string}"}
        x-kubernetes-validations:
          - rule: {rule!r}
            {more or "message: the rule was broken"}
    """)


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("!has(self.fade) || duration(self.fade) >= duration('1ms')", "{fade: 1h2m3s}", "{fade: 0s}"),
        ("size(self.hosts) < 2", "{hosts: [a]}", "{hosts: [a, b]}"),
        ("has(self.watt) != has(self.fade)", "{watt: 1}", "{}"),
        ("self.hosts.all(h, h.matches('^[a-z]+$'))", "{hosts: [a, b]}", "{hosts: [a, B]}"),
        ("self.labels.all(k, k.size() < 3)", "{labels: {ab: x}}", "{labels: {abc: x}}"),
        ("self.share + 0.5 <= 1.0", "{share: 0}", "{share: 1}"),  # a whole number in a field for numbers
        ("self.share == 0.5", "{}", "{share: 0.4}"),  # the default
        ("self.__namespace__ != 'kube-system'", "{namespace: a}", "{namespace: kube-system}"),
        ("self.hosts.exists_one(h, h == 'a')", "{hosts: [a, b]}", "{hosts: [a, a]}"),
        ("!has(self.fade) || isURL(self.fade) && url(self.fade).getScheme() == 'https'", "{fade: 'https://a'}",
         "{fade: 'http://a'}"),
        ("self.hosts.all(h, !isIP(h))", "{hosts: [a.b]}", "{hosts: ['::1']}"),
        ("self.hosts.isSorted()", "{hosts: [a, b]}", "{hosts: [b, a]}"),
        ("self.fade.find('[0-9]+') == '12'", "{fade: a12b}", "{fade: a13b}"),
        ("self.fade.split('/')[0].lowerAscii().substring(1) == 'b'", "{fade: AB/c}", "{fade: ABC/c}"),
    ],
)  # fmt: skip
def test_a_rule_holds_or_its_message_is_said_at_its_place(rule: str, good: str, bad: str):
    assert said(ruled(rule), lamp(good)) == []
    (found,) = judged(ruled(rule), lamp(bad))
    assert (found.code, found.message) == ("GM508", "spec: the rule was broken")
    assert str(found.at) == "lamp.yaml:4:7"


def test_a_rule_about_a_change_is_left_out_unless_it_says_that_there_may_be_nothing_before():
    assert said(ruled("self == oldSelf"), lamp("{watt: 1}")) == []
    rule = "!oldSelf.hasValue() && self.watt == 1"
    assert said(ruled(rule, "optionalOldSelf: true"), lamp("{watt: 1}")) == []
    assert said(ruled(rule, "optionalOldSelf: true"), lamp("{watt: 2}")) != []


def test_a_message_can_be_computed_and_point_to_a_field():
    more = """messageExpression: "'at most 5, not ' + string(self.watt)"\n            fieldPath: .watt"""
    (found,) = judged(ruled("self.watt <= 5", more), lamp("{fade: a, watt: 6}"))
    assert found.message == "spec: at most 5, not 6"
    assert found.path == ("spec", "watt")
    wrong = """messageExpression: "self.nothing"\n            message: too much"""
    assert said(ruled("self.watt <= 5", wrong), lamp("{watt: 6}")) == ["GM508 spec: too much"]
    assert said(ruled("self.watt <= 5", "reason: x"), lamp("{watt: 6}")) == [
        "GM508 spec: breaks the rule self.watt <= 5"
    ]


def test_what_cannot_be_evaluated_is_an_error_because_a_server_refuses_it_too():
    (found,) = judged(ruled("self.watt > 1"), lamp("{}"))
    assert (found.code, found.severity) == ("GM509", "error")
    assert "there is no field watt, in the rule self.watt > 1" in found.message
    assert "it says: the rule was broken" in found.hint


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("self.fade.glows()", "undeclared reference to 'glows'"),
        ("self.fade ==", "mismatched input"),
        ("x" * 10_001, "more than 10000 characters"),
        (
            "['aaaaaaaaaa']" + ".map(x, x + x)" * 24 + ".size() > 0",
            "it could take too long, or too much memory",
        ),
    ],
)
def test_what_is_not_known_here_or_costs_too_much_is_a_warning_and_not_passed_over(rule: str, words: str):
    (found,) = judged(ruled(rule), lamp("{fade: a}"))
    assert (found.code, found.severity) == ("GM510", "warning")
    assert words in found.message


def test_a_rule_that_reads_a_date_fails_only_here():
    (found,) = judged(ruled("self.on__dash__since < timestamp('2030-01-01T00:00:00Z')"),
                      lamp("{on-since: 2026-03-02T12:00:00Z}"))  # fmt: skip
    assert found.code == "GM510"


def test_rules_stand_at_every_level_and_are_asked_where_there_is_a_value():
    deep = crd("""
        type: object
        x-kubernetes-validations: [{rule: "self.metadata.name != 'attic'", message: no attic}]
        properties:
          spec:
            type: object
            properties:
              rooms:
                type: object
                additionalProperties:
                  type: array
                  items:
                    type: object
                    nullable: true
                    properties: {low: {type: integer}, high: {type: integer}}
                    x-kubernetes-validations: [{rule: self.low <= self.high, message: low is above high}]
    """)
    spec = "{rooms: {hall: [{low: 1, high: 2}, null, {low: 3, high: 2}], attic: [{low: 2, high: 1}]}}"
    assert said(deep, lamp(spec)) == [
        "GM508 spec.rooms.hall[2]: low is above high",
        "GM508 spec.rooms.attic[0]: low is above high",
    ]
    assert said(deep, lamp("{}").replace("hall", "attic")) == ["GM508 the object: no attic"]


def test_nothing_is_evaluated_around_what_has_the_wrong_shape():
    schema = ruled("self.watt <= 5")
    assert [text[:5] for text in said(schema, lamp("{watt: x}"))] == ["GM502"]
    assert [text[:5] for text in said(schema, lamp("{watt: 6, wat: 1}"))] == ["GM508", "GM501"]


LISTS = crd_of_spec("""
    type: object
    properties:
      rooms: {type: array, x-kubernetes-list-type: set, items: {type: string}}
      ports:
        type: array
        x-kubernetes-list-type: map
        x-kubernetes-list-map-keys: [number, protocol]
        items:
          type: object
          required: [number]
          properties: {number: {type: integer}, protocol: {type: string, default: TCP}, name: {type: string}}
""")


def test_elements_of_a_set_and_keys_of_a_map_are_there_once():
    assert said(LISTS, lamp("{rooms: [a, b], ports: [{number: 1}, {number: 1, protocol: UDP}]}")) == []
    assert said(LISTS, lamp("{rooms: [a, b, a]}")) == [
        "GM507 the element is in spec.rooms a second time; it is first at index 0; remove one of them"
    ]
    (found,) = judged(LISTS, lamp("{ports: [{number: 1, name: a}, {number: 1, protocol: TCP, name: b}]}"))
    assert found.message.startswith("number 1, protocol TCP is in spec.ports a second time")
    assert found.path == ("spec", "ports", 1)


def test_evaluations_of_one_object_are_bounded():
    each = crd_of_spec("""
        type: object
        properties:
          hosts: {type: array, items: {type: string, x-kubernetes-validations: [{rule: self != ''}]}}
    """)
    (found,) = judged(each, lamp(f"{{hosts: [{', '.join(['a'] * 5_001)}]}}"))
    assert found.code == "GM510"
    assert "more than 5000 evaluations" in found.message
