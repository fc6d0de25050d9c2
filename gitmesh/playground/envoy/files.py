"""Feeding Envoy by files: each of its subscriptions reads a file of its own, replaced as a whole.

Stage: playground (effect). Envoy reloads a file when another is renamed over it, and then only. Keys of
certificates are among what is written, so nobody else may read any of it. Route configurations, which are
large and change most, are in protocol buffers' binary form; the rest is JSON.
Source: envoyproxy.io, config.core.v3.PathConfigSource: the ending of its name says what a file holds.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import orjson

from gitmesh.playground.envoy.errors import Rejected
from gitmesh.playground.envoy.route_bytes import RouteBytes
from gitmesh.playground.envoy.wire_format import UnwritableError
from gitmesh.playground.translate.naming import Envoy

_FOLDERS = ("routes", "secrets")
_NAME_CHARACTERS_MAX = 150  # of a file's name; file systems allow 255 bytes


@dataclass(frozen=True, slots=True, order=True)
class Subscription:
    """What Envoy follows: its clusters, its listeners, one route configuration or one secret."""

    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.kind}" if self.name else self.kind


CLUSTERS = Subscription("clusters")
LISTENERS = Subscription("listeners")


def routes(name: str) -> Subscription:
    """Return the subscription to one route configuration."""
    return Subscription("routes", name)


def secret(name: str) -> Subscription:
    """Return the subscription to one secret."""
    return Subscription("secrets", name)


class Files:
    """The folder that Envoy reads."""

    def __init__(self, directory: Path) -> None:
        self._bytes = RouteBytes()
        self._directory = directory.resolve()  # Envoy must find it whatever its working folder is
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for kind in _FOLDERS:
            (self._directory / kind).mkdir(exist_ok=True, mode=0o700)
        self.clear()

    def path(self, subscription: Subscription) -> str:
        """Return the file of a subscription."""
        folder = self._directory / subscription.kind if subscription.name else self._directory
        ending = "pb" if subscription.kind == "routes" else "json"
        return str(folder / f"{_file_name(subscription.name) or subscription.kind}.{ending}")

    def publish(self, subscription: Subscription, version: str, resources: Iterable[Envoy]) -> None:
        """Replace a file, so that Envoy reads either the old content or the new. Raises Rejected."""
        if subscription.kind == "routes":
            with _refusals():
                content = self._bytes.responses(version, resources)
        else:
            content = orjson.dumps({"version_info": version, "resources": list(resources)})
        _replace(self.path(subscription), content)

    def check_routes(self, config: Envoy) -> None:
        """Say whether a route configuration can be written. Raises Rejected."""
        with _refusals():
            self._bytes.write(config)

    def remove(self, subscription: Subscription) -> None:
        """Delete the file of a subscription that has ended; no error when there is none."""
        self._bytes.forget(subscription.name)
        Path(self.path(subscription)).unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete the files of route configurations and secrets: keys do not outlive who uses them."""
        for kind in _FOLDERS:
            for path in (self._directory / kind).iterdir():
                path.unlink(missing_ok=True)

    def delete(self, path: str) -> None:
        """Delete a file that `write` wrote."""
        Path(path).unlink(missing_ok=True)

    def write(self, name: str, content: Envoy) -> str:
        """Replace a file that is no subscription's by any JSON, and return its path."""
        path = str(self._directory / f"{name}.json")
        _replace(path, orjson.dumps(content))
        return path


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except UnwritableError as error:
        raise Rejected("configuration", str(error)) from error


def _replace(path: str, content: bytes) -> None:
    fresh = f"{path}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(fresh, path)


def _file_name(name: str) -> str:
    """Return a file's name for any name: two names never share one, and none leaves the folder."""
    quoted = quote(name, safe="").replace(".", "%2E")
    if len(quoted) <= _NAME_CHARACTERS_MAX:
        return quoted
    return f"{quoted[:_NAME_CHARACTERS_MAX]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
