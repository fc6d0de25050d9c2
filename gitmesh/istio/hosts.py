"""Host names as Istio resolves and compares them.

Stage: parse, validate, decide, plan (pure).
"""

from __future__ import annotations

import ipaddress

CLUSTER_DOMAIN = "cluster.local"


def is_ip(host: str) -> bool:
    """Say whether the text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def fully_qualified(host: str, namespace: str) -> str:
    """Expand a short name; anything with a dot, a wildcard or an address stays as it is.

    Source: istio/istio, ResolveShortnameToFQDN: only a name without a dot is expanded.
    """
    # An address without a dot has a colon. Asking for every short name whether it is one takes long.
    if not host or "." in host or host.startswith("*") or (":" in host and is_ip(host)):
        return host
    return f"{host}.{namespace}.svc.{CLUSTER_DOMAIN}"


def service_host(name: str, namespace: str) -> str:
    """Return the fully qualified host of a Kubernetes Service."""
    return f"{name}.{namespace}.svc.{CLUSTER_DOMAIN}"


def covers(pattern: str, host: str) -> bool:
    """Say whether `pattern` (a host, or one with a leading wildcard) includes `host` wholly.

    Source: istio/istio pkg/config/host, Name.SubsetOf.
    """
    if not pattern.startswith("*"):
        return pattern == host
    if not host.startswith("*"):
        return host.endswith(pattern[1:])
    return host[1:].endswith(pattern[1:])
