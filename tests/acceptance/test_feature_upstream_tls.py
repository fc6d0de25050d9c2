"""TLS towards a destination, with real servers that ask for real certificates."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fakes.certificates import Authority, secret, tls_secret
from fakes.mesh_objects import istio, pod, service, to, virtual_service
from fakes.real_envoy import Bench, mesh_bench
from fakes.servers import http_server

pytestmark = [pytest.mark.anyio, pytest.mark.real]

SECURE, STRICT, CLIENT, GATEWAY = (f"127.0.63.{n}" for n in range(1, 5))
AUTHORITY, STRANGER = Authority(), Authority("Somebody else")
MOUNT = {"playground.gitmesh.dev/mount": "/etc/certs"}
CA = {"caCertificates": "/etc/certs/ca.crt"}
PAIR = {"clientCertificate": "/etc/certs/tls.crt", "privateKey": "/etc/certs/tls.key"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Servers:
    """What each server is asked for as a name (SNI)."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    def context(self, *, asks_clients: bool) -> ssl.SSLContext:
        pair = AUTHORITY.issue("secure.default.svc.cluster.local", "secure", "other.test")
        context = AUTHORITY.serving(pair, asks_clients=asks_clients)
        context.sni_callback = lambda _socket, name, _context: self.asked.append(name)
        return context


@pytest.fixture(scope="module")
def servers() -> Servers:
    return Servers()


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory, servers: Servers) -> AsyncIterator[Bench]:
    async with (
        http_server(SECURE, tls=servers.context(asks_clients=False)) as port,
        http_server(STRICT, tls=servers.context(asks_clients=True)) as strict_port,
    ):
        secure, strict = service("secure", 80), service("strict", 80)
        secure["spec"]["ports"][0]["targetPort"] = port
        strict["spec"]["ports"][0]["targetPort"] = strict_port
        own = AUTHORITY.issue("client of the mesh")
        certs = secret("certs", "default", ca_crt=AUTHORITY.pem, tls_crt=own.certificate, tls_key=own.key)
        certs["metadata"]["annotations"] = MOUNT
        wrong = secret("wrong", "default", wrong_crt=STRANGER.pem)
        wrong["metadata"]["annotations"] = MOUNT
        base = [secure, strict, certs, wrong, pod("page", "v1", CLIENT)]
        base += [pod("secure", "v1", SECURE), pod("strict", "v1", STRICT)]
        async with mesh_bench(tmp_path_factory.mktemp("tls"), *base) as found:
            yield found


def tls(host: str, mode: str, **spec: Any) -> dict[str, Any]:
    where = {name: spec.pop(name) for name in ("workloadSelector",) if name in spec}
    policy = {"tls": {"mode": mode, **spec}}
    return istio("DestinationRule", host, {"host": host, "trafficPolicy": policy, **where})


async def test_simple_encrypts_and_checks_the_name_of_the_server(bench: Bench, servers: Servers):
    await bench.apply(tls("secure", "SIMPLE", **CA))
    answer = await bench.send("http://secure/hello")
    assert (answer.status, answer.by, answer.seen["path"]) == (200, SECURE, "/hello")
    # Nobody wrote a name, so the host that was asked for is the name.
    assert servers.asked[-1] == "secure"
    assert answer.seen["headers"]["x-client-certificate"] == ""
    assert bench.reports() == []


async def test_without_a_rule_and_with_disable_nothing_is_encrypted(bench: Bench):
    await bench.apply()
    assert (await bench.send("http://secure/")).status == 503
    await bench.apply(tls("secure", "DISABLE"))
    assert (await bench.send("http://secure/")).status == 503
    await bench.apply(tls("secure", "ISTIO_MUTUAL"))
    assert (await bench.send("http://secure/")).status == 503
    assert ["tls.mode: between the workloads" in report for report in bench.reports()] == [True]


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"caCertificates": "/etc/certs/wrong.crt"}, 503),
        ({}, 503),  # the machine's own authorities do not know ours
        ({"caCertificates": "/etc/certs/wrong.crt", "insecureSkipVerify": True}, 200),
        ({**CA, "subjectAltNames": ["other.test"]}, 200),
        ({**CA, "subjectAltNames": ["another.test"]}, 503),
        ({**CA, "sni": "chosen.test"}, 200),  # a name that is written is not compared with the certificate
        ({**CA, "sni": "other.test", "subjectAltNames": ["another.test"]}, 503),
    ],
)
async def test_the_certificate_of_the_server_must_be_the_one_that_is_expected(
    bench: Bench, how: dict[str, Any], status: int
):
    await bench.apply(tls("secure", "SIMPLE", **how))
    assert (await bench.send("http://secure/")).status == status


async def test_the_name_that_is_sent_may_be_written(bench: Bench, servers: Servers):
    await bench.apply(tls("secure", "SIMPLE", sni="chosen.test", **CA))
    assert (await bench.send("http://secure/")).status == 200
    assert servers.asked[-1] == "chosen.test"


async def test_a_host_that_the_certificate_does_not_name_is_refused(bench: Bench):
    rewritten = virtual_service("secure", {"route": [to("secure")], "rewrite": {"authority": "evil.test"}})
    await bench.apply(tls("secure", "SIMPLE", **CA), rewritten)
    assert (await bench.send("http://secure/")).status == 503


async def test_mutual_shows_the_certificate_of_the_client(bench: Bench):
    await bench.apply(tls("strict", "SIMPLE", **CA, insecureSkipVerify=True))
    assert (await bench.send("http://strict/")).status == 503
    await bench.apply(tls("strict", "MUTUAL", **CA, **PAIR, subjectAltNames=["other.test"]))
    answer = await bench.send("http://strict/")
    assert answer.seen["headers"]["x-client-certificate"] == "client of the mesh"
    assert bench.reports() == []


