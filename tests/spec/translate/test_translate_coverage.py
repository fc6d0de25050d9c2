"""Nothing is dropped in silence: each field of the Istio models is translated with an effect, or reported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from fakes import connection_examples, destination_examples, gateway_examples
from fakes.mesh_objects import istio, pod, resource_set, service, subsets, to, virtual_service

from gitmesh.istio.kinds import MODELS
from gitmesh.model.kinds import TRAFFIC_KINDS
from gitmesh.playground.translate import Translation, translate
from gitmesh.playground.translate.handled import ANY_NAME, HANDLED, WHOLE, Tree

KINDS = tuple(kind.kind for kind in TRAFFIC_KINDS)
EACH = "[]"  # in a path: any element of a list

# They name a thing for people; pilot does not send them to Envoy either.
ONLY_FOR_PEOPLE = {
    # Where the mesh itself encrypts nothing, inside and outside are spoken to alike.
    ("ServiceEntry", ("location",)),
    ("Sidecar", ("egress", EACH, "port", "name")),
}


def model_fields(kind: str) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """Return path and schema of every field of a model, as people write it."""
    schema = MODELS[kind].model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})

    def walk(node: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
        node = resolved(node, definitions)
        for name, child in node.get("properties", {}).items():
            yield (*path, name), resolved(child, definitions)
            yield from walk(child, (*path, name))
        if isinstance(node.get("items"), dict):
            yield from walk(node["items"], (*path, EACH))
        if isinstance(node.get("additionalProperties"), dict):
            yield from walk(node["additionalProperties"], (*path, ANY_NAME))

    return list(walk(schema, ()))


def resolved(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    for choice in node.get("anyOf", ()):
        if choice.get("type") != "null":
            return resolved(choice, definitions)
    if "$ref" in node:
        return resolved(definitions[node["$ref"].rpartition("/")[2]], definitions)
    return node


def holding(path: tuple[str, ...], value: Any) -> Any:
    """Build the smallest spec that has `value` at `path`."""
    for part in reversed(path):
        value = [value] if part == EACH else {("x" if part == ANY_NAME else part): value}
    return value


def sample(schema: dict[str, Any]) -> Any:
    kinds = {"string": "text", "integer": 7, "number": 7.0, "boolean": True, "array": [{}], "object": {}}
    return schema["enum"][0] if "enum" in schema else kinds.get(schema.get("type", "string"), "text")


def handled(kind: str, path: tuple[str, ...]) -> bool:
    tree = HANDLED.get(kind)
    if tree is None:
        return False
    for part in path:
        if tree is WHOLE:
            return True
        if part != EACH:
            tree = tree.get(part, tree.get(ANY_NAME))
            if tree is None:
                return False
    return True


FIELDS = [(kind, path, schema) for kind in KINDS for path, schema in model_fields(kind)]


def test_the_models_have_the_fields_that_this_test_is_about():
    assert len(FIELDS) > 300
    assert ("VirtualService", ("http", EACH, "match", EACH, "uri", "exact")) in {f[:2] for f in FIELDS}


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_that_is_not_translated_is_reported(kind: str):
    for _, path, schema in (f for f in FIELDS if f[0] == kind and not handled(*f[:2])):
        body = istio(kind, "it", holding(path, sample(schema)))
        written = ("spec", *(0 if part == EACH else "x" if part == ANY_NAME else part for part in path))
        reports = translate(resource_set([body])).untranslated
        assert any(written[: len(report.path)] == report.path for report in reports), ".".join(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_that_no_model_knows_is_reported_too(kind: str):
    reports = translate(resource_set([istio(kind, "it", {"brandNew": {"a": 1}})])).untranslated
    assert any(report.path in (("spec",), ("spec", "brandNew")) for report in reports)


def leaves(tree: Tree, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if tree is WHOLE:
        yield path
    for name, child in tree.items():
        yield from leaves(child, (*path, name))


def without_lists(path: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for part in path if part != EACH)


@pytest.mark.parametrize("kind", sorted(HANDLED))
def test_every_field_that_counts_as_translated_exists(kind: str):
    known = {without_lists(path) for name, path, _ in FIELDS if name == kind}
    for leaf in leaves(HANDLED[kind]):
        assert leaf in known, leaf


EXAMPLES = """
kind: VirtualService
spec:
  hosts: [reviews]
  gateways: [mesh, front]
  exportTo: [".", istio-system]
  http:
  - name: everything
    match:
    - name: first
      statPrefix: front
      uri: {exact: /a}
      ignoreUriCase: true
      scheme: {exact: http}
      method: {prefix: GE}
      authority: {regex: rev.*}
      headers: {end-user: {exact: jason}, x-p: {prefix: a}, x-r: {regex: b+}}
      withoutHeaders: {x-no: {exact: "1"}, x-np: {prefix: a}, x-nr: {regex: b+}}
      queryParams: {q: {exact: "1"}, qp: {prefix: a}, qr: {regex: b+}}
    - uri: {prefix: /b}
      scheme: {prefix: ht}
      method: {regex: GET|PUT}
      authority: {exact: reviews}
      port: 9080
    - uri: {regex: /c.*}
      scheme: {regex: "https?"}
      method: {exact: GET}
      authority: {prefix: rev}
      gateways: [front]
    - uri: {exact: /d}
      sourceLabels: {app: x}
    - uri: {exact: /e}
      sourceNamespace: x
    route:
    - destination: {host: reviews, subset: v1, port: {number: 9080}}
      weight: 90
      headers: &headers
        request: {set: {a: "1"}, add: {b: "2"}, remove: [c]}
        response: {set: {d: "1"}, add: {e: "2"}, remove: [f]}
    - {destination: {host: reviews, subset: v2}, weight: 10}
    headers: *headers
    timeout: 10s
    retries:
      attempts: 3
      perTryTimeout: 2s
      retryOn: 5xx,418
      backoff: 50ms
      retryIgnorePreviousHosts: false
      retryRemoteLocalities: true
    rewrite: {uri: /z, authority: inner}
    fault:
      delay: {fixedDelay: 1s, percentage: {value: 10}}
      abort: {httpStatus: 500, percentage: {value: 5}}
    mirrors:
    - {destination: {host: reviews, subset: v2, port: {number: 9081}}, percentage: {value: 10}}
    corsPolicy:
      allowOrigins: [{exact: "https://a"}, {prefix: "https://b"}, {regex: "https://c.*"}]
      allowMethods: [GET]
      allowHeaders: [x]
      exposeHeaders: [y]
      maxAge: 1m
      allowCredentials: true
      unmatchedPreflights: IGNORE
