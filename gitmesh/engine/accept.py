"""From a fetched revision to what may become desired: parse, validate, keep the last good one on errors.

Stage: parse, validate (called by the pass).
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from gitmesh.engine.memory import Desired, Examined, Judged, SourceMemory
from gitmesh.model.config import Config, ParseLimits
from gitmesh.model.context import NOTHING_KNOWN, Context
from gitmesh.model.diagnostic import MORE_FINDINGS, Diagnostic, Severity, has_errors
from gitmesh.model.edition import Edition, changed_between, next_edition
from gitmesh.model.kinds import NETWORKING
from gitmesh.model.revision import Revision
from gitmesh.parse.manifests import Parsed, parse_files
from gitmesh.parse.positions import Places, pinpoint_again
from gitmesh.parse.suppressions import Rules, suppress
from gitmesh.plan.foundations import foundations_in
from gitmesh.plan.masking import unrevealing
from gitmesh.validate.catalogue import CATALOGUE
from gitmesh.validate.check import Validated, validate
from gitmesh.validate.confinement import Bounds, outside
from gitmesh.validate.guardrails_plan import plan_guardrails
from gitmesh.validate.policies import read_freezes, read_policies
from gitmesh.validate.route_tests.findings import check_around, check_failures
from gitmesh.validate.route_tests.run import Tested, read_route_tests, run_route_tests
from gitmesh.validate.rules_schemas import SCHEMA_RULES
from gitmesh.validate.schemas.definitions import NO_SCHEMAS, Schemas

if TYPE_CHECKING:  # it loads much that `gitmesh validate` has no use for
    from gitmesh.engine.report import Source
    from gitmesh.observe.live import LiveState

MANY_FILES = 500
SCHEMA_UNKNOWN = "GM500"
UNJUDGED = "GM007"
ROUTE_TEST_FAILS = "GM350"


def examine(
    revision: Revision,
    *,
    default_namespace: str,
    limits: ParseLimits,
    context: Context = NOTHING_KNOWN,
    schemas: Schemas = NO_SCHEMAS,
    previous: Examined | None = None,
) -> Examined:
    """Parse and validate every file of a revision; findings say file:line:column.

    `schemas`: of kinds that GitMesh does not manage, beside what the files themselves define.
    """
    before = previous or Examined()
    with _collected_later() if _is_much(revision, before.parsed) else nullcontext():
        parsed = parse_files(
            revision.files, default_namespace=default_namespace, limits=limits, previous=before.parsed
        )
        validated = validate(
            parsed.resources,
            context=context,
            others=parsed.others,
            schemas=schemas,
            previous=before.validated,
        )
        tested = read_route_tests(parsed.resources, parsed.others, context=context, previous=before.tested)
        read = Examined(parsed, validated, before.placed, tested)
        return _placed(revision, limits, read, before.tested)


def _is_much(revision: Revision, before: Parsed) -> bool:
    """Say whether there are many files that were not read before."""
    known = before.files.get
    new = (path for path, file in revision.files.items() if (w := known(path)) is None or w.blob != file.blob)
    return next(islice(new, MANY_FILES, None), None) is not None


@contextmanager
def _collected_later() -> Iterator[None]:
    """Look for no garbage meanwhile: all that is made is kept, and looking through it again and again would
    make the time grow faster than the number of documents.

    Freezing and unfreezing makes what was made as old as it will be, so that not even the first look after
    this is through all of it. Source: docs.python.org, gc.unfreeze: back into the oldest generation. What is
    garbage by then stays for long, so this is for many documents only.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.freeze()
            gc.unfreeze()
            gc.enable()


def _placed(revision: Revision, limits: ParseLimits, read: Examined, tested_before: Tested) -> Examined:
    """Find the places of findings, and run the route tests where nothing is wrong otherwise."""
    parsed, validated = read.parsed, read.validated
    wanted = parsed.suppressions
    unchecked = _unchecked(validated) if wanted else frozenset()
    found = (
        *revision.diagnostics,
        *parsed.diagnostics,
        *validated.findings,
        *check_around(read.tested),
    )
    placed = pinpoint_again(revision.files, found, read.placed)
    untested = Rules(CATALOGUE, unchecked | {ROUTE_TEST_FAILS}, limits.diagnostics_max)
    findings = suppress(placed.findings, wanted, untested)
    if has_errors(findings):
        return replace(read, placed=placed, findings=unrevealing(findings, parsed.resources))
    tested = run_route_tests(read.tested, tested_before)
    failures = tuple(check_failures(tested, Places(revision.files, parsed.resources).of))
    if failures:
        placed = pinpoint_again(revision.files, (*found, *failures), placed)
    if failures or wanted:
        findings = suppress(placed.findings, wanted, Rules(CATALOGUE, unchecked, limits.diagnostics_max))
    return replace(read, placed=placed, tested=tested, findings=unrevealing(findings, parsed.resources))


