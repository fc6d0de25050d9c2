"""`gitmesh test` runs the RouteTests of a directory on a real Envoy and tells like a test runner."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from fakes.real_loop import gitmesh

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
MESH = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
    - name: testers
      match: [{headers: {end-user: {exact: jason}}}]
      rewrite: {uri: /v2/}
      route: [{destination: {host: reviews, subset: v2}, headers: {request: {set: {x-env: test}}}}]
    - name: old
      match: [{uri: {prefix: /old}}]
      redirect: {uri: /new}
    - name: slow
      match: [{uri: {prefix: /slow}}]
      fault: {delay: {fixedDelay: 100s, percentage: {value: 100}}}
      route: [{destination: {host: reviews, subset: v1}}]
    - name: all
      route:
        - {destination: {host: reviews, subset: v1}, weight: 75, headers: {request: {set: {x-v: "1"}}}}
        - {destination: {host: reviews, subset: v2}, weight: 25, headers: {request: {set: {x-v: "2"}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
"""
TESTS = """\
apiVersion: gitmesh.dev/v1alpha1
kind: RouteTest
metadata: {name: ours}
spec:
  cases:
    - name: jason sees v2
      request: HEAD http://reviews:9080/ratings/7
      headers: {end-user: jason}
      expect: {destination: {host: reviews, subset: v2}, path: /v2/ratings/7, requestHeaders: {x-env: test}}
    - name: old is gone
      request: http://reviews:9080/old?x=1
      expect: {redirect: "http://reviews:9080/new?x=1", status: 301}
    - name: a delay is not waited for
      request: POST http://reviews:9080/slow
      expect: {destination: {host: reviews, subset: v1}, status: 200}
    - name: "one in four"
      request: http://reviews:9080/
      expect:
        destinations: [{host: reviews, subset: v1, share: 75%}, {host: reviews, subset: v2, share: 25%}]
    - name: "wrong <share>"
      request: http://reviews:9080/
      expect: {destination: {host: reviews, subset: v2, share: 50%}, requestHeaders: {x-v: "1"}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mesh.yaml").write_text(MESH)
    (tmp_path / "tests.yaml").write_text(TESTS)
    return tmp_path


def test_the_tests_of_the_sample_hold():
    ran = gitmesh("test", "manifests/bookinfo", "policies", cwd=ROOT)
    assert ran.status == 0, ran.all
    assert ran.out.startswith("policies/route-tests.yaml .......\n")
    assert "\n7 passed in " in ran.out
    assert ran.err == ""


def test_a_failure_says_what_was_expected_what_happens_why_and_where(folder: Path):
    ran = gitmesh("test", ".", cwd=folder)
    assert ran.status == 1
    progress, _, rest = ran.out.partition("\n\n")
    assert progress == "tests.yaml ....F"
    told, _, count = rest.rpartition("\n\n")
    assert told == (
        "FAILED wrong <share>\n"
        "    tests.yaml:20:7\n"
        "    request       GET http://reviews:9080/, from namespace default\n"
        "    expected      destination: reviews v2 50 %\n"
        "    actual        reviews v1 75 %, reviews v2 25 %\n"
        "    expected      requestHeaders.x-v: '1'\n"
        "    actual        '2' (at reviews v2)\n"
        "    by            rule all of VirtualService default/reviews at mesh.yaml:18:7\n"
        "    why           not rule testers: header end-user is missing, wants exact 'jason'\n"
        "                  not rule old: path is '/', wants prefix '/old'\n"
        "                  not rule slow: path is '/', wants prefix '/slow'"
    )
    assert count.startswith("4 passed, 1 failed in ")


def test_programs_read_json_and_junit(folder: Path):
    ran = gitmesh("test", ".", "--format", "json", cwd=folder)
    body = json.loads(ran.out)
    assert (ran.status, body["summary"]["passed"], body["summary"]["failed"]) == (1, 4, 1)
    assert body["standIns"] == {"reviews.default.svc.cluster.local": [9080]}
    last = body["cases"][-1]
    assert (last["file"], last["line"], last["passed"]) == ("tests.yaml", 20, False)
    assert last["misses"][0] == {
        "field": "destination",
        "expected": "reviews v2 50 %",
        "actual": "reviews v1 75 %, reviews v2 25 %",
    }
    assert all(case["differs"] is None for case in body["cases"])
    assert gitmesh("test", ".", "--format", "junit", "--output", "report.xml", cwd=folder).out == ""
    suites = ElementTree.parse(folder / "report.xml").getroot()
    assert (suites.get("tests"), suites.get("failures"), suites.get("errors")) == ("5", "1", "0")
    assert suites.find("testsuite/testcase/failure/..").get("name") == "wrong <share>"  # type: ignore[union-attr]


def test_a_filter_chooses_cases(folder: Path):
    ran = gitmesh("test", ".", "--filter", "JASON", cwd=folder)
    assert (ran.status, ran.out.splitlines()[0]) == (0, "tests.yaml .")
    ran = gitmesh("test", ".", "--filter", "nobody", cwd=folder)
    assert (ran.status, ran.out) == (2, "")
    assert "there is no RouteTest with nobody in its name in ." in ran.err


def test_what_cannot_be_run_is_said(folder: Path):
    assert gitmesh("test", "nowhere", cwd=folder).status == 2
    (folder / "mesh.yaml").write_text(MESH.replace("subset: v1}, weight", "subset: v3}, weight"))
    ran = gitmesh("test", ".", cwd=folder)
    assert ran.status == 1
    assert "mesh.yaml:20:49: error GM201" in ran.out
    (folder / "mesh.yaml").write_text(MESH)
    (folder / "tests.yaml").write_text(TESTS.replace("spec:\n", "spec:\n  from: {workload: nobody}\n"))
    ran = gitmesh("test", ".", "--filter", "jason", cwd=folder)
    assert ran.status == 1
    assert "ERROR jason sees v2" in ran.out
    assert "could not run no workload nobody is known in namespace default" in ran.out
