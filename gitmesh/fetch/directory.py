"""Files of a directory as a revision without a commit, for `gitmesh validate PATH` and `gitmesh plan PATH`.

Stage: fetch (effect). The same limits as for a repository; links are not followed. Folders and files whose
name begins with a dot are left out: they belong to tools (.git, .venv), and nothing reads those of a commit.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from gitmesh.fetch.errors import FetchError
from gitmesh.fetch.selection import MANIFEST_SUFFIXES, Entry, EntryKind, Selected, Selection
from gitmesh.model.config import GitLimits
from gitmesh.model.revision import Revision, SourceFile
from gitmesh.parse.ignore import IGNORE_FILE

BRANCH = "working tree"

OnUnreadable = Callable[[str, str], None]


def read_directory(path: Path, limits: GitLimits, *, on_unreadable: OnUnreadable | None = None) -> Revision:
    """Return what stands below `path` (or `path` itself, a file) right now. Raises FetchError.

    `on_unreadable` is told path and reason of what cannot be read, and the rest is read; without it, that is
    an error of the whole.
    """
    selection = Selection(limits, str(path))
    tell = on_unreadable or _refuse
    try:
        if path.is_file():
            root, entries = path.parent, iter([_single(path)])
        elif path.is_dir():
            root, entries = path, _walk(path, tell)
        else:
            raise FetchError(f"there is no file or directory {path}; check the path", retryable=False)
    except OSError as error:
        raise FetchError(_reason(path, error), retryable=False) from error
    for entry in entries:
        selection.add(entry)
    files: dict[str, SourceFile] = {}
    for file in selection.files:
        try:
            files[file.path] = _read(root, file, limits)
        except OSError as error:
            tell(str(root / file.path), _reason(root / file.path, error))
    return Revision(commit="", tree="", branch=BRANCH, files=files, diagnostics=tuple(selection.diagnostics))


def _refuse(path: str, reason: str) -> None:
    raise FetchError(reason, retryable=False)


def _reason(path: Path, error: OSError) -> str:
    return f"cannot read {path}: {error.strerror or error}; check permissions"


def _walk(root: Path, tell: OnUnreadable) -> Iterator[Entry]:
    """Yield in the order that git lists a tree in: by name, depth first."""
    pending = [b""]
    while pending:
        relative = pending.pop()
        try:
            with os.scandir(os.path.join(os.fsencode(root), relative)) as found:
                inside = sorted(found, key=lambda item: item.name, reverse=True)
        except OSError as error:
            folder = root / os.fsdecode(relative)
            tell(str(folder), _reason(folder, error))
            continue
        for item in inside:
            name = os.path.join(relative, item.name)
            if item.name.startswith(b".") and item.name != os.fsencode(IGNORE_FILE):
                continue
            if item.is_dir(follow_symlinks=False):
                pending.append(name)
            elif item.is_symlink():
                yield Entry(EntryKind.SYMLINK, name)
            elif item.is_file(follow_symlinks=False):
                yield Entry(EntryKind.FILE, name, item.stat(follow_symlinks=False).st_size)


def _single(path: Path) -> Entry:
    if not path.name.lower().endswith(MANIFEST_SUFFIXES):
        raise FetchError(
            f"{path} is not a manifest; its name must end in .yaml, .yml or .json", retryable=False
        )
    return Entry(EntryKind.FILE, os.fsencode(path.name), path.stat().st_size)


def _read(root: Path, file: Selected, limits: GitLimits) -> SourceFile:
    # The file may have grown since it was listed; what was promised about memory holds all the same.
    with (root / file.path).open("rb") as stream:
        content = stream.read(limits.file_bytes_max)
    return SourceFile(file.path, _blob_id(content), content)


def _blob_id(content: bytes) -> str:
    """Return the id that git would give this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
