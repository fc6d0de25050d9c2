"""Certificates of an authority of our own, and Secrets that hold them, as people make them with kubectl."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import NameOID

_FROM = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_UNTIL = _FROM + datetime.timedelta(days=36500)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, in PEM."""

    certificate: str
    key: str

    def files(self, directory: Path, name: str = "pair") -> tuple[Path, Path]:
        """Write both into files."""
        paths = directory / f"{name}.crt", directory / f"{name}.key"
        for path, text in zip(paths, (self.certificate, self.key), strict=True):
            path.write_text(text)
        return paths

    def load_into(self, context: ssl.SSLContext) -> None:
        """Have a context show this certificate."""
        with tempfile.TemporaryDirectory() as directory:  # ssl reads files only
            context.load_cert_chain(*self.files(Path(directory)))


class Authority:
    """Issues certificates."""

    def __init__(self, name: str = "Test Authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        builder = _builder(self._name, self._key).issuer_name(self._name)
        signed = builder.add_extension(constraints, critical=True).sign(self._key, hashes.SHA256())
        self._certificate = signed
        self.pem = _pem(signed)

    def issue(self, *names: str, key: CertificateIssuerPrivateKeyTypes | None = None) -> Pair:
        """Return a certificate for the names: hosts, addresses, or URIs."""
        own = key or ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
        builder = _builder(_named(names[0]), own).issuer_name(self._name)
        digest = None if not isinstance(self._key, ec.EllipticCurvePrivateKey) else hashes.SHA256()
        signed = builder.add_extension(alternatives, critical=False).sign(self._key, digest)
        return Pair(_pem(signed), _key_pem(own))

    def revoke(self, pair: Pair) -> str:
        """Return a list of revoked certificates, in PEM."""
        serial = x509.load_pem_x509_certificate(pair.certificate.encode()).serial_number
        entry = x509.RevokedCertificateBuilder(serial, _FROM).build()
        builder = x509.CertificateRevocationListBuilder(
            self._name, _FROM, _UNTIL, revoked_certificates=[entry]
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def context(self, pair: Pair | None = None, directory: Path | None = None) -> ssl.SSLContext:
        """Return what a client uses that trusts this authority, with its own certificate if it has one."""
        context = ssl.create_default_context(cadata=self.pem)
        # Made by us without the identifiers that strict checking asks of an authority.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if pair is not None:
            pair.load_into(context)
        return context

    def serving(self, pair: Pair, *, asks_clients: bool = False) -> ssl.SSLContext:
        """Return what a server uses; one that asks clients refuses those without a certificate of ours."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pair.load_into(context)
        if asks_clients:
            context.load_verify_locations(cadata=self.pem)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def protected(key: str) -> str:
    """Return a key that a password protects."""
    private = serialization.load_pem_private_key(key.encode(), password=None)
    lock = serialization.BestAvailableEncryption(b"secret")
    form = serialization.PrivateFormat.PKCS8
    return private.private_bytes(serialization.Encoding.PEM, form, lock).decode()


def small_rsa() -> rsa.RSAPrivateKey:
    """Return a key that Envoy finds too short."""
    return rsa.generate_private_key(65537, 1024)


def secret(
    name: str, namespace: str = "istio-system", type_: str = "Opaque", **content: str
) -> dict[str, Any]:
    """Return a Secret. Its keys are given with underscores for dots: `tls_crt`."""
    data = {key.replace("_", "."): base64.b64encode(v.encode()).decode() for key, v in content.items()}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": type_, "data": data}


def tls_secret(name: str, pair: Pair, namespace: str = "istio-system", **content: str) -> dict[str, Any]:
    """Return what `kubectl create secret tls` makes."""
    content = {"tls_crt": pair.certificate, "tls_key": pair.key, **content}
    return secret(name, namespace, "kubernetes.io/tls", **content)


def _builder(name: x509.Name, key: CertificateIssuerPrivateKeyTypes) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(name).public_key(key.public_key())
    return builder.serial_number(x509.random_serial_number()).not_valid_before(_FROM).not_valid_after(_UNTIL)


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: CertificateIssuerPrivateKeyTypes) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
