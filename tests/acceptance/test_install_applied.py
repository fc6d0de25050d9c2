"""`kubectl apply -k` of what is installed, on an API server, with every kubectl: once, again, and away."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.apiserver import ApiServer, an_api_server
from tests.fakes.kubectl import Kubectl, each_kubectl

pytestmark = [pytest.mark.real, each_kubectl()]

MANIFESTS = Path(__file__).parents[2] / "manifests"
# The playground serves what a mesh needs. A cluster serves these too; here they are taken as they are.
ALSO_SERVED = {
    "Deployment": ("apps", "v1", "deployments", True),
    "PodDisruptionBudget": ("policy", "v1", "poddisruptionbudgets", True),
    "NetworkPolicy": ("networking.k8s.io", "v1", "networkpolicies", True),
    "ClusterRole": ("rbac.authorization.k8s.io", "v1", "clusterroles", False),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io", "v1", "clusterrolebindings", False),
    "Role": ("rbac.authorization.k8s.io", "v1", "roles", True),
    "RoleBinding": ("rbac.authorization.k8s.io", "v1", "rolebindings", True),
    "ServiceMonitor": ("monitoring.coreos.com", "v1", "servicemonitors", True),
    "PrometheusRule": ("monitoring.coreos.com", "v1", "prometheusrules", True),
}


def definition(kind: str) -> dict[str, Any]:
    group, version, plural, namespaced = ALSO_SERVED[kind]
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural},
            "scope": "Namespaced" if namespaced else "Cluster",
            "versions": [
                {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }


@pytest.fixture
def kubectl(binary: str, tmp_path: Path) -> Iterator[Kubectl]:
    """kubectl on a server of its own, which also serves what a cluster does."""
    with an_api_server(tmp_path / "apiserver") as server:
        yield served(binary, server, tmp_path / "home")


def served(binary: str, server: ApiServer, home: Path) -> Kubectl:
    kubectl = Kubectl(binary, server.kubeconfig, home)
    text = json.dumps(
        {"apiVersion": "v1", "kind": "List", "items": [definition(kind) for kind in ALSO_SERVED]}
    )
    kubectl.ok("apply", "-f", "-", text=text)
    for group, _, plural, _ in ALSO_SERVED.values():
        kubectl.ok("wait", "--for=condition=Established", f"crd/{plural}.{group}")
    return kubectl


def ok(kubectl: Kubectl, *arguments: str, text: str = "") -> str:
    """Run it as a person does, without a namespace: the objects name theirs."""
    command, env = [kubectl.binary, *arguments], kubectl.environment
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def outcomes(said: str) -> set[str]:
    return {line.rpartition(" ")[2] for line in said.splitlines()}


def got(kubectl: Kubectl, *arguments: str) -> Any:
    return json.loads(ok(kubectl, "get", *arguments, "-o", "json"))


def test_one_command_installs_again_changes_nothing_and_another_one_removes(kubectl: Kubectl):
    install = str(MANIFESTS / "install")
    assert outcomes(ok(kubectl, "apply", "-k", install)) <= {"created", "configured"}
    # A newer kubectl sends a strategic merge patch for the selector of a PodDisruptionBudget each time. A
    # custom resource, which it is here, takes none.
    whole = ok(kubectl, "kustomize", install).split("\n---\n")
    rest = "\n---\n".join(document for document in whole if "PodDisruptionBudget" not in document)
    again = ok(kubectl, "apply", "-f", "-", text=rest)
    assert outcomes(again) == {"unchanged"}, again
    in_namespace = ("-n", "gitmesh-system")
    deployment = got(kubectl, *in_namespace, "deployment", "gitmesh")
    assert deployment["spec"]["replicas"] == 2
    for kind in ("service", "networkpolicy", "poddisruptionbudget", "serviceaccount"):
        assert got(kubectl, *in_namespace, kind, "gitmesh")["metadata"]["name"] == "gitmesh"
    assert got(kubectl, "clusterrole", "gitmesh")["rules"]
    assert "NAME" not in ok(kubectl, "get", "trafficsources", "-A")
    ok(kubectl, "delete", "-k", install, "--ignore-not-found", "--wait=false")
    assert got(kubectl, "clusterroles")["items"] == []


def test_the_variant_for_one_namespace_installs_no_right_for_the_cluster(kubectl: Kubectl):
    ok(kubectl, "apply", "-k", str(MANIFESTS / "install-namespaced"))
    assert got(kubectl, "clusterroles")["items"] == []
    assert got(kubectl, "clusterrolebindings")["items"] == []
    assert got(kubectl, "-n", "default", "role", "gitmesh")["rules"]
    assert got(kubectl, "-n", "default", "rolebinding", "gitmesh")["roleRef"]["kind"] == "Role"


def test_the_monitoring_is_installed_beside_it(kubectl: Kubectl):
    ok(kubectl, "apply", "-k", str(MANIFESTS / "install"))
    assert outcomes(ok(kubectl, "apply", "-k", str(MANIFESTS / "monitoring"))) == {"created"}
    assert outcomes(ok(kubectl, "apply", "-k", str(MANIFESTS / "monitoring"))) == {"unchanged"}
    assert got(kubectl, "-n", "gitmesh-system", "servicemonitor", "gitmesh")["spec"]["endpoints"]
