"""The mirror of one TrafficSource: a bare repository that is fetched into, and revisions read out of it.

Stage: fetch (effect). An unchanged branch costs one `git fetch`; of a changed one only new blobs are read.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import anyio
from anyio import CapacityLimiter, Lock, to_thread
from anyio.lowlevel import checkpoint_if_cancelled

from gitmesh.fetch.command import Abort, GitExit, GitRunner
from gitmesh.fetch.errors import BrokenMirrorError, FetchError
from gitmesh.fetch.failures import explain
from gitmesh.fetch.past import look_back
from gitmesh.fetch.push import Proposal, branch_tip, make_commit, push_commit
from gitmesh.fetch.tree import CommitInfo, read_blobs, read_commit, select_files
from gitmesh.fetch.urls import Remote, check_branch, check_commit, check_path, check_url
from gitmesh.model.config import GitLimits
from gitmesh.model.revision import Revision, SourceFile

_T = TypeVar("_T")
_BRANCHES_SHOWN = 10
_FETCHES_PER_TIDY = 50
_URL_FILE = "gitmesh-url"


@dataclass(slots=True)
class Counters:
    """What the mirror has done so far; for metrics and for those who want to know that re-use works."""

    fetches: int = 0
    blobs_read: int = 0
    rebuilds: int = 0


class GitMirror:
    """One bare repository in `directory`. Calls are carried out one after another, in worker threads."""

    def __init__(
        self,
        directory: Path,
        limits: GitLimits,
        *,
        allow_file_urls: bool,
        limiter: CapacityLimiter | None = None,
    ) -> None:
        self._directory = directory
        self._limits = limits
        self._allow_file_urls = allow_file_urls
        self._limiter = limiter or CapacityLimiter(2)
        self._lock = Lock()
        self._last: tuple[str, Revision] | None = None  # the path it was read below, and the revision
        self._opened = False
        self.counters = Counters()

    async def fetch(self, url: str, branch: str, path: str) -> Revision:
        """Return the branch's newest revision; the very same object when nothing moved. Raises FetchError."""
        remote = check_url(url, allow_file_urls=self._allow_file_urls)
        check_branch(branch)
        path = check_path(path)
        return await self._in_thread(lambda abort: self._fetch(remote, branch, path, abort))

    async def read(self, commit: str, branch: str, path: str) -> Revision:
        """Return a revision that was fetched before, without any network. Raises FetchError."""
        check_commit(commit)
        check_branch(branch)
        path = check_path(path)
        return await self._in_thread(lambda abort: self._read_offline(commit, branch, path, abort))

    async def look_back(self, commit: str, path: str, wanted: Callable[[bytes], bool]) -> bytes | None:
        """Return the newest earlier content of a file that is wanted; without any network. Raises FetchError.

        `wanted` is called in a worker thread.
        """
        most = self._limits.file_bytes_max

        def work(abort: Abort) -> bytes | None:
            try:
                return look_back(self._runner(self._directory, abort), commit, path, most, wanted)
            except GitExit as ended:
                raise explain(ended.stderr, what=f"read the history of {path!r}") from None

        return await self._in_thread(work)

    async def push(self, url: str, proposal: Proposal) -> str:
        """Make a commit and push it; return its id. Raises MovedError where the branch has moved meanwhile.

        A branch that must not be there yet, and is, counts as pushed before: its commit is returned.
        """
        remote = check_url(url, allow_file_urls=self._allow_file_urls)
        check_branch(proposal.branch)
        return await self._in_thread(lambda abort: self._push(remote, proposal, abort))

    def _push(self, remote: Remote, proposal: Proposal, abort: Abort) -> str:
        git = self._runner(self._directory, abort, remote.transport)
        try:
            if not proposal.expected and (there := branch_tip(git, remote, proposal.branch)):
                return there
            commit = make_commit(git, proposal)
            push_commit(git, remote, proposal, commit)
        except GitExit as ended:
            raise explain(ended.stderr, what=f"make a commit for {remote}") from None
        except OSError as error:
            raise _disk_error(self._directory, error) from error
        return commit

    async def close(self) -> None:
        """Wait for the call in progress and forget what is kept in memory. The directory stays."""
        async with self._lock:
            self._last = None

    async def _in_thread(self, work: Callable[[Abort], _T]) -> _T:
        """Run blocking work in a thread; being cancelled kills git and waits for the thread to notice."""
        abort = Abort()
        failure: Exception | None = None
        async with self._lock, anyio.create_task_group() as group:
            group.start_soon(_throw_when_cancelled, abort)
            try:
                result = await to_thread.run_sync(work, abort, limiter=self._limiter)
            except Exception as error:  # the task group would wrap it in a group
                failure = error
            finally:
                group.cancel_scope.cancel()
        if failure is not None:
            await checkpoint_if_cancelled()  # when we killed git, being cancelled is the news
            raise failure
        return result

    def _fetch(self, remote: Remote, branch: str, path: str, abort: Abort) -> Revision:
        self.counters.fetches += 1
        try:
            if self._is_mirror_of(remote):
                try:
                    return self._fetch_again(remote, branch, path, abort)
                except BrokenMirrorError:
                    self.counters.rebuilds += 1
            return self._fetch_anew(remote, branch, path, abort)
        except OSError as error:
            raise _disk_error(self._directory, error) from error

    def _fetch_again(self, remote: Remote, branch: str, path: str, abort: Abort) -> Revision:
        git = self._runner(self._directory, abort, remote.transport)
        before = _tip(git, _ref(branch))
        _pull(git, remote, branch)
        return self._read_tip(git, remote, branch, path, before=before)

    def _fetch_anew(self, remote: Remote, branch: str, path: str, abort: Abort) -> Revision:
        """Clone beside the old mirror and swap when it worked: until then old revisions stay readable."""
        fresh = self._directory.with_name(f"{self._directory.name}.new")
        _remove(fresh)
        git = self._runner(fresh, abort, remote.transport)
        try:
            _init(git, remote)
            _pull(git, remote, branch)
            _remove(self._directory)
            fresh.rename(self._directory)
        except BaseException:
            _remove(fresh)
            raise
        self._opened = True
        git = self._runner(self._directory, abort, remote.transport)
        return self._read_tip(git, remote, branch, path, before="")

    def _read_tip(self, git: GitRunner, remote: Remote, branch: str, path: str, *, before: str) -> Revision:
        try:
            return self._revision(git, _ref(branch), branch, path, before=before)
        except GitExit as ended:
            raise explain(ended.stderr, what=f"read {branch} of {remote}") from None

    def _read_offline(self, commit: str, branch: str, path: str, abort: Abort) -> Revision:
        if not (self._directory / "HEAD").is_file():
            raise FetchError(
                f"there is no local mirror to read {commit[:12]} from; fetch first", retryable=True
            )
        git = self._runner(self._directory, abort)
        try:
            if not git.succeeds("cat-file", "-e", f"{commit}^{{commit}}"):
                raise FetchError(f"the local mirror does not have commit {commit[:12]}", retryable=True)
            return self._revision(git, commit, branch, path, before=commit)
        except GitExit as ended:
            if "Not a valid object name" in ended.stderr or "bad object" in ended.stderr:
                message = f"the local mirror does not have commit {commit[:12]}; fetch again"
                raise FetchError(message, retryable=True) from None
            raise explain(ended.stderr, what=f"read {commit[:12]}") from None

    def _revision(self, git: GitRunner, name: str, branch: str, path: str, *, before: str) -> Revision:
        info = read_commit(git, name)
        if self._last is not None:
            last_path, last = self._last
            if (last_path, last.branch, last.commit) == (path, branch, info.commit):
                return last
        forced = bool(before) and before != info.commit and not _descends(git, info.commit, before)
        revision = self._read_files(git, info, branch, path, forced=forced)
        self._last = (path, revision)
        if self.counters.fetches % _FETCHES_PER_TIDY == 0:
            git.succeeds("-c", "gc.auto=2000", "gc", "--auto", "--quiet")
        return revision

    def _read_files(
        self, git: GitRunner, info: CommitInfo, branch: str, path: str, *, forced: bool
    ) -> Revision:
        where = f"{branch}@{info.commit[:7]}"
        selection = select_files(git, info, path, where, self._limits)
        known = self._known_blobs()
        new = [file for file in selection.files if file.blob not in known]
        contents = {**known, **read_blobs(git, new)}
        self.counters.blobs_read += len({file.blob for file in new})
        files = {f.path: SourceFile(f.path, f.blob, contents[f.blob]) for f in selection.files}
        return Revision(
            commit=info.commit,
            tree=info.tree,
            branch=branch,
            files=files,
            author=info.author,
            subject=info.subject,
            diagnostics=tuple(selection.diagnostics),
            forced=forced,
        )

    def _known_blobs(self) -> Mapping[str, bytes]:
        if self._last is None:
            return {}
        return {file.blob: file.content for file in self._last[1].files.values()}

    def _runner(self, directory: Path, abort: Abort, transport: str = "") -> GitRunner:
        seconds = self._limits.fetch_timeout.total_seconds()
        return GitRunner(directory, abort, transport=transport, timeout_seconds=seconds)

    def _is_mirror_of(self, remote: Remote) -> bool:
        """Say whether the directory holds a mirror of that URL; at first use, clear crash leftovers."""
        try:
            known = (self._directory / _URL_FILE).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            return False
        if known != remote.text:
            self._last = None
            return False
        if not self._opened:
            _remove_locks(self._directory)
            self._opened = True
        return True


