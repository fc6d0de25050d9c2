"""The rights that the manifests give, against what a real daemon asks for in a whole life.

A proxy before the API server refuses whatever the roles of the manifests do not allow, as RBAC would.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from fakes.envoy_messages import free_port
from fakes.hooks import SECRET, hook
from fakes.kubectl import Kubectl, kubectls
from fakes.manifests import built
from fakes.metrics_service import MetricsService, metrics_service
from fakes.real_loop import RULES, policy, routes, until
from fakes.replicas import Replicas, replicas
from fakes.rights import Asked, Rights, asked_by
from fakes.signing import Signer, commit_by, ssh_signer, trust_data
from fakes.witness_proxy import Seen

from gitmesh.engine.clock import SystemClock
from gitmesh.kube.errors import NotFoundError
from gitmesh.model import kinds
from gitmesh.model.kinds import NAMESPACE, TRAFFIC_ROLLOUT, TRAFFIC_SOURCE, VIRTUAL_SERVICE, Kind
from gitmesh.model.revert import RevertState
from gitmesh.model.rollout import RolloutRecord
from gitmesh.model.source import APPROVE_ANNOTATION

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
CONFIG = """\
settle: 100ms
lease: {{retryPeriod: 300ms}}
metrics: {{providers: [{{name: told, kind: web, url: "{metrics}"}}]}}
receivers: [{{name: script, kind: generic, secret: {{file: {secret}}}}}]
receiverPort: {port}
"""
RAMP = (
    policy((50, "200ms"), (100, "0s"), analysis="{interval: 200ms, metrics: [{name: error-rate, max: 5%}]}")
    + "  rollback: {revert: push}\n"
)
CLOCK = SystemClock()
NAMES = ("old", "new")
STAGES = {"engine", "fetch", "observe", "decide", "plan", "apply"}
OF_THE_PROCESS = {"daemon started", "daemon stopped", "leading", "webhook", "configuration reloaded"}
POD = {"POD_NAME": "gitmesh-0", "POD_NAMESPACE": "gitmesh-system", "POD_UID": "0"}
OF_A_ROLLOUT = {"rollout moved", "checked", "effect", "asked by annotation", "revert"}


def all_kinds(name: str) -> str:
    """An object of each kind that Git may change, other than those of the rollout."""
    rest = {
        "Gateway": "{selector: {app: NAME}, servers: [{port: {number: 80, name: http, protocol: HTTP}, "
        "hosts: [NAME.example.com]}]}",
        "ServiceEntry": "{hosts: [NAME.example.org], ports: [{number: 443, name: tls, protocol: TLS}], "
        "resolution: DNS}",
        "Sidecar": "{workloadSelector: {labels: {app: NAME}}, egress: [{hosts: [./*]}]}",
        "WorkloadEntry": "{address: 192.0.2.1, labels: {app: NAME}}",
        "VirtualService": "{hosts: [NAME], http: [{route: [{destination: {host: NAME}}]}]}",
        "DestinationRule": "{host: NAME}",
    }
    said = (
        f"apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: NAME}}\nspec: {spec}\n"
        for kind, spec in rest.items()
    )
    return "---\n".join(said).replace("NAME", name)


@dataclass
class Life:
    """One daemon after the other behind the rights of the manifests, and what people do meanwhile."""

    world: Replicas
    metrics: MetricsService
    robot: Signer
    home: Path
    port: int

    async def commit(self, files: Mapping[str, str | bytes | None], why: str) -> str:
        made = await anyio.to_thread.run_sync(
            lambda: commit_by(self.world.repository, self.robot, files, why)
        )
        return made[:7]

    async def keep(self, kind: Kind, name: str, data: Mapping[str, str]) -> None:
        body = {"apiVersion": "v1", "kind": kind.kind, "metadata": {"name": name, "namespace": "default"}}
        await self.world.client.apply(kind, {**body, "data": dict(data)}, force=True)

    async def annotate(self, kind: Kind, name: str, **marks: str | None) -> None:
        named = {f"gitmesh.dev/{mark.replace('_', '-')}": value for mark, value in marks.items()}
        await self.world.client.merge_patch(kind, "default", name, {"metadata": {"annotations": named}})

    async def wait_gone(self, kind: Kind, name: str) -> None:
        async def gone() -> bool:
            try:
                await self.world.client.get(kind, "default", name)
            except NotFoundError:
                return True
            return False

        await until(f"{kind.kind} {name} to be gone", gone)

    async def kubectl(self, *arguments: str, text: str = "") -> str:
        kubectl = Kubectl(next(iter(kubectls().values()), ""), self.world.server.kubeconfig, self.home)
        return await anyio.to_thread.run_sync(lambda: kubectl.ok(*arguments, text=text))


async def live_through_all(life: Life) -> None:
    """Do everything for which the daemon asks the API server for something."""
    await adopt(life)
    await roll_out_and_back(life)
    await ask_by_annotations(life)
    await prune_with_approval(life)
    await wake_by_webhook(life)
    await change_settings(life)
    await hand_over(life)
    await leave(life)


async def adopt(life: Life) -> None:
    """A Secret and a ConfigMap are read, an object of kubectl is taken over, a finalizer is set."""
    private = b64encode(life.robot.private.encode()).decode()
    await life.keep(kinds.SECRET, "robot", {"signing.key": private})
    signers = {name: value.decode() for name, value in trust_data(life.robot).items()}
    await life.keep(kinds.CONFIG_MAP, "signers", signers)
    await life.kubectl("apply", "-f", "-", text=all_kinds(NAMES[0]))
    files = {"rules.yaml": RULES, "routes.yaml": routes(100, 0), "policy.yaml": RAMP}
    files["old.yaml"] = all_kinds(NAMES[0])
    first = await life.commit(files, "Begin")
    await life.world.follow(
        adopt=True,
        push="allowed",
        deletionPolicy="delete",
        author=f"{life.robot.name} <{life.robot.email}>",
        signingKeyRef={"name": "robot"},
        verify={"mode": "each", "signers": {"configMapRef": {"name": "signers"}}},
    )
    await life.world.wait_applied(first)


async def roll_out_and_back(life: Life) -> None:
    """A version fails, which is answered in Git; a better one goes out; drift is healed twice."""
    life.metrics.failing = lambda host, version: 50.0 if version == "v2" else 0.0
    await life.commit({"routes.yaml": routes(0, 100)}, "Move to a v2 that fails")

    async def reverted() -> bool:
        body = await life.world.client.get(TRAFFIC_ROLLOUT, "default", "reviews")
        revert = RolloutRecord.model_validate(body["status"]).revert
        return revert is not None and revert.state is RevertState.DONE

    await until("the revert", reverted)
    life.metrics.failing = lambda host, version: 0.0
    await anyio.to_thread.run_sync(lambda: life.world.repository.git("pull", "--quiet", "origin", "main"))
    await life.world.wait_applied(await life.commit({"routes.yaml": routes(10, 90)}, "Move to v2"))
    for timeout in ("7s", "8s"):
        patch = {"spec": {"http": [{"timeout": timeout, "route": [{"destination": {"host": "reviews"}}]}]}}
        await life.world.client.merge_patch(VIRTUAL_SERVICE, "default", "reviews", patch)

        async def healed() -> bool:
            return await life.world.weights() == (10, 90)

        await until("the drift to be healed", healed)


async def ask_by_annotations(life: Life) -> None:
    """People pause a rollout and let it go on with kubectl alone."""
    await life.annotate(VIRTUAL_SERVICE, "reviews", pause="true")
    last = await life.commit({"routes.yaml": routes(20, 80)}, "Some of it back")

    async def paused() -> bool:
        body = await life.world.client.get(TRAFFIC_ROLLOUT, "default", "reviews")
        return bool((body.get("spec") or {}).get("suspend"))

    await until("the rollout to be paused", paused)
    await life.annotate(TRAFFIC_ROLLOUT, "reviews", resume="true")
    await life.world.wait_applied(last)


async def prune_with_approval(life: Life) -> None:
    """A commit deletes all that there was; a person approves it, and the record goes too."""
    gone: dict[str, str | bytes | None] = {"routes.yaml": None, "rules.yaml": None, "old.yaml": None}
    last = await life.commit(gone | {"new.yaml": all_kinds(NAMES[1])}, "Only what is new")

    async def held() -> str:
        plan = (await life.world.status()).held_plan
        return plan.hash if plan else ""

    plan = await until("the plan to be held", held)
    await life.annotate(TRAFFIC_SOURCE, "mesh", **{APPROVE_ANNOTATION.partition("/")[2]: plan})
    await life.world.wait_applied(last)
    await life.wait_gone(VIRTUAL_SERVICE, "reviews")
    await life.wait_gone(TRAFFIC_ROLLOUT, "reviews")


async def wake_by_webhook(life: Life) -> None:
    """A script tells of a push: the source is marked."""
    document = {"repository": life.world.repository.url, "ref": "refs/heads/main"}
    sent = hook("generic", document, secret=SECRET, moment=int(CLOCK.now().timestamp()))

    def talk() -> int:
        connection = HTTPConnection("127.0.0.1", life.port, timeout=20)
        try:
            connection.request("POST", "/hooks/script", sent.body, dict(sent.headers))
            return connection.getresponse().status
        finally:
            connection.close()

    assert await anyio.to_thread.run_sync(talk) == 202

    async def handled() -> bool:
        body = await life.world.client.get(TRAFFIC_SOURCE, "default", "mesh")
        mark = body["metadata"]["annotations"].get("gitmesh.dev/sync-requested")
        return bool(mark) and body["status"].get("lastHandledSync") == mark

    await until("the mark to be handled", handled)


async def change_settings(life: Life) -> None:
    """The settings change, which is told as an event of the Pod."""
    file = life.world.directory / "gitmesh.yaml"
    await anyio.to_thread.run_sync(file.write_text, f"{life.world.config}resync: 7m\n")

    async def told() -> bool:
        events = (await life.world.client.list(kinds.EVENT, namespace=POD["POD_NAMESPACE"])).items
        return "ConfigReloaded" in {event["reason"] for event in events}

    await until("the event of the Pod", told)


async def hand_over(life: Life) -> None:
    """The daemon ends and gives its Lease up; another one begins, with two shards."""
    (old,) = life.world.all
    await old.stop()
    life.world.add("--shards=2")
    await life.world.wait_applied(await life.commit({"rules.yaml": RULES}, "Under another leader"))


async def leave(life: Life) -> None:
    """The source is deleted, with all that it owns."""
    await life.world.client.delete(TRAFFIC_SOURCE, "default", "mesh")
    await life.wait_gone(TRAFFIC_SOURCE, "mesh")
    await life.wait_gone(kinds.DESTINATION_RULE, "reviews")


def rights_of(manifests: str) -> tuple[Rights, dict[str, str]]:
    """Return what the service account may do, and the variables of its Pod."""
    documents = built(manifests)
    (deployment,) = [d for d in documents if d["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    environment = {item["name"]: item["value"] for item in pod["containers"][0]["env"] if "value" in item}
    return Rights.of(documents, pod["serviceAccountName"]), environment


@dataclass(frozen=True)
class Lived:
    """What was asked of the API server in a whole life, and what was logged."""

    rights: Rights
    seen: list[Seen]
    lines: list[dict[str, Any]]


@pytest.fixture(scope="module", params=["install", "install-namespaced"])
def lived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lived:
    return anyio.run(_live, request.param, tmp_path_factory.mktemp(request.param))


async def _live(manifests: str, directory: Path) -> Lived:
    rights, environment = await anyio.to_thread.run_sync(rights_of, manifests)
    robot = ssh_signer(directory / "keys", "robot@example.com")
    (directory / "secret").write_text(SECRET)
    port = free_port()
    async with metrics_service() as metrics:
        config = CONFIG.format(metrics=metrics.address, secret=directory / "secret", port=port)
        async with replicas(directory, 0, config=config) as world:
            await world.client.create(NAMESPACE, {"metadata": {"name": "gitmesh-system"}})
            given = {k: v for k, v in environment.items() if not k.endswith("PROMETHEUS")}
            world.environment = {**given, **POD}
            metrics.client = world.client
            world.proxy.allows = rights.allow_request
            world.add()
            await live_through_all(Life(world, metrics, robot, directory / "home", port))
            for replica in world.all:
                await replica.stop()
            logged = "".join(replica.log for replica in world.all).splitlines()
        return Lived(rights, world.proxy.seen, [json.loads(line) for line in logged])


def test_a_whole_life_needs_exactly_the_rights_that_the_manifests_give(lived: Lived):
    assert [seen.path for seen in lived.seen if seen.status == 403] == []
    asked = {found for seen in lived.seen if (found := asked_by(seen)) is not None}
    # Source: kubernetes.io, Server-Side Apply: an apply that creates is authorized as a create too.
    created = {
        Asked(found.group, found.resource, "create", found.namespace)
        for seen in lived.seen
        if (found := asked_by(seen)) is not None and found.verb == "patch" and seen.status == 201
    }
    assert [one for one in created if not lived.rights.allow(one)] == []
    used = {one.right for one in asked | created}
    assert {one.right for one in lived.rights.granted} - used == set(), "granted, and never asked for"


def test_every_line_of_the_log_says_what_it_is_about(lived: Lived):
    about_a_source = [line for line in lived.lines if line["message"] not in OF_THE_PROCESS]
    assert {line["stage"] for line in lived.lines} == STAGES
    assert {line["message"] for line in about_a_source if not line["source"]} == set()
    silent = {line["message"] for line in about_a_source if not line["revision"]}
    assert silent <= {"waiting for the first fetch of branch main", "woken by a webhook"}
    moving = [line for line in lived.lines if line["message"] in OF_A_ROLLOUT]
    assert {line["message"] for line in moving} == OF_A_ROLLOUT
    objects = {f"VirtualService default/{name}" for name in ("reviews", *NAMES)}
    assert {line["rollout"] for line in moving} <= objects
