"""TLS of a listener, of a Gateway or of a Sidecar.

Stage: validate (pure). Source: istio/istio pkg/config/validation, validateTLSOptions.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.istio.ciphers import CIPHERS, is_cipher
from gitmesh.istio.models.common import ServerTLS
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.model.spelling import closest
from gitmesh.validate.subject import Path, Subject, dotted

_OWN_CERTIFICATE = ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL")
_OLD_VERSIONS = ("TLSV1_0", "TLSV1_1")
PASSING_THROUGH = (None, "PASSTHROUGH", "AUTO_PASSTHROUGH")
_ISTIO = "ISTIO_MUTUAL"


def check_server_tls(subject: Subject, tls: ServerTLS, path: Path) -> Iterator[Diagnostic]:
    """Yield what is wrong with the settings themselves; whether they go with the port is asked elsewhere."""
    yield from _ciphers(subject, tls, path)
    written = certificates_of(tls)
    if tls.mode == _ISTIO:
        for name in written:
            message = f"mode ISTIO_MUTUAL takes the mesh's own certificates, so {name} is refused"
            yield subject.finding("GM128", message, (*path, name), hint="remove it", wants_key=True)
        return
    if tls.mode in PASSING_THROUGH:
        if tls.credential_name and tls.ca_crl:
            message = "caCrl does not go with credentialName: the credential holds the list"
            hint = "move it into the credential, or remove it"
            yield subject.finding("GM128", message, (*path, "caCrl"), hint=hint, wants_key=True)
            return
        named = [*written, *(["caCrl"] if tls.ca_crl else [])]
        for name in named[:1]:
            message = f"{', '.join(named)} in {dotted(path)} has no effect: TLS is not ended here"
            hint = "remove it, or set mode: SIMPLE"
            yield subject.finding("GM144", message, (*path, name), hint=hint, wants_key=True)
        return
    yield from _certificates(subject, tls, path)


def certificates_of(tls: ServerTLS) -> list[str]:
    """Return the fields with certificates that are set, by the names that people write."""
    fields = {
        "serverCertificate": tls.server_certificate,
        "privateKey": tls.private_key,
        "caCertificates": tls.ca_certificates,
        "tlsCertificates": tls.tls_certificates,
        "credentialName": tls.credential_name,
        "credentialNames": tls.credential_names,
    }
    return [name for name, value in fields.items() if value]


def _certificates(subject: Subject, tls: ServerTLS, path: Path) -> Iterator[Diagnostic]:
    if tls.ca_crl and tls.mode == "SIMPLE" and not (tls.credential_name or tls.credential_names):
        message = "caCrl is for certificates of clients, which mode SIMPLE does not ask for"
        yield subject.finding("GM128", message, (*path, "caCrl"), wants_key=True)
    if tls.mode not in _OWN_CERTIFICATE or tls.credential_name or tls.credential_names:
        return
    if tls.mode != "SIMPLE" and not tls.ca_certificates:
        yield _missing(subject, tls, path, "caCertificates")
    if not tls.tls_certificates:
        pairs = {"serverCertificate": tls.server_certificate, "privateKey": tls.private_key}
        for name in (name for name, value in pairs.items() if not value):
            yield _missing(subject, tls, path, name)
    for index, certificate in enumerate(tls.tls_certificates or ()):
        where: Path = (*path, "tlsCertificates", index)
        pairs = {"serverCertificate": certificate.server_certificate, "privateKey": certificate.private_key}
        for name in (name for name, value in pairs.items() if not value):
            yield subject.finding("GM128", f"{name} is missing in {dotted(where)}", (*where, name))


def _missing(subject: Subject, tls: ServerTLS, path: Path, name: str) -> Diagnostic:
    message = f"{name} is missing in {dotted(path)}: mode {tls.mode} needs it, or credentialName"
    return subject.finding("GM128", message, (*path, name))


def _ciphers(subject: Subject, tls: ServerTLS, path: Path) -> Iterator[Diagnostic]:
    if tls.min_protocol_version in _OLD_VERSIONS and not tls.cipher_suites:
        message = f"{tls.min_protocol_version} needs cipherSuites: the default ones do not go with it"
        where = (*path, "minProtocolVersion")
        yield subject.finding("GM145", message, where, hint="set TLSV1_2, or list cipherSuites")
    seen: set[str] = set()
    for index, suite in enumerate(tls.cipher_suites):
        where = (*path, "cipherSuites", index)
        if not is_cipher(suite):
            near = closest(suite, CIPHERS)
            message = f"{suite[:60]!r} is not a cipher suite of Envoy, and is ignored"
            yield subject.finding("GM145", message, where, hint=f"did you mean {near}?" if near else "")
        elif suite in seen:
            yield subject.finding("GM145", f"the cipher suite {suite[:60]} is there twice", where)
        seen.add(suite)
