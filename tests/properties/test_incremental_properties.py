"""What is judged again after a change is what would be found from nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fakes.examined import files_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitmesh.engine.accept import examine
from gitmesh.engine.memory import Examined
from gitmesh.model.config import ParseLimits
from gitmesh.model.context import Context, ContextPod, services_of
from gitmesh.model.resource import resource_from_body
from gitmesh.model.revision import Revision
from gitmesh.validate.catalogue import CATALOGUE, Rule

NAMESPACES = st.sampled_from(["default", "other"])
HOSTS = st.sampled_from(
    ["reviews", "ratings", "reviews.default.svc.cluster.local", "*.example.com", "a.example.com", "reviewz"]
)
LABELS = st.sampled_from([{}, {"app": "reviews"}, {"app": "reviews", "version": "v1"}, {"istio": "entry"}])
EXPORTS = st.sampled_from([[], ["."], ["*"], ["other"], ["default", "other"]])
SUBSETS = st.sampled_from(["", "v1", "v2"])
PORTS = st.sampled_from([80, 443, 9080])
NAMES = st.sampled_from(["a", "b", "entry"])


def a_list(of: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[list[Any]]:
    return st.lists(of, min_size=1, max_size=most, unique_by=lambda value: json.dumps(value, sort_keys=True))


def without_nothing(value: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in value.items() if part not in ("", [], {}, None)}


DESTINATION = st.builds(
    lambda host, subset, port: without_nothing(
        {"host": host, "subset": subset, "port": {"number": port} if port else None}
    ),
    HOSTS,
    SUBSETS,
    st.one_of(st.none(), PORTS),
)
MATCH = st.sampled_from(
    [
        {"uri": {"prefix": "/"}},
        {"uri": {"prefix": "/a"}},
        {"uri": {"exact": "/a/b"}},
        {"headers": {"@request.auth.claims.group": {"exact": "x"}}},
        {"gateways": ["entry"]},
    ]
)
RULE = st.builds(
    lambda match, to, delegate: without_nothing(
        {"match": match, "delegate": {"name": delegate}, "route": None}
        if delegate
        else {"match": match, "route": [{"destination": to}]}
    ),
    st.lists(MATCH, max_size=2),
    DESTINATION,
    st.sampled_from(["", "", "", "a", "b"]),
)
LAWS = {
    "resource": "size(object.metadata.name) <= {most} + 4",
    "set": "size(resources) <= {most}",
}
SPECS = {
    "VirtualService": st.builds(
        lambda hosts, gateways, export, rules: without_nothing(
            {"hosts": hosts, "gateways": gateways, "exportTo": export, "http": rules}
        ),
        st.one_of(st.just([]), a_list(HOSTS)),
        st.sampled_from([[], ["mesh"], ["entry"], ["other/entry", "mesh"], ["entri"]]),
        EXPORTS,
        a_list(RULE),
    ),
    "DestinationRule": st.builds(
        lambda host, subsets, mode, export: without_nothing(
            {
                "host": host,
                "subsets": [{"name": name, "labels": {"version": name}} for name in subsets],
                "trafficPolicy": {"tls": {"mode": mode}} if mode else None,
                "exportTo": export,
            }
        ),
        HOSTS,
        st.lists(st.sampled_from(["v1", "v2"]), unique=True, max_size=2),
        st.sampled_from(["", "SIMPLE", "ISTIO_MUTUAL"]),
        EXPORTS,
    ),
    "Gateway": st.builds(
        lambda selector, host, port, secret: without_nothing(
            {
                "selector": selector,
                "servers": [
                    {
                        "hosts": [host],
                        "port": {"number": port, "name": "https", "protocol": "HTTPS"},
                        "tls": {"mode": "SIMPLE", "credentialName": secret},
                    }
                ],
            }
        ),
        LABELS,
        st.sampled_from(["a.example.com", "*.example.com", "./a.example.com", "*"]),
        PORTS,
        st.sampled_from(["a", "b", "cert"]),
    ),
    "ServiceEntry": st.builds(
        lambda host, port, protocol, resolution, export: without_nothing(
            {
                "hosts": [host],
                "ports": [{"number": port, "name": "p", "protocol": protocol}],
                "resolution": resolution,
                "exportTo": export,
            }
        ),
        HOSTS,
        PORTS,
        st.sampled_from(["HTTP", "TCP", "TLS"]),
        st.sampled_from(["NONE", "STATIC"]),
        EXPORTS,
    ),
    "Sidecar": st.builds(
        lambda labels: without_nothing(
            {"workloadSelector": {"labels": labels} if labels else None, "egress": [{"hosts": ["./*"]}]}
        ),
        LABELS,
    ),
    "Service": st.builds(
        lambda labels, ports, target, protocol: {
            "selector": labels,
            "ports": [
                without_nothing(
                    {"port": port, "name": f"p{port}", "targetPort": target, "protocol": protocol}
                )
                for port in ports
            ],
        },
        LABELS,
        st.lists(PORTS, unique=True, max_size=2),
        st.sampled_from([None, 8080]),
        st.sampled_from(["", "UDP"]),
    ),
    "Deployment": st.builds(lambda labels: {"template": {"metadata": {"labels": labels}}}, LABELS),
    "Secret": st.just({}),
    "Namespace": st.just({}),
    "WorkloadEntry": st.builds(lambda labels: {"address": "10.0.0.1", "labels": labels}, LABELS),
    "RequestAuthentication": st.builds(lambda labels: {"selector": {"matchLabels": labels}}, LABELS),
    "APIGateway": st.builds(
        lambda hosts: {"listeners": [{"hostname": host} for host in hosts]},
        st.lists(st.sampled_from(["", "a.example.com", "*.example.com"]), max_size=2),
    ),
    "EnvoyFilter": st.builds(
        lambda patches, priority: {"configPatches": patches, "priority": priority},
        st.lists(
            st.builds(
                lambda operation, target, name, version: {
                    "applyTo": target,
                    "match": {"proxy": {"proxyVersion": version}},
                    "patch": {"operation": operation, "value": {"name": name}},
                },
                st.sampled_from(["ADD", "REMOVE", "INSERT_BEFORE", "REPLACE"]),
                st.sampled_from(["HTTP_FILTER", "HTTP_ROUTE"]),
                st.sampled_from(["lua", "wasm"]),
                st.sampled_from(["", "^1[.]30"]),
            ),
            max_size=2,
        ),
        st.sampled_from([0, 10]),
    ),
    "Guardrail": st.builds(
        lambda kinds, scope, most, severity: {
            "match": {"kinds": kinds},
            "scope": scope,
            "severity": severity,
            "rules": [{"expression": LAWS[scope].format(most=most), "message": "so it is agreed"}],
        },
        st.sampled_from([[], ["VirtualService"], ["Service"]]),
        st.sampled_from(["resource", "set"]),
        st.integers(0, 3),
        st.sampled_from(["warning", "error"]),
    ),
    "RolloutPolicy": st.builds(
        lambda names: {"select": {"names": names}, "steps": [{"progress": 10}, {"progress": 100}]},
        st.lists(NAMES, max_size=1),
    ),
}
VERSIONS = {
    "Service": "v1",
    "Secret": "v1",
    "Namespace": "v1",
    "Deployment": "apps/v1",
    "RequestAuthentication": "security.istio.io/v1",
    "APIGateway": "gateway.networking.k8s.io/v1",
    "EnvoyFilter": "networking.istio.io/v1alpha3",
    "Guardrail": "gitmesh.dev/v1alpha1",
    "RolloutPolicy": "gitmesh.dev/v1alpha1",
}


NOT_PROGRAMMED = {"type": "Programmed", "status": "False", "reason": "NoAddress"}
SUPPRESSED = st.sampled_from(
    ["", "", "", "GM201", "GM202", "GM203", "GM205", "GM217", "GM222", "GM310", "GM500", "GM999"]
)


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(SPECS)))
    name = draw(st.sampled_from(["reviews", "ratings"])) if kind == "Service" else draw(NAMES)
    metadata: dict[str, Any] = {"name": name, "namespace": draw(NAMESPACES)}
    if code := draw(SUPPRESSED):
        metadata["annotations"] = {"gitmesh.dev/ignore": f"{code}: it is known"}
    version = VERSIONS.get(kind, "networking.istio.io/v1")
    body = {"apiVersion": version, "kind": kind.removeprefix("API"), "metadata": metadata}
    status = draw(st.sampled_from([None, None, None, {"conditions": [NOT_PROGRAMMED]}]))
    return without_nothing({**body, "spec": draw(SPECS[kind]), "status": status})


TEXTS = st.builds(
    lambda found, code, broken: (
        (f"# gitmesh: ignore {code} because it is known\n" if code else "")
        + "\n---\n".join(json.dumps(one, indent=1) for one in found)
        + broken
    ),
    st.lists(objects(), min_size=1, max_size=3),
    SUPPRESSED,
    st.sampled_from(["", "", "", "", "\n---\nkind: [", "\n---\nkind: Gateway"]),
)
PATHS = st.sampled_from([f"{folder}{name}.yaml" for folder in ("", "x/") for name in "abc"])
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), PATHS, TEXTS),
        st.tuples(st.just("write"), PATHS, TEXTS),
        st.tuples(st.just("delete"), PATHS, st.just("")),
        st.tuples(st.just("rename"), PATHS, PATHS),
        st.tuples(st.just("ignore"), PATHS, st.just("")),
        st.tuples(st.just("cluster"), st.integers(0, 4), st.just("")),
    ),
    min_size=2,
    max_size=8,
)
LIVE = [
    resource_from_body({"apiVersion": version, "kind": kind, "metadata": metadata, **rest})
    for version, kind, metadata, rest in (
        (
            "networking.istio.io/v1",
            "DestinationRule",
            {"name": "a", "namespace": "default"},
            {"spec": {"host": "reviews", "subsets": [{"name": "v2"}]}},
        ),
        (
            "gateway.networking.k8s.io/v1",
            "Gateway",
            {"name": "entry", "namespace": "default"},
            {"spec": {"listeners": [{}]}, "status": {"conditions": [NOT_PROGRAMMED]}},
        ),
    )
]
CONTEXTS = (
    Context(),
    Context(services=services_of(["reviews.default.svc.cluster.local"]), advisory=True),
    Context(services=services_of(["ratings.default.svc.cluster.local"]), advisory=True),
    Context(services={}, pods=(ContextPod("default", "p", {"istio": "entry"}),), namespaces={}, secrets={}),
    Context(services={}, pods=(), objects={resource.key: resource for resource in LIVE}),
)


ACROSS = [
    rule
    for rule in CATALOGUE.values()
    if rule.file and ("GM200" < rule.code < "GM310" or rule.code == "GM441")
]


@pytest.mark.parametrize("context", [CONTEXTS[0], CONTEXTS[3]], ids=["files", "cluster"])
@pytest.mark.parametrize("rule", ACROSS, ids=lambda rule: rule.code)
def test_each_object_of_an_example_that_changes_comes_or_goes(rule: Rule, context: Context):
    wrong, right = rule.wrong.split("---\n"), rule.right.split("---\n")
    before = None
    for state in (wrong, right):
        texts = {f"{number}.yaml": text for number, text in enumerate(state)}
        before = compared(texts, context, before)
        for path in list(texts):
            others = [*(wrong + right), None]
            for other in others:
                changed = {**texts, path: other} if other else {p: t for p, t in texts.items() if p != path}
                before = compared(changed, context, before)
            before = compared(texts, context, before)
    for other_context in (*CONTEXTS, CONTEXTS[0]):
        before = compared(texts, other_context, before)


def compared(texts: dict[str, str], context: Context, before: Examined | None) -> Examined:
    """Judge with and without a memory; both must say the same."""
    warm, cold = judged(texts, context, before), judged(texts, context, None)
    assert warm.findings == cold.findings
    assert warm.validated.unchecked == cold.validated.unchecked
    return warm


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(EDITS)
def test_findings_after_edits_are_those_of_a_cold_run(edits: list[tuple[str, Any, str]]):
    texts: dict[str, str] = {}
    context, before = CONTEXTS[0], None
    for action, what, more in edits:
        if action == "write":
            texts[what] = more
        elif action == "delete":
            texts.pop(what, None)
        elif action == "rename" and what in texts:
            texts[more] = texts.pop(what)
        elif action == "ignore":
            texts[".gitmeshignore"] = what
        elif action == "cluster":
            context = CONTEXTS[what]
        before = compared(texts, context, before)


def judged(texts: dict[str, str], context: Context, previous: Examined | None) -> Examined:
    revision = Revision("", "", "", files_of(texts))
    return examine(
        revision, default_namespace="default", limits=ParseLimits(), context=context, previous=previous
    )
