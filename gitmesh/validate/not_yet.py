"""Fields that have a meaning, and are not carried out yet: they are errors, for nothing is ignored silently.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.policy import RolloutPolicySpec
from gitmesh.validate.subject import Path, Subject, dotted


def check_not_yet(subject: Subject, spec: RolloutPolicySpec) -> Iterator[Diagnostic]:
    """Yield the fields that this version does not carry out."""
    for place in _of_policy(spec):
        path: Path = ("spec", *place)
        yield subject.finding(
            "GM309", f"{dotted(path)} is not supported yet", path, hint="leave it out", wants_key=True
        )


def _of_policy(spec: RolloutPolicySpec) -> Iterator[Path]:
    if spec.rollback.revert != "none":
        yield "rollback", "revert"
