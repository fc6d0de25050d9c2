"""TLS that a gateway ends: which Secrets it takes, in what form, and what is said when they are of no use."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from fakes.certificates import Authority, protected, secret, small_rsa, tls_secret
from fakes.mesh_objects import resource_set

from gitmesh.model.kinds import GATEWAY
from gitmesh.playground.translate.credentials import MOUNT, Credentials
from gitmesh.playground.translate.downstream_tls import DownstreamTls, downstream_tls
from gitmesh.playground.translate.fields import Field, Reports

AUTHORITY = Authority()
PAIR = AUTHORITY.issue("shop.example")
PROTECTED = protected(PAIR.key)
OTHER = AUTHORITY.issue("other.example")


def ended(tls: dict[str, Any], *bodies: dict[str, Any]) -> tuple[DownstreamTls | None, list[str]]:
    reports = Reports()
    field = Field(GATEWAY.key("default", "front"), ("spec", "servers", 0, "tls"), tls, reports)
    found = downstream_tls(field, "istio-system", Credentials(resource_set(bodies)), http=True)
    return found, [f"{item.place}: {item.message}" for item in reports.all()]


def used(tls: dict[str, Any], *bodies: dict[str, Any]) -> dict[str, Any]:
    found, reports = ended(tls, *bodies)
    assert not reports
    assert found is not None
    return found.socket["typed_config"]["common_tls_context"]


def refused(tls: dict[str, Any], *bodies: dict[str, Any]) -> str:
    found, reports = ended(tls, *bodies)
    assert found is None
    [report] = reports
    return report


SIMPLE = {"mode": "SIMPLE", "credentialName": "shop"}
MUTUAL = {"mode": "MUTUAL", "credentialName": "shop"}


def test_a_tls_secret_and_a_generic_one_serve_alike():
    generic = secret("shop", cert=PAIR.certificate, key=PAIR.key)
    for body in (tls_secret("shop", PAIR), generic):
        found, reports = ended(SIMPLE, body)
        assert not reports
        assert found is not None
        [message] = found.secrets.values()
        chain = message["tls_certificate"]["certificate_chain"]["inline_bytes"]
        assert base64.b64decode(chain).decode() == PAIR.certificate


def test_simple_asks_no_certificate_of_clients():
    context = used(SIMPLE, tls_secret("shop", PAIR, ca_crt=AUTHORITY.pem))
    assert "combined_validation_context" not in context
    assert context["tls_params"] == {"tls_minimum_protocol_version": "TLSv1_2"}
    assert context["alpn_protocols"] == ["h2", "http/1.1"]


@pytest.mark.parametrize(
    "bodies",
    [
        [tls_secret("shop", PAIR, ca_crt=AUTHORITY.pem)],
        [secret("shop", cert=PAIR.certificate, key=PAIR.key, cacert=AUTHORITY.pem)],
        [tls_secret("shop", PAIR), secret("shop-cacert", cacert=AUTHORITY.pem)],
        [tls_secret("shop", PAIR, ca_crt="not this"), secret("shop-cacert", ca_crt=AUTHORITY.pem)],
    ],
    ids=["tls", "generic", "in a Secret of its own", "the Secret of its own comes first"],
)
def test_mutual_takes_the_authority_from_every_place_where_istio_looks(bodies: list[dict[str, Any]]):
    found, reports = ended(MUTUAL, *bodies)
    assert not reports
    assert found is not None
    assert found.socket["typed_config"]["require_client_certificate"] is True
    authority = found.secrets["kubernetes://istio-system/shop-cacert"]["validation_context"]["trusted_ca"]
    assert base64.b64decode(authority["inline_bytes"]).decode() == AUTHORITY.pem


def test_optional_mutual_checks_a_certificate_but_demands_none():
    found, _ = ended({**MUTUAL, "mode": "OPTIONAL_MUTUAL"}, tls_secret("shop", PAIR, ca_crt=AUTHORITY.pem))
    assert found is not None
    assert found.socket["typed_config"]["require_client_certificate"] is False
    assert "combined_validation_context" in found.socket["typed_config"]["common_tls_context"]


def test_a_secret_that_is_not_there_is_named():
    assert "there is no Secret istio-system/shop;" in refused(SIMPLE)
    assert "there is no Secret istio-system/shop;" in refused(SIMPLE, tls_secret("shop", PAIR, "default"))
    assert refused(SIMPLE).startswith("spec.servers[0].tls.credentialName: ")
    assert "has no cacert or ca.crt" in refused(MUTUAL, tls_secret("shop", PAIR))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (secret("shop", tls_crt=PAIR.certificate), "has no cert and key or tls.crt and tls.key"),
        (secret("shop", tls_crt=PAIR.certificate, tls_key=""), "has no cert and key or tls.crt and tls.key"),
        (secret("shop", tls_crt=PAIR.certificate, tls_key=OTHER.key), "its key is not the one"),
        (secret("shop", tls_crt="nonsense", tls_key=PAIR.key), "no certificate in PEM"),
        (secret("shop", tls_crt=PAIR.certificate, tls_key="nonsense"), "no private key in PEM"),
        (tls_secret("shop", AUTHORITY.issue("a.example", key=small_rsa())), "its RSA key has 1024 bits"),
        (
            tls_secret("shop", AUTHORITY.issue("a.example", key=ec.generate_private_key(ec.SECP256K1()))),
            "not secp256k1",
        ),
        (
            tls_secret("shop", AUTHORITY.issue("a.example", key=ed448.Ed448PrivateKey.generate())),
            "neither RSA nor ECDSA nor Ed25519",
        ),
        (secret("shop", tls_crt=PAIR.certificate, tls_key=PROTECTED), "protected by a password"),
    ],
)
def test_what_envoy_would_refuse_is_found_out_before(body: dict[str, Any], why: str):
    report = refused(SIMPLE, body)
    assert why in report
    assert "PRIVATE" not in report


@pytest.mark.parametrize(
    "key",
    [
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP521R1()),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["Ed25519", "P-521", "RSA"],
)
def test_every_key_that_envoy_takes_serves(key: Any):
    used(SIMPLE, tls_secret("shop", AUTHORITY.issue("a.example", key=key)))


def test_the_parameters_of_a_curve_may_stand_before_a_key():
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    used(SIMPLE, secret("shop", cert=PAIR.certificate, key=parameters + PAIR.key))


def test_a_broken_authority_ends_no_tls():
    assert "no authority's certificate" in refused(MUTUAL, tls_secret("shop", PAIR, ca_crt="nonsense"))
    broken = tls_secret("shop", PAIR, ca_crt=AUTHORITY.pem, ca_crl="nonsense")
    assert "revoked" in refused(MUTUAL, broken)


def test_files_come_from_what_says_where_pods_have_it():
    tls = {"mode": "MUTUAL", "serverCertificate": "/etc/certs/cert", "privateKey": "/etc/certs/key"}
    tls |= {"caCertificates": "/etc/trust/ca.pem"}
    mounted = secret("shop", cert=PAIR.certificate, key=PAIR.key)
    mounted["metadata"]["annotations"] = {MOUNT: "/etc/certs"}
    trust = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "trust", "namespace": "istio-system", "annotations": {MOUNT: "/etc/trust"}},
        "data": {"ca.pem": AUTHORITY.pem},
    }
    context = used(tls, mounted, trust)
    assert "combined_validation_context" in context
    assert "no Pod of istio-system has a file /etc/trust/ca.pem" in refused(tls, mounted)


def test_versions_ciphers_and_names_of_clients_are_passed_on():
    tls = {**MUTUAL, "minProtocolVersion": "TLSV1_1", "maxProtocolVersion": "TLSV1_2"}
    tls |= {"cipherSuites": ["AES128-SHA", "NOT-A-CIPHER"], "subjectAltNames": ["client.example"]}
    tls |= {"verifyCertificateHash": ["ab"], "verifyCertificateSpki": ["c="]}
    found, reports = ended(tls, tls_secret("shop", PAIR, ca_crt=AUTHORITY.pem))
    assert found is not None
    context = found.socket["typed_config"]["common_tls_context"]
    assert context["tls_params"] == {
        "tls_minimum_protocol_version": "TLSv1_1",
        "tls_maximum_protocol_version": "TLSv1_2",
        "cipher_suites": ["AES128-SHA"],
    }
    validation = context["combined_validation_context"]["default_validation_context"]
    assert {"san_type": "DNS", "matcher": {"exact": "client.example"}} in validation[
        "match_typed_subject_alt_names"
    ]
    assert validation["verify_certificate_hash"] == ["ab"]
    assert validation["verify_certificate_spki"] == ["c="]
    [report] = reports
    assert report.startswith("spec.servers[0].tls.cipherSuites[1]: ")


def test_a_certificate_is_shown_nowhere():
    found, _ = ended(SIMPLE, tls_secret("shop", PAIR))
    credentials = Credentials(resource_set([tls_secret("shop", PAIR)]))
    assert "inline" not in repr(found) + repr(credentials.certificate("istio-system", "shop"))
