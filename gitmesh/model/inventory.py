"""The inventory of a source: the objects that it owns, in a form that fits into its status.

Stage: none (pure). Up to `LISTED_MAX` objects are a list that people can read. More are the same lines,
packed: `kubectl get ts NAME -o jsonpath='{.status.packedInventory}' | base64 -d | gunzip` shows them.
Source: etcd.io, "System limits": a request of at most 1.5 MiB; 50,000 paths are twice that.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib
from collections.abc import Iterable
from functools import lru_cache
from sys import intern

from gitmesh.model.resource import ResourceKey

LISTED_MAX = 1_000
UNPACKED_BYTES_MAX = 16_777_216  # 200,000 paths and more
_KEPT = 8  # inventories that stay unpacked: a pass asks for the same one again and again
_GZIP = 16 + zlib.MAX_WBITS


def packed(keys: Iterable[ResourceKey]) -> tuple[tuple[str, ...], str]:
    """Return the inventory as a list of paths and as packed lines, of which one is empty."""
    paths = tuple(sorted(key.path for key in keys))
    if len(paths) <= LISTED_MAX:
        return paths, ""
    lines = "".join(f"{path}\n" for path in paths).encode()
    return (), base64.b64encode(gzip.compress(lines, mtime=0)).decode()


def unpacked(paths: Iterable[str], lines: str) -> frozenset[ResourceKey]:
    """Return the keys of both forms. What makes no sense is left out: what is live has marks as well."""
    listed = frozenset(_keys(paths))
    if not lines:
        return listed
    return listed | _unpacked(lines) if listed else _unpacked(lines)


@lru_cache(maxsize=_KEPT)
def _unpacked(lines: str) -> frozenset[ResourceKey]:
    try:
        unzip = zlib.decompressobj(wbits=_GZIP)
        text = unzip.decompress(base64.b64decode(lines), UNPACKED_BYTES_MAX)
    except (binascii.Error, ValueError, zlib.error):
        return frozenset()
    return frozenset(_keys(text.decode("utf-8", "replace").splitlines()))


def _keys(paths: Iterable[str]) -> Iterable[ResourceKey]:
    for path in paths:
        # A path that somebody else wrote and that is none must not stop the pass.
        if path.count("/") == 3:
            group, kind, namespace, name = path.split("/")
            yield ResourceKey(intern(group), intern(kind), intern(namespace), name)
