"""The definitions that are there from the start: Istio's networking kinds and GitMesh's own two.

Stage: playground (pure). Source: the CRDs of Istio 1.30 for names, versions and printer columns.
"""

from __future__ import annotations

from typing import Any

from gitmesh.istio.kinds import MODELS
from gitmesh.kube.crds import crds
from gitmesh.model.kinds import NETWORKING, TRAFFIC_VERSIONS
from gitmesh.model.openapi import structural_schema
from gitmesh.playground.apiserver.kinds import Body

_AGE = {
    "name": "Age",
    "type": "date",
    "jsonPath": ".metadata.creationTimestamp",
    "description": "When the object was created",
}
_STATUS: Body = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _text(name: str, path: str) -> Body:
    return {"name": name, "type": "string", "jsonPath": path}


# kind -> plural, short names, printer columns
_NETWORKING: dict[str, tuple[str, list[str], list[Body]]] = {
    "VirtualService": (
        "virtualservices",
        ["vs"],
        [_text("Gateways", ".spec.gateways"), _text("Hosts", ".spec.hosts"), _AGE],
    ),
    "DestinationRule": ("destinationrules", ["dr"], [_text("Host", ".spec.host"), _AGE]),
    "Gateway": ("gateways", ["gw"], []),
    "ServiceEntry": (
        "serviceentries",
        ["se"],
        [
            _text("Hosts", ".spec.hosts"),
            _text("Location", ".spec.location"),
            _text("Resolution", ".spec.resolution"),
            _AGE,
        ],
    ),
    "Sidecar": ("sidecars", [], []),
    "WorkloadEntry": ("workloadentries", ["we"], [_AGE, _text("Address", ".spec.address")]),
    # Nothing is made of these, and that is said in their status.
    "EnvoyFilter": ("envoyfilters", [], []),
    "WorkloadGroup": ("workloadgroups", ["wg"], [_AGE]),
    "ProxyConfig": ("proxyconfigs", [], []),
}
_VERSIONS = {"EnvoyFilter": ("v1alpha3",), "ProxyConfig": ("v1beta1",)}


def definitions() -> list[Body]:
    """Return every preinstalled CustomResourceDefinition."""
    return [*(_networking(kind) for kind in _NETWORKING), *crds()]


def _networking(kind: str) -> Body:
    plural, short_names, columns = _NETWORKING[kind]
    schema = _schema(kind)  # all versions of a kind share one
    served = _VERSIONS.get(kind, TRAFFIC_VERSIONS)
    versions = [_version(schema, name, columns, stored=name == served[0]) for name in served]
    names: Body = {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": plural,
        "singular": kind.lower(),
        "categories": ["istio-io", "networking-istio-io"],
    }
    if short_names:
        names["shortNames"] = short_names
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{NETWORKING}", "labels": {"app.kubernetes.io/part-of": "playground"}},
        "spec": {"group": NETWORKING, "names": names, "scope": "Namespaced", "versions": versions},
    }


def _version(schema: Body, name: str, columns: list[Body], *, stored: bool) -> Body:
    version: Body = {
        "name": name,
        "served": True,
        "storage": stored,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    if columns:
        version["additionalPrinterColumns"] = columns
    return version


def _schema(kind: str) -> dict[str, Any]:
    model = MODELS.get(kind)
    spec = structural_schema(model) if model else dict(_STATUS)
    return {"type": "object", "properties": {"spec": spec, "status": _STATUS}}
