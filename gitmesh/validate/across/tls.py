"""TLS towards a destination: verified, and not at odds with what the destination speaks.

Stage: validate (pure). Source: istio/istio pkg/config/analysis/analyzers/destinationrule/ca-certificates.go
(IST0128, IST0129); the rest are facts about how istiod builds clusters.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.istio.hosts import fully_qualified
from gitmesh.istio.models.destination_rule import DestinationRuleSpec
from gitmesh.istio.models.traffic_policy import ClientTLS
from gitmesh.validate.across.facts import EntryFact, EntryPort
from gitmesh.validate.across.found import Found
from gitmesh.validate.across.world import World
from gitmesh.validate.subject import Path, Subject

_ORIGINATING = ("SIMPLE", "MUTUAL")
_ENCRYPTED = ("HTTPS", "TLS")
_PLAIN_PORT = 80


def check_client_tls(subject: Subject, spec: DestinationRuleSpec, world: World) -> Iterator[Found]:
    """Yield TLS settings of a DestinationRule that verify nothing or contradict the destination."""
    policy = spec.traffic_policy
    if policy is None:
        return
    host = fully_qualified(spec.host, subject.namespace)
    entries = tuple(entry for entry in world.entries(host) if host in entry.hosts)
    by_port: dict[int, tuple[Path, ClientTLS]] = {}
    for index, part in enumerate(policy.port_level_settings):
        path: Path = ("spec", "trafficPolicy", "portLevelSettings", index, "tls")
        if part.tls is not None:
            yield from _verified(subject, spec, part.tls, path, "GM220")
        if part.port is not None and part.port.number is not None:
            by_port[part.port.number] = (path, part.tls or ClientTLS())
    whole: Path = ("spec", "trafficPolicy", "tls")
    if policy.tls is not None:
        yield from _verified(subject, spec, policy.tls, whole, "GM219")
    seen: set[Path] = set()
    for entry in entries:
        for port in entry.ports:
            # The settings of a port replace those of the whole; they are not merged.
            where, tls = by_port.get(port.number, (whole, policy.tls or ClientTLS()))
            if where not in seen:
                plain = world.gets_plain_http(host, port.number)
                found = list(_against(subject, entry, port, tls, where, plain))
                seen.update([where] if found else [])
                yield from found


def _verified(
    subject: Subject, spec: DestinationRuleSpec, tls: ClientTLS, path: Path, code: str
) -> Iterator[Found]:
    if tls.mode not in _ORIGINATING or tls.ca_certificates or tls.insecure_skip_verify:
        return
    if tls.credential_name and spec.workload_selector is not None:
        return
    message = f"mode {tls.mode} without caCertificates: the server's certificate may not be verified as meant"
    hint = "name the file of the CA in caCertificates"
    yield subject.finding(code, message, path, hint=hint, wants_key=True)


def _against(
    subject: Subject, entry: EntryFact, port: EntryPort, tls: ClientTLS, path: Path, plain: bool
) -> Iterator[Found]:
    where: Path = (*path, "mode")
    name = f"{port.number} of {entry.key}"
    if tls.mode == "ISTIO_MUTUAL" and entry.external:
        message = f"ISTIO_MUTUAL towards {entry.key}, which is outside the mesh and has no certificate of it"
        hint = "set mode: SIMPLE, or location: MESH_INTERNAL if its workloads have sidecars"
        yield subject.finding("GM233", message, where, hint=hint)
    elif tls.mode in _ORIGINATING and port.protocol in _ENCRYPTED and not plain:
        message = f"port {name} carries {port.protocol} already, so TLS goes inside TLS"
        hint = "declare the port as HTTP if clients send plain text, or remove tls"
        yield subject.finding("GM234", message, where, hint=hint)
    elif tls.mode in _ORIGINATING and port.number == _PLAIN_PORT and not port.target and not _moved(entry):
        message = f"TLS is sent to port {name}, where plain {port.protocol or 'TCP'} is expected"
        hint = "add targetPort: 443 to the port of the ServiceEntry"
        yield subject.finding("GM235", message, where, hint=hint)


def _moved(entry: EntryFact) -> bool:
    """Say whether endpoints are written out: they may have ports of their own."""
    return bool(entry.endpoints) or entry.selector is not None
