"""What a rule makes of a request: pilot's fields, values and defaults."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from fakes.mesh_objects import resource_set, service, subsets, virtual_service

from gitmesh.playground.translate.destinations import Destination, Subset
from gitmesh.playground.translate.fields import Field, Reports, spec_of
from gitmesh.playground.translate.route_context import RouteContext
from gitmesh.playground.translate.routes import read_virtual_services, routes_of
from gitmesh.playground.translate.services import read_services

V1, V2 = (f"outbound|9080|{version}|reviews.default.svc.cluster.local" for version in ("v1", "v2"))
ROUTE = "route: [{destination: {host: reviews, subset: v1}}]\n"
PREVIOUS_HOSTS = "envoy.retry_host_predicates.previous_hosts"


def translated(rule: str, **context: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the routes of a rule, written as YAML, and the fields that are reported."""
    reports = Reports()
    body = virtual_service("reviews", yaml.safe_load(rule))
    [source] = read_virtual_services(resource_set([body]), reports)
    services = read_services(resource_set([service("reviews")]), reports)
    routes = routes_of(source, RouteContext("mesh", 9080, services, **context))
    return routes, [item.place.removeprefix("spec.http[0].") for item in reports.all()]


def route(rule: str, **context: Any) -> dict[str, Any]:
    [found], reports = translated(rule, **context)
    assert reports == []
    return found


def action(rule: str, **context: Any) -> dict[str, Any]:
    return route(ROUTE + rule, **context)["route"]


def left_out(rule: str) -> list[str]:
    routes, reports = translated(rule)
    assert routes == []
    return reports


def test_without_a_timeout_there_is_none():
    assert action("")["timeout"] == "0s"
    assert action("timeout: 1500ms")["timeout"] == "1.5s"
    assert action("timeout: 0s")["timeout"] == "0s"


