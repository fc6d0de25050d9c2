"""What opens a source's repository: read from Secrets, kept for a while, and read again when a login fails.

Stage: fetch (called by the fetcher). Secrets are kept in memory only, and nothing of them is logged.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gitmesh.engine.clock import Clock
from gitmesh.engine.report import Source
from gitmesh.fetch.access import read_access, with_proxy
from gitmesh.fetch.errors import FetchError
from gitmesh.fetch.urls import check_url
from gitmesh.kube.errors import ClusterError, NotFoundError, RejectedError
from gitmesh.kube.protocol import ClusterClient
from gitmesh.model.config import Config
from gitmesh.model.kinds import SECRET
from gitmesh.model.repository import OPEN, Access

_FORBIDDEN = 403
_UNUSED_SECONDS = 3600.0  # after which a Secret is forgotten that no source has asked for


@dataclass(frozen=True, slots=True)
class _Kept:
    """The content of a Secret, and when it was read by a clock that never goes back."""

    content: Mapping[str, bytes] = field(repr=False)
    at: float


@dataclass(frozen=True, slots=True)
class _Named:
    """A Secret, and the field that asks for it."""

    namespace: str
    name: str
    asked_by: str

    def __str__(self) -> str:
        return f"Secret {self.namespace}/{self.name} of {self.asked_by}"


class Keyring:
    """The Secrets that sources name."""

    def __init__(self, cluster: ClusterClient, clock: Clock, config: Config) -> None:
        self._client = cluster
        self._clock = clock
        self._config = config
        self._kept: dict[_Named, _Kept] = {}

    def configure(self, config: Config) -> None:
        """Go by other settings from now on."""
        self._config = config

    async def access(self, source: Source, *, fresh: bool = False) -> Access:
        """Return what opens the repository of a source. Raises FetchError.

        A Secret is asked for when it is not known, when it was read too long ago, and when `fresh` says so.
        """
        spec = source.spec
        if spec.secret_ref is None and spec.proxy_secret_ref is None:
            return OPEN
        transport = check_url(spec.url, allow_file_urls=self._config.allow_file_urls).transport
        namespace, access = source.resource.key.namespace, OPEN
        if spec.secret_ref is not None:
            where = _Named(namespace, spec.secret_ref.name, "spec.secretRef")
            access = await self._read(where, lambda found: read_access(found, transport, str(where)), fresh)
        if spec.proxy_secret_ref is not None:
            opened, proxy = access, _Named(namespace, spec.proxy_secret_ref.name, "spec.proxySecretRef")
            access = await self._read(
                proxy, lambda found: with_proxy(opened, found, transport, str(proxy)), fresh
            )
        return access

    async def _read(
        self, where: _Named, understood: Callable[[Mapping[str, bytes]], Access], fresh: bool
    ) -> Access:
        content = await self._content(where, fresh=fresh)
        try:
            return understood(content)
        except FetchError:
            self._kept.pop(where, None)  # a person will mend it: look again at the next try
            raise

    async def _content(self, where: _Named, *, fresh: bool) -> Mapping[str, bytes]:
        now, known = self._clock.monotonic(), self._kept.get(where)
        age_max = self._config.git.secret_refresh.total_seconds()
        if known is not None and not fresh and now - known.at < age_max:
            return known.content
        try:
            body = await self._client.get(SECRET, where.namespace, where.name)
        except ClusterError as error:
            if known is not None and error.retryable:
                return known.content  # an API server that is down must not keep us from Git
            self._kept.pop(where, None)
            raise _unreadable(error, where) from None
        content = _decoded(body.get("data") or {})
        self._kept = {key: kept for key, kept in self._kept.items() if now - kept.at < _UNUSED_SECONDS}
        self._kept[where] = _Kept(content, now)
        return content


def _decoded(data: Mapping[str, object]) -> Mapping[str, bytes]:
    content: dict[str, bytes] = {}
    for key, value in data.items():
        try:
            content[key] = base64.b64decode(str(value), validate=True)
        except (binascii.Error, ValueError):  # an API server keeps no such thing
            content[key] = b""
    return content


def _unreadable(error: ClusterError, where: _Named) -> FetchError:
    if isinstance(error, NotFoundError):
        text = f"there is no {where}; create it, or take {where.asked_by} out"
        return FetchError(text, retryable=True)
    if isinstance(error, RejectedError) and error.status == _FORBIDDEN:
        return FetchError(
            f"GitMesh may not read {where}; allow its service account to get that Secret", retryable=True
        )
    return FetchError(f"cannot read {where}: {error}", retryable=True)
