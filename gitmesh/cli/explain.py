"""The rules in words: one with its examples, or a list of all.

Stage: none (face).
"""

from __future__ import annotations

import re
from typing import Any

from gitmesh.cli.main import Refused
from gitmesh.cli.plain import plain
from gitmesh.cli.report_json import ascii_json
from gitmesh.model.spelling import closest
from gitmesh.validate.catalogue import CATALOGUE, Rule

_NAMED_MAX = 5


def explain(code: str, *, as_json: bool) -> str:
    """Return one rule, or all that Istio calls by this code. Raises Refused for a code that nobody uses."""
    rules = _rules_called(code.strip().upper())
    if not rules:
        raise Refused(f"{plain(code)} is no rule; {_what_instead(code.strip().upper())}")
    if as_json:
        bodies = [_body(rule) for rule in rules]
        return ascii_json(bodies[0] if len(bodies) == 1 else bodies)
    return "\n\n\n".join(_text(rule) for rule in rules)


def list_rules(*, as_json: bool) -> str:
    """Return one line a rule."""
    if as_json:
        return ascii_json([_body(rule) for rule in CATALOGUE.values()])
    rows = [(rule.code, rule.severity.value, rule.istio, rule.title) for rule in CATALOGUE.values()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
        for row in rows
    )


def _rules_called(code: str) -> list[Rule]:
    if code in CATALOGUE:
        return [CATALOGUE[code]]
    return [rule for rule in CATALOGUE.values() if rule.istio and code in re.findall(r"\w+", rule.istio)]


def _what_instead(code: str) -> str:
    """Say what was probably meant."""
    if near := closest(code, CATALOGUE):
        return f"did you mean {near} ({CATALOGUE[near].title})? gitmesh validate --list-rules names them all"
    found = [rule.code for rule in CATALOGUE.values() if code and code.lower() in rule.title.lower()]
    some = f"it stands in the title of {', '.join(found[:_NAMED_MAX])}; " if found else ""
    return f"{some}gitmesh validate --list-rules names them all"


def _body(rule: Rule) -> dict[str, Any]:
    return {
        "code": rule.code,
        "severity": rule.severity.value,
        "istio": rule.istio or None,
        "title": rule.title,
        "explanation": rule.explanation,
        "wrong": rule.wrong,
        "right": rule.right,
    }


def _text(rule: Rule) -> str:
    istio = f", Istio's {rule.istio}" if rule.istio else ""
    head = f"{rule.code} ({rule.severity.value}{istio}): {rule.title}"
    parts = [
        head,
        "",
        rule.explanation,
        "",
        "Wrong:",
        _indented(rule.wrong),
        "",
        "Right:",
        _indented(rule.right),
    ]
    return "\n".join(parts)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.strip("\n").splitlines())
