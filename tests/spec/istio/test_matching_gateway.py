"""What takes a request at a gateway."""

from __future__ import annotations

import pytest
from fakes.asked import asked, rules, subsets_of, to

from gitmesh.istio.matching.outcome import NoRoute, Redirect
from gitmesh.istio.matching.request import Caller

INGRESS = Caller("istio-system", {"istio": "ingressgateway"}, is_gateway=True)
BOUND = "gateways: [web]"


def gateway(
    *servers: str, name: str = "web", selector: str = "{istio: ingressgateway}", meta: str = ""
) -> str:
    written = servers or ("{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}",)
    return f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}{", " + meta if meta else ""}}}
spec:
  selector: {selector}
  servers: [{", ".join(written)}]
---
"""


def http(hosts: str, port: int = 80, more: str = "") -> str:
    return f"{{port: {{number: {port}, name: http-{port}, protocol: HTTP}}, hosts: {hosts}{more}}}"


def https(hosts: str, name: str = "tls", port: int = 443) -> str:
    return (
        f"{{port: {{number: {port}, name: {name}, protocol: HTTPS}}, hosts: {hosts}, "
        f"tls: {{mode: SIMPLE, credentialName: {name}}}}}"
    )


SHOP = rules(to("v1", match="{uri: {prefix: /shop}}"), name="shop", hosts="[shop.test]", more=BOUND)


def test_a_bound_virtual_service_answers_for_its_host():
    answer = asked(gateway() + SHOP, "http://shop.test/shop/1", caller=INGRESS)
    assert subsets_of(answer) == ["v1"]
    assert answer.host == "shop.test"


@pytest.mark.parametrize("url", ["http://other.test/shop", "http://shop.test/other"])
def test_nothing_else_is_routed(url: str):
    assert isinstance(asked(gateway() + SHOP, url, caller=INGRESS).action.outcome, NoRoute)


def test_a_virtual_service_for_the_mesh_has_no_say_there():
    text = gateway() + rules(to("v1"), hosts="[shop.test]")
    answer = asked(text, "http://shop.test/", caller=INGRESS)
    assert isinstance(answer.action.outcome, NoRoute)
    assert answer.unheard[0].why == "it is bound to mesh only"


def test_the_rules_of_several_are_merged_and_what_takes_everything_comes_last():
    text = gateway()
    text += rules(to("all"), name="a", hosts="[shop.test]", more=BOUND)
    text += rules(to("cart", match="{uri: {prefix: /cart}}"), name="b", hosts="[shop.test]", more=BOUND)
    assert subsets_of(asked(text, "http://shop.test/cart", caller=INGRESS)) == ["cart"]
    assert subsets_of(asked(text, "http://shop.test/", caller=INGRESS)) == ["all"]


def test_the_most_precise_host_answers_alone():
    text = gateway() + SHOP + rules(to("wild"), name="wild", hosts="['*.test']", more=BOUND)
    assert subsets_of(asked(text, "http://other.test/", caller=INGRESS)) == ["wild"]
    assert isinstance(asked(text, "http://shop.test/", caller=INGRESS).action.outcome, NoRoute)


def test_a_server_serves_only_hosts_that_it_names():
    text = gateway(http("['*.shop.test']")) + rules(to("v1"), hosts="['*']", more=BOUND)
    assert subsets_of(asked(text, "http://a.shop.test/", caller=INGRESS)) == ["v1"]
    assert isinstance(asked(text, "http://a.test/", caller=INGRESS).action.outcome, NoRoute)


@pytest.mark.parametrize(
    ("place", "is_served"), [("default", True), (".", True), ("*", True), ("team", False)]
)
def test_a_server_may_keep_a_host_to_one_namespace(place: str, is_served: bool):
    text = gateway(http(f"['{place}/shop.test']")) + SHOP
    outcome = asked(text, "http://shop.test/shop", caller=INGRESS).action.outcome
    assert isinstance(outcome, NoRoute) is not is_served


def test_a_gateway_serves_the_workloads_of_its_selector_and_no_other():
    text = gateway(selector="{istio: egressgateway}") + SHOP
    outcome = asked(text, "http://shop.test/shop", caller=INGRESS).action.outcome
    assert outcome == NoRoute("no Gateway of this workload has a server at port 80", status=0)


def test_a_port_in_a_match_is_the_servers():
    text = gateway(http("['*']"), http("['*']", 8080))
    text += rules(to("admin", match="{port: 8080}") + to("all"), hosts="[shop.test]", more=BOUND)
    assert subsets_of(asked(text, "http://shop.test/", caller=INGRESS)) == ["all"]
    assert subsets_of(asked(text, "http://shop.test:8080/", caller=INGRESS)) == ["admin"]


def test_a_server_that_redirects_to_https_answers_before_any_rule():
    text = gateway(http("[shop.test]", more=", tls: {httpsRedirect: true}")) + SHOP
    outcome = asked(text, "http://shop.test/shop?a=1", caller=INGRESS).action.outcome
    assert outcome == Redirect(301, "https://shop.test/shop?a=1")


def test_each_https_server_has_rules_of_its_own():
    text = gateway(https("[a.test]", "a"), name="one") + gateway(https("[b.test]", "b"), name="two")
    text += rules(to("one"), name="a", hosts="['*']", more="gateways: [one]")
    text += rules(to("two"), name="b", hosts="['*']", more="gateways: [two]")
    assert subsets_of(asked(text, "https://a.test/", caller=INGRESS)) == ["one"]
    assert subsets_of(asked(text, "https://b.test/", caller=INGRESS)) == ["two"]
    outcome = asked(text, "https://c.test/", caller=INGRESS).action.outcome
    assert outcome == NoRoute("no server at port 443 has a certificate for c.test", status=0)


def test_gateways_in_a_match_choose_the_gateway():
    text = gateway() + rules(
        to("mesh", match="{gateways: [mesh]}") + to("web", match="{gateways: [web]}"),
        hosts="[shop.test]",
        more="gateways: [web, mesh]",
    )
    assert subsets_of(asked(text, "http://shop.test/", caller=INGRESS)) == ["web"]
    assert subsets_of(asked(text, "http://shop.test/")) == ["mesh"]
