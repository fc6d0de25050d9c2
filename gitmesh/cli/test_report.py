"""What `gitmesh test` found, in its forms: text, JSON and JUnit.

Stage: none (face).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import click

from gitmesh.cli.plain import plain
from gitmesh.cli.report_json import ascii_json
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.resource import Location
from gitmesh.playground.route_tests.run import Outcome
from gitmesh.validate.route_tests.callers import words
from gitmesh.validate.route_tests.findings import PlaceOf, origin_text
from gitmesh.validate.route_tests.reading import Case
from gitmesh.validate.route_tests.run import Result

OUR_BUG = "GitMesh's own matching, by which the daemon accepts commits, says otherwise; please report this"
_SUITE = "gitmesh test"
_HEADERS_SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class TestReport:
    """The outcomes in the order of cases. `stand_ins`: hosts of Services that were made up."""

    __test__ = False  # of pytest's, which looks for such names

    outcomes: Sequence[Outcome]
    place_of: PlaceOf
    seconds: float
    stand_ins: Mapping[str, tuple[int, ...]]
    findings: Sequence[Diagnostic] = ()

    @property
    def passed(self) -> bool:
        """Say whether every case holds."""
        return all(outcome.passed for outcome in self.outcomes)

    def count(self, kind: Callable[[Outcome], object]) -> int:
        """Count outcomes."""
        return sum(bool(kind(outcome)) for outcome in self.outcomes)

    def place(self, case: Case) -> Location | None:
        """Return where a case stands."""
        return self.place_of(case.resource.key, case.path)


class Progress:
    """Writes a mark for each case, in the order of cases, below the name of its file."""

    def __init__(self, results: Sequence[Result], *, quiet: bool) -> None:
        self._results = results
        self._quiet = quiet
        self._ended: dict[int, Outcome] = {}
        self._next = 0
        self._file = ""

    def told(self, place: int, outcome: Outcome) -> None:
        """Hear of an outcome."""
        self._ended[place] = outcome
        while not self._quiet and self._next in self._ended:
            self._mark(self._results[self._next], self._ended[self._next])
            self._next += 1
            if self._next == len(self._results):
                click.echo()

    def _mark(self, result: Result, outcome: Outcome) -> None:
        origin = result.case.resource.origin
        file = origin.file if origin else str(result.case.resource.key)
        if file != self._file:
            click.echo("\n" if self._file else "", nl=False)
            click.echo(f"{plain(file)} ", nl=False)
            self._file = file
        mark, colour = ("E", "red") if outcome.error else ("F", "red") if outcome.misses else (".", "green")
        click.echo(click.style(mark, fg=colour), nl=False)


def render_text(report: TestReport) -> str:
    """Return failures, each with what was expected and what happens, and the counts."""
    blocks = [_failure(report, outcome) for outcome in report.outcomes if not outcome.passed]
    blocks += [_differing(report, o) for o in report.outcomes if o.differs]
    blocks += [f"{plain(str(finding))}\n" for finding in report.findings if not finding.suppressed]
    counts = [
        (report.count(lambda o: o.passed), "passed", "green"),
        (report.count(lambda o: o.misses), "failed", "red"),
        (report.count(lambda o: o.error), "could not be run", "red"),
    ]
    told = ", ".join(click.style(f"{n} {what}", fg=c) for n, what, c in counts if n)
    return "\n".join(["", *blocks, f"{told} in {report.seconds:.2f} s"])


def _failure(report: TestReport, outcome: Outcome) -> str:
    case = outcome.predicted.case
    title = click.style("ERROR" if outcome.error else "FAILED", fg="red", bold=True)
    rows = [(*_request(case),)]
    if outcome.error:
        rows.append(("could not run", outcome.error))
    for miss in outcome.misses:
        rows += [("expected", f"{miss.field}: {miss.expected}"), ("actual", miss.actual)]
    if by := origin_text(outcome.observed, report.place_of):
        rows.append(("by", by))
    reasons = outcome.observed.reasons if outcome.observed else ()
    rows += [("why" if not place else "", reason) for place, reason in enumerate(reasons)]
    lines = [f"{title} {plain(case.name)}", f"    {plain(str(report.place(case) or case.resource.key))}"]
    lines += [f"    {name:<14}{plain(text)}" for name, text in rows]
    return "\n".join([*lines, ""])


def _request(case: Case) -> tuple[str, str]:
    headers = list(case.request.headers.items()) if case.request else []
    sent = "".join(f" -H '{name}: {value}'" for name, value in headers[:_HEADERS_SHOWN_MAX])
    return "request", f"{case.text}{sent}, from {words(case.sender, case.namespace)}"


def _differing(report: TestReport, outcome: Outcome) -> str:
    case = outcome.predicted.case
    title = click.style("DIFFERS", fg="yellow", bold=True)
    place = report.place(case) or case.resource.key
    return f"{title} {plain(case.name)}\n    {plain(str(place))}\n    {OUR_BUG}: {plain(outcome.differs)}\n"


def render_json(report: TestReport) -> str:
    """Return all cases as programs read them."""
    body = {
        "summary": {
            "passed": report.count(lambda o: o.passed),
            "failed": report.count(lambda o: o.misses),
            "errors": report.count(lambda o: o.error),
            "seconds": round(report.seconds, 3),
        },
        "standIns": {host: list(ports) for host, ports in report.stand_ins.items()},
        "cases": [_body(report, outcome) for outcome in report.outcomes],
    }
    return ascii_json(body)


def _body(report: TestReport, outcome: Outcome) -> dict[str, Any]:
    case, observed = outcome.predicted.case, outcome.observed
    place = report.place(case)
    return {
        "test": f"{case.resource.key.namespace}/{case.resource.key.name}",
        "name": case.name,
        "request": case.text,
        "from": words(case.sender, case.namespace),
        "file": place.file if place else None,
        "line": place.line if place else None,
        "passed": outcome.passed,
        "error": outcome.error or None,
        "misses": [
            {"field": miss.field, "expected": miss.expected, "actual": miss.actual} for miss in outcome.misses
        ],
        "happens": observed.says if observed else None,
        "by": origin_text(observed, report.place_of) or None,
        "why": list(observed.reasons) if observed else [],
        "differs": outcome.differs or None,
        "seconds": round(outcome.seconds, 4),
    }


def render_junit(report: TestReport) -> str:
    """Return one document: a suite for each RouteTest, a test case for each case."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites {_counts(_SUITE, report.outcomes)}>"]
    for key, group in groupby(report.outcomes, key=lambda o: o.predicted.case.resource.key):
        inside = list(group)
        lines.append(f"  <testsuite {_counts(f'{key.namespace}/{key.name}', inside)}>")
        for outcome in inside:
            lines += _junit_case(report, outcome)
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>"])


