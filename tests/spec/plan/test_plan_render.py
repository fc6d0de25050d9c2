"""Plans as people and programs read them."""

from __future__ import annotations

import json

from fakes.builders import SOURCE, a_destination_rule, a_service_entry, a_set, a_virtual_service, owned

from gitmesh.model.source import TrafficSourceSpec
from gitmesh.plan.diff import diff, format_path
from gitmesh.plan.planner import PlanInput, make_plan
from gitmesh.plan.render import render_json, render_text

LIVE = a_set(
    owned(a_destination_rule("reviews: v1")),
    owned(a_virtual_service("reviews: v1 100, v2")),
    owned(a_service_entry("old", "old.example.com")),
)
DESIRED = a_set(a_destination_rule("reviews: v1, v2"), a_virtual_service("reviews: v1 75, v2 25"))


def a_plan(live=LIVE, effective=DESIRED):
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


def test_a_plan_reads_as_waves_with_signs_fields_and_reasons():
    assert render_text(a_plan()) == [
        "wave 1 of 3: add what routes name",
        "  ~ DestinationRule default/reviews  (changed in Git)",
        '      spec.subsets[1]: <absent> -> {"name": "v2", "labels": {"version": "v2"}}',
        "  wait 2s",
        "wave 2 of 3: move routes",
        "  ~ VirtualService default/reviews  (changed in Git)",
        "      spec.http[0].route[0].weight: 100 -> 75",
        "      spec.http[0].route[1].weight: <absent> -> 25",
        "wave 3 of 3: remove leftovers",
        "  - ServiceEntry default/old  (no longer in Git)",
        "2 to update, 1 to delete; 0 unchanged",
        f"plan {a_plan().hash}",
    ]


def test_a_refusal_is_read_first_with_what_to_do():
    foreign = a_set(a_destination_rule("reviews: v1"), a_virtual_service("reviews: v1 75, v2 25"))
    lines = render_text(a_plan(live=foreign))
    assert lines[0].startswith("! refused, DestinationRule default/reviews: it exists already")
    assert "spec.adopt" in lines[1]
    assert lines[-1] == "nothing to change, 2 refused; 0 unchanged"


def test_an_empty_plan_says_so():
    assert render_text(a_plan(live=a_set(*map(owned, DESIRED.values())))) == [
        "nothing to change; 2 unchanged"
    ]


def test_programs_read_the_same_plan():
    plan = a_plan()
    data = json.loads(json.dumps(render_json(plan)))
    assert (data["hash"], data["revision"], data["unchanged"]) == (plan.hash, "main@2222222", 0)
    assert [w["settleSeconds"] for w in data["waves"]] == [2, 0, 0]
    assert data["waves"][1]["changes"][0]["fields"][0] == {
        "path": "spec.http[0].route[0].weight",
        "old": 100,
        "new": 75,
    }


def test_a_difference_names_the_deepest_field():
    old = {"a": {"b": [1, {"c": True}], "gone": 1}}
    new = {"a": {"b": [1, {"c": 1}, 2], "new": None}}
    assert [(format_path(f.path), f.old, f.new) for f in diff(old, new)] == [
        ("a.b[1].c", True, 1),
        ("a.b[2]", "<absent>", 2),
        ("a.new", "<absent>", None),
        ("a.gone", 1, "<absent>"),
    ]
    assert format_path(("metadata", "annotations", "gitmesh.dev/source")) == (
        'metadata.annotations["gitmesh.dev/source"]'
    )


def test_the_order_of_keys_and_the_kind_of_number_make_no_difference():
    assert diff({"a": 1, "b": 2.0}, {"b": 2, "a": 1}) == ()
