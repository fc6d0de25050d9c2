"""What is wrong with the steps of a RolloutPolicy: requests that cannot be asked for, gates that never open.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from gitmesh.istio.models.common import StringMatch
from gitmesh.istio.walks.conditions import of_match
from gitmesh.model.addresses import forbidden
from gitmesh.model.analysis import Analysis
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.policy import RolloutPolicySpec
from gitmesh.model.rollout import Evidence
from gitmesh.model.spelling import closest
from gitmesh.model.steps import RequestMatch
from gitmesh.validate.cel import Budget, Failed, Problem, Program, language
from gitmesh.validate.headers import check_matched_name, is_token
from gitmesh.validate.labels import check_labels
from gitmesh.validate.patterns import REGEX_BYTES_MAX, check_string_match
from gitmesh.validate.subject import Path, Subject, dotted

GATE_VARIABLES = ("evidence", "rollout")  # what the expression of a gate can name
_HINT = "a gate knows evidence, as in evidence.error_rate.value < 0.5, and rollout"
_TEXTS = ("namespace", "name", "source", "policy", "revision", "phase", "weights")
_ROLLOUT: Mapping[str, Any] = {**dict.fromkeys(_TEXTS, ""), "step": 1, "steps": 2, "progress": 25.0}
_TARGET = {"host": "", "subset": "", "version": "", "shared": False}
_NUMBERS = ("value", "bound", "stable", "requests", "failedRequests", "windowSeconds", "above", "below")
_EVIDENCE: Mapping[str, Any] = {
    **dict.fromkeys(_NUMBERS, 1.0),
    **dict.fromkeys(("metric", "outcome", "query", "message"), ""),
    "target": _TARGET,
}
assert _EVIDENCE.keys() == {field.alias for field in Evidence.model_fields.values()}


def check_steps(subject: Subject, spec: RolloutPolicySpec) -> Iterator[Diagnostic]:
    """Yield what is wrong with each step."""
    for index, step in enumerate(spec.steps):
        at: Path = ("spec", "steps", index)
        for number, match in enumerate(step.match):
            yield from _check_match(subject, match, (*at, "match", number))
        if step.gate and step.gate.cel:
            yield from _check_expression(subject, step.gate.cel, spec.analysis, (*at, "gate", "cel"))
        if step.gate and step.gate.http:
            yield from _check_hook(subject, step.gate.http.url, (*at, "gate", "http", "url"))


# Requests ---------------------------------------------------------------------------------------------


def _check_match(subject: Subject, match: RequestMatch, at: Path) -> Iterator[Diagnostic]:
    """Yield what the VirtualService that this becomes could not say."""
    for name, text in match.headers.items():
        yield from check_matched_name(subject, name, (*at, "headers"))
        wanted = StringMatch(**text.model_dump(exclude_none=True))
        yield from check_string_match(subject, wanted, (*at, "headers", name))
    for name in match.cookies:
        if not is_token(name):
            message = f"{name[:60]!r} is not the name of a cookie"
            yield subject.finding("GM108", message, (*at, "cookies", name), wants_key=True)
    if match.cookies:
        pattern = of_match(RequestMatch(cookies=match.cookies)).headers["cookie"]["regex"]
        if len(pattern.encode()) > REGEX_BYTES_MAX:
            message = f"{dotted((*at, 'cookies'))} are more than {REGEX_BYTES_MAX} bytes, in every order"
            yield subject.finding("GM108", message, (*at, "cookies"), hint="ask for fewer cookies")
    yield from check_labels(subject, match.source_labels, (*at, "sourceLabels"))


# Gates ------------------------------------------------------------------------------------------------


def _check_expression(
    subject: Subject, expression: str, analysis: Analysis | None, at: Path
) -> Iterator[Diagnostic]:
    problem, hint = _problem_of(language(*GATE_VARIABLES).compile(expression), analysis)
    if problem:
        yield subject.finding("GM306", f"the expression cannot be used: {problem}", at, hint=hint)


def _problem_of(program: Program | Problem, analysis: Analysis | None) -> tuple[str, str]:
    """Return why an expression would never open its gate, and what to do; nothing when it may."""
    if isinstance(program, Problem):
        return program.reason + (f", at character {program.column}" if program.column else ""), _HINT
    if program.type not in ("BOOL", "DYN"):
        return f"it yields {program.type.lower()[:80]}, not true or false", _HINT
    known = {metric.name.replace("-", "_"): _EVIDENCE for metric in (analysis.metrics if analysis else ())}
    for path in sorted(program.paths):
        problem, hint = _unknown(path, {"evidence": known, "rollout": _ROLLOUT})
        if problem:
            return problem, hint
    # Every name is known, so what is left to go wrong is what is done with the values.
    values = language(*GATE_VARIABLES).bind({"evidence": known, "rollout": dict(_ROLLOUT)})
    found = values if isinstance(values, Failed) else program.evaluate(values, Budget())
    if isinstance(found, Failed):
        return found.reason, _HINT
    return ("", "") if isinstance(found, bool) else ("it is a text, neither true nor false", _HINT)


def _unknown(path: tuple[str, ...], known: Mapping[str, Any]) -> tuple[str, str]:
    """Return the first part of a path that leads nowhere, and what there is instead."""
    there: Any = known
    for index, name in enumerate(path):
        if not isinstance(there, Mapping) or (index == 0 and name not in there):
            return "", ""  # a variable of a macro, or a field of a text, which is told by its type
        if name not in there:
            near = closest(name, there)
            some = f"there are: {', '.join(sorted(there))}" if there else "the policy has no analysis"
            return f"{'.'.join(path[:index])} has no {name[:60]}", f"did you mean {near}?" if near else some
        there = there[name]
    return "", ""


def _check_hook(subject: Subject, url: str, at: Path) -> Iterator[Diagnostic]:
    """Yield why a hook would never be asked."""
    if why := forbidden(urlsplit(url).hostname or ""):
        yield subject.finding("GM306", f"the hook is never asked: {why}", at, hint="name another host")
