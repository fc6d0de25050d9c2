"""What of a request chooses the endpoint, where a DestinationRule balances by a consistent hash.

Stage: playground translation (pure). Source: istio.io, Destination Rule, ConsistentHashLB;
istio/istio pilot/pkg/networking/core/route, HashForHTTPDestination and ConsistentHashToHashPolicy.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.playground.translate.destinations import Destination
from gitmesh.playground.translate.fields import Field
from gitmesh.playground.translate.naming import Envoy


def hash_for_destination(rule: Destination, subset: str, port: int) -> Field | None:
    """Return the hash of a route's destination; None where the endpoint is not chosen by one.

    `port` is the one that the route writes (0: none): only then do settings of a port count, as in pilot.
    """
    policies = [s.policy for s in rule.subsets if s.name == subset]
    if rule.policy is not None:
        policies.append(rule.policy)
    for policy in policies:
        for balancer in _balancers(policy, port):
            if balancer["consistentHash"].present:
                return balancer["consistentHash"]
    return None


def hash_policy(chosen: Field | None) -> list[Envoy]:
    """Return the hash policy of a route: one entry, or none."""
    if chosen is None:
        return []
    if chosen["httpHeaderName"].text():
        return [{"header": {"header_name": chosen["httpHeaderName"].text()}}]
    if chosen["httpCookie"].present:
        return [{"cookie": _cookie(chosen["httpCookie"])}]
    if chosen["useSourceIp"].present:
        return [{"connection_properties": {"source_ip": chosen["useSourceIp"].boolean()}}]
    if chosen["httpQueryParameterName"].text():
        return [{"query_parameter": {"name": chosen["httpQueryParameterName"].text()}}]
    return []


def _balancers(policy: Field, port: int) -> Iterator[Field]:
    for settings in policy["portLevelSettings"].items():
        if port and settings["port"]["number"].integer() == port:
            yield settings["loadBalancer"]
    yield policy["loadBalancer"]


def _cookie(cookie: Field) -> Envoy:
    result: Envoy = {"name": cookie["name"].text()}
    ttl = cookie["ttl"].duration()
    if ttl:
        result["ttl"] = ttl
    if cookie["path"].text():
        result["path"] = cookie["path"].text()
    attributes = [
        {"name": a["name"].text(), "value": a["value"].text()} for a in cookie["attributes"].items()
    ]
    if attributes:
        result["attributes"] = attributes
    return result
