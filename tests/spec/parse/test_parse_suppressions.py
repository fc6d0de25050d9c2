"""A file may say that a finding is wanted, with a reason, and never more than that."""

from __future__ import annotations

import json
import sys
import time
from types import FrameType
from typing import Any

import pytest
from fakes.examined import findings, parsed, told

from gitmesh.model.config import ParseLimits
from gitmesh.model.diagnostic import Diagnostic, Severity, has_errors
from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.resource import Location
from gitmesh.parse.suppressions import LASTING, Rules, Suppression, suppress
from gitmesh.validate.catalogue import CATALOGUE

RULE = "# gitmesh: ignore GM130 because the next change removes it"
HEAD = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
"""
SHADOWED = f"""\
{HEAD}spec:
  hosts: [reviews]
  http:
  - route: [{{destination: {{host: reviews}}}}]
  - match: [{{uri: {{prefix: /a}}}}]
    route: [{{destination: {{host: ratings}}}}]
"""


def wanted(text: str) -> list[tuple[str, str]]:
    """Code and reason of each finding that is suppressed."""
    return [(d.code, d.suppressed) for d in findings(text, suppressed=True) if d.suppressed]


def above(line: str, comment: str, text: str = SHADOWED) -> str:
    """Put a comment on its own line above the first line that has this text."""
    lines = text.splitlines(keepends=True)
    at = next(number for number, content in enumerate(lines) if line in content)
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    return "".join([*lines[:at], f"{indent}{comment}\n", *lines[at:]])


def beside(line: str, comment: str, text: str = SHADOWED) -> str:
    return text.replace(line, f"{line}  {comment}", 1)


def test_the_text_without_a_suppression_has_the_finding():
    assert [code.split()[1] for code in told(SHADOWED)] == ["GM130"]


@pytest.mark.parametrize(
    "text",
    [
        above("- match", RULE),
        above("http:", RULE),
        above("spec:", RULE),
        above("apiVersion", RULE),
        above("apiVersion", f"{RULE}\n---"),
        above("- match", f"{RULE}\n  # and something else"),
        beside("- match: [{uri: {prefix: /a}}]", RULE),
        above("- match", RULE.replace("GM130", "gm130")),
        above("- match", RULE.replace("GM130", "GM205, GM130")),
        above("- match", "#gitmesh:ignore GM130: it goes away"),
        above("- match", "# gitmesh: ignore GM130 Because it goes away").replace("\n", "\r\n"),
    ],
)
def test_a_comment_covers_its_line_or_what_begins_below_it(text: str):
    assert [code for code, _ in wanted(text)] == ["GM130"]
    assert "GM130" not in {line.split()[1] for line in told(text)}


def test_the_reason_is_kept():
    assert wanted(above("- match", RULE)) == [("GM130", "the next change removes it")]


@pytest.mark.parametrize(
    "text",
    [
        above("- route", RULE),
        above("hosts:", RULE),
        beside("http:", RULE),
        above("- match", f"{RULE}\n"),
        SHADOWED + RULE,
        above("- match", RULE.replace("GM130", "GM205")),
    ],
    ids=["element-before", "field-before", "line-before", "empty-line", "after", "other-code"],
)
def test_elsewhere_it_covers_nothing(text: str):
    assert wanted(text) == []
    assert "GM130" in {line.split()[1] for line in told(text)}


def test_a_hash_inside_text_is_no_comment():
    block = above("hosts:", f"a: |\n    {RULE}\n  b: '{RULE}'\n  c: x{RULE}")
    assert parsed(block).suppressions == {}


@pytest.mark.parametrize(
    ("comment", "code"),
    [
        ("# gitmesh: ignore GM130", "GM026"),
        ("# gitmesh: ignore GM130 because", "GM026"),
        ("# gitmesh: ignore GM130 because ...", "GM026"),
        ("# gitmesh: ignore GM130 it goes away", "GM026"),
        ("# gitmesh: ignore", "GM027"),
        ("# gitmesh: ignore because I say so", "GM027"),
        ("# gitmesh: ignore everything because I say so", "GM027"),
        ("# gitmesh: ignore GM1300 because of a slip", "GM027"),
        ("# gitmesh: ignore GM028 because I like it", "GM029"),
    ],
)
def test_what_is_wrong_with_a_suppression_is_said_at_its_place_and_suppresses_nothing(
    comment: str, code: str
):
    text = above("- match", comment)
    assert wanted(text) == []
    assert {f"9:3 {code}", "10:5 GM130"} == set(told(text))


def test_a_misspelt_code_is_answered_with_the_near_one():
    found = findings(above("- match", "# gitmesh: ignore GM13O because of a slip"))
    assert [d.code for d in found] == ["GM027", "GM130"]
    (found, _) = findings(above("- match", "# gitmesh: ignore GM1330 because of a slip"))
    assert "did you mean GM1" in found.hint


def test_what_suppresses_nothing_is_found():
    text = above("hosts:", "# gitmesh: ignore GM205, GM130 because we agreed")
    assert told(text) == ["6:3 GM028", "6:3 GM028", "10:5 GM130"]


def test_it_is_not_called_unused_where_an_error_keeps_rules_from_being_reached():
    text = above("hosts:", "# gitmesh: ignore GM205 because we agreed")
    assert [line.split()[1] for line in told(text.replace("hosts:", "hostss:"))] == ["GM101", "GM130"]
    assert [line.split()[1] for line in told(text + "  broken: [")] == ["GM011"]


def test_a_rule_that_was_not_checked_is_not_called_unused():
    suppression = Suppression("GM202", "another team's", Location("a.yaml"), (1, 1), (9, 9))
    by_file = {"a.yaml": (suppression,)}
    assert [d.code for d in suppress((), by_file, Rules(CATALOGUE))] == ["GM028"]
    assert suppress((), by_file, Rules(CATALOGUE, unchecked=["GM202"])) == ()


def test_an_annotation_covers_its_object_and_no_other():
    note = '\n  annotations: {gitmesh.dev/ignore: "GM130: it goes away"}'
    marked = SHADOWED.replace("name: reviews", f"name: reviews{note}")
    both = f"{marked}---\n{SHADOWED.replace('name: reviews', 'name: other')}"
    found = [d for d in findings(both, suppressed=True) if d.code == "GM130"]
    assert [(d.key.name, d.suppressed) for d in found if d.key] == [
        ("reviews", "it goes away"),
        ("other", ""),
    ]


@pytest.mark.parametrize("indent", [None, 1, "\t"])
def test_json_has_the_annotation(indent: int | str | None):
    (good,) = parsed(SHADOWED).resources.values()
    marked = good.with_metadata(annotations={"gitmesh.dev/ignore": "GM130: it goes away\nGM205: agreed"})
    body = {"apiVersion": "v1", "kind": "List", "items": [marked.body]}
    found = findings({"a.json": json.dumps(body, indent=indent)}, suppressed=True)
    said = {d.code: d.suppressed for d in found}
    assert said == {"GM130": "it goes away", "GM028": ""}
    plain = {**body, "items": [good.body]}
    assert not any(d.suppressed for d in findings({"a.json": json.dumps(plain)}, suppressed=True))


def test_a_suppressed_error_is_none_and_keeps_its_place_and_reason():
    text = above("timeOut", "# gitmesh: ignore GM101 because Istio 1.99 has it", _with_unknown_field())
    (found,) = findings(text, suppressed=True)
    assert (found.code, found.severity, str(found.at)) == ("GM101", Severity.ERROR, "a.yaml:10:5")
    assert not has_errors([found])
    assert found.as_json()["suppressed"] is True
    assert found.as_json()["reason"] == "Istio 1.99 has it"


def _with_unknown_field() -> str:
    return SHADOWED.partition("  - match")[0].replace("  - route", "  - name: a\n    timeOut: 5s\n    route")


def test_behind_a_field_that_is_wanted_everything_else_is_found():
    wanted = "newField: 1  # gitmesh: ignore GM101 because Istio 1.99 has it"
    text = SHADOWED.replace("  hosts", f"  {wanted}\n  hosts").replace(
        "host: ratings}}]", f"host: reviews, subset: v9}}, weight: -1}}]\n    {wanted}"
    )
    found = [(d.code, bool(d.suppressed)) for d in findings(text, suppressed=True)]
    assert found == [
        ("GM101", True),
        ("GM130", False),
        ("GM201", False),
        ("GM124", False),
        ("GM101", True),
    ]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("GM011", SHADOWED + "  broken: ["),
        ("GM014", SHADOWED + "  deep: " + "[" * 99),
        ("GM016", SHADOWED + "---\na: 1\n"),
        ("GM017", SHADOWED.replace("name: reviews", "name: Reviews")),
        ("GM020", SHADOWED.replace("kind: VirtualService", "kind: VirtualServis")),
        ("GM021", f"{SHADOWED}---\n{SHADOWED}"),
        ("GM102", SHADOWED.replace("hosts: [reviews]", "hosts: {}")),
    ],
)
def test_what_would_leave_an_object_out_or_make_it_unreadable_cannot_be_suppressed(code: str, text: str):
    assert code in LASTING
    lines = text.splitlines()
    everywhere = "\n".join(f"{line}  # gitmesh: ignore {code} because I want it" for line in lines)
    for attempt in (everywhere, f"# gitmesh: ignore {code} because I want it\n{text}"):
        assert has_errors(findings(attempt, suppressed=True))
        assert not [d for d in findings(attempt, suppressed=True) if d.code == code and d.suppressed]


def test_errors_of_our_own_kinds_cannot_be_suppressed():
    text = """\
