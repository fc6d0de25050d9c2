"""Looking up names so that no connection goes to an address that is never asked.

Stage: observe (effect). A name is looked up once, every address of it is checked, and the connection goes to
an address that was checked. So a name that answers otherwise the second time (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from gitmesh.model.addresses import forbidden


class ForbiddenAddressError(OSError):
    """A name, or a text, stands for an address that is not asked."""


class CheckedResolver(AbstractResolver):
    """Looks names up, and gives none of their addresses away when one of them is forbidden.

    `inner` makes what does look up: the system's resolver, or one of a test.
    """

    def __init__(self, inner: Callable[[], AbstractResolver] = aiohttp.ThreadedResolver) -> None:
        self._inner = inner()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name. Raises OSError: it has none, or a forbidden one is among them."""
        found = await self._inner.resolve(host, port, family)
        for result in found:
            if why := forbidden(result["host"]):
                raise ForbiddenAddressError(f"{host} stands for an address that is not asked: {why}")
        return found

    async def close(self) -> None:
        """Release what looks up."""
        await self._inner.close()
