"""A person at work with kubectl on the playground: reads, writes, compares, waits. With every kubectl."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fakes.apiserver import ApiServer, an_api_server
from tests.fakes.kubectl import Kubectl, each_kubectl

pytestmark = [pytest.mark.real, each_kubectl()]

REVIEWS = """\
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: reviews
  labels: {app: reviews}
spec:
  hosts: [reviews]
  http:
  - route:
    - destination: {host: reviews, subset: v1}
      weight: 75
    - destination: {host: reviews, subset: v2}
      weight: 25
"""
HALVES = REVIEWS.replace("75", "50").replace("25", "50")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with an_api_server(tmp_path_factory.mktemp("apiserver")) as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def kubectl(binary: str, server: ApiServer, home: Path) -> Kubectl:
    """kubectl in a namespace of its own."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    manifest = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"
    Kubectl(binary, server.kubeconfig, home).ok("create", "-f", "-", text=manifest)
    return Kubectl(binary, server.kubeconfig, home, name)


def weights(kubectl: Kubectl) -> list[int]:
    path = "jsonpath={.spec.http[0].route[*].weight}"
    return [int(word) for word in kubectl.ok("get", "vs", "reviews", "-o", path).split()]


def test_apply_creates_then_says_unchanged_then_configures(kubectl: Kubectl):
    assert "created" in kubectl.ok("apply", "-f", "-", text=REVIEWS)
    assert "unchanged" in kubectl.ok("apply", "-f", "-", text=REVIEWS)
    assert "configured" in kubectl.ok("apply", "-f", "-", text=HALVES)
    assert weights(kubectl) == [50, 50]


def test_get_shows_the_columns_of_istio(kubectl: Kubectl):
    kubectl.ok("apply", "-f", "-", text=REVIEWS)
    header, row = kubectl.ok("get", "virtualservices").splitlines()
    assert header.split() == ["NAME", "GATEWAYS", "HOSTS", "AGE"]
    assert row.split()[:2] == ["reviews", '["reviews"]']
    everywhere = kubectl.ok("get", "vs", "-A", "-l", "app=reviews")
    assert [kubectl.namespace, "reviews"] in [line.split()[:2] for line in everywhere.splitlines()]
    assert "No resources found" in kubectl.run("get", "vs", "-l", "app!=reviews").all
    assert kubectl.ok("get", "vs", "-o", "name").strip() == "virtualservice.networking.istio.io/reviews"
    assert "reviews" in kubectl.ok("get", "vs", "--field-selector", "metadata.name=reviews")
    assert "AGE" in kubectl.ok("get", "vs", "--sort-by", ".metadata.name")


def test_every_served_version_shows_the_same_object(kubectl: Kubectl):
    kubectl.ok("apply", "-f", "-", text=REVIEWS)
    shown = [
        json.loads(
            kubectl.ok("get", f"virtualservices.{version}.networking.istio.io", "reviews", "-o", "json")
        )
        for version in ("v1", "v1beta1", "v1alpha3")
    ]
    assert [body["apiVersion"].rpartition("/")[2] for body in shown] == ["v1", "v1beta1", "v1alpha3"]
    assert shown[0]["spec"] == shown[1]["spec"] == shown[2]["spec"]
    assert shown[0]["metadata"]["uid"] == shown[2]["metadata"]["uid"]


def test_get_as_yaml_can_be_applied_again(kubectl: Kubectl):
    kubectl.ok("apply", "-f", "-", text=REVIEWS)
    shown = kubectl.ok("get", "vs", "reviews", "-o", "yaml")
    assert "kind: VirtualService" in shown
    assert "weight: 75" in shown
    assert "replaced" in kubectl.ok("replace", "-f", "-", text=shown)
    assert weights(kubectl) == [75, 25]


def test_replace_of_an_older_version_is_refused(kubectl: Kubectl):
    kubectl.ok("create", "-f", "-", text=REVIEWS)
    old = kubectl.ok("get", "vs", "reviews", "-o", "yaml")
    kubectl.ok("label", "vs", "reviews", "team=books")
    refused = kubectl.fails("replace", "-f", "-", text=old)
    assert "the object has been modified" in refused


