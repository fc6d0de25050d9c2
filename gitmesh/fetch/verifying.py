"""Whether a commit may be taken over: what a TrafficSource demands of signatures, held against the history.

Stage: fetch (effect). Everything here blocks and belongs in a worker thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from posixpath import basename, dirname

from gitmesh.fetch.changes import COMMITS_MAX, History, changed_paths, differences, history
from gitmesh.fetch.command import GitRunner
from gitmesh.fetch.globs import matches, reaches
from gitmesh.fetch.origins import Brought, brought, carried
from gitmesh.fetch.pull import has_commit
from gitmesh.fetch.signatures import Signature, read_signatures, said_of
from gitmesh.fetch.tag_signatures import has_signed_tag
from gitmesh.fetch.trust import Trust
from gitmesh.model.verify import PathRule
from gitmesh.parse.selection import HIDING

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Demand:
    """What is demanded. `each`: of every commit since the accepted one, not of the newest alone.

    `tag`: the tag that is followed, whose signature counts as well as that of its commit.
    """

    trust: Trust
    now: datetime
    each: bool = False
    rules: tuple[PathRule, ...] = ()
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """It may be taken over; `by` is who signed the newest commit."""

    by: str


@dataclass(frozen=True, slots=True)
class Unverified:
    """It may not; `why` names commit, author, what was found and what to do."""

    why: str


def verify(git: GitRunner, tip: str, base: str, demand: Demand) -> Verified | Unverified:
    """Judge a commit. `base` is the accepted one, empty when there is none. Raises FetchError, TrustError."""
    newest = read_signatures(git, [tip])[tip]
    by = newest.signer if newest.good else ""
    if not newest.good and demand.tag and has_signed_tag(git, demand.tag, tip):
        by = f"tag {demand.tag}"
    if not by:
        return _unsigned(git, newest, demand)
    if not demand.each and not demand.rules:
        return Verified(by)
    base = base if base and has_commit(git, base) else ""
    past = history(git, tip, base)
    if base and not past.whole:
        return Unverified(f"there are more than {COMMITS_MAX} commits since {base[:7]}; {_IN_PARTS}")
    if demand.each and base:
        signatures = read_signatures(git, past.commits)
        for commit in reversed(past.commits):
            if not signatures[commit].good:
                return _unsigned(git, signatures[commit], demand)
    for rule in demand.rules:
        problem = _against(git, tip, base, past, rule)
        if problem:
            return Unverified(problem)
    return Verified(by)


_IN_PARTS = "push them in smaller parts, or follow with mode: head once"


def _unsigned(git: GitRunner, signature: Signature, demand: Demand) -> Unverified:
    said = said_of(git, signature, demand.trust, demand.now)
    tag = f", and neither is tag {demand.tag} by somebody trusted" if demand.tag else ""
    return Unverified(
        f"commit {signature.commit[:7]} by {signature.author} {said}{tag}; sign it with a key that "
        f"{demand.trust.where} trusts and push it again, or add the key there"
    )


# Rules for paths -----------------------------------------------------------------------------------------


def _against(git: GitRunner, tip: str, base: str, past: History, rule: PathRule) -> str:
    """Return what a rule has against a commit; empty when it has nothing."""
    paths = changed_paths(git, base, tip, lambda path: _is_under(rule, path))
    if not paths:
        return ""
    differing = differences(git, past, paths)
    # Where nothing was accepted yet, whoever signed a tree vouches for all of it. Later a signer vouches for
    # what he brings alone: nobody should sign for another's change by putting a commit on top of it.
    chosen = brought if base else carried
    by_path = {path: chosen(tip, path, past, differing) for path in sorted(paths)}
    involved = {commit for found in by_path.values() for commit in found.origins | found.merges}
    signatures = read_signatures(git, sorted(involved))
    for path, found in by_path.items():
        signed_by = _signers(rule, found, signatures)
        if len(signed_by) < rule.min:
            return _unmet(rule, path, sorted(found.origins, key=past.commits.index), signatures, signed_by)
    return ""


def _is_under(rule: PathRule, path: str) -> bool:
    """Say whether a file is one of a rule, or can make files of it seem to be deleted."""
    hides = basename(path) in HIDING and reaches(rule.path, dirname(path))
    return hides or matches(rule.path, path)


def _signers(rule: PathRule, found: Brought, signatures: Mapping[str, Signature]) -> frozenset[str]:
    """Return whose signatures count; nobody's where the change itself has none."""
    changed = _names(rule, (signatures[commit] for commit in found.origins))
    merged = _names(rule, (signatures[commit] for commit in found.merges)) if changed else {}
    return frozenset({**merged, **changed}.values())


def _names(rule: PathRule, signatures: Iterable[Signature]) -> dict[tuple[str, ...], str]:
    found: dict[tuple[str, ...], str] = {}
    for signature in signatures:
        names = [name for name in rule.signers if signature.is_by(name)] if signature.good else []
        if names:
            found.setdefault(signature.keys, names[0])
    return found


def _unmet(
    rule: PathRule,
    path: str,
    commits: list[str],
    signatures: Mapping[str, Signature],
    signed_by: frozenset[str],
) -> str:
    shown = "".join(c if c.isprintable() else "?" for c in path)[:100]
    if not commits:
        return f"{shown} is not as it was accepted, and no commit since then says why; {_remedy(rule)}"
    who = _some([_named(signatures[commit]) for commit in commits])
    missing = rule.min - len(signed_by)
    also = f" beside {', '.join(sorted(signed_by))}" if signed_by else ""
    return (
        f"{shown} was changed by {who}, and {rule.path} asks for {missing} of its signers{also} "
        f"({_some(rule.signers)}); {_remedy(rule)}"
    )


def _named(signature: Signature) -> str:
    by = f"signed by {signature.signer}" if signature.good else "without a trusted signature"
    return f"commit {signature.commit[:7]} of {signature.author} ({by})"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def _remedy(rule: PathRule) -> str:
    text = "take the change back, or have one of them make it"
    return f"{text}, and others of them merge it by signed merge commits" if rule.min > 1 else text
