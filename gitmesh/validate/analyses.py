"""What is wrong with the analysis of a RolloutPolicy of the right shape.

Stage: validate (pure).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gitmesh.model.analysis import Analysis, Mode
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.kinds import DESTINATION_RULE
from gitmesh.model.metric import QUERY_VARIABLES, Kind, Metric
from gitmesh.model.policy import RolloutPolicySpec, Walk
from gitmesh.model.spelling import closest
from gitmesh.validate.subject import Path, Subject, dotted

_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{(\w+)\})")
_AT: Path = ("spec", "analysis")


def check_analysis(subject: Subject, spec: RolloutPolicySpec) -> Iterator[Diagnostic]:
    """Yield what can never be met, what is not known, and what has no effect."""
    analysis = spec.analysis
    if analysis is None:
        return
    for index, metric in enumerate(analysis.metrics):
        at: Path = (*_AT, "metrics", index)
        yield from _check_query(subject, metric, (*at, "query"))
        if analysis.mode is Mode.SEQUENTIAL and metric.kind.is_share:
            yield from _check_share(subject, metric, at)
    yield from _check_only_compared(subject, spec, analysis)
    yield from _check_reach(subject, spec, analysis)
    yield from _check_effect(subject, analysis)


def _check_query(subject: Subject, metric: Metric, at: Path) -> Iterator[Diagnostic]:
    for found in _VARIABLE.finditer(metric.query):
        name = found[1] or found[2]
        if name in QUERY_VARIABLES:
            continue
        near = closest(name, QUERY_VARIABLES)
        known = ", ".join(f"${variable}" for variable in QUERY_VARIABLES)
        hint = f"did you mean ${near}?" if near else f"there are: {known}"
        yield subject.finding("GM320", f"{dotted(at)}: nothing is known as ${name}", at, hint=hint)


def _check_share(subject: Subject, metric: Metric, at: Path) -> Iterator[Diagnostic]:
    """No number of requests proves that a share is below nothing."""
    hint = "allow some, for example 0.1%; or write mode: threshold"
    if metric.kind is Kind.ERRORS and metric.max == 0:
        message = (
            f"{dotted((*at, 'max'))}: no number of requests proves that none fails: nothing would advance"
        )
        yield subject.finding("GM307", message, (*at, "max"), hint=hint)
    if metric.kind is Kind.ERRORS and metric.compare and metric.margin == "0%":
        message = (
            f"{dotted((*at, 'margin'))}: no number of requests proves a share equal: nothing would advance"
        )
        yield subject.finding("GM307", message, (*at, "margin"), hint=hint)


def _check_only_compared(
    subject: Subject, spec: RolloutPolicySpec, analysis: Analysis
) -> Iterator[Diagnostic]:
    lacks = spec.bake or spec.walk is Walk.ROUTES or DESTINATION_RULE.kind in spec.select.kinds
    if lacks and all(metric.compare for metric in analysis.metrics):
        at: Path = (*_AT, "metrics")
        message = (
            f"{dotted(at)}: every metric is compared with stable, which a change that moves no weight lacks"
        )
        hint = "add a metric with max, or such a change stays where it is until somebody ends it"
        yield subject.finding("GM321", message, at, hint=hint)


def _check_reach(subject: Subject, spec: RolloutPolicySpec, analysis: Analysis) -> Iterator[Diagnostic]:
    """Yield limits that a variant which always fails keeps on the first share of requests."""
    if spec.walk is not Walk.ROUTES and spec.select.kinds != ("DestinationRule",):
        return
    first = next(step.progress for step in spec.steps if step.progress > 0)
    for index, metric in enumerate(analysis.metrics):
        if metric.kind is not Kind.ERRORS or metric.max is None or metric.max < first or first >= 100:
            continue
        at: Path = (*_AT, "metrics", index, "max")
        message = (
            f"{first:g} % of all requests meet the new variant in the first step: if all of these failed,"
        )
        text = f"{dotted(at)}: {message} the limit would be kept"
        yield subject.finding("GM323", text, at, hint=f"write less than {first:g}%, or a larger first step")


def _check_effect(subject: Subject, analysis: Analysis) -> Iterator[Diagnostic]:
    """Yield fields of one mode that are written in the other."""
    written = analysis.model_fields_set
    without: tuple[str, ...] = ()
    if analysis.mode is Mode.THRESHOLD:
        without = ("alpha", "confidence")
    elif all(metric.kind.is_share for metric in analysis.metrics):
        without = ("failures", "of")
    for name in without:
        if name in written:
            at: Path = (*_AT, name)
            message = f"{dotted(at)} has no effect in mode {analysis.mode.value}"
            yield subject.finding("GM322", message, at, hint="leave it out", wants_key=True)
    for index, metric in enumerate(analysis.metrics):
        counted = metric.kind in (Kind.RATE, Kind.VALUE) or (
            analysis.mode is Mode.SEQUENTIAL and not metric.compare
        )
        if counted and "min_requests" in metric.model_fields_set:
            at = (*_AT, "metrics", index, "minRequests")
            why = (
                "is not needed: requests are evidence one by one" if metric.kind.is_share else "has no effect"
            )
            message = f"{dotted(at)} {why}"
            yield subject.finding("GM322", message, at, hint="leave it out", wants_key=True)
