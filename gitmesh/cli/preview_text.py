"""What became of a saved state of a working copy, in lines for people.

Stage: none (face).
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from gitmesh.cli.findings import render_findings, summary
from gitmesh.cli.plain import plain
from gitmesh.model.diagnostic import Severity
from gitmesh.model.plan import ABSENT, FieldChange
from gitmesh.plan.diff import format_path
from gitmesh.plan.masking import masked
from gitmesh.playground.preview import Moved, Shown

_FIELDS_SHOWN_MAX, _MOVED_SHOWN_MAX, _VALUE_CHARACTERS_MAX = 8, 40, 60
_SIGNS = {"created": ("+", "green"), "changed": ("~", "yellow"), "deleted": ("-", "red")}


def preview_text(shown: Shown) -> str:
    """Return the lines."""
    return "\n".join(_lines(shown))


def _lines(shown: Shown) -> Iterator[str]:
    if not shown.is_good:
        if shown.findings:
            yield render_findings(shown.findings, shown.files) + summary(shown.findings, len(shown.files))
        yield from (f"problem: {plain(problem)}" for problem in shown.problems)
        yield click.style("not live: the last good state stays", fg="red")
        return
    for moved in shown.moved[:_MOVED_SHOWN_MAX]:
        yield from _moved(moved)
    if len(shown.moved) > _MOVED_SHOWN_MAX:
        yield f"and {len(shown.moved) - _MOVED_SHOWN_MAX} more objects"
    for finding in shown.findings:
        if finding.severity is not Severity.INFO:
            yield plain(str(finding))
    yield from (f"problem: {plain(problem)}" for problem in shown.problems)
    yield from (f"hint: {plain(hint)}" for hint in shown.hints)
    what = "applied" if shown.moved else "nothing to apply,"
    colour = "yellow" if shown.problems else "green"
    yield click.style(f"{what} after {shown.seconds * 1000:.0f} ms", fg=colour)


def _moved(moved: Moved) -> Iterator[str]:
    sign, colour = _SIGNS[moved.how]
    yield click.style(f"{sign} {plain(str(moved.key))}", fg=colour)
    for change in moved.fields[:_FIELDS_SHOWN_MAX]:
        yield f"    {plain(_change(change))}"
    if len(moved.fields) > _FIELDS_SHOWN_MAX:
        yield f"    and {len(moved.fields) - _FIELDS_SHOWN_MAX} more fields"


def _change(change: FieldChange) -> str:
    where, path = format_path(change.path), change.path
    old, new = masked(path, change.old), masked(path, change.new)
    if change.old == ABSENT:
        return f"{where}: {_value(new)} (new)"
    if change.new == ABSENT:
        return f"{where}: gone"
    return f"{where}: {_value(old)} -> {_value(new)}"


def _value(value: object) -> str:
    text = str(value)
    return text if len(text) <= _VALUE_CHARACTERS_MAX else f"{text[:_VALUE_CHARACTERS_MAX]}..."
