"""POST to a target: time limit, bounded answer, no redirects, foreign errors translated once.

Stage: notify (effect). An address can hold a secret: errors name its host alone.
"""

from __future__ import annotations

import email.utils
import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import aiohttp
import anyio

from gitmesh.notify.errors import DeliveryError

ANSWER_BYTES_MAX = 262_144
AFTER_SECONDS_MAX = 900.0  # nobody is left alone for longer than this
# Source: RFC 9110: 408, 425, 429 and what is wrong with the server may be different later.
_LATER = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a target said."""

    status: int
    body: bytes


class Poster:
    """Sends to one target. `name` says in errors which."""

    def __init__(self, name: str, *, timeout_seconds: float, ca_file: str = "") -> None:
        self._name = name
        self._timeout = timeout_seconds
        self._ca_file = ca_file
        self._session: aiohttp.ClientSession | None = None
        self._loopback = False

    async def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        now: datetime,
        method: str = "POST",
        refused: frozenset[int] = frozenset(),
    ) -> Answer:
        """Return the answer when it is 2xx, or one of `refused`. Raises DeliveryError."""
        where = f"{self._name} at {_host(url)}"
        try:
            with anyio.fail_after(self._timeout):
                session = await self._opened(url)
                async with session.request(
                    method, url, data=body, headers=headers, allow_redirects=False
                ) as response:
                    answer = Answer(response.status, await _bounded(response))
                    after = _after(response.headers.get("Retry-After", ""), now)
        except TimeoutError as error:
            raise DeliveryError(f"{where}: no answer within {self._timeout:g} s") from error
        except aiohttp.InvalidURL:
            raise DeliveryError(f"{where}: the address is none", retryable=False) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise DeliveryError(f"{where}: {type(error).__name__}; is it running?") from None
        if 200 <= answer.status < 300 or answer.status in refused:
            return answer
        later = answer.status in _LATER or answer.status >= 500
        raise DeliveryError(f"{where}: HTTP {answer.status}", retryable=later, after_seconds=after)

    async def close(self) -> None:
        """Release connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _opened(self, url: str) -> aiohttp.ClientSession:
        # As in Go, a proxy of the environment is never used for loopback; aiohttp would use it.
        loopback = _is_loopback(_host(url))
        if self._session is not None and loopback != self._loopback:
            await self.close()
        if self._session is None:
            self._loopback = loopback
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._trust()),
                trust_env=not loopback,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "gitmesh"},
            )
        return self._session

    def _trust(self) -> ssl.SSLContext | bool:
        if not self._ca_file:
            return True
        try:
            return ssl.create_default_context(cafile=self._ca_file)
        except (OSError, ssl.SSLError) as error:
            raise DeliveryError(f"{self._name}: caFile {self._ca_file} cannot be used: {error}") from None


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """Return the beginning of the body: nobody needs more of an answer to a notice."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            response.close()
            break
    return bytes(body[:ANSWER_BYTES_MAX])


def _after(header: str, now: datetime) -> float:
    """Read Retry-After: seconds, or a date. Source: RFC 9110, 10.2.3."""
    if header.isdecimal():
        seconds = float(header[:9])
    else:
        try:
            moment = email.utils.parsedate_to_datetime(header)
        except ValueError:
            return 0.0
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (aware - now).total_seconds()
    return min(max(seconds, 0.0), AFTER_SECONDS_MAX)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "no host"
    except ValueError:
        return "no host"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
