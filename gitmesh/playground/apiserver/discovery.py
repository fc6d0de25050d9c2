"""Which groups, versions and kinds there are, in the older form and in the aggregated one.

Stage: playground (pure). Source: kubernetes.io, The Kubernetes API, "Discovery API".
"""

from __future__ import annotations

from gitmesh.playground.apiserver.failures import no_such_path
from gitmesh.playground.apiserver.kinds import Body, ServedKind
from gitmesh.playground.apiserver.registry import Registry

_STATUS_VERBS = ("get", "patch", "update")


def core_versions(address: str) -> Body:
    """Answer /api."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def group_list(registry: Registry) -> Body:
    """Answer /apis."""
    groups = [_group(registry, group) for group in registry.groups() if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(registry: Registry, name: str) -> Body:
    """Answer /apis/GROUP. Raises 404."""
    if not name or name not in registry.groups():
        raise no_such_path()
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(registry, name)}


def _group(registry: Registry, name: str) -> Body:
    versions = [{"groupVersion": f"{name}/{v}", "version": v} for v in registry.groups()[name]]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resource_list(registry: Registry, group_name: str, version: str) -> Body:
    """Answer /api/v1 or /apis/GROUP/VERSION. Raises 404."""
    kinds = registry.served_in(group_name, version)
    if not kinds:
        raise no_such_path()
    resources: list[Body] = []
    for kind in kinds:
        resources.append(_resource(kind))
        if kind.has_status:
            status = {"name": f"{kind.plural}/status", "singularName": "", "verbs": list(_STATUS_VERBS)}
            resources.append({**status, "namespaced": kind.namespaced, "kind": kind.kind})
    full = f"{group_name}/{version}" if group_name else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": full, "resources": resources}


def _resource(kind: ServedKind) -> Body:
    found: Body = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        found["shortNames"] = list(kind.short_names)
    if kind.categories:
        found["categories"] = list(kind.categories)
    return found


def aggregated(registry: Registry, form: str, *, core: bool) -> Body:
    """Answer /api or /apis in one document. `form`: v2 or v2beta1."""
    items = []
    for name, versions in registry.groups().items():
        if (name == "") is core:
            listed = [_aggregated_version(registry, name, version) for version in versions]
            metadata = {"creationTimestamp": None, **({"name": name} if name else {})}
            items.append({"metadata": metadata, "versions": listed})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{form}",
        "metadata": {},
        "items": items,
    }


def _aggregated_version(registry: Registry, name: str, version: str) -> Body:
    resources = []
    for kind in registry.served_in(name, version):
        answer = {"group": name, "version": version, "kind": kind.kind}
        found: Body = {
            "resource": kind.plural,
            "responseKind": answer,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "singularResource": kind.singular,
            "verbs": list(kind.verbs),
        }
        if kind.short_names:
            found["shortNames"] = list(kind.short_names)
        if kind.categories:
            found["categories"] = list(kind.categories)
        if kind.has_status:
            status = {"subresource": "status", "responseKind": answer, "verbs": list(_STATUS_VERBS)}
            found["subresources"] = [status]
        resources.append(found)
    return {"version": version, "freshness": "Current", "resources": resources}
