"""A finding leads to the line and column of the field."""

from __future__ import annotations

from fakes.examined import files_of

from gitmesh.model.diagnostic import Diagnostic, Severity
from gitmesh.model.resource import Location
from gitmesh.parse.positions import pinpoint

TEXT = """\
# a comment
---
base: &base {timeout: 5s}
---
kind: X
spec:
  http:
  - name: a
    route:
      - weight: 10
  - <<: &m {retries: 3}
    "quoted key": 1
  empty:
  1: number
"""


def place(*path: str | int, at: tuple[int, int] = (5, 1), wants_key: bool = False, text: str = TEXT) -> str:
    found = Diagnostic(
        "GM101", Severity.ERROR, "", at=Location("a.yaml", *at), path=path, wants_key=wants_key
    )
    (narrowed,) = pinpoint(files_of({"a.yaml": text}), [found])
    assert narrowed.at is not None
    return f"{narrowed.at.line}:{narrowed.at.column}"


def test_the_value_of_a_field():
    assert place("spec", "http", 0, "route", 0, "weight") == "10:17"


def test_the_name_of_a_field():
    assert place("spec", "http", 0, "route", 0, "weight", wants_key=True) == "10:9"


def test_a_quoted_name():
    assert place("spec", "http", 1, "quoted key", wants_key=True) == "12:5"


def test_a_name_that_is_a_number():
    assert place("spec", "1") == "14:6"


def test_a_field_that_is_merged_in():
    assert place("spec", "http", 1, "retries") == "11:22"


def test_an_empty_value_is_shown_at_its_name():
    assert place("spec", "empty") == "13:3"


def test_a_missing_field_is_shown_at_the_name_above_it():
    assert place("spec", "http", 0, "route", 0, "destination", "host") == "10:9"
    assert place("spec", "hosts", 0) == "6:1"
    assert place("spec", "http", 7, "name") == "7:3"
    assert place("metadata", "name") == "5:1"


def test_a_path_through_a_scalar_stops_there():
    assert place("kind", "x", 0, "y") == "5:1"


def test_each_document_is_found_by_where_it_begins():
    assert place("base", "timeout", at=(3, 1)) == "3:23"


def test_a_place_that_no_document_has_is_left_as_it_is():
    assert place("spec", at=(4, 9)) == "4:9"


def test_files_that_cannot_be_read_leave_the_place_as_it_is():
    assert place("spec", at=(1, 1), text="a: [") == "1:1"
    found = Diagnostic("GM101", Severity.ERROR, "", at=Location("gone.yaml"), path=("a",))
    assert pinpoint({}, [found]) == (found,)


def test_findings_come_in_the_order_of_places():
    found = [Diagnostic(c, Severity.ERROR, "", at=Location("a.yaml", n)) for c, n in (("GM2", 9), ("GM1", 3))]
    assert [d.code for d in pinpoint({}, found)] == ["GM1", "GM2"]


def test_colons_at_the_end_of_values_in_flow_style_move_no_place():
    text = "kind: X # [a:]\nspec: {a: [2001:db8::, b::], 'c:,': d:}\n"
    finding = Diagnostic("GM1", Severity.ERROR, "", at=Location("a.yaml", 1, 1), path=("spec", "a", 1))
    assert pinpoint(files_of({"a.yaml": text}), [finding])[0].at == Location("a.yaml", 2, 24)
