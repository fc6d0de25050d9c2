"""Envoy's admin interface, as far as it is needed.

Stage: playground (effect).
"""

from __future__ import annotations

from typing import Any

import aiohttp
import orjson

from gitmesh.playground.envoy.errors import EnvoyError
from gitmesh.playground.translate.listeners import Address

_TIMEOUT_SECONDS = 5.0
_ANSWER_BYTES_MAX = 16_777_216


class Admin:
    """Asks one Envoy. Every method raises EnvoyError when it does not answer."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._session: aiohttp.ClientSession | None = None

    async def is_ready(self) -> bool:
        """Say whether Envoy has its configuration and serves."""
        try:
            return "LIVE" in await self._request("GET", "/ready")
        except EnvoyError:
            return False

    async def stats(self, pattern: str, *, texts_only: bool = False) -> dict[str, str]:
        """Return the statistics whose name the regular expression finds; texts without their quotes.

        Texts alone cost Envoy a third: it looks through all clusters once for each kind of statistics.
        """
        chosen = {"type": "TextReadouts"} if texts_only else {}
        text = await self._request("GET", "/stats", filter=pattern, **chosen)
        pairs = (line.partition(": ") for line in text.splitlines())
        return {name: value.strip('"') for name, _, value in pairs}

    async def prometheus(self) -> str:
        """Return the used statistics in Prometheus' text format."""
        return await self._request("GET", "/stats/prometheus", usedonly="")

    async def json(self, what: str) -> Any:
        """Return `listeners` or `clusters` as Envoy has them."""
        return orjson.loads(await self._request("GET", f"/{what}", format="json"))

    async def drain(self) -> None:
        """Let connections end after their current request."""
        await self._request("POST", "/drain_listeners", graceful="")

    async def quit(self) -> None:
        """End the process."""
        await self._request("POST", "/quitquitquit")

    async def close(self) -> None:
        """Release connections."""
        if self._session is not None:
            await self._session.close()

    async def _request(self, method: str, path: str, **query: str) -> str:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout)
        try:
            async with self._session.request(method, self.address.url + path, params=query) as response:
                body = await response.content.read(_ANSWER_BYTES_MAX)
                while not response.content.at_eof() and len(body) < _ANSWER_BYTES_MAX:
                    body += await response.content.read(_ANSWER_BYTES_MAX - len(body))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise EnvoyError(
                f"Envoy's admin interface at {self.address} does not answer: {error!r}"
            ) from error
        text = body.decode(errors="replace")
        if response.status not in (200, 503):  # 503: /ready of an Envoy that is not
            raise EnvoyError(f"Envoy's admin interface answers {response.status} to {path}: {text[:200]}")
        return text
