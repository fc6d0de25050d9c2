"""How evidence is told to people: one line with value, bound, requests and where.

Stage: decide (pure).
"""

from __future__ import annotations

from datetime import timedelta

from gitmesh.decide.weighing import Weighed
from gitmesh.model.analysis import Analysis
from gitmesh.model.evidence import Counts
from gitmesh.model.metric import Kind, Metric
from gitmesh.model.rollout import Evidence, Outcome, Target
from gitmesh.model.values import format_duration


def span(seconds: float) -> str:
    """Write a time in which something was counted."""
    return f"in {format_duration(timedelta(seconds=round(seconds, 1)))}"


def place(target: Target) -> str:
    """Write a target: `reviews v2`. One that both variants go to can only be counted as a whole."""
    host, version = target.host.partition(".")[0], target.version or target.subset
    return (f"{host} {version}" if version else host) + (" as a whole" if target.shared else "")


def percent(value: float) -> str:
    """Write a percentage so that it never looks like less than it is: 0.004 is not 0."""
    return f"{value:.3g}" if value < 1 else f"{round(value, 2):g}"


def blind_text(why: str, target: Target) -> str:
    """Say why there is no verdict."""
    return f"{why} ({place(target)})"


def few_text(requests: float, metric: Metric, window: float, target: Target) -> str:
    """Say that there are too few requests for a verdict."""
    return f"{requests:.0f} of {metric.min_requests} requests {span(window)}, {place(target)}"


def rate_text(metric: Metric, rate: float, when: str, target: Target, *, early: bool) -> str:
    """Say how many requests there are a second."""
    wait = "; not live for so long yet" if early else ""
    return f"{rate:.3g} requests/s, at least {metric.min or 0:g} ({when}, {place(target)}){wait}"


def limit_text(
    metric: Metric, value: float, requests: float | None, failed: float | None, when: str, target: Target
) -> str:
    """Say what the last window shows, and what it is held against."""
    at = place(target)
    if metric.kind is Kind.ERRORS:
        seen = f"{failed or 0:.0f} of {requests or 0:.0f} requests {when}, {at}"
        return f"{percent(value)} % errors, limit {metric.max:g} % ({seen})"
    seen = f"{requests:.0f} requests {when}, {at}" if requests is not None else at
    bounds = [f"limit {metric.max:g}{metric.unit}"] if metric.max is not None else []
    bounds += [f"at least {metric.min:g}{metric.unit}"] if metric.min is not None else []
    return f"{metric.name} {value:.4g}{metric.unit}, {', '.join(bounds)} ({seen})"


def compared_text(metric: Metric, value: float, stable: float, when: str, target: Target) -> str:
    """Say what the last window shows of the canary and of stable."""
    unit, at = metric.unit, place(target)
    margin = f"margin {_margin(metric)}"
    if metric.kind is Kind.ERRORS:
        return f"{percent(value)} % errors, stable {percent(stable)} %, {margin} ({when}, {at})"
    return f"{metric.name} {value:.4g}{unit}, stable {stable:.4g}{unit}, {margin} ({when}, {at})"


def weighed_evidence(item: Weighed, analysis: Analysis, window: timedelta) -> Evidence:
    """Return the evidence that a tally comes to."""
    tally, metric = item.tally, item.metric
    stable = tally.stable_before.percent if metric.compare and tally.stable_before.requests else None
    bound = _bound(metric) if stable is None else stable + _points(metric)
    counts, when = _scope(item, bound, analysis)
    return Evidence(
        metric=metric.name,
        outcome=item.outcome,
        target=item.count.target,
        value=counts.percent if counts.requests else None,
        bound=bound,
        stable=stable,
        requests=counts.requests,
        failed_requests=counts.bad,
        window_seconds=window.total_seconds(),
        above=item.above,
        below=item.below,
        query=item.count.query,
        message=_weighed_text(item, counts, when, stable, analysis),
    )


def _bound(metric: Metric) -> float:
    if metric.kind is Kind.LATENCY:
        return round((1 - metric.quantile) * 100, 6)
    return metric.max or 0.0


def _points(metric: Metric) -> float:
    if metric.kind is Kind.LATENCY:
        return _bound(metric)
    return float(metric.margin.removesuffix("%"))


def _scope(item: Weighed, bound: float, analysis: Analysis) -> tuple[Counts, str]:
    """Return the counts to show: all of the rollout, or what shows best why it failed, or of the step."""
    tally = item.tally
    scopes = [
        (tally.in_rollout, "since it began"),
        (tally.in_step, "in this step"),
        (tally.last, f"in the last {format_duration(analysis.interval)}"),
    ]
    if item.outcome is Outcome.FAIL:
        return next((scope for scope in scopes if scope[0].percent > bound), scopes[0])
    return scopes[1] if tally.in_step.requests else scopes[0]


def _weighed_text(item: Weighed, counts: Counts, when: str, stable: float | None, analysis: Analysis) -> str:
    metric, at = item.metric, place(item.count.target)
    if not item.tally.in_rollout.requests:
        return f"no requests yet ({at})"
    if metric.compare and stable is None:
        return f"stable has had no requests yet ({at})"
    if metric.kind is Kind.LATENCY and metric.compare and item.tally.limit is None:
        return f"too few requests to stable to know how fast it is ({at})"
    limit = item.tally.limit if metric.compare else metric.max
    what = "errors" if metric.kind is Kind.ERRORS else f"slower than {limit or 0:.4g} ms"
    against = f"limit {_bound(metric):g} %"
    if stable is not None:
        against = f"stable {percent(stable)} %, margin {_points(metric):g} %"
    seen = f"{counts.bad:.0f} of {counts.requests:.0f} requests {when}, {at}"
    return f"{percent(counts.percent)} % {what}, {against} ({seen}){_weight(item, analysis)}"


def _weight(item: Weighed, analysis: Analysis) -> str:
    """Say how sure it is."""
    if item.outcome is Outcome.FAIL:
        return f"; by chance in at most {analysis.alpha:g} % of rollouts"
    if item.outcome is Outcome.PASS:
        return ""
    if item.below >= 1:
        return f"; no requests for {format_duration(analysis.window)}"
    return f"; {item.below * 100:.0f} % of the evidence to advance, {item.above * 100:.0f} % to roll back"


def _margin(metric: Metric) -> str:
    return metric.margin.replace("%", " %")