async def _throw_when_cancelled(abort: Abort) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        abort.throw()


def _ref(branch: str) -> str:
    return f"refs/remotes/origin/{branch}"


def _init(git: GitRunner, remote: Remote) -> None:
    git.git_dir.mkdir(parents=True, mode=0o700)
    try:
        git.text("init", "--quiet", "--bare", "--template=")
    except GitExit as ended:
        raise explain(ended.stderr, what=f"make a mirror in {git.git_dir}") from None
    (git.git_dir / _URL_FILE).write_text(remote.text, "utf-8")


def _pull(git: GitRunner, remote: Remote, branch: str) -> None:
    """Bring the branch here, also where it was moved by force."""
    try:
        git.text(
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--end-of-options",
            remote.text,
            f"+refs/heads/{branch}:{_ref(branch)}",
        )
    except GitExit as ended:
        if "couldn't find remote ref" in ended.stderr:
            raise _no_such_branch(git, remote, branch) from None
        raise explain(ended.stderr, what=f"fetch {branch} of {remote}") from None
    except FetchError:
        _remove_locks(git.git_dir)  # git was killed at work
        raise


def _tip(git: GitRunner, ref: str) -> str:
    try:
        return git.text("rev-parse", "--verify", "--quiet", "--end-of-options", ref).strip().splitlines()[-1]
    except (GitExit, IndexError):
        return ""


