"""Gateways on one Pod: which servers share a port, and which one loses."""

from __future__ import annotations

from typing import Any

from fakes.mesh_objects import istio, resource_set

from gitmesh.playground.translate.fields import Reports
from gitmesh.playground.translate.gateway_servers import BoundPort, merged, read_gateways

SIMPLE = {"mode": "SIMPLE", "credentialName": "c"}


def server(protocol: str, number: int, *hosts: str, **fields: Any) -> dict[str, Any]:
    name = fields.pop("port_name", protocol.lower())
    return {"port": {"number": number, "name": name, "protocol": protocol}, "hosts": list(hosts), **fields}


def gateway(name: str, *servers: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return istio("Gateway", name, {"selector": {}, "servers": list(servers)}, **metadata)


def ports(*bodies: dict[str, Any]) -> tuple[dict[int, BoundPort], list[str]]:
    reports = Reports()
    found = merged(
        read_gateways(resource_set(bodies), reports), lambda number: {80: 8080, 443: 8443}.get(number, number)
    )
    return {port.number: port for port in found}, [str(report) for report in reports.all()]


def gateways_of(port: BoundPort) -> list[str]:
    return [server.gateway.removeprefix("default/") for server in port.servers]


def test_http_servers_of_several_gateways_share_a_port_and_its_routes():
    found, reports = ports(
        gateway("one", server("HTTP", 80, "a.example")), gateway("two", server("GRPC", 80, "b.example"))
    )
    assert gateways_of(found[8080]) == ["one", "two"]
    assert list(found[8080].route_names()) == ["http.8080"]
    assert not reports


def test_https_servers_share_a_port_and_each_has_its_own_routes():
    found, reports = ports(
        gateway(
            "one",
            server("HTTPS", 443, "a.example", tls=SIMPLE, port_name="a"),
            server("HTTPS", 443, "b.example", tls=SIMPLE, port_name="b"),
            server("TLS", 443, "c.example", tls={"mode": "PASSTHROUGH"}, port_name="c"),
        )
    )
    assert list(found[8443].route_names()) == ["https.443.a.one.default", "https.443.b.one.default"]
    assert len(found[8443].servers) == 3
    assert not reports


def test_of_two_that_do_not_go_together_the_older_gateway_keeps_the_port():
    for other in (
        server("HTTPS", 80, "b.example", tls=SIMPLE),
        server("TCP", 80, "*"),
    ):
        found, [report] = ports(
            gateway("new", other, creationTimestamp="2026-02-01T00:00:00Z"),
            gateway("old", server("HTTP", 80, "a.example"), creationTimestamp="2026-01-01T00:00:00Z"),
        )
        assert gateways_of(found[8080]) == ["old"]
        assert "default/new: spec.servers[0]: has no effect on port 8080" in report
    found, [report] = ports(gateway("a", server("TCP", 7, "*")), gateway("b", server("TCP", 7, "*")))
    assert gateways_of(found[7]) == ["a"]


def test_a_host_with_tls_belongs_to_one_server_of_a_port():
    found, [report] = ports(
        gateway("one", server("HTTPS", 443, "a.example", tls=SIMPLE)),
        gateway("two", server("HTTPS", 443, "x.example", "team/a.example", tls=SIMPLE)),
    )
    assert gateways_of(found[8443]) == ["one"]
    assert "host a.example" in report


def test_a_port_of_the_pod_is_what_counts():
    found, _ = ports(
        gateway("one", server("HTTP", 80, "a.example")), gateway("two", server("HTTP", 8080, "b.example"))
    )
    assert gateways_of(found[8080]) == ["one", "two"]


def test_hosts_may_belong_to_one_namespace():
    found, _ = ports(gateway("one", server("HTTP", 80, "./own.example", "team/t.example", "*/A.example")))
    [one] = found[8080].servers
    assert one.names_for("default") == ("own.example", "a.example")
    assert one.names_for("team") == ("t.example", "a.example")


def test_what_cannot_be_served_is_said():
    for wrong, why in (
        (server("HTTPS", 443, "*"), "needs `tls`"),
        (server("UDP", 53, "*"), "no gateway serves UDP"),
        (server("HTTP", 0, "*"), "is not a port number"),
        (server("TLS", 443, "*", tls={"mode": "AUTO_PASSTHROUGH"}), "AUTO_PASSTHROUGH is not translated"),
    ):
        found, [report] = ports(gateway("one", wrong))
        assert not found
        assert why in report


def test_the_meshs_own_tls_is_plain_text_here_and_is_told():
    found, reports = ports(
        gateway(
            "out",
            server("HTTPS", 443, "a.example", tls={"mode": "ISTIO_MUTUAL"}, port_name="a"),
            server("HTTPS", 443, "b.example", tls={"mode": "ISTIO_MUTUAL"}, port_name="b"),
            server("TLS", 443, "c.example", tls={"mode": "ISTIO_MUTUAL"}, port_name="c"),
        )
    )
    assert [len(servers) for servers in found[8443].route_names().values()] == [2]
    assert len(reports) == 4
    assert "cannot be told apart" in reports[2]
