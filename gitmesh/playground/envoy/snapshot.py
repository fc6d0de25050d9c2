"""What Envoy serves at one moment, and what of it differs from another moment.

Stage: playground (pure).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from gitmesh.playground.translate.doors import Address
from gitmesh.playground.translate.naming import Envoy
from gitmesh.playground.translate.translation import Translation

# The fields that name a secret, or several.
SECRET_FIELDS = frozenset(
    {"tls_certificate_sds_secret_configs", "validation_context_sds_secret_config", "sds_secret_config"}
)


# Only messages with one of these fields name a secret or a route configuration.
_NAMING = frozenset({"filter_chains", "default_filter_chain", "transport_socket", "transport_socket_matches"})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Clusters, route configurations, listeners and secrets by name. Nobody may change the messages.

    Listeners and clusters name route configurations and secrets without saying where these are.
    """

    clusters: Mapping[str, Envoy] = field(default_factory=dict)
    routes: Mapping[str, Envoy] = field(default_factory=dict)
    listeners: Mapping[str, Envoy] = field(default_factory=dict)
    secrets: Mapping[str, Envoy] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, translation: Translation) -> Snapshot:
        """Return what a translation would have Envoy serve."""
        return cls(translation.clusters, translation.routes, translation.listeners, translation.secrets)


def what_can_be_wrong(old: Snapshot, new: Snapshot) -> Snapshot:
    """Return the parts of `new` that an Envoy must read before `new` can be trusted, given that `old` was.

    Of route configurations that are the virtual hosts that changed. New weights and new endpoints cannot be
    wrong in themselves. A secret is read by what uses it, so that comes along.
    """
    fresh_secrets = {n: s for n, s in new.secrets.items() if old.secrets.get(n) != s}
    fresh_names = fresh_secrets.keys()

    def users(olds: Mapping[str, Envoy], news: Mapping[str, Envoy]) -> dict[str, Envoy]:
        return {
            name: message
            for name, message in news.items()
            if _has_changed(olds.get(name), message)
            or (fresh_names and not fresh_names.isdisjoint(secrets_of(message)))
        }

    clusters, listeners = users(old.clusters, new.clusters), users(old.listeners, new.listeners)
    used = {name for message in (*clusters.values(), *listeners.values()) for name in secrets_of(message)}
    changed = ((name, _changed_part(old.routes.get(name), config)) for name, config in new.routes.items())
    routes = {name: part for name, part in changed if part is not None}
    return Snapshot(clusters, routes, listeners, {n: s for n, s in new.secrets.items() if n in used})


def route_names_of(message: Envoy) -> Iterator[str]:
    """Yield the route configurations that a listener names."""
    for found in _find(message, frozenset({"rds"})):
        yield found["route_config_name"]


def secrets_of(message: Envoy) -> Iterator[str]:
    """Yield the secrets that a cluster or listener names."""
    if not may_name(message):
        return
    for found in _find(message, SECRET_FIELDS):
        for item in found if isinstance(found, list) else [found]:
            yield item["name"]


def address_of(listener: Envoy) -> Address | None:
    """Return where a listener listens; None for one without a socket."""
    socket = listener.get("address", {}).get("socket_address")
    return Address(socket["address"], socket["port_value"]) if socket else None


def may_name(message: Envoy) -> bool:
    """Say whether a listener or cluster may name secrets or route configurations: most clusters do not."""
    return not _NAMING.isdisjoint(message)


def _find(value: Any, names: frozenset[str]) -> Iterator[Any]:
    if isinstance(value, dict):
        for name, child in value.items():
            if name in names:
                yield child
            else:
                yield from _find(child, names)
    elif isinstance(value, list):
        for child in value:
            yield from _find(child, names)


def _has_changed(old: Envoy | None, new: Envoy) -> bool:
    # The first two are for speed: most messages are the very same object as before, or equal.
    return old is not new and old != new and (old is None or _shape(old) != _shape(new))


def _changed_part(old: Envoy | None, new: Envoy) -> Envoy | None:
    """Return a route configuration with the virtual hosts that changed; None when nothing has."""
    if old is new:
        return None
    before = {host["name"]: host for host in (old or {}).get("virtual_hosts", ())}
    hosts = [host for host in new["virtual_hosts"] if _has_changed(before.get(host["name"]), host)]
    around = {**new, "virtual_hosts": []}
    if not hosts and old is not None and around == {**old, "virtual_hosts": []}:
        return None
    return {**around, "virtual_hosts": hosts}


def _shape(value: Any) -> Any:
    """Return a message without what cannot be wrong: weights, clusters' names, endpoints' addresses."""
    if isinstance(value, list):
        return [_shape(child) for child in value]
    if not isinstance(value, dict):
        return value
    if "weighted_clusters" in value:
        entries = value["weighted_clusters"]["clusters"]
        rest = [
            e for entry in entries if (e := {k: v for k, v in entry.items() if k not in ("name", "weight")})
        ]
        value = {**value, "weighted_clusters": rest}
    if "lb_endpoints" in value:
        # How many there are does not matter either.
        kinds = {repr(_endpoint(item)) for item in value["lb_endpoints"]}
        value = {**value, "lb_endpoints": sorted(kinds)}
    return {key: _shape(child) for key, child in value.items()}


def _endpoint(item: Envoy) -> Envoy:
    rest = {key: value for key, value in item.items() if key != "metadata"}
    socket = item.get("endpoint", {}).get("address", {}).get("socket_address", {})
    try:
        ip_address(socket.get("address", ""))
    except ValueError:
        return rest
    port = socket.get("port_value", 0)
    return {**rest, "endpoint": "fine"} if 0 < port < 65536 and len(item["endpoint"]) == 1 else rest