def _descends(git: GitRunner, commit: str, ancestor: str) -> bool:
    try:
        return git.succeeds("merge-base", "--is-ancestor", ancestor, commit)
    except GitExit:
        return False


def _no_such_branch(git: GitRunner, remote: Remote, branch: str) -> FetchError:
    try:
        listing = git.text("ls-remote", "--quiet", "--heads", "--end-of-options", remote.text)
    except GitExit as ended:
        return explain(ended.stderr, what=f"list the branches of {remote}")
    names = [line.partition("\trefs/heads/")[2] for line in listing.splitlines()]
    names = [name for name in names if name and name.isprintable()]
    if not names:
        return FetchError(
            f"the repository has no commits on branch {branch} ({remote} is empty); push a first commit",
            retryable=True,
        )
    shown = ", ".join(name[:60] for name in names[:_BRANCHES_SHOWN])
    more = f" and {len(names) - _BRANCHES_SHOWN} more" if len(names) > _BRANCHES_SHOWN else ""
    return FetchError(
        f"{remote} has no branch {branch}; it has: {shown}{more}; set spec.branch", retryable=True
    )


def _remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)


def _remove_locks(directory: Path) -> None:
    """A killed git leaves locks and half-written packs, and would trip over the locks for ever."""
    for pattern in ("*.lock", "refs/**/*.lock", "objects/**/tmp_*"):
        for leftover in directory.glob(pattern):
            if leftover.is_dir():
                _remove(leftover)
            else:
                leftover.unlink(missing_ok=True)


def _disk_error(directory: Path, error: OSError) -> FetchError:
    return FetchError(
        f"cannot keep a mirror in {directory}: {error.strerror or error}; check space and permissions",
        retryable=True,
    )
