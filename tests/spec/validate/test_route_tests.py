"""RouteTests say what must become of requests, and GitMesh's own matching says whether it does."""

from __future__ import annotations

import pytest
from fakes.examined import files_of, findings, told
from fakes.route_test_examples import FAILS, HOLDS, MESH, case, route_test

from gitmesh.engine.accept import examine
from gitmesh.engine.memory import Examined
from gitmesh.model.config import ParseLimits
from gitmesh.model.context import Context, ContextPort, ContextService, services_of
from gitmesh.model.revision import Revision


def failures(*cases: str, sender: str = "") -> list[str]:
    """Return the messages of cases that fail."""
    found = findings({"mesh.yaml": MESH, "tests.yaml": route_test(*cases, sender=sender)})
    assert {d.code for d in found} <= {"GM350"}, list(map(str, found))
    return [d.message for d in found]


@pytest.mark.parametrize("holds", HOLDS)
def test_what_holds_passes(holds: str):
    assert failures(holds) == []


@pytest.mark.parametrize("fails", FAILS)
def test_what_does_not_hold_is_told_beside_what_happens(fails: str):
    (message,) = failures(fails)
    assert FAILS[fails] in message


def test_a_failure_says_request_sender_place_and_why_nothing_else_took_it():
    tests = route_test("{name: v2 for all, request: http://reviews:9080/x, headers: {a: b}, "
                       "expect: {destination: {host: reviews, subset: v2}, status: 201}}",
                       sender="{labels: {app: productpage}}")  # fmt: skip
    (found,) = findings({"mesh.yaml": MESH, "tests.yaml": tests})
    assert str(found.at) == "tests.yaml:7:7"
    assert found.message == (
        "v2 for all (GET http://reviews:9080/x) -H 'a: b', from app=productpage, namespace default: "
        "destination: expected reviews v2 100 %, is reviews v1 100 %; status: expected 201, is 200, "
        "by rule all of VirtualService default/reviews at mesh.yaml:32:7"
    )
    assert "not rule testers: header end-user is missing, wants exact 'jason'" in found.hint


def test_a_case_takes_its_sender_from_the_document_unless_it_has_its_own():
    shared = case("{destination: {host: reviews, subset: v2, share: 25%}}")
    own = case("{destination: {host: reviews, subset: v1}}", more=", from: {namespace: default}")
    assert failures(shared, own, sender="{labels: {app: beta}}") == []


def test_a_workload_is_known_by_its_template_its_pod_or_its_service():
    deployment = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: beta-app}
spec:
  selector: {matchLabels: {app: beta}}
  template: {metadata: {labels: {app: beta}}, spec: {containers: []}}
