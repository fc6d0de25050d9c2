"""What is wrong with route tests beside other objects, and which of them fail, as findings.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

from gitmesh.istio.hosts import covers
from gitmesh.model.diagnostic import Diagnostic, Severity
from gitmesh.model.resource import Location, ResourceKey
from gitmesh.model.route_test import ALL_CASES_MAX, Reached
from gitmesh.model.spelling import closest
from gitmesh.validate.route_tests.callers import Unknown, caller_of, words
from gitmesh.validate.route_tests.judge import qualified
from gitmesh.validate.route_tests.observed import WAYS_OUT, Observed, short_host
from gitmesh.validate.route_tests.reading import Case, Path
from gitmesh.validate.route_tests.run import Result, Tested
from gitmesh.validate.route_tests.world import World, meant_by
from gitmesh.validate.subject import Subject, dotted

_LOOKS_MAX, _NAMES_LOOKED_AT_MAX = 10, 300
# Says where a field of an object stands; None where that is not known.
PlaceOf = Callable[[ResourceKey, Path], Location | None]


def check_around(tested: Tested) -> Iterator[Diagnostic]:
    """Yield who and what the tests name and nobody knows."""
    if tested.world is None:
        return
    total = sum(len(document.cases) for document in tested.documents.values())
    if total > ALL_CASES_MAX:
        last = list(tested.documents.values())[-1].resource
        message = f"there are {total} cases; those after the first {ALL_CASES_MAX} are not run"
        yield Subject(last).finding("GM361", message, ("metadata", "name"), hint="take some of them out")
    near, world = _Near(tested.world), tested.world
    found = (
        finding for case in tested.cases for finding in (*_caller(case, world), *_hosts(case, world, near))
    )
    yield from dict.fromkeys(found)  # what all cases of a test share is said once


def _caller(case: Case, world: World) -> Iterator[Diagnostic]:
    caller = caller_of(case.sender, case.namespace, world)
    if isinstance(caller, Unknown):
        path: Path = (*case.path, "from") if _own_sender(case) else ("spec", "from")
        finding = _finding(case, "GM357", caller.message, (*path, caller.field), hint=caller.hint)
        yield finding if world.is_sure or not caller.may_be_elsewhere else _softened(finding)


def _own_sender(case: Case) -> bool:
    cases = case.resource.spec.get("cases")
    return isinstance(cases, list) and "from" in cases[case.index]


def _hosts(case: Case, world: World, near: _Near) -> Iterator[Diagnostic]:
    request = case.request
    if request is not None and case.expect.wanted:
        namespace = case.sender.namespace or case.namespace
        wants_out = any(destination.host in WAYS_OUT for destination in case.expect.wanted)
        served = any(_is_served(host, world) for host in meant_by(request.host, namespace))
        if not served and not wants_out and not case.sender.gateway:
            yield _unserved(case, request.host, (*case.path, "request"), namespace, near)
    for reached, path in _named(case):
        host = qualified(reached.host, case.namespace)
        if host in WAYS_OUT:
            continue
        if not _is_served(host, world):
            yield _unserved(case, reached.host, (*path, "host"), case.namespace, near)
        elif reached.subset and reached.subset not in world.subsets.get(host, ()):
            known = sorted(world.subsets.get(host, ()))
            meant = closest(reached.subset, known)
            hint = f"did you mean {meant}?" if meant else f"subsets: {', '.join(known) or 'none'}"
            message = f'no DestinationRule defines subset "{reached.subset}" of host {reached.host}'
            yield _finding(case, "GM359", message, (*path, "subset"), hint=hint)


def _named(case: Case) -> Iterator[tuple[Reached, Path]]:
    expect, path = case.expect, (*case.path, "expect")
    if expect.destination is not None:
        yield expect.destination, (*path, "destination")
    for name, several in (("destinations", expect.destinations), ("mustNotReach", expect.must_not_reach)):
        for index, reached in enumerate(several):
            yield reached, (*path, name, index)


def _is_served(host: str, world: World) -> bool:
    if host in world.hosts:
        return True
    return any(covers(pattern, host) for pattern in world.hosts if pattern.startswith("*"))


def _unserved(case: Case, host: str, path: Path, namespace: str, near: _Near) -> Diagnostic:
    meant = near.to(host, namespace)
    hint = f"did you mean {meant}?" if meant else "write the name of a Service, or a whole host"
    message = f"nobody serves the host {host}: no Service, ServiceEntry or VirtualService has it"
    finding = _finding(case, "GM358", message, path, hint=hint)
    return finding if near.world.is_sure else _softened(finding)


class _Near:
    """Finds the host that is meant. Looking through thousands of names, again and again, would take long."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._left = _LOOKS_MAX

    def to(self, host: str, namespace: str) -> str:
        """Return the host that was probably meant; empty where that is not clear."""
        whole = next((known for known in meant_by(host, namespace) if known in self.world.hosts), "")
        if whole or not self._left:
            return whole
        self._left -= 1
        names = {short_host(known, namespace) for known in islice(self.world.hosts, _NAMES_LOOKED_AT_MAX)}
        return closest(host, names) or ""


def check_failures(tested: Tested, place_of: PlaceOf) -> Iterator[Diagnostic]:
    """Yield a finding for each case that fails. `place_of` says where the rule stands that is to blame."""
    for result in tested.results:
        if result.failed:
            finding = _finding(result.case, "GM350", failure_text(result, place_of), result.case.path)
            finding = replace(finding, hint=why_text(result.observed) if result.observed else "")
            yield _softened(finding) if result.rests_on_cluster else finding


def failure_text(result: Result, place_of: PlaceOf) -> str:
    """Return what was expected, what happens, and by which rule, in one line."""
    case, observed = result.case, result.observed
    called = case.text if case.name == case.text else f"{case.name} ({case.text})"
    sent = "".join(f" -H '{name}: {value}'" for name, value in list(_headers(case).items())[:3])
    missed = "; ".join(map(str, result.misses))
    text = f"{called}{sent}, from {words(case.sender, case.namespace)}: {missed}"
    by = origin_text(observed, place_of)
    return f"{text}, by {by}" if by else text


def _headers(case: Case) -> dict[str, str]:
    return dict(case.request.headers) if case.request else {}


def origin_text(observed: Observed | None, place_of: PlaceOf) -> str:
    """Return the rule that takes the request, and where it stands."""
    origin = observed.origin if observed else None
    if origin is None:
        return ""
    place = place_of(origin.key, origin.path)
    return f"{origin} at {place}" if place else f"{origin}, {dotted(origin.path)}"


def why_text(observed: Observed) -> str:
    """Return why no earlier rule takes the request."""
    return "; ".join(observed.reasons)


def _finding(case: Case, code: str, message: str, path: Path, *, hint: str = "") -> Diagnostic:
    return Subject(case.resource).finding(code, message, path, hint=hint)


def _softened(finding: Diagnostic) -> Diagnostic:
    """A commit is not refused for what comes and goes in a cluster without one, or may be there."""
    return replace(finding, severity=Severity.WARNING)
