"""Going through the rules of a host, one alternative after the other, until one takes the request.

Stage: plan (pure). Rule order is the only precedence. Source: istio/istio pilot/pkg/networking/core/route.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gitmesh.istio.matching.answer import Passed, Where
from gitmesh.istio.matching.conditions import Check
from gitmesh.istio.matching.request import Request
from gitmesh.istio.matching.virtual_services import Candidate, is_present


@dataclass(frozen=True, slots=True)
class Found:
    """What takes a request (None: nothing does), by which conditions, and what came before it."""

    candidate: Candidate | None
    held: tuple[Check, ...]
    passed: tuple[Passed, ...]


def evaluate(candidates: Iterable[Candidate], request: Request) -> Found:
    """Find the first alternative whose conditions all hold."""
    passed: list[Passed] = []
    for candidate in candidates:
        where = where_of(candidate)
        if candidate.rule.inert:
            passed.append(Passed(where, (), candidate.rule.inert))
        elif candidate.absent:
            passed.append(Passed(where, candidate.absent))
        else:
            checks = tuple(condition.check(request) for condition in candidate.conditions)
            failed = tuple(check for check in checks if not check.holds)
            if not failed:
                return Found(candidate, (*checks, *candidate.present), tuple(passed))
            passed.append(Passed(where, failed))
    return Found(None, (), tuple(passed))


def where_of(candidate: Candidate) -> Where:
    """Return the place of an alternative."""
    rule = candidate.rule
    match_key, match_path = candidate.place
    return Where(
        key=rule.key,
        path=rule.path,
        name=candidate.name,
        match=candidate.match,
        match_key=match_key,
        match_path=match_path,
        root=rule.root,
        root_path=rule.root_path,
    )


def any_present(candidates: Sequence[Candidate]) -> bool:
    """Say whether a proxy has any of them."""
    return any(is_present(candidate) for candidate in candidates)