def test_describe_shows_spec_and_events(kubectl: Kubectl):
    kubectl.ok("apply", "-f", "-", text=REVIEWS)
    uid = kubectl.ok("get", "vs", "reviews", "-o", "jsonpath={.metadata.uid}")
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": "reviews.", "namespace": kubectl.namespace},
        "involvedObject": {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "name": "reviews",
            "namespace": kubectl.namespace,
            "uid": uid,
        },
        "type": "Warning",
        "reason": "RolledBack",
        "message": "7.5 % errors, limit 5 %",
        "source": {"component": "gitmesh"},
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "count": 3,
    }
    kubectl.ok("create", "-f", "-", text=json.dumps(event))
    shown = kubectl.ok("describe", "vs", "reviews")
    assert "Weight:" in shown
    assert "RolledBack" in shown
    assert "7.5 % errors, limit 5 %" in shown
    listed = kubectl.ok("get", "events")
    assert "virtualservice/reviews" in listed
    assert "No resources found" in kubectl.run("get", "events", "--field-selector", "type=Normal").all


def test_server_side_apply_names_the_manager_that_it_conflicts_with(kubectl: Kubectl):
    kubectl.ok("apply", "--server-side", "--field-manager", "gitmesh", "-f", "-", text=REVIEWS)
    refused = kubectl.fails("apply", "--server-side", "-f", "-", text=HALVES)
    assert 'conflict with "gitmesh"' in refused
    assert ".spec.http" in refused
    assert weights(kubectl) == [75, 25]
    kubectl.ok("apply", "--server-side", "--force-conflicts", "-f", "-", text=HALVES)
    assert weights(kubectl) == [50, 50]
    back = kubectl.fails("apply", "--server-side", "--field-manager", "gitmesh", "-f", "-", text=REVIEWS)
    assert 'conflict with "kubectl"' in back


def test_server_side_apply_takes_over_what_apply_wrote(kubectl: Kubectl):
    kubectl.ok("apply", "-f", "-", text=REVIEWS)
    kubectl.ok("apply", "--server-side", "--force-conflicts", "-f", "-", text=HALVES)
    assert weights(kubectl) == [50, 50]


@pytest.mark.parametrize("side", [(), ("--server-side",)], ids=["client", "server"])
def test_diff_shows_the_difference_and_changes_nothing(kubectl: Kubectl, side: tuple[str, ...]):
    kubectl.ok("apply", *side, "-f", "-", text=REVIEWS)
    assert kubectl.run("diff", *side, "-f", "-", text=REVIEWS).status == 0
    differs = kubectl.run("diff", *side, "-f", "-", text=HALVES)
    assert differs.status == 1, differs.all
    assert "-      weight: 75" in differs.out
    assert "+      weight: 50" in differs.out
    assert weights(kubectl) == [75, 25]


def test_edit_stores_what_the_editor_leaves(kubectl: Kubectl):
    kubectl.ok("apply", "-f", "-", text=REVIEWS)
    kubectl.ok(
        "edit",
        "vs",
        "reviews",
        KUBE_EDITOR="sed -i -e s/weight:.75/weight:\\ 60/ -e s/weight:.25/weight:\\ 40/",
    )
    assert weights(kubectl) == [60, 40]


def test_labels_and_annotations_come_and_go(kubectl: Kubectl):
    kubectl.ok("apply", "-f", "-", text=REVIEWS)
    kubectl.ok("label", "vs", "reviews", "team=books")
    kubectl.ok("annotate", "vs", "reviews", "note=first")
    assert "already has a value" in kubectl.fails("annotate", "vs", "reviews", "note=second")
    kubectl.ok("annotate", "--overwrite", "vs", "reviews", "note=second")
    kubectl.ok("label", "vs", "reviews", "app-")
    metadata = json.loads(kubectl.ok("get", "vs", "reviews", "-o", "json"))["metadata"]
    assert metadata["labels"] == {"team": "books"}
    assert metadata["annotations"]["note"] == "second"
    assert metadata["generation"] == 1


def test_patch_merges_or_follows_instructions(kubectl: Kubectl):
    kubectl.ok("apply", "-f", "-", text=REVIEWS)
    kubectl.ok("patch", "vs", "reviews", "--type=merge", "-p", '{"spec": {"exportTo": ["."]}}')
    instruction = '[{"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 70}]'
    kubectl.ok("patch", "vs", "reviews", "--type=json", "-p", instruction)
    assert kubectl.ok("get", "vs", "reviews", "-o", "jsonpath={.spec.exportTo[0]}") == "."
    assert weights(kubectl) == [70, 25]
    wrong = '[{"op": "test", "path": "/spec/http/0/route/0/weight", "value": 1}]'
    kubectl.fails("patch", "vs", "reviews", "--type=json", "-p", wrong)
    refused = kubectl.fails("patch", "vs", "reviews", "-p", '{"spec": {"exportTo": ["*"]}}')
    assert "accepted media types include: application/json-patch+json" in refused


