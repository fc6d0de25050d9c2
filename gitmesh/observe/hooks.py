"""Hooks of gates: ask by HTTP whether a rollout may go on, within limits, and read a yes or a no.

Stage: observe (effect). The address comes from Git, which may be hostile: no redirect is followed, no proxy
nor credential of the environment is used, and nothing of an answer is kept but its reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import anyio
from aiohttp.abc import AbstractResolver

from gitmesh.model.addresses import forbidden
from gitmesh.model.errors import printable
from gitmesh.observe.addresses import CheckedResolver, ForbiddenAddressError
from gitmesh.observe.errors import reason_of

ANSWER_BYTES_MAX = 65_536
_REASON_CHARS_MAX = 200


class GateHooks:
    """Asks hooks. `hosts` are patterns of the hosts that may be asked; `resolver` looks their names up."""

    def __init__(
        self,
        hosts: Iterable[str] = ("*",),
        resolver: Callable[[], AbstractResolver] = aiohttp.ThreadedResolver,
    ) -> None:
        self._hosts = tuple(hosts)
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    def allow(self, hosts: Iterable[str]) -> None:
        """Ask only hosts of these patterns from now on."""
        self._hosts = tuple(hosts)

    async def ask(self, url: str, timeout: timedelta, told: Mapping[str, Any]) -> tuple[bool, str]:
        """Ask one hook; say whether it allows to go on, and why. Whatever is no clear yes is a no."""
        if refused := self._refused(url):
            return False, refused
        seconds = timeout.total_seconds()
        try:
            with anyio.fail_after(seconds):
                async with self._opened().post(url, json=told, allow_redirects=False) as response:
                    return _read(response.status, await _bounded(response))
        except TimeoutError:
            return False, f"the hook gave no answer within {seconds:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error.__cause__, ForbiddenAddressError):
                return False, str(error.__cause__)
            return False, f"the hook could not be asked: {reason_of(error)}"

    async def close(self) -> None:
        """Release connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _refused(self, url: str) -> str:
        try:
            host = urlsplit(url).hostname or ""
        except ValueError:
            return "the address of the hook is none"
        if not any(fnmatchcase(host, pattern) for pattern in self._hosts):
            return f"this daemon asks no hook at {host}"
        why = forbidden(host)
        return f"no hook is asked there: {why}" if why else ""

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Cookies of one hook are no other one's business.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=CheckedResolver(self._resolver)),
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


async def _bounded(response: aiohttp.ClientResponse) -> bytes | None:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            return None
    return bytes(body)


def _read(status: int, body: bytes | None) -> tuple[bool, str]:
    if body is None:
        return False, f"the hook's answer is above {ANSWER_BYTES_MAX} bytes; it was not read"
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    said = said if isinstance(said, dict) else {}
    reason = said.get("reason")
    text = " ".join(printable(reason).split())[:_REASON_CHARS_MAX] if isinstance(reason, str) else ""
    if not 200 <= status < 300:
        return False, f"the hook answered HTTP {status}" + (f": {text}" if text else "")
    if said.get("allow") is True:
        return True, text or "the hook allows it"
    if said.get("allow") is False:
        return False, text or "the hook does not allow it"
    return False, 'the hook\'s answer has neither "allow": true nor "allow": false'
