"""Which VirtualService has the say for a host, which of its rules, and what happens then."""

from __future__ import annotations

import time

import pytest
from fakes.asked import SERVICES, asked, rules, subsets_of, to
from fakes.mesh_objects import objects

from gitmesh.istio.matching.outcome import DEFAULT_RETRY_ON, Forward, NoRoute, Outside, Redirect, Respond
from gitmesh.istio.matching.request import Caller, read_request
from gitmesh.istio.matching.traffic import Traffic

REVIEWS = "http://reviews:9080/"
OLD, NEW = "creationTimestamp: 2024-01-01T00:00:00Z", "creationTimestamp: 2025-01-01T00:00:00Z"


def forwarded(answer) -> Forward:
    assert isinstance(answer.action.outcome, Forward)
    return answer.action.outcome


def test_the_first_rule_that_holds_takes_the_request():
    text = rules(to("v1", match="{uri: {prefix: /a}}") + to("v2", match="{uri: {prefix: /ab}}") + to("v3"))
    answer = asked(text, "http://reviews:9080/abc")
    assert subsets_of(answer) == ["v1"]
    assert answer.taken is not None
    assert answer.taken.match_path == ("spec", "http", 0, "match", 0)
    assert answer.passed == ()


def test_the_alternatives_of_a_rule_are_tried_in_order():
    text = rules(to("v1", match="{uri: {prefix: /a}}, {uri: {prefix: /b}}") + to("v2"))
    answer = asked(text, "http://reviews:9080/b")
    assert subsets_of(answer) == ["v1"]
    assert answer.taken is not None
    assert answer.taken.match == 1
    assert [passed.where.match for passed in answer.passed] == [0]


def test_rules_that_do_not_fit_answer_404_and_do_not_fall_back_to_the_service():
    answer = asked(rules(to("v1", match="{uri: {prefix: /a}}")), "http://reviews:9080/b")
    assert answer.action.outcome == NoRoute("no rule of VirtualService default/reviews takes it")
    assert answer.taken is None
    assert len(answer.passed) == 1


def test_a_service_without_rules_gets_the_request_with_istios_defaults():
    answer = asked("", REVIEWS)
    outcome = forwarded(answer)
    assert subsets_of(answer) == ["reviews.default.svc.cluster.local"]
    assert outcome.timeout_seconds is None
    assert (outcome.retries.attempts, outcome.retries.on) == (2, DEFAULT_RETRY_ON)
    assert outcome.retries.is_default


@pytest.mark.parametrize(
    "host",
    [
        "reviews:9080",
        "REVIEWS:9080",
        "reviews.default:9080",
        "reviews.default.svc:9080",
        "reviews.default.svc.cluster.local:9080",
        "reviews.default.svc.cluster.local.:9080",
        "10.0.0.7:9080",
        "reviews",
    ],
)
def test_a_service_answers_to_all_its_names(host: str):
    assert subsets_of(asked(rules(to("v1")), f"http://{host}/")) == ["v1"]


def test_a_short_name_is_one_of_the_callers_own_namespace():
    answer = asked(rules(to("v1")), REVIEWS, caller=Caller("shop"))
    assert answer.action.outcome == Outside(blocked=False)
    assert subsets_of(asked(rules(to("v1")), "http://reviews.default:9080/", caller=Caller("shop"))) == ["v1"]


def test_a_host_without_a_port_means_port_80_or_the_main_port():
    assert asked("", "http://ratings/").port == 80
    assert asked("", "http://reviews/").port == 9080


def test_an_unknown_host_leaves_the_mesh_unless_it_is_closed():
    assert asked("", "http://example.com/").action.outcome == Outside(blocked=False)
    closed = asked("", "http://example.com/", outbound="REGISTRY_ONLY")
    assert closed.action.outcome == Outside(blocked=True)


def test_a_port_that_the_service_does_not_have_is_told():
    assert asked("", "http://reviews:81/").notes == (
        "reviews.default.svc.cluster.local has no port 81; it has 9080",
    )


def test_a_port_that_is_not_http_looks_at_no_request():
    outcome = asked("", "http://mongo:27017/").action.outcome
    assert isinstance(outcome, NoRoute)
    assert "speaks mongo" in outcome.why


