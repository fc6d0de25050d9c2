"""Asking Envoy itself which route takes a request, without sending the request anywhere.

Stage: playground (effect). Each route configuration has a probe listener beside its real ones: its first
filter ends every request once the route is known, and the answer is written from the route.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import quote, urlsplit

import anyio

from gitmesh.playground.envoy.admin import Admin
from gitmesh.playground.envoy.errors import EnvoyError
from gitmesh.playground.envoy.snapshot import Snapshot, route_names_of
from gitmesh.playground.envoy.virtual_hosts import VirtualHosts, clusters_of, origin_of
from gitmesh.playground.translate.doors import Address
from gitmesh.playground.translate.listeners import PROBE_HEADERS, probe_name
from gitmesh.playground.translate.naming import Envoy

_TIMEOUT_SECONDS = 5.0
_HEAD_BYTES_MAX = 262_144
_CONNECTIONS_MAX = 16
_ANSWERED = 200  # by the probe's own filter
_REDIRECTS = {
    "MOVED_PERMANENTLY": 301,
    "FOUND": 302,
    "SEE_OTHER": 303,
    "TEMPORARY_REDIRECT": 307,
    "PERMANENT_REDIRECT": 308,
}
_PATH_CHARACTERS = "!#$%&'()*+,/:;=?@[]~"  # what a path and its query may hold beside letters and digits

Headers = Mapping[str, str] | Iterable[tuple[str, str]]
_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """The route that takes a request; `found` is false when none does, which is a 404.

    `source` is `namespace/name` of the VirtualService that the route comes from, `rule` the path of the rule
    in it (`spec.http[0].match[1]`); both are empty for the plain route of a Service. `cluster` is empty where
    the request goes nowhere, as with a redirect. `status` is what Envoy itself answers: of a redirect, of a
    direct response, or because no route takes the request; None where the request goes to a cluster.
    `host` names the virtual host, and `message` is the route, both as Envoy has them.
    """

    route: str = ""
    cluster: str = ""
    source: str = ""
    rule: str = ""
    status: int | None = 404
    host: str = ""
    message: Envoy = field(default_factory=dict)

    @property
    def found(self) -> bool:
        """Say whether a route takes the request."""
        return bool(self.message)


class Lives(Protocol):
    """A process that may come back: `lives` counts how often it has started."""

    @property
    def lives(self) -> int:
        """Another number: another Envoy."""


class Probed(Protocol):
    """A data plane, as far as asking it goes: our own, or that of a playground which runs elsewhere."""

    @property
    def snapshot(self) -> Snapshot:
        """What it serves."""

    @property
    def admin(self) -> Admin:
        """Where its listeners are told."""

    @property
    def process(self) -> Lives:
        """The Envoy."""


class Probe:
    """Asks the probe listeners of one data plane. Close it, or use it as an async context manager."""

    def __init__(self, plane: Probed) -> None:
        self._plane = plane
        self._places: dict[str, Address] = {}
        self._listeners: Mapping[str, Envoy] = {}
        self._life = 0
        self._idle: dict[str, deque[_Connection]] = {}
        self._hosts: dict[str, VirtualHosts] = {}
        self._slots = asyncio.Semaphore(_CONNECTIONS_MAX)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release connections."""
        for connections in self._idle.values():
            for _, writer in connections:
                writer.close()
        self._idle.clear()

    async def ask(self, who: str, method: str, url: str, headers: Headers = ()) -> ProbeAnswer:
        """Return the route that takes a request.

        `who` is a proxy, such as `productpage-v1.default` or `client`, or a route configuration. The Host
        header is the URL's, unless `headers` have one. Raises EnvoyError; LookupError when there is no `who`.
        """
        routes = self._routes_of(who)
        place = await self._place(routes)
        authority, request = _request(method, url, headers)
        async with self._slots:
            status, found = await self._exchange(place, request)
        return self._answer(routes, authority, status, found)

    def _routes_of(self, who: str) -> str:
        snapshot = self._plane.snapshot
        if who in snapshot.routes:
            return who
        listener = snapshot.listeners.get(f"outbound|{who}")
        if listener is None:
            known = [name.removeprefix("outbound|") for name in snapshot.listeners if name[:9] == "outbound|"]
            raise LookupError(f"there is no proxy {who}; there are {', '.join(sorted(known)) or 'none'}")
        return next(route_names_of(listener))

    async def _place(self, routes: str) -> Address:
        name = probe_name(routes)
        now = (self._plane.process.lives, self._plane.snapshot.listeners)
        if self._life != now[0] or self._listeners is not now[1]:
            # A port may be another listener's now, while connections to the old one live.
            self._places.clear()
            self.close()
            self._life, self._listeners = now
        if name not in self._places:
            self._places = _places(await self._plane.admin.json("listeners"))
        if name not in self._places:
            raise EnvoyError(f"Envoy has no listener {name}")
        return self._places[name]

    async def _exchange(self, place: Address, request: bytes) -> tuple[int, Mapping[str, str]]:
        idle = self._idle.setdefault(str(place), deque())
        try:
            with anyio.fail_after(_TIMEOUT_SECONDS):
                while idle:
                    connection = idle.pop()
                    try:
                        return await self._once(connection, request, idle)
                    except (OSError, asyncio.IncompleteReadError):
                        connection[1].close()  # it was closed while nobody used it
                fresh = await asyncio.open_connection(place.host, place.port, limit=_HEAD_BYTES_MAX)
                return await self._once(fresh, request, idle)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            self._places.clear()
            raise EnvoyError(f"Envoy's probe at {place} does not answer: {error!r}") from error

    async def _once(
        self, connection: _Connection, request: bytes, idle: deque[_Connection]
    ) -> tuple[int, Mapping[str, str]]:
        reader, writer = connection
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        found = {name: value for line in head[1:] for name, _, value in [line.partition(": ")]}
        length = int(found.get("content-length", "0"))
        if request.startswith((b"HEAD ", b"CONNECT ")) or found.get("connection") == "close":
            writer.close()  # with no body, or not the last word about its length
        else:
            await reader.readexactly(length)
            idle.append(connection)
        return int(head[0].split()[1]), found

    def _answer(self, routes: str, authority: str, status: int, found: Mapping[str, str]) -> ProbeAnswer:
        if status != _ANSWERED:
            return ProbeAnswer(status=status)  # it is no request that Envoy would route, whatever its rules
        route, cluster, source, rule = (_text(found.get(name, "")) for name in PROBE_HEADERS)
        host = self._virtual_hosts(routes).of(authority)
        if host is None:
            return ProbeAnswer(route, cluster, source, rule)
        if host.get("require_tls") and not (route or cluster or source):
            return ProbeAnswer(status=301, host=host["name"])
        for message in host.get("routes", ()):
            is_it = origin_of(message) == (source, rule) and message.get("name", "") == route
            if is_it and (not cluster or cluster in clusters_of(message)):
                return ProbeAnswer(route, cluster, source, rule, _status(message), host["name"], message)
        return ProbeAnswer(route, cluster, source, rule, host=host["name"])

    def _virtual_hosts(self, routes: str) -> VirtualHosts:
        config = self._plane.snapshot.routes.get(routes, {})
        known = self._hosts.get(routes)
        if known is None or known.config is not config:
            known = self._hosts[routes] = VirtualHosts(config)
        return known


