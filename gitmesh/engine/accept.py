"""From a fetched revision to what is desired: parse, validate, and keep the last good one on errors.

Stage: parse, validate (called by the pass).
"""

from __future__ import annotations

from gitmesh.engine.memory import Desired, SourceMemory
from gitmesh.model.config import ParseLimits
from gitmesh.model.diagnostic import Diagnostic, has_errors
from gitmesh.model.kinds import NETWORKING
from gitmesh.model.revision import Revision
from gitmesh.parse.manifests import Parsed, parse_files
from gitmesh.parse.positions import pinpoint
from gitmesh.validate.check import validate
from gitmesh.validate.policies import read_policies


def examine(
    revision: Revision,
    *,
    default_namespace: str,
    limits: ParseLimits,
    known_hosts: frozenset[str] | None,
    previous: Parsed | None = None,
) -> tuple[Parsed, tuple[Diagnostic, ...]]:
    """Parse and validate every file of a revision; findings say file:line:column."""
    parsed = parse_files(
        revision.files, default_namespace=default_namespace, limits=limits, previous=previous
    )
    found = (
        *revision.diagnostics,
        *parsed.diagnostics,
        *validate(parsed.resources, known_hosts=known_hosts),
    )
    return parsed, pinpoint(revision.files, found)


def desired_of(revision: Revision, parsed: Parsed) -> Desired:
    """Keep what is to be applied, and the policies, of a revision without errors."""
    traffic = {key: r for key, r in parsed.resources.items() if key.group == NETWORKING}
    return Desired(revision, traffic, read_policies(parsed.resources))


def accept(
    memory: SourceMemory, *, default_namespace: str, limits: ParseLimits, known_hosts: frozenset[str]
) -> bool:
    """Judge the fetched revision once, and make it desired unless it has an error.

    A broken revision changes nothing: the last good one stays desired, healed and guarded.
    Returns True when the judgement is new.
    """
    revision = memory.fetched
    if revision is None:
        return False
    question = (revision.commit, default_namespace, known_hosts)
    if memory.judged == question:
        return False
    memory.parsed, memory.findings = examine(
        revision,
        default_namespace=default_namespace,
        limits=limits,
        known_hosts=known_hosts,
        previous=memory.parsed,
    )
    memory.judged = question
    if not has_errors(memory.findings):
        memory.desired = desired_of(revision, memory.parsed)
    return True