def test_of_two_virtual_services_for_a_host_the_older_has_the_say_alone():
    text = rules(to("young"), name="a", meta=NEW) + rules(
        to("old", match="{uri: {prefix: /x}}"), name="b", meta=OLD
    )
    answer = asked(text, REVIEWS)
    assert isinstance(answer.action.outcome, NoRoute)
    assert [(u.key.name, "comes first" in u.why) for u in answer.unheard] == [("a", True)]


def test_without_an_age_the_name_decides():
    text = rules(to("b"), name="b") + rules(to("a"), name="a")
    assert subsets_of(asked(text, REVIEWS)) == ["a"]


def test_what_is_private_to_the_caller_comes_before_what_is_older_and_public():
    text = rules(to("public"), name="a", meta=OLD)
    text += rules(to("private"), name="b", meta=NEW, more="exportTo: ['.']")
    assert subsets_of(asked(text, REVIEWS)) == ["private"]


def test_the_next_one_is_asked_where_the_first_has_no_rule_for_the_caller():
    text = rules(to("web", match="{sourceLabels: {app: web}}"), name="a") + rules(to("all"), name="b")
    assert subsets_of(asked(text, REVIEWS)) == ["all"]
    assert subsets_of(asked(text, REVIEWS, caller=Caller(labels={"app": "web"}))) == ["web"]


def test_where_the_only_one_has_no_rule_for_the_caller_the_service_answers():
    text = rules(to("web", match="{sourceLabels: {app: web}}"))
    answer = asked(text, REVIEWS)
    assert subsets_of(answer) == ["reviews.default.svc.cluster.local"]
    assert "none of its rules is for this caller and port" in answer.unheard[0].why
    assert "label app is missing" in answer.unheard[0].why


def test_an_exact_host_wins_over_an_older_wildcard():
    text = rules(to("wild"), name="a", hosts="['*.svc.cluster.local']", meta=OLD)
    text += rules(to("exact"), name="b", meta=NEW)
    assert subsets_of(asked(text, REVIEWS)) == ["exact"]


def test_the_longest_wildcard_wins_and_holds_for_services():
    text = rules(to("wide"), name="a", hosts="['*.svc.cluster.local']")
    text += rules(to("narrow"), name="b", hosts="['*.default.svc.cluster.local']")
    assert subsets_of(asked(text, REVIEWS)) == ["narrow"]


def test_where_a_host_is_named_exactly_no_wildcard_is_asked():
    text = rules(to("web", match="{sourceLabels: {app: web}}"), name="a")
    text += rules(to("wild"), name="b", hosts="['*']")
    assert subsets_of(asked(text, REVIEWS)) == ["reviews.default.svc.cluster.local"]


def test_a_host_of_no_service_is_served_on_port_80_only():
    text = rules(to("v1"), hosts="[shop.example.com]")
    assert subsets_of(asked(text, "http://shop.example.com/")) == ["v1"]
    assert asked(text, "http://shop.example.com:81/").action.outcome == Outside(blocked=False)
    text = rules(to("wild"), name="w", hosts="['*.example.com']") + text
    assert subsets_of(asked(text, "http://other.example.com/")) == ["wild"]
    assert subsets_of(asked(text, "http://shop.example.com/")) == ["v1"]


def test_a_virtual_service_for_gateways_only_has_no_say_in_the_mesh():
    answer = asked(rules(to("v1"), more="gateways: [web]"), REVIEWS)
    assert subsets_of(answer) == ["reviews.default.svc.cluster.local"]
    assert answer.unheard[0].why == "it is bound to default/web and not to the mesh"


def test_gateways_in_a_match_stand_instead_of_the_caller():
    match = "{gateways: [mesh], sourceLabels: {app: web}}"
    assert subsets_of(asked(rules(to("fit", match=match) + to("rest")), REVIEWS)) == ["fit"]


def test_what_is_not_exported_is_not_seen():
    answer = asked(
        rules(to("v1"), more="exportTo: ['.']"), "http://reviews.default:9080/", caller=Caller("shop")
    )
    assert subsets_of(answer) == ["reviews.default.svc.cluster.local"]
    assert answer.unheard[0].why == "it is not exported to namespace shop"


SIDECAR = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: only-ratings}
spec:
  workloadSelector: {labels: {app: web}}
  egress: [{hosts: ['./ratings.default.svc.cluster.local']}]
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
"""


def test_a_sidecar_hides_what_it_does_not_name():
    web = Caller(labels={"app": "web"})
    answer = asked(SIDECAR, REVIEWS, caller=web)
    assert answer.action.outcome == Outside(blocked=True)
    assert answer.notes[0].startswith("Sidecar default/only-ratings does not let the caller reach")
    assert isinstance(asked(SIDECAR, "http://ratings/", caller=web).action.outcome, Forward)
    assert isinstance(asked(SIDECAR, REVIEWS).action.outcome, Forward)


ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside}
spec:
  hosts: [api.example.com, '*.wild.test']
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]
  resolution: DNS
---
"""