---
kind: VirtualService
spec:
  hosts: [reviews]
  http:
  - match: [{uri: {exact: /a}}]
    redirect:
      {uri: /b, authority: other, scheme: https, redirectCode: 302, derivePort: FROM_REQUEST_PORT}
  - match: [{uri: {exact: /h}}]
    redirect: {port: 8443}
  - match: [{uri: {exact: /c}}]
    directResponse: {status: 418, body: {string: short and stout}}
  - match: [{uri: {exact: /d}}]
    directResponse: {status: 200, body: {bytes: AAEC}}
  - match: [{uri: {exact: /e}}]
    route: [{destination: {host: reviews}}]
    rewrite: {uriRegexRewrite: {match: "^/(.*)$", rewrite: '/x/\\1'}}
    fault: {delay: {fixedDelay: 1s, percent: 7}, abort: {grpcStatus: UNAVAILABLE, percentage: {value: 5}}}
    mirror: {host: reviews, subset: v2, port: {number: 9081}}
    mirrorPercentage: {value: 12.5}
  - match: [{uri: {exact: /f}}]
    route: [{destination: {host: reviews}}]
    mirror: {host: reviews, subset: v2}
    mirrorPercent: 20
---
kind: VirtualService
spec:
  hosts: [reviews]
  http:
  - match: [{uri: {exact: /g}}]
    route: [{destination: {host: reviews}}]
    mirror: {host: reviews, subset: v2}
    mirror_percent: 20
    corsPolicy: {allowOrigin: ["https://a"]}
  - delegate: {name: inner, namespace: team}
---
kind: VirtualService
spec:
  hosts: [reviews]
  gateways: [mesh, front]
  tcp:
  - match:
    - {destinationSubnets: [10.8.0.0/16], port: 7000, sourceLabels: {app: reviews}}
    route:
    - {destination: {host: reviews, subset: v1, port: {number: 7000}}, weight: 1}
    - {destination: {host: reviews, subset: v2, port: {number: 7001}}, weight: 2}
  - match: [{port: 7000, sourceNamespace: shop, gateways: [mesh]}]
    route: [{destination: {host: reviews, subset: v2}}]
  tls:
  - match:
    - {sniHosts: [a.example], destinationSubnets: [10.8.0.0/16], port: 7443, sourceLabels: {app: reviews}}
    route:
    - {destination: {host: reviews, subset: v1, port: {number: 7443}}, weight: 1}
    - {destination: {host: reviews, subset: v2, port: {number: 7000}}, weight: 2}
  - match: [{sniHosts: [b.example], sourceNamespace: shop}, {sniHosts: [c.example], gateways: [front]}]
    route: [{destination: {host: reviews, subset: v2}}]
