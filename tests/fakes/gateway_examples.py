"""Specs that use every translated field of Gateways, and the Secrets that they name."""

from __future__ import annotations

import functools
from typing import Any

from fakes.certificates import Authority, secret, tls_secret

from gitmesh.playground.translate.credentials import MOUNT

_FILES = {"serverCertificate": "/etc/certs/cert", "privateKey": "/etc/certs/key"}
_CHECKS = {
    "subjectAltNames": ["client.example"],
    "verifyCertificateSpki": ["NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A="],
    "verifyCertificateHash": ["df6ff72fe9116521268f6f2dd4966f51df479883fe7037b39f75916ac3049d1a"],
}


def _server(name: str, tls: dict[str, Any], *, protocol: str = "HTTPS") -> dict[str, Any]:
    host = f"{name}.example"
    return {"hosts": [host], "port": {"number": 443, "name": name, "protocol": protocol}, "tls": tls}


def specs() -> list[dict[str, Any]]:
    """Return the specs."""
    limits = {
        "minProtocolVersion": "TLSV1_1",
        "maxProtocolVersion": "TLSV1_2",
        "cipherSuites": ["AES128-SHA"],
    }
    servers = [
        _server("simple", {"mode": "SIMPLE", "credentialName": "one", **limits}),
        _server("mutual", {"mode": "MUTUAL", "credentialName": "one", **_CHECKS}),
        _server("two", {"mode": "SIMPLE", "credentialNames": ["one", "two"]}),
        _server("other", {"mode": "OPTIONAL_MUTUAL", "credentialName": "one", "caCertCredentialName": "two"}),
        _server("files", {"mode": "MUTUAL", **_FILES, "caCertificates": "/etc/certs/cacert"}),
        _server(
            "revoked",
            {"mode": "MUTUAL", **_FILES, "caCertificates": "/etc/certs/cacert", "caCrl": "/etc/certs/crl"},
        ),
        _server("several", {"mode": "SIMPLE", "tlsCertificates": [_FILES]}),
    ]
    twice = [{**_server(host, {"mode": "SIMPLE", "credentialName": "one"}), "name": "same"} for host in "ab"]
    return [{"selector": {"istio": "ingressgateway"}, "servers": part} for part in (servers, twice)]


@functools.cache
def secrets() -> tuple[dict[str, Any], ...]:
    """Return the Secrets that the specs name."""
    authority = Authority()
    pair = authority.issue("simple.example")
    one = tls_secret("one", pair, ca_crt=authority.pem)
    two = tls_secret("two", authority.issue("two.example"), ca_crt=authority.pem)
    revoked = authority.revoke(pair)
    files = secret("files", cert=pair.certificate, key=pair.key, cacert=authority.pem, crl=revoked)
    files["metadata"]["annotations"] = {MOUNT: "/etc/certs"}
    return one, two, files
