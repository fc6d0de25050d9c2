"""What the status of a TrafficSource says, in lines for people.

Stage: none (face).
"""

from __future__ import annotations

from gitmesh.engine.report import Source
from gitmesh.model.effect import EffectState


def headline(source: Source) -> str:
    """Return how the source is, in one line; empty before a daemon has looked at it.

    The message of a refused revision quotes its first finding; the findings follow here in full.
    """
    ready = next((c for c in source.status.conditions if c.type == "Ready"), None)
    if ready is None:
        return ""
    message = ready.message
    if source.status.findings and ready.reason == "ValidationFailed":
        message = message.partition(f": {source.status.findings[0].at}: ")[0]
    return message if ready.status == "True" else f"{ready.reason}: {message}"


def finding_lines(source: Source) -> list[str]:
    """Return each finding with its place, each refused object, and below it what to do."""
    lines = []
    for finding in source.status.findings:
        place = f"{finding.at}: " if finding.at else ""
        lines.append(f"{place}{finding.severity} {finding.code}: {finding.message}")
        if finding.hint:
            lines.append(f"    = {finding.hint}")
    for refused in source.status.refusals:
        lines.append(f"{refused.resource or 'the whole plan'}: {refused.cause}: {refused.reason}")
        if refused.hint:
            lines.append(f"    = {refused.hint}")
    return lines


def held_lines(source: Source) -> list[str]:
    """Return the plan that waits for a person, with what it would do."""
    held = source.status.held_plan
    if held is None:
        return []
    lines = [f"plan {held.hash} waits since {held.since:%Y-%m-%d %H:%M:%S} UTC: {held.reason}"]
    lines += [f"    {text}" for text in held.objects]
    return lines


def skipped_lines(source: Source) -> list[str]:
    """Return each object that is left alone, and why."""
    return [
        f"{skipped.resource} is left alone: {skipped.message}"
        + (f" (differs in {', '.join(skipped.fields)})" if skipped.fields else "")
        for skipped in source.status.skipped
    ]


def effect_lines(source: Source) -> list[str]:
    """Return what could not be measured of changed routes: Ready does not say that."""
    ready, effect = (
        next((c for c in source.status.conditions if c.type == type_), None)
        for type_ in ("Ready", "InEffect")
    )
    if not ready or not effect or (ready.status, effect.reason) != ("True", EffectState.NOT_MEASURED):
        return []
    return [f"not measured whether it is in effect: {effect.message}"]
