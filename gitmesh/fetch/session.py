"""One call on one mirror: git that has no network, and git that may go and get what is missing.

Stage: fetch (effect). Everything here blocks and belongs in a worker thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gitmesh.fetch.command import GitRunner
from gitmesh.fetch.errors import BrokenMirrorError, FetchError
from gitmesh.fetch.pull import bring_blobs, descends, has_commit, try_commit
from gitmesh.fetch.selection import Selection
from gitmesh.fetch.tree import blob_sizes, read_blobs, read_commit, select_files
from gitmesh.fetch.urls import Remote
from gitmesh.model.config import GitLimits
from gitmesh.model.repository import Ref, RefKind
from gitmesh.model.revision import Revision, SourceFile
from gitmesh.parse.ignore import IgnoreRules, read_patterns


@dataclass(slots=True)
class Counters:
    """What the mirror has done so far; for metrics and for those who want to know that re-use works."""

    fetches: int = 0
    blobs_read: int = 0
    blobs_fetched: int = 0  # by themselves, because they were left out before
    rebuilds: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Which part of a commit is read: what is below a path, without what is ignored."""

    path: str
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a fetch is for. `since` is the revision that was accepted last, `name@commit`, or empty."""

    remote: Remote
    ref: Ref
    place: Place
    since: str
    meant: str


@dataclass(frozen=True, slots=True)
class Session:
    """`online` is None where nothing may be fetched. `partial`: files are left out until they are needed.

    `bytes_max`: how large all of them may be that are then fetched together.
    """

    local: GitRunner
    online: GitRunner | None
    remote: Remote | None
    partial: bool
    counters: Counters
    in_vain: set[str]  # commits that were asked for and are not to be had
    bytes_max: int

    def have(self, blobs: Iterable[str]) -> Mapping[str, int]:
        """Bring the contents that are not here; return how many bytes each has. Raises FetchError."""
        wanted = set(blobs)
        sizes = blob_sizes(self.local, wanted) if wanted else {}
        missing = sorted(wanted - sizes.keys())
        if not missing:
            return sizes
        if not self.partial:
            raise BrokenMirrorError(f"the local mirror has lost the content {missing[0]}")
        if self.online is None or self.remote is None:
            raise FetchError(
                f"the local mirror does not have {len(missing)} of the files; fetch again", retryable=True
            )
        bring_blobs(self.online, self.remote, missing, self.bytes_max)
        self.counters.blobs_fetched += len(missing)
        found = blob_sizes(self.local, missing)
        if still := [blob for blob in missing if blob not in found]:
            raise BrokenMirrorError(f"the server does not give the content {still[0]}")
        return {**sizes, **found}

    def bring_back(self, commit: str) -> bool:
        """Say whether a commit is here, or the server still gives it, if it may be asked."""
        if has_commit(self.local, commit):
            return True
        if self.online is None or commit in self.in_vain:
            return False
        try_commit(self.online, commit, partial=self.partial)
        if has_commit(self.local, commit):
            return True
        self.in_vain.add(commit)
        return False

    def read(
        self, name: str, revision: str, place: Place, limits: GitLimits, last: Revision | None
    ) -> Revision:
        """Return a revision, or `last` where it is that very one. `last` was read at the same place."""
        info = read_commit(self.local, revision)
        if last is not None and (last.branch, last.commit) == (name, info.commit):
            return last
        rules = IgnoreRules(read_patterns(place.ignore))
        selection = Selection(limits, f"{name}@{info.commit[:7]}", rules)
        select_files(self.local, info, place.path, selection)
        files = self._files(selection, last.files if last is not None else {})
        return Revision(
            commit=info.commit,
            tree=info.tree,
            branch=name,
            files=files,
            author=info.author,
            subject=info.subject,
            diagnostics=tuple(selection.diagnostics),
            url=self.remote.text if self.remote else "",
        )

    def _files(self, selection: Selection, last: Mapping[str, SourceFile]) -> Mapping[str, SourceFile]:
        known = {file.blob: file.content for file in last.values()}
        sizes = {blob: len(content) for blob, content in known.items()}
        unknown = {file.blob for file in selection.unweighed} - known.keys()
        selection.weigh({**sizes, **self.have(unknown)})
        new = [file for file in selection.files if file.blob not in known]
        contents = {**known, **read_blobs(self.local, new)} if new else known
        self.counters.blobs_read += len({file.blob for file in new})
        return {
            file.path: was
            if (was := last.get(file.path)) is not None and was.blob == file.blob
            else SourceFile(file.path, file.blob, contents[file.blob])
            for file in selection.files
        }

    def is_forced(self, ref: Ref, now: Revision, before: str, meant: str = "") -> bool:
        """Say whether what is followed was moved to what does not follow from where it was.

        `before` is a revision, `name@commit`, or empty. `meant`: a commit of which a person has said that the
        rewritten history goes on from it; that counts until what was accepted has it in its history.
        """
        name, _, commit = before.rpartition("@")
        if not commit or name != now.branch or commit == now.commit or ref.moves_freely:
            return False
        # A mirror may have been lost: the last good revision is wanted, whatever became of the branch.
        self.bring_back(commit)
        if ref.kind is not RefKind.BRANCH:
            return now.commit != meant
        if descends(self.local, now.commit, commit):
            return False
        return not (
            meant and descends(self.local, now.commit, meant) and not descends(self.local, commit, meant)
        )
