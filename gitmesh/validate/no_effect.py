"""What Istio accepts in an HTTP rule although it does nothing, or fails in Envoy.

Stage: validate (pure). Source: istio/istio pilot/pkg/networking/core/route/route.go, TranslateRoute, and what
Envoy 1.40 does with the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gitmesh.istio.hosts import fully_qualified
from gitmesh.istio.models.common import Destination, Percentage
from gitmesh.istio.models.scalars import duration_nanoseconds
from gitmesh.istio.models.virtual_service import (
    HTTPMatch,
    HTTPRoute,
    HTTPRouteDestination,
    RouteDestination,
    VirtualServiceSpec,
)
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.subject import Path, Subject, dotted

_REDIRECT_CODES = (301, 302, 303, 307, 308)
_WHOLE = 100
# A sum that is a larger power of ten is meant: shares below one percent.
_FINE_SUMS = (1_000, 10_000, 100_000)


def check_effect(subject: Subject, spec: VirtualServiceSpec) -> Iterator[Diagnostic]:
    """Yield what does not do what it says."""
    names: dict[str, int] = {}
    for index, rule in enumerate(spec.http):
        path: Path = ("spec", "http", index)
        if rule.name and names.setdefault(rule.name, index) != index:
            message = f"http[{names[rule.name]}] has the name {rule.name[:80]}, too"
            hint = "give each rule its own name: metrics and rollouts tell rules apart by it"
            yield subject.finding("GM409", message, (*path, "name"), hint=hint)
        yield from _rule(subject, rule, path)
    for index, tcp in enumerate(spec.tcp):
        yield from _shares(subject, tcp.route, ("spec", "tcp", index))
    for index, tls in enumerate(spec.tls):
        yield from _shares(subject, tls.route, ("spec", "tls", index))


def _rule(subject: Subject, rule: HTTPRoute, path: Path) -> Iterator[Diagnostic]:
    for index, match in enumerate(rule.match):
        yield from _match(subject, match, (*path, "match", index))
    yield from _shares(subject, rule.route, path)
    yield from _whole_hosts(subject, rule.route, path)
    yield from _fault(subject, rule, path)
    yield from _timing(subject, rule, path)
    yield from _mirror(subject, rule, path)
    yield from _rewrite(subject, rule, path)
    yield from _unrouted(subject, rule, path)
    code = (rule.redirect.redirect_code if rule.redirect is not None else None) or _REDIRECT_CODES[0]
    if 300 <= code <= 399 and code not in _REDIRECT_CODES:
        message = f"Envoy has no redirect with the code {code}"
        hint = f"one of: {', '.join(map(str, _REDIRECT_CODES))}"
        yield subject.finding("GM403", message, (*path, "redirect", "redirectCode"), hint=hint)


def _match(subject: Subject, match: HTTPMatch, path: Path) -> Iterator[Diagnostic]:
    uri = match.uri
    if uri is not None:
        for field, text in (("exact", uri.exact), ("prefix", uri.prefix)):
            if text and ("?" in text or "#" in text):
                message = f"{dotted((*path, 'uri', field))} never matches: paths end before ? and #"
                hint = "match the query with queryParams"
                yield subject.finding("GM408", message, (*path, "uri", field), hint=hint)
        if match.ignore_uri_case and uri.regex is not None:
            where = (*path, "ignoreUriCase")
            message = "ignoreUriCase does nothing for a regular expression"
            yield subject.finding("GM418", message, where, hint="begin it with (?i)", wants_key=True)
    if match.gateways and (match.source_labels or match.source_namespace):
        field = "sourceLabels" if match.source_labels else "sourceNamespace"
        message = f"{field} does nothing beside gateways: for those the caller is not looked at"
        hint = "use two matches, one with gateways and one without"
        yield subject.finding("GM417", message, (*path, field), hint=hint, wants_key=True)


def _shares(
    subject: Subject, route: Sequence[HTTPRouteDestination | RouteDestination], path: Path
) -> Iterator[Diagnostic]:
    weights = [part.weight or 0 for part in route]
    if len(route) == 1 and route[0].weight not in (None, _WHOLE) and weights[0] >= 0:
        message = f"the only destination gets everything, whatever its weight ({weights[0]})"
        where = (*path, "route", 0, "weight")
        yield subject.finding("GM404", message, where, hint="remove it, or add the other destination")
    total = sum(weights)
    if len(route) > 1 and min(weights) >= 0 and 0 < total != _WHOLE and total not in _FINE_SUMS:
        message = f"the weights of {dotted(path)} add up to {total}: they are shares of {total}, not percent"
        hint = "let them add up to 100, if you mean percent"
        yield subject.finding("GM407", message, (*path, "route"), hint=hint, wants_key=True)


def _whole_hosts(subject: Subject, route: Sequence[HTTPRouteDestination], path: Path) -> Iterator[Diagnostic]:
    """A host without a subset is all of its endpoints: its share reaches those of a subset beside it, too."""
    split = {_identity(subject, part.destination)[0]: part for part in route if part.destination.subset}
    for index, part in enumerate(route):
        beside = split.get(_identity(subject, part.destination)[0])
        if beside is not None and not part.destination.subset and part.weight:
            subset = (beside.destination.subset or "")[:63]
            message = f"this is every endpoint of {part.destination.host[:80]}, those of {subset} included"
            where = (*path, "route", index, "destination")
            hint = "name a subset here as well, or the shares are not what they say"
            yield subject.finding("GM421", message, where, hint=hint)


def _fault(subject: Subject, rule: HTTPRoute, path: Path) -> Iterator[Diagnostic]:
    abort = rule.fault.abort if rule.fault is not None else None
    if abort is not None:
        where = (*path, "fault", "abort")
        if abort.http_status is None and abort.grpc_status is None and abort.http2_error is None:
            message = "the abort never aborts: it has no status"
            yield subject.finding("GM401", message, where, hint="add httpStatus", wants_key=True)
        elif _is_missing(abort.percentage):
            message = "the abort never aborts: without a percentage it is 0"
            yield subject.finding("GM401", message, where, hint=_PERCENTAGE, wants_key=True)
    delay = rule.fault.delay if rule.fault is not None else None
    if delay is not None:
        where = (*path, "fault", "delay")
        if delay.fixed_delay is None and delay.exponential_delay is None:
            message = "the delay never delays: it has no fixedDelay"
            yield subject.finding("GM402", message, where, hint="add fixedDelay", wants_key=True)
        elif _is_missing(delay.percentage) and not delay.percent:
            message = "the delay never delays: without a percentage it is 0"
            yield subject.finding("GM402", message, where, hint=_PERCENTAGE, wants_key=True)
        if delay.percent is not None:
            message = "fault.delay.percent is deprecated"
            where = (*where, "percent")
            yield subject.finding("GM141", message, where, hint="use percentage.value", wants_key=True)


_PERCENTAGE = "add percentage: {value: 100}"


def _is_missing(percentage: Percentage | None) -> bool:
    return percentage is None or percentage.value is None


def _timing(subject: Subject, rule: HTTPRoute, path: Path) -> Iterator[Diagnostic]:
    timeout, retries = _nanoseconds(rule.timeout), rule.retries
    if not timeout:
        return
    if retries is not None and _nanoseconds(retries.per_try_timeout) * (retries.attempts or 0) > timeout:
        message = (
            f"perTryTimeout {retries.per_try_timeout} times attempts {retries.attempts} "
            f"is more than the timeout of {rule.timeout}"
        )
        hint = "the timeout is for all tries together: raise it, or lower perTryTimeout or attempts"
        where = (*path, "retries", "perTryTimeout")
        yield subject.finding("GM405", message, where, hint=hint, wants_key=True)
    delay = rule.fault.delay if rule.fault is not None else None
    if delay is not None and _nanoseconds(delay.fixed_delay) >= timeout:
        message = f"the delay of {delay.fixed_delay} does not use up the timeout of {rule.timeout}"
        hint = "the timeout begins after the delay; set it on the callers of this host to see it"
        where = (*path, "fault", "delay", "fixedDelay")
        yield subject.finding("GM406", message, where, hint=hint, wants_key=True)


def _nanoseconds(duration: str | None) -> float:
    return 0 if duration is None else duration_nanoseconds(duration)


def _mirror(subject: Subject, rule: HTTPRoute, path: Path) -> Iterator[Diagnostic]:
    for field, value in (
        ("mirrorPercent", rule.mirror_percent),
        ("mirror_percent", rule.mirror_percent_snake),
    ):
        if value is not None:
            message = f"{field} is deprecated"
            hint = "use mirrorPercentage: {value: ...}"
            yield subject.finding("GM141", message, (*path, field), hint=hint, wants_key=True)
    if rule.cors_policy is not None and rule.cors_policy.allow_origin:
        where = (*path, "corsPolicy", "allowOrigin")
        message = "corsPolicy.allowOrigin is deprecated"
        yield subject.finding("GM141", message, where, hint="use allowOrigins", wants_key=True)
    if len(rule.route) != 1:
        return
    to = _identity(subject, rule.route[0].destination)
    mirrors: list[tuple[Path, Destination]] = [
        ((*path, "mirrors", number, "destination"), mirror.destination)
        for number, mirror in enumerate(rule.mirrors)
    ]
    if rule.mirror is not None:
        mirrors.append(((*path, "mirror"), rule.mirror))
    for where, destination in mirrors:
        if _identity(subject, destination) == to:
            message = "the copies go where the requests go, which gets each of them twice"
            yield subject.finding("GM410", message, where, hint="mirror to another host or subset")


def _identity(subject: Subject, destination: Destination) -> tuple[str, str, int]:
    port = destination.port.number if destination.port is not None else None
    host = fully_qualified(destination.host, subject.namespace)
    return host, destination.subset or "", port or 0


def _rewrite(subject: Subject, rule: HTTPRoute, path: Path) -> Iterator[Diagnostic]:
    """Only the text of the prefix is replaced: /a/ by /b leaves /bc of /a/c."""
    uri = rule.rewrite.uri if rule.rewrite is not None else None
    if not uri or uri.endswith("/"):
        return
    for match in rule.match or (HTTPMatch(),):
        prefix = "/" if match.uri is None else match.uri.prefix
        if prefix and prefix.endswith("/"):
            message = f"{prefix[:60]} is replaced by {uri[:60]}: {prefix[:60]}x becomes {uri[:60]}x"
            hint = f"write {uri[:60]}/, or match a prefix without / at its end"
            yield subject.finding("GM414", message, (*path, "rewrite", "uri"), hint=hint)
            return


def _unrouted(subject: Subject, rule: HTTPRoute, path: Path) -> Iterator[Diagnostic]:
    """A redirect or a fixed answer is Envoy's own: nothing is sent on."""
    answer = "redirect" if rule.redirect is not None else "directResponse"
    if rule.redirect is None and rule.direct_response is None:
        return
    fields = {
        "timeout": rule.timeout,
        "retries": rule.retries,
        "mirror": rule.mirror,
        "mirrors": rule.mirrors or None,
    }
    for name, value in fields.items():
        if value is not None:
            message = f"{name} does nothing beside {answer}: no request is sent on"
            yield subject.finding("GM416", message, (*path, name), hint="remove it", wants_key=True)
