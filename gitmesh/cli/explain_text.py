"""An explained request, for people.

Stage: none (face).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gitmesh.cli.places import Places
from gitmesh.cli.plain import plain
from gitmesh.istio.matching.answer import Answer, Where
from gitmesh.istio.matching.outcome import (
    Action,
    Fault,
    Forward,
    Mirror,
    NoRoute,
    Outside,
    Redirect,
    Respond,
    Retries,
    Share,
)
from gitmesh.istio.routes import Destination
from gitmesh.model.resource import ResourceKey
from gitmesh.playground.explanation import Explanation
from gitmesh.playground.translate.fields import render_path

_PASSED_MAX = 40
_MIRRORED_ALL = 100


def explanation_text(found: Explanation, places: Places) -> str:
    """Return all of it: what takes the request, what happens, what came before, and who was not asked."""
    answer = found.answer
    blocks = [
        _request(answer),
        _taken(answer, places),
        _outcome(answer),
        _on_the_way(answer.action),
        _passed(answer, places),
        _unheard(answer),
        _notes(found),
        _differences(found),
    ]
    return "\n\n".join("\n".join(lines) for lines in map(list, blocks) if lines)


def _request(answer: Answer) -> Iterator[str]:
    request, caller = answer.request, answer.caller
    yield plain(f"{request.method} {request.url}")
    for name, value in request.sent:
        yield plain(f"  {name}: {value}")
    labels = ", ".join(f"{name}={value}" for name, value in sorted(caller.labels.items()))
    at = "at gateway" if caller.is_gateway else "from"
    yield plain(f"  {at} {caller.name or 'client'} (namespace {caller.namespace}; {labels or 'no labels'})")


def _taken(answer: Answer, places: Places) -> Iterator[str]:
    if answer.taken is None:
        if isinstance(answer.action.outcome, Forward):
            yield plain(f"No VirtualService has a say: the service {answer.host} itself takes it.")
        return
    where = answer.taken
    yield f"Taken by {where.key}, {_rule(where)}"
    yield from _at(where.match_key, where.match_path, places)
    if where.root != where.key:
        yield f"  to which {where.root}, {render_path(where.root_path)}, delegates"
        yield from _at(where.root, where.root_path, places)
    if answer.held:
        yield from (f"  as {plain(str(check))}" for check in answer.held)
    else:
        yield "  as it has no condition on requests"


def _rule(where: Where) -> str:
    # A condition of the root holds for the rule of its delegate, so the rule is named beside it.
    rule = render_path(where.path)
    match = render_path(where.match_path)
    shown = match if where.match_key == where.key else f"{rule} with {where.match_key}, {match}"
    return plain(f'{shown} "{where.name}"' if where.name else shown)


def _at(key: ResourceKey, path: tuple[str | int, ...], places: Places) -> Iterator[str]:
    at = places.of(key, path)
    if at is not None:
        yield plain(f"  at {at}")


def _outcome(answer: Answer) -> Iterator[str]:
    match answer.action.outcome:
        case Forward(shares):
            yield "It goes to"
            yield from (_share(share) for share in shares)
        case Redirect(status, location):
            yield plain(f"It is answered with {status}, to {location}")
        case Respond(status, body):
            yield plain(f"It is answered with {status}" + (f": {body}" if body else ""))
        case NoRoute(why, 0):
            yield plain(f"It is not looked at: {why}.")
        case NoRoute(why, status):
            yield plain(f"It is answered with {status}: {why}.")
        case Outside(blocked=True):
            yield plain(
                f"It is answered with 502: the mesh does not know {answer.request.host} (REGISTRY_ONLY)."
            )
        case Outside():
            yield plain(f"It leaves the mesh as it is, for {answer.request.host} (ALLOW_ANY).")


def _share(share: Share) -> str:
    return plain(f"  {f'{share.percent:.4g} %':>7}  {_destination(share.destination)}")


def _destination(where: Destination) -> str:
    subset = f"{where.subset} of " if where.subset else ""
    return f"{subset}{where.host}, port {where.port}"


def _on_the_way(action: Action) -> Iterator[str]:
    rows = list(_rows(action))
    if rows:
        yield "On the way"
        yield from (plain(f"  {name:<9} {text}") for name, text in rows)


def _rows(action: Action) -> Iterator[tuple[str, str]]:
    if isinstance(action.outcome, Forward):
        forward = action.outcome
        if forward.rewrite.path:
            yield "path", f"becomes {forward.rewrite.path}"
        if forward.rewrite.authority:
            yield "host", f"becomes {forward.rewrite.authority}"
        timeout = forward.timeout_seconds
        yield "timeout", f"{timeout:g}s" if timeout else "none (Istio's default)"
        yield "retries", _retries(forward.retries)
        yield from (("mirror", _mirror(mirror)) for mirror in forward.mirrors)
        yield from (
            ("header", f"{operation}, to {share.destination.label}")
            for share in forward.shares
            for operation in share.headers
        )
    yield from (("header", operation) for operation in action.headers)
    if action.fault:
        yield from (("fault", text) for text in _faults(action.fault))
    if action.cors:
        yield "cors", "the rule has a corsPolicy"


def _retries(retries: Retries) -> str:
    if not retries.attempts:
        return "none"
    per_try = f", {retries.per_try_seconds:g}s for each try" if retries.per_try_seconds else ""
    whose = " (Istio's default)" if retries.is_default else ""
    return f"{retries.attempts}{whose}, on {retries.on}{per_try}"


def _mirror(mirror: Mirror) -> str:
    share = "" if mirror.percent >= _MIRRORED_ALL else f" of {mirror.percent:g} %"
    return f"a copy{share} to {_destination(mirror.destination)}"


def _faults(fault: Fault) -> Iterator[str]:
    if fault.delay_seconds:
        yield f"{fault.delay_percent:g} % are held back for {fault.delay_seconds:g}s"
    if fault.abort:
        yield f"{fault.abort_percent:g} % are answered with {fault.abort}"


def _passed(answer: Answer, places: Places) -> Iterator[str]:
    if not answer.passed:
        return
    yield "Rules before it that do not take it" if answer.taken else "Rules that do not take it"
    for passed in answer.passed[:_PASSED_MAX]:
        where = passed.where
        at = places.of(where.match_key, where.match_path)
        yield plain(f"  {where.key} {_rule(where)}" + (f"  {at}" if at else ""))
        yield from (plain(f"    {reason}") for reason in passed.reasons)
    if len(answer.passed) > _PASSED_MAX:
        yield f"  and {len(answer.passed) - _PASSED_MAX} more"


def _unheard(answer: Answer) -> Iterator[str]:
    if answer.unheard:
        yield "Also for this host, without a say here"
        yield from (plain(f"  {unheard.key}: {unheard.why}") for unheard in answer.unheard)


def _notes(found: Explanation) -> Iterator[str]:
    yield from (plain(f"Note: {note}.") for note in found.answer.notes)
    yield from (f"Note: no file defines {assumed}: it is assumed." for assumed in _relevant(found))


def _relevant(found: Explanation) -> Iterable[str]:
    """Return the assumptions that this answer rests on."""
    hosts = {found.answer.host}
    if isinstance(found.answer.action.outcome, Forward):
        hosts |= {share.destination.host for share in found.answer.action.outcome.shares}
    return [assumed for assumed in found.assumed if assumed.partition(" ")[0] in hosts]


def _differences(found: Explanation) -> Iterator[str]:
    if found.differences:
        yield "Envoy says otherwise, and Envoy is right; the reasons above are not to be trusted:"
        yield from (plain(f"  {difference}") for difference in found.differences)