# gitmesh: ignore GM101, GM103, GM106 because I want no steps
apiVersion: gitmesh.dev/v1alpha1
kind: RolloutPolicy
metadata: {name: careful}
spec: {stepps: []}
"""
    assert has_errors(findings(text, suppressed=True))
    assert not [d for d in findings(text, suppressed=True) if d.suppressed]


def a_finding(number: int, name: str) -> Diagnostic:
    key = VIRTUAL_SERVICE.key("default", name)
    return Diagnostic("GM101", Severity.ERROR, f"{number}", at=Location("a.yaml", number + 1), key=key)


def test_no_error_that_is_not_shown_hides_behind_suppressed_ones():
    everything = {"a.yaml": (Suppression("GM101", "all", Location("a.yaml"), (1, 1), (10**9, 1)),)}
    one_object = [a_finding(number, "reviews") for number in range(150)]
    assert has_errors(suppress(one_object, everything, Rules(CATALOGUE)))
    assert not has_errors(suppress(one_object[:100], everything, Rules(CATALOGUE)))
    many = [a_finding(number, f"a{number}") for number in range(60)]
    assert has_errors(suppress(many, everything, Rules(CATALOGUE, errors_max=100)))
    assert not has_errors(suppress(many[:50], everything, Rules(CATALOGUE, errors_max=100)))


def test_the_number_of_suppressions_in_a_file_is_limited():
    text = SHADOWED + f"{RULE}\n" * 1_500
    assert len(parsed(text).suppressions["a.yaml"]) == 1_000
    assert [line.split()[1] for line in told(text)].count("GM027") == 1
    many = ", ".join(f"GM{number}" for number in range(100, 130))
    assert "GM027" in {line.split()[1] for line in told(above("- match", f"# gitmesh: ignore {many}: no"))}


def test_what_is_taken_over_from_before_keeps_its_suppressions():
    text = above("- match", RULE)
    first = parsed({"a.yaml": text})
    again = parsed({"a.yaml": text}, previous=first)
    assert again.files_read == 0
    assert again.suppressions == first.suppressions != {}


def test_files_that_say_nothing_of_it_are_not_looked_into():
    assert parsed(SHADOWED, limits=ParseLimits()).suppressions == {}


def lines_of_work(text: str) -> int:
    """Return how many lines of ours are run to read a text: a measure of time that no machine changes."""
    lines = 0

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        parsed(text)
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize("comment", [RULE, "# gitmesh: ignore GM130", "# gitmesh: ignore", "#"])
def test_twice_the_comments_cost_twice_as_much(comment: str):
    def text(count: int) -> str:
        return f"{RULE}\n" + f"{comment}\n" * count + SHADOWED

    assert lines_of_work(text(4_000)) < 2.5 * lines_of_work(text(2_000))


def test_of_what_is_wrong_with_suppressions_only_so_much_is_said():
    assert len(parsed("# gitmesh: ignore GM130\n" * 20_000 + SHADOWED).diagnostics) == 1_001


def test_a_long_line_of_signs_is_not_gone_through_for_each_of_them():
    before = time.thread_time()
    parsed(f"# gitmesh: {'# ' * 100_000}\n{SHADOWED}")
    assert time.thread_time() - before < 10  # minutes, if it were
