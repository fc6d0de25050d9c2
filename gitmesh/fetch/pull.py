"""Bringing commits into a bare mirror: the branch, tag or commit that is followed, and nothing else.

Stage: fetch (effect). Everything here blocks and belongs in a worker thread. Commits and trees come with
their history; the content of files comes when it is asked for, where the server can do that.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from gitmesh.fetch.command import GitExit, GitRunner
from gitmesh.fetch.errors import FetchError, PartialError
from gitmesh.fetch.failures import explain
from gitmesh.fetch.urls import Remote, check_commit
from gitmesh.model.repository import Ref, RefKind
from gitmesh.model.semver import parse_range, parse_version

_NAMES_SHOWN = 10
_LISTING_BYTES_MAX = 8_388_608
_ABSENT = "couldn't find remote ref"
_NOT_OURS = re.compile(r"not our ref|unadvertised object")
_FILTER = "blob:none"
_TOO_LARGE = "File too large"  # what `command` limits
_PACK_OVERHEAD = 16_777_216  # of a pack, beside the contents in it

_FETCH = (
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-recurse-submodules",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    # Else git takes nothing of a shallow repository, says so to nobody, and looks for the rest without end.
    "--update-shallow",
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a ref means now: `name` for people, `revision` for git."""

    name: str
    revision: str


def remote_config(remote: Remote, *, partial: bool) -> Mapping[str, str]:
    """Return how a run of git knows the remote. It travels by the environment; no file has it.

    Only a run that knows the remote as a promisor may go and get what is missing.
    """
    config = {"remote.origin.url": remote.text, "remote.origin.followRemoteHEAD": "never"}
    if partial:
        config |= {"remote.origin.promisor": "true", "remote.origin.partialclonefilter": _FILTER}
    return config


def bring(git: GitRunner, remote: Remote, ref: Ref, *, partial: bool) -> Found:
    """Bring what the ref means now, also where it was moved by force. Raises FetchError."""
    match ref.kind:
        case RefKind.BRANCH:
            return _branch(git, remote, ref.name, partial=partial)
        case RefKind.TAG:
            return _tag(git, remote, ref.name, "", partial=partial)
        case RefKind.SEMVER:
            tag, known_as = _newest(git, remote, ref.name)
            return _tag(git, remote, tag, known_as, partial=partial)
        case RefKind.COMMIT:
            return _commit(git, remote, ref, partial=partial)
    assert_never(ref.kind)


def try_commit(git: GitRunner, commit: str, *, partial: bool) -> None:
    """Bring one commit that no branch may have any more, if the server still gives it."""
    try:
        git.text(*_FETCH, *_filtered(partial), "--end-of-options", "origin", check_commit(commit))
    except GitExit:
        return
    refuse_shallow(git, f"fetch {commit[:12]}")


def bring_blobs(git: GitRunner, remote: Remote, blobs: Iterable[str], bytes_max: int) -> None:
    """Bring the contents of files, all at once. Raises PartialError where the server cannot do that.

    How large a file is, git does not say before it sends it. So what comes is cut off where it is more than
    all files may have together, whichever is too large.
    """
    git = git.writing_at_most(bytes_max + _PACK_OVERHEAD)
    with tempfile.TemporaryFile() as wanted:
        wanted.write("".join(f"{check_commit(blob)}\n" for blob in blobs).encode())
        wanted.seek(0)
        try:
            command = (
                "-c",
                "fetch.negotiationAlgorithm=noop",
                *_FETCH,
                *_filtered(True),
                "--stdin",
                "origin",
            )
            with git.stream(*command, stdin=wanted) as stdout:
                stdout.read(1)
            refuse_shallow(git, f"fetch files of {remote}")
        except GitExit as ended:
            remove_locks(git.git_dir)
            if _TOO_LARGE in ended.stderr:
                raise FetchError(
                    f"the files that are read of {remote} are larger than {bytes_max} bytes together; "
                    "set spec.path to a smaller directory, or raise git.totalBytesMax",
                    retryable=True,
                ) from None
            if _NOT_OURS.search(ended.stderr):
                raise PartialError(f"{remote} does not give single files") from None
            raise explain(ended.stderr, what=f"fetch files of {remote}") from None
        except FetchError:
            remove_locks(git.git_dir)  # git was killed at work
            raise


