"""Laws of patches, schemas and server-side apply that hold for every object."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from gitmesh.playground.apiserver.objects.apply import ApplyConflict, ApplyError, apply_patch, track_update
from gitmesh.playground.apiserver.objects.columns import cell
from gitmesh.playground.apiserver.objects.equality import same
from gitmesh.playground.apiserver.objects.fieldset import FieldSet, decode, encode, field
from gitmesh.playground.apiserver.objects.merging import field_set
from gitmesh.playground.apiserver.objects.patches import (
    PatchError,
    json_patch,
    merge_patch,
    strategic_merge_patch,
)
from gitmesh.playground.apiserver.objects.schema import check, default, prune
from gitmesh.playground.apiserver.objects.scope import UNOWNED
from gitmesh.playground.apiserver.objects.selectors import (
    SelectorError,
    parse_field_selector,
    parse_label_selector,
)
from gitmesh.playground.apiserver.objects.structure import whole

Body = dict[str, Any]

# Machines that run tests are slow and shared, so no example has a deadline.
law = settings(max_examples=40, deadline=None)

TEXT = {"type": "string"}
ITEM = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": TEXT,
        "kind": {**TEXT, "default": "a"},
        "value": TEXT,
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": TEXT},
    },
}
SCHEMA: Body = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "atomic": {"type": "array", "items": ITEM},
                "items": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name", "kind"],
                    "items": ITEM,
                },
                "whole": {
                    "type": "object",
                    "x-kubernetes-map-type": "atomic",
                    "additionalProperties": TEXT,
                },
                "map": {
                    "type": "object",
                    "additionalProperties": {"type": "object", "properties": {"x": TEXT}},
                },
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "either": {"x-kubernetes-int-or-string": True},
                "name": TEXT,
            },
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}

few = st.sampled_from("abc")
names = st.sampled_from(["name", "spec", "items", "tags", "a", "b", "0", "-", "/", "~", ""])
scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.5, 1.0]) | few
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
solid_values = json_values.filter(lambda value: "None" not in repr(value))


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Body]:
    return st.fixed_dictionaries({}, optional=fields)


def specs(least: int) -> st.SearchStrategy[Body]:
    """Return specs whose atomic lists and maps have at least so many parts.

    Lists of type map and set are never empty: Kubernetes lets nobody own an empty one.
    """
    tags = st.lists(few, min_size=1, max_size=2, unique=True)
    item = st.fixed_dictionaries({"name": few}, optional={"kind": few, "value": few, "tags": tags})
    inner = st.fixed_dictionaries({"x": few}) if least else optional(x=few)
    return optional(
        atomic=st.lists(item, min_size=least, max_size=2),
        items=st.lists(item, min_size=1, max_size=3, unique_by=lambda i: (i["name"], i.get("kind", "a"))),
        whole=st.dictionaries(few, few, min_size=least, max_size=2),
        map=st.dictionaries(few, inner, min_size=least, max_size=2),
        free=st.dictionaries(few, scalars.filter(lambda v: v is not None), min_size=least, max_size=2),
        either=st.integers(0, 2) | few,
        name=few,
    ).filter(lambda spec: len(spec) >= least)


@st.composite
def configs(draw: st.DrawFn, least: int = 1) -> Body:
    metadata = optional(
        labels=st.dictionaries(few, few, min_size=1, max_size=2),
        finalizers=st.lists(few, min_size=1, max_size=2, unique=True),
    )
    version = draw(st.sampled_from(["x.dev/v1", "x.dev/v1beta1"]))
    body: Body = {"apiVersion": version, "kind": "X", "metadata": {"name": "x", **draw(metadata)}}
    return {**body, **draw(optional(spec=specs(least)))}


managers = st.sampled_from(["one", "two", "kubectl"])


def histories(least: int = 1) -> st.SearchStrategy[list[tuple[str, str, Body]]]:
    step = st.tuples(st.sampled_from(["apply", "update"]), managers, configs(least))
    return st.lists(step, min_size=1, max_size=4)


def applied(live: Body | None, body: Body, manager: str, *, force: bool = True, now: str = "1") -> Body:
    return apply_patch(live, body, manager=manager, force=force, schema=SCHEMA, now=now)


def history(steps: list[tuple[str, str, Body]]) -> Body:
    """Return the object after some writes of all kinds."""
    live: Body | None = None
    for kind, manager, body in steps:
        # An object that nobody owns any more is not tracked until the next apply.
        assume(live is None or kind == "apply" or owners(live))
        if kind == "apply" or live is None:
            live = applied(live, body, manager)
        else:
            live = track_update(live, body, manager=manager, schema=SCHEMA, now="1")
    assert live is not None
    return live


def owners(body: Body) -> dict[tuple[str, str], FieldSet]:
    """Return what each manager owns, in all versions."""
    found: dict[tuple[str, str], FieldSet] = {}
    for entry in body["metadata"].get("managedFields", []):
        owner = (entry["manager"], entry["operation"])
        found[owner] = found.get(owner, frozenset()) | decode(entry["fieldsV1"])
    return found


def content(body: Body) -> Body:
    return {**body, "apiVersion": "", "metadata": {**body["metadata"], "managedFields": None}}


def leaves(body: Body) -> FieldSet:
    """Return the scalars and atomic parts of an object: the stated paths that no stated path lies below."""
    stated = field_set({k: v for k, v in body.items() if k != "managedFields"}, whole(SCHEMA))
    inner = {path[:depth] for path in stated for depth in range(len(path))}
    managed = (field("metadata"), field("managedFields"))
    return frozenset(path for path in stated - inner - UNOWNED if path[:2] != managed)


def stated(body: Body) -> FieldSet:
    return field_set(body, whole(SCHEMA)) - UNOWNED


@law
@given(histories(0), configs(0), managers)
def test_applying_twice_is_a_no_op(steps: list[Any], body: Body, manager: str) -> None:
    once = applied(history(steps), body, manager, now="2")
    assume(owners(once))  # what nobody owns any more goes to whoever was before the next apply
    assert applied(once, body, manager, now="3") == once
    assert applied(once, body, manager, now="3", force=False) == once


@law
@given(histories(), configs(), managers)
def test_force_never_conflicts_and_brings_what_was_asked(steps: list[Any], body: Body, manager: str) -> None:
    result = applied(history(steps), body, manager)
    assert owners(result).get((manager, "Apply"), frozenset()) == stated(body)
    assert leaves(body) <= field_set(result, whole(SCHEMA))
    for key in ("either", "name", "atomic", "whole"):
        if key in body.get("spec", {}):
            assert result["spec"][key] == body["spec"][key]


@law
@given(histories(), configs(), managers)
def test_without_force_an_apply_either_conflicts_or_does_the_same(
    steps: list[Any], body: Body, manager: str
) -> None:
    live = history(steps)
    before = copy.deepcopy(live)
    try:
        result = applied(live, body, manager, force=False)
    except ApplyConflict:
        pass
    else:
        assert result == applied(live, body, manager, force=True)
        for owner, fields in owners(live).items():
            if owner != (manager, "Apply"):
                lost = fields - owners(result).get(owner, frozenset())
                assert not lost & stated(body), "an apply without force takes nothing from others"
    assert live == before


@law
@given(histories())
def test_the_owners_together_cover_every_leaf(steps: list[Any]) -> None:
    live = history(steps)
    assert not leaves(live) - frozenset().union(*owners(live).values())


@law
@given(configs(), managers)
def test_the_only_owner_takes_everything_with_it(body: Body, manager: str) -> None:
    live = applied(None, body, manager)
    nothing = {"apiVersion": "x.dev/v1", "kind": "X", "metadata": {"name": "x"}}
    assert content(applied(live, nothing, manager)) == content(nothing)


@law
@given(configs(), configs(), configs())
def test_an_applier_leaves_what_another_states(mine: Body, theirs: Body, later: Body) -> None:
    live = applied(applied(None, theirs, "them"), mine, "me")
    shared = owners(live).get(("them", "Apply"), frozenset())
    result = applied(live, {**later, "spec": {}}, "me")
    kept = field_set(result, whole(SCHEMA))
    assert {path for path in shared & leaves(theirs) if path[0] == field("spec")} <= kept


@law
@given(configs(), managers)
def test_a_first_apply_stores_the_configuration(body: Body, manager: str) -> None:
    assert content(applied(None, body, manager)) == content(body)


@law
@given(histories(), configs(), managers)
def test_an_update_owns_what_it_changed_and_a_repetition_changes_nothing(
    steps: list[Any], body: Body, manager: str
) -> None:
    live = history(steps)
    assume("managedFields" in live["metadata"])
    once = track_update(live, body, manager=manager, schema=SCHEMA, now="2")
    assert content(once) == content(body)
    again = track_update(once, once, manager="other", schema=SCHEMA, now="3")
    assert again == once


@law
@given(configs())
def test_a_set_of_fields_survives_its_encoding(body: Body) -> None:
    fields = field_set(body, whole(SCHEMA))
    assert decode(encode(fields)) == fields


@law
@given(json_values, json_values)
def test_a_random_configuration_is_applied_or_refused(live: Any, body: Any) -> None:
    """Whatever a client sends as spec, the server answers; it never fails."""
    base = {"apiVersion": "x.dev/v1", "kind": "X", "metadata": {"name": "x"}}
    before = track_update(None, {**base, "spec": live}, manager="m", schema=SCHEMA, now="1")
    try:
        after = applied(before, {**base, "spec": body}, "git", force=True)
    except ApplyError:
        return
    track_update(before, after, manager="m", schema=SCHEMA, now="2")


@law
@given(json_values)
@example({"apiVersion": None, "metadata": {"labels": {"a": None}, "finalizers": [None]}, "spec": []})
def test_random_bodies_never_crash_the_schema(body: Any) -> None:
    for value in (body, {"metadata": body, "spec": body, "status": body}):
        pruned = prune(value, SCHEMA)
        assert prune(pruned, SCHEMA) == pruned
        assert check(pruned, SCHEMA).unknown == []
        assert (pruned == value) == (check(value, SCHEMA).unknown == [])
        filled = default(pruned, SCHEMA)
        assert same(default(filled, SCHEMA), filled)
        cell(value, ".spec.items[0].name", "string", None)  # type: ignore[arg-type]


@law
@given(specs(0))
def test_a_body_made_by_the_schema_is_accepted(spec: Body) -> None:
    body = {"apiVersion": "x.dev/v1", "kind": "X", "metadata": {"name": "x"}, "spec": spec}
    assert (check(body, SCHEMA).errors, check(body, SCHEMA).unknown) == ([], [])


# Patches


def merge_diff(before: Any, after: Any) -> Any:
    """Return a merge patch from one null-free value to another."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    gone = dict.fromkeys(before.keys() - after.keys())
    return gone | {
        k: merge_diff(before.get(k), v) for k, v in after.items() if k not in before or before[k] != v
    }


