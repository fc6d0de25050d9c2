"""The manifests of the installation against the code that they install."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import click
import kubernetes.client
import pytest
from fakes.manifests import ROOT, built, documents

from gitmesh import __version__
from gitmesh.cli.config import check
from gitmesh.cli.main import cli
from gitmesh.model import kinds
from gitmesh.model.config import Config
from gitmesh.model.kinds import (
    DESTINATION_RULE,
    LEASE,
    NETWORKING,
    TRAFFIC_KINDS,
    TRAFFIC_ROLLOUT,
    TRAFFIC_SOURCE,
    VIRTUAL_SERVICE,
    Kind,
)
from gitmesh.observe.live import CACHED_KINDS
from gitmesh.parse.settings import read_environment
from gitmesh.plan.foundations import FOUNDATION_KINDS

INSTALL = ROOT / "manifests" / "install"

# What the API server's authorizer calls each method of `ClusterClient`. Server-side apply is a patch, and
# also a create where the object is new.
# Source: kubernetes.io, Authorization, "Request verbs"; Server-Side Apply, "Authorization".
VERBS = {
    "list": {"list"},
    "watch": {"watch"},
    "get": {"get"},
    "apply": {"patch", "create"},
    "create": {"create"},
    "replace": {"update"},
    "merge_patch": {"patch"},
    "delete": {"delete"},
}
# Calls whose kind is a variable: file -> the kinds that it can be.
VARIABLE_KINDS: dict[str, tuple[Kind, ...]] = {
    "apply/executor.py": TRAFFIC_KINDS,
    "apply/hurry.py": TRAFFIC_KINDS,
    "apply/answered.py": TRAFFIC_KINDS,
    "apply/records.py": (TRAFFIC_SOURCE, TRAFFIC_ROLLOUT),
    "apply/takeover.py": TRAFFIC_KINDS,
    "engine/ground.py": (),  # what manifests/foundations grants
    "engine/requests.py": (VIRTUAL_SERVICE, DESTINATION_RULE, TRAFFIC_ROLLOUT),
    "kube/reflector.py": CACHED_KINDS,
}
# What a source with `spec.foundations` needs is in a component of its own.
FOUNDATIONS = ROOT / "manifests" / "foundations"
# `gitmesh run --repo` creates a TrafficSource, and `gitmesh validate --cluster` reads, with a person's own
# rights; the Deployment does neither.
NOT_IN_CLUSTER = {"apply/foundations.py", "apply/sources.py", "observe/context.py", "observe/definitions.py"}
BY_CONSTANT = {name: value for name, value in vars(kinds).items() if isinstance(value, Kind)}

Permission = tuple[str, str, str]  # group, plural (with subresource), verb


def everything() -> list[dict[str, Any]]:
    return [d for path in sorted(INSTALL.glob("*.yaml")) for d in documents(path)]


def the(kind: str, name: str = "gitmesh") -> dict[str, Any]:
    (found,) = [d for d in everything() if (d["kind"], d.get("metadata", {}).get("name")) == (kind, name)]
    return found


def calls() -> Iterator[tuple[str, str, str]]:
    """Yield (file, method, first argument) of every call on a cluster client in the daemon's packages."""
    for package in ("apply", "observe", "notify", "engine", "kube"):
        for path in sorted((ROOT / "gitmesh" / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                    continue
                if node.func.attr not in {*VERBS, "replace_status"}:
                    continue
                if not re.fullmatch(r"(.*\.)?_?(client|cluster)", ast.unparse(node.func.value)):
                    continue
                if node.args and not isinstance(node.args[0], ast.Constant):
                    name = str(path.relative_to(ROOT / "gitmesh"))
                    yield name, node.func.attr, ast.unparse(node.args[0])


def needed() -> set[Permission]:
    permissions: set[Permission] = set()
    for file, method, argument in calls():
        if file in NOT_IN_CLUSTER:
            continue
        asked = (BY_CONSTANT[argument],) if argument in BY_CONSTANT else VARIABLE_KINDS.get(file)
        assert asked is not None, (
            f"{file}: {method}({argument}) is new; say in VARIABLE_KINDS which kinds it is for"
        )
        for kind in asked:
            if method == "replace_status":
                permissions.add((kind.group, f"{kind.plural}/status", "update"))
            else:
                permissions |= {(kind.group, kind.plural, verb) for verb in VERBS[method]}
    return permissions


def granted(role: dict[str, Any]) -> set[Permission]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def all_granted() -> set[Permission]:
    return granted(the("ClusterRole")) | granted(the("Role", "gitmesh-leader-election"))


def container() -> dict[str, Any]:
    (found,) = the("Deployment")["spec"]["template"]["spec"]["containers"]
    return found


def parsed_run(args: list[str]) -> dict[str, Any]:
    """Let the real command read its options, without running it."""
    group = click.Context(cli, info_name="gitmesh", auto_envvar_prefix="GITMESH")
    command = cli.get_command(group, args[0])
    assert command is not None
    return dict(command.make_context(args[0], args[1:], parent=group).params)


def test_every_document_names_what_it_is():
    for document in everything():
        assert document["apiVersion"]
        assert document["kind"]
        assert document["kind"] == "Kustomization" or document["metadata"]["name"]


def test_kustomization_lists_every_file_and_no_other():
    (kustomization,) = documents(INSTALL / "kustomization.yaml")
    there = {path.name for path in INSTALL.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == there


def test_the_daemon_may_do_what_its_code_does():
    assert needed() - all_granted() == set()


def test_the_daemon_may_do_no_more_than_its_code_does():
    assert all_granted() - needed() == set()


def test_foundations_may_be_watched_and_applied_by_the_component_for_them_and_never_deleted():
    role, binding = documents(FOUNDATIONS / "rbac.yaml")
    verbs = VERBS["get"] | VERBS["watch"] | VERBS["apply"]
    assert granted(role) == {(k.group, k.plural, verb) for k in FOUNDATION_KINDS for verb in verbs}
    assert binding["subjects"] == the("ClusterRoleBinding")["subjects"]
    (component,) = documents(FOUNDATIONS / "kustomization.yaml")
    assert (component["kind"], component["resources"]) == ("Component", ["rbac.yaml"])


def test_every_traffic_kind_can_be_changed_and_nothing_is_a_wildcard():
    permissions = all_granted()
    for kind in TRAFFIC_KINDS:
        verbs = {
            verb for group, resource, verb in permissions if (group, resource) == (NETWORKING, kind.plural)
        }
        assert verbs == {"get", "list", "watch", "create", "patch", "delete"}
    assert not any("*" in part for permission in permissions for part in permission)


def test_leases_are_granted_in_the_daemons_namespace_only():
    assert not any(group == LEASE.group for group, _, _ in granted(the("ClusterRole")))
    role = the("Role", "gitmesh-leader-election")
    assert role["metadata"]["namespace"] == "gitmesh-system"


def test_both_bindings_are_for_the_account_that_the_pod_uses():
    account = the("Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    for binding in (the("ClusterRoleBinding"), the("RoleBinding", "gitmesh-leader-election")):
        (subject,) = binding["subjects"]
        assert (subject["kind"], subject["name"]) == ("ServiceAccount", account)
        assert subject["namespace"] == "gitmesh-system"
    assert the("ServiceAccount")["metadata"]["name"] == account


def test_the_deployments_arguments_are_options_of_the_command():
    options = parsed_run(container()["args"])
    assert options["leader_election"] is True
    assert options["listen"] == "0.0.0.0:8080"
    assert options["log_format"] == "json"


def test_the_deployments_environment_is_read_by_the_command(monkeypatch: pytest.MonkeyPatch):
    environment = {item["name"]: item["value"] for item in container()["env"] if "value" in item}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert parsed_run(container()["args"])["prometheus"] == environment["GITMESH_RUN_PROMETHEUS"]


def test_the_mounted_configuration_is_right_and_the_one_that_the_command_reads():
    (name, text), *others = the("ConfigMap", "gitmesh-config")["data"].items()
    assert (check(name, text.encode()), others) == ((), [])
    volumes = {v["name"]: v for v in the("Deployment")["spec"]["template"]["spec"]["volumes"]}
    mounts = {m["mountPath"]: volumes[m["name"]] for m in container()["volumeMounts"]}
    file = parsed_run(container()["args"])["config_file"]
    assert file.name == name
    assert mounts[str(file.parent)]["configMap"]["name"] == "gitmesh-config"
    assert not any("subPath" in mount for mount in container()["volumeMounts"]), "such a file never changes"


def test_the_pod_tells_the_daemon_which_pod_it_is():
    given = [item for item in container()["env"] if "valueFrom" in item]
    assert {item["name"]: item["valueFrom"]["fieldRef"]["fieldPath"] for item in given} == {
        "POD_NAME": "metadata.name",
        "POD_NAMESPACE": "metadata.namespace",
        "POD_UID": "metadata.uid",
    }


def test_probes_ask_for_paths_that_the_daemon_serves():
    served = (ROOT / "gitmesh" / "web" / "health.py").read_text()
    (port,) = container()["ports"]
    assert parsed_run(container()["args"])["listen"].endswith(f":{port['containerPort']}")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        request = container()[probe]["httpGet"]
        assert request["port"] == port["name"]
        assert f'Route("{request["path"]}"' in served


def test_the_pod_has_no_right_that_it_does_not_need():
    pod, main = the("Deployment")["spec"]["template"]["spec"], container()["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert main["allowPrivilegeEscalation"] is False
    assert main["readOnlyRootFilesystem"] is True
    assert main["capabilities"] == {"drop": ["ALL"]}


def test_what_the_daemon_writes_is_on_a_volume():
    volumes = {v["name"]: v for v in the("Deployment")["spec"]["template"]["spec"]["volumes"]}
    mounts = {m["mountPath"]: volumes[m["name"]] for m in container()["volumeMounts"]}
    assert "emptyDir" in mounts[str(parsed_run(container()["args"])["data_dir"])]
    assert "emptyDir" in mounts["/tmp"]


def test_documents_put_secrets_where_the_pods_have_them():
    mounts = {m["mountPath"] for m in container()["volumeMounts"]}
    named = {
        found
        for page in (ROOT / "docs").glob("*.md")
        for found in re.findall(r"/etc/[\w./-]*\w", page.read_text())
    }
    assert "/etc/gitmesh-secrets/slack-token" in named
    # Nothing can be mounted below a ConfigMap: it is read-only.
    assert {name for name in named if name.startswith("/etc/gitmesh/")} == {"/etc/gitmesh/config.yaml"}
    assert {"/".join(name.split("/")[:3]) for name in named if "gitmesh" in name} <= mounts


def test_two_replicas_survive_an_eviction():
    deployment, budget = the("Deployment")["spec"], the("PodDisruptionBudget")["spec"]
    assert deployment["replicas"] == 2
    assert budget["minAvailable"] == 1
    assert budget["selector"] == deployment["selector"]
    assert (
        deployment["selector"]["matchLabels"].items() <= deployment["template"]["metadata"]["labels"].items()
    )


def test_the_image_carries_the_version_of_the_package():
    (kustomization,) = documents(INSTALL / "kustomization.yaml")
    assert container()["image"] == f"gitmesh-controller:{__version__}"
    assert kustomization["images"] == [{"name": "gitmesh-controller", "newTag": __version__}]


def test_the_crds_are_those_that_the_daemon_watches():
    names = defaultdict(set)
    for document in everything():
        if document["kind"] == "CustomResourceDefinition":
            names[document["spec"]["group"]].add(document["spec"]["names"]["plural"])
    assert names[TRAFFIC_SOURCE.group] == {TRAFFIC_SOURCE.plural, TRAFFIC_ROLLOUT.plural}


def test_the_pod_meets_the_restricted_standard():
    """Source: kubernetes.io, Pod Security Standards, "Restricted", every control of it."""
    pod = the("Deployment")["spec"]["template"]["spec"]
    labels = the("Namespace", "gitmesh-system")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostAliases"} & pod.keys()
    assert all(set(volume) - {"name"} <= {"configMap", "emptyDir", "secret"} for volume in pod["volumes"])
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] != 0
    assert security["seccompProfile"]["type"] in ("RuntimeDefault", "Localhost")
    assert not {"sysctls", "seLinuxOptions", "windowsOptions", "appArmorProfile"} & security.keys()
    for one in (*pod["containers"], *pod.get("initContainers", ())):
        context = one["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert not {"privileged", "procMount", "seLinuxOptions"} & context.keys()
        assert all("hostPort" not in port for port in one.get("ports", ()))


def test_the_network_policy_lets_in_what_asks_and_out_what_the_daemon_asks():
    policy = the("NetworkPolicy")["spec"]
    labels = the("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    served = {port["containerPort"] for port in container()["ports"]}
    assert {p["port"] for rule in policy["ingress"] for p in rule["ports"]} == served
    out = {(p["protocol"], p["port"]) for rule in policy["egress"] for p in rule["ports"]}
    environment = {item["name"]: item.get("value") for item in container()["env"]}
    prometheus = urlsplit(environment["GITMESH_RUN_PROMETHEUS"]).port
    assert out == {("UDP", 53), *(("TCP", port) for port in (53, 443, 6443, 22, prometheus))}


def test_the_service_leads_to_the_port_that_is_served():
    (port,) = the("Service")["spec"]["ports"]
    assert port["targetPort"] in [p["name"] for p in container()["ports"]]
    labels = the("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert the("Service")["spec"]["selector"].items() <= labels.items()


def test_each_definition_has_a_schema_a_status_and_columns():
    definitions = [d["spec"] for d in everything() if d["kind"] == "CustomResourceDefinition"]
    assert definitions
    for spec in definitions:
        (version,) = spec["versions"]
        schema = version["schema"]["openAPIV3Schema"]
        assert version["subresources"] == {"status": {}}
        for column in version["additionalPrinterColumns"]:
            assert _leads_somewhere(schema, column["jsonPath"]), f"{spec['names']['kind']}: {column}"


def _leads_somewhere(schema: dict[str, Any], path: str) -> bool:
    if path.startswith(".metadata."):
        return True
    for name in re.sub(r"\[[^]]*\]", "[]", path).strip(".").replace("[]", ".[]").split("."):
        schema = schema["items"] if name == "[]" else schema.get("properties", {}).get(name, {})
    return bool(schema.get("type"))


@pytest.mark.real
def test_every_field_is_one_that_the_api_server_knows():
    """The official client's models, made from the API's own description, read each object without a rest."""
    models = {
        "Namespace": "V1Namespace", "ServiceAccount": "V1ServiceAccount", "ConfigMap": "V1ConfigMap",
        "Service": "V1Service", "Deployment": "V1Deployment", "PodDisruptionBudget": "V1PodDisruptionBudget",
        "NetworkPolicy": "V1NetworkPolicy", "ClusterRole": "V1ClusterRole", "Role": "V1Role",
        "ClusterRoleBinding": "V1ClusterRoleBinding", "RoleBinding": "V1RoleBinding",
    }  # fmt: skip
    ours = {"Kustomization", "CustomResourceDefinition"}
    for document in (*everything(), *built("install-namespaced")):
        if document["kind"] in ours:
            continue
        model = getattr(kubernetes.client, models[document["kind"]])
        read = kubernetes.client.ApiClient().sanitize_for_serialization(model.from_dict(document))
        assert read == document, document["kind"]


@pytest.mark.real
def test_kubectl_builds_the_same_objects_from_the_kustomization():
    names = [(d["kind"], d["metadata"]["name"]) for d in built("install")]
    written = [d for d in everything() if d["kind"] != "Kustomization"]
    assert sorted(names) == sorted((d["kind"], d["metadata"]["name"]) for d in written)


@pytest.mark.real
def test_the_variant_for_one_namespace_has_the_same_rights_in_it_and_none_elsewhere():
    found = {(d["kind"], d["metadata"]["name"]): d for d in built("install-namespaced")}
    whole = {(d["kind"], d["metadata"]["name"]) for d in built("install")}
    cluster = {("ClusterRole", "gitmesh"), ("ClusterRoleBinding", "gitmesh")}
    assert set(found) == whole - cluster | {("Role", "gitmesh"), ("RoleBinding", "gitmesh")}
    role, binding = found["Role", "gitmesh"], found["RoleBinding", "gitmesh"]
    assert granted(role) == granted(the("ClusterRole"))
    assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == ("Role", role["metadata"]["name"])
    assert binding["metadata"]["namespace"] == role["metadata"]["namespace"]
    assert binding["subjects"] == the("ClusterRoleBinding")["subjects"]
    (one,) = found["Deployment", "gitmesh"]["spec"]["template"]["spec"]["containers"]
    environment = {item["name"]: item.get("value") for item in one["env"]}
    assert (
        environment.items()
        >= {
            "GITMESH_NAMESPACE": role["metadata"]["namespace"],
            "GITMESH_NAMESPACE_ONLY": "true",
        }.items()
    )
    settings, problems = read_environment({k: v for k, v in environment.items() if v})
    assert problems == ()
    config = Config.model_validate({"dataDir": "/data", **settings.values})
    assert config.namespace_only
    assert config.namespace == role["metadata"]["namespace"]
    mine = {item["name"] for item in container()["env"]}
    assert mine < environment.keys()
