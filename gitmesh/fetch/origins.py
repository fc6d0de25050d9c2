"""Which commits made a file what it is now, and which merges brought it into the branch.

Stage: fetch (pure).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gitmesh.fetch.changes import History

Differing = Mapping[tuple[str, str], frozenset[str]]  # by commit and parent: the paths that differ


@dataclass(frozen=True, slots=True)
class Brought:
    """Who changed a file to what it is, and who merged that. No `origins`: it is older than all known."""

    origins: frozenset[str]
    merges: frozenset[str] = frozenset()


def brought(tip: str, path: str, past: History, differing: Differing) -> Brought:
    """Follow a file back from `tip` through every parent that has the very same one.

    A commit that took it from before the accepted revision, where that has another one, brought it back: it
    counts as the one that changed it. A merge counts on the branch's own line alone: who merges the branch
    into work of his own has not looked at what the branch brings.
    """
    line = _first_parents(tip, past)
    origins, merges = set(), set()
    for commit in _carrying(tip, path, past, differing):
        parents = past.parents[commit]
        same = [parent for parent in parents if path not in differing[commit, parent]]
        if not any(parent in past.parents for parent in same):
            origins.add(commit)
        elif commit in line and parents[0] not in same:
            merges.add(commit)
    return Brought(frozenset(origins), frozenset(merges))


def carried(tip: str, path: str, past: History, differing: Differing) -> Brought:
    """Return every commit back from `tip` that has the very same file: each vouches for it by its tree."""
    return Brought(_carrying(tip, path, past, differing))


def _carrying(tip: str, path: str, past: History, differing: Differing) -> frozenset[str]:
    waiting = [tip] if tip in past.parents else []
    seen = set(waiting)
    while waiting:
        commit = waiting.pop()
        for parent in past.parents[commit]:
            if parent in past.parents and parent not in seen and path not in differing[commit, parent]:
                seen.add(parent)
                waiting.append(parent)
    return frozenset(seen)


def _first_parents(tip: str, past: History) -> frozenset[str]:
    found, commit = set(), tip
    while commit in past.parents:
        found.add(commit)
        commit = next(iter(past.parents[commit]), "")
    return frozenset(found)
