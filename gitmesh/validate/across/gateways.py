"""A Gateway, the Pods that it configures, its certificates, and other Gateways.

Stage: validate (pure). Source: istio/istio pkg/config/analysis/analyzers/gateway (IST0101, IST0138, IST0145,
IST0161, IST0162).
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.istio.hosts import service_host
from gitmesh.istio.models.gateway import GatewaySpec, Server
from gitmesh.validate.across.found import PODS, SECRETS, SERVICES, Found, Unchecked
from gitmesh.validate.across.lenient import Labels
from gitmesh.validate.across.pods import PodName
from gitmesh.validate.across.world import World
from gitmesh.validate.subject import Path, Subject

# Gateways that an installation of Istio brings; a repository rarely holds their Pods.
# Source: istio/istio, manifests/charts/gateways and gateway; `istioctl analyze` adds the first of them.
_INSTALLED = frozenset(
    ("istio", name) for name in ("ingressgateway", "egressgateway", "eastwestgateway", "ingress", "egress")
) | frozenset(("app", f"istio-{name}") for name in ("ingressgateway", "egressgateway", "ingress", "egress"))
_ROOT = "istio-system"
# Plain servers of one port share their routes. Source: istio/istio pilot/pkg/model/gateway.go, mergeGateways.
_MERGED = ("HTTP", "HTTP2", "GRPC", "GRPC-WEB")
# Types that can hold a certificate with its key. Source: istio/istio pilot/pkg/credentials/kube.
_WITH_CERTIFICATE = ("", "Opaque", "generic", "kubernetes.io/tls", "istio.io/ca-root")


def check_gateway_across(subject: Subject, spec: GatewaySpec, world: World) -> Iterator[Found]:
    """Yield what does not fit between a Gateway and other objects."""
    selector: Labels = tuple(sorted(spec.selector.items()))
    pods = world.pods_of(selector, "")
    if pods:
        yield from _ports(subject, spec, selector, pods, world)
    elif selector and not _INSTALLED.issuperset(selector):
        yield from _selector(subject, selector, world)
    for index, server in enumerate(spec.servers):
        yield from _secrets(subject, server, index, pods, world)
    yield from _certificates(subject, spec, selector, world)
    yield from _conflicts(subject, spec, selector, world)


def _selector(subject: Subject, selector: Labels, world: World) -> Iterator[Found]:
    if not world.knows_pods(""):
        yield Unchecked(PODS, "GM209")
        return
    shown = ", ".join(f"{name}={value}" for name, value in selector)
    message = f"no Pod has the labels {shown[:200]}, so nothing listens"
    yield subject.finding("GM209", message, ("spec", "selector"), wants_key=True)


def _ports(
    subject: Subject, spec: GatewaySpec, selector: Labels, pods: tuple[PodName, ...], world: World
) -> Iterator[Found]:
    offered = world.ports_of_pods(selector)
    known = all(world.knows_services(service_host("*", pod.namespace)) for pod in pods)
    if offered is None or not (offered or known):
        yield Unchecked(SERVICES, "GM228")
        return
    for index, server in enumerate(spec.servers):
        if server.port.number and server.port.number not in offered:
            message = f"no Service of the gateway's Pods has the port {server.port.number}"
            listed = ", ".join(str(port) for port in sorted(offered)[:10])
            hint = f"its Services have: {listed}" if offered else "no Service selects them"
            path: Path = ("spec", "servers", index, "port", "number")
            yield subject.finding("GM228", message, path, hint=hint)


def _secrets(
    subject: Subject, server: Server, index: int, pods: tuple[PodName, ...], world: World
) -> Iterator[Found]:
    for path, name in _named(server, ("spec", "servers", index, "tls")):
        if "://" in name or not name:
            continue
        # A Secret is looked for where the gateway's Pods are, which is not always known.
        namespaces = sorted({pod.namespace for pod in pods} or {subject.namespace, _ROOT})
        types = [kind for kind in (world.secret(where, name) for where in namespaces) if kind is not None]
        if not types:
            if all(world.knows_secrets(where) for where in namespaces):
                message = f"there is no Secret {name[:120]} in {' or '.join(namespaces)[:200]}"
                hint = "clients get no certificate, and their connections are closed"
                yield subject.finding("GM210", message, path, hint=hint)
            else:
                yield Unchecked(SECRETS, "GM210")
        elif not any(kind in _WITH_CERTIFICATE for kind in types):
            message = f"the Secret {name[:120]} has the type {types[0][:80]}, which holds no certificate"
            hint = "make it one of type kubernetes.io/tls"
            yield subject.finding("GM227", message, path, hint=hint)


def _named(server: Server, base: Path) -> Iterator[tuple[Path, str]]:
    tls = server.tls
    if tls is None:
        return
    if tls.credential_name:
        yield (*base, "credentialName"), tls.credential_name
    for number, name in enumerate(tls.credential_names or ()):
        yield (*base, "credentialNames", number), name


def _certificates(subject: Subject, spec: GatewaySpec, selector: Labels, world: World) -> Iterator[Found]:
    """Source: IST0138. A client that reuses a connection for another host of the certificate gets 404."""
    for index, server in enumerate(spec.servers):
        named = [*_named(server, ("spec", "servers", index, "tls"))]
        if server.tls is not None and server.tls.server_certificate:
            file = f"file:{server.tls.server_certificate}:{server.tls.private_key or ''}"
            named.append((("spec", "servers", index, "tls", "serverCertificate"), file))
        for path, name in named:
            others = [key for key in world.presenting(name, selector) if key != subject.resource.key]
            if others:
                message = f"{others[0]} has the same certificate on the same gateway"
                hint = "put the hosts of one certificate into one Gateway"
                yield subject.finding("GM223", message, path, hint=hint)
                return


def _conflicts(subject: Subject, spec: GatewaySpec, selector: Labels, world: World) -> Iterator[Found]:
    """Source: IST0145: equal host texts with the same bind, on one port of the same Pods."""
    for index, server in enumerate(spec.servers):
        for number, host in enumerate(server.hosts):
            bind, port = server.bind or "", server.port.number
            found = world.listeners(selector, port, bind, host)
            others = [key for key in found if key != subject.resource.key]
            if not others:
                continue
            message = f"{others[0]} listens on port {port} for the host {host[:120]}, too"
            path: Path = ("spec", "servers", index, "hosts", number)
            if server.port.protocol.upper() in _MERGED:
                hint = "the servers are merged, so this works; one Gateway is easier to follow"
                yield subject.finding("GM239", message, path, hint=hint)
            else:
                hint = "one of them is ignored; join the Gateways, or change port or host"
                yield subject.finding("GM225", message, path, hint=hint)
