"""The past of one file: its contents in the history of a branch, newest first.

Stage: fetch (effect). Everything here blocks and belongs in a worker thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gitmesh.fetch.command import GitRunner
from gitmesh.fetch.urls import check_commit, check_path

VERSIONS_MAX = 200
_AT_ONCE = 16  # that are fetched where they are not here: the wanted one is mostly among the newest


def look_back(
    git: GitRunner,
    commit: str,
    path: str,
    bytes_max: int,
    wanted: Callable[[bytes], bool],
    have: Callable[[Iterable[str]], object],
) -> bytes | None:
    """Return the newest earlier content of a file that is wanted; None when none of the last ones is.

    `have` is told which blobs are about to be read, so that it can bring those that are not here.
    """
    blobs = _blobs(git, check_commit(commit), check_path(path))
    for number, blob in enumerate(blobs):
        if number % _AT_ONCE == 0:
            have(blobs[number : number + _AT_ONCE])
        with git.stream("cat-file", "blob", blob) as stdout:
            content = stdout.read(bytes_max + 1)
        if len(content) <= bytes_max and wanted(content):
            return content
    return None


def _blobs(git: GitRunner, commit: str, path: str) -> list[str]:
    """Return the ids of the contents, in the order of the branch: a merge counts as what it brought."""
    listing = git.text(
        "log",
        "--first-parent",
        "-m",
        "--raw",
        "--no-abbrev",
        "--no-renames",
        "--no-show-signature",
        "--no-mailmap",
        "--format=",
        f"--max-count={VERSIONS_MAX}",
        "--end-of-options",
        commit,
        "--",
        path,
    )
    found: dict[str, None] = {}
    for line in listing.splitlines():
        fields = line.removeprefix(":").split()
        if line.startswith(":") and len(fields) >= 5:
            # :100644 100644 <old> <new> M: the new one is of this commit, the old one of those before it.
            found.update({fields[3]: None, fields[2]: None})
    return [check_commit(blob) for blob in found if set(blob) != {"0"}]
