"""Names of the ports of Services: they say which protocol Istio expects.

Stage: validate (pure). Source: istio/istio pkg/config/analysis/analyzers/service/portname.go (IST0118,
IST0150); pkg/config/kube/conversion.go for the names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gitmesh.model.resource import Resource
from gitmesh.validate.across.found import Found
from gitmesh.validate.across.lenient import mapping, number, text
from gitmesh.validate.subject import Subject

_PROTOCOLS = frozenset(
    ("http", "http2", "https", "tcp", "tls", "grpc", "grpc-web", "mongo", "redis", "mysql", "udp", "hbone")
)
_SERVER_FIRST = frozenset((25, 3306, 27017))  # ports where the server speaks first: taken for TCP
_APP_PROTOCOLS = frozenset(("kubernetes.io/h2c", "kubernetes.io/ws", "kubernetes.io/wss"))
_SYSTEM = frozenset(("kube-system", "kube-public", "kube-node-lease", "istio-system", "local-path-storage"))


def check_service_ports(resource: Resource) -> Iterator[Found]:
    """Yield ports of a Service whose protocol Istio has to guess."""
    if resource.key.namespace in _SYSTEM:
        return
    ports = resource.spec.get("ports")
    external = text(resource.spec.get("type")) == "ExternalName"
    for index, port in enumerate(ports if isinstance(ports, list) else ()):
        name = text(mapping(port).get("name"))
        if not isinstance(port, Mapping) or (_says_protocol(port) and not (external and name == "tcp")):
            continue
        shown = f"port {number(port.get('port'))}" + (f" ({name[:60]})" if name else " without a name")
        where = ("spec", "ports", index, *(("name",) if name else ()))
        if external:
            message = f"{shown} of a Service of type ExternalName does not name a protocol other than tcp"
            yield Subject(resource).finding("GM218", message, where, hint="name it http, https or tls")
        else:
            message = f"{shown} does not say which protocol it carries, so that proxies guess it"
            hint = "name it http-..., grpc-..., tcp-... or the like, or set appProtocol"
            yield Subject(resource).finding("GM217", message, where, hint=hint)


def _says_protocol(port: Mapping[str, Any]) -> bool:
    if text(port.get("protocol")) in ("UDP", "SCTP") or number(port.get("port")) in _SERVER_FIRST:
        return True
    application = text(port.get("appProtocol")).lower()
    if application:
        return application in _APP_PROTOCOLS or application in _PROTOCOLS
    name = text(port.get("name")).lower()
    return name in _PROTOCOLS or name.startswith("grpc-web-") or name.partition("-")[0] in _PROTOCOLS
