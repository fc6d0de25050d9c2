"""Fields that have a meaning, and are not carried out yet: they are errors, for nothing is ignored silently.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.freeze import FreezeSpec
from gitmesh.model.policy import RolloutPolicySpec
from gitmesh.model.steps import Step
from gitmesh.validate.subject import Path, Subject, dotted


def check_not_yet(subject: Subject, spec: RolloutPolicySpec | FreezeSpec) -> Iterator[Diagnostic]:
    """Yield the fields that this version does not carry out."""
    found = _of_policy(spec) if isinstance(spec, RolloutPolicySpec) else iter([("select",)])
    for place in found:
        path: Path = ("spec", *place) if isinstance(spec, RolloutPolicySpec) else ("spec",)
        message = f"{dotted(path)} is not supported yet"
        yield subject.finding("GM309", message, path, hint="leave it out", wants_key=True)


def _of_policy(spec: RolloutPolicySpec) -> Iterator[Path]:
    for index, step in enumerate(spec.steps):
        yield from (("steps", index, name) for name in _of_step(step))
    written = {
        "windows": spec.windows,
        "maxConcurrent": spec.max_concurrent,
        "after": spec.after,
        "group": spec.group,
        "deadline": spec.deadline,
    }
    yield from ((name,) for name, value in written.items() if value)
    if spec.rollback.revert != "none":
        yield "rollback", "revert"


def _of_step(step: Step) -> Iterator[str]:
    if step.gate:
        yield "gate"
