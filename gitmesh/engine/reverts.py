"""Reverts: commits that make Git say again what is live after a rollback, made beside passes and rollbacks.

Stage: fetch (called by the daemon). What becomes of one is left in memory, for the next pass to write down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from anyio import to_thread

from gitmesh.decide.reverting import (
    Mode,
    branch_of,
    commit_message,
    release_of,
    wants_revert,
)
from gitmesh.engine.accept import examine
from gitmesh.engine.memory import Memory, Moved, SourceMemory
from gitmesh.engine.ports import Ports
from gitmesh.engine.report import Source
from gitmesh.engine.repository import Repository
from gitmesh.engine.scope import scope
from gitmesh.engine.verifier import Verifier, can_push
from gitmesh.fetch.errors import FetchError, MovedError
from gitmesh.fetch.push import Proposal
from gitmesh.istio.canonical import spec_hash
from gitmesh.model.config import Config
from gitmesh.model.diagnostic import Diagnostic, has_errors
from gitmesh.model.resource import ResourceKey
from gitmesh.model.revert import Revert, RevertState
from gitmesh.model.revision import Revision, SourceFile
from gitmesh.model.rollout import Phase, RolloutRecord
from gitmesh.parse.manifests import parse_files
from gitmesh.parse.put_back import Reader, put_back

ROUNDS_MAX = 4  # in a row, when others push at the same time
RETRY_FIRST, RETRY_MAX = timedelta(seconds=2), timedelta(minutes=10)
UNTIL_GIT_IS_READ = timedelta(minutes=1)  # its head differs from what is desired: it may be broken
_DOUBLINGS_MAX = 10

Item = tuple[ResourceKey, RolloutRecord]


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be reverted by one commit."""

    source: Source
    release: str
    mode: Mode
    items: tuple[Item, ...]

    @property
    def name(self) -> tuple[ResourceKey, str]:
        """What tells it from every other one."""
        return self.source.resource.key, self.release

    @property
    def contents(self) -> tuple[str, ...]:
        """The contents that are to go."""
        return tuple(record.canary_hash for _, record in self.items)


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often a job was tried in vain, and when it is tried again."""

    contents: tuple[str, ...]
    count: int
    again: datetime


class Reverter:
    """Makes reverts, one after the other for each source. A failure concerns nothing but the revert."""

    def __init__(self, ports: Ports, memory: Memory, config: Config) -> None:
        self._ports = ports
        self._memory = memory
        self._verifier = Verifier(ports)
        self._config = config
        self._wanted: dict[tuple[ResourceKey, str], Job] = {}
        self._working: set[ResourceKey] = set()
        self._attempts: dict[tuple[ResourceKey, str], Attempts] = {}

    def configure(self, config: Config) -> None:
        """Go by other settings from now on."""
        self._config = config

    def forget(self) -> None:
        """Begin anew."""
        self._wanted.clear()
        self._working.clear()
        self._attempts.clear()

    def want(self, source: Source, moved: Iterable[Moved]) -> bool:
        """Take note of what is to be reverted now; say whether there is anything to do."""
        key, memory = source.resource.key, self._memory.of(source.resource.key)
        self._wanted = {name: job for name, job in self._wanted.items() if name[0] != key}
        desired = memory.desired.resources if memory.desired and not source.spec.suspend else {}
        found: dict[tuple[str, Mode], list[Item]] = {}
        items = list(moved)
        unsettled = {_group(item.after) for item in items if _is_unsettled(item.after)} - {""}
        for item in items:
            wanted = desired.get(item.key)
            if wanted is None or item.key in memory.records or _group(item.after) in unsettled:
                continue
            allowed = source.spec.push == "allowed" and can_push(source)
            mode = wants_revert(item.after, spec_hash(wanted.spec), allowed=allowed)
            if mode != "none":
                release = f"{release_of(item.key, item.after)} ({mode})"
                found.setdefault((release, mode), []).append((item.key, item.after))
        for (release, mode), members in found.items():
            job = Job(source, release, mode, tuple(members))
            if self._is_due(job):
                self._wanted[job.name] = job
        return any(name[0] not in self._working for name in self._wanted)

    def _is_due(self, job: Job) -> bool:
        attempts = self._attempts.get(job.name)
        if attempts is None or attempts.contents != job.contents:
            return True
        return attempts.again <= self._ports.clock.now()

    def take(self) -> list[Job]:
        """Return what is to be done now, one job for each source."""
        due: dict[ResourceKey, Job] = {}
        for name, job in self._wanted.items():
            if name[0] not in self._working:
                due.setdefault(name[0], job)
        for job in due.values():
            del self._wanted[job.name]
            self._working.add(job.source.resource.key)
        return list(due.values())

    async def work(self, job: Job, repository: Repository) -> timedelta | None:
        """Do one job, as far as that goes; return when it is worth trying again. Never raises."""
        with scope(self._ports, "revert", stage="fetch", source=job.source.name):
            return await self._work(job, repository)

    async def _work(self, job: Job, repository: Repository) -> timedelta | None:
        try:
            if job.source.spec.push != "allowed":
                text = f"no revert: TrafficSource {job.source.name} does not allow it (spec.push: allowed)"
                self._tell(job, job.items, RevertState.REFUSED, text)
                return None
            if not can_push(job.source):
                text = (
                    f"no revert: TrafficSource {job.source.name} demands signatures, and GitMesh has no key "
                    "to sign with (spec.signingKeyRef)"
                )
                self._tell(job, job.items, RevertState.REFUSED, text)
                return None
            if not await self._rounds(job, repository):
                return self._postponed(job, UNTIL_GIT_IS_READ)
        except FetchError as error:
            if error.retryable:
                return self._later(job, str(error))
            self._tell(job, job.items, RevertState.FAILED, f"revert it by hand: {error}")
        except Exception as error:
            self._ports.log.exception("revert failed unexpectedly", stage="fetch", release=job.release)
            return self._later(job, f"{type(error).__name__}: {error}")
        finally:
            self._working.discard(job.source.resource.key)
        self._attempts.pop(job.name, None)
        return None

    async def _rounds(self, job: Job, repository: Repository) -> bool:
        """Make the commit on the newest head, and again when that has moved meanwhile.

        Returns False when Git says something else by now: there is nothing to revert.
        """
        memory = self._memory.of(job.source.resource.key)
        for number in range(ROUNDS_MAX):
            if memory.withheld is not None:
                return False
            head = await repository.fetch(memory.desired.revision.id if memory.desired else "")
            if head.forced and job.source.spec.fast_forward_only:
                return False
            if not await self._is_trusted(job, memory, head, repository):
                return False
            edited = await _Edit(job, head, memory, self._config).make(repository)
            for item, why in edited.problems:
                self._tell(job, [item], RevertState.FAILED, f"revert it by hand: {why}")
            if not edited.items:
                return bool(edited.problems)
            try:
                await self._push(job, repository, head, edited)
            except MovedError:
                if number == ROUNDS_MAX - 1:
                    raise
                await self._ports.clock.sleep(0.1 * (number + 1))
            else:
                return True
        return True

    async def _is_trusted(
        self, job: Job, memory: SourceMemory, head: Revision, repository: Repository
    ) -> bool:
        """Say whether a commit may go on top of this one: with it, GitMesh would sign for what is below."""
        base = memory.desired.revision.commit if memory.desired else ""
        if head.commit == base:
            return True
        return await self._verifier.check(job.source, memory, head, base, repository.git) is None

    async def _push(self, job: Job, repository: Repository, head: Revision, edited: Edited) -> None:
        spec, items = job.source.spec, edited.items
        is_branch = job.mode == "branch"
        proposal = Proposal(
            base=head.commit,
            branch=branch_of(items) if is_branch else spec.branch,
            expected="" if is_branch else head.commit,
            files=edited.files,
            author=spec.author,
            when=self._ports.clock.now(),
            message=commit_message(items),
            signing_key=await self._verifier.signing_key(job.source),
        )
        commit = await repository.push(proposal)
        place = f"{proposal.branch}@{commit[:7]}"
        text = f"a revert waits to be merged: {place}" if is_branch else f"reverted in Git: {place}"
        self._tell(job, items, RevertState.DONE, text, proposal.branch, commit)

    def _later(self, job: Job, why: str) -> timedelta:
        known = self._attempts.get(job.name)
        count = known.count + 1 if known and known.contents == job.contents else 1
        self._tell(job, job.items, RevertState.PENDING, f"revert tried again later: {why}")
        return self._postponed(
            job, min(RETRY_FIRST * (1 << min(count - 1, _DOUBLINGS_MAX)), RETRY_MAX), count
        )

    def _postponed(self, job: Job, wait: timedelta, count: int = 0) -> timedelta:
        self._attempts[job.name] = Attempts(job.contents, count, self._ports.clock.now() + wait)
        return wait

    def _tell(
        self,
        job: Job,
        items: Iterable[Item],
        state: RevertState,
        text: str,
        branch: str = "",
        commit: str = "",
    ) -> None:
        memory = self._memory.of(job.source.resource.key)
        for key, record in items:
            memory.reverts[key] = Revert(
                content=record.canary_hash,
                state=state,
                at=self._ports.clock.now(),
                branch=branch,
                commit=commit,
                message=text[:1000],
            )
            log = self._ports.log.bind(rollout=str(key), revision=record.revision)
            (log.info if state is RevertState.DONE else log.warning)("revert", state=state.value, said=text)


def _group(record: RolloutRecord) -> str:
    return record.policy_spec.group if record.policy_spec else ""


def _is_unsettled(record: RolloutRecord) -> bool:
    """Say whether a rollout is still on its way, or on its way back: its group is reverted as a whole."""
    return record.phase.in_motion or (record.phase is Phase.ROLLED_BACK and record.effective_at is None)


@dataclass(frozen=True, slots=True)
class Edited:
    """What a commit is to hold: which objects it puts back, in which files; and what could not be done."""

    items: tuple[Item, ...]
    files: Mapping[str, bytes]
    problems: tuple[tuple[Item, str], ...]


class _Edit:
    """The files of one head, with objects put back in them."""

    def __init__(self, job: Job, head: Revision, memory: SourceMemory, config: Config) -> None:
        self._job = job
        self._head = head
        self._memory = memory
        self._reader = Reader(job.source.default_namespace, config.parse)
        self._files: dict[str, bytes] = {}

    async def make(self, repository: Repository) -> Edited:
        """Put back what the head still has. Raises FetchError."""
        done: list[Item] = []
        problems: list[tuple[Item, str]] = []
        known = self._memory.examined.parsed if self._memory.examined else None
        work = partial(
            parse_files,
            self._head.files,
            default_namespace=self._reader.default_namespace,
            limits=self._reader.limits,
            previous=known,
        )
        resources = (await to_thread.run_sync(work)).resources
        for item in self._job.items:
            resource = resources.get(item[0])
            if resource is None or resource.origin is None or spec_hash(resource.spec) != item[1].canary_hash:
                continue
            problem = await self._put_back(repository, item, resource.origin.file)
            if problem:
                problems.append((item, problem))
            else:
                done.append(item)
        if done and (broken := await to_thread.run_sync(self._breaks)):
            return Edited((), {}, (*problems, *((item, broken) for item in done)))
        return Edited(tuple(done), self._files, tuple(problems))

    async def _put_back(self, repository: Repository, item: Item, path: str) -> str:
        """Put one object back; return why that cannot be done."""
        (key, record), reader = item, self._reader
        now = self._files.get(path) or self._head.files[path].content
        stable = record.stable.hash
        then = await repository.look_back(
            self._head.commit, path, lambda content: reader.holds(path, content, key, stable)
        )
        if then is None:
            return f"the history of {path} has no version of {key} with the spec that is stable"
        content = await to_thread.run_sync(put_back, path, now, then, key, reader)
        if content is None:
            return f"the text of {key} cannot be cut out of {path}"
        self._files[path] = content
        return ""

    def _breaks(self) -> str:
        """Return what would be wrong with the files, and is right without the revert."""
        files = {p: SourceFile(p, "", content) for p, content in self._files.items()}
        after = replace(self._head, files={**self._head.files, **files})
        findings = [self._examined(revision) for revision in (self._head, after)]
        if has_errors(findings[0]) or not has_errors(findings[1]):
            return ""
        first = next(finding for finding in findings[1] if has_errors((finding,)))
        return f"without the rest of its commit it would be wrong: {first.message}"

    def _examined(self, revision: Revision) -> tuple[Diagnostic, ...]:
        return examine(
            revision,
            default_namespace=self._reader.default_namespace,
            limits=self._reader.limits,
        ).findings
