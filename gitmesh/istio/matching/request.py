"""Requests, and who sends them.

Stage: plan (pure).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from urllib.parse import urlsplit

from gitmesh.istio.matching.paths import normalized, query_values, split_target

DEFAULT_PORTS = {"http": 80, "https": 443}


class RequestError(ValueError):
    """A URL or header that is none. The message says what to write instead."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request: a workload through its sidecar, or (`is_gateway`) a gateway that received it.

    For a gateway, namespace and labels are those of the gateway's Pods: they say which Gateways it serves.
    `ports` leads from ports of its Service to those of the Pods: servers that share the latter share routes.
    """

    namespace: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    is_gateway: bool = False
    name: str = ""
    ports: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One request as it reaches the proxy. Header names are in lower case.

    `headers` has the values of a repeated header joined by commas, as services see them; `repeated` has them
    apart, as conditions do.

    `authority` is the Host header as sent. `port` is where the connection goes; 0 leaves that to the
    host: 80, else the main port of the service.
    """

    method: str = "GET"
    scheme: str = "http"
    authority: str = ""
    port: int = 0
    target: str = "/"
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    repeated: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def values(self, header: str) -> tuple[str, ...]:
        """Return the values of a header; none where it is missing."""
        name = header.lower()
        if name in self.repeated:
            return self.repeated[name]
        return (self.headers[name],) if name in self.headers else ()

    @property
    def sent(self) -> list[tuple[str, str]]:
        """The headers as they were sent, each value for itself."""
        return [(name, value) for name in self.headers for value in self.values(name)]

    @cached_property
    def path(self) -> str:
        """The path as it is compared: normalized, without the query."""
        return normalized(split_target(self.target)[0])

    @cached_property
    def query(self) -> Mapping[str, str]:
        """The first value of each query parameter, not decoded."""
        return query_values(split_target(self.target)[1])

    @cached_property
    def host(self) -> str:
        """The host that is asked for, in lower case and without the port."""
        return split_authority(self.authority)[0].lower()

    @property
    def url(self) -> str:
        """The request as people write it."""
        return f"{self.scheme}://{self.authority}{self.target}"


def split_authority(authority: str) -> tuple[str, int]:
    """Return host and port (0: none) of a Host header. The brackets of an IPv6 address stay."""
    host, _, port = authority.rpartition(":")
    is_bare_ipv6 = ":" in host and not (host.startswith("[") and host.endswith("]"))
    if not host or not port.isdecimal() or is_bare_ipv6:
        return authority, 0
    return host, int(port)


def read_request(method: str, url: str, headers: Iterable[tuple[str, str]] = ()) -> Request:
    """Read what a person writes for curl. Raises RequestError.

    A Host header replaces the URL's host, and a port in it the URL's port.
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or 0
    except ValueError as error:
        raise RequestError(f"{url!r} is not a URL ({error}); write for example {_EXAMPLE}") from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise RequestError(f"{url!r} is not a URL of http or https; write for example {_EXAMPLE}")
    if parts.username is not None:
        raise RequestError(f"{parts.hostname}: the URL holds a user name, which no route can be chosen by")
    if not method.isascii() or not method.isalpha():
        raise RequestError(f"{method!r} is not a method such as GET or POST")
    sent = _by_name(headers)
    authority = sent.pop("host", (parts.netloc,))[-1]
    port = split_authority(authority)[1] or port or (443 if parts.scheme == "https" else 0)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Request(
        method,
        parts.scheme,
        authority,
        port,
        target,
        headers=MappingProxyType({name: ",".join(values) for name, values in sent.items()}),
        repeated=MappingProxyType({name: values for name, values in sent.items() if len(values) > 1}),
    )


_EXAMPLE = "http://reviews:9080/ratings/7"


def _by_name(headers: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    sent: dict[str, tuple[str, ...]] = {}
    for name, value in headers:
        lower = name.strip().lower()
        if not lower or lower.startswith(":") or any(c.isspace() or not c.isprintable() for c in lower):
            raise RequestError(f"{name!r} is not the name of a header; write -H 'name: value'")
        sent[lower] = (*sent.get(lower, ()), value.strip())
    return sent
