"""Cases of route tests, and what becomes of them: for GitMesh's own matching, and for a real Envoy."""

from __future__ import annotations

MESH = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
    - name: testers
      match: [{headers: {end-user: {exact: jason}}}]
      timeout: 3s
      retries: {attempts: 5}
      rewrite: {uri: /v2/, authority: reviews.test}
      headers:
        request: {set: {x-env: test}, add: {x-tag: b}, remove: [x-secret]}
        response: {set: {x-by: mesh}}
      route: [{destination: {host: reviews, subset: v2}}]
    - name: old
      match: [{uri: {exact: /old}}]
      redirect: {uri: /new, redirectCode: 302}
    - name: gone
      match: [{uri: {exact: /gone}}]
      directResponse: {status: 410}
    - name: broken
      match: [{uri: {exact: /broken}}]
      fault: {abort: {httpStatus: 503, percentage: {value: 100}}}
      route: [{destination: {host: reviews, subset: v1}}]
    - name: beta
      match: [{sourceLabels: {app: beta}}]
      mirror: {host: ratings}
      route:
        - {destination: {host: reviews, subset: v1}, weight: 75, headers: {request: {set: {x-v: "1"}}}}
        - {destination: {host: reviews, subset: v2}, weight: 25, headers: {request: {set: {x-v: "2"}}}}
    - name: all
      match: [{uri: {prefix: /}}]
      route: [{destination: {host: reviews, subset: v1}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: entry}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example.com]
  gateways: [entry]
  http:
    - match: [{uri: {prefix: /ratings}}]
      route: [{destination: {host: ratings, port: {number: 9080}}}]
