"""TCP connections are shared out by weight, and TLS that is not ended in the mesh is routed by SNI."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import AsyncIterator
from math import sqrt
from typing import Any

import anyio
import anyio.streams.tls
import pytest
from fakes.certificates import Authority
from fakes.mesh_objects import istio, pod, service, subsets, to
from fakes.real_envoy import Bench, TunnelRefusedError, first_line, mesh_bench
from fakes.servers import http_server, tcp_server

pytestmark = [pytest.mark.anyio, pytest.mark.real]

V1, V2, TLS1, TLS2 = (f"127.0.54.{n}" for n in range(1, 5))
PRODUCTPAGE = "127.0.54.20"
NAMES = ("secure", "secure.default.svc.cluster.local", "a.example.com", "b.example.com", "c.test")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def ported(name: str, protocol: str, target: int, *numbers: int) -> dict[str, Any]:
    body = service(name)
    body["spec"]["ports"] = [{"name": f"{protocol}-{n}", "port": n, "targetPort": target} for n in numbers]
    return body


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> AsyncIterator[Bench]:
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue(*NAMES).load_into(shown)
    async with tcp_server(V1, V2) as tcp, http_server(TLS1, TLS2, tls=shown) as https:
        mongo = ported("mongo", "tcp", tcp, 27017, 27018)
        mongo["spec"]["clusterIP"] = "10.96.0.17"
        base = [
            mongo,
            ported("secure", "https", https, 443),
            pod("mongo", "v1", V1),
            pod("mongo", "v2", V2),
            pod("secure", "v1", TLS1),
            pod("secure", "v2", TLS2),
            pod("productpage", "v1", PRODUCTPAGE),
            subsets("mongo", "v1", "v2"),
            subsets("secure", "v1", "v2"),
        ]
        async with mesh_bench(tmp_path_factory.mktemp("connections"), *base) as found:
            yield found


async def reached(bench: Bench, to: str = "mongo:27017", **options: Any) -> str:
    """Open a connection and return the address of who greets; empty when nobody does."""
    async with bench.tunnel(to, **options) as stream:
        return await first_line(stream)


async def reached_often(bench: Bench, count: int) -> Counter[str]:
    found: Counter[str] = Counter()
    slots = anyio.CapacityLimiter(8)

    async def one() -> None:
        async with slots:
            found[await reached(bench)] += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(one)
    return found


def tcp(*rules: dict[str, Any]) -> dict[str, Any]:
    return istio("VirtualService", "mongo", {"hosts": ["mongo"], "tcp": list(rules)})


def version(subset: str, **match: Any) -> dict[str, Any]:
    rule: dict[str, Any] = {"route": [to("mongo", subset)]}
    return {"match": [match], **rule} if match else rule


async def test_a_tcp_port_without_rules_reaches_every_pod_and_carries_bytes_both_ways(bench: Bench):
    await bench.apply()
    assert (await reached_often(bench, 40)).keys() == {V1, V2}
    async with bench.tunnel("mongo.default:27017") as stream:
        await first_line(stream)
        await stream.send(b"\x00\xffping\n")
        assert await stream.receive(7) == b"\x00\xffping\n"


@pytest.mark.parametrize(("weights", "share"), [((80, 20), 0.2), ((1, 1), 0.5), ((3, 9), 0.75)])
async def test_connections_are_shared_out_by_weight_whatever_the_sum(
    bench: Bench, weights: tuple[int, int], share: float
):
    entries = [to("mongo", f"v{n}", weight=weight) for n, weight in enumerate(weights, start=1)]
    await bench.apply(tcp({"route": entries}))
    assert bench.reports() == []
    found = await reached_often(bench, 200)
    assert found.total() == 200
    assert abs(found[V2] - 200 * share) < 6 * sqrt(200 * share * (1 - share)), found


async def test_a_weight_of_zero_gets_no_connection(bench: Bench):
    await bench.apply(tcp({"route": [to("mongo", "v1", weight=0), to("mongo", "v2", weight=1)]}))
    assert await reached_often(bench, 30) == {V2: 30}


async def test_the_first_tcp_rule_that_holds_for_the_port_takes_the_connection(bench: Bench):
    await bench.apply(tcp(version("v1", port=27018), version("v2")))
    assert bench.reports() == []
    assert [await reached(bench, f"mongo:{port}") for port in (27017, 27018)] == [V2, V1]


async def test_who_connects_may_decide(bench: Bench):
    await bench.apply(tcp(version("v2", sourceLabels={"app": "productpage"}), version("v1")))
    assert await reached(bench, as_="productpage-v1.default") == V2
    assert await reached(bench) == V1


async def test_the_address_of_the_service_may_decide(bench: Bench):
    rules = [version("v1", destinationSubnets=["10.0.0.0/16"])]
    rules += [version("v2", destinationSubnets=["10.96.0.0/16"])]
    await bench.apply(tcp(*rules))
    assert {await reached(bench, to) for to in ("mongo:27017", "10.96.0.17:27017")} == {V2}


async def test_another_service_may_be_the_destination(bench: Bench):
    other = {"host": "mongo", "subset": "v2", "port": {"number": 27018}}
    await bench.apply(tcp({"route": [{"destination": other}]}))
    assert await reached(bench) == V2


async def test_a_port_that_no_service_has_is_not_let_through(bench: Bench):
    sidecar = {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
    await bench.apply(istio("Sidecar", "closed", sidecar))
    with pytest.raises(TunnelRefusedError):
        await reached(bench, "mongo:1")


def tls(*rules: dict[str, Any], hosts: tuple[str, ...] = ("secure",)) -> dict[str, Any]:
    return istio("VirtualService", "secure", {"hosts": list(hosts), "tls": list(rules)})


def sni(subset: str, *names: str, **match: Any) -> dict[str, Any]:
    return {"match": [{"sniHosts": list(names), **match}], "route": [to("secure", subset)]}


async def asked(bench: Bench, authority: Authority, name: str, **options: Any) -> str:
    """Ask `secure` for a name by SNI; return who answered, or nothing when the handshake fails."""
    async with bench.tunnel("secure:443", **options) as stream:
        try:
            secured = await anyio.streams.tls.TLSStream.wrap(
                stream, hostname=name, ssl_context=authority.context(), standard_compatible=False
            )
        except (anyio.BrokenResourceError, anyio.EndOfStream, ssl.SSLError, OSError):
            return ""
        await secured.send(f"GET / HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n".encode())
        text = b""
        while b"x-served-by" not in text or not text.endswith(b"}"):
            text += await secured.receive()
    return text.partition(b"x-served-by: ")[2].partition(b"\r")[0].decode()


async def test_tls_without_rules_goes_to_the_service_and_is_ended_there(bench: Bench, authority: Authority):
    await bench.apply()
    answer = await bench.send("https://secure/a", tls=authority.context())
    assert (answer.status, answer.by in (TLS1, TLS2)) == (200, True)


async def test_tls_is_routed_by_the_name_that_the_client_asks_for(bench: Bench, authority: Authority):
    await bench.apply(tls(sni("v1", "a.example.com"), sni("v2", "*.example.com", "secure")))
    assert bench.reports() == []
    assert await asked(bench, authority, "a.example.com") == TLS1
    assert await asked(bench, authority, "b.example.com") == TLS2
    assert (await bench.send("https://secure/", tls=authority.context())).by == TLS2
    assert await asked(bench, authority, "c.test") == ""  # no rule takes it


async def test_tls_connections_are_shared_out_by_weight(bench: Bench, authority: Authority):
    entries = [to("secure", "v1", weight=1), to("secure", "v2", weight=1), to("secure", "v9", weight=0)]
    await bench.apply(tls({"match": [{"sniHosts": ["secure"]}], "route": entries}))
    found = await bench.spread("https://secure/", 60, tls=authority.context())
    assert found.total() == 60
    assert 7 < found[TLS1] < 53


async def test_who_connects_with_tls_may_decide(bench: Bench, authority: Authority):
    own = {"sourceLabels": {"app": "productpage"}}
    await bench.apply(tls(sni("v2", "c.test", **own), sni("v1", "c.test")))
    assert await asked(bench, authority, "c.test", as_="productpage-v1.default") == TLS2
    assert await asked(bench, authority, "c.test") == TLS1


async def test_a_tls_rule_for_another_port_leaves_the_port_to_the_service(bench: Bench, authority: Authority):
    await bench.apply(tls(sni("v9", "c.test", port=1)))
    assert await asked(bench, authority, "c.test") in (TLS1, TLS2)
