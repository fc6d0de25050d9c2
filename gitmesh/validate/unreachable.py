"""Rules and matches that no request reaches, because an earlier one takes them all.

Stage: validate (pure). Source: istio/istio pkg/config/validation, analyzeUnreachableHTTPRules and the two
beside it (IST0130, IST0131). Istio compares prefixes only, and as text: what it takes for covered may not be
(method GET before no method). Here a match counts as covered when every one of its requests is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from gitmesh.istio.models.common import StringMatch
from gitmesh.istio.models.virtual_service import HTTPMatch, HTTPRoute, TCPRoute, TLSRoute, VirtualServiceSpec
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.coverage import covers_match, takes_any_path
from gitmesh.validate.subject import Path, Subject, dotted

_COMPARISONS_MAX = 100_000
_NO_CONDITION = HTTPMatch()


def check_reachable(subject: Subject, spec: VirtualServiceSpec) -> Iterator[Diagnostic]:
    """Yield what can never be used."""
    yield from _after_catch_all(subject, "http", spec.http)
    yield from _after_catch_all(subject, "tcp", spec.tcp)
    yield from _covered_http(subject, spec.http)
    yield from _repeated(subject, "tcp", spec.tcp)
    yield from _repeated(subject, "tls", spec.tls)


def _after_catch_all(
    subject: Subject, protocol: str, rules: Sequence[HTTPRoute | TCPRoute]
) -> Iterator[Diagnostic]:
    catch_all = _first_without_match(rules)
    for index in range(catch_all + 1, len(rules)):
        message = f"no request reaches this rule: {protocol}[{catch_all}] has no match and takes them all"
        yield subject.finding("GM130", message, ("spec", protocol, index), hint="move it up")


def _first_without_match(rules: Sequence[HTTPRoute | TCPRoute | TLSRoute]) -> int:
    return next((index for index, rule in enumerate(rules) if not rule.match), len(rules))


def _repeated(subject: Subject, protocol: str, rules: Sequence[TCPRoute | TLSRoute]) -> Iterator[Diagnostic]:
    """Matches of connections are compared as a whole."""
    if sum(len(rule.match) for rule in rules) < 2:
        return
    seen: dict[str, Path] = {}
    end = _first_without_match(rules) if protocol == "tcp" else len(rules)
    for index, rule in enumerate(rules[:end]):
        again = 0
        for number, match in enumerate(rule.match):
            where: Path = ("spec", protocol, index, "match", number)
            first = seen.setdefault(_text(match), where)
            if first != where:
                again += 1
                yield _ineffective(subject, where, first)
        if again and again == len(rule.match):
            yield _all_used(subject, ("spec", protocol, index))


def _text(match: BaseModel) -> str:
    return match.model_dump_json(exclude_defaults=True)


def _ineffective(subject: Subject, where: Path, first: Path) -> Diagnostic:
    message = f"this match is the same as {dotted(first)}, which is tried first"
    return subject.finding("GM131", message, where, hint="remove it, or change its conditions")


def _all_used(subject: Subject, where: Path) -> Diagnostic:
    message = "no request reaches this rule: earlier rules have all of its matches"
    return subject.finding("GM130", message, where, hint="remove it, or move it up")


@dataclass(slots=True)
class _Tried:
    """The matches that were tried before, by the path that they want, so that few must be compared."""

    any_path: list[tuple[Path, HTTPMatch]] = field(default_factory=list)
    exact: dict[str, list[tuple[Path, HTTPMatch]]] = field(default_factory=dict)
    prefix: dict[str, list[tuple[Path, HTTPMatch]]] = field(default_factory=dict)
    regex: dict[str, list[tuple[Path, HTTPMatch]]] = field(default_factory=dict)
    lengths: set[int] = field(default_factory=set)
    comparisons: int = 0

    def add(self, where: Path, match: HTTPMatch) -> None:
        """Remember a match. Paths are kept in lower case: whether case counts is looked at later."""
        uri = match.uri
        if uri is None or takes_any_path(match):
            self.any_path.append((where, match))
        elif uri.exact is not None:
            self.exact.setdefault(uri.exact.lower(), []).append((where, match))
        elif uri.prefix is not None:
            self.lengths.add(len(uri.prefix.lower()))
            self.prefix.setdefault(uri.prefix.lower(), []).append((where, match))
        else:
            self.regex.setdefault(uri.regex or "", []).append((where, match))

    def covering(self, match: HTTPMatch) -> tuple[Path, HTTPMatch] | None:
        """Return the first match that leaves nothing to this one, or None; also when it takes too long."""
        for where, one in self._candidates(match):
            self.comparisons += 1
            if self.comparisons > _COMPARISONS_MAX:
                return None
            if covers_match(one, match):
                return where, one
        return None

    def _candidates(self, match: HTTPMatch) -> Iterator[tuple[Path, HTTPMatch]]:
        """Yield what may take the requests of a match, the most similar first."""
        uri = match.uri
        if uri is not None and not takes_any_path(match):
            if uri.regex is not None:
                yield from self.regex.get(uri.regex, ())
            else:
                yield from self._with_text(uri)
        yield from self.any_path

    def _with_text(self, uri: StringMatch) -> Iterator[tuple[Path, HTTPMatch]]:
        text = (uri.exact if uri.exact is not None else uri.prefix or "").lower()
        if uri.exact is not None:
            yield from self.exact.get(text, ())
        for length in sorted(self.lengths, reverse=True):
            if length <= len(text):
                yield from self.prefix.get(text[:length], ())


def _covered_http(subject: Subject, rules: Sequence[HTTPRoute]) -> Iterator[Diagnostic]:
    """A rule that delegates takes only what the delegate's rules take, so it covers nothing."""
    if len(rules) < 2 and not (rules and len(rules[0].match) > 1):
        return
    tried = _Tried()
    for index, rule in enumerate(rules):
        here: Path = ("spec", "http", index)
        if not rule.match:
            if (first := tried.covering(_NO_CONDITION)) is not None:
                yield _covered(subject, here, first[0])
            return  # what comes after a rule without a match is found already
        again = 0
        for number, match in enumerate(rule.match):
            where: Path = (*here, "match", number)
            found = tried.covering(match)
            if found is None:
                if rule.delegate is None:
                    tried.add(where, match)
                continue
            if _same(found[1], match):
                again += 1
                yield _ineffective(subject, where, found[0])
            elif _prefixes(found[1], match):
                yield _overlapped(subject, where, found)
            else:
                yield _covered(subject, where, found[0])
        if again == len(rule.match):
            yield _all_used(subject, here)


def _same(one: HTTPMatch, other: HTTPMatch) -> bool:
    names = {"name": None}
    return one.model_copy(update=names) == other.model_copy(update=names)


def _prefixes(one: HTTPMatch, other: HTTPMatch) -> bool:
    return bool(one.uri and other.uri and one.uri.prefix and other.uri.prefix)


def _overlapped(subject: Subject, where: Path, found: tuple[Path, HTTPMatch]) -> Diagnostic:
    prefix = found[1].uri.prefix if found[1].uri is not None else ""
    message = f"no request is left for this match: {dotted(found[0])} takes every path from {prefix!r:.80} on"
    return subject.finding("GM131", message, where, hint="put the longer prefix first")


def _covered(subject: Subject, where: Path, first: Path) -> Diagnostic:
    message = f"no request is left for this: {dotted(first)} is tried first and takes them all"
    return subject.finding("GM413", message, where, hint="move it up, or remove it")
