"""Guardrails: what must hold for resources, for all of them together, and for plans."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fakes.builders import (
    SOURCE,
    a_destination_rule,
    a_resource,
    a_service_entry,
    a_set,
    a_virtual_service,
    owned,
)
from fakes.examined import findings, parsed, told

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.source import TrafficSourceSpec
from gitmesh.plan.planner import PlanInput, make_plan
from gitmesh.validate.guardrail_rules import compiled_guardrails
from gitmesh.validate.guardrails import check_guardrails
from gitmesh.validate.guardrails_plan import as_json, guarded, plan_guardrails

SHIPPED = (Path(__file__).parents[3] / "policies" / "guardrails.yaml").read_text()


def guardrail(rule: str, more: str = "", name: str = "ours") -> str:
    head = f"apiVersion: gitmesh.dev/v1alpha1\nkind: Guardrail\nmetadata: {{name: {name}}}\nspec:\n"
    lines = "".join(f"  {line}\n" for line in more.splitlines())
    return f"{head}{lines}  rules:\n    - {rule}\n"


def service(name: str = "reviews", spec: str = "", namespace: str = "default") -> str:
    fields = spec or f"{{hosts: [{name}], http: [{{route: [{{destination: {{host: {name}}}}}]}}]}}"
    return (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        f"metadata: {{name: {name}, namespace: {namespace}}}\nspec: {fields}\n"
    )


def found(*texts: str) -> list[Diagnostic]:
    return [d for d in findings("---\n".join(texts)) if d.code in ("GM310", "GM311", "GM312")]


def test_what_holds_is_not_mentioned():
    rule = "expression: object.spec.hosts.all(h, !h.startsWith('*')) && object.kind == 'VirtualService'"
    assert found(guardrail(rule), service()) == []


def test_what_does_not_hold_is_an_error_at_the_field_that_the_rule_names():
    rule = "{expression: \"!('reviews' in object.spec.hosts)\", message: not that, field: 'spec.hosts[0]'}"
    (one,) = found(guardrail(rule), service())
    assert (one.code, one.severity, one.message) == ("GM311", "error", "not that")
    assert str(one.at) == "a.yaml:11:16"
    assert "the guardrail ours wants: !('reviews' in" in one.hint


@pytest.mark.parametrize("severity", ["error", "warning", "info"])
def test_a_guardrail_says_how_severe_it_is(severity: str):
    (one,) = found(guardrail("expression: 'false'", f"severity: {severity}"), service())
    assert one.severity == severity
    assert one.message == "does not hold: false"


def test_a_message_can_be_computed():
    rule = "{expression: 'false', message: plain, messageExpression: '\"not \" + object.metadata.name'}"
    assert [d.message for d in found(guardrail(rule), service())] == ["not reviews"]
    broken = "{expression: 'false', message: plain, messageExpression: object.nothing}"
    assert [d.message for d in found(guardrail(broken), service())] == ["plain"]


@pytest.mark.parametrize(
    ("match", "matched"),
    [
        ("", ["reviews", "ratings", "way-out"]),
        ("match: {kinds: [VirtualService]}", ["reviews", "ratings"]),
        ("match: {kinds: ['*Entry']}", ["way-out"]),
        ("match: {namespaces: ['team-?']}", ["ratings"]),
        ("match: {names: ['r*'], namespaces: [default]}", ["reviews"]),
        ("match: {kinds: [Deployment]}", ["app"]),
        ("match: {kinds: [RolloutPolicy]}", []),
    ],
)
def test_a_guardrail_is_for_what_it_matches(match: str, matched: list[str]):
    entry = (
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: way-out}\n"
        "spec: {hosts: [a.example.com], ports: [{number: 443, name: tls, protocol: TLS}]}\n"
    )
    app = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app}\n"
    objects = (service(), service("ratings", namespace="team-a"), entry, app)
    said = found(guardrail("expression: 'false'", match), *objects)
    assert sorted(d.key.name for d in said if d.key) == sorted(matched)


def test_a_set_is_all_that_matches_in_one_list_and_the_guardrail_is_where_it_is_said():
    few = guardrail("expression: size(resources) < 2", "scope: set\nmatch: {kinds: [VirtualService]}")
    assert found(few, service()) == []
    (one,) = found(few, service(), service("ratings"))
    assert (one.code, str(one.at)) == ("GM311", "a.yaml:8:19")


@pytest.mark.parametrize(
    ("rule", "more", "words"),
    [
        (
            "expression: objekt == 1",
            "",
            "undeclared reference to 'objekt', at character 1; did you mean ob",
        ),
        ("expression: object.spec ==", "", "mismatched input '<EOF>', at character"),
        ("expression: size(object)", "", "it yields int, not true or false"),
        ("{expression: 'true', messageExpression: '1'}", "", "it yields int, not text"),
        ("expression: object.spec == 1", "scope: set", "the scope set knows the variable resources"),
        ("expression: changes.all(c, d)", "scope: plan", "undeclared reference to 'd'"),
        ("expression: |\n        object.kind ==\n        'a' +", "", "of line 3"),
    ],
)
def test_an_expression_that_cannot_be_used_is_an_error_at_the_expression(rule: str, more: str, words: str):
    (one,) = found(guardrail(rule, more), service())
    assert (one.code, one.severity) == ("GM310", "error")
    assert words in f"{one.message}; {one.hint}"
    assert one.path[:3] == ("spec", "rules", 0)
    assert one.at is not None
    assert one.at.line == 6 + len(more.splitlines())


def test_other_rules_of_the_guardrail_are_still_asked():
    text = guardrail("expression: objekt == 1\n    - expression: 'false'")
    assert [d.code for d in found(text, service())] == ["GM310", "GM311"]


def test_what_cannot_be_evaluated_is_said_with_the_severity_of_the_guardrail():
    rule = "expression: object.spec.tcp.size() > 0"
    (one,) = found(guardrail(rule), service())
    assert (one.code, one.severity) == ("GM312", "error")
    assert "there is no field tcp" in one.message
    assert "has(...)" in one.hint
    (mild,) = found(guardrail(rule, "severity: info"), service())
    assert mild.severity == "info"


def test_that_it_fails_for_an_object_of_the_wrong_shape_is_no_news():
    text = guardrail("expression: object.spec.http.size() > 1")
    assert [d.code for d in found(text, service(spec="{hosts: [a], http: [{timeout: x}]}"))] == ["GM311"]
    assert found(text, service(spec="{hosts: a}")) == []


def test_cve_2024_32476_a_guardrail_that_would_take_the_memory_or_run_for_ever_is_not_evaluated():
    bomb = "object.spec.hosts" + ".map(x, x + x)" * 25 + ".size() > 0"
    (one,) = found(guardrail(f"expression: {bomb}"), service())
    assert "too long, or too much memory" in one.message


@pytest.mark.parametrize(
    ("spec", "code", "words"),
    [
        ("{}", "GM103", "rules is missing"),
        ("{rules: []}", "GM106", "at least 1"),
        ("{rules: [{expresion: 'true'}]}", "GM101", "did you mean expression?"),
        ("{rules: [{expression: 'true'}], scope: object}", "GM104", "resource, set, plan"),
        ("{rules: [{expression: 'true'}], severity: fatal}", "GM104", "error, warning, info"),
        ("{rules: [{expression: true}]}", "GM102", "must be text"),
        ("{rules: [{expression: 'true'}], match: {kind: [a]}}", "GM101", "did you mean kinds?"),
    ],
)
def test_a_guardrail_of_the_wrong_shape_says_what_is_wrong(spec: str, code: str, words: str):
    text = f"apiVersion: gitmesh.dev/v1alpha1\nkind: Guardrail\nmetadata: {{name: a}}\nspec: {spec}\n"
    said = {d.code: f"{d.message}; {d.hint}" for d in findings(text)}
    assert words in said[code]


def test_what_was_said_is_taken_over_until_the_resource_or_a_guardrail_changes():
    texts = {"g.yaml": guardrail("expression: 'false'"), "a.yaml": service(), "b.yaml": service("ratings")}
    first = parsed(texts)
    once = check_guardrails(first.resources, first.others)
    second = parsed({**texts, "b.yaml": service("ratings", "{hosts: [x]}")}, previous=first)
    twice = check_guardrails(second.resources, second.others, previous=once)
    kept, changed = (key for key in once.asked if key.kind == "VirtualService")
    assert twice.asked[kept] is once.asked[kept]
    assert twice.asked[changed] is not once.asked[changed]
    third = parsed({**texts, "g.yaml": guardrail("expression: 'true'")}, previous=second)
    assert check_guardrails(third.resources, third.others, previous=twice).findings == ()
    none = parsed({"a.yaml": service()}, previous=third)
    assert check_guardrails(none.resources, none.others, previous=twice).findings == ()


# Plans ---------------------------------------------------------------------------------------------------


def a_gateway(name: str = "entry") -> Any:
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["a.example.com"]}
    return a_resource("Gateway", name, {"selector": {"istio": "ingressgateway"}, "servers": [server]})


def a_plan(live: Any, effective: Any) -> Any:
    return make_plan(
        PlanInput(
            source=SOURCE,
            revision="main@2222222",
            effective=effective,
            live=live,
            inventory=frozenset(),
            previous_revision="main@1111111",
            spec=TrafficSourceSpec(url="u"),
            settle_seconds=2,
        )
    )


LIVE = a_set(
    owned(a_destination_rule("reviews: v1, v2")),
    owned(a_virtual_service("reviews: v1 100, v2")),
    owned(a_gateway()),
)
KEPT = a_set(a_destination_rule("reviews: v1, v2"), a_virtual_service("reviews: v1 75, v2 25"), a_gateway())
WITHOUT_GATEWAY = a_set(
    a_destination_rule("reviews: v1, v2"),
    a_virtual_service("reviews: v1 75, v2 25"),
    a_service_entry("x", "x.com"),
)


def asked(plan: Any, *texts: str) -> Any:
    return guarded(plan, plan_guardrails(parsed("---\n".join(texts)).resources))


def test_an_error_refuses_the_whole_plan():
    plan, notes = asked(a_plan(LIVE, WITHOUT_GATEWAY), SHIPPED)
    assert plan.is_empty
    (refusal,) = plan.refusals
    assert refusal.key is None
    assert refusal.reason == "a commit may not delete a Gateway: default/entry"
    assert "the guardrail gateways-stay wants: changes.all" in refusal.hint
    assert notes == ()


def test_a_plan_that_keeps_it_is_as_it_was():
    plan = a_plan(LIVE, KEPT)
    assert not plan.is_empty
    assert asked(plan, SHIPPED) == (plan, ())


def test_what_is_no_error_is_a_note_and_refuses_nothing():
    plan = a_plan(LIVE, WITHOUT_GATEWAY)
    text = guardrail(
        "{expression: size(changes) < 2, message: a large commit}", "scope: plan\nseverity: warning"
    )
    guarded_plan, (note,) = asked(plan, text)
    assert guarded_plan is plan
    assert (note.severity, note.message) == (
        "warning",
        "a large commit; the guardrail ours wants: size(changes) < 2",
    )


def test_a_guardrail_that_cannot_be_evaluated_refuses_the_plan_too():
    text = guardrail("expression: changes.all(c, c.after.spec.hosts.size() < 5)", "scope: plan")
    plan, _ = asked(a_plan(LIVE, WITHOUT_GATEWAY), text)
    assert plan.is_empty
    assert "could not be evaluated: there is no field" in plan.refusals[0].reason


def test_a_plan_without_a_matching_change_asks_nothing():
    text = guardrail("expression: 'false'", "scope: plan\nmatch: {kinds: [Sidecar]}")
    plan = a_plan(LIVE, KEPT)
    assert asked(plan, text) == (plan, ())
    assert asked(a_plan(LIVE, LIVE), guardrail("expression: 'false'", "scope: plan"))[0].refusals == ()


def test_a_change_shows_operation_object_before_after_and_fields():
    changes = {change.key.kind: as_json(change) for change in a_plan(LIVE, WITHOUT_GATEWAY).changes()}
    assert {kind: change["operation"] for kind, change in changes.items()} == {
        "VirtualService": "update",
        "Gateway": "delete",
        "ServiceEntry": "create",
    }
    service_change = changes["VirtualService"]
    assert (service_change["namespace"], service_change["name"]) == ("default", "reviews")
    assert service_change["group"] == "networking.istio.io"
    paths = {field["path"]: (field.get("old"), field.get("new")) for field in service_change["fields"]}
    assert paths["spec.http[0].route[0].weight"] == (100, 75)
    assert paths["spec.http[0].route[1].weight"] == (None, 25)
    assert "before" not in changes["ServiceEntry"]
    assert "after" not in changes["Gateway"]
    assert changes["Gateway"]["before"]["kind"] == "Gateway"


def test_every_guardrail_that_the_documents_show_can_be_asked():
    text = (Path(__file__).parents[3] / "docs" / "guardrails.md").read_text()
    shown = re.findall(r"^```yaml\n(.*?)^```$", text, re.S | re.M)
    assert len(shown) >= 2
    compiled = compiled_guardrails(parsed("---\n".join(shown)).resources)
    assert len(compiled) == len(shown)
    assert [problem for one in compiled for problem in one.problems] == []
    plan, notes = guarded(a_plan(LIVE, WITHOUT_GATEWAY), [one for one in compiled if one.scope == "plan"])
    assert (plan.refusals, notes) == ((), ())


# The ones that ship -------------------------------------------------------------------------------------


def test_what_ships_is_quiet_about_what_is_right():
    assert told({"g.yaml": SHIPPED, "a.yaml": service()}) == []


@pytest.mark.parametrize(
    ("spec", "message", "severity"),
    [
        ("{hosts: [a], http: [{match: [{uri: {prefix: /a}}], route: [TO_A]}]}", "no rule", "error"),
        ("{hosts: [a], http: [{match: [{port: 80, uri: {prefix: /a}}], route: [TO_A]}]}", "no rule", "error"),
        ("{hosts: ['*.a.com'], http: [{route: [TO_A]}]}", "only the namespace edge", "error"),
        ("{hosts: [a], http: [{timeout: 90s, route: [TO_A]}]}", "a timeout of more", "warning"),
    ],
)
def test_what_ships_says_what_is_wrong(spec: str, message: str, severity: str):
    (one,) = found(SHIPPED, service(spec=spec.replace("TO_A", "{destination: {host: a}}")))
    assert (one.code, one.severity) == ("GM311", severity)
    assert one.message.startswith(message)


@pytest.mark.parametrize(
    "text",
    [
        service(
            spec="{hosts: [a], http: [{match: [{uri: {prefix: /}}], route: [{destination: {host: a}}]}]}"
        ),
        service(spec="{hosts: [a.com], gateways: [g], http: [{match: [{uri: {prefix: /a}}], route: []}]}"),
        service(spec="{hosts: ['*.a.com'], http: [{route: []}]}", namespace="edge"),
        service(spec="{hosts: [a], tcp: [{route: [{destination: {host: a}}]}]}"),
        service(spec="{http: [{match: [{uri: {prefix: /a}}], route: [{destination: {host: a}}]}]}"),
        service(
            spec="{hosts: [a], http: [{match: [{port: 80, name: x}], route: [{destination: {host: a}}]}]}"
        ),
    ],
)
def test_what_ships_knows_what_is_meant(text: str):
    assert found(SHIPPED, text) == []
