"""Which entries of a tree are read, and what is said about the others. The same for Git and directories.

Stage: fetch (pure).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gitmesh.fetch.errors import FetchError
from gitmesh.model.config import GitLimits
from gitmesh.model.diagnostic import Diagnostic, Severity
from gitmesh.model.resource import Location
from gitmesh.parse.ignore import IGNORE_FILE, NOTHING_IGNORED, IgnoreRules

MANIFEST_SUFFIXES = (".yaml", ".yml", ".json")
_DIAGNOSTICS_MAX = 100


class EntryKind(StrEnum):
    """What a tree entry is."""

    FILE = "file"
    SYMLINK = "symbolic link"
    SUBMODULE = "submodule"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a tree. `path` is as raw as the repository has it; `size` is None if not known yet."""

    kind: EntryKind
    path: bytes
    size: int | None = None
    blob: str = ""


@dataclass(frozen=True, slots=True)
class Selected:
    """A file that is to be read."""

    path: str
    size: int
    blob: str


@dataclass(slots=True)
class Selection:
    """Collects entries one by one and holds them to the limits. `where` names the tree for people.

    What `ignore` ignores is as if it were not there.
    """

    limits: GitLimits
    where: str
    ignore: IgnoreRules = NOTHING_IGNORED
    files: list[Selected] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    unweighed: list[Selected] = field(default_factory=list)  # files whose size is not known yet
    seen: int = 0
    total_bytes: int = 0

    def add(self, entry: Entry) -> None:
        """Take or leave one entry. Raises FetchError when a limit of the whole is crossed."""
        self.seen += 1
        if self.seen > self.limits.files_max:
            raise FetchError(
                f"{self.where} has more than {self.limits.files_max} files; "
                "set spec.path to the directory with the traffic configuration, or raise git.filesMax",
                retryable=False,
            )
        path, is_plain = _shown(entry.path)
        if self.ignore.ignores(path):
            return
        if entry.kind is not EntryKind.FILE:
            self._leave_out(_link(entry.kind, path))
        elif path.lower().endswith(MANIFEST_SUFFIXES) or path.rpartition("/")[2] == IGNORE_FILE:
            self._add_file(path, is_plain, entry)

    def _add_file(self, path: str, is_plain: bool, entry: Entry) -> None:
        problem = _problem(path, is_plain, self.limits)
        if problem is not None:
            self._leave_out(problem)
        elif entry.size is None:
            self.unweighed.append(Selected(path, 0, entry.blob))
        else:
            self._weigh(Selected(path, entry.size, entry.blob))

    def weigh(self, sizes: Mapping[str, int]) -> None:
        """Hold the files to the limits whose size has been looked up: blob -> bytes."""
        unweighed, self.unweighed = self.unweighed, []
        for file in unweighed:
            self._weigh(Selected(file.path, sizes[file.blob], file.blob))

    def _weigh(self, file: Selected) -> None:
        # An error, as those of `_problem` are.
        if file.size > self.limits.file_bytes_max:
            message = f"{file.path!r} has {file.size} bytes; the limit is {self.limits.file_bytes_max}"
            self._leave_out(
                _left_out("GM003", file.path, message, "split the file, or raise git.fileBytesMax")
            )
            return
        self.total_bytes += file.size
        if self.total_bytes > self.limits.total_bytes_max:
            raise FetchError(
                f"the files of {self.where} are larger than {self.limits.total_bytes_max} bytes together; "
                "set spec.path to a smaller directory, or raise git.totalBytesMax",
                retryable=False,
            )
        self.files.append(file)

    def _leave_out(self, diagnostic: Diagnostic) -> None:
        # An error must not be lost behind a hundred warnings: it keeps the revision from being applied.
        if len(self.diagnostics) < _DIAGNOSTICS_MAX:
            self.diagnostics.append(diagnostic)
        elif diagnostic.severity is Severity.ERROR:
            self.diagnostics[-1] = diagnostic


def _link(kind: EntryKind, path: str) -> Diagnostic:
    code = "GM001" if kind is EntryKind.SYMLINK else "GM002"
    return Diagnostic(
        code=code,
        severity=Severity.WARNING,
        message=f"{kind.value} {path!r} is not followed",
        hint="put the files themselves into the repository",
        at=Location(path),
    )


def _problem(path: str, is_plain: bool, limits: GitLimits) -> Diagnostic | None:
    # Errors, not warnings: with the file its resources would vanish from Git's side and be pruned.
    if path.count("/") >= limits.path_depth_max:
        return _left_out(
            "GM004",
            path,
            f"{path[:120]!r} lies deeper than {limits.path_depth_max} directories",
            "move the file up, or raise git.pathDepthMax",
        )
    if not is_plain:
        return _left_out(
            "GM005",
            path,
            f"the file name {path!r} is not plain UTF-8 text",
            "rename the file: UTF-8, no line breaks or control characters",
        )
    return None


def _left_out(code: str, path: str, message: str, hint: str) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, message, hint, at=Location(path))


def _shown(raw: bytes) -> tuple[str, bool]:
    """Return a path as text that is safe to show, and whether it is so by itself: printable UTF-8."""
    try:
        text, is_utf8 = raw.decode("utf-8"), True
    except UnicodeDecodeError:
        text, is_utf8 = raw.decode("utf-8", "backslashreplace"), False
    if text.isprintable():
        return text, is_utf8
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text), False