"""


def route_test(*cases: str, sender: str = "") -> str:
    head = "apiVersion: gitmesh.dev/v1alpha1\nkind: RouteTest\nmetadata: {name: ours}\nspec:\n"
    lines = [f"from: {sender}"] if sender else []
    lines += ["cases:", *(f"  - {c}" for c in cases)]
    return head + "".join(f"  {line}\n" for line in lines)


def case(expect: str, request: str = "GET http://reviews:9080/ratings/7", more: str = "") -> str:
    return f"{{request: '{request}', expect: {expect}{more}}}"


JASON = ", headers: {end-user: jason}"
BETA = ", from: {labels: {app: beta}}"
GATE = ", from: {gateway: default/entry}"
HOLDS = [
    case("{destination: {host: reviews, subset: v1}}"),
    case("{destination: {host: reviews}}"),
    case("{destination: {host: reviews.default.svc.cluster.local, subset: v1, port: 9080, share: 100%}}"),
    case("{destination: {host: reviews, subset: v2}}", more=JASON),
    case("{mustNotReach: [{host: reviews, subset: v2}, {host: ratings}], status: 200}"),
    case("{timeout: 3s, retries: 5}", more=JASON),
    case("{timeout: none, retries: 2}"),
    case("{path: /v2/ratings/7, authority: reviews.test}", more=JASON),
    case("{path: /ratings/7, authority: 'reviews:9080'}", "http://reviews:9080/ratings/7?x=1"),
    case("{path: '/ratings/7?x=1'}", "http://reviews:9080/ratings/7?x=1"),
    case(
        "{requestHeaders: {X-Env: test, x-tag: 'a,b', x-secret: null}, responseHeaders: {x-by: mesh}}",
        more=", headers: {end-user: jason, x-tag: a, x-secret: s}",
    ),
    case("{redirect: 'http://reviews:9080/new', status: 302}", "http://reviews:9080/old"),
    case("{status: 410}", "http://reviews:9080/gone"),
    case("{status: 503, mustNotReach: [{host: reviews}]}", "http://reviews:9080/broken"),
    case("{destination: {host: reviews, subset: v2, share: 25%}}", more=BETA),
    case(
        "{destinations: [{host: reviews, subset: v1, share: 75%}, "
        "{host: reviews, subset: v2, share: 25%}]}",
        more=BETA,
    ),
    case("{destination: {host: reviews}}", more=BETA),
    case("{destination: {host: ratings, port: 9080}}", "http://shop.example.com/ratings/1", GATE),
    case("{status: 404}", "http://shop.example.com/", GATE),
    case("{destination: {host: PassthroughCluster}}", "http://elsewhere.example.com/"),
]  # fmt: skip


FAILS = {
    case("{destination: {host: reviews, subset: v2}}"):
        "destination: expected reviews v2 100 %, is reviews v1 100 %, by rule all of VirtualService "
        "default/reviews at mesh.yaml:32:7",
    case("{destination: {host: reviews, subset: v1}}", more=JASON):
        "destination: expected reviews v1 100 %, is reviews v2 100 %, by rule testers",
    case("{destination: {host: reviews, port: 80}}"):
        "expected reviews port 80 100 %, is reviews v1 port 9080 100 %",
    case("{destination: {host: reviews, subset: v2, share: 50%}}", more=BETA):
        "expected reviews v2 50 %, is reviews v1 75 %, reviews v2 25 %",
    case("{destinations: [{host: reviews, subset: v1, share: 100%}]}", more=BETA):
        "destinations: expected reviews v1 100 %",
    case("{mustNotReach: [{host: reviews, subset: v1}]}"):
        "mustNotReach: expected nothing to reviews v1, is reviews v1 100 %",
    case("{mustNotReach: [{host: ratings}]}", more=BETA):
        "mustNotReach: expected nothing to ratings, is copies: ratings 100 %",
    case("{status: 404}"): "status: expected 404, is 200",
    case("{status: 200}", "http://reviews:9080/gone"): "expected 200, is 410: the proxy answers itself",
    case("{redirect: http://x/}"): "redirect: expected http://x/, is no redirect: reviews v1 100 %",
    case("{redirect: http://x/}", "http://reviews:9080/old"): "is http://reviews:9080/new",
    case("{path: /x}"): "path: expected /x, is /ratings/7",
    case("{path: /x}", "http://reviews:9080/gone"): "path: expected /x, is nowhere: 410",
    case("{authority: x}"): "authority: expected x, is reviews:9080",
    case("{requestHeaders: {x-env: test}}"): "requestHeaders.x-env: expected 'test', is missing",
    case("{requestHeaders: {x-env: null}}", more=JASON): "requestHeaders.x-env: expected none, is 'test'",
    case("{requestHeaders: {x-v: '1'}}", more=BETA):
        "requestHeaders.x-v: expected '1', is '2' (at reviews v2)",
    case("{responseHeaders: {x-by: mesh}}"): "responseHeaders.x-by: expected 'mesh', is missing",
    case("{timeout: none}", more=JASON): "timeout: expected none, is 3s",
    case("{timeout: 1s}"): "timeout: expected 1s, is none",
    case("{retries: 2}", more=JASON): "retries: expected 2, is 5",
    case("{retries: 2}", "http://reviews:9080/gone"): "retries: expected 2, is nothing that counts: 410",
    case("{destination: {host: ratings}}", "http://shop.example.com/", GATE):
        "destination: expected ratings 100 %, is 404: no rule that is bound to default/entry",
}  # fmt: skip

# A gateway with TLS, a delegate, a host outside, a mesh that lets nothing else out, TLS and HTTP/2 upstreams.
EDGE = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: entry, namespace: edge}
spec:
  selector: {istio: edge}
  servers:
    - port: {number: 443, name: https, protocol: HTTPS}
      tls: {mode: SIMPLE, credentialName: cert}
      hosts: ["*.example.com"]
    - port: {number: 80, name: http, protocol: HTTP}
      tls: {httpsRedirect: true}
      hosts: ["*.example.com"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: shop}
spec:
  hosts: [shop.example.com]
  gateways: [edge/entry]
  http:
    - match: [{uri: {prefix: /pay}}]
      delegate: {name: pay, namespace: shop}
    - route: [{destination: {host: web, port: {number: 8080}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pay, namespace: shop}
spec:
  http:
    - name: eu
      match: [{uri: {prefix: /pay/eu}}]
      route: [{destination: {host: pay-eu}}]
    - route: [{destination: {host: pay}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ext, namespace: shop}
spec:
  hosts: [api.vendor.example]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{number: 80, name: http, protocol: HTTP}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ext, namespace: shop}
spec:
  hosts: [api.vendor.example]
  http:
    - timeout: 2s
      fault: {delay: {fixedDelay: 30s, percentage: {value: 100}}}
      route: [{destination: {host: api.vendor.example}}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: shop}
spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}, egress: [{hosts: ["./*"]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec:
  host: web
  trafficPolicy: {tls: {mode: SIMPLE}, connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}
"""
ENTRY = ", from: {gateway: edge/entry}"
EDGE_HOLDS = [
    case(
        "{destination: {host: web, port: 8080}, requestHeaders: {x-forwarded-proto: https}}",
        "https://shop.example.com/",
        ENTRY,
    ),
    case("{redirect: 'https://shop.example.com/a?b=c', status: 301}", "http://shop.example.com/a?b=c", ENTRY),
    case("{destination: {host: pay-eu}}", "https://shop.example.com/pay/eu/1", ENTRY),
    case("{destination: {host: pay}, retries: 2}", "https://shop.example.com/pay/1", ENTRY),
    case("{destination: {host: api.vendor.example}, timeout: 2s, status: 200}", "http://api.vendor.example/"),
    case("{status: 502}", "http://nowhere.example/"),
    case("{destination: {host: web}, status: 200}", "http://web:8080/"),
    case("{destination: {host: web.shop.svc.cluster.local}}", "OPTIONS http://web:8080/"),
]
