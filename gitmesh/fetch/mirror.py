"""The mirror of one TrafficSource: a bare repository that is fetched into, and revisions read out of it.

Stage: fetch (effect). An unchanged branch costs one `git fetch`; of a changed one only new blobs are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import anyio
from anyio import CapacityLimiter, Lock, to_thread
from anyio.lowlevel import checkpoint_if_cancelled

from gitmesh.fetch.command import Abort, GitExit, GitRunner
from gitmesh.fetch.disk import URL_FILE, bytes_of, disk_error, make_bare, remove
from gitmesh.fetch.environment import NOTHING_LENT, Lent
from gitmesh.fetch.errors import BrokenMirrorError, FetchError, PartialError
from gitmesh.fetch.failures import explain
from gitmesh.fetch.lending import SUFFIX, lent
from gitmesh.fetch.past import look_back
from gitmesh.fetch.pull import (
    branch_ref,
    bring,
    has_commit,
    is_shallow,
    refuse_shallow,
    remote_config,
    remove_locks,
    tip,
)
from gitmesh.fetch.push import Proposal, branch_tip, make_commit, push_commit
from gitmesh.fetch.session import Counters, Place, Session, Wanted
from gitmesh.fetch.signatures import trusting
from gitmesh.fetch.urls import Remote, check_branch, check_commit, check_path, check_ref, check_url
from gitmesh.fetch.verifying import Demand, Unverified, Verified, verify
from gitmesh.model.config import GitLimits
from gitmesh.model.repository import OPEN, Access, Ref, RefKind
from gitmesh.model.revision import Revision

_T = TypeVar("_T")
_FETCHES_PER_TIDY = 50
_TIDY = ("-c", "gc.auto=2000", "gc", "--auto", "--quiet")
_WHOLE_FILE = "gitmesh-whole"  # there when the server cannot give single files


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
        # Whatever waits for a network must not keep others from what is here.
        self._network = limiter or CapacityLimiter(1)
        self._disk = CapacityLimiter(1)
        self._lock = Lock()
        self._last: tuple[Place, Revision] | None = None  # the newest that was read, and what of it
        self._opened = False
        self._in_vain: set[str] = set()  # commits that the server gives no more
        self._made_with = 0  # bytes that the mirror took when it was made; 0: not known
        self._broken = 0  # fetches in a row that found the mirror damaged, also after it was made again
        self.counters = Counters()

    async def fetch(
        self,
        url: str,
        ref: Ref | str,
        path: str,
        *,
        ignore: tuple[str, ...] = (),
        since: str = "",
        meant: str = "",
        access: Access = OPEN,
    ) -> Revision:
        """Return the newest revision; the very same object when nothing moved. Raises FetchError.

        A text as `ref` is a branch. `since` is the revision that was accepted last: the new one is `forced`
        when it does not follow from it, nor from `meant`, a commit that a rewritten history may go on from.
        """
        remote = check_url(url, allow_file_urls=self._allow_file_urls)
        if meant:
            check_commit(meant)
        place = Place(check_path(path), ignore)
        wanted = Wanted(remote, check_ref(Ref.of(ref)), place, since, meant)
        return await self._in_thread(lambda abort: self._fetch(wanted, access, abort), self._network)

    async def read(
        self,
        commit: str,
        name: str,
        path: str,
        *,
        ignore: tuple[str, ...] = (),
        url: str = "",
        access: Access = OPEN,
    ) -> Revision:
        """Return a revision that was fetched before. Raises FetchError.

        `url`: where files may be fetched that are not here; empty: nowhere, and there is no network.
        """
        remote = check_url(url, allow_file_urls=self._allow_file_urls) if url else None
        check_commit(commit)
        check_branch(name)
        place = Place(check_path(path), ignore)
        return await self._in_thread(lambda abort: self._read(remote, commit, name, place, access, abort))

    async def look_back(
        self,
        commit: str,
        path: str,
        wanted: Callable[[bytes], bool],
        *,
        url: str = "",
        access: Access = OPEN,
    ) -> bytes | None:
        """Return the newest earlier content of a file that is wanted. Raises FetchError.

        `wanted` is called in a worker thread. `url`: as for `read`.
        """
        remote = check_url(url, allow_file_urls=self._allow_file_urls) if url else None
        most = self._limits.file_bytes_max

        def work(abort: Abort) -> bytes | None:
            with self._session(remote, access, abort) as session:
                try:
                    return look_back(session.local, commit, path, most, wanted, session.have)
                except GitExit as ended:
                    raise explain(ended.stderr, what=f"read the history of {path!r}") from None

        return await self._in_thread(work)

    async def verify(self, commit: str, base: str, demand: Demand) -> Verified | Unverified:
        """Judge a commit that is here, without any network. Raises FetchError, TrustError."""
        check_commit(commit)

        def work(abort: Abort) -> Verified | Unverified:
            seconds = self._limits.fetch_timeout.total_seconds()
            try:
                with trusting(demand.trust, demand.now) as given:
                    git = GitRunner(
                        self._directory,
                        abort,
                        timeout_seconds=seconds,
                        lent=given,
                        memory_bytes_max=self._limits.memory_bytes_max,
                    )
                    refuse_shallow(git, f"check the signatures of {commit[:12]}")
                    return verify(git, commit, base, demand)
            except OSError as error:
                raise disk_error(self._directory, error) from error

        return await self._in_thread(work)

    async def push(self, url: str, proposal: Proposal, *, access: Access = OPEN) -> str:
        """Make a commit and push it; return its id. Raises MovedError where the branch has moved meanwhile.

        A branch that must not be there yet, and is, counts as pushed before: its commit is returned.
        """
        remote = check_url(url, allow_file_urls=self._allow_file_urls)
        check_branch(proposal.branch)
        return await self._in_thread(lambda abort: self._push(remote, proposal, access, abort), self._network)

    def _push(self, remote: Remote, proposal: Proposal, access: Access, abort: Abort) -> str:
        try:
            with self._session(remote, access, abort) as session:
                git = session.online
                assert git is not None
                if not proposal.expected and (there := branch_tip(git, remote, proposal.branch)):
                    return there
                commit = make_commit(git, proposal)
                push_commit(git, remote, proposal, commit)
        except GitExit as ended:
            raise explain(ended.stderr, what=f"make a commit for {remote}") from None
        except OSError as error:
            raise disk_error(self._directory, error) from error
        return commit

    async def close(self) -> None:
        """Wait for the call in progress and forget what is kept in memory. The directory stays."""
        async with self._lock:
            self._last = None

    async def discard(self) -> None:
        """Remove the mirror: nobody follows this repository any more."""
        await self.close()
        await to_thread.run_sync(remove, self._directory, limiter=self._disk)

    async def _in_thread(self, work: Callable[[Abort], _T], limiter: CapacityLimiter | None = None) -> _T:
        """Run blocking work in a thread; being cancelled kills git and waits for the thread to notice."""
        abort = Abort()
        failure: Exception | None = None
        async with self._lock, anyio.create_task_group() as group:
            group.start_soon(_throw_when_cancelled, abort)
            try:
                result = await to_thread.run_sync(work, abort, limiter=limiter or self._disk)
            except Exception as error:  # the task group would wrap it in a group
                failure = error
            finally:
                group.cancel_scope.cancel()
        if failure is not None:
            await checkpoint_if_cancelled()  # when we killed git, being cancelled is the news
            raise failure
        return result

    def _fetch(self, wanted: Wanted, access: Access, abort: Abort) -> Revision:
        self.counters.fetches += 1
        try:
            with lent(access, wanted.remote, self._lent_directory) as given:
                revision = self._fetched(wanted, given, abort)
                self._broken = 0
                return revision
        except OSError as error:
            raise disk_error(self._directory, error) from error

    def _fetched(self, wanted: Wanted, given: Lent, abort: Abort) -> Revision:
        """Fetch into the mirror that is there, or make it anew; with whole files where nothing else works."""
        partial = True
        if self._is_mirror_of(wanted.remote):
            try:
                if self._has_grown():
                    return self._fetch_less(wanted, given, abort)
                return self._fetch_again(wanted, given, abort)
            except BrokenMirrorError:
                self._broken += 1
                # What a repository says must not cost a clone each time: only the 1st, 2nd, 4th, 8th does.
                if self._broken & (self._broken - 1):
                    raise
                self.counters.rebuilds += 1
            except PartialError:
                partial = False
        try:
            return self._fetch_anew(wanted, given, abort, partial=partial)
        except PartialError:
            return self._fetch_anew(wanted, given, abort, partial=False)

    def _has_grown(self) -> bool:
        """Say whether most of a mirror is what no branch has any more: what was fetched is never dropped."""
        most = max(self._limits.mirror_bytes_max, 2 * self._made_with)
        return bytes_of(self._directory) > most

    def _fetch_less(self, wanted: Wanted, given: Lent, abort: Abort) -> Revision:
        """Make the mirror anew, unless what was accepted last would be lost with the old one."""
        self._made_with = bytes_of(self._directory)
        try:
            return self._fetch_anew(
                wanted, given, abort, partial=True, keeping=wanted.since.rpartition("@")[2]
            )
        except PartialError:
            return self._fetch_again(wanted, given, abort)

    def _fetch_again(self, wanted: Wanted, given: Lent, abort: Abort) -> Revision:
        session, ref = self._opened_for(wanted.remote, given, abort, self._directory), wanted.ref
        before = wanted.since
        if not before and ref.kind is RefKind.BRANCH:
            before = f"{ref.name}@{tip(session.local, branch_ref(ref.name))}"
        return self._newest(session, wanted, before)

    def _fetch_anew(
        self, wanted: Wanted, given: Lent, abort: Abort, *, partial: bool, keeping: str = ""
    ) -> Revision:
        """Clone beside the old mirror and swap when it worked: until then old revisions stay readable.

        Raises PartialError where it does not come with a commit that is to be kept.
        """
        fresh = self._directory.with_name(f"{self._directory.name}.new")
        remove(fresh)
        try:
            make_bare(GitRunner(fresh, abort), wanted.remote)
            if not partial:
                (fresh / _WHOLE_FILE).touch()
            session = self._opened_for(wanted.remote, given, abort, fresh)
            assert session.online is not None
            bring(session.online, wanted.remote, wanted.ref, partial=partial)
            if keeping and not session.bring_back(keeping):
                raise PartialError(f"{wanted.remote} does not give {keeping[:12]} any more")
            remove(self._directory)
            fresh.rename(self._directory)
            self._made_with = bytes_of(self._directory)
        except BaseException:
            remove(fresh)
            raise
        self._opened = True
        session = self._opened_for(wanted.remote, given, abort, self._directory)
        return self._newest(session, wanted, wanted.since)

    def _newest(self, session: Session, wanted: Wanted, before: str) -> Revision:
        git, ref = session.online, wanted.ref
        assert git is not None
        found = bring(git, wanted.remote, ref, partial=session.partial)
        try:
            revision = self._revision(session, found.name, found.revision, wanted.place)
            if session.is_forced(ref, revision, before, wanted.meant) != revision.forced:
                revision = self._kept(replace(revision, forced=not revision.forced), wanted.place)
        except GitExit as ended:
            raise explain(ended.stderr, what=f"read {found.name} of {wanted.remote}") from None
        if self.counters.fetches % _FETCHES_PER_TIDY == 0:
            self._tidy(git)
        return revision

    def _tidy(self, git: GitRunner) -> None:
        """Pack what is there, if that is done in time: a mirror that is not tidied up is as good."""
        try:
            git.succeeds(*_TIDY)
        except (GitExit, FetchError):
            remove_locks(self._directory)

    def _read(
        self, remote: Remote | None, commit: str, name: str, place: Place, access: Access, abort: Abort
    ) -> Revision:
        if not (self._directory / "HEAD").is_file():
            raise FetchError(
                f"there is no local mirror to read {commit[:12]} from; fetch first", retryable=True
            )
        try:
            with self._session(remote, access, abort) as session:
                if not has_commit(session.local, commit):
                    raise FetchError(f"the local mirror does not have commit {commit[:12]}", retryable=True)
                return self._revision(session, name, commit, place)
        except GitExit as ended:
            raise explain(ended.stderr, what=f"read {commit[:12]}") from None

    def _revision(self, session: Session, name: str, revision: str, place: Place) -> Revision:
        last = self._last[1] if self._last is not None and self._last[0] == place else None
        return self._kept(session.read(name, revision, place, self._limits, last), place)

    def _kept(self, revision: Revision, place: Place) -> Revision:
        self._last = place, revision
        return revision

    @contextmanager
    def _session(self, remote: Remote | None, access: Access, abort: Abort) -> Iterator[Session]:
        """Open the mirror for one call. Without a remote there is no network."""
        if remote is None:
            yield self._opened_for(None, NOTHING_LENT, abort, self._directory)
            return
        with lent(access, remote, self._lent_directory) as given:
            yield self._opened_for(remote, given, abort, self._directory)

    def _opened_for(self, remote: Remote | None, given: Lent, abort: Abort, directory: Path) -> Session:
        seconds = self._limits.fetch_timeout.total_seconds()
        memory = self._limits.memory_bytes_max
        partial = not (directory / _WHOLE_FILE).exists()
        local = GitRunner(directory, abort, timeout_seconds=seconds, memory_bytes_max=memory)
        online = None
        if remote is not None:
            config = {**given.config, **remote_config(remote, partial=partial)}
            given = replace(given, config=config)
            online = GitRunner(
                directory,
                abort,
                transport=remote.transport,
                timeout_seconds=seconds,
                lent=given,
                file_bytes_max=self._limits.pack_bytes_max,
                memory_bytes_max=memory,
            )
        most = min(self._limits.total_bytes_max, self._limits.pack_bytes_max)
        return Session(local, online, remote, partial, self.counters, self._in_vain, most)

    @property
    def _lent_directory(self) -> Path:
        return self._directory.with_name(f"{self._directory.name}{SUFFIX}")

    def _is_mirror_of(self, remote: Remote) -> bool:
        """Say whether the directory holds a mirror of that URL; at first use, clear crash leftovers."""
        try:
            known = (self._directory / URL_FILE).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            return False
        if known != remote.text or is_shallow(self._directory):
            self._last = None
            return False
        if not self._opened:
            remove_locks(self._directory)
            self._opened = True
        return True


async def _throw_when_cancelled(abort: Abort) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        abort.throw()