def test_a_built_in_kind_takes_a_strategic_patch(kubectl: Kubectl):
    service = """\
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec:
  selector: {app: reviews}
  ports:
  - {name: http, port: 9080}
  - {name: admin, port: 9090}
"""
    kubectl.ok("apply", "-f", "-", text=service)
    kubectl.ok(
        "patch", "service", "reviews", "-p", '{"spec": {"ports": [{"port": 9090, "name": "metrics"}]}}'
    )
    names = kubectl.ok("get", "svc", "reviews", "-o", "jsonpath={.spec.ports[*].name}").split()
    assert sorted(names) == ["http", "metrics"]
    kubectl.ok("apply", "-f", "-", text=service.replace("9080", "9081"))
    header, row = kubectl.ok("get", "svc").splitlines()
    assert header.split() == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert "9081/TCP" in row


def test_delete_is_awaited(kubectl: Kubectl):
    kubectl.ok("apply", "-f", "-", text=REVIEWS)
    with in_the_background(kubectl, "wait", "-v=6", "--for=delete", "vs/reviews", "--timeout=15s") as waiting:
        waiting.line_with("watch=true")
        assert "deleted" in kubectl.ok("delete", "vs", "reviews")
        assert waiting.wait() == 0
    assert "not found" in kubectl.fails("get", "vs", "reviews")
    assert kubectl.ok("delete", "vs", "reviews", "--ignore-not-found") == ""


def test_a_condition_is_awaited(kubectl: Kubectl):
    kubectl.ok("create", "-f", "-", text=REVIEWS)
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    with in_the_background(
        kubectl, "wait", "--for=condition=Ready", "vs/reviews", "--timeout=15s"
    ) as waiting:
        path = f"/apis/networking.istio.io/v1/namespaces/{kubectl.namespace}/virtualservices/reviews"
        body = json.loads(kubectl.ok("get", "--raw", path))
        kubectl.ok(
            "replace", "--raw", f"{path}/status", "-f", "-", text=json.dumps({**body, "status": ready})
        )
        assert waiting.wait() == 0
    timeout = kubectl.fails("wait", "--for=condition=Stalled", "vs/reviews", "--timeout=1s")
    assert "timed out" in timeout


def test_get_with_watch_prints_each_change(kubectl: Kubectl):
    kubectl.ok("create", "-f", "-", text=REVIEWS)
    with in_the_background(
        kubectl, "get", "vs", "-w", "-o", 'jsonpath={.spec.http[0].route[0].weight}{"\\n"}'
    ) as watching:
        assert watching.line() == "75"
        kubectl.ok("apply", "-f", "-", text=HALVES)
        assert watching.line() == "50"
    with in_the_background(kubectl, "get", "vs", "-w") as watching:
        assert watching.line().split()[:2] == ["NAME", "GATEWAYS"]
        assert watching.line().split()[0] == "reviews"
        kubectl.ok("patch", "vs", "reviews", "--type=merge", "-p", '{"spec": {"hosts": ["ratings"]}}')
        assert '["ratings"]' in watching.line()


def test_deleting_all_of_a_kind_and_a_whole_namespace(kubectl: Kubectl):
    kubectl.ok("apply", "-f", "-", text=REVIEWS)
    kubectl.ok("apply", "-f", "-", text=REVIEWS.replace("name: reviews", "name: ratings"))
    assert kubectl.ok("delete", "vs", "--all").count("deleted") == 2
    kubectl.ok("apply", "-f", "-", text=REVIEWS)
    kubectl.ok("delete", "namespace", kubectl.namespace)
    assert "not found" in kubectl.fails("get", "namespace", kubectl.namespace)
    assert "not found" in kubectl.fails("apply", "-f", "-", text=REVIEWS)


class Background:
    """A command that runs on: its lines and its end, with a bound on how long is waited."""

    SECONDS = 20

    def __init__(self, kubectl: Kubectl, arguments: tuple[str, ...]) -> None:
        self.process = kubectl.start(*arguments)

    def line(self) -> str:
        # Closing the process ends a readline that would wait for ever.
        timer = threading.Timer(self.SECONDS, self.process.kill)
        timer.start()
        try:
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        assert line, "the command ended, or printed nothing in time"
        return line.strip()

    def line_with(self, text: str) -> str:
        while text not in (line := self.line()):
            continue
        return line

    def wait(self) -> int:
        return self.process.wait(timeout=self.SECONDS)


@contextmanager
def in_the_background(kubectl: Kubectl, *arguments: str) -> Iterator[Background]:
    running = Background(kubectl, arguments)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()
        assert running.process.stdout is not None
        running.process.stdout.close()