def test_without_retries_there_are_two_more_tries_on_what_the_upstream_never_saw():
    assert action("")["retry_policy"] == {
        "retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
        "num_retries": 2,
        "host_selection_retry_max_attempts": "5",
        "retry_host_predicate": [
            {
                "name": PREVIOUS_HOSTS,
                "typed_config": {
                    "@type": "type.googleapis.com/"
                    "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
    }


def test_no_attempts_are_no_retries():
    assert "retry_policy" not in action("retries: {attempts: 0}")
    assert "retry_policy" not in action("retries: {retryOn: 5xx}")


RETRY_ON = [
    ("5xx", "5xx", None),
    ("gateway-error, reset", "gateway-error,reset", None),
    ("503", "retriable-status-codes", [503]),
    ("5xx,418,retriable-status-codes,429", "5xx,retriable-status-codes", [418, 429]),
    ("999,5xx", "999,5xx", None),  # no HTTP status, so Envoy gets it as a word, which it ignores
]


@pytest.mark.parametrize(("text", "words", "codes"), RETRY_ON)
def test_numbers_among_the_conditions_of_a_retry_are_statuses(text: str, words: str, codes: list[int] | None):
    policy = action(f"retries: {{attempts: 3, retryOn: '{text}'}}")["retry_policy"]
    assert (policy["retry_on"], policy.get("retriable_status_codes")) == (words, codes)


def test_each_field_of_retries_has_its_effect():
    rule = """
retries:
  attempts: 4
  perTryTimeout: 2s
  backoff: 50ms
  retryRemoteLocalities: true
  retryIgnorePreviousHosts: false
"""
    policy = action(rule)["retry_policy"]
    assert policy["num_retries"] == 4
    assert policy["per_try_timeout"] == "2s"
    assert policy["retry_back_off"] == {"base_interval": "0.05s"}
    assert policy["retry_priority"]["typed_config"]["update_frequency"] == 2
    assert "retry_host_predicate" not in policy
    assert policy["retry_on"].startswith("connect-failure,")


def mesh_retries(text: str) -> Field:
    [resource] = resource_set([virtual_service("x")]).values()
    return Field(resource.key, ("retries",), yaml.safe_load(text), Reports())


def test_the_mesh_may_have_another_default():
    default = mesh_retries("{attempts: 5, retryOn: 5xx}")
    assert action("", default_retries=default)["retry_policy"]["num_retries"] == 5
    assert action("retries: {attempts: 1}", default_retries=default)["retry_policy"]["num_retries"] == 1
    assert "retry_policy" not in action("", default_retries=mesh_retries("{attempts: 0}"))


def hashed(text: str) -> dict[str, Any]:
    """Return a context in which a DestinationRule with these blocks holds for reviews."""
    body = subsets("reviews", "v1", **yaml.safe_load(text))
    [resource] = resource_set([body]).values()
    spec = spec_of(resource, Reports())
    [first] = spec["subsets"].items()
    policy = spec["trafficPolicy"] if spec["trafficPolicy"].present else None
    said = Destination((Subset("v1", {}, spec["v1"] if spec["v1"].present else first["none"]),), policy)
    return {"destination_of": lambda _: said}


HASHES = [
    ("httpHeaderName: x-user", {"header": {"header_name": "x-user"}}),
    ("httpCookie: {name: c, ttl: 60s, path: /p}", {"cookie": {"name": "c", "ttl": "60s", "path": "/p"}}),
    ("httpCookie: {name: c}", {"cookie": {"name": "c"}}),
    ("useSourceIp: true", {"connection_properties": {"source_ip": True}}),
    ("httpQueryParameterName: q", {"query_parameter": {"name": "q"}}),
]


@pytest.mark.parametrize(("text", "policy"), HASHES)
def test_a_consistent_hash_is_written_on_the_route(text: str, policy: dict[str, Any]):
    rule = hashed(f"trafficPolicy: {{loadBalancer: {{consistentHash: {{{text}}}}}}}")
    found = action("", **rule)
    assert found["hash_policy"] == [policy]
    assert "retry_host_predicate" not in found["retry_policy"]


def test_the_hash_of_a_port_counts_only_where_the_route_names_the_port():
    rule = hashed("""
trafficPolicy:
  loadBalancer: {consistentHash: {httpHeaderName: all}}
  portLevelSettings: [{port: {number: 9080}, loadBalancer: {consistentHash: {httpHeaderName: port}}}]
""")
    assert action("", **rule)["hash_policy"] == [{"header": {"header_name": "all"}}]
    explicit = "route: [{destination: {host: reviews, subset: v1, port: {number: 9080}}}]"
    assert route(explicit, **rule)["route"]["hash_policy"] == [{"header": {"header_name": "port"}}]


def test_the_hash_of_a_subset_wins():
    rule = hashed("""
trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: all}}}
v1: {loadBalancer: {consistentHash: {httpHeaderName: subset}}}
""")
    assert action("", **rule)["hash_policy"] == [{"header": {"header_name": "subset"}}]


def test_one_destination_gets_everything_whatever_its_weight():
    assert route("route: [{destination: {host: reviews, subset: v1}, weight: 0}]")["route"]["cluster"] == V1


def test_weights_are_passed_on_as_they_are_and_those_of_zero_left_out():
    rule = """
route:
- {destination: {host: reviews, subset: v1}, weight: 1}
- {destination: {host: reviews, subset: v2}, weight: 2}
- {destination: {host: reviews, subset: v3}, weight: 0}
"""
    assert route(rule)["route"]["weighted_clusters"] == {
        "clusters": [{"name": V1, "weight": 1}, {"name": V2, "weight": 2}]
    }


def test_a_rule_that_leads_nowhere_is_left_out_and_reported():
    assert left_out("name: x") == ["spec.http[0]"]
    assert left_out("route: [{destination: {host: a}}, {destination: {host: b}}]") == ["spec.http[0]"]


REDIRECTS = [
    ("{uri: /b}", {}, {"path_redirect": "/b"}),
    ("{authority: b}", {}, {"host_redirect": "b"}),
    ("{scheme: https}", {}, {"scheme_redirect": "https"}),
    ("{port: 8080}", {}, {"port_redirect": 8080}),
    ("{port: 80}", {}, {}),
    ("{port: 443}", {}, {"port_redirect": 443}),
    ("{port: 443, scheme: https}", {}, {"scheme_redirect": "https"}),
    ("{port: 443}", {"tls": True}, {}),
    ("{port: 80}", {"tls": True}, {"port_redirect": 80}),
    ("{derivePort: FROM_REQUEST_PORT}", {}, {"port_redirect": 9080}),
    ("{derivePort: FROM_PROTOCOL_DEFAULT}", {}, {}),
]


@pytest.mark.parametrize(("text", "context", "wanted"), REDIRECTS)
def test_a_redirect_says_only_what_is_not_usual_for_its_scheme(
    text: str, context: dict[str, Any], wanted: dict[str, Any]
):
    found = route(f"redirect: {text}", **context)["redirect"]
    assert found == {"response_code": "MOVED_PERMANENTLY", **wanted}


@pytest.mark.parametrize("code", [300, 304, 305, 200])
def test_a_redirect_that_envoy_cannot_send_is_left_out(code: int):
    assert left_out(f"redirect: {{uri: /b, redirectCode: {code}}}") == ["redirect.redirectCode"]


def test_a_status_that_envoy_cannot_answer_is_left_out():
    assert left_out("directResponse: {status: 600}") == ["directResponse.status"]


def test_of_two_hosts_the_rewrite_wins_then_the_rule_then_the_destination():
    def host(rewrite: str, rule: str, destination: str) -> str | None:
        def headers(value: str) -> dict[str, Any]:
            return {"headers": {"request": {"set": {"Host": value}}}} if value else {}

        entry = {"destination": {"host": "reviews"}, **headers(destination)}
        body = {"route": [entry], **headers(rule)} | ({"rewrite": {"authority": rewrite}} if rewrite else {})
        return route(yaml.dump(body))["route"].get("host_rewrite_literal")

    assert host("a", "b", "c") == "a"
    assert host("", "b", "c") == "b"
    assert host("", "", "c") == "c"
    assert host("", "", "") is None


def test_headers_that_envoy_does_not_let_change_are_left_alone():
    rule = "headers: {request: {set: {':path': /x, HOST: h}, remove: [':method', host, a]}}"
    found = route(ROUTE + rule)
    assert "request_headers_to_add" not in found
    assert found["request_headers_to_remove"] == ["a"]
    assert found["route"]["host_rewrite_literal"] == "h"


def test_sets_come_before_adds_each_sorted_by_name():
    rule = "headers: {response: {add: {b: '1', a: '2'}, set: {d: '3', c: '4'}}}"
    assert [
        (item["header"]["key"], item["append_action"])
        for item in route(ROUTE + rule)["response_headers_to_add"]
    ] == [
        ("c", "OVERWRITE_IF_EXISTS_OR_ADD"),
        ("d", "OVERWRITE_IF_EXISTS_OR_ADD"),
        ("a", "APPEND_IF_EXISTS_OR_ADD"),
        ("b", "APPEND_IF_EXISTS_OR_ADD"),
    ]


def test_a_regular_expression_comes_before_a_plain_rewrite():
    found = action("rewrite: {uri: /x, uriRegexRewrite: {match: '^/a/(.*)$', rewrite: '/b/\\1'}}")
    assert found["regex_rewrite"] == {"pattern": {"regex": "^/a/(.*)$"}, "substitution": "/b/\\1"}
    assert "prefix_rewrite" not in found


MILLION = {"denominator": "MILLION"}
HUNDRED = {"denominator": "HUNDRED"}
MIRRORS = [
    ("mirror: {host: reviews}", [{"numerator": 100, **HUNDRED}]),
    ("{mirror: {host: reviews}, mirrorPercentage: {value: 12.5}}", [{"numerator": 125_000, **MILLION}]),
    ("{mirror: {host: reviews}, mirrorPercentage: {value: 0}}", []),
    ("{mirror: {host: reviews}, mirrorPercentage: {}}", []),
    ("{mirror: {host: reviews}, mirrorPercent: 30}", [{"numerator": 30, **HUNDRED}]),
    ("{mirror: {host: reviews}, mirror_percent: 30}", [{"numerator": 30, **HUNDRED}]),
    (
        "mirrors: [{destination: {host: reviews}}, {destination: {host: b}, percentage: {value: 0.01}}]",
        [{"numerator": 100, **HUNDRED}, {"numerator": 100, **MILLION}],
    ),
    ("mirrors: [{destination: {host: reviews}, percentage: {value: 0}}]", []),
    (
        "{mirror: {host: reviews}, mirrors: [{destination: {host: reviews}}]}",
        [{"numerator": 100, **HUNDRED}] * 2,
    ),
]


@pytest.mark.parametrize(("text", "shares"), MIRRORS)
def test_mirrors_get_their_share_and_one_of_zero_is_none(text: str, shares: list[dict[str, Any]]):
    found = route(yaml.dump({**yaml.safe_load(ROUTE), **yaml.safe_load(text)}))["route"]
    policies = found.get("request_mirror_policies", [])
    assert [policy["runtime_fraction"]["default_value"] for policy in policies] == shares
    assert all(policy["disable_shadow_host_suffix_append"] for policy in policies)


FAULTS = [
    (
        "delay: {fixedDelay: 2s, percentage: {value: 0.1}}",
        {"delay": {"fixed_delay": "2s", "percentage": {"numerator": 1000, **MILLION}}},
    ),
    (
        "delay: {fixedDelay: 2s, percent: 7}",
        {"delay": {"fixed_delay": "2s", "percentage": {"numerator": 7, **HUNDRED}}},
    ),
    (
        "abort: {httpStatus: 418, percentage: {value: 100}}",
        {"abort": {"http_status": 418, "percentage": {"numerator": 1_000_000, **MILLION}}},
    ),
    (
        "abort: {grpcStatus: UNAVAILABLE, percentage: {value: 5}}",
        {"abort": {"grpc_status": 14, "percentage": {"numerator": 50_000, **MILLION}}},
    ),
]


@pytest.mark.parametrize(("text", "wanted"), FAULTS)
def test_faults_hit_their_share(text: str, wanted: dict[str, Any]):
    found = route(ROUTE + f"fault: {{{text}}}")["typed_per_filter_config"]["envoy.filters.http.fault"]
    assert {name: value for name, value in found.items() if name != "@type"} == wanted


NEVER = [
    ("delay: {fixedDelay: 2s}", "fault.delay"),
    ("abort: {httpStatus: 500}", "fault.abort"),
]


@pytest.mark.parametrize(("text", "place"), NEVER)
def test_a_fault_without_a_percentage_never_happens_and_is_reported(text: str, place: str):
    [found], reports = translated(ROUTE + f"fault: {{{text}}}")
    [fault] = [value for name, value in found["typed_per_filter_config"].items() if name.endswith("fault")]
    assert [value["percentage"]["numerator"] for name, value in fault.items() if name != "@type"] == [0]
    assert reports == [place]


def test_cors_has_pilots_fields():
    rule = """
corsPolicy:
  allowOrigins: [{exact: "https://a"}, {regex: "https://b.*"}]
  allowMethods: [GET, PUT]
  maxAge: 90s
  allowCredentials: false
"""
    [found] = route(ROUTE + rule)["typed_per_filter_config"].values()
    assert found["allow_origin_string_match"] == [
        {"exact": "https://a"},
        {"safe_regex": {"regex": "https://b.*"}},
    ]
    assert (found["allow_methods"], found["max_age"], found["allow_credentials"]) == ("GET,PUT", "90", False)
    assert found["forward_not_matching_preflights"] is True
    [older] = route(ROUTE + "corsPolicy: {allowOrigin: ['*']}")["typed_per_filter_config"].values()
    assert older["allow_origin_string_match"] == [{"exact": "*"}]


def test_a_share_that_is_none_is_reported():
    _, reports = translated(ROUTE + "fault: {abort: {httpStatus: 500, percentage: {value: 101}}}")
    assert reports == ["fault.abort.percentage.value"]