---
apiVersion: v1
kind: Service
metadata: {name: beta-service}
spec: {selector: {app: beta}, ports: [{port: 80}]}
"""
    share = "{destination: {host: reviews, subset: v2, share: 25%}}"
    cases = [case(share, more=f", from: {{workload: {name}}}") for name in ("beta-app", "beta-service")]
    found = findings({"mesh.yaml": MESH + deployment, "tests.yaml": route_test(*cases)})
    assert [str(d) for d in found if d.code in ("GM350", "GM357")] == []


WRONG = {
    case("{destination: {host: reviews, share: 120%}}"): "GM351",
    case("{timeout: soon}"): "GM351",
    case("{status: 200}", "GET reviews 9080"): "GM352",
    case("{status: 200}", more=", headers: {'a b': c}"): "GM352",
    case("{}"): "GM353",
    case("{requestHeaders: {}}"): "GM353",
    case("{destinations: [{host: reviews, share: 60%}, {host: ratings, share: 60%}]}"): "GM354",
    case("{destinations: [{host: reviews, share: 60%}, {host: ratings, share: 30%}]}"): "GM354",
    case("{destination: {host: reviews}, destinations: [{host: reviews}]}"): "GM355",
    case("{destination: {host: reviews}, redirect: http://x/}"): "GM355",
    case("{redirect: http://x/, status: 404}"): "GM355",
    case("{destination: {host: reviews, subset: v1}, mustNotReach: [{host: reviews}]}"): "GM355",
    case("{status: 404}", more=", from: {gateway: entry, workload: x}"): "GM356",
    case("{status: 404}", more=", from: {gateway: entri}"): "GM357",
    case("{status: 404}", more=", from: {workload: nobody}"): "GM357",
    case("{mustNotReach: [{host: review}]}"): "GM358",
    case("{destination: {host: PassthroughCluster, share: 0}}", "http://nobody/"): "",
    case("{mustNotReach: [{host: reviews, subset: v9}]}"): "GM359",
    case("{status: 9}"): "GM106",
    case("{statis: 200}"): "GM101",
    case("{requestHeaders: {x: 1}}"): "GM102",
    "{request: http://reviews/}": "GM103",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_test_that_makes_no_sense_is_found_at_its_line(wrong: str):
    found = findings({"mesh.yaml": MESH, "tests.yaml": route_test(wrong)})
    codes = [d.code for d in found if d.code != "GM350"]
    assert codes == ([WRONG[wrong]] if WRONG[wrong] else [])
    assert all(d.at and (d.at.file, d.at.line) == ("tests.yaml", 6) for d in found)


def test_a_sender_that_is_not_there_is_said_once_and_not_for_every_case():
    tests = route_test(case("{status: 404}"), case("{status: 200}"), sender="{gateway: entri}")
    found = findings({"mesh.yaml": MESH, "tests.yaml": tests})
    assert [d.code for d in found if d.code != "GM350"] == ["GM357"]


def test_a_document_without_cases_is_wrong():
    assert told({"mesh.yaml": MESH, "tests.yaml": route_test().replace("cases:", "cases: []")}) == [
        "5:10 GM106"
    ]


def test_a_misspelt_host_is_an_error_only_where_all_hosts_are_known():
    tests = {"mesh.yaml": MESH, "tests.yaml": route_test(case("{mustNotReach: [{host: details}]}"))}
    hosts = [f"{name}.default.svc.cluster.local" for name in ("reviews", "ratings", "details")]
    everything = Context(services=services_of(hosts[:2]))
    assert [d.severity for d in findings(tests)] == ["warning"]
    assert [d.severity for d in findings(tests, context=everything)] == ["error"]
    assert findings(tests, known_hosts=hosts[:2])[0].severity == "warning"
    assert findings(tests, known_hosts=hosts) == ()


def services(port: int) -> Context:
    known = {
        f"{name}.default.svc.cluster.local": ContextService("default", name, (ContextPort(port, "http"),))
        for name in ("reviews", "ratings")
    }
    return Context(services=known, advisory=True)


def test_what_fails_only_because_of_the_cluster_is_a_warning():
    tests = {"mesh.yaml": MESH, "tests.yaml": route_test(case("{destination: {host: reviews, subset: v1}}"))}
    assert findings(tests, context=services(9080)) == ()
    found = next(d for d in findings(tests, context=services(80)) if d.code == "GM350")
    assert (found.code, found.severity) == ("GM350", "warning")


def examined(texts: dict[str, str], previous: Examined | None = None) -> Examined:
    revision = Revision("c", "t", "main", files_of(texts))
    return examine(revision, default_namespace="default", limits=ParseLimits(), previous=previous)


def test_tests_are_run_once_everything_else_is_right():
    failing = route_test(case("{status: 404}"))
    broken = MESH.replace("timeout: 3s", "timeuot: 3s")
    found = examined({"mesh.yaml": broken, "tests.yaml": failing}).findings
    assert [d.code for d in found] == ["GM101"]
    assert [d.code for d in examined({"mesh.yaml": MESH, "tests.yaml": failing}).findings] == ["GM350"]


def test_a_failure_cannot_be_talked_away_in_a_comment():
    wanted = "# gitmesh: ignore GM350 because it is known"
    for status, codes in ((404, ["GM350"]), (200, ["GM028"])):
        tests = route_test(case(f"{{status: {status}}}")).replace("    - {", f"    {wanted}\n    - {{")
        found = examined({"mesh.yaml": MESH, "tests.yaml": tests}).findings
        assert [d.code for d in found if not d.suppressed] == codes


def test_nothing_is_run_again_while_nothing_changes_and_everything_when_a_route_does():
    texts = {"mesh.yaml": MESH, "tests.yaml": route_test(*HOLDS), "more.yaml": route_test(HOLDS[0])}
    texts["more.yaml"] = texts["more.yaml"].replace("ours", "others")
    first = examined(texts)
    again = examined(texts, first)
    assert again.tested.results == first.tested.results
    other = examined({**texts, "more.yaml": texts["more.yaml"].replace("share", "chair")}, first)
    assert all(a is b for a, b in zip(first.tested.results, other.tested.results, strict=False))
    changed = examined({**texts, "mesh.yaml": MESH.replace("subset: v1}}]", "subset: v2}}]")}, first)
    assert not any(a is b for a, b in zip(first.tested.results, changed.tested.results, strict=True))
    assert {d.code for d in changed.findings} == {"GM350"}
    assert examined(texts, changed).findings == ()