def _request(method: str, url: str, headers: Headers) -> tuple[str, bytes]:
    """Return the Host header of a request, and the request itself."""
    parts = urlsplit(url)
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    authority = next((value for name, value in pairs if name.lower() == "host"), parts.netloc)
    path = quote(parts.path or "/", safe=_PATH_CHARACTERS)
    path += f"?{quote(parts.query, safe=_PATH_CHARACTERS)}" if parts.query else ""
    # In the absolute form, as a proxy is asked: so it has a scheme, whatever the connection is.
    lines = [f"{method} {parts.scheme or 'http'}://{authority}{path} HTTP/1.1", f"Host: {authority}"]
    lines += [f"{name}: {value}" for name, value in pairs if name.lower() not in ("host", "content-length")]
    if any(character in line for line in lines for character in "\r\n\0") or " " in method + authority:
        raise EnvoyError("a method, host or header must not hold a line break, nor the first two a space")
    return authority, "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def _places(listeners: dict[str, list[Envoy]]) -> dict[str, Address]:
    """Return where each listener with a socket listens, from Envoy's own list."""
    found = {}
    for status in listeners.get("listener_statuses", ()):
        socket = status.get("local_address", {}).get("socket_address")
        if socket:
            found[status["name"]] = Address(socket["address"], socket["port_value"])
    return found


def _text(value: str) -> str:
    return "" if value == "-" else value


def _status(route: Envoy) -> int | None:
    if "redirect" in route:
        return _REDIRECTS[route["redirect"].get("response_code", "MOVED_PERMANENTLY")]
    if "direct_response" in route:
        return int(route["direct_response"]["status"])
    return None
