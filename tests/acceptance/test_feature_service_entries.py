"""Hosts that Kubernetes does not know: external ones, virtual machines, names that are looked up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from fakes.certificates import Authority, secret
from fakes.mesh_objects import istio, pod, service, to, virtual_service
from fakes.real_envoy import Bench, TunnelRefusedError, first_line, mesh_bench
from fakes.servers import NameServer, http_server, name_server, tcp_server
from fakes.upstreams import upstreams

pytestmark = [pytest.mark.anyio, pytest.mark.real]

ONE, TWO, SECURE, CLIENT, BUYER, TCP = (f"127.0.64.{n}" for n in range(1, 7))
AUTHORITY = Authority()
REGISTRY_ONLY = istio("Sidecar", "only", {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}})


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with upstreams(ONE, TWO) as number:
        yield number


@pytest.fixture(scope="module")
async def names() -> AsyncIterator[NameServer]:
    records = {
        "api.test": [ONE],
        "both.test": [ONE, TWO],
        "two.test": [TWO],
        "secure.test": [SECURE],
        "db.test": [TCP],
        "a.wild.test": [ONE],
        "b.wild.test": [TWO],
        "gone.test": [],
    }
    async with name_server(**records) as server:
        yield server


@pytest.fixture(scope="module")
async def bench(
    tmp_path_factory: pytest.TempPathFactory, port: int, names: NameServer
) -> AsyncIterator[Bench]:
    buyer = pod("buyer", "v1", BUYER)
    buyer["metadata"]["namespace"] = "shop"
    base = [pod("client", "v1", CLIENT), buyer]
    directory = tmp_path_factory.mktemp("entries")
    async with mesh_bench(directory, *base, dns_resolvers=[names.address]) as found:
        yield found


def entry(host: str, port: int, *, number: int = 80, protocol: str = "HTTP", **spec: Any) -> dict[str, Any]:
    """Return a ServiceEntry with one port, served at `port`."""
    ports = [{"number": number, "name": protocol.lower(), "protocol": protocol, "targetPort": port}]
    return istio(
        "ServiceEntry", host.strip("*.").replace(".", "-"), {"hosts": [host], "ports": ports, **spec}
    )


def static(host: str, port: int, *addresses: str, **spec: Any) -> dict[str, Any]:
    endpoints = [{"address": address} for address in addresses]
    return entry(host, port, resolution="STATIC", endpoints=endpoints, **spec)


@pytest.mark.parametrize("location", ["MESH_EXTERNAL", "MESH_INTERNAL"])
async def test_listed_endpoints_serve_a_host(bench: Bench, port: int, location: str):
    await bench.apply(static("api.test", port, ONE, TWO, location=location))
    found = await bench.spread("http://api.test/", 40)
    assert found.keys() == {ONE, TWO}
    assert (await bench.send("http://api.test/x")).seen["headers"]["host"] == "api.test"
    assert bench.reports() == []


async def test_an_endpoint_may_have_ports_weights_and_labels_of_its_own(bench: Bench, port: int):
    endpoints = [
        {"address": ONE, "ports": {"http": port}, "weight": 3, "labels": {"version": "v1"}},
        {"address": TWO, "ports": {"http": port}, "weight": 1, "labels": {"version": "v2"}},
    ]
    body = entry("api.test", 1, resolution="STATIC", endpoints=endpoints)
    turns = {"loadBalancer": {"simple": "ROUND_ROBIN"}}
    subset = {"name": "v2", "labels": {"version": "v2"}}
    rule = istio("DestinationRule", "api", {"host": "api.test", "trafficPolicy": turns, "subsets": [subset]})
    await bench.apply(body, rule)
    assert await bench.spread("http://api.test/", 40) == {ONE: 30, TWO: 10}
    await bench.apply(body, rule, virtual_service("api.test", {"route": [to("api.test", "v2")]}))
    assert await bench.spread("http://api.test/", 10) == {TWO: 10}


async def test_a_name_is_looked_up_and_every_address_used(bench: Bench, port: int, names: NameServer):
    await bench.apply(entry("both.test", port, resolution="DNS"))
    assert (await bench.spread("http://both.test/", 40)).keys() == {ONE, TWO}
    assert names.asked["both.test"] >= 1


async def test_an_endpoint_may_be_another_name(bench: Bench, port: int):
    names = {"resolution": "DNS", "endpoints": [{"address": "two.test"}, {"address": ONE}]}
    await bench.apply(entry("api.test", port, **names))
    assert (await bench.spread("http://api.test/", 40)).keys() == {ONE, TWO}


async def test_round_robin_by_name_uses_one_address_at_a_time(bench: Bench, port: int):
    await bench.apply(entry("both.test", port, resolution="DNS_ROUND_ROBIN"))
    assert len(await bench.spread("http://both.test/", 20)) == 1


async def test_a_name_that_moves_is_followed(bench: Bench, port: int, names: NameServer):
    await bench.apply(entry("api.test", port, resolution="DNS"))
    assert (await bench.send("http://api.test/")).by == ONE
    names.records["api.test"] = [TWO]
    try:
        with anyio.fail_after(15):  # the name server says that an answer holds for a second
            while (await bench.send("http://api.test/")).by != TWO:  # noqa: ASYNC110
                await anyio.sleep(0.1)
    finally:
        names.records["api.test"] = [ONE]


async def test_without_resolution_the_asked_host_is_where_it_goes(bench: Bench, port: int):
    await bench.apply(entry("api.test", 0, number=port, resolution="NONE"), REGISTRY_ONLY)
    answer = await bench.send(f"http://api.test:{port}/")
    assert (answer.status, answer.by) == (200, ONE)


@pytest.mark.parametrize("resolution", ["NONE", "DYNAMIC_DNS"])
async def test_a_wildcard_lets_every_host_below_it_through(bench: Bench, port: int, resolution: str):
    await bench.apply(entry("*.wild.test", 0, number=port, resolution=resolution), REGISTRY_ONLY)
    assert (await bench.send(f"http://a.wild.test:{port}/")).by == ONE
    assert (await bench.send(f"http://b.wild.test:{port}/")).by == TWO
    assert (await bench.send(f"http://wild.test:{port}/")).status == 502
    assert (await bench.send(f"http://api.test:{port}/")).status == 502


async def test_a_wildcard_may_have_listed_endpoints(bench: Bench, port: int):
    await bench.apply(static("*.wild.test", port, TWO))
    assert (await bench.send("http://anything.wild.test/")).by == TWO


async def test_workload_entries_and_pods_are_found_by_their_labels(bench: Bench, port: int):
    def machine(name: str, address: str, app: str = "vm") -> dict[str, Any]:
        return istio("WorkloadEntry", name, {"address": address, "labels": {"app": app}})

    chosen = {"workloadSelector": {"labels": {"app": "vm"}}, "location": "MESH_INTERNAL"}
    body = entry("vm.test", port, resolution="STATIC", **chosen)
    await bench.apply(body, machine("vm-1", ONE), machine("vm-2", TWO, app="another"))
    assert await bench.spread("http://vm.test/", 10) == {ONE: 10}
    await bench.apply(body, machine("vm-1", ONE), pod("vm", "v1", TWO))
    assert (await bench.spread("http://vm.test/", 40)).keys() == {ONE, TWO}
    await bench.apply(body)
    assert (await bench.send("http://vm.test/")).status == 503


async def test_a_kubernetes_service_finds_workload_entries_too(bench: Bench, port: int):
    body = service("vm", 80)
    body["spec"]["ports"][0]["targetPort"] = port
    machine = istio("WorkloadEntry", "vm-1", {"address": TWO, "labels": {"app": "vm"}})
    await bench.apply(body, machine)
    assert (await bench.send("http://vm/")).by == TWO


async def test_rules_hold_for_an_external_host_as_for_any_other(bench: Bench, port: int):
    slow = {"match": [{"uri": {"prefix": "/slow"}}], "route": [to("api.test")], "timeout": "100ms"}
    fault = {"abort": {"httpStatus": 418, "percentage": {"value": 100}}}
    broken = {"match": [{"uri": {"prefix": "/broken"}}], "route": [to("api.test")], "fault": fault}
    tried = {"attempts": 3, "retryOn": "5xx"}
    flaky = {"match": [{"uri": {"prefix": "/flaky"}}], "route": [to("api.test")], "retries": tried}
    rest = {"route": [to("api.test")], "rewrite": {"uri": "/new/"}}
    rules = virtual_service("api.test", slow, broken, flaky, rest)
    await bench.apply(static("api.test", port, ONE), rules)
    assert (await bench.send("http://api.test/slow/2000")).status == 504
    assert (await bench.send("http://api.test/broken")).status == 418
    assert (await bench.send("http://api.test/flaky/2/external")).status == 200
    assert (await bench.send("http://api.test/other")).seen["path"] == "/new/other"


async def test_requests_in_the_clear_leave_the_mesh_encrypted(bench: Bench):
    pair = AUTHORITY.issue("secure.test")
    certs = secret("certs", "default", ca_crt=AUTHORITY.pem)
    certs["metadata"]["annotations"] = {"playground.gitmesh.dev/mount": "/etc/certs"}
    tls = {"tls": {"mode": "SIMPLE", "caCertificates": "/etc/certs/ca.crt"}}
    at_port = {"portLevelSettings": [{"port": {"number": 80}, **tls}]}
    rule = istio("DestinationRule", "secure", {"host": "secure.test", "trafficPolicy": at_port})
    async with http_server(SECURE, tls=AUTHORITY.serving(pair)) as port:
        body = entry("secure.test", port, resolution="DNS")
        await bench.apply(body, certs, rule)
        answer = await bench.send("http://secure.test/hello")
        assert (answer.status, answer.by, answer.seen["path"]) == (200, SECURE, "/hello")
        await bench.apply(body)
        assert (await bench.send("http://secure.test/hello")).status == 503
        # The names that a ServiceEntry knows stand for those of the rule.
        for name, status in (("secure.test", 200), ("spiffe://other", 503)):
            named = entry("secure.test", port, resolution="DNS", subjectAltNames=[name])
            await bench.apply(named, certs, rule)
            assert (await bench.send("http://secure.test/")).status == status, name


async def test_encrypted_connections_are_carried_by_their_name(bench: Bench):
    pair = AUTHORITY.issue("secure.test")
    async with http_server(SECURE, tls=AUTHORITY.serving(pair)) as port:
        https = entry("secure.test", port, number=443, protocol="HTTPS", resolution="DNS")
        await bench.apply(https, REGISTRY_ONLY)
        answer = await bench.send("https://secure.test/", tls=AUTHORITY.context())
        assert (answer.status, answer.by) == (200, SECURE)


@pytest.mark.parametrize("host", ["secure.test", "*.test"])
async def test_an_encrypted_connection_without_resolution_goes_where_it_asks_to(bench: Bench, host: str):
    pair = AUTHORITY.issue("secure.test")
    async with http_server(SECURE, tls=AUTHORITY.serving(pair)) as port:
        body = entry(host, 0, number=port, protocol="TLS", resolution="NONE")
        await bench.apply(body, REGISTRY_ONLY)
        answer = await bench.send(f"https://secure.test:{port}/", tls=AUTHORITY.context())
        assert (answer.status, answer.by) == (200, SECURE)


@pytest.mark.parametrize("host", ["db.test", "*.test"])
async def test_a_tcp_connection_without_resolution_goes_where_it_asks_to(bench: Bench, host: str):
    async with tcp_server(TCP) as port:
        body = entry(host, 0, number=port, protocol="TCP", resolution="NONE")
        await bench.apply(body, REGISTRY_ONLY)
        async with bench.tunnel(f"db.test:{port}") as stream:
            assert await first_line(stream) == TCP


async def test_a_tcp_port_carries_bytes(bench: Bench):
    async with tcp_server(TCP) as port:
        await bench.apply(static("db.test", port, TCP, number=5432, protocol="TCP"), REGISTRY_ONLY)
        async with bench.tunnel("db.test:5432") as stream:
            assert await first_line(stream) == TCP
        with pytest.raises(TunnelRefusedError):
            async with bench.tunnel("other.test:5432"):
                pass


async def test_without_an_entry_a_registry_only_namespace_reaches_nothing(bench: Bench, port: int):
    await bench.apply(REGISTRY_ONLY)
    assert (await bench.send(f"http://api.test:{port}/")).status == 502
    # Another namespace has no such Sidecar, and goes where it likes.
    assert (await bench.send(f"http://api.test:{port}/", as_="buyer-v1.shop")).by == ONE
    await bench.apply(REGISTRY_ONLY, entry("api.test", port, number=port, resolution="DNS"))
    assert (await bench.send(f"http://api.test:{port}/")).by == ONE


async def test_an_entry_that_is_not_exported_is_for_its_own_namespace(bench: Bench, port: int):
    body = static("inside.test", port, ONE, exportTo=["."])
    everywhere = istio(
        "Sidecar", "only", {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}, namespace="shop"
    )
    await bench.apply(body, REGISTRY_ONLY, everywhere)
    assert (await bench.send("http://inside.test/")).by == ONE
    assert (await bench.send("http://inside.test/", as_="buyer-v1.shop")).status == 502


async def test_each_namespace_may_have_an_entry_of_its_own_for_one_host(bench: Bench, port: int):
    ours = static("inside.test", port, ONE, exportTo=["."])
    theirs = static("inside.test", port, TWO, exportTo=["."])
    theirs["metadata"]["namespace"] = "shop"
    await bench.apply(ours, theirs)
    assert (await bench.send("http://inside.test/")).by == ONE
    assert (await bench.send("http://inside.test/", as_="buyer-v1.shop")).by == TWO
    assert bench.reports() == []


async def test_a_name_without_an_address_answers_503_and_holds_nothing_up(bench: Bench, port: int):
    await bench.apply(entry("gone.test", port, resolution="DNS"), static("api.test", port, ONE))
    assert (await bench.send("http://gone.test/")).status == 503
    assert (await bench.send("http://api.test/")).by == ONE
