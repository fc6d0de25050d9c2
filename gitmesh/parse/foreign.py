"""Kinds that GitMesh does not manage: which are cluster-scoped, which are context, and what is kept of them.

Stage: parse (pure).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitmesh.model.resource import ResourceKey

# Source: kubernetes.io, "API groups": the built-in kinds without a namespace.
_CLUSTER_SCOPED = {
    "": ("Namespace", "Node", "PersistentVolume"),
    "admissionregistration.k8s.io": (
        "MutatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    ),
    "apiextensions.k8s.io": ("CustomResourceDefinition",),
    "apiregistration.k8s.io": ("APIService",),
    "cert-manager.io": ("ClusterIssuer",),
    "certificates.k8s.io": ("CertificateSigningRequest",),
    "gateway.networking.k8s.io": ("GatewayClass",),
    "networking.k8s.io": ("IngressClass",),
    "policy": ("PodSecurityPolicy",),
    "rbac.authorization.k8s.io": ("ClusterRole", "ClusterRoleBinding"),
    "scheduling.k8s.io": ("PriorityClass",),
    "storage.k8s.io": ("CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"),
}
WITH_PODS = frozenset(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"))
_CONTEXT = {"": frozenset(("Service", "Pod", "Namespace", "Secret")), "apps": WITH_PODS}


def is_cluster_scoped(group: str, kind: str) -> bool:
    """Say whether objects of the kind have no namespace, as far as that is known without a cluster."""
    return kind in _CLUSTER_SCOPED.get(group, ())


def is_context(key: ResourceKey) -> bool:
    """Say whether the traffic configuration can be checked against the object."""
    return key.kind in _CONTEXT.get(key.group, ())


def without_secrets(key: ResourceKey, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object; of a Secret only what names it and its type, so that no data goes any further."""
    if (key.group, key.kind) != ("", "Secret"):
        return body
    kept = {name: body[name] for name in ("apiVersion", "kind", "type") if name in body}
    return {**kept, "metadata": {"name": key.name, "namespace": key.namespace}}
