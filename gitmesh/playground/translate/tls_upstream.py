"""TLS towards a destination: the transport socket of a cluster.

Stage: playground translation (pure). Source: istio.io, Destination Rule, ClientTLSSettings;
istio/istio pilot/pkg/networking/core, cluster_tls.go. Between the playground's own workloads there are no
certificates of the mesh, so ISTIO_MUTUAL and automatic mTLS are plain text here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gitmesh.playground.translate.credentials import Credential, Credentials, Unusable
from gitmesh.playground.translate.fields import Field
from gitmesh.playground.translate.naming import Envoy, typed
from gitmesh.playground.translate.policies import ROOT_NAMESPACE, Destination, Policy
from gitmesh.playground.translate.pools import http_options, speaks_http2

SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt"
_SYSTEM = "file-root:system"
_SOCKETS = "envoy.extensions.transport_sockets"
_SECRET = f"type.googleapis.com/{_SOCKETS}.tls.v3.Secret"
_SAN_TYPES = ("DNS", "URI", "EMAIL", "IP_ADDRESS")
_PARAMETERS = {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"}


class _MissingError(Exception):
    """A certificate that is asked for is not there; it has been reported."""


@dataclass(slots=True)
class UpstreamTls:
    """Sets the transport sockets of clusters, and collects the secrets that they name.

    `system_roots` is the file with the authorities that the machine trusts; empty when it has none.
    """

    credentials: Credentials
    system_roots: str = SYSTEM_ROOTS
    secrets: dict[str, Envoy] = field(default_factory=dict, repr=False)

    def apply(
        self, cluster: Envoy, policy: Policy, destination: Destination, names: tuple[str, ...] = ()
    ) -> bool:
        """Set the transport socket; False where nothing must be sent, because a certificate is missing.

        `names` are those that the certificate of the other side may bear by its ServiceEntry.
        """
        socket = None
        if "tls" in policy and policy["tls"].present:
            try:
                socket = self._socket(cluster, policy["tls"], destination, names)
            except _MissingError:
                return False
        if "proxyProtocol" in policy and policy["proxyProtocol"].present:
            socket = _proxy_protocol(policy["proxyProtocol"], socket)
        if socket is not None:
            cluster["transport_socket"] = socket
        return True

    def _socket(
        self, cluster: Envoy, tls: Field, destination: Destination, names: tuple[str, ...]
    ) -> Envoy | None:
        mode = tls["mode"].text("DISABLE")
        if mode == "ISTIO_MUTUAL":
            tls["mode"].note("between the workloads of the playground traffic is plain text")
            return None
        if mode not in ("SIMPLE", "MUTUAL"):
            return None
        if tls["credentialName"].text() and not _may_name_a_secret(destination):
            tls["credentialName"].report(
                "is for gateways, and for rules with a workloadSelector: "
                "to other clients the rule means plain text, as in Istio"
            )
            return None
        _verify_by_host(cluster, tls)
        common: Envoy = {"tls_params": _PARAMETERS}
        if mode == "MUTUAL":
            certificate = self._certificate(tls, destination)
            common["tls_certificate_sds_secret_configs"] = [{"name": certificate.name}]
        if tls["insecureSkipVerify"].boolean():
            common["validation_context"] = {}
        else:
            common["combined_validation_context"] = {
                "default_validation_context": _names_of(tls["subjectAltNames"].texts() or list(names)),
                "validation_context_sds_secret_config": {"name": self._authority(tls, destination)},
            }
        if speaks_http2(cluster):
            common["alpn_protocols"] = ["h2"]
        sni = {"sni": tls["sni"].text()} if tls["sni"].text() else {}
        message = f"{_SOCKETS}.tls.v3.UpstreamTlsContext"
        return typed("envoy.transport_sockets.tls", message, common_tls_context=common, **sni)

    def _certificate(self, tls: Field, destination: Destination) -> Credential:
        name = tls["credentialName"]
        if name.text():
            return self._used(name, self.credentials.certificate(_home(tls, destination), name.text()))
        chain, key = tls["clientCertificate"], tls["privateKey"]
        if not chain.text() or not key.text():
            tls.report("names no certificate (clientCertificate and privateKey), so nothing is sent")
            raise _MissingError
        return self._in_some(
            chain,
            tls,
            destination,
            lambda home: self.credentials.certificate_files(home, chain.text(), key.text()),
        )

    def _authority(self, tls: Field, destination: Destination) -> str:
        name, path = tls["credentialName"], tls["caCertificates"]
        if name.text():
            return self._used(name, self.credentials.authority(_home(tls, destination), name.text())).name
        if path.text() in ("", "system"):
            if not self.system_roots:
                tls.report("this machine has no file of trusted authorities, so nothing is sent")
                raise _MissingError
            context = {"trusted_ca": {"filename": self.system_roots}}
            self.secrets[_SYSTEM] = {"@type": _SECRET, "name": _SYSTEM, "validation_context": context}
            return _SYSTEM
        revoked = tls["caCrl"].text()
        return self._in_some(
            path,
            tls,
            destination,
            lambda home: self.credentials.authority_file(home, path.text(), revoked),
        ).name

    def _in_some(
        self,
        place: Field,
        tls: Field,
        destination: Destination,
        find: Callable[[str], Credential | Unusable],
    ) -> Credential:
        """Find a file: with the Pods of the rule's namespace, else with the gateways of istio-system."""
        first = find(_home(tls, destination))
        for home in (tls.key.namespace, ROOT_NAMESPACE):
            found = find(home)
            if isinstance(found, Credential):
                return self._used(place, found)
        return self._used(place, first)

    def _used(self, place: Field, found: Credential | Unusable) -> Credential:
        if isinstance(found, Unusable):
            place.report(f"{found.reason}; nothing is sent without it, and requests are answered with 503")
            raise _MissingError
        self.secrets[found.name] = found.message
        return found


def _may_name_a_secret(destination: Destination) -> bool:
    client = destination.client
    return destination.selects_clients or (client is not None and client.router)


def _home(tls: Field, destination: Destination) -> str:
    """Return the namespace of the client's own Secrets: a gateway's, else that of the rule."""
    client = destination.client
    return client.namespace if client is not None and client.router else tls.key.namespace


def _verify_by_host(cluster: Envoy, tls: Field) -> None:
    """Let the Host header stand for the names that the rule does not say."""
    options = {}
    if not tls["sni"].text():
        options["auto_sni"] = True
        if not tls["subjectAltNames"].texts() and not tls["insecureSkipVerify"].boolean():
            options["auto_san_validation"] = True
    if options:
        http_options(cluster, upstream_http_protocol_options=options)


def _names_of(names: list[str]) -> Envoy:
    matchers = [{"san_type": kind, "matcher": {"exact": name}} for name in names for kind in _SAN_TYPES]
    return {"match_typed_subject_alt_names": matchers} if matchers else {}


def _proxy_protocol(block: Field, inner: Envoy | None) -> Envoy:
    plain = typed("envoy.transport_sockets.raw_buffer", f"{_SOCKETS}.raw_buffer.v3.RawBuffer")
    return typed(
        "envoy.transport_sockets.upstream_proxy_protocol",
        f"{_SOCKETS}.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
        config={"version": block["version"].text("V1")},
        transport_socket=inner or plain,
    )
