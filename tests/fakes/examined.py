"""Files as text, parsed and validated: what most tests of parse and validate begin with."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

from gitmesh.model.config import ParseLimits
from gitmesh.model.context import Context, services_of
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.revision import SourceFile
from gitmesh.parse.manifests import Parsed, parse_files
from gitmesh.parse.positions import Places, pinpoint
from gitmesh.parse.suppressions import Rules, suppress
from gitmesh.validate.catalogue import CATALOGUE
from gitmesh.validate.check import validate
from gitmesh.validate.route_tests.findings import check_around, check_failures
from gitmesh.validate.route_tests.run import read_route_tests, run_route_tests


def files_of(texts: Mapping[str, str | bytes]) -> dict[str, SourceFile]:
    """Return files as fetch hands them over; `texts`: path -> content."""
    contents = {p: t.encode() if isinstance(t, str) else t for p, t in texts.items()}
    return {p: SourceFile(p, hashlib.sha256(c).hexdigest(), c) for p, c in contents.items()}


def parsed(
    texts: Mapping[str, str | bytes] | str,
    *,
    namespace: str = "default",
    limits: ParseLimits | None = None,
    previous: Parsed | None = None,
) -> Parsed:
    """Parse files, or one text as a.yaml."""
    files = files_of({"a.yaml": texts} if isinstance(texts, str) else texts)
    return parse_files(files, default_namespace=namespace, limits=limits or ParseLimits(), previous=previous)


def findings(
    texts: Mapping[str, str | bytes] | str,
    *,
    known_hosts: Collection[str] | None = None,
    context: Context | None = None,
    suppressed: bool = False,
) -> tuple[Diagnostic, ...]:
    """Parse and validate files, or one text as a.yaml, and find the places of what is wrong.

    `known_hosts`: the Services of a cluster, as the daemon knows them. `context`: whatever is known.
    `suppressed`: with the findings that the files themselves want.
    """
    services = None if known_hosts is None else services_of(known_hosts)
    known = context or Context(services=services, advisory=services is not None)
    files = files_of({"a.yaml": texts} if isinstance(texts, str) else texts)
    result = parse_files(files, default_namespace="default", limits=ParseLimits())
    validated = validate(result.resources, context=known, others=result.others)
    tested = run_route_tests(read_route_tests(result.resources, result.others, context=known))
    places = Places(files, result.resources).of
    around = (*check_around(tested), *check_failures(tested, places))
    found = pinpoint(files, (*result.diagnostics, *validated.findings, *around))
    marked = suppress(found, result.suppressions, Rules(CATALOGUE))
    return tuple(d for d in marked if suppressed or not d.suppressed)


def told(texts: Mapping[str, str | bytes] | str, **options: Collection[str] | None) -> list[str]:
    """Return the findings as `line:column CODE`."""
    return [f"{d.at.line}:{d.at.column} {d.code}" if d.at else d.code for d in findings(texts, **options)]
