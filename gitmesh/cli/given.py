"""The files that a command line names, read as if they were one revision.

Stage: none (face). Each file is read once, however often and through whatever folder it is named.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from gitmesh.cli.main import Refused
from gitmesh.cli.plain import plain
from gitmesh.fetch.directory import BRANCH, read_directory
from gitmesh.fetch.errors import FetchError
from gitmesh.model.config import GitLimits
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.resource import Location
from gitmesh.model.revision import Revision, SourceFile
from gitmesh.parse.ignore import IGNORE_FILE, IgnoreRules, read_ignore_files
from gitmesh.parse.selection import STANDARD_INPUT
from gitmesh.parse.text import decode

STDIN = Path("-")
_FOLDERS_ABOVE_MAX = 64


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A path that could not be read, and why, in one sentence."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Given:
    """What could be read, under the names that people gave, and what could not."""

    revision: Revision
    unreadable: tuple[Unreadable, ...] = ()
    ignored: tuple[str, ...] = ()  # files that were named one by one, and are left alone


def read_paths(paths: tuple[Path, ...]) -> Revision:
    """Read files and directories as if they were one revision. Raises FetchError where one cannot be read."""
    given = read_given(paths)
    if given.unreadable:
        raise FetchError(given.unreadable[0].reason, retryable=False)
    return given.revision


def read_given(paths: Iterable[Path], limits: GitLimits | None = None) -> Given:
    """Read files, directories and, for `-`, standard input; names stay as they were given."""
    reader = _Reader(limits or GitLimits())
    for path in paths:
        if path == STDIN:
            reader.read_stdin()
        else:
            reader.read(path)
    revision = Revision("", "", BRANCH, reader.files, diagnostics=tuple(reader.skipped))
    return Given(revision, tuple(reader.unreadable.values()), tuple(reader.ignored))


class _Reader:
    def __init__(self, limits: GitLimits) -> None:
        self.files: dict[str, SourceFile] = {}
        self.skipped: list[Diagnostic] = []
        self.unreadable: dict[str, Unreadable] = {}
        self.ignored: list[str] = []
        self._limits = limits
        self._seen: set[str] = set()  # real paths

    def read(self, path: Path) -> None:
        """Read one file, or all files below a directory."""
        is_folder = path.is_dir()
        root = os.path.realpath(path if is_folder else path.parent)
        try:
            part = read_directory(path, self._limits, on_unreadable=self._leave_out)
        except FetchError as error:
            self._leave_out(str(path), str(error))
            return
        ignored = _ignore_rules(Path(root), part)
        for name, file in part.files.items():
            real = os.path.join(root, name)
            if real in self._seen:
                continue
            self._seen.add(real)
            shown = str(path / name) if is_folder else str(path)
            if ignored.ignores(real):
                self.ignored += [] if is_folder else [shown]
                continue
            self.files[shown] = SourceFile(shown, file.blob, file.content)
        self.skipped += (self._renamed(d, path, root) for d in part.diagnostics if self._is_new(d, root))

    def read_stdin(self) -> None:
        """Read standard input, which is one file."""
        if STANDARD_INPUT in self.files:
            return
        content = sys.stdin.buffer.read(self._limits.file_bytes_max + 1)
        if len(content) > self._limits.file_bytes_max:
            raise Refused(f"standard input has more than {self._limits.file_bytes_max} bytes; give files")
        blob = hashlib.sha256(content).hexdigest()
        self.files[STANDARD_INPUT] = SourceFile(STANDARD_INPUT, blob, content)

    def _leave_out(self, path: str, reason: str) -> None:
        self.unreadable.setdefault(path, Unreadable(path, plain(reason)))

    def _is_new(self, finding: Diagnostic, root: str) -> bool:
        real = os.path.join(root, finding.at.file if finding.at else "")
        is_new = real not in self._seen
        self._seen.add(real)
        return is_new

    def _renamed(self, finding: Diagnostic, path: Path, root: str) -> Diagnostic:
        """Name the file as it was given; the reader of a directory knows only the names below it."""
        if finding.at is None:
            return finding
        shown = str(path / finding.at.file) if path.is_dir() else str(path)
        return replace(finding, at=Location(shown, finding.at.line, finding.at.column))


def _ignore_rules(root: Path, below: Revision) -> IgnoreRules:
    """Return what all ignore files say that concern this folder, with the real paths of files.

    They are those of the folders above, up to the repository's root, and those below, which were read with
    the other files. Without a repository, only the folder itself counts.
    """
    folders = [root, *root.parents][:_FOLDERS_ABOVE_MAX]
    tops = [number for number, folder in enumerate(folders) if (folder / ".git").exists()]
    contents: dict[str, bytes] = {}
    for folder in folders[: tops[0] + 1 if tops else 1]:
        file = folder / IGNORE_FILE
        try:
            contents[str(file)] = file.read_bytes() if file.is_file() else b""
        except OSError:
            continue  # where it belongs to what is checked, this is reported there
    for name, found in below.files.items():
        if os.path.basename(name) == IGNORE_FILE:
            contents[os.path.join(root, name)] = found.content
    texts = {path: text for path, content in contents.items() if (text := decode(content)) is not None}
    return read_ignore_files(texts)[0]
