"""A repository of any size: services with their traffic configuration, a few mistakes, all from one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

_SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: {app}, namespace: {ns}, labels: {{app: {app}}}}}
spec:
  selector: {{app: {app}}}
  ports:
    - {{name: http, port: 9080, targetPort: 9080}}
"""
_RULE = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: {app}
  namespace: {ns}
spec:
  host: {app}.{ns}.svc.cluster.local
  trafficPolicy:
    loadBalancer:
      simple: LEAST_REQUEST
    connectionPool:
      tcp: {{maxConnections: 100}}
      http: {{http2MaxRequests: 1000, maxRequestsPerConnection: 10}}
    outlierDetection:
      consecutive5xxErrors: 7
      interval: 5m
      baseEjectionTime: 15m
  subsets:
    - name: v1
      labels: {{version: v1}}
    - name: v2
      labels: {{version: v2}}
"""
_ROUTES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: {app}
  namespace: {ns}
  labels:
    team: team-{team}
spec:
  hosts:
    - {app}
  http:
    - name: testers
      match:
        - headers:
            end-user:
              exact: jason
          uri:
            prefix: /api/v{team}
      route:
        - destination:
            host: {app}
            subset: v2
    - name: everyone
      timeout: 10s
      retries:
        attempts: 3
        perTryTimeout: 2s
        retryOn: gateway-error,connect-failure
      route:
        - destination:
            host: {app}
            subset: v1
          weight: 90
        - destination:
            host: {app}
            subset: {subset}
          weight: 10
"""
_ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: ext-{app}, namespace: {ns}}}
spec:
  hosts: [{app}.example.com]
  location: MESH_EXTERNAL
  ports:
    - {{number: 443, name: tls, protocol: TLS}}
  resolution: DNS
"""
_INGRESS = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {app}, namespace: {ns}}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
    - port: {{number: 443, name: https-{app}, protocol: HTTPS}}
      tls: {{mode: SIMPLE, credentialName: {app}-cert}}
      hosts: ["{app}.shop.example.com"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {app}-ingress, namespace: {ns}}}
spec:
  hosts: ["{app}.shop.example.com"]
  gateways: [{app}]
  http:
    - match: [{{uri: {{prefix: /}}}}]
      route: [{{destination: {{host: {app}, port: {{number: 9080}}}}}}]
"""
_SIDECAR = """\
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: default, namespace: {ns}}}
spec:
  egress:
    - hosts: ["./*", "istio-system/*"]
"""
_APPS_IN_NAMESPACE = 50


def corpus(documents: int, *, seed: int = 1, mistakes_percent: float = 1.0) -> dict[str, str]:
    """Return files (path -> text) with about so many documents; some name a subset that does not exist."""
    chance = random.Random(seed)
    files: dict[str, str] = {}
    count = 0
    for number, (ns, app) in enumerate(_apps()):
        if count >= documents:
            return files
        wrong = chance.random() * 100 < mistakes_percent
        names = {"app": app, "ns": ns, "team": chance.randint(1, 9), "subset": "v3" if wrong else "v2"}
        parts = {"service": _SERVICE, "rule": _RULE, "routes": _ROUTES}
        if number % 2 == 0:
            parts["external"] = _ENTRY
        if number % 5 == 0:
            parts["ingress"] = _INGRESS
        for name, template in parts.items():
            files[f"{ns}/{app}/{name}.yaml"] = template.format(**names)
            count += template.count("apiVersion:")
        if number % _APPS_IN_NAMESPACE == 0:
            files[f"{ns}/sidecar.yaml"] = _SIDECAR.format(**names)
            count += 1
    return files


def _apps() -> Iterator[tuple[str, str]]:
    number = 0
    while True:
        yield f"team-{number // _APPS_IN_NAMESPACE}", f"app-{number}"
        number += 1
