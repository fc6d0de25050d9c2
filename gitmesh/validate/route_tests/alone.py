"""What is wrong with a RouteTest, looked at alone.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.route_test import Expect, From, RouteCase, RouteTestSpec
from gitmesh.validate.route_tests.judge import named, qualified
from gitmesh.validate.route_tests.observed import percent_text
from gitmesh.validate.route_tests.reading import request_of
from gitmesh.validate.subject import Path, Subject, dotted

_EXPECTATIONS = (
    "destination, destinations, mustNotReach, status, redirect, path, authority, requestHeaders, "
    "responseHeaders, timeout, retries"
)
_ROUNDING = 0.05  # percent: a third, three times, is not quite all
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def check_route_test(subject: Subject, spec: RouteTestSpec) -> Iterator[Diagnostic]:
    """Yield what is wrong with its own words."""
    yield from _sender(subject, spec.sender, ("spec", "from"))
    names: dict[str, int] = {}
    for index, case in enumerate(spec.cases):
        path: Path = ("spec", "cases", index)
        if case.sender is not None:
            yield from _sender(subject, case.sender, (*path, "from"))
        request, problem = request_of(case)
        if request is None:
            yield subject.finding("GM352", problem, (*path, "request"))
        yield from _expect(subject, case.expect, (*path, "expect"))
        yield from _name(subject, case, path, names)


def _name(subject: Subject, case: RouteCase, path: Path, names: dict[str, int]) -> Iterator[Diagnostic]:
    if not case.name:
        return
    first = names.setdefault(case.name, int(path[-1]))
    if first != path[-1]:
        message = f"two cases have the name {case.name}: the {first + 1}. and the {int(path[-1]) + 1}."
        yield subject.finding("GM360", message, (*path, "name"), hint="a failure is told by it; rename one")


def _sender(subject: Subject, sender: From, path: Path) -> Iterator[Diagnostic]:
    given = [name for name in ("gateway", "workload", "labels") if getattr(sender, name)]
    if sender.gateway and len(given) > 1:
        message = f"{dotted(path)} has {' and '.join(given)}: a gateway is known by its Gateway alone"
        hint = f"leave out {' and '.join(given[1:])}, or the gateway"
        yield subject.finding("GM356", message, (*path, given[1]), hint=hint, wants_key=True)


def _expect(subject: Subject, expect: Expect, path: Path) -> Iterator[Diagnostic]:
    if not expect.model_fields_set or not any(
        getattr(expect, name) not in (None, (), {}) for name in expect.model_fields_set
    ):
        yield subject.finding("GM353", "nothing is expected", path, hint=f"one or more of {_EXPECTATIONS}")
        return
    yield from _shares(subject, expect, path)
    yield from _contradictions(subject, expect, path)


def _shares(subject: Subject, expect: Expect, path: Path) -> Iterator[Diagnostic]:
    if not expect.destinations:
        return
    total = sum(destination.share for destination in expect.destinations)
    where = (*path, "destinations")
    if total > 100 + _ROUNDING:
        bare = [d for d in expect.destinations if "share" not in d.model_fields_set]
        hint = f"give {named(bare[0])} a share; without one it is 100 %" if bare else "they must add to 100 %"
        message = f"the shares add to {percent_text(total)}, which is more than all requests"
        yield subject.finding("GM354", message, where, hint=hint, wants_key=True)
    elif total < 100 - _ROUNDING:
        message = f"the shares add to {percent_text(total)}, and destinations names all that get requests"
        hint = "name the rest too, or say what matters by destination, with its share"
        yield subject.finding("GM354", message, where, hint=hint, wants_key=True)


def _contradictions(subject: Subject, expect: Expect, path: Path) -> Iterator[Diagnostic]:
    def contradict(one: str, other: str, why: str) -> Diagnostic:
        message = f"{one} and {other} cannot both hold: {why}"
        return subject.finding("GM355", message, (*path, other), hint="keep one of them", wants_key=True)

    if expect.destination is not None and expect.destinations:
        yield contradict("destination", "destinations", "the second says where all requests go")
    if expect.redirect is not None:
        for name in ("destination", "destinations", "path", "authority", "request_headers", "timeout"):
            if getattr(expect, name) not in (None, (), {}):
                yield contradict("redirect", _written(name), "a redirected request is not sent on")
        if expect.status is not None and expect.status not in _REDIRECTS:
            yield contradict("redirect", "status", f"{expect.status} is no redirect")
    for index, unwanted in enumerate(expect.must_not_reach):
        namespace = subject.namespace
        for wanted in expect.wanted:
            same = qualified(wanted.host, namespace) == qualified(unwanted.host, namespace)
            covers = unwanted.subset in ("", wanted.subset) and unwanted.port in (None, wanted.port)
            if same and covers and wanted.share:
                message = f"{named(wanted)} must get requests, and {named(unwanted)} must get none"
                place = (*path, "mustNotReach", index)
                yield subject.finding("GM355", message, place, hint="take one of them out")


def _written(name: str) -> str:
    return {"request_headers": "requestHeaders"}.get(name, name)
