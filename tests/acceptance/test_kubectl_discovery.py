"""What kubectl learns from the playground, and what the playground refuses: kinds, schemas, typos, tokens."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.apiserver import ApiServer, an_api_server
from tests.fakes.kubectl import Kubectl, each_kubectl

pytestmark = [pytest.mark.real, each_kubectl()]

TYPO = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  hots: reviews
  subsets:
  - {name: v1, lables: {version: v1}}
"""
WIDGETS = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, minimum: 1}
              colour: {type: string, default: blue}
"""
WIDGET = "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: one}\nspec: {size: 3}\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with an_api_server(tmp_path_factory.mktemp("apiserver")) as running:
        yield running


@pytest.fixture
def kubectl(binary: str, server: ApiServer, tmp_path: Path) -> Kubectl:
    return Kubectl(binary, server.kubeconfig, tmp_path)


def test_the_kinds_are_listed_with_their_short_names(kubectl: Kubectl):
    listed = kubectl.ok("api-resources", "--no-headers")
    rows = {line.split()[0]: line.split() for line in listed.splitlines()}
    assert "vs" in rows["virtualservices"]
    assert {"trafficsources", "trafficrollouts", "namespaces", "services", "pods", "events", "leases"} <= set(
        rows
    )
    assert "networking.istio.io/v1beta1" in kubectl.ok("api-versions")
    assert "virtualservices" in kubectl.ok("api-resources", "--api-group=networking.istio.io", "-o", "name")


def test_the_built_in_definitions_are_definitions_like_any_other(kubectl: Kubectl):
    names = kubectl.ok("get", "crds", "-o", "name")
    assert "customresourcedefinition.apiextensions.k8s.io/virtualservices.networking.istio.io" in names
    kubectl.ok("wait", "--for=condition=Established", "crd/trafficsources.gitmesh.dev", "--timeout=5s")


def test_explain_knows_the_fields(kubectl: Kubectl):
    shown = kubectl.ok("explain", "virtualservice.spec.http")
    assert "route" in shown
    assert "timeout" in shown
    assert "<string>" in shown
    assert "url" in kubectl.ok("explain", "trafficsource.spec")
    assert "does not exist" in kubectl.fails("explain", "virtualservice.spec.htpp")


def test_a_typo_is_refused_by_name(kubectl: Kubectl):
    refused = kubectl.fails("apply", "-f", "-", text=TYPO)
    assert "hots" in refused
    assert "lables" in refused
    assert "not found" in kubectl.fails("get", "destinationrule", "reviews")


def test_a_wrong_value_is_refused_by_the_server(kubectl: Kubectl):
    wrong = TYPO.replace("hots", "host").replace("lables: {version: v1}", "labels: {version: v1}")
    wrong = wrong.replace(
        "host: reviews", "host: reviews\n  trafficPolicy: {loadBalancer: {simple: SLOWEST}}"
    )
    refused = kubectl.fails("apply", "--validate=false", "-f", "-", text=wrong)
    assert "spec.trafficPolicy.loadBalancer.simple" in refused
    assert "is invalid" in refused


def test_a_wrong_token_is_refused(kubectl: Kubectl, server: ApiServer, tmp_path: Path):
    text = server.kubeconfig.read_text().replace(server.token, "wrong")
    (tmp_path / "wrong").write_text(text)
    stranger = Kubectl(kubectl.binary, tmp_path / "wrong", tmp_path)
    refused = stranger.fails("get", "vs")
    assert "Unauthorized" in refused or "must be logged in" in refused


def test_a_new_definition_serves_a_new_kind_at_once(kubectl: Kubectl):
    assert "created" in kubectl.ok("apply", "-f", "-", text=WIDGETS)
    kubectl.ok("wait", "--for=condition=Established", "crd/widgets.example.org", "--timeout=5s")
    kubectl.ok("apply", "-f", "-", text=WIDGET)
    header, row = kubectl.ok("get", "wd").splitlines()
    assert header.split() == ["NAME", "SIZE"]
    assert row.split() == ["one", "3"]
    assert kubectl.ok("get", "wd", "one", "-o", "jsonpath={.spec.colour}") == "blue"
    refused = kubectl.fails("apply", "--validate=false", "-f", "-", text=WIDGET.replace("3", "0"))
    assert "spec.size" in refused
    assert "size" in kubectl.ok("explain", "widget.spec")
    kubectl.ok("delete", "crd", "widgets.example.org")
    gone = kubectl.fails("get", "--raw", "/apis/example.org/v1/widgets")
    assert "could not find the requested resource" in gone


def test_the_short_create_commands_work(kubectl: Kubectl):
    name = f"t-{uuid.uuid4().hex[:8]}"
    kubectl.ok("create", "namespace", name)
    kubectl.ok("create", "configmap", "settings", "--from-literal=colour=blue", "-n", name)
    kubectl.ok("create", "secret", "generic", "git", "--from-literal=password=hush", "-n", name)
    assert kubectl.ok("get", "cm", "settings", "-n", name, "-o", "jsonpath={.data.colour}") == "blue"
    assert kubectl.ok("get", "secret", "git", "-n", name, "-o", "jsonpath={.data.password}") == "aHVzaA=="
    assert "Active" in kubectl.ok("describe", "namespace", name)
    assert kubectl.ok("auth", "can-i", "delete", "virtualservices").strip() == "yes"
    kubectl.ok("delete", "namespace", name)


def test_the_default_namespace_stays(kubectl: Kubectl):
    assert "may not be deleted" in kubectl.fails("delete", "namespace", "default")


def test_a_list_longer_than_a_page_is_whole(kubectl: Kubectl):
    name = f"t-{uuid.uuid4().hex[:8]}"
    item = {"apiVersion": "v1", "kind": "ConfigMap"}
    items = [{**item, "metadata": {"name": f"c-{i}"}} for i in range(25)]
    kubectl.ok("create", "namespace", name)
    kubectl.ok(
        "create", "-n", name, "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    )
    assert len(kubectl.ok("get", "cm", "-n", name, "--chunk-size=10", "-o", "name").split()) == 25


def test_the_version_and_health_are_told(kubectl: Kubectl):
    assert "gitmesh-playground" in kubectl.ok("version", "-o", "json")
    assert kubectl.ok("get", "--raw", "/readyz") == "ok"
    assert "is running at" in kubectl.ok("cluster-info")
