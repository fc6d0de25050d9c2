"""Fetching: keeps each source's newest revision in memory, and knows when to look again.

Stage: fetch (called by the daemon, apart from the pass, so that a slow remote holds nothing up).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

from anyio import to_thread

from gitmesh.engine.accept import desired_of, examine
from gitmesh.engine.announce import note_fetch
from gitmesh.engine.memory import SourceMemory
from gitmesh.engine.ports import Git, Ports
from gitmesh.engine.report import Source
from gitmesh.fetch.errors import FetchError
from gitmesh.model.config import Config
from gitmesh.model.diagnostic import has_errors
from gitmesh.model.resource import ResourceKey
from gitmesh.model.source import SYNC_ANNOTATION

RETRY_FIRST = timedelta(seconds=2)


class Fetcher:
    """One mirror for each source."""

    def __init__(self, ports: Ports, config: Config) -> None:
        self._ports = ports
        self._config = config
        self._mirrors: dict[ResourceKey, Git] = {}
        self._failures: dict[ResourceKey, int] = {}
        self._outdated: set[ResourceKey] = set()  # opened with other limits than those of now

    def configure(self, config: Config) -> None:
        """Go by other settings from the next fetch on: mirrors are opened by what they are limited to."""
        if config.git != self._config.git:
            self._outdated |= self._mirrors.keys()
        self._config = config

    async def fetch(self, source: Source, memory: SourceMemory) -> timedelta | None:
        """Fetch once. Returns when to try again after a failure; None after a success."""
        if source.resource.key in self._outdated:
            await self.forget(source.resource.key)
        git, spec = self.mirror(source.resource.key), source.spec
        log = self._ports.log.bind(stage="fetch", source=source.name)
        # Read before fetching: a push that came after this moment is not what was asked for.
        sync = source.resource.annotations.get(SYNC_ANNOTATION, "")
        try:
            revision = await git.fetch(spec.url, spec.branch, spec.path)
        except FetchError as error:
            if memory.fetch_error != str(error):
                log.warning("fetch failed", error=str(error))
            memory.fetch_error, memory.handled_sync = str(error), sync
            failures = self._failures[source.resource.key] = self._failures.get(source.resource.key, 0) + 1
            if failures == self._config.notifications.fetch_failures:
                note_fetch(source, str(error), failures, self._ports)
            return min(RETRY_FIRST * (1 << min(failures - 1, 10)), max(spec.interval, RETRY_FIRST))
        if memory.fetched is None or memory.fetched.commit != revision.commit:
            log.info("fetched", revision=revision.short, subject=revision.subject, files=len(revision.files))
        failures = self._failures.pop(source.resource.key, 0)
        if failures >= self._config.notifications.fetch_failures:
            note_fetch(source, "", failures, self._ports)
        # Before anything can act on the newest commit: it may be broken, and a mirror that was lost has only
        # now got the last good one back.
        await self.restore(source, memory)
        memory.fetched, memory.fetch_error, memory.handled_sync = revision, "", sync
        return None

    async def restore(self, source: Source, memory: SourceMemory) -> bool:
        """After a restart: take the accepted revision out of the mirror, so that it is healed and guarded
        even when the remote is down or its newest commit is broken. Returns True when that worked."""
        branch, _, commit = source.status.accepted_revision.rpartition("@")
        if memory.restored or not commit or memory.desired is not None:
            return False
        try:
            revision = await self.mirror(source.resource.key).read(commit, branch, source.spec.path)
        except FetchError as error:
            self._ports.log.info(
                "accepted revision is not in the mirror",
                stage="fetch",
                source=source.name,
                error=str(error),
            )
            return False
        memory.restored = True
        work = partial(
            examine,
            revision,
            default_namespace=source.default_namespace,
            limits=self._config.parse,
        )
        examined = await to_thread.run_sync(work)
        if has_errors(examined.findings) or memory.desired is not None:
            return False
        memory.desired = replace(desired_of(revision, examined.parsed), restored=True)
        if source.status.last_applied_revision == revision.id:
            memory.applied = memory.desired
        return True

    def mirror(self, key: ResourceKey) -> Git:
        """Return the mirror of a source, opened if it is not."""
        if key not in self._mirrors:
            self._mirrors[key] = self._ports.open_git(key)
        return self._mirrors[key]

    async def forget(self, key: ResourceKey) -> None:
        """Close the mirror of a source that is gone."""
        mirror = self._mirrors.pop(key, None)
        self._outdated.discard(key)
        if mirror is not None:
            await mirror.close()

    async def close(self) -> None:
        """Close all mirrors."""
        for key in list(self._mirrors):
            await self.forget(key)
