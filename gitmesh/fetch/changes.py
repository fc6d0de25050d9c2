"""Who made the files of a commit what they are: how paths differ between commits and their parents.

Stage: fetch (effect). Everything here blocks and belongs in a worker thread. Only trees are compared; no
content of a file is read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import IO

from gitmesh.fetch.command import GitExit, GitRunner
from gitmesh.fetch.errors import FetchError
from gitmesh.fetch.failures import explain
from gitmesh.fetch.urls import check_commit

COMMITS_MAX = 1_000
PATHS_MAX = 10_000
_CHUNK = 65_536
_RECORD_MAX = 65_536
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # of git, everywhere: the tree without an entry


@dataclass(frozen=True, slots=True)
class History:
    """Commits after a base, newest first, with their parents. `whole`: none was left out."""

    parents: Mapping[str, tuple[str, ...]]
    whole: bool

    @property
    def commits(self) -> tuple[str, ...]:
        """All of them, newest first."""
        return tuple(self.parents)


def history(git: GitRunner, tip: str, base: str) -> History:
    """Return the commits that a branch has beyond `base`; all of its past where `base` is empty."""
    beyond = [f"^{check_commit(base)}"] if base else []
    try:
        listing = git.text(
            "rev-list",
            "--parents",
            "--topo-order",
            f"--max-count={COMMITS_MAX + 1}",
            check_commit(tip),
            *beyond,
            "--",
        )
    except GitExit as ended:
        raise explain(ended.stderr, what=f"list the commits up to {tip[:12]}") from None
    found = {words[0]: tuple(words[1:]) for line in listing.splitlines() if (words := line.split())}
    whole = len(found) <= COMMITS_MAX
    return History(dict(list(found.items())[:COMMITS_MAX]), whole)


def changed_paths(git: GitRunner, base: str, tip: str, wanted: Callable[[str], bool]) -> frozenset[str]:
    """Return the wanted paths whose content or mode differ; all that there are where `base` is empty."""
    found = set()
    command = ("diff-tree", "-r", "-z", "--raw", "--no-renames", base or EMPTY_TREE, check_commit(tip), "--")
    try:
        with git.stream(*command) as stdout:
            for path in _paths(_records(stdout)):
                if wanted(path):
                    found.add(path)
                if len(found) > PATHS_MAX:
                    raise FetchError(
                        f"more than {PATHS_MAX} files of spec.verify.paths changed at once", retryable=False
                    )
    except GitExit as ended:
        raise explain(ended.stderr, what=f"compare {tip[:12]} with what was accepted") from None
    return frozenset(found)


def differences(
    git: GitRunner, past: History, paths: Collection[str]
) -> Mapping[tuple[str, str], frozenset[str]]:
    """Return for each commit and each of its parents which of the paths differ between the two."""
    pairs = [(commit, parent) for commit, parents in past.parents.items() for parent in parents]
    found: dict[tuple[str, str], set[str]] = {pair: set() for pair in pairs}
    with tempfile.TemporaryFile() as questions:
        questions.write("".join(f"{commit} {parent}\n" for commit, parent in pairs).encode())
        questions.seek(0)
        command = ("diff-tree", "--stdin", "--always", "-r", "-z", "--raw", "--no-renames")
        try:
            with git.stream(*command, stdin=questions) as stdout:
                _sort_in(_records(stdout), pairs, found, frozenset(paths))
        except GitExit as ended:
            raise explain(ended.stderr, what="compare commits with their parents") from None
    return {pair: frozenset(differing) for pair, differing in found.items()}


def _sort_in(
    records: Iterator[bytes],
    pairs: list[tuple[str, str]],
    found: dict[tuple[str, str], set[str]],
    paths: frozenset[str],
) -> None:
    """Read one answer for each pair, in the order of the questions: the commit's id, then what differs."""
    index = -1
    for record in records:
        if not record.startswith(b":"):
            index += 1
            assert record.decode("ascii") == pairs[index][0], "git answers in the order of the questions"
            continue
        path = next(records).decode("utf-8", "surrogateescape")
        if path in paths:
            found[pairs[index]].add(path)
    assert index == len(pairs) - 1, "git answers every question"


def _paths(records: Iterator[bytes]) -> Iterator[str]:
    """Yield the paths of a raw difference: a line of modes and ids, then the path."""
    for record in records:
        if record.startswith(b":"):
            yield next(records).decode("utf-8", "surrogateescape")


def _records(stdout: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while chunk := stdout.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole
        if len(rest) > _RECORD_MAX:
            raise FetchError("the repository has a path of more than 64 KiB; remove it", retryable=False)
