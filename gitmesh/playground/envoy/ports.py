"""Addresses for Envoy: free ones are chosen, given ones are checked, before Envoy starts.

Stage: playground (effect). They are fixed once, so that an Envoy that comes back is found where it was.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import ExitStack

from gitmesh.playground.envoy.errors import AddressInUseError
from gitmesh.playground.translate.listeners import Address


def claim(wanted: Mapping[str, Address]) -> dict[str, Address]:
    """Return the addresses with every port 0 replaced by a free one. Raises AddressInUseError."""
    with ExitStack() as held:  # all at once, so that no port is chosen twice
        return {name: _claim(name, address, held) for name, address in wanted.items()}


def why_not(address: Address) -> str:
    """Say why nothing can listen on an address; nothing when something can."""
    try:
        claim({"listener": address})
    except AddressInUseError as error:
        return str(error.__cause__)
    return ""


def _claim(name: str, address: Address, held: ExitStack) -> Address:
    sock = held.enter_context(socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((address.host, address.port))
        # Listening, not only binding: two sockets with SO_REUSEADDR may be bound to one port.
        sock.listen(1)
    except (OSError, OverflowError) as error:
        raise AddressInUseError(
            f"cannot listen on {address} for the {name}: {error}."
            f" Stop what listens there (ss -ltnp 'sport = :{address.port}'),"
            " or choose another port; 0 takes a free one"
        ) from error
    return Address(address.host, sock.getsockname()[1])
