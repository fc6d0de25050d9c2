"""Route configurations as Envoy reads them from a file; virtual hosts that did not change are kept as bytes.

Stage: playground (pure but for what it keeps).
"""

from __future__ import annotations

from collections.abc import Iterable

from gitmesh.playground.envoy.route_messages import ROUTE_FORMAT
from gitmesh.playground.envoy.wire_format import UnwritableError, any_of, field_of
from gitmesh.playground.translate.naming import Envoy

_VIRTUAL_HOSTS = 2  # the number of the field in a RouteConfiguration
_VERSION, _RESOURCES = 1, 2  # those of the fields of a DiscoveryResponse

_Kept = dict[int, tuple[Envoy, bytes]]


class RouteBytes:
    """Writes route configurations. Nobody may change a virtual host: one object stays one content."""

    def __init__(self) -> None:
        # By route configuration; then by identity, beside the virtual host itself, so that it lives on.
        self._kept: dict[str, _Kept] = {}

    def write(self, config: Envoy) -> bytes:
        """Return a route configuration. Raises UnwritableError, which says where."""
        name = config["name"]
        known, now = self._kept.get(name, {}), _Kept()
        parts = [ROUTE_FORMAT.write("RouteConfiguration", {**config, "virtual_hosts": ()})]
        for host in config["virtual_hosts"]:
            found = known.get(id(host)) or (host, _virtual_host(name, host))
            now[id(host)] = found
            parts.append(found[1])
        self._kept[name] = now
        return b"".join(parts)

    def responses(self, version: str, configs: Iterable[Envoy]) -> bytes:
        """Return the content of a file that holds route configurations. Raises UnwritableError."""
        resources = (any_of(config["@type"], self.write(config)) for config in configs)
        parts = (field_of(_RESOURCES, resource) for resource in resources)
        return field_of(_VERSION, version.encode()) + b"".join(parts)

    def forget(self, name: str) -> None:
        """Release what is kept of a route configuration."""
        self._kept.pop(name, None)


def _virtual_host(routes: str, host: Envoy) -> bytes:
    try:
        return field_of(_VIRTUAL_HOSTS, ROUTE_FORMAT.write("VirtualHost", host))
    except UnwritableError as error:
        raise UnwritableError(f"the virtual host {host['name']} of the routes {routes}: {error}") from error
