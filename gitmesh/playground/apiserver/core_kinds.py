"""The built-in kinds that are served: as many of Kubernetes' own as a mesh on one machine needs.

Stage: playground (pure).
"""

from __future__ import annotations

from gitmesh.playground.apiserver import core_columns, core_defaults, core_schemas, definitions
from gitmesh.playground.apiserver.kinds import PERMISSIVE, ServedKind, ServedVersion
from gitmesh.playground.apiserver.reviews import REVIEW_KINDS

_EVENT_LABELS = frozenset(
    {
        *(
            f"involvedObject.{f}"
            for f in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion")
        ),
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    }
)


def _core(
    kind: str,
    plural: str,
    *short_names: str,
    group: str = "",
    namespaced: bool = True,
    has_status: bool = False,
    field_labels: frozenset[str] = frozenset(),
    categories: tuple[str, ...] = (),
) -> ServedKind:
    schema = core_schemas.SCHEMAS.get(kind, PERMISSIVE)
    return ServedKind(
        group=group,
        kind=kind,
        plural=plural,
        versions=(ServedVersion("v1", schema, core_columns.COLUMNS.get(kind, (core_columns.AGE,))),),
        storage="v1",
        singular=kind.lower(),
        list_kind=f"{kind}List",
        namespaced=namespaced,
        short_names=short_names,
        categories=categories,
        has_status=has_status,
        field_labels=field_labels,
        defaults=core_defaults.DEFAULTS.get(kind),
    )


CORE_KINDS: tuple[ServedKind, ...] = (
    _core(
        "Namespace",
        "namespaces",
        "ns",
        namespaced=False,
        has_status=True,
        field_labels=frozenset({"status.phase"}),
    ),
    _core("Service", "services", "svc", has_status=True, categories=("all",)),
    _core(
        "Pod",
        "pods",
        "po",
        has_status=True,
        categories=("all",),
        field_labels=frozenset({"status.phase", "status.podIP", "spec.nodeName"}),
    ),
    _core("Endpoints", "endpoints", "ep"),
    _core("EndpointSlice", "endpointslices", group="discovery.k8s.io"),
    _core("ConfigMap", "configmaps", "cm"),
    _core("Secret", "secrets", field_labels=frozenset({"type"})),
    _core("ServiceAccount", "serviceaccounts", "sa"),
    _core("Event", "events", "ev", field_labels=_EVENT_LABELS),
    _core("Lease", "leases", group="coordination.k8s.io"),
    _core(
        definitions.KIND,
        "customresourcedefinitions",
        "crd",
        "crds",
        group=definitions.GROUP,
        namespaced=False,
        has_status=True,
        categories=("api-extensions",),
    ),
    *REVIEW_KINDS,
)
