"""Which addresses are never asked on behalf of Git: where machines of a cloud learn their secrets.

Stage: none (pure).
"""

from __future__ import annotations

import ipaddress

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Source: RFC 3927 and RFC 4291 (link-local); the metadata services of AWS, GCP and Azure at 169.254.169.254,
# of AWS at fd00:ec2::254, of Alibaba at 100.100.100.200, of Oracle at 192.0.0.192, of Azure at 168.63.129.16.
_FORBIDDEN = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::/32",
        "100.100.100.200/32",
        "192.0.0.192/32",
        "168.63.129.16/32",
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # Source: RFC 6052: the last 32 bits are an IPv4 address


def forbidden(host: str) -> str:
    """Say why an address is not asked; empty when it may be, and for what is no address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    if any(one in network for one in _meant(address) for network in _FORBIDDEN):
        return f"{host} is link-local, or tells machines of a cloud their secrets"
    return ""


def _meant(address: _Address) -> tuple[_Address, ...]:
    """Return an address, and the IPv4 address that it is another way to write or to reach."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return (address, *(one for one in inner if one is not None))