def _counts(name: str, outcomes: Sequence[Outcome]) -> str:
    failures, errors = sum(bool(o.misses) for o in outcomes), sum(bool(o.error) for o in outcomes)
    seconds = sum(o.seconds for o in outcomes)
    numbers = f'tests="{len(outcomes)}" failures="{failures}" errors="{errors}" time="{seconds:.3f}"'
    return f"name={quoteattr(plain(name))} {numbers}"


def _junit_case(report: TestReport, outcome: Outcome) -> Iterator[str]:
    case, place = outcome.predicted.case, report.place(outcome.predicted.case)
    key = case.resource.key
    where = f' file={quoteattr(plain(place.file))} line="{place.line}"' if place else ""
    about = f"classname={quoteattr(plain(f'{key.namespace}/{key.name}'))} name={quoteattr(plain(case.name))}"
    opening = f'    <testcase {about}{where} time="{outcome.seconds:.4f}"'
    if outcome.passed and not outcome.differs:
        yield f"{opening}/>"
        return
    yield f"{opening}>"
    if outcome.error:
        yield f"      <error message={quoteattr(plain(outcome.error))}/>"
    if outcome.misses:
        message = quoteattr(plain("; ".join(map(str, outcome.misses))))
        body = escape(click.unstyle(_failure(report, outcome)))
        yield f"      <failure message={message}>{body}</failure>"
    if outcome.differs:
        yield f"      <system-out>{escape(plain(f'{OUR_BUG}: {outcome.differs}'))}</system-out>"
    yield "    </testcase>"


FORMATS: Mapping[str, Callable[[TestReport], str]] = {
    "text": render_text,
    "json": render_json,
    "junit": render_junit,
}