def test_the_hosts_of_a_service_entry_are_services():
    assert asked(ENTRY, "http://api.example.com/").host == "api.example.com"
    assert asked(ENTRY, "http://a.wild.test/").host == "*.wild.test"
    assert asked(ENTRY, "http://wild.test/").host == ""
    text = ENTRY + rules(to("v1"), hosts="['*.wild.test']")
    assert subsets_of(asked(text, "http://a.wild.test/")) == ["v1"]


def test_shares_follow_the_weights_whatever_their_sum_and_leave_out_zeros():
    text = rules(
        """
- route:
  - {destination: {host: reviews, subset: v1}, weight: 1}
  - {destination: {host: reviews, subset: v2}, weight: 3}
  - {destination: {host: reviews, subset: v3}, weight: 0}
"""
    )
    shares = forwarded(asked(text, REVIEWS)).shares
    assert [(share.destination.subset, share.percent) for share in shares] == [("v1", 25.0), ("v2", 75.0)]


def test_inside_the_mesh_a_destination_without_a_port_has_that_of_the_caller_whatever_its_service_has():
    text = rules("- route: [{destination: {host: ratings}}]", name="a", hosts="[reviews]")
    assert forwarded(asked(text, REVIEWS)).shares[0].destination.port == 9080
    text = rules("- route: [{destination: {host: reviews}}]", name="a", hosts="[ratings]")
    assert forwarded(asked(text, "http://ratings:8080/")).shares[0].destination.port == 8080


def test_what_a_rule_does_is_told():
    text = rules(
        """
- match: [{uri: {prefix: /old}}]
  route: [{destination: {host: reviews, subset: v1}, headers: {response: {add: {x-by: v1}}}}]
  rewrite: {uri: /new, authority: reviews.internal}
  timeout: 2s
  retries: {attempts: 3, perTryTimeout: 500ms, retryOn: "5xx"}
  fault: {delay: {fixedDelay: 3s, percentage: {value: 10}}, abort: {httpStatus: 503, percentage: {value: 5}}}
  mirrors:
  - {destination: {host: ratings}, percentage: {value: 20}}
  - {destination: {host: mongo}, percentage: {value: 0}}
  headers: {request: {set: {x-env: test}, remove: [x-debug]}}
"""
    )
    answer = asked(text, "http://reviews:9080/old/1?x=2")
    outcome = forwarded(answer)
    assert (outcome.rewrite.path, outcome.rewrite.authority) == ("/new/1?x=2", "reviews.internal")
    assert outcome.timeout_seconds == 2
    retries = outcome.retries
    assert (retries.attempts, retries.on, retries.per_try_seconds) == (3, "5xx", 0.5)
    assert [(m.destination.host, m.percent) for m in outcome.mirrors] == [
        ("ratings.default.svc.cluster.local", 20)
    ]
    assert answer.action.headers == ("remove request header x-debug", "set request header x-env: test")
    assert outcome.shares[0].headers == ("add response header x-by: v1",)
    fault = answer.action.fault
    assert fault is not None
    assert (fault.delay_seconds, fault.delay_percent, fault.abort, fault.abort_percent) == (3, 10, "503", 5)


@pytest.mark.parametrize(
    ("uri", "rewrite", "path", "expected"),
    [
        ("{prefix: /reviews}", "{uri: /}", "/reviews/1", "/1"),
        ("{prefix: /reviews}", "{uri: /}", "/reviewsfoo", "/foo"),
        ("{exact: /a}", "{uri: /b}", "/a?x=1", "/b?x=1"),
        ("{regex: '/a.*'}", "{uri: /b}", "/abc", "/b"),
        ("{prefix: /}", r"{uriRegexRewrite: {match: '/(\w+)/(\w+)', rewrite: '/\2/\1'}}", "/a/b/c", "/b/a/c"),
        ("{prefix: /a}", "{uri: /a}", "/a/b", ""),
    ],
)
def test_a_rewrite_is_shown_as_the_path_that_comes_out(uri: str, rewrite: str, path: str, expected: str):
    rule = f"- {{match: [{{uri: {uri}}}], rewrite: {rewrite}, route: [{{destination: {{host: reviews}}}}]}}"
    # One more slash than the prefix had is kept, as in Envoy: /reviews/1 with / becomes //1.
    outcome = forwarded(asked(rules(rule), f"http://reviews:9080{path}"))
    assert outcome.rewrite.path in (expected, f"/{expected}")


