"""The facts of objects that GitMesh does not manage: Services, Pods, Secrets and the like.

Stage: validate (pure).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gitmesh.model.context import ContextPod, ContextPort, ContextService
from gitmesh.model.resource import Resource
from gitmesh.validate.across.facts import ApiGatewayFact, AuthenticationFact, Fact, NamespaceFact, SecretFact
from gitmesh.validate.across.lenient import labels, mapping, mappings, number, text

_EXPORT_TO = "networking.istio.io/exportTo"


def service_facts(resource: Resource) -> Iterator[Fact]:
    """Yield a Service."""
    yield read_service(resource.key.namespace, resource.key.name, resource.spec, resource.metadata)


def read_service(
    namespace: str, name: str, spec: Mapping[str, Any], metadata: Mapping[str, Any]
) -> ContextService:
    """Return what matters of a Service."""
    ports = tuple(
        ContextPort(
            number(port.get("port")),
            text(port.get("name")),
            text(port.get("protocol")),
            text(port.get("appProtocol")),
            number(port.get("targetPort")) or text(port.get("targetPort")),
        )
        for port in mappings(spec.get("ports"))
    )
    written = text(mapping(metadata.get("annotations")).get(_EXPORT_TO))
    export_to = tuple(part.strip() for part in written.split(",") if part.strip())
    selector = dict(labels(spec.get("selector")))
    return ContextService(namespace, name, ports, selector, text(spec.get("type")), export_to)


def pod_facts(resource: Resource) -> Iterator[Fact]:
    """Yield a Pod."""
    yield read_pod(resource.key.namespace, resource.key.name, resource.metadata, resource.spec)


def template_facts(resource: Resource) -> Iterator[Fact]:
    """Yield the Pod that a Deployment or the like makes; its name says which one."""
    template = mapping(resource.spec.get("template"))
    name = f"{resource.key.kind.lower()}/{resource.key.name}"
    yield read_pod(
        resource.key.namespace, name, mapping(template.get("metadata")), mapping(template.get("spec"))
    )


def read_pod(namespace: str, name: str, metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> ContextPod:
    """Return what matters of a Pod."""
    named = {
        port["name"]: number(port.get("containerPort"))
        for container in mappings(spec.get("containers"))
        for port in mappings(container.get("ports"))
        if isinstance(port.get("name"), str)
    }
    return ContextPod(namespace, name, dict(labels(metadata.get("labels"))), named)


def namespace_facts(resource: Resource) -> Iterator[Fact]:
    """Yield a Namespace."""
    yield NamespaceFact(resource.key.name, labels(resource.metadata.get("labels")))


def secret_facts(resource: Resource) -> Iterator[Fact]:
    """Yield a Secret: name and type."""
    yield SecretFact(resource.key.namespace, resource.key.name, text(resource.body.get("type")) or "Opaque")


def _certificate_facts(resource: Resource) -> Iterator[Fact]:
    """Source: cert-manager.io, Certificate: spec.secretName is the Secret of type kubernetes.io/tls."""
    if name := text(resource.spec.get("secretName")):
        yield SecretFact(resource.key.namespace, name, "kubernetes.io/tls")


def _external_secret_facts(resource: Resource) -> Iterator[Fact]:
    """Source: external-secrets.io, ExternalSecret: spec.target.name, by default its own name."""
    name = text(mapping(resource.spec.get("target")).get("name")) or resource.key.name
    yield SecretFact(resource.key.namespace, name, "")


def _sealed_secret_facts(resource: Resource) -> Iterator[Fact]:
    """Source: github.com/bitnami-labs/sealed-secrets: the Secret has the name of the SealedSecret."""
    yield SecretFact(resource.key.namespace, resource.key.name, "")


def _authentication_facts(resource: Resource) -> Iterator[Fact]:
    selector = mapping(resource.spec.get("selector"))
    yield AuthenticationFact(resource.key.namespace, labels(selector.get("matchLabels")))


def _api_gateway_facts(resource: Resource) -> Iterator[Fact]:
    listeners = mappings(resource.spec.get("listeners"))
    yield ApiGatewayFact(resource.key, tuple(text(one.get("hostname")) or "*" for one in listeners))


OTHER_FACTS: Mapping[tuple[str, str], Callable[[Resource], Iterator[Fact]]] = {
    ("", "Service"): service_facts,
    ("", "Pod"): pod_facts,
    ("", "Namespace"): namespace_facts,
    ("", "Secret"): secret_facts,
    **{("apps", kind): template_facts for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")},
    ("cert-manager.io", "Certificate"): _certificate_facts,
    ("external-secrets.io", "ExternalSecret"): _external_secret_facts,
    ("bitnami.com", "SealedSecret"): _sealed_secret_facts,
    ("security.istio.io", "RequestAuthentication"): _authentication_facts,
    ("gateway.networking.k8s.io", "Gateway"): _api_gateway_facts,
}
