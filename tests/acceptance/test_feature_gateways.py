"""Gateways on real traffic: servers, certificates from Secrets, SNI, TCP, and the way out of the mesh."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fakes.certificates import Authority, secret, tls_secret
from fakes.mesh_objects import istio, pod, service, to, virtual_service
from fakes.real_envoy import Bench, first_line, mesh_bench
from fakes.servers import http_server, tcp_server
from fakes.upstreams import upstreams

from gitmesh.playground.translate.credentials import MOUNT
from gitmesh.playground.translate.doors import Address

pytestmark = [pytest.mark.anyio, pytest.mark.real]

WEB, OUTSIDE, SECURE, RAW = "127.0.28.1", "127.0.28.2", "127.0.28.3", "127.0.28.4"
INGRESS, EGRESS, EDGE = "127.0.28.10", "127.0.28.11", "127.0.28.12"
AUTHORITY = Authority()
STRANGER = Authority("Stranger")
SHOP, BANK = AUTHORITY.issue("shop.example", "*.shop.example"), AUTHORITY.issue("bank.example")
CLIENT = AUTHORITY.issue("client.example")


@dataclass(frozen=True)
class Upstreams:
    web: int
    secure: int
    raw: int


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def ports(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Upstreams]:
    directory = tmp_path_factory.mktemp("certificates")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*BANK.files(directory))
    with upstreams(WEB, OUTSIDE) as web:
        async with http_server(SECURE, tls=tls) as secure, tcp_server(RAW) as raw:
            yield Upstreams(web, secure, raw)


def gateway_pod(name: str, address: str, **labels: str) -> dict[str, Any]:
    """Return a Pod that is a gateway."""
    body = pod("unused", "v1", address)
    body["metadata"] = {"name": name, "namespace": "istio-system", "labels": {"istio": name, **labels}}
    body["spec"] = {"containers": [{"name": "istio-proxy", "image": "proxy"}]}
    return body


def gateway_service(name: str, **ports: int) -> dict[str, Any]:
    listed = [{"name": f"{n}-x", "port": p, "targetPort": 8000 + p} for n, p in ports.items()]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"istio-{name}", "namespace": "istio-system"},
        "spec": {"selector": {"istio": name}, "ports": listed},
    }


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory, ports: Upstreams) -> AsyncIterator[Bench]:
    raw = service("raw", ports.raw)
    raw["spec"]["ports"][0]["name"] = "tcp"
    secure = service("secure", ports.secure)
    secure["spec"]["ports"][0]["name"] = "tls"
    base = [
        service("web", ports.web),
        pod("web", "v1", WEB),
        secure,
        pod("secure", "v1", SECURE),
        raw,
        pod("raw", "v1", RAW),
        gateway_service("ingressgateway", http=80, https=443, tcp=31),
        gateway_pod("ingressgateway", INGRESS),
        gateway_service("egressgateway", http2=80, tls=443),
        gateway_pod("egressgateway", EGRESS),
    ]
    async with mesh_bench(tmp_path_factory.mktemp("gateways"), *base) as running:
        yield running


def server(protocol: str, number: int, *hosts: str, name: str = "", **tls: Any) -> dict[str, Any]:
    port = {"number": number, "name": name or f"{protocol.lower()}-{number}", "protocol": protocol}
    return {"port": port, "hosts": list(hosts), **({"tls": tls} if tls else {})}


def gateway(
    name: str, *servers: dict[str, Any], at: str = "ingressgateway", **metadata: Any
) -> dict[str, Any]:
    return istio("Gateway", name, {"selector": {"istio": at}, "servers": list(servers)}, **metadata)


def leads(
    name: str, *hosts: str, by: tuple[str, ...] = ("front",), mark: str = "", port: int = 0, **metadata: Any
) -> dict[str, Any]:
    """Return a VirtualService that leads to `web`, which can see by which one it is asked."""
    rule = {
        "route": [to("web.default.svc.cluster.local", port=port)],
        "headers": {"request": {"set": {"x-by": mark or name}}},
    }
    body = virtual_service(name, rule, hosts=list(hosts), gateways=list(by))
    body["metadata"] |= metadata
    return body


def by(answer: Any) -> str:
    return answer.seen["headers"]["x-by"] if answer.status == 200 else str(answer.status)


SIMPLE = {"mode": "SIMPLE", "credentialName": "shop"}


# --- HTTP ---------------------------------------------------------------------------------------------------


async def test_only_a_virtual_service_that_is_bound_to_the_gateway_is_served_there(
    bench: Bench, ports: Upstreams
):
    await bench.apply(
        gateway("front", server("HTTP", 80, "a.example", "b.example")),
        leads("bound", "a.example"),
        leads("inside", "b.example", by=("mesh",), port=ports.web),
        leads("both", "c.example", by=("mesh", "front"), port=ports.web),
    )
    assert by(await bench.enter("http://a.example/")) == "bound"
    assert by(await bench.enter("http://a.example:8080/", at=bench.gateway(80))) == "bound"
    assert by(await bench.enter("http://b.example/")) == "404"
    assert by(await bench.enter("http://c.example/")) == "404"  # no server is for it
    assert by(await bench.enter("http://web.default.svc.cluster.local/")) == "404"
    assert by(await bench.send("http://b.example/")) == "inside"
    assert by(await bench.send("http://c.example/")) == "both"
    assert any("front is for any of these hosts" in report for report in bench.reports())


async def test_a_gateway_without_anything_bound_answers_404(bench: Bench):
    await bench.apply(gateway("front", server("HTTP", 80, "*")))
    assert by(await bench.enter("http://a.example/")) == "404"
    await bench.apply()
    assert by(await bench.enter("http://a.example/")) == "404"


async def test_hosts_meet_by_wildcards_from_either_side(bench: Bench):
    await bench.apply(
        gateway("front", server("HTTP", 80, "*.shop.example", "exact.example")),
        leads("narrow", "www.shop.example"),
        leads("wide", "*.example"),
    )
    assert by(await bench.enter("http://www.shop.example/")) == "narrow"
    assert by(await bench.enter("http://other.shop.example/")) == "wide"
    assert by(await bench.enter("http://exact.example/")) == "wide"
    assert by(await bench.enter("http://elsewhere.example/")) == "404"


async def test_a_host_may_be_kept_to_the_virtual_services_of_one_namespace(bench: Bench):
    await bench.apply(
        gateway("front", server("HTTP", 80, "team/a.example", "./b.example", "*/c.example")),
        leads("own-a", "a.example"),
        leads("team-a", "a.example", by=("default/front",), namespace="team"),
        leads("own-b", "b.example"),
        leads("team-b", "b.example", by=("default/front",), namespace="team"),
        leads("team-c", "c.example", by=("default/front",), namespace="team"),
    )
    assert by(await bench.enter("http://a.example/")) == "team-a"
    assert by(await bench.enter("http://b.example/")) == "own-b"
    assert by(await bench.enter("http://c.example/")) == "team-c"


async def test_virtual_services_for_one_host_are_merged_at_a_gateway(bench: Bench):
    special = leads("special", "a.example", creationTimestamp="2026-02-01T00:00:00Z")
    special["spec"]["http"][0]["match"] = [{"uri": {"prefix": "/special"}}]
    await bench.apply(
        gateway("front", server("HTTP", 80, "a.example")),
        leads("older", "a.example", creationTimestamp="2026-01-01T00:00:00Z"),
        special,
    )
    assert by(await bench.enter("http://a.example/special")) == "special"
    assert by(await bench.enter("http://a.example/")) == "older"


async def test_rules_are_for_a_port_or_a_gateway_if_they_say_so(bench: Bench):
    def rule(mark: str, **match: Any) -> dict[str, Any]:
        headers = {"request": {"set": {"x-by": mark}}}
        return {"match": [match], "route": [to("web.default.svc.cluster.local")], "headers": headers}

    rules = rule("second", gateways=["second"]), rule("port 31", port=31), rule("other", uri={"prefix": "/"})
    await bench.apply(
        gateway("front", server("HTTP", 80, "a.example"), server("HTTP", 31, "a.example")),
        gateway("second", server("HTTP", 80, "a.example"), at="egressgateway"),
        virtual_service("it", *rules, hosts=["a.example"], gateways=["front", "second"]),
    )
    assert by(await bench.enter("http://a.example/")) == "other"
    assert by(await bench.enter("http://a.example/", at=bench.gateway(31))) == "port 31"
    egress = bench.gateway(80, "egressgateway.istio-system")
    assert by(await bench.enter("http://a.example/", at=egress)) == "second"


async def test_a_selector_chooses_the_gateways_pods(bench: Bench):
    await bench.apply(
        gateway("in", server("HTTP", 80, "in.example")),
        gateway("out", server("HTTP", 80, "out.example"), at="egressgateway"),
        gateway("none", server("HTTP", 80, "none.example"), at="nobody"),
        istio("Gateway", "all", {"servers": [server("HTTP", 80, "all.example")]}),
        *(leads(name, f"{name}.example", by=(name,)) for name in ("in", "out", "none", "all")),
    )
    egress = bench.gateway(80, "egressgateway.istio-system")
    assert egress == Address(EGRESS, 8080)
    found = {
        name: (
            by(await bench.enter(f"http://{name}.example/")),
            by(await bench.enter(f"http://{name}.example/", at=egress)),
        )
        for name in ("in", "out", "none", "all")
    }
    assert found == {
        "in": ("in", "404"),
        "out": ("404", "out"),
        "none": ("404", "404"),
        "all": ("all", "all"),
    }
    assert any("default/none: spec.selector: no gateway Pod" in report for report in bench.reports())


async def test_the_gateways_service_says_where_its_pod_listens(bench: Bench):
    await bench.apply(
        gateway("front", server("HTTP", 80, "a.example"), server("HTTP", 7070, "b.example")),
        leads("a", "a.example"),
        leads("b", "b.example"),
    )
    assert by(await bench.enter("http://a.example/", at=Address(INGRESS, 8080))) == "a"
    assert by(await bench.enter("http://b.example/", at=Address(INGRESS, 7070))) == "b"


async def test_gateways_share_a_port_and_the_newer_of_two_that_disagree_loses(bench: Bench):
    await bench.apply(
        gateway("one", server("HTTP", 80, "a.example"), creationTimestamp="2026-01-01T00:00:00Z"),
        gateway("two", server("HTTP2", 80, "b.example"), creationTimestamp="2026-01-02T00:00:00Z"),
        gateway("three", server("TCP", 80, "*"), creationTimestamp="2026-01-03T00:00:00Z"),
        leads("a", "a.example", by=("one",)),
        leads("b", "b.example", by=("two",)),
    )
    assert by(await bench.enter("http://a.example/")) == "a"
    assert by(await bench.enter("http://b.example/")) == "b"
    assert any("default/three: spec.servers[0]: has no effect on port 8080" in r for r in bench.reports())


async def test_https_redirect_sends_everyone_to_https(bench: Bench):
    await bench.apply(
        gateway("front", server("HTTP", 80, "a.example", "unbound.example", httpsRedirect=True)),
        leads("a", "a.example"),
    )
    for host in ("a.example", "unbound.example"):
        answer = await bench.enter(f"http://{host}/x?y=1")
        assert (answer.status, answer.headers["location"]) == (301, f"https://{host}/x?y=1")


# --- TLS that ends here -------------------------------------------------------------------------------------


async def test_simple_tls_shows_the_certificate_of_the_secret_and_routes_by_host(bench: Bench):
    await bench.apply(
        gateway(
            "front",
            server("HTTPS", 443, "shop.example", "*.shop.example", name="shop", **SIMPLE),
            server("HTTPS", 443, "bank.example", name="bank", mode="SIMPLE", credentialName="bank"),
        ),
        tls_secret("shop", SHOP),
        secret("bank", cert=BANK.certificate, key=BANK.key),
        leads("shop-routes", "shop.example", "www.shop.example"),
        leads("bank-routes", "bank.example"),
    )
    trusting = AUTHORITY.context()
    for host, expected in {
        "shop.example": "shop-routes",
        "www.shop.example": "shop-routes",
        "bank.example": "bank-routes",
        "x.shop.example": "404",
    }.items():
        assert by(await bench.enter(f"https://{host}/", tls=trusting)) == expected
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await bench.enter("https://shop.example/", tls=STRANGER.context())
    with pytest.raises(aiohttp.ClientError):  # no server has this name
        await bench.enter("https://other.example/", tls=trusting)


async def test_a_server_with_tls_serves_no_hosts_of_another(bench: Bench):
    await bench.apply(
        gateway(
            "front",
            server("HTTPS", 443, "shop.example", name="shop", **SIMPLE),
            server("HTTPS", 443, "bank.example", name="bank", mode="SIMPLE", credentialName="bank"),
        ),
        tls_secret("shop", SHOP),
        tls_secret("bank", BANK),
        leads("bank-routes", "bank.example"),
    )
    answer = await bench.enter(
        "https://shop.example/", tls=AUTHORITY.context(), headers={"Host": "bank.example"}
    )
    assert answer.status == 404


@pytest.mark.parametrize("where", ["in the Secret", "in a Secret of its own"])
async def test_mutual_tls_asks_clients_for_a_certificate(bench: Bench, tmp_path: Path, where: str):
    if where == "in the Secret":
        secrets = [tls_secret("shop", SHOP, ca_crt=AUTHORITY.pem)]
    else:
        secrets = [tls_secret("shop", SHOP), secret("shop-cacert", cacert=AUTHORITY.pem)]
    await bench.apply(
        gateway("front", server("HTTPS", 443, "shop.example", mode="MUTUAL", credentialName="shop")),
        leads("shop-routes", "shop.example"),
        *secrets,
    )
    answer = await bench.enter("https://shop.example/", tls=AUTHORITY.context(CLIENT, tmp_path))
    assert by(answer) == "shop-routes"
    assert "dns=client.example" in answer.seen["headers"]["x-forwarded-client-cert"]
    for refused in (AUTHORITY.context(), AUTHORITY.context(STRANGER.issue("client.example"), tmp_path)):
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            await bench.enter("https://shop.example/", tls=refused)


async def test_mutual_tls_may_ask_for_a_name_and_know_revoked_certificates(bench: Bench, tmp_path: Path):
    other = AUTHORITY.issue("other.example")
    named = {"mode": "MUTUAL", "credentialName": "shop", "subjectAltNames": ["client.example"]}
    await bench.apply(
        gateway("front", server("HTTPS", 443, "shop.example", **named)),
        leads("shop-routes", "shop.example"),
        tls_secret("shop", SHOP, ca_crt=AUTHORITY.pem),
    )
    assert (
        by(await bench.enter("https://shop.example/", tls=AUTHORITY.context(CLIENT, tmp_path)))
        == "shop-routes"
    )
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        await bench.enter("https://shop.example/", tls=AUTHORITY.context(other, tmp_path))
    await bench.apply(
        gateway("front", server("HTTPS", 443, "shop.example", mode="MUTUAL", credentialName="shop")),
        leads("shop-routes", "shop.example"),
        tls_secret("shop", SHOP, ca_crt=AUTHORITY.pem, ca_crl=AUTHORITY.revoke(CLIENT)),
    )
    assert (
        by(await bench.enter("https://shop.example/", tls=AUTHORITY.context(other, tmp_path)))
        == "shop-routes"
    )
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        await bench.enter("https://shop.example/", tls=AUTHORITY.context(CLIENT, tmp_path))


async def test_certificates_may_be_files_that_the_gateways_pods_have(bench: Bench, tmp_path: Path):
    files = {"serverCertificate": "/etc/certs/cert", "privateKey": "/etc/certs/key"}
    mounted = secret("files", cert=SHOP.certificate, key=SHOP.key, cacert=AUTHORITY.pem)
    mounted["metadata"]["annotations"] = {MOUNT: "/etc/certs"}
    tls = {"mode": "MUTUAL", **files, "caCertificates": "/etc/certs/cacert"}
    await bench.apply(
        gateway("front", server("HTTPS", 443, "shop.example", **tls)), leads("it", "shop.example"), mounted
    )
    assert by(await bench.enter("https://shop.example/", tls=AUTHORITY.context(CLIENT, tmp_path))) == "it"


async def test_a_server_may_have_a_certificate_of_each_kind(bench: Bench):
    rsa_pair = AUTHORITY.issue("shop.example", key=rsa.generate_private_key(65537, 2048))
    tls = {"mode": "SIMPLE", "credentialNames": ["ecdsa", "rsa"]}
    await bench.apply(
        gateway("front", server("HTTPS", 443, "shop.example", **tls, maxProtocolVersion="TLSV1_2")),
        leads("it", "shop.example"),
        tls_secret("ecdsa", SHOP),
        tls_secret("rsa", rsa_pair),
    )
    for kind in ("ECDSA", "RSA"):
        context = AUTHORITY.context()
        context.set_ciphers(f"ECDHE-{kind}-AES128-GCM-SHA256")
        assert by(await bench.enter("https://shop.example/", tls=context)) == "it"


async def test_optional_mutual_tls_takes_clients_without_a_certificate(bench: Bench, tmp_path: Path):
    await bench.apply(
        gateway("front", server("HTTPS", 443, "shop.example", mode="OPTIONAL_MUTUAL", credentialName="shop")),
        leads("shop-routes", "shop.example"),
        tls_secret("shop", SHOP, ca_crt=AUTHORITY.pem),
    )
    anonymous = await bench.enter("https://shop.example/", tls=AUTHORITY.context())
    assert by(anonymous) == "shop-routes"
    assert "x-forwarded-client-cert" not in anonymous.seen["headers"]
    known = await bench.enter("https://shop.example/", tls=AUTHORITY.context(CLIENT, tmp_path))
    assert "dns=client.example" in known.seen["headers"]["x-forwarded-client-cert"]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_versions_of_tls_are_refused_unless_the_server_allows_them(bench: Bench):
    async def connects(highest: ssl.TLSVersion) -> bool:
        context = AUTHORITY.context()
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = highest
        context.set_ciphers("ALL:@SECLEVEL=0")
        try:
            return (await bench.enter("https://shop.example/", tls=context)).status == 200
        except (aiohttp.ClientError, ssl.SSLError):
            return False

    around = [leads("shop-routes", "shop.example"), tls_secret("shop", SHOP)]
    await bench.apply(gateway("front", server("HTTPS", 443, "shop.example", **SIMPLE)), *around)
    assert [await connects(v) for v in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2)] == [False, True]
    limits = {"minProtocolVersion": "TLSV1_3"}
    await bench.apply(gateway("front", server("HTTPS", 443, "shop.example", **SIMPLE, **limits)), *around)
    assert [await connects(v) for v in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)] == [False, True]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ([], "there is no Secret istio-system/bank"),
        ([secret("bank", tls_crt=BANK.certificate, tls_key=SHOP.key)], "its key is not the one"),
    ],
    ids=["missing", "broken"],
)
async def test_a_server_without_a_usable_secret_answers_nothing_and_the_rest_serves_on(
    bench: Bench, broken: list[dict[str, Any]], why: str
):
    front = gateway(
        "front",
        server("HTTPS", 443, "shop.example", name="shop", **SIMPLE),
        server("HTTPS", 443, "bank.example", name="bank", mode="SIMPLE", credentialName="bank"),
    )
    around = [front, tls_secret("shop", SHOP), leads("it", "shop.example", "bank.example")]
    await bench.apply(*around, *broken)
    assert by(await bench.enter("https://shop.example/", tls=AUTHORITY.context())) == "it"
    with pytest.raises(aiohttp.ClientError):
        await bench.enter("https://bank.example/", tls=AUTHORITY.context())
    [report] = bench.reports()
    assert report.startswith("Gateway default/front: spec.servers[1].tls.credentialName: ")
    assert why in report
    await bench.apply(*around, tls_secret("bank", BANK))  # it is there now
    assert by(await bench.enter("https://bank.example/", tls=AUTHORITY.context())) == "it"


async def test_a_renewed_certificate_is_shown_to_the_next_client(bench: Bench):
    around = [gateway("front", server("HTTPS", 443, "*", **SIMPLE)), leads("it", "*")]
    await bench.apply(*around, tls_secret("shop", SHOP))
    assert by(await bench.enter("https://shop.example/", tls=AUTHORITY.context())) == "it"
    await bench.apply(*around, tls_secret("shop", STRANGER.issue("shop.example")))
    assert by(await bench.enter("https://shop.example/", tls=STRANGER.context())) == "it"


# --- connections --------------------------------------------------------------------------------------------


async def test_tls_is_passed_through_by_sni(bench: Bench):
    routes = [
        {
            "match": [{"sniHosts": ["bank.example"], "port": 443}],
            "route": [to("secure.default.svc.cluster.local")],
        },
    ]
    await bench.apply(
        gateway(
            "front",
            server("TLS", 443, "bank.example", name="passed", mode="PASSTHROUGH"),
            server("HTTPS", 443, "shop.example", name="ended", **SIMPLE),
        ),
        istio("VirtualService", "bank", {"hosts": ["bank.example"], "gateways": ["front"], "tls": routes}),
        leads("shop", "shop.example"),
        tls_secret("shop", SHOP),
    )
    answer = await bench.enter("https://bank.example/hello", tls=AUTHORITY.context())
    assert answer.by == SECURE  # with the upstream's own certificate
    assert by(await bench.enter("https://shop.example/", tls=AUTHORITY.context())) == "shop"


async def test_a_tcp_server_hands_connections_on(bench: Bench):
    tcp = [{"match": [{"port": 31}], "route": [to("raw.default.svc.cluster.local")]}]
    await bench.apply(
        gateway("front", server("TCP", 31, "*")),
        istio("VirtualService", "raw", {"hosts": ["*"], "gateways": ["front"], "tcp": tcp}),
    )
    address = bench.gateway(31)
    async with await anyio.connect_tcp(address.host, address.port) as stream:
        assert await first_line(stream) == RAW
        await stream.send(b"hello\n")
        assert await first_line(stream) == "hello"


async def test_tls_around_tcp_ends_at_the_gateway(bench: Bench):
    tcp = [{"route": [to("raw.default.svc.cluster.local")]}]
    await bench.apply(
        gateway("front", server("TLS", 443, "shop.example", **SIMPLE)),
        istio("VirtualService", "raw", {"hosts": ["shop.example"], "gateways": ["front"], "tcp": tcp}),
        tls_secret("shop", SHOP),
    )
    address = bench.gateway(443)
    async with await anyio.connect_tcp(
        address.host,
        address.port,
        ssl_context=AUTHORITY.context(),
        tls_hostname="shop.example",
        tls_standard_compatible=False,
    ) as stream:
        assert await first_line(stream) == RAW


# --- out of the mesh ----------------------------------------------------------------------------------------


def external(port: int) -> dict[str, Any]:
    return istio(
        "ServiceEntry",
        "outside",
        {
            "hosts": ["api.outside.example"],
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": port}],
            "resolution": "STATIC",
            "location": "MESH_EXTERNAL",
            "endpoints": [{"address": OUTSIDE}],
        },
    )


async def test_an_egress_gateway_stands_between_the_mesh_and_an_external_host(bench: Bench, ports: Upstreams):
    egress = "istio-egressgateway.istio-system.svc.cluster.local"

    def rule(where: str, host: str) -> dict[str, Any]:
        headers = {"request": {"add": {"x-way": where}}}
        return {"match": [{"gateways": [where], "port": 80}], "route": [to(host)], "headers": headers}

    rules = [rule("mesh", egress), rule("out", "api.outside.example")]
    for rule_, port in zip(rules, (80, 80), strict=True):
        rule_["route"][0]["destination"]["port"] = {"number": port}
    await bench.apply(
        external(ports.web),
        gateway("out", server("HTTP", 80, "api.outside.example"), at="egressgateway"),
        virtual_service("outside", *rules, hosts=["api.outside.example"], gateways=["mesh", "out"]),
    )
    answer = await bench.send("http://api.outside.example/x")
    assert answer.by == OUTSIDE
    assert answer.seen["headers"]["x-way"] in ("mesh,out", "mesh, out", "out")
    await bench.apply(external(ports.web))
    direct = await bench.send("http://api.outside.example/x")
    assert direct.by == OUTSIDE
    assert "x-way" not in direct.seen["headers"]


async def test_the_meshs_own_tls_to_an_egress_gateway_is_plain_text_here(bench: Bench, ports: Upstreams):
    egress = "istio-egressgateway.istio-system.svc.cluster.local"
    inside = {"match": [{"gateways": ["mesh"], "port": 80}], "route": [to(egress, port=443)]}
    inside["route"] = [{"destination": {"host": egress, "port": {"number": 443}}}]
    outside = {"match": [{"gateways": ["out"], "port": 443}], "route": [to("api.outside.example")]}
    outside["route"] = [{"destination": {"host": "api.outside.example", "port": {"number": 80}}}]
    await bench.apply(
        external(ports.web),
        gateway("out", server("HTTPS", 443, "api.outside.example", mode="ISTIO_MUTUAL"), at="egressgateway"),
        istio(
            "DestinationRule", "egress", {"host": egress, "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}
        ),
        virtual_service("outside", inside, outside, hosts=["api.outside.example"], gateways=["mesh", "out"]),
    )
    assert (await bench.send("http://api.outside.example/x")).by == OUTSIDE
    assert any("takes it here" in report for report in bench.reports())


# --- without Pods -------------------------------------------------------------------------------------------


@pytest.fixture
def alone(ports: Upstreams) -> list[dict[str, Any]]:
    return [service("web", ports.web), pod("web", "v1", WEB)]


async def test_without_a_gateway_pod_the_doors_are_those_of_the_ingress_gateway(
    alone: list[dict[str, Any]], tmp_path: Path
):
    front = gateway("front", server("HTTP", 80, "a.example"), server("HTTPS", 443, "shop.example", **SIMPLE))
    objects = [front, leads("it", "a.example", "shop.example"), tls_secret("shop", SHOP)]
    async with mesh_bench(tmp_path, *alone, *objects) as bench:
        assert by(await bench.enter("http://a.example/")) == "it"
        assert by(await bench.enter("https://shop.example/", tls=AUTHORITY.context())) == "it"
        assert not bench.reports()
