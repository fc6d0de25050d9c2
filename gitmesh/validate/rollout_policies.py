"""What is wrong with a RolloutPolicy, or a FreezeWindow, of the right shape.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.model.calendar import cron_problem, zone_problem
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.freeze import FreezeSpec, freeze_problems
from gitmesh.model.policy import RolloutPolicySpec
from gitmesh.validate.deadlines import check_deadline
from gitmesh.validate.steps import check_steps
from gitmesh.validate.subject import Path, Subject, dotted

_CRON_HINT = 'minute, hour, day of month, month, day of week: "0 9 * * mon-fri" is 9:00 on working days'


def check_policy(subject: Subject, spec: RolloutPolicySpec) -> Iterator[Diagnostic]:
    """Yield what is wrong with a policy alone."""
    for index, window in enumerate(spec.windows):
        place: Path = ("spec", "windows", index)
        if problem := zone_problem(window.timezone):
            yield _zone_finding(subject, problem, (*place, "timezone"))
        if problem := cron_problem(window.cron):
            message = f"{dotted((*place, 'cron'))}: {window.cron[:60]!r} is no cron expression: {problem}"
            yield subject.finding("GM305", message, (*place, "cron"), hint=_CRON_HINT)
    yield from check_steps(subject, spec)
    yield from check_deadline(subject, spec)
    yield from _check_compared(subject, spec)


def check_freeze(subject: Subject, spec: FreezeSpec) -> Iterator[Diagnostic]:
    """Yield what is wrong with a freeze."""
    for field, problem in freeze_problems(spec).items():
        if field == "timezone":
            yield _zone_finding(subject, problem, ("spec", field))
        else:
            yield subject.finding("GM308", f"spec.{field}: {problem}", ("spec", field))


def _zone_finding(subject: Subject, problem: str, path: Path) -> Diagnostic:
    hint = "write a name of the IANA time zone database, for example Europe/Berlin or UTC"
    return subject.finding("GM304", f"{dotted(path)}: {problem}", path, hint=hint)


def _check_compared(subject: Subject, spec: RolloutPolicySpec) -> Iterator[Diagnostic]:
    """A subset and its twin look alike to telemetry, so nothing stable is left to compare with."""
    if spec.select.kinds != ("DestinationRule",) or spec.analysis is None:
        return
    for index, metric in enumerate(spec.analysis.metrics):
        if metric.compare:
            message = "a subset and its twin are counted together: there is no stable version to compare with"
            path: Path = ("spec", "analysis", "metrics", index, "compare")
            yield subject.finding("GM307", message, path, hint="hold it against max")