@law
@given(solid_values, solid_values)
def test_a_merge_patch_reaches_any_value(before: Any, after: Any) -> None:
    assert merge_patch(before, merge_diff(before, after)) == after


@law
@given(json_values, json_values)
def test_a_merge_patch_twice_is_the_same_as_once(target: Any, patch: Any) -> None:
    before = copy.deepcopy(target)
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once
    assert target == before


@law
@given(json_values)
def test_an_empty_merge_patch_changes_no_object(target: Any) -> None:
    assert merge_patch(target, {}) == (target if isinstance(target, dict) else {})


def escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def json_diff(before: Any, after: Any, path: str = "") -> list[Body]:
    """Return a JSON patch from one value to another, one operation for each difference."""
    if isinstance(before, dict) and isinstance(after, dict):
        ops = [{"op": "remove", "path": f"{path}/{escaped(key)}"} for key in before.keys() - after.keys()]
        for key, value in after.items():
            at = f"{path}/{escaped(key)}"
            ops += (
                json_diff(before[key], value, at)
                if key in before
                else [{"op": "add", "path": at, "value": value}]
            )
        return ops
    if isinstance(before, list) and isinstance(after, list):
        ops = [{"op": "remove", "path": f"{path}/0"} for _ in before]
        return ops + [{"op": "add", "path": f"{path}/-", "value": value} for value in after]
    return [{"op": "test", "path": path, "value": before}, {"op": "replace", "path": path, "value": after}]


