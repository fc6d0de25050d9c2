"""Finding, in a route configuration, the virtual host and the route that Envoy speaks of.

Stage: playground (pure). Source: envoyproxy.io, config.route.v3.VirtualHost, `domains`: an exact name before
the longest `*.suffix`, that before the longest `prefix.*`, and `*` last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gitmesh.playground.translate.naming import Envoy

_PORT = re.compile(r":\d+$")


class VirtualHosts:
    """The virtual hosts of one route configuration, ready for many questions."""

    def __init__(self, config: Envoy) -> None:
        self.config = config
        self._ignores_port = bool(config.get("ignore_port_in_host_matching"))
        self._exact: dict[str, Envoy] = {}
        self._suffixes: list[tuple[str, Envoy]] = []
        self._prefixes: list[tuple[str, Envoy]] = []
        for host in config.get("virtual_hosts", ()):
            for domain in map(str.lower, host["domains"]):
                if domain.startswith("*") and domain != "*":
                    self._suffixes.append((domain[1:], host))
                elif domain.endswith("*") and domain != "*":
                    self._prefixes.append((domain[:-1], host))
                else:
                    self._exact.setdefault(domain, host)
        self._suffixes.sort(key=lambda pair: -len(pair[0]))
        self._prefixes.sort(key=lambda pair: -len(pair[0]))

    def of(self, authority: str) -> Envoy | None:
        """Return the virtual host for a Host header; None when there is none."""
        name = authority.lower()
        if self._ignores_port:
            name = _PORT.sub("", name)
        if name in self._exact and name != "*":
            return self._exact[name]
        # A wildcard stands for at least one character.
        for suffix, host in self._suffixes:
            if name.endswith(suffix) and len(name) > len(suffix):
                return host
        for prefix, host in self._prefixes:
            if name.startswith(prefix) and len(name) > len(prefix):
                return host
        return self._exact.get("*")


def clusters_of(route: Envoy) -> Iterator[str]:
    """Yield the clusters to which a route may send a request."""
    action = route.get("route", {})
    if "cluster" in action:
        yield action["cluster"]
    for entry in action.get("weighted_clusters", {}).get("clusters", ()):
        yield entry["name"]


def origin_of(route: Envoy) -> tuple[str, str]:
    """Return the object that a route comes from, and the path of the rule in it; empty texts if of none."""
    about = route.get("metadata", {}).get("filter_metadata", {}).get("gitmesh", {})
    return about.get("source", ""), about.get("rule", "")
