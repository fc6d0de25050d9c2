"""A commit made out of nothing but objects, and pushed: no work tree, no index, no hook, no filter.

Stage: fetch (effect). Everything here blocks and belongs in a worker thread.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gitmesh.fetch.command import GitExit, GitRunner
from gitmesh.fetch.errors import FetchError, MovedError
from gitmesh.fetch.failures import explain
from gitmesh.fetch.signing import signed
from gitmesh.fetch.urls import Remote, check_branch, check_commit, check_path, without_secrets
from gitmesh.model.source import AUTHOR

_REJECTED = re.compile(r"^ ! \[(?:remote )?rejected\].*\((?P<why>.*)\)\s*$", re.MULTILINE)
# Somebody else has pushed since we looked. Source: git, builtin/send-pack.c and transport.c, their own words.
_MOVED = re.compile(r"stale info|fetch first|non-fast-forward|cannot lock ref|failed to update ref")
_TREES_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Proposal:
    """A commit to be: on top of `base`, with some files replaced, on a branch of the remote.

    `files`: path below the root -> content; each is there in `base`. `expected`: the commit that the branch
    has to be at, empty when it must not be there yet. `author` is `Name <address>`.
    """

    base: str
    branch: str
    expected: str
    files: Mapping[str, bytes]
    author: str
    when: datetime
    message: str
    signing_key: str = field(default="", repr=False)  # a private SSH key; empty: not signed


def check_author(author: str) -> str:
    """Return the author. Raises FetchError where it is none."""
    if not AUTHOR.fullmatch(author):
        raise FetchError("spec.author is not of the form Name <address>", retryable=False)
    return author


def make_commit(git: GitRunner, proposal: Proposal) -> str:
    """Write the blobs, trees and the commit into the repository; return the commit's id."""
    check_commit(proposal.base)
    check_author(proposal.author)
    tree = git.text("rev-parse", "--verify", "--end-of-options", f"{proposal.base}^{{tree}}").strip()
    for path, content in sorted(proposal.files.items()):
        check_path(path)
        tree = _with_file(git, tree, path.split("/"), content)
    stamp = f"{int(proposal.when.timestamp())} +0000"
    lines = [
        f"tree {tree}",
        f"parent {proposal.base}",
        f"author {proposal.author} {stamp}",
        f"committer {proposal.author} {stamp}",
        "",
        _clean(proposal.message),
    ]
    raw = "\n".join(lines).encode()
    return _written(git, "commit", signed(raw, proposal.signing_key) if proposal.signing_key else raw)


def push_commit(git: GitRunner, remote: Remote, proposal: Proposal, commit: str) -> None:
    """Push, and only if the branch is where it was seen. Raises MovedError, FetchError."""
    ref = f"refs/heads/{check_branch(proposal.branch)}"
    try:
        git.text(
            "push",
            "--no-progress",
            "--no-verify",
            "--no-signed",
            "--no-follow-tags",
            "--recurse-submodules=no",
            f"--force-with-lease={ref}:{proposal.expected}",
            "--end-of-options",
            remote.text,
            f"{commit}:{ref}",
        )
    except GitExit as ended:
        raise _refused(ended.stderr, proposal.branch, remote) from None


def branch_tip(git: GitRunner, remote: Remote, branch: str) -> str:
    """Return the commit of a branch of the remote; empty when there is no such branch."""
    ref = f"refs/heads/{check_branch(branch)}"
    try:
        listing = git.text("ls-remote", "--quiet", "--end-of-options", remote.text, ref)
    except GitExit as ended:
        raise explain(ended.stderr, what=f"list the branches of {remote}") from None
    found = {name: commit for commit, _, name in (line.partition("\t") for line in listing.splitlines())}
    return check_commit(found[ref]) if ref in found else ""


def _refused(stderr: str, branch: str, remote: Remote) -> FetchError:
    found = _REJECTED.search(stderr)
    if found is None:
        return explain(stderr, what=f"push {branch} to {remote}")
    why = without_secrets("".join(c if c.isprintable() else " " for c in found["why"]))[:300]
    if _MOVED.search(why):
        return MovedError(f"{branch} of {remote} has moved: {why}")
    return FetchError(
        f"{remote} does not take what is pushed to {branch} ({why}); "
        "let this daemon's key push there, or use a branch and a pull request",
        retryable=False,
    )


def _with_file(git: GitRunner, tree: str, path: list[str], content: bytes) -> str:
    """Return the tree with one file replaced, and everything else as it is."""
    entries = _entries(git, tree)
    name = path[0].encode()
    if name not in entries:
        raise FetchError(f"{'/'.join(path)!r} is not in the newest commit any more", retryable=True)
    mode, kind, old = entries[name]
    if len(path) > 1:
        if kind != b"tree":
            raise FetchError(f"{path[0]!r} is no folder in the newest commit", retryable=True)
        new = _with_file(git, old.decode(), path[1:], content)
    else:
        if mode not in (b"100644", b"100755", b"100664"):
            raise FetchError(f"{path[0]!r} is no file in the newest commit", retryable=True)
        new = _written(git, "blob", content)
    entries[name] = mode, kind, new.encode()
    listing = b"".join(
        mode + b" " + kind + b" " + entry + b"\t" + name + b"\0"
        for name, (mode, kind, entry) in entries.items()
    )
    # Submodules name commits of another repository, which need not be here.
    return _answer(git, listing, "mktree", "-z", "--missing")


def _entries(git: GitRunner, tree: str) -> dict[bytes, tuple[bytes, bytes, bytes]]:
    """Return the entries of one tree by name: mode, kind, id."""
    with git.stream("ls-tree", "-z", check_commit(tree)) as stdout:
        raw = stdout.read()
    entries = {}
    for record in raw.split(b"\0")[:_TREES_MAX]:
        if record:
            meta, _, name = record.partition(b"\t")
            mode, kind, entry = meta.split()
            entries[name] = mode, kind, entry
    return entries


def _written(git: GitRunner, kind: str, content: bytes) -> str:
    return _answer(git, content, "hash-object", "-t", kind, "-w", "--stdin")


def _answer(git: GitRunner, question: bytes, *command: str) -> str:
    with tempfile.TemporaryFile() as stdin:
        stdin.write(question)
        stdin.seek(0)
        try:
            with git.stream(*command, stdin=stdin) as stdout:
                return check_commit(stdout.read(200).decode("ascii", "replace").strip())
        except GitExit as ended:
            raise explain(ended.stderr, what=f"write a commit ({command[0]})") from None


def _clean(message: str) -> str:
    lines = ("".join(c if c.isprintable() else " " for c in line).rstrip() for line in message.splitlines())
    return "\n".join(lines).strip() + "\n"
