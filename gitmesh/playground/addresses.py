"""Which loopback address a Pod gets: its own, and the same one again after a restart.

Stage: playground (pure). Linux answers on all of 127.0.0.0/8; each Pod has an address and may use any port.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from gitmesh.model.resource import ResourceKey

# 127.64.0.0 to 127.127.255.255: away from 127.0.0.x, where people's own services are.
_FIRST = (127 << 24) | (64 << 16)
_COUNT = 64 << 16


def pod_address(seed: str, key: ResourceKey, taken: Collection[str]) -> str:
    """Return the address for a Pod; `seed` keeps two playgrounds of one machine apart.

    Where it is in `taken` the next one is tried, and so on.
    """
    digest = hashlib.sha256(f"{seed}\0{key.path}".encode()).digest()
    offset = int.from_bytes(digest[:4], "big") % _COUNT
    for step in range(_COUNT):
        address = _text(_FIRST + (offset + step) % _COUNT)
        if address not in taken and not address.endswith((".0", ".255")):
            return address
    raise AssertionError("more Pods than loopback addresses")


def _text(number: int) -> str:
    return ".".join(str(number >> shift & 0xFF) for shift in (24, 16, 8, 0))
