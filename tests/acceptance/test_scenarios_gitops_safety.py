"""What users of other GitOps tools were hurt by, played on real parts: guards, drift, fights, deletion.

The numbers are those of docs/gitops-scenarios.md.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from fakes.apiserver import an_api_server
from fakes.hanging_proxy import HangingProxy, hanging_proxy
from fakes.real_loop import RULES, World, routes, until

from gitmesh.engine import wiring
from gitmesh.kube.client import KubeClient
from gitmesh.kube.connect import connect
from gitmesh.kube.errors import NotFoundError
from gitmesh.model.config import Config
from gitmesh.model.kinds import DESTINATION_RULE, EVENT, TRAFFIC_SOURCE, VIRTUAL_SERVICE
from gitmesh.model.source import FINALIZER, TrafficSourceStatus
from gitmesh.playground.repository import GitRepository

pytestmark = [pytest.mark.anyio, pytest.mark.real]
FILES: dict[str, str | bytes | None] = {"rules.yaml": RULES, "routes.yaml": routes(100, 0)}
OTHERS = {f"other{n}.yaml": RULES.replace("reviews", f"other{n}") for n in range(4)}
GONE: dict[str, str | bytes | None] = dict.fromkeys(OTHERS)


async def rules(world: World) -> int:
    return len(await world.items(DESTINATION_RULE))


async def held(world: World) -> str:
    await world.wait_ready("False", "AwaitingApproval")
    plan = (await world.status()).held_plan
    assert plan
    return plan.hash


async def followed(world: World, files: dict[str, str | bytes | None], **spec: object) -> None:
    revision = await world.publish(files)
    await world.follow(**spec)
    await world.wait_applied(revision)


@pytest.mark.usefixtures("daemon")
async def test_the_plan_that_was_reviewed_is_the_one_that_is_held_and_approved_by_its_hash(
    world: World, tmp_path: Path
):
    await followed(world, {**FILES, **OTHERS})
    reviewed = tmp_path / "reviewed"
    reviewed.mkdir()
    for name, text in FILES.items():
        (reviewed / name).write_text(str(text))
    planned = await world.gitmesh("plan", str(reviewed), "--format=json", "--source", world.name)
    assert planned.status == 1, "CI is told that a person has to look"
    plan = json.loads(planned.out)["hash"]
    shown = await world.gitmesh("plan", str(reviewed), "--source", world.name)
    assert f"plan {plan} waits for approval: 4 of 6 objects would be deleted at once" in shown.out

    await world.publish(GONE)
    await world.gitmesh("sync", world.name)
    assert await held(world) == plan
    status = await world.gitmesh("status", world.name)
    assert f"plan {plan} waits since" in status.out
    assert "delete DestinationRule default/other3" in status.out
    assert await rules(world) == 5

    refused = await world.gitmesh("approve", "000000000000")
    assert refused.status == 2
    assert (
        f"no plan 000000000000 is held; held plans: {plan} of {world.source_name} (4 to delete" in refused.err
    )
    ran = await world.gitmesh("approve", plan[:8], "--as", "ada", "--why", "moved  house\nat last")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == f"{world.source_name}: plan {plan} goes through: 4 to delete, 0 to change, of 6\n"
    await world.wait_ready("True", "Applied")
    assert await rules(world) == 1
    approval = (await world.status()).approval
    assert approval
    assert (approval.by, approval.why) == ("ada", "moved house at last")


@pytest.mark.usefixtures("daemon")
async def test_g27_an_approval_by_kubectl_is_void_after_another_commit(world: World):
    await followed(world, {**FILES, **OTHERS})
    await world.publish(GONE)
    await world.gitmesh("sync", world.name)
    first = await held(world)
    await world.publish({"routes.yaml": routes(50, 50)})
    await world.gitmesh("sync", world.name)

    async def another() -> str:
        plan = (await world.status()).held_plan
        return plan.hash if plan and plan.hash != first else ""

    second = await until("another plan", another)
    await world.kubectl("annotate", "trafficsource", world.name, f"gitmesh.dev/approve-plan={first}")

    async def voided() -> list:
        return await world.events(TRAFFIC_SOURCE, world.name, "ApprovalVoid")

    (event,) = await until("an event", voided)
    assert second in event["message"]
    assert (await rules(world), await world.weights()) == (5, (100, 0))
    await world.kubectl(
        "annotate", "trafficsource", world.name, f"gitmesh.dev/approve-plan={second} reviewed by two"
    )
    await world.wait_ready("True", "Applied")
    assert (await rules(world), await world.weights()) == (1, (50, 50))
    approval = (await world.status()).approval
    assert approval
    assert (approval.by, approval.why) == ("kubectl-annotate", "reviewed by two")


@pytest.mark.usefixtures("daemon")
async def test_g4_with_heal_off_drift_is_reported_by_its_fields_and_not_reverted(world: World):
    await followed(world, FILES, heal=False)
    patch = '[{"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 1}]'
    await world.kubectl("patch", "virtualservice", "reviews", "--type=json", "--patch", patch)
    await world.wait_ready("False", "Drifted")
    status = await world.gitmesh("status", world.name)
    assert "VirtualService default/reviews is left alone: live was changed by someone else" in status.out
    assert "(differs in spec.http[0].route[0].weight)" in status.out
    assert (await world.gitmesh("sync", world.name)).status == 1
    assert await world.weights() == (1, 0)


@pytest.mark.usefixtures("daemon")
async def test_g5_what_git_does_not_set_is_kept_and_what_it_sets_alone_is_reverted(world: World):
    await followed(world, FILES)
    await world.kubectl("label", "virtualservice", "reviews", "team=shop")
    await world.kubectl("annotate", "virtualservice", "reviews", "example.com/note=hello")
    await world.kubectl(
        "patch", "virtualservice", "reviews", "--type=json",
        "--patch", '[{"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 1}]',
    )  # fmt: skip
    await world.wait_weights(100, 0)
    body = await world.client.get(VIRTUAL_SERVICE, "default", "reviews")
    assert body["metadata"]["labels"]["team"] == "shop"
    assert body["metadata"]["annotations"]["example.com/note"] == "hello"


@pytest.mark.usefixtures("daemon")
async def test_g6_a_script_that_fights_is_named_and_backed_off_from(world: World):
    await followed(world, FILES)
    patch = [{"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 1}]
    for _ in range(12):
        if await world.weights() == (1, 0):
            break
        await world.kubectl("patch", "virtualservice", "reviews", "--type=json", "--patch", json.dumps(patch))
        with anyio.move_on_after(2):
            await world.wait_weights(100, 0)
    ready = await world.wait_ready("False", "Fight")
    assert "VirtualService default/reviews: kubectl-patch changes it again and again" in ready.message
    assert await world.weights() == (1, 0), "it rests"
    assert len(await world.events(VIRTUAL_SERVICE, "reviews", "Fight")) == 1
    await world.publish({"routes.yaml": routes(60, 40)})
    await world.gitmesh("sync", world.name)
    await world.wait_weights(60, 40)


@pytest.mark.usefixtures("daemon")
async def test_what_a_source_owns_goes_with_it_where_it_says_so(world: World):
    await followed(world, FILES, deletionPolicy="delete")
    body = await world.client.get(TRAFFIC_SOURCE, "default", world.name)
    assert body["metadata"]["finalizers"] == [FINALIZER]
    await world.kubectl("delete", "trafficsource", world.name, "--timeout=20s")
    assert not await world.items(DESTINATION_RULE)
    assert not await world.items(VIRTUAL_SERVICE)


@pytest.mark.usefixtures("daemon")
async def test_an_object_that_a_person_takes_over_is_theirs(world: World):
    await followed(world, FILES)
    await world.kubectl("annotate", "virtualservice", "reviews", "gitmesh.dev/reconcile=disabled")
    patch = '[{"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 1}]'
    await world.kubectl("patch", "virtualservice", "reviews", "--type=json", "--patch", patch)
    assert (await world.gitmesh("sync", world.name)).status == 0
    assert await world.weights() == (1, 0)
    ready = await world.wait_ready("True", "Applied", about="left alone")
    assert "VirtualService default/reviews" in ready.message
    await world.kubectl("annotate", "virtualservice", "reviews", "gitmesh.dev/reconcile-")
    await world.wait_weights(100, 0)


# A daemon behind a proxy that counts and denies requests


@dataclass
class Stage:
    """A daemon behind a proxy, and a client that goes past it."""

    client: KubeClient
    proxy: HangingProxy
    running: wiring.Running
    repository: GitRepository

    async def status(self) -> TrafficSourceStatus:
        body = await self.client.get(TRAFFIC_SOURCE, "default", "mesh")
        return TrafficSourceStatus.model_validate(body.get("status") or {})

    async def wait_ready(self, reason: str) -> str:
        async def seen() -> str:
            ready = next((c for c in (await self.status()).conditions if c.type == "Ready"), None)
            return ready.message if ready and ready.reason == reason else ""

        return await until(f"Ready: {reason}", seen)

    async def is_live(self, name: str) -> bool:
        try:
            await self.client.get(DESTINATION_RULE, "default", name)
        except NotFoundError:
            return False
        return True


@asynccontextmanager
async def a_stage(directory: Path) -> AsyncIterator[Stage]:
    repository = GitRepository.create(directory / "repository")
    repository.publish({**FILES, **OTHERS}, "begin")
    with an_api_server(directory / "api") as server:
        async with hanging_proxy(server.address) as proxy:
            config = json.loads(server.kubeconfig.read_text())
            config["clusters"][0]["cluster"]["server"] = proxy.address
            kubeconfig = directory / "kubeconfig"
            kubeconfig.write_text(json.dumps(config))
            settings = Config(
                data_dir=directory / "data",
                allow_file_urls=True,
                settle=timedelta(0),
                resync=timedelta(milliseconds=200),
            )
            client = await connect(server.kubeconfig, timeout=timedelta(seconds=10), environ={})
            async with wiring.daemon(settings, kubeconfig) as running, anyio.create_task_group() as group:
                group.start_soon(running.daemon.run)
                body = {
                    "apiVersion": TRAFFIC_SOURCE.api_version,
                    "kind": TRAFFIC_SOURCE.kind,
                    "metadata": {"name": "mesh", "namespace": "default"},
                    "spec": {"url": repository.url, "interval": "1s"},
                }
                await client.apply(TRAFFIC_SOURCE, body, force=True)
                yield Stage(client, proxy, running, repository)
                group.cancel_scope.cancel()
            await client.close()


async def test_g2_ten_polls_and_many_passes_without_news_are_not_one_request(tmp_path: Path):
    """Watches that end and begin again are the only thing that the API server hears."""
    async with a_stage(tmp_path) as stage:
        await stage.wait_ready("Applied")
        await anyio.sleep(1)  # the events of the beginning are written by now
        meters = stage.running.meters
        passes, fetches = stage.running.daemon.passes, meters.fetches.labels("success")._value.get()
        stage.proxy.seen.clear()

        async def idled() -> bool:
            polled = meters.fetches.labels("success")._value.get() - fetches >= 10
            return polled and stage.running.daemon.passes - passes >= 20

        await until("ten polls and twenty passes", idled, 60)
        assert [asked for asked in stage.proxy.seen if "watch=" not in asked] == []


async def test_g9_a_delete_that_a_webhook_denies_stays_in_the_inventory_and_is_tried_again(tmp_path: Path):
    async with a_stage(tmp_path) as stage:
        await stage.wait_ready("Applied")
        stage.proxy.denies = lambda method, path: method == "DELETE" and path.endswith("/other1")
        stage.repository.publish({"other1.yaml": None}, "prune")
        message = await stage.wait_ready("PruneFailed")
        assert "DestinationRule default/other1" in message
        assert "annotate the object with gitmesh.dev/prune: disabled to keep it" in message
        assert "denied the request: not before Monday" in message
        assert await stage.is_live("other1")
        assert any(
            path.endswith("DestinationRule/default/other1") for path in (await stage.status()).inventory
        )
        stage.proxy.denies = lambda method, path: False
        await stage.wait_ready("Applied")  # at the latest with the next resync
        assert not await stage.is_live("other1")
        assert len((await stage.status()).inventory) == 5


async def test_g34_what_a_webhook_repeats_of_a_secret_is_in_no_status_event_or_log(tmp_path: Path, capfd):
    secret = "hunter2-hunter2"
    async with a_stage(tmp_path) as stage:
        await stage.wait_ready("Applied")
        stage.proxy.denies = lambda method, path: method == "PATCH" and path.endswith("/reviews")
        stage.proxy.repeats = True
        header = f"headers: {{request: {{set: {{authorization: Bearer {secret}}}}}}}"
        text = routes(100, 0).replace("- name: all", f"- name: all\n      {header}")
        assert secret in text
        stage.repository.publish({"routes.yaml": text}, "secret")
        message = await stage.wait_ready("PlanRefused")
        assert "not before Monday" in message
        assert "***" in message

        async def told() -> bool:
            return any("not before Monday" in e.get("message", "") for e in (await events(stage)))

        await until("an event", told)
        written = json.dumps([(await stage.status()).as_json(), await events(stage)])
        assert secret not in written
    said = capfd.readouterr()
    assert "not before Monday" in said.err + said.out
    assert secret not in said.err + said.out


async def events(stage: Stage) -> list[dict[str, Any]]:
    return [dict(event) for event in (await stage.client.list(EVENT, namespace="default")).items]
