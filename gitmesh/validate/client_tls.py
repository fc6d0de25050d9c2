"""TLS towards a destination, as a DestinationRule has it.

Stage: validate (pure). Source: istio/istio pkg/config/validation/agent/validation.go, ValidateTLS.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.istio.models.traffic_policy import ClientTLS
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.subject import Path, Subject, dotted

_VERIFYING = ("SIMPLE", "MUTUAL")
_CONFIG_MAP = "configmap://"


def check_client_tls(subject: Subject, tls: ClientTLS, path: Path) -> Iterator[Diagnostic]:
    """Yield what is wrong with the settings."""
    if (tls.credential_name or "").startswith(_CONFIG_MAP):
        yield from _config_map(subject, tls.credential_name or "", path)
    if tls.insecure_skip_verify and tls.mode in _VERIFYING:
        yield from _verifies_nothing(subject, tls, path)
    if tls.credential_name and tls.mode in _VERIFYING:
        files = {
            "clientCertificate": tls.client_certificate,
            "privateKey": tls.private_key,
            "caCertificates": tls.ca_certificates,
            "caCrl": tls.ca_crl,
        }
        yield from _exclude(subject, path, "credentialName", [name for name, value in files.items() if value])
    elif tls.mode == "MUTUAL":
        for name, value in (("clientCertificate", tls.client_certificate), ("privateKey", tls.private_key)):
            if not value:
                message = f"{name} is missing in {dotted(path)}: mode MUTUAL needs it, or credentialName"
                yield subject.finding("GM128", message, (*path, name))


def _verifies_nothing(subject: Subject, tls: ClientTLS, path: Path) -> Iterator[Diagnostic]:
    """With MUTUAL the Secret may hold the client's own certificate only, so it is allowed."""
    written = ["caCertificates"] if tls.ca_certificates else []
    if tls.credential_name and tls.mode == "SIMPLE":
        written.append("credentialName")
    if tls.subject_alt_names:
        written.append("subjectAltNames")
    yield from _exclude(subject, path, "insecureSkipVerify", written)


def _exclude(subject: Subject, path: Path, one: str, others: list[str]) -> Iterator[Diagnostic]:
    for name in others:
        message = f"{one} and {name} exclude each other in {dotted(path)}"
        yield subject.finding("GM105", message, (*path, name), hint="keep one of them", wants_key=True)


def _config_map(subject: Subject, name: str, path: Path) -> Iterator[Diagnostic]:
    """Source: istio/istio pkg/security/credentials, ParseResourceName: configmap://namespace/name."""
    namespace, slash, rest = name.removeprefix(_CONFIG_MAP).partition("/")
    if not slash or not namespace or not rest.partition("/")[0]:
        message = f"{name[:80]!r} does not name a ConfigMap"
        hint = f"write {_CONFIG_MAP}{subject.namespace}/name"
        yield subject.finding("GM108", message, (*path, "credentialName"), hint=hint)
    elif namespace != subject.namespace:
        message = f"the ConfigMap must be in the namespace of the DestinationRule, {subject.namespace}"
        yield subject.finding("GM109", message, (*path, "credentialName"))
