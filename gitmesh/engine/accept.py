"""From a fetched revision to what is desired: parse, validate, and keep the last good one on errors.

Stage: parse, validate (called by the pass).
"""

from __future__ import annotations

from functools import partial

from anyio import to_thread

from gitmesh.engine.memory import Desired, Judged, SourceMemory
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


async def accept(
    memory: SourceMemory, *, default_namespace: str, limits: ParseLimits, known_hosts: frozenset[str]
) -> None:
    """Judge the fetched revision once, and make it desired unless it has an error.

    A broken revision changes nothing: the last good one stays desired, healed and guarded.
    """
    if memory.fetched is None:
        return
    question = Judged(memory.fetched, default_namespace, known_hosts)
    if memory.judged == question:
        return
    work = partial(
        examine,
        question.revision,
        default_namespace=default_namespace,
        limits=limits,
        known_hosts=known_hosts,
        previous=memory.parsed,
    )
    # Reading thousands of documents takes seconds. A rollback waits neither for the thread nor for its end.
    parsed, findings = await to_thread.run_sync(work, abandon_on_cancel=True)
    memory.judged, memory.parsed, memory.findings = question, parsed, findings
    if not has_errors(findings):
        memory.desired = desired_of(question.revision, parsed)
