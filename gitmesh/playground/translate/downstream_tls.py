"""TLS that a gateway ends: one server's `tls` to the transport socket of its filter chain.

Stage: playground translation (pure). Source: istio/istio pilot/pkg/networking/core, gateway.go,
buildGatewayListenerTLSContext; istio.io, Gateway, ServerTLSSettings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gitmesh.istio.ciphers import is_cipher
from gitmesh.playground.translate.credentials import Credential, Credentials, Unusable
from gitmesh.playground.translate.fields import Field
from gitmesh.playground.translate.naming import Envoy, typed

ENDING_MODES = frozenset({"SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"})
_CONTEXT = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_VERSIONS = {"TLSV1_0": "TLSv1_0", "TLSV1_1": "TLSv1_1", "TLSV1_2": "TLSv1_2", "TLSV1_3": "TLSv1_3"}
_SAN_TYPES = ("DNS", "URI", "EMAIL", "IP_ADDRESS")


@dataclass(frozen=True, slots=True)
class DownstreamTls:
    """A transport socket, and the secrets that it names."""

    socket: Envoy
    secrets: dict[str, Envoy] = field(repr=False)


def downstream_tls(
    tls: Field, namespace: str, credentials: Credentials, *, http: bool
) -> DownstreamTls | None:
    """Return how a server ends TLS; None, with a report, where a certificate is missing.

    `namespace` is that of the gateway's Pod: a credential is a Secret there, wherever the Gateway lives.
    """
    mode = tls["mode"].text()
    certificates = list(_usable(_certificates(tls, namespace, credentials)))
    authority = None
    if mode != "SIMPLE":
        authority = next(_usable(iter([_authority(tls, namespace, credentials)])), None)
    if not certificates or (mode != "SIMPLE" and authority is None):
        return None
    common: Envoy = {
        "tls_params": _parameters(tls),
        **({"alpn_protocols": ["h2", "http/1.1"]} if http else {}),
        "tls_certificate_sds_secret_configs": [{"name": credential.name} for credential in certificates],
    }
    if authority is not None:
        common["combined_validation_context"] = {
            "default_validation_context": _validation(tls),
            "validation_context_sds_secret_config": {"name": authority.name},
        }
    socket = typed(
        "envoy.transport_sockets.tls",
        _CONTEXT,
        common_tls_context=common,
        require_client_certificate=mode == "MUTUAL",
    )
    used = [*certificates, *([authority] if authority else [])]
    return DownstreamTls(socket, {credential.name: credential.message for credential in used})


_Found = tuple[Field, Credential | Unusable]


def _usable(found: Iterator[_Found]) -> Iterator[Credential]:
    for place, credential in found:
        if isinstance(credential, Credential):
            yield credential
        else:
            place.report(f"{credential.reason}; TLS cannot be ended with it")


def _certificates(tls: Field, namespace: str, credentials: Credentials) -> Iterator[_Found]:
    names = [tls["credentialName"]] if tls["credentialName"].text() else list(tls["credentialNames"].items())
    for name in names:
        yield name, credentials.certificate(namespace, name.text())
    files = list(tls["tlsCertificates"].items())
    if not names and not files:
        files = [tls]
    for place in files:
        chain, key = place["serverCertificate"].text(), place["privateKey"].text()
        if chain and key:
            yield place["serverCertificate"], credentials.certificate_files(namespace, chain, key)
        else:
            yield (
                place,
                Unusable("it names no certificate (credentialName, or serverCertificate and privateKey)"),
            )


def _authority(tls: Field, namespace: str, credentials: Credentials) -> _Found:
    for place in (tls["caCertCredentialName"], tls["credentialName"], *tls["credentialNames"].items()):
        if place.text():
            return place, credentials.authority(namespace, place.text())
    place = tls["caCertificates"]
    if not place.text():
        return tls, Unusable("it names no authority for the clients' certificates (caCertificates)")
    return place, credentials.authority_file(namespace, place.text(), tls["caCrl"].text())


def _parameters(tls: Field) -> Envoy:
    # Envoy's own least version for servers, stated as pilot does.
    lowest, highest = tls["minProtocolVersion"].text(), tls["maxProtocolVersion"].text()
    parameters: Envoy = {"tls_minimum_protocol_version": _VERSIONS.get(lowest, "TLSv1_2")}
    if highest in _VERSIONS:
        parameters["tls_maximum_protocol_version"] = _VERSIONS[highest]
    suites = []
    for suite in tls["cipherSuites"].items():
        if is_cipher(suite.text()):
            suites.append(suite.text())
        else:
            suite.report("is not a cipher suite of Envoy, and is left out as in Istio")
    if suites:
        parameters["cipher_suites"] = suites
    return parameters


def _validation(tls: Field) -> Envoy:
    context: Envoy = {}
    names = tls["subjectAltNames"].texts()
    if names:
        context["match_typed_subject_alt_names"] = [
            {"san_type": kind, "matcher": {"exact": name}} for name in names for kind in _SAN_TYPES
        ]
    for name, envoy_name in (
        ("verifyCertificateSpki", "verify_certificate_spki"),
        ("verifyCertificateHash", "verify_certificate_hash"),
    ):
        if values := tls[name].texts():
            context[envoy_name] = values
    return context
