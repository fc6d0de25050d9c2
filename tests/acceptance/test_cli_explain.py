"""`gitmesh explain`: Envoy's answer with the reasons, for a repository and for a running playground."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes.real_loop import Play

from gitmesh.istio.matching.outcome import DEFAULT_RETRY_ON

pytestmark = [pytest.mark.real, pytest.mark.anyio]

CHECKOUT = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: checkout
  namespace: shop
spec:
  hosts: [checkout]
  http:
    - name: beta
      match:
        - headers: {end-user: {exact: jason}}
          uri: {prefix: /pay}
      route:
        - destination: {host: checkout, subset: v2}
      rewrite: {uri: /v2/pay}
      timeout: 2s
    - match: [{sourceLabels: {app: web}}]
      redirect: {uri: /web}
    - route:
        - destination: {host: checkout, subset: v1}
          weight: 90
        - destination: {host: checkout, subset: v2}
          weight: 10
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: checkout, namespace: shop}
spec:
  host: checkout
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
"""


def explain(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gitmesh", "explain", *words]
    environment = {**os.environ, "COLUMNS": "120"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=cwd, env=environment)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "checkout.yaml").write_text(CHECKOUT)
    return tmp_path


def test_the_rule_the_destination_and_what_came_before_are_told(repository: Path):
    asked = ("POST", "http://checkout.shop:8080/pay/7", "-H", "end-user: bob")
    run = explain(*asked, "--repo", "repo", cwd=repository)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == (
        f"""\
POST http://checkout.shop:8080/pay/7
  end-user: bob
  from client (namespace default; no labels)

Taken by VirtualService shop/checkout, spec.http[2]
  at repo/checkout.yaml:19:7
  as it has no condition on requests

It goes to
     90 %  v1 of checkout.shop.svc.cluster.local, port 8080
     10 %  v2 of checkout.shop.svc.cluster.local, port 8080

On the way
  timeout   none (Istio's default)
  retries   2 (Istio's default), on {DEFAULT_RETRY_ON}

Rules before it that do not take it
  VirtualService shop/checkout spec.http[0].match[0] "beta"  repo/checkout.yaml:11:11
    header end-user is 'bob', wants exact 'jason'
  VirtualService shop/checkout spec.http[1].match[0]  repo/checkout.yaml:17:15
    the caller's label app is missing, wants 'web'

Note: no file defines checkout.shop.svc.cluster.local with port 8080: it is assumed.
"""
    )


def test_programs_get_the_same(repository: Path):
    asked = ("http://checkout.shop/pay/7", "-H", "end-user: jason", "--repo", "repo", "--format", "json")
    run = explain(*asked, cwd=repository)
    assert run.returncode == 0
    found: dict[str, Any] = json.loads(run.stdout)
    assert found["taken"]["match"] == "spec.http[0].match[0]"
    assert found["taken"]["at"] == {"file": "repo/checkout.yaml", "line": 11, "column": 11}
    assert found["envoy"]["cluster"] == "outbound|80|v2|checkout.shop.svc.cluster.local"
    assert found["envoy"]["source"] == "shop/checkout"
    assert found["outcome"]["rewrite"]["path"] == "/v2/pay/7"
    assert found["outcome"]["timeoutSeconds"] == 2
    assert found["differences"] == []


def test_a_request_is_sent_as_whom_one_says(repository: Path):
    as_web = ("--labels", "app=web", "-n", "shop")
    run = explain("http://checkout/", *as_web, "--repo", "repo", cwd=repository)
    assert run.returncode == 0
    assert "It is answered with 301, to http://checkout/web" in run.stdout
    assert "as the caller's label app is 'web', wants 'web'" in run.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("http://checkout/", "--from", "nobody"), "no Pod is called nobody"),
        (("http://checkout/", "--gateway", "web"), "there is no gateway web"),
        (("https://checkout/",), "a proxy does not see into https"),
        (("ftp://checkout/",), "is not a URL of http or https"),
        (("http://checkout/", "-H", "end-user"), "write -H 'name: value'"),
        (("http://checkout/", "--labels", "web"), "write --labels app=web,version=v2"),
        ((), "give a method and a URL"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_with_words(
    repository: Path, words: tuple[str, ...], message: str
):
    run = explain(*words, "--repo", "repo", cwd=repository)
    assert run.returncode == 2
    assert message in run.stderr
    assert run.stdout == ""


def test_without_a_playground_it_says_how_to_get_one(tmp_path: Path):
    run = explain("http://reviews:9080/", "--playground-dir", str(tmp_path), cwd=tmp_path)
    assert run.returncode == 2
    assert "gitmesh play" in run.stderr


def test_files_without_traffic_configuration_are_refused(tmp_path: Path):
    (tmp_path / "empty.yaml").write_text("")
    run = explain("http://reviews:9080/", "--repo", "empty.yaml", cwd=tmp_path)
    assert (run.returncode, "holds no traffic configuration" in run.stderr) == (2, True)


def test_the_running_playground_answers_as_it_is_now(play: Play, tmp_path: Path):
    asked = ("GET", "http://reviews:9080/reviews/7", "--from", "productpage", "--format", "json")
    run = explain(*asked, "--playground-dir", str(play.directory), cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["caller"]["labels"] == {"app": "productpage", "version": "v1"}
    assert found["outcome"]["destinations"][0]["host"] == "reviews.default.svc.cluster.local"
    assert found["envoy"]["virtualHost"] == "reviews.default.svc.cluster.local:9080"
    assert found["differences"] == []


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_looks_like_a_secret_is_explained_without_its_value(repository: Path, form: str):
    secret = "s3cr3t-v4lue"
    route = "rewrite: {uri: /v2/pay}"
    header = f"headers: {{request: {{set: {{x-api-key: {secret}}}}}}}"
    text = CHECKOUT.replace(route, f"{route}\n      {header}")
    text = text.replace("uri: {prefix: /pay}", f"x-auth-token: {{exact: {secret}}}")
    (repository / "repo" / "checkout.yaml").write_text(
        text.replace("end-user: {exact: jason}", f"end-user: {{exact: jason}}, x-token: {{exact: {secret}}}")
        .replace(f"          x-auth-token: {{exact: {secret}}}\n", "")
    )  # fmt: skip
    for headers in ([], ["-H", f"x-token: {secret}"]):
        asked = ("http://checkout.shop:8080/pay", "-H", "end-user: jason", *headers)
        run = explain(*asked, "--repo", "repo", f"--format={form}", cwd=repository)
        assert (run.returncode, run.stderr) == (0, "")
        assert secret not in run.stdout
        assert "***" in run.stdout
