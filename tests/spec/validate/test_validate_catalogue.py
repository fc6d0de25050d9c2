"""The catalogue knows every code, and its examples are true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fakes.examined import findings

from gitmesh.model.diagnostic import MORE_FINDINGS, Severity
from gitmesh.parse import codes
from gitmesh.validate.catalogue import CATALOGUE

PACKAGE = Path(__file__).parents[3] / "gitmesh"
HOSTS = ("reviews.default.svc.cluster.local", "ratings.default.svc.cluster.local")
SHOWN = [rule for rule in CATALOGUE.values() if rule.file]


def found(text: str, file: str = "example.yaml") -> set[str]:
    return {d.code for d in findings({file: text}, known_hosts=HOSTS)}


@pytest.mark.parametrize("rule", SHOWN, ids=lambda rule: rule.code)
def test_the_wrong_example_is_found(rule):
    assert rule.code in found(rule.wrong, rule.file)


@pytest.mark.parametrize("rule", SHOWN, ids=lambda rule: rule.code)
def test_the_right_example_has_no_errors(rule):
    remaining = findings({"example.yaml": rule.right}, known_hosts=HOSTS)
    assert rule.code not in {d.code for d in remaining}
    assert [str(d) for d in remaining if d.severity is Severity.ERROR] == []


def test_every_code_that_parse_uses_is_in_the_catalogue_with_its_severity():
    used = {value.name: value.severity for value in vars(codes).values() if isinstance(value, codes.Code)}
    assert used == {code: CATALOGUE[code].severity for code in used}
    assert CATALOGUE[MORE_FINDINGS].severity is Severity.INFO


def test_every_code_in_the_source_is_in_the_catalogue_and_the_other_way_round():
    sources = [p.read_text() for p in PACKAGE.rglob("*.py") if not p.name.startswith("rules_")]
    written = set(re.findall(r'"(GM\d{3})"', "\n".join(sources)))
    assert written == set(CATALOGUE)


def test_codes_are_in_order_and_explained():
    assert list(CATALOGUE) == sorted(CATALOGUE)
    assert [
        rule.code for rule in CATALOGUE.values() if not (rule.title and rule.explanation and rule.wrong)
    ] == []
