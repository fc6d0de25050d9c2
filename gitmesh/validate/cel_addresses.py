"""Addresses and networks in expressions.

Stage: validate (pure). Source: kubernetes.io, "Kubernetes CEL libraries", IP and CIDR: neither zones nor
IPv4 written as IPv6 are taken.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_interface
from typing import Any

from gitmesh.validate.cel_signature import Signature

_IP, _CIDR = "@ip", "@cidr"
_Ip = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network


def read_ip(text: str) -> _Ip | None:
    """Return the address, or None."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    is_mixed = isinstance(found, IPv6Address) and (found.ipv4_mapped is not None or found.scope_id)
    return None if is_mixed else found


def read_cidr(text: str) -> tuple[_Ip, _Network] | None:
    """Return address and network, or None. The bits below the prefix may be set."""
    before, slash, length = text.partition("/")
    if not slash or not length.isascii() or not length.isdigit() or read_ip(before) is None:
        return None
    try:
        found = ip_interface(text)
    except ValueError:
        return None
    return found.ip, found.network


def _ip(text: str) -> dict[str, str]:
    if read_ip(text) is None:
        raise ValueError(f"{text[:80]!r} is no IP address")
    return {_IP: text}


def _cidr(text: str) -> dict[str, str]:
    if read_cidr(text) is None:
        raise ValueError(f"{text[:80]!r} is no CIDR")
    return {_CIDR: text}


def _address(value: Any) -> _Ip:
    text = value.get(_IP) if isinstance(value, dict) else value
    found = read_ip(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("the value is no IP address")
    return found


def _network(value: Any) -> tuple[_Ip, _Network]:
    text = value.get(_CIDR) if isinstance(value, dict) else value
    found = read_cidr(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("the value is no CIDR")
    return found


def _is_canonical(text: str) -> bool:
    found = read_ip(text)
    if found is None:
        raise ValueError(f"{text[:80]!r} is no IP address")
    return str(found) == text


def _contains_ip(network: Any, ip: Any) -> bool:
    return _address(ip) in _network(network)[1]


def _contains_cidr(network: Any, other: Any) -> bool:
    outer, inner = _network(network)[1], _network(other)[1]
    return (
        outer.version == inner.version
        and outer.prefixlen <= inner.prefixlen
        and inner.network_address in outer
    )


def _is_global(value: Any) -> bool:
    ip = _address(value)
    is_broadcast = isinstance(ip, IPv4Address) and ip == IPv4Address("255.255.255.255")
    return not (ip.is_unspecified or ip.is_loopback or ip.is_multicast or ip.is_link_local or is_broadcast)


def _is_local_multicast(value: Any) -> bool:
    ip = _address(value)
    if isinstance(ip, IPv4Address):
        return ip in IPv4Network("224.0.0.0/24")
    return ip.packed[0] == 0xFF and ip.packed[1] & 0x0F == 2


ADDRESS_FUNCTIONS = (
    Signature("isIP", "bool", ("string",), lambda text: read_ip(text) is not None),
    Signature("ip", "dyn", ("string",), _ip),
    Signature("ip", "dyn", ("dyn",), lambda value: {_IP: str(_network(value)[0])}, member=True),
    Signature("ip.isCanonical", "bool", ("string",), _is_canonical),
    Signature("family", "int", ("dyn",), lambda value: _address(value).version, member=True),
    Signature("isUnspecified", "bool", ("dyn",), lambda value: _address(value).is_unspecified, member=True),
    Signature("isLoopback", "bool", ("dyn",), lambda value: _address(value).is_loopback, member=True),
    Signature("isLinkLocalMulticast", "bool", ("dyn",), _is_local_multicast, member=True),
    Signature(
        "isLinkLocalUnicast", "bool", ("dyn",), lambda value: _address(value).is_link_local, member=True
    ),
    Signature("isGlobalUnicast", "bool", ("dyn",), _is_global, member=True),
    Signature("isCIDR", "bool", ("string",), lambda text: read_cidr(text) is not None),
    Signature("cidr", "dyn", ("string",), _cidr),
    Signature("containsIP", "bool", ("dyn", "dyn"), _contains_ip, member=True),
    Signature("containsCIDR", "bool", ("dyn", "dyn"), _contains_cidr, member=True),
    Signature("prefixLength", "int", ("dyn",), lambda value: _network(value)[1].prefixlen, member=True),
    Signature("masked", "dyn", ("dyn",), lambda value: {_CIDR: str(_network(value)[1])}, member=True),
)