---
kind: Sidecar
spec:
  workloadSelector: {labels: {app: reviews}}
  egress:
  - {port: {number: 9080, protocol: TCP, name: raw}, hosts: ["./*"]}
  - hosts: ["shop/*"]
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
---
kind: Sidecar
spec:
  egress: [{hosts: ["./*"]}]
  outboundTrafficPolicy:
    mode: ALLOW_ANY
    egressProxy: {host: reviews, subset: v1, port: {number: 9081}}
---
kind: Gateway
spec:
  selector: {app: mine}
  servers: [{hosts: ["*"], port: {number: 80, name: http, protocol: HTTP}}]
---
kind: Gateway
spec:
  selector: {istio: ingressgateway}
  servers:
  - name: front
    hosts: [reviews.default.svc.cluster.local]
    port: {number: 80, name: http, protocol: HTTP}
    tls: {httpsRedirect: true}
"""


def example_specs(kind: str) -> list[dict[str, Any]]:
    here = [doc["spec"] for doc in yaml.safe_load_all(EXAMPLES) if doc["kind"] == kind]
    gateways = gateway_examples.specs() if kind == "Gateway" else []
    return [*here, *connection_examples.specs(kind), *destination_examples.specs(kind), *gateways]


def in_a_mesh(kind: str, spec: dict[str, Any]) -> Translation:
    two_ports = service("reviews")
    two_ports["spec"]["clusterIP"] = "10.8.0.1"
    two_ports["spec"]["ports"].append({"name": "http-two", "port": 9081})
    two_ports["spec"]["ports"] += [{"name": "tcp", "port": 7000}, {"name": "tls", "port": 7443}]
    if kind == "VirtualService":
        two_ports["spec"]["ports"] += connection_examples.PORTS
        two_ports["spec"]["clusterIP"] = connection_examples.ADDRESS
    around = {
        "VirtualService": virtual_service("reviews", {"route": [to("reviews")]}, gateways=["mesh", "front"]),
        "DestinationRule": subsets("reviews", "v1", "v2"),
        "Gateway": istio(
            "Gateway",
            "front",
            {"servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]},
        ),
    }
    around[kind] = istio(kind, {"Gateway": "front"}.get(kind, "reviews"), spec)
    inner = virtual_service("inner", {"route": [to("reviews")]}, hosts=[])
    inner["metadata"]["namespace"] = "team"
    elsewhere = pod("buyer", "v1", "127.0.0.13")
    elsewhere["metadata"]["namespace"] = "shop"
    pods = [pod("reviews", "v1", "127.0.0.11"), pod("reviews", "v2", "127.0.0.12"), elsewhere]
    others = [*destination_examples.around(kind), *(gateway_examples.secrets() if kind == "Gateway" else ())]
    return translate(resource_set([two_ports, inner, *pods, *others, *around.values()]))


def values(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every field, at any depth."""
    if isinstance(node, dict):
        for name, child in node.items():
            yield (*path, name)
            yield from values(child, (*path, name))
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from values(child, (*path, index))


def without(spec: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    fresh = json.loads(json.dumps(spec))  # a copy in which nothing is shared
    node = fresh
    for part in path[:-1]:
        node = node[part]
    del node[path[-1]]
    return fresh


def tree_path(kind: str, path: tuple[Any, ...]) -> tuple[str, ...] | None:
    """Return the leaf of the tree that a field of an example is; None for a field above the leaves."""
    tree, found = HANDLED[kind], []
    for part in (p for p in path if isinstance(p, str)):
        if tree is WHOLE:
            return None
        name = part if part in tree else ANY_NAME
        tree = tree[name]
        found.append(name)
    return tuple(found) if tree is WHOLE else None


@pytest.mark.parametrize("kind", sorted(HANDLED))
def test_every_field_that_counts_as_translated_changes_the_outcome(kind: str):
    """Taking any one field out of an example changes Envoy's configuration or what is reported."""
    effective = set()
    for spec in example_specs(kind):
        whole = in_a_mesh(kind, spec)
        for path in values(spec):
            leaf = tree_path(kind, path)
            if leaf is not None and in_a_mesh(kind, without(spec, path)) != whole:
                effective.add(leaf)
    names_only = {without_lists(path) for name, path in ONLY_FOR_PEOPLE if name == kind}
    assert set(leaves(HANDLED[kind])) - effective == names_only
