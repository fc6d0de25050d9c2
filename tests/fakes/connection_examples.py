"""Specs that use every translated field of the TCP and TLS rules of VirtualServices."""

from __future__ import annotations

from typing import Any

import yaml

PORTS = [{"name": "tcp-a", "port": 27017}, {"name": "tcp-b", "port": 27018}, {"name": "https", "port": 443}]
ADDRESS = "10.96.0.17"

_SPECS = """
hosts: [reviews]
tcp:
- match: [{port: 27018}, {gateways: [elsewhere]}]
  route: [{destination: {host: reviews, subset: v1}}]
- match: [{sourceLabels: {app: buyer}}]
  route: [{destination: {host: reviews, subset: v2}}]
- match: [{destinationSubnets: [192.168.0.0/16]}]
  route: [{destination: {host: other}}]
- route:
  - {destination: {host: reviews, subset: v1, port: {number: 27018}}, weight: 10}
  - {destination: {host: reviews, subset: v2}, weight: 20}
---
hosts: [reviews]
tcp:
- match: [{sourceNamespace: shop}]
  route: [{destination: {host: reviews, subset: v2}}]
---
hosts: [reviews]
tls:
- match: [{sniHosts: [a], port: 1}, {sniHosts: [b], gateways: [elsewhere]}]
  route: [{destination: {host: reviews, subset: v1}}]
- match: [{sniHosts: [c], sourceLabels: {app: buyer}}, {sniHosts: [d], sourceNamespace: shop}]
  route: [{destination: {host: reviews, subset: v2}}]
- match: [{sniHosts: [e], destinationSubnets: [192.168.0.0/16]}]
  route: [{destination: {host: other}}]
- match: [{sniHosts: [f]}]
  route:
  - {destination: {host: reviews, subset: v1, port: {number: 443}}, weight: 10}
  - {destination: {host: reviews, subset: v2, port: {number: 9080}}, weight: 20}
"""


def specs(kind: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(_SPECS)) if kind == "VirtualService" else []
