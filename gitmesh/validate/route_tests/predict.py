"""What GitMesh's own matching says becomes of a request.

Stage: validate (pure). Source: envoyproxy.io, HTTP header manipulation, for the order of operations: what a
weighted destination says comes before what its rule says; where there is one destination they are one list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gitmesh.istio.matching.answer import Answer
from gitmesh.istio.matching.outcome import (
    Fault,
    Forward,
    HeaderChange,
    NoRoute,
    Outside,
    Redirect,
    Respond,
    Share,
)
from gitmesh.istio.matching.request import Request
from gitmesh.validate.route_tests.observed import (
    PASSTHROUGH,
    Observed,
    Origin,
    Part,
    Reply,
    listed,
    percent_text,
)

BLOCKED_STATUS = 502
_REASONS_MAX = 4
_HOST = frozenset({"host", ":authority"})
# Headers that proxies and servers write by themselves; what they hold is not in any rule.
_REQUEST_BY_OTHERS = ("x-envoy-", "x-forwarded-", "x-request-id", "forwarded", "via", "cdn-loop")
_RESPONSE_BY_OTHERS = ("x-envoy-", "server", "date", "content-", "transfer-encoding", "connection", "via")
_CORS = "access-control-"


def predict(answer: Answer, asked: Iterable[str], namespace: str) -> Observed:
    """Return what becomes of a request. `asked`: `requestHeaders.x` and `responseHeaders.x`, in lower case.

    `namespace` is the one in which it is told.
    """
    return _Prediction(answer, frozenset(asked), namespace).observed()


def is_undecided(answer: Answer) -> bool:
    """Say whether only a proxy can tell: it answers a question of a browser by itself."""
    headers = answer.request.headers
    is_preflight = answer.request.method == "OPTIONS" and "access-control-request-method" in headers
    return answer.action.cors and is_preflight and "origin" in headers


class _Prediction:
    def __init__(self, answer: Answer, asked: frozenset[str], namespace: str) -> None:
        self._answer = answer
        self._request: Request = answer.request
        self._asked = asked
        self._namespace = namespace
        self._origin = _origin(answer)
        self._reasons = tuple(_reasons(answer))[:_REASONS_MAX]

    def observed(self) -> Observed:
        """Return what becomes of it."""
        outcome, fault = self._answer.action.outcome, self._answer.action.fault
        aborted = _abort_always(fault)
        if aborted is not None and isinstance(outcome, Forward):
            return self._replied(f"{aborted}: a fault aborts it", aborted, ())
        match outcome:
            case Forward():
                return self._forwarded(outcome, fault)
            case Redirect(status, location):
                changes = self._answer.action.changes
                return self._replied(f"redirect {status} to {location}", status, changes, location)
            case Respond(status):
                changes = self._answer.action.changes
                return self._replied(f"{status}: the proxy answers itself", status, changes)
            case NoRoute(why, status):
                text = f"{status}: {why}" if status else why
                return self._replied(text, status or None, ())
            case Outside(blocked):
                return self._outside(blocked)

    def _forwarded(self, outcome: Forward, fault: Fault | None) -> Observed:
        parts = tuple(_part(share) for share in outcome.shares)
        copies = tuple(
            Part(m.destination.host, m.destination.subset, m.destination.port, m.percent)
            for m in outcome.mirrors
        )
        says = listed(parts, self._namespace)
        if fault is not None and fault.abort:
            says += f" (but {fault.abort} for {percent_text(fault.abort_percent)}: a fault)"
        return Observed(
            says=says,
            parts=parts,
            copies=copies,
            replies=tuple(self._arrival(share, outcome) for share in outcome.shares),
            sent_on=True,
            timeout_seconds=outcome.timeout_seconds,
            retries=outcome.retries.attempts,
            origin=self._origin,
            reasons=self._reasons,
        )

    def _arrival(self, share: Share, outcome: Forward) -> Reply:
        changes = in_order(share.changes, self._answer.action.changes, alone=len(outcome.shares) == 1)
        request, unsure = changed(self._request.headers, changes, "request")
        response, unsure_too = changed({}, changes, "response")
        path, query = self._request.path, self._request.target.partition("?")
        whole = outcome.rewrite.path or path + (f"?{query[2]}" if query[1] else "")
        host = next((c.value for c in share.changes if _sets_host(c)), "")
        authority = host or outcome.rewrite.authority or self._request.authority
        return Reply(
            label=_part(share).label(self._namespace),
            arrives=True,
            status=200,
            path=whole,
            authority=authority,
            request_headers=request,
            response_headers=response,
            unsure=frozenset({*unsure, *unsure_too, *self._unsure(request, response)}),
        )

    def _unsure(self, request: Iterable[str], response: Iterable[str]) -> Iterator[str]:
        by_others = (*_RESPONSE_BY_OTHERS, *((_CORS,) if self._answer.action.cors else ()))
        for field in self._asked:
            side, _, name = field.partition(".")
            starts = _REQUEST_BY_OTHERS if side == "requestHeaders" else by_others
            if name.startswith(starts) and name not in (request if side == "requestHeaders" else response):
                yield field

    def _replied(
        self, says: str, status: int | None, changes: tuple[HeaderChange, ...], location: str = ""
    ) -> Observed:
        response, unsure = changed({"location": location} if location else {}, changes, "response")
        unsure |= set(self._unsure((), response))
        reply = Reply("", arrives=False, status=status, response_headers=response, unsure=frozenset(unsure))
        return Observed(says, replies=(reply,), location=location, origin=self._origin, reasons=self._reasons)

    def _outside(self, blocked: bool) -> Observed:
        host = self._request.host
        if blocked:
            return self._replied(f"{BLOCKED_STATUS}: the mesh knows no {host}, and lets nothing out", 502, ())
        headers = self._request.headers
        unsure = {"status", *self._asked}
        target, authority = self._request.target, self._request.authority
        reply = Reply("", True, None, target, authority, headers, {}, frozenset(unsure))
        return Observed(
            says=f"it leaves the mesh ({PASSTHROUGH}), which knows no {host}",
            parts=(Part(PASSTHROUGH),),
            replies=(reply,),
            sent_on=True,
            reasons=self._reasons,
        )


def in_order(
    own: tuple[HeaderChange, ...], of_rule: tuple[HeaderChange, ...], *, alone: bool
) -> tuple[HeaderChange, ...]:
    """Return the operations of a destination and of its rule in the order of effect."""
    if not alone:
        return (*_removals_first(own), *_removals_first(of_rule))
    return tuple(_removals_first((*of_rule, *own)))


def _removals_first(changes: Iterable[HeaderChange]) -> list[HeaderChange]:
    return sorted(changes, key=lambda change: change.verb != "remove")


def changed(
    headers: Mapping[str, str], changes: Iterable[HeaderChange], side: str
) -> tuple[dict[str, str], set[str]]:
    """Return headers after operations, and the fields whose values only a proxy knows."""
    found, unsure = dict(headers), set[str]()
    for change in changes:
        name = change.name.lower()
        if change.side != side or name in _HOST or name.startswith(":"):
            continue
        value = change.value.replace("%%", "")
        if "%" in value:
            unsure.add(f"{side}Headers.{name}")
            continue
        value = change.value.replace("%%", "%")
        if change.verb == "remove":
            found.pop(name, None)
        elif value:  # Envoy sets nothing to nothing
            both = change.verb == "add" and name in found
            found[name] = f"{found[name]},{value}" if both else value
    return found, unsure


def _sets_host(change: HeaderChange) -> bool:
    return change.side == "request" and change.verb in ("set", "add") and change.name.lower() in _HOST


def _part(share: Share) -> Part:
    where = share.destination
    return Part(where.host, where.subset, where.port, share.percent)


def _abort_always(fault: Fault | None) -> int | None:
    """Return the status that every request gets; a gRPC status comes with 200."""
    if fault is None or not fault.abort or fault.abort_percent < 100:
        return None
    return int(fault.abort) if fault.abort.isdecimal() else 200


def _origin(answer: Answer) -> Origin | None:
    taken = answer.taken
    return Origin(taken.key, taken.path, taken.name) if taken else None


def _reasons(answer: Answer) -> Iterator[str]:
    """Yield why nothing before takes the request."""
    yield from answer.notes
    for passed in answer.passed:
        if passed.reasons:
            called = f"rule {passed.where.name}" if passed.where.name else f"rule {passed.where.path[-1]}"
            yield f"not {called}: {' and '.join(passed.reasons)}"
    for unheard in answer.unheard:
        yield f"not {unheard.key}: {unheard.why}"
