"""Reading one commit out of a bare repository: its tree by `ls-tree`, its files by `cat-file --batch`.

Stage: fetch (effect). No work tree exists, so no link is followed and no filter or hook runs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from gitmesh.fetch.command import GitRunner
from gitmesh.fetch.errors import BrokenMirrorError, FetchError
from gitmesh.fetch.selection import Entry, EntryKind, Selected, Selection
from gitmesh.parse.ignore import IGNORE_FILE

_CHUNK = 65_536
_ENTRY_MAX = 65_536
_NAMES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """What a commit says about itself."""

    commit: str
    tree: str
    author: str
    subject: str


def read_commit(git: GitRunner, revision: str) -> CommitInfo:
    """Return the commit that a checked name or id means."""
    text = git.text(
        "log", "-1", "--no-show-signature", "--no-mailmap", "--encoding=UTF-8",
        "--format=%H%x00%T%x00%an <%ae>%x00%s", "--end-of-options", revision, "--",
    )  # fmt: skip
    fields = text.rstrip("\n").split("\0")
    if len(fields) < 4:
        raise BrokenMirrorError(f"the local mirror gave no answer about {revision}")
    return CommitInfo(fields[0], fields[1], _one_line(fields[2]), _one_line("".join(fields[3:])))


def select_files(git: GitRunner, info: CommitInfo, path: str, selection: Selection) -> None:
    """List what is below `path` into the selection. Raises FetchError where nothing is there.

    The ignore files of the folders above `path` come along, as their patterns reach below it.
    """
    below = () if path == "." else (path,)
    above = [name.encode() for name in _ignore_files_above(path)]
    names = (*below, *(name.decode() for name in above))
    folder, is_there = path.encode() + b"/", False
    with git.stream("ls-tree", "-r", "-z", "--full-tree", info.commit, "--", *names) as stdout:
        for raw in _records(stdout):
            entry = _entry(raw)
            is_below = not below or (entry.path + b"/").startswith(folder)
            is_there = is_there or is_below
            if is_below or entry.path in above:
                selection.add(entry)
    if below and not is_there:
        raise FetchError(
            f"there is no path {path!r} in {selection.where}; {_what_is_there(git, info)}set spec.path",
            retryable=True,
        )


def _ignore_files_above(path: str) -> Iterator[str]:
    folders = [] if path == "." else path.split("/")
    for depth in range(len(folders)):
        yield "/".join([*folders[:depth], IGNORE_FILE])


def blob_sizes(git: GitRunner, blobs: Iterable[str]) -> Mapping[str, int]:
    """Return the size in bytes of each blob that is here. Raises FetchError for what is none."""
    sizes: dict[str, int] = {}
    with _asked(blobs) as questions:
        command = ("cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", "--buffer")
        with git.stream(*command, stdin=questions) as stdout:
            for line in stdout:
                blob, kind, size = (*line.decode("ascii", "replace").split(), "", "")[:3]
                if kind == "blob":
                    sizes[blob] = int(size)
                elif kind in ("tree", "commit", "tag"):
                    raise FetchError(
                        f"the repository names {blob} as a file, and that is a {kind}; run `git fsck` in it, "
                        "and take what it finds out of the history",
                        retryable=True,
                    )
    return sizes


def read_blobs(git: GitRunner, wanted: Sequence[Selected]) -> Mapping[str, bytes]:
    """Return the content of each blob by its id, all from one process."""
    sizes = {file.blob: file.size for file in wanted}
    if not sizes:
        return {}
    contents: dict[str, bytes] = {}
    with _asked(sizes) as questions, git.stream("cat-file", "--batch", "--buffer", stdin=questions) as stdout:
        for blob, size in sizes.items():
            contents[blob] = _one_blob(stdout, blob, size)
    return contents


@contextmanager
def _asked(blobs: Iterable[str]) -> Iterator[IO[bytes]]:
    """Write ids into a file, to be read by git as its standard input."""
    with tempfile.TemporaryFile() as questions:
        questions.write("".join(f"{blob}\n" for blob in blobs).encode())
        questions.seek(0)
        yield questions


def _one_blob(stdout: IO[bytes], blob: str, size: int) -> bytes:
    header = stdout.readline(256)
    if header != f"{blob} blob {size}\n".encode():
        raise BrokenMirrorError(f"the local mirror has lost the content {blob}")
    content = stdout.read(size + 1)
    if len(content) != size + 1:
        raise BrokenMirrorError(f"the local mirror has lost a part of the content {blob}")
    return content[:-1]


def _records(stdout: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while chunk := stdout.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole
        if len(rest) > _ENTRY_MAX:
            raise FetchError("the repository has a path of more than 64 KiB; remove it", retryable=False)


def _entry(raw: bytes) -> Entry:
    meta, _, path = raw.partition(b"\t")
    mode, _, blob = meta.split()
    if mode == b"160000":
        return Entry(EntryKind.SUBMODULE, path)
    if mode == b"120000":
        return Entry(EntryKind.SYMLINK, path)
    return Entry(EntryKind.FILE, path, blob=blob.decode())


def _what_is_there(git: GitRunner, info: CommitInfo) -> str:
    with git.stream("ls-tree", "-z", "--name-only", "--full-tree", info.commit, "--") as stdout:
        names = [name.decode("utf-8", "backslashreplace") for name in _records(stdout)]
    if not names:
        return "the commit holds no files at all; "
    shown = ", ".join(repr(name[:60])[1:-1] for name in names[:_NAMES_SHOWN])
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"at its root there are: {shown}{more}; "


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:200]
