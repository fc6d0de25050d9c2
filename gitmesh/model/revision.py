"""A revision: one commit of the repository and the files that GitMesh reads of it.

Stage: none (pure).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gitmesh.model.diagnostic import Diagnostic


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a revision. `blob` is Git's id of the content, so equal blobs are equal files."""

    path: str
    blob: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Revision:
    """One commit, whole: `files` maps the path below the repository's root to the file.

    `branch` is the branch, or the tag, that was followed; `url` the repository, empty where none was asked.
    `diagnostics` says what was left out and why (symbolic links, submodules, files above a limit).
    `forced` is true when the branch was moved to a commit that does not descend from the one before, or a
    tag to another commit.
    """

    commit: str
    tree: str
    branch: str
    files: Mapping[str, SourceFile] = field(default_factory=dict)
    author: str = ""
    subject: str = ""
    diagnostics: tuple[Diagnostic, ...] = ()
    forced: bool = False
    url: str = ""

    @property
    def id(self) -> str:
        """The form that a status keeps: `main@<whole commit>`, `v1.4.2@<whole commit>`."""
        return f"{self.branch}@{self.commit}"

    @property
    def short(self) -> str:
        """The form people read: `main@1a2b3c4`."""
        return f"{self.branch}@{self.commit[:7]}"