def _unchecked(validated: Validated) -> frozenset[str]:
    """Return the codes of the rules that lacked something to look at; so their suppressions are not idle."""
    codes = {found.code for one in validated.looked for found in one.unchecked}
    codes.update(info.code for info in validated.unchecked)
    if SCHEMA_UNKNOWN in codes:
        codes.update(rule.code for rule in SCHEMA_RULES)
    return frozenset(codes)


def known_of(live: LiveState) -> Context:
    """Return what a pass knows of the cluster. A commit is not refused for what is missing there.

    Who sees one namespace alone does not know which Services there are.
    """
    return Context(services=None if live.namespace else live.services, advisory=True)


def bounds_of(source: Source, config: Config) -> Bounds:
    """Return where the objects of a source may be."""
    if any(fnmatchcase(source.name, pattern) for pattern in config.cross_namespace):
        return Bounds()
    return Bounds(source.resource.key.namespace, tuple(source.spec.foundations))


def outside_of(parsed: Parsed, bounds: Bounds) -> tuple[Diagnostic, ...]:
    """Return an error for each object of a revision that its source may not change."""
    return tuple(outside([*parsed.resources.values(), *parsed.others.values()], bounds))


def desired_of(revision: Revision, parsed: Parsed, before: Desired | None = None) -> Desired:
    """Keep what is to be applied, and what rules its way, of a revision without errors.

    Of `before` everything is taken over that has not changed since.
    """
    managed, foundations = parsed.resources, foundations_in(parsed.others)
    changed = changed_between(before.managed, managed) if before is not None else None
    if before is not None and changed is not None and all(key.group == NETWORKING for key in changed):
        return replace(
            before,
            revision=revision,
            resources=next_edition(before.resources, changed, managed),
            restored=False,
            managed=managed,
            foundations=foundations,
            _chosen={},
            _steered=[],
            _contents={},
        )
    traffic = Edition({key: r for key, r in managed.items() if key.group == NETWORKING})
    policies, guardrails = read_policies(managed), plan_guardrails(managed)
    return Desired(
        revision,
        traffic,
        policies,
        managed=managed,
        guardrails=guardrails,
        freezes=read_freezes(managed),
        foundations=foundations,
    )


def _is_news(finding: Diagnostic) -> bool:
    """What files themselves want, and remarks, are nothing for people who follow the cluster."""
    return not finding.suppressed and (finding.severity is not Severity.INFO or finding.code == MORE_FINDINGS)


def question_of(source: Source, revision: Revision, live: LiveState, config: Config) -> Judged:
    """Return what is asked of a revision now: its findings depend on more than its files."""
    return Judged(revision, source.default_namespace, known_of(live), bounds_of(source, config))


async def read_ahead(memory: SourceMemory, question: Judged, limits: ParseLimits) -> None:
    """Read and check a revision before a pass looks at it.

    Thousands of documents take seconds, and a repository may hold as many as it likes: passes, which are one
    after another for all sources, wait for none of it. What goes wrong here the pass meets again, and tells.
    """
    if memory.judged is not None and memory.judged.revision is question.revision:
        return
    with contextlib.suppress(Exception):
        memory.ahead = question, await _examined(memory, question, limits)


async def accept(memory: SourceMemory, question: Judged, *, limits: ParseLimits, log: Any) -> None:
    """Judge the fetched revision once, and make it a candidate unless it has an error.

    A broken revision changes nothing: the last good one stays desired, healed and guarded. The same goes for
    one that we stumble over.
    """
    if memory.judged == question:
        return
    try:
        ahead = memory.ahead
        known = ahead is not None and ahead[0] == question
        examined = ahead[1] if ahead and known else await _examined(memory, question, limits)
        memory.ahead = None
        found = (*outside_of(examined.parsed, question.bounds), *examined.findings)
        findings = tuple(finding for finding in found if _is_news(finding))
        candidate = memory.candidate
        if not has_errors(findings):
            candidate = desired_of(question.revision, examined.parsed, candidate or memory.desired)
    except Exception as error:
        log.exception("judging failed unexpectedly", stage="validate", revision=question.revision.short)
        memory.judged, memory.findings = question, (_stumbled(question.revision, error),)
        return
    memory.judged, memory.examined, memory.findings = question, examined, findings
    if candidate is not memory.candidate and candidate is not None:
        memory.candidate = candidate
        if memory.desired is not None:
            candidate.learn(memory.desired)


async def _examined(memory: SourceMemory, question: Judged, limits: ParseLimits) -> Examined:
    work = partial(
        examine,
        question.revision,
        default_namespace=question.default_namespace,
        limits=limits,
        context=question.context,
        previous=memory.ahead[1] if memory.ahead else memory.examined,
    )
    # A rollback waits neither for the thread nor for its end.
    return await to_thread.run_sync(work, abandon_on_cancel=True)


def _stumbled(revision: Revision, error: Exception) -> Diagnostic:
    return Diagnostic(
        UNJUDGED,
        Severity.ERROR,
        f"GitMesh failed while it judged {revision.short} ({type(error).__name__}); nothing of it is applied",
        "this is a mistake in GitMesh: please report it, with the log; until then, take the change back",
    )