async def test_a_secret_is_for_clients_that_the_rule_selects(bench: Bench):
    own = AUTHORITY.issue("from a secret")
    credential = tls_secret("mine", own, "default", ca_crt=AUTHORITY.pem)
    how = {"credentialName": "mine", "subjectAltNames": ["other.test"]}
    page = {"workloadSelector": {"matchLabels": {"app": "page"}}}
    await bench.apply(credential, tls("strict", "MUTUAL", **how, **page))
    answer = await bench.send("http://strict/", as_="page-v1.default")
    assert answer.seen["headers"]["x-client-certificate"] == "from a secret"
    assert (await bench.send("http://strict/")).status == 503
    # Without a selector Istio ignores the credential, and with it the whole block.
    await bench.apply(credential, tls("strict", "MUTUAL", **how))
    assert (await bench.send("http://strict/", as_="page-v1.default")).status == 503
    assert ["credentialName: is for gateways" in report for report in bench.reports()] == [True]


async def test_a_missing_certificate_means_that_nothing_is_sent(bench: Bench):
    for how in (
        {"caCertificates": "/etc/certs/nowhere.crt"},
        {"clientCertificate": "/nowhere", "privateKey": "/x"},
    ):
        await bench.apply(tls("secure", "MUTUAL" if "privateKey" in how else "SIMPLE", **how))
        answer = await bench.send("http://secure/")
        assert (answer.status, answer.by) == (503, "")
        [report] = bench.reports()
        assert "nowhere" in report
        assert "503" in report


async def test_a_new_certificate_is_used_without_a_failed_request(bench: Bench):
    await bench.apply(tls("strict", "MUTUAL", **CA, **PAIR, subjectAltNames=["other.test"]))
    renewed = AUTHORITY.issue("renewed")
    certs = secret("certs", "default", ca_crt=AUTHORITY.pem, tls_crt=renewed.certificate, tls_key=renewed.key)
    certs["metadata"]["annotations"] = MOUNT
    assert await bench.spread("http://strict/", 20) == {STRICT: 20}
    rule = tls("strict", "MUTUAL", **CA, **PAIR, subjectAltNames=["other.test"])
    rule["spec"]["trafficPolicy"]["connectionPool"] = {"http": {"maxRequestsPerConnection": 1}}
    await bench.apply(certs, rule)
    assert await bench.spread("http://strict/", 20) == {STRICT: 20}
    names = {(await bench.send("http://strict/")).seen["headers"]["x-client-certificate"] for _ in range(3)}
    assert names == {"renewed"}


async def test_a_subset_and_a_port_may_have_tls_of_their_own(bench: Bench):
    encrypted = {"tls": {"mode": "SIMPLE", **CA}}
    spec = {
        "host": "secure",
        "trafficPolicy": {"tls": {"mode": "DISABLE"}},
        "subsets": [{"name": "tls", "trafficPolicy": encrypted}],
    }
    rule = istio("DestinationRule", "secure", spec)
    await bench.apply(rule)
    assert (await bench.send("http://secure/")).status == 503
    await bench.apply(rule, virtual_service("secure", {"route": [to("secure", "tls")]}))
    assert (await bench.send("http://secure/")).status == 200
    ports = {"portLevelSettings": [{"port": {"number": 80}, **encrypted}]}
    await bench.apply(istio("DestinationRule", "secure", {"host": "secure", "trafficPolicy": ports}))
    assert (await bench.send("http://secure/")).status == 200


async def test_an_egress_gateway_encrypts_with_a_secret_of_its_own(bench: Bench):
    """Requests go in the clear to the gateway, which shows its certificate to the host outside."""
    own = AUTHORITY.issue("the gateway")
    credential = tls_secret("outside", own, "istio-system", ca_crt=AUTHORITY.pem)
    gateway_host = "istio-egressgateway.istio-system.svc.cluster.local"
    port = bench.base[1]["spec"]["ports"][0]["targetPort"]
    outside = istio(
        "ServiceEntry",
        "outside",
        {
            "hosts": ["other.test"],
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": port}],
            "resolution": "STATIC",
            "endpoints": [{"address": STRICT}],
        },
    )
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["other.test"]}
    through = virtual_service(
        "other.test",
        {"match": [{"gateways": ["mesh"], "port": 80}], "route": [to(gateway_host)]},
        {"match": [{"gateways": ["out"], "port": 80}], "route": [to("other.test")]},
        gateways=["mesh", "out"],
    )
    rule = tls("other.test", "MUTUAL", credentialName="outside")
    await bench.apply(
        credential,
        outside,
        *_egress_gateway(),
        istio("Gateway", "out", {"selector": {"istio": "egressgateway"}, "servers": [server]}),
        through,
        rule,
    )
    answer = await bench.send("http://other.test/hello")
    assert (answer.status, answer.by) == (200, STRICT)
    assert answer.seen["headers"]["x-client-certificate"] == "the gateway"
    # Without the gateway in between the credential says nothing to a sidecar: plain text, to a server of TLS.
    await bench.apply(credential, outside, rule)
    assert (await bench.send("http://other.test/hello")).status == 503


def _egress_gateway() -> list[dict[str, Any]]:
    body = pod("unused", "v1", GATEWAY)
    labels = {"istio": "egressgateway"}
    body["metadata"] = {"name": "egressgateway", "namespace": "istio-system", "labels": labels}
    body["spec"] = {"containers": [{"name": "istio-proxy", "image": "proxy"}]}
    front = service("istio-egressgateway", 80, "istio-system")
    front["spec"] |= {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
    return [body, front]
