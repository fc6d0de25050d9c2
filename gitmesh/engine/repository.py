"""The repository of one source: its mirror, reached with what opens it now.

Stage: fetch (called by the fetcher and by reverts).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from gitmesh.engine.credentials import Keyring
from gitmesh.engine.ports import Git
from gitmesh.engine.report import Source
from gitmesh.fetch.errors import LoginError
from gitmesh.fetch.push import Proposal
from gitmesh.model.repository import OPEN, Access
from gitmesh.model.revision import Revision

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Repository:
    """Every method raises FetchError. A login that fails is tried once more, if the Secret has changed."""

    source: Source
    git: Git
    keyring: Keyring

    async def fetch(self, since: str = "") -> Revision:
        """Bring the newest revision; `since` is the one that was accepted last."""
        spec, meant = self.source.spec, self.source.rewritten_to
        return await self._reached(
            lambda access: self.git.fetch(
                spec.url, spec.ref, spec.path, ignore=spec.ignore, since=since, meant=meant, access=access
            )
        )

    async def read(self, commit: str, name: str, *, online: bool) -> Revision:
        """Read a commit that was fetched before; files that are not here only where `online` allows it."""
        spec = self.source.spec
        if not online:
            return await self.git.read(commit, name, spec.path, ignore=spec.ignore)
        return await self._reached(
            lambda access: self.git.read(
                commit, name, spec.path, ignore=spec.ignore, url=spec.url, access=access
            )
        )

    async def look_back(self, commit: str, path: str, wanted: Callable[[bytes], bool]) -> bytes | None:
        """Return the newest earlier content of a file that is wanted."""
        url = self.source.spec.url
        return await self._reached(
            lambda access: self.git.look_back(commit, path, wanted, url=url, access=access)
        )

    async def push(self, proposal: Proposal) -> str:
        """Make a commit and push it; return its id."""
        url = self.source.spec.url
        return await self._reached(lambda access: self.git.push(url, proposal, access=access))

    async def _reached(self, work: Callable[[Access], Awaitable[_T]]) -> _T:
        access = await self.keyring.access(self.source)
        try:
            return await work(access)
        except LoginError:
            if access == OPEN:
                raise
            again = await self.keyring.access(self.source, fresh=True)
            if again == access:
                raise
            return await work(again)
