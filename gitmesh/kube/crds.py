"""GitMesh's own CustomResourceDefinitions, made from the pydantic classes of their spec and status.

Stage: none (pure). `python -m gitmesh.kube.crds` prints manifests/install/crds.yaml.
"""

from __future__ import annotations

import sys
from typing import Any

import yaml
from pydantic import BaseModel

from gitmesh.model.kinds import TRAFFIC_ROLLOUT, TRAFFIC_SOURCE, Kind
from gitmesh.model.openapi import structural_schema
from gitmesh.model.rollout import RolloutIntent, RolloutRecord
from gitmesh.model.source import TrafficSourceSpec, TrafficSourceStatus

Column = dict[str, Any]


def crds() -> list[dict[str, Any]]:
    """Return the definitions of TrafficSource and TrafficRollout."""
    return [
        _crd(
            TRAFFIC_SOURCE,
            "tsrc",
            "A Git repository that steers the traffic of this cluster.",
            TrafficSourceSpec,
            TrafficSourceStatus,
            [
                _column("URL", ".spec.url"),
                _column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
                _column("Status", '.status.conditions[?(@.type=="Ready")].message'),
                _column("Branch", ".spec.branch", priority=1),
                _column("Revision", ".status.lastAppliedRevision", priority=1),
                _AGE,
            ],
        ),
        _crd(
            TRAFFIC_ROLLOUT,
            "trollout",
            "Where the rollout of the VirtualService with the same name stands.",
            RolloutIntent,
            RolloutRecord,
            [
                _column("Phase", ".status.phase"),
                _column("Weights", ".status.weights"),
                _column("Status", ".status.message"),
                _column("Progress", ".status.progress", "number", priority=1),
                _column("Next", ".status.nextAt", priority=1),
                _column("Policy", ".status.policy", priority=1),
                _column("Revision", ".status.revision", priority=1),
                _AGE,
            ],
        ),
    ]


def manifest() -> str:
    """Return them as YAML, with a note that they are generated."""
    note = "# Generated from gitmesh/model by `python -m gitmesh.kube.crds`; do not edit.\n"
    documents: str = yaml.dump_all(
        crds(), Dumper=_PlainDumper, sort_keys=False, explicit_start=True, width=110
    )
    return note + documents


class _PlainDumper(yaml.SafeDumper):
    """Writes equal parts out, each in its place: people read this file."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _column(name: str, path: str, type_: str = "string", priority: int = 0) -> Column:
    column: Column = {"name": name, "type": type_, "jsonPath": path}
    return {**column, "priority": priority} if priority else column


_AGE = _column("Age", ".metadata.creationTimestamp", "date")


def _crd(
    kind: Kind,
    short_name: str,
    description: str,
    spec: type[BaseModel],
    status: type[BaseModel],
    columns: list[Column],
) -> dict[str, Any]:
    version = {
        "name": kind.version,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": _schema(description, spec, status)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{kind.group}",
            "labels": {"app.kubernetes.io/name": "gitmesh", "app.kubernetes.io/part-of": "gitmesh"},
        },
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "shortNames": [short_name],
                "categories": ["gitmesh"],
            },
            "versions": [version],
        },
    }


def _schema(description: str, spec: type[BaseModel], status: type[BaseModel]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural_schema(spec),
            "status": structural_schema(status),
        },
    }


if __name__ == "__main__":
    sys.stdout.write(manifest())
