"""Fetching: keeps each source's newest revision in memory, and knows when to look again.

Stage: fetch (called by the daemon, apart from the pass, so that a slow remote holds nothing up).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

from anyio import to_thread

from gitmesh.engine.accept import bounds_of, desired_of, examine, outside_of, question_of, read_ahead
from gitmesh.engine.announce import note_fetch
from gitmesh.engine.credentials import Keyring
from gitmesh.engine.gauges import is_ready
from gitmesh.engine.memory import SourceMemory, Withheld
from gitmesh.engine.ports import Git, Ports
from gitmesh.engine.report import Source
from gitmesh.engine.repository import Repository
from gitmesh.engine.scope import scope
from gitmesh.engine.verifier import Verifier
from gitmesh.fetch.errors import FetchError
from gitmesh.model.config import Config
from gitmesh.model.diagnostic import has_errors
from gitmesh.model.notice import shortened
from gitmesh.model.repository import RefKind, RepositoryFields
from gitmesh.model.resource import ResourceKey
from gitmesh.model.revision import Revision
from gitmesh.model.source import ACCEPT_REWRITE_ANNOTATION, SYNC_ANNOTATION

RETRY_FIRST = timedelta(seconds=2)
HISTORY_REWRITTEN = "HistoryRewritten"
_DOUBLINGS_MAX = 20
_JITTER = 0.05  # of every wait, up or down: so that many sources do not march in step


class Fetcher:
    """One mirror for each source."""

    def __init__(self, ports: Ports, config: Config) -> None:
        self._ports = ports
        self._config = config
        self._keyring = Keyring(ports.cluster, ports.clock, config)
        self.verifier = Verifier(ports)
        self._mirrors: dict[ResourceKey, Git] = {}
        self._failures: dict[ResourceKey, int] = {}
        self._outdated: set[ResourceKey] = set()  # opened with other limits than those of now

    def configure(self, config: Config) -> None:
        """Go by other settings from the next fetch on: mirrors are opened by what they are limited to."""
        if config.git != self._config.git:
            self._outdated |= self._mirrors.keys()
        self._config = config
        self._keyring.configure(config)

    async def fetch(self, source: Source, memory: SourceMemory) -> timedelta:
        """Fetch once. Returns when to look again; `memory.fetch_error` says whether it worked."""
        if source.resource.key in self._outdated:
            await self.forget(source.resource.key)
        revision = memory.fetched.short if memory.fetched else ""
        with scope(self._ports, "fetch", stage="fetch", source=source.name, revision=revision):
            return await self._fetch(source, memory)

    async def _fetch(self, source: Source, memory: SourceMemory) -> timedelta:
        key, log = source.resource.key, self._ports.log
        # Read before fetching: a push that came after this moment is not what was asked for.
        sync = source.resource.annotations.get(SYNC_ANNOTATION, "")
        began = self._ports.clock.monotonic()
        try:
            revision = await self.repository(source).fetch(_baseline(source, memory))
            # Before anything can act on the newest commit: it may be broken, and a mirror that was lost has
            # only now got the last good one back.
            await self.restore(source, memory, online=True)
            withheld = _withheld(source, memory, revision) or await self.unverified(source, memory, revision)
        except FetchError as error:
            if memory.fetch_error != str(error):
                log.warning("fetch failed", error=str(error))
            memory.fetch_error, memory.handled_sync = str(error), sync
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            if failures == self._config.notifications.fetch_failures:
                note_fetch(source, str(error), failures, self._ports)
            return self.wait(source)
        self._ports.meters.source_fetched.labels(source.name).set(self._ports.clock.now().timestamp())
        failures = self._failures.pop(key, 0)
        if failures >= self._config.notifications.fetch_failures:
            note_fetch(source, "", failures, self._ports)
        if withheld is not None:
            if memory.withheld != withheld:
                log.warning("revision held", revision=revision.short, reason=withheld.reason)
        elif memory.fetched is None or memory.fetched.id != revision.id:
            log.info("fetched", revision=revision.short, subject=revision.subject, files=len(revision.files))
            if revision.id != source.status.last_applied_revision or not is_ready(source.status):
                memory.awaited = (revision.id, self._ports.clock.monotonic())
        if withheld is None:  # no pass knows of it before it is read
            question = question_of(source, revision, self._ports.live.snapshot(), self._config)
            await read_ahead(memory, question, self._config.parse)
        memory.withheld, memory.looked_at = withheld, began
        if withheld is None and (memory.fetched is None or memory.fetched.id != revision.id):
            memory.news_at = self._ports.clock.monotonic()
        memory.fetched = memory.fetched if withheld else revision
        memory.fetch_error, memory.handled_sync = "", sync
        return self.wait(source)

    async def unverified(self, source: Source, memory: SourceMemory, revision: Revision) -> Withheld | None:
        """Say why a revision is not signed as its source demands; None when it is. Raises FetchError."""
        base, git = _baseline(source, memory).rpartition("@")[2], self.repository(source).git
        return await self.verifier.check(source, memory, revision, base, git)

    def wait(self, source: Source) -> timedelta:
        """Return how long to wait before the next look: the interval, or longer and longer after failures."""
        interval, failures = source.spec.interval, self._failures.get(source.resource.key, 0)
        if failures:
            longest = max(interval, self._config.git.retry_max)
            interval = min(RETRY_FIRST * (1 << min(failures - 1, _DOUBLINGS_MAX)), longest)
        return interval * (1 + _JITTER * (2 * self._ports.jitter() - 1))

    async def restore(self, source: Source, memory: SourceMemory, *, online: bool = False) -> bool:
        """After a restart: take the accepted revision out of the mirror, so that it is healed and guarded
        even when the remote is down or its newest commit is broken. Returns True when that worked."""
        name, _, commit = source.status.accepted_revision.rpartition("@")
        if memory.restored or not commit or memory.desired is not None:
            return False
        try:
            revision = await self.repository(source).read(commit, name, online=online)
        except FetchError as error:
            self._ports.log.info(
                "accepted revision is not in the mirror",
                stage="fetch",
                source=source.name,
                revision=shortened(source.status.accepted_revision),
                error=str(error),
            )
            return False
        memory.restored = True
        revision = replace(revision, url=source.status.accepted_url or source.spec.url)
        work = partial(
            examine,
            revision,
            default_namespace=source.default_namespace,
            limits=self._config.parse,
        )
        examined = await to_thread.run_sync(work)
        beyond = outside_of(examined.parsed, bounds_of(source, self._config))
        if beyond or has_errors(examined.findings) or memory.desired is not None:
            return False
        memory.desired = replace(desired_of(revision, examined.parsed), restored=True)
        if source.status.last_applied_revision == revision.id:
            memory.applied = memory.desired
        return True

    def repository(self, source: Source) -> Repository:
        """Return the repository of a source, with its mirror opened."""
        key = source.resource.key
        if key not in self._mirrors:
            self._mirrors[key] = self._ports.open_git(key)
        return Repository(source, self._mirrors[key], self._keyring)

    async def forget(self, key: ResourceKey) -> None:
        """Close the mirror of a source."""
        mirror = self._mirrors.pop(key, None)
        self._outdated.discard(key)
        if mirror is not None:
            await mirror.close()

    async def discard(self, key: ResourceKey) -> None:
        """Remove the mirror of a source that is gone."""
        mirror = self._mirrors.pop(key, None)
        self._failures.pop(key, None)
        self._outdated.discard(key)
        if mirror is not None:
            await mirror.discard()

    async def close(self) -> None:
        """Close all mirrors."""
        for key in list(self._mirrors):
            await self.forget(key)


def asks_for(source: Source) -> object:
    """Return what a source asks of its repository: when that changes, it is fetched at once."""
    wanted = source.spec.model_dump(include=set(RepositoryFields.model_fields))
    return wanted, source.spec.verify, source.rewritten_to


def _baseline(source: Source, memory: SourceMemory) -> str:
    """Return the revision that a new one has to follow from; empty when there is none of this repository."""
    if memory.desired is not None:
        revision = memory.desired.revision
        return revision.id if revision.url in ("", source.spec.url) else ""
    status = source.status
    return status.accepted_revision if status.accepted_url in ("", source.spec.url) else ""


def _withheld(source: Source, memory: SourceMemory, revision: Revision) -> Withheld | None:
    """Say why a revision is not taken over; None when it is."""
    baseline = _baseline(source, memory)
    if not revision.forced or not baseline or not source.spec.fast_forward_only:
        return None
    name, _, before = baseline.rpartition("@")
    if source.spec.ref.kind is RefKind.BRANCH:
        what = f"{revision.short} does not follow from {before[:7]}: the history of {name} was rewritten"
    else:
        what = f"tag {name} was moved from {before[:7]} to {revision.commit[:7]}"
    key = source.resource.key
    kept = f"{name}@{before[:7]} stays" if memory.desired else "what is live stays as it is"
    return Withheld(
        HISTORY_REWRITTEN,
        f"{what}; {kept}; if that was meant: kubectl annotate trafficsource -n {key.namespace} {key.name} "
        f"--overwrite {ACCEPT_REWRITE_ANNOTATION}={revision.commit}",
        revision.id,
    )