def has_commit(git: GitRunner, commit: str) -> bool:
    """Say whether a commit is here."""
    try:
        return git.succeeds("cat-file", "-e", f"{check_commit(commit)}^{{commit}}")
    except GitExit:  # git says 128 of an id that it has never heard of
        return False


def descends(git: GitRunner, commit: str, ancestor: str) -> bool:
    """Say whether a commit has another one in its history. One that is not here is in no history."""
    try:
        return git.succeeds("merge-base", "--is-ancestor", ancestor, commit)
    except GitExit:
        return False


def tip(git: GitRunner, revision: str) -> str:
    """Return the commit that a name means here; empty when it means none."""
    try:
        found = git.text("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return found.strip().splitlines()[-1]
    except (GitExit, IndexError):
        return ""


def is_shallow(directory: Path) -> bool:
    """Say whether a server has cut the history of a mirror off. Such a mirror is followed no further: behind
    the cut, commits could hide that nobody has signed."""
    return (directory / "shallow").exists()


def refuse_shallow(git: GitRunner, what: str) -> None:
    """Raise FetchError where a server has cut the history off, in the course of what was attempted."""
    if is_shallow(git.git_dir):
        raise FetchError(
            f"cannot {what}: the repository is shallow, and GitMesh follows none without its history; "
            "fetch the rest of it there, with `git fetch --unshallow`",
            retryable=True,
        )


def branch_ref(branch: str) -> str:
    """Return where the mirror keeps a branch."""
    return f"refs/remotes/origin/{branch}"


def tag_ref(tag: str) -> str:
    """Return where the mirror keeps a tag."""
    return f"refs/gitmesh/tags/{tag}"


def remove_locks(directory: Path) -> None:
    """A killed git leaves locks and half-written packs, and would trip over the locks for ever."""
    for pattern in ("*.lock", "refs/**/*.lock", "objects/**/tmp_*"):
        for leftover in directory.glob(pattern):
            if leftover.is_file() or leftover.is_symlink():
                leftover.unlink(missing_ok=True)


def _branch(git: GitRunner, remote: Remote, branch: str, *, partial: bool) -> Found:
    _pull(
        git,
        f"+refs/heads/{branch}:{branch_ref(branch)}",
        what=f"fetch {branch} of {remote}",
        absent=lambda: _no_such_branch(git, remote, branch),
        partial=partial,
    )
    return Found(branch, branch_ref(branch))


def _tag(git: GitRunner, remote: Remote, tag: str, known_as: str, *, partial: bool) -> Found:
    """`known_as`: what the server has just said that the tag is, if it has been asked."""
    kept = tag_ref(tag)
    if not known_as or known_as != _object(git, kept):
        _pull(
            git,
            f"+refs/tags/{tag}:{kept}",
            what=f"fetch tag {tag} of {remote}",
            absent=lambda: _no_such_tag(git, remote, tag),
            partial=partial,
        )
    if not tip(git, kept):
        raise FetchError(f"tag {tag} of {remote} is not on a commit; set spec.tag", retryable=True)
    return Found(tag, kept)


def _commit(git: GitRunner, remote: Remote, ref: Ref, *, partial: bool) -> Found:
    """A commit never changes: what is here, and known to be on its branch, costs no network."""
    found, kept = Found(ref.branch, ref.name), branch_ref(ref.branch)
    if has_commit(git, ref.name) and descends(git, kept, ref.name):
        return found
    _branch(git, remote, ref.branch, partial=partial)
    if not has_commit(git, ref.name) or not descends(git, kept, ref.name):
        raise FetchError(
            f"commit {ref.name[:12]} is not on branch {ref.branch} of {remote}; "
            "set spec.commit to one that is, or spec.branch to the branch that has it",
            retryable=True,
        )
    return found


def _newest(git: GitRunner, remote: Remote, range_: str) -> tuple[str, str]:
    """Return the tag with the newest version in a range, and the object that it is."""
    tags = _tags(git, remote)
    newest = parse_range(range_).newest(tags)
    if newest is None:
        raise FetchError(
            f"no tag of {remote} is a version in {range_!r}; {_shown_tags(tags)}; set spec.semver",
            retryable=True,
        )
    return newest, tags[newest]


def _pull(
    git: GitRunner, refspec: str, *, what: str, absent: Callable[[], FetchError], partial: bool
) -> None:
    try:
        git.text(*_FETCH, *_filtered(partial), "--end-of-options", "origin", refspec)
        refuse_shallow(git, what)
    except GitExit as ended:
        if _ABSENT in ended.stderr:
            raise absent() from None
        remove_locks(git.git_dir)  # a part of git may have been ended at work
        raise explain(ended.stderr, what=what) from None
    except FetchError:
        remove_locks(git.git_dir)  # git was killed at work
        raise


def _filtered(partial: bool) -> tuple[str, ...]:
    return (f"--filter={_FILTER}",) if partial else ()


def _object(git: GitRunner, revision: str) -> str:
    try:
        return git.text("rev-parse", "--verify", "--quiet", "--end-of-options", revision).strip()
    except GitExit:
        return ""


def _tags(git: GitRunner, remote: Remote) -> dict[str, str]:
    """Return the tags of the remote by name, with the object that each of them is."""
    return _listed(git, remote, "tags", "set spec.tag or spec.branch")


def _listed(git: GitRunner, remote: Remote, what: str, advice: str) -> dict[str, str]:
    """Return the branches (`heads`) or `tags` of the remote by name, with the object that each of them is."""
    called = {"heads": "branches"}.get(what, what)
    try:
        with git.stream("ls-remote", "--quiet", "--refs", f"--{what}", "origin") as stdout:
            listing = stdout.read(_LISTING_BYTES_MAX + 1)
            if len(listing) > _LISTING_BYTES_MAX:
                raise FetchError(
                    f"{remote} has more {called} than GitMesh reads ({_LISTING_BYTES_MAX} bytes); {advice}",
                    retryable=False,
                )
    except GitExit as ended:
        raise explain(ended.stderr, what=f"list the {called} of {remote}") from None
    lines = (line.partition(f"\trefs/{what}/") for line in listing.decode("utf-8", "replace").splitlines())
    return {name: check_commit(id_) for id_, _, name in lines if name and name.isprintable()}


def _no_such_tag(git: GitRunner, remote: Remote, tag: str) -> FetchError:
    try:
        tags = _tags(git, remote)
    except FetchError as error:
        return error
    return FetchError(f"{remote} has no tag {tag}; {_shown_tags(tags)}; set spec.tag", retryable=True)


def _shown_tags(tags: Iterable[str]) -> str:
    """Say which tags there are, the newest version first and what is no version last."""
    versions = {tag: parse_version(tag) for tag in sorted(tags)}
    found = sorted((version, tag) for tag, version in versions.items() if version)
    ordered = [tag for _, tag in reversed(found)] + [tag for tag, version in versions.items() if not version]
    return f"it has: {_shown(ordered)}" if ordered else "it has no tags"


def _no_such_branch(git: GitRunner, remote: Remote, branch: str) -> FetchError:
    try:
        names = list(_listed(git, remote, "heads", f"it has no branch {branch}: set spec.branch"))
    except FetchError as error:
        return error
    if not names:
        return FetchError(
            f"the repository has no commits on branch {branch}: {remote} has no branches at all; "
            "push a first commit, or check spec.url",
            retryable=True,
        )
    return FetchError(
        f"{remote} has no branch {branch}; it has: {_shown(names)}; set spec.branch", retryable=True
    )


def _shown(names: list[str]) -> str:
    shown = ", ".join(name[:60] for name in names[:_NAMES_SHOWN])
    return f"{shown} and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else shown