@law
@given(json_values, json_values)
def test_a_json_patch_goes_there_and_back(before: Any, after: Any) -> None:
    original = copy.deepcopy(before)
    there = json_patch(before, json_diff(before, after))
    assert same(there, after)
    assert same(json_patch(there, json_diff(there, before)), original)
    assert same(before, original)


operations = optional(
    op=st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"]),
    path=st.sampled_from(["", "/", "/a", "/a/b", "/items/0", "/items/-", "/a/0/b", "a", "/~"]),
    value=json_values,
    **{"from": st.sampled_from(["", "/a", "/items", "/b", "x"])},
)


@law
@given(json_values, st.lists(operations, max_size=3) | json_values)
def test_a_random_json_patch_works_or_says_why_not(target: Any, ops: Any) -> None:
    before = copy.deepcopy(target)
    with suppress(PatchError):
        json_patch(target, ops)
    assert same(target, before)


strategic_keys = st.sampled_from(
    (
        "$deleteFromPrimitiveList/finalizers",
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "containers",
        "finalizers",
        "name",
        "ports",
        "spec",
    )
)
strategic_values = st.recursive(
    scalars | st.sampled_from(["merge", "replace", "delete"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(strategic_keys, inner, max_size=3),
    max_leaves=8,
)


@law
@given(strategic_values, strategic_values)
def test_a_random_strategic_patch_works_or_says_why_not(target: Any, patch: Any) -> None:
    before = copy.deepcopy(target)
    try:
        patched = strategic_merge_patch(target, patch)
    except PatchError:
        pass
    else:
        assert isinstance(patched, dict)
    assert same(target, before)


@law
@given(st.text(alphabet="ab=!,() <>in0notin.\\/", max_size=20), json_values)
def test_a_random_selector_works_or_says_why_not(text: str, labels: Any) -> None:
    for parse in (parse_label_selector, parse_field_selector):
        try:
            matches = parse(text)
        except SelectorError:
            pass
        else:
            assert matches({"metadata": {"labels": labels}}) in (True, False)
