"""HTTP to a metrics endpoint: time limit, bounded answer, foreign errors translated once.

Stage: observe (effect).
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import anyio

from gitmesh.observe.access import Access
from gitmesh.observe.errors import MetricsError, reason_of


class Endpoint:
    """One address, one connection pool. `name` says in errors what it is.

    Raises MetricsError when the address is none.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        timeout: timedelta,
        response_bytes_max: int,
        access: Access | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise MetricsError(
                f"the address of {name} must be an http or https URL, not {without_secrets(url)!r}",
                retryable=False,
            )
        self._parts = parts
        self.where = f"{name} at {without_secrets(url)}"
        self._timeout = timeout.total_seconds()
        self._limit = response_bytes_max
        self._access = access
        self._certificates: tuple[tuple[str, float], ...] = ()  # of the session
        self._session: aiohttp.ClientSession | None = None

    async def get(self) -> bytes:
        """Return the body of a 200. Raises MetricsError."""
        status, body = await self.request("GET")
        if status != 200:
            raise MetricsError(f"{self.where}: HTTP {status}; check the address", retryable=True)
        return body

    async def request(
        self,
        method: str,
        path: str = "",
        form: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        json: Any = None,
    ) -> tuple[int, bytes]:
        """Return status and body. Raises MetricsError: no answer, one that is too large, no login."""
        headers = self._access.headers() if self._access else {}
        name = self._access.server_name if self._access else None
        try:
            with anyio.fail_after(self._timeout):
                session = await self._opened()
                async with session.request(
                    method,
                    self._at(path),
                    data=form,
                    json=json,
                    params=query,
                    headers=headers,
                    server_hostname=name,
                    allow_redirects=False,
                ) as response:
                    if response.status in (401, 403):
                        raise MetricsError(
                            f"{self.where}: HTTP {response.status}: it refuses our login", retryable=False
                        )
                    return response.status, await self._read(response)
        except TimeoutError as error:
            raise MetricsError(f"{self.where}: no answer within {self._timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise MetricsError(f"{self.where}: {reason_of(error)}; is it running?") from None

    def _at(self, path: str) -> str:
        """Return the address with a path below it; a query of the address stays behind all paths."""
        parts = self._parts
        return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path) if path else parts)

    async def close(self) -> None:
        """Release connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _opened(self) -> aiohttp.ClientSession:
        certificates = self._access.certificates() if self._access else ()
        if self._session is not None and certificates != self._certificates:
            await self.close()
        if self._session is None:
            context: ssl.SSLContext | bool = self._access.context() if self._access else True
            self._certificates = certificates
            # As in Go, a proxy of the environment is never used for loopback; aiohttp would use it.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context),
                trust_env=not _is_loopback(self._parts.hostname or ""),
                cookie_jar=aiohttp.DummyCookieJar(),  # of cookies for ever new ones could be made
            )
        return self._session

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._limit:
                raise MetricsError(f"{self.where}: the answer is above {self._limit} bytes; it was not read")
        return bytes(body)


def without_secrets(url: str) -> str:
    """Return the address without user, password and query: any of them can hold a secret."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