@pytest.mark.parametrize(
    ("redirect", "url", "status", "location"),
    [
        ("{uri: /new}", "http://reviews:9080/a?x=1", 301, "http://reviews:9080/new?x=1"),
        (
            "{authority: other.test, redirectCode: 302}",
            "http://reviews:9080/a?x",
            302,
            "http://other.test/a?x",
        ),
        ("{scheme: https}", "http://ratings:80/a", 301, "https://ratings/a"),
        ("{scheme: https, port: 8443}", "http://ratings/a", 301, "https://ratings:8443/a"),
        ("{derivePort: FROM_REQUEST_PORT}", "http://reviews:9080/a", 301, "http://reviews:9080/a"),
    ],
)
def test_a_redirect_is_shown_with_the_location_of_this_request(
    redirect: str, url: str, status: int, location: str
):
    text = rules(f"- {{redirect: {redirect}}}", hosts="[reviews, ratings]")
    assert asked(text, url).action.outcome == Redirect(status, location)


def test_a_direct_response_is_shown():
    text = rules("- {directResponse: {status: 503, body: {string: closed}}}")
    assert asked(text, REVIEWS).action.outcome == Respond(503, "closed")


@pytest.mark.parametrize(
    "rule",
    [
        "{redirect: {redirectCode: 305}}",
        "{route: [{destination: {host: a}, weight: 0}, {destination: {host: b}}]}",
        "{delegate: {name: nowhere}}",
    ],
)
def test_a_rule_that_no_proxy_gets_is_passed_over_with_the_reason(rule: str):
    answer = asked(rules(f"- {rule}\n" + to("v1")), REVIEWS)
    assert subsets_of(answer) == ["v1"]
    assert answer.passed[0].why


DELEGATE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pages}
spec:
  http:
  - {name: deep, match: [{uri: {prefix: /a/b}}], route: [{destination: {host: reviews, subset: deep}}]}
  - {name: other, match: [{uri: {prefix: /x}}], route: [{destination: {host: reviews, subset: never}}]}
  - {name: rest, route: [{destination: {host: reviews, subset: rest}}]}
---
"""
ROOT = rules(
    "- {name: team, match: [{uri: {prefix: /a}}], delegate: {name: pages}, timeout: 3s}\n" + to("root")
)


@pytest.mark.parametrize(
    ("path", "subset"), [("/a/b/c", "deep"), ("/a/c", "rest"), ("/b", "root"), ("/x", "root")]
)
def test_the_rules_of_a_delegate_hold_below_those_of_its_root(path: str, subset: str):
    answer = asked(DELEGATE + ROOT, f"http://reviews:9080{path}")
    assert subsets_of(answer) == [subset]


def test_a_delegated_rule_names_both_places_and_inherits():
    answer = asked(DELEGATE + ROOT, "http://reviews:9080/a/b")
    assert answer.taken is not None
    assert (answer.taken.key.name, answer.taken.root.name) == ("pages", "reviews")
    assert answer.taken.name == "team-deep"
    assert forwarded(answer).timeout_seconds == 3


def test_a_delegates_rule_that_contradicts_its_root_is_passed_over():
    answer = asked(DELEGATE + ROOT, "http://reviews:9080/x")
    assert any("contradict" in reason for passed in answer.passed for reason in passed.reasons)


def test_an_answer_looks_only_at_the_objects_for_its_host():
    text = "".join(rules(to("v1"), name=f"vs-{n}", hosts=f"[s{n}.test]") for n in range(300))
    traffic = Traffic(objects(SERVICES + text))
    began = time.process_time()
    for n in range(300):
        assert traffic.answer(read_request("GET", f"http://s{n}.test/")).taken is not None
    # About a millisecond each; if every object were looked at, it would be hundreds.
    assert time.process_time() - began < 3


def test_strange_objects_do_no_harm():
    text = rules("- 3\n- {match: 3, route: {a: 1}}\n- {match: [3], route: [4]}\n" + to("v1"))
    assert subsets_of(asked(text, REVIEWS)) == ["v1"]
