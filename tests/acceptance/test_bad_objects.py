"""Objects that make no sense, by way of a real API server to a real daemon: everything else goes on.

First what the definitions let through, then what those of another version would: there, nothing has to have
the shape that it should.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fakes.raw_api import MERGE, RawApi, path_of
from fakes.real_loop import RULES, policy, routes, until
from fakes.replicas import Replicas, replicas

from gitmesh.model.kinds import (
    CUSTOM_RESOURCE_DEFINITION,
    DESTINATION_RULE,
    SERVICE,
    TRAFFIC_ROLLOUT,
    TRAFFIC_SOURCE,
    VIRTUAL_SERVICE,
    Kind,
)

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.timeout(240)]
OURS = (TRAFFIC_SOURCE, TRAFFIC_ROLLOUT)
LOOSE = (*OURS, VIRTUAL_SERVICE, DESTINATION_RULE)
HUGE = "x" * 200_000  # an API server takes 256 KiB of annotations
HOSTILE = ("", " ", "true", "\u202e\u0000\n\x1b[2J", "{{7*7}}", "../../etc/passwd", "-1", "9" * 400, HUGE)
MARKS = (
    *("pause", "resume", "promote", "rollback", "retry"),
    *("sync-requested", "approve-plan", "approved-by", "accept-rewrite", "renewed", "revision", "x"),
)
SHAPES: tuple[Any, ...] = (None, "text", 7, [], ["text"], True, {"x": None}, {"source": 7, "url": []})


@dataclass
class Cluster:
    """A daemon at work, and an API server to which anybody may send anything."""

    world: Replicas
    api: RawApi
    pushes: int = 0

    async def goes_on(self) -> None:
        """Push a change: it is live, by the very process that was there."""
        self.pushes += 1
        weight = self.pushes % 100
        commit = self.world.repository.publish({"routes.yaml": routes(100 - weight, weight)}, f"{weight}")

        async def is_live() -> bool:
            return await self.world.weights() == (100 - weight, weight)

        await until(f"commit {commit[:7]} to be live", is_live)
        (daemon,) = self.world.all
        assert daemon.process is not None
        assert daemon.process.poll() is None
        assert "Traceback" not in daemon.log, daemon.log[-3_000:]

    async def send(self, kind: Kind, name: str, metadata: Any = None, **parts: Any) -> None:
        """Write an object, and its status apart, whatever the server says to it."""
        named = {"name": name, "namespace": "default", **(metadata or {})}
        body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": named, **parts}
        await self.api.send("POST", path_of(kind, "default"), body)
        for subresource in ("", "status"):
            where = path_of(kind, "default", name, subresource)
            await self.api.send("PATCH", where, {"metadata": metadata or {}, **parts}, content_type=MERGE)

    async def loosen(self) -> None:
        """Have the server take any shape, as definitions of another version may."""
        anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        for kind in LOOSE:
            where = path_of(CUSTOM_RESOURCE_DEFINITION, "", f"{kind.plural}.{kind.group}")
            body = (await self.api.send("GET", where)).ok().body
            for version in body["spec"]["versions"]:
                version["schema"] = {"openAPIV3Schema": anything}
            (await self.api.send("PUT", where, body)).ok()


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with replicas(tmp_path, 1) as world, RawApi(world.client) as api:
        await world.follow()
        await world.wait_applied(
            world.repository.publish({"rules.yaml": RULES, "routes.yaml": routes(100, 0)}, "Begin")
        )
        yield Cluster(world, api)


def chosen(**specs: Any) -> dict[str, Any]:
    return {"spec": {"url": "https://git.invalid/x.git", **specs}}


async def test_g38_sources_that_the_schema_lets_through_and_make_no_sense_stop_no_other(cluster: Cluster):
    wrong = (
        chosen(url="ext::sh -c id"),
        chosen(url="file:///etc"),
        chosen(url="https://user:secret@git.invalid/x.git"),
        chosen(url="ssh://-oProxyCommand=id/x"),
        chosen(branch="--upload-pack=id"),
        chosen(branch="../../x"),
        chosen(path="../../etc"),
        chosen(path="/"),
        chosen(interval="banana"),
        chosen(interval="-5s"),
        chosen(interval="99999999999h"),
        chosen(semver="not a range"),
        chosen(tag="v1", commit="0" * 40),
        chosen(ignore=["["] * 500),
        chosen(secretRef={"name": "../x"}),
        chosen(dependsOn=[{"name": "mesh"}, {"name": "bad-13"}, {"name": "nobody"}]),
        chosen(author="nobody"),
        chosen(namespace="kube-system/../x"),
    )
    for number, parts in enumerate(wrong):
        await cluster.send(TRAFFIC_SOURCE, f"bad-{number}", **parts)
    await cluster.goes_on()

    async def each_is_told_what_is_wrong_with_it() -> bool:
        sources = (await cluster.world.client.list(TRAFFIC_SOURCE)).items
        return all((body.get("status") or {}).get("conditions") for body in sources)

    await until("conditions of each source", each_is_told_what_is_wrong_with_it)
    assert "secret@" not in cluster.world.all[0].log


async def test_hostile_marks_on_any_object_stop_nothing(cluster: Cluster):
    there = ((TRAFFIC_SOURCE, "mesh"), (VIRTUAL_SERVICE, "reviews"), (DESTINATION_RULE, "reviews"))
    for kind, name in there:
        for text in HOSTILE:
            wanted = ("x",) if text is HUGE else MARKS
            marks = {"metadata": {"annotations": {f"gitmesh.dev/{mark}": text for mark in wanted}}}
            await cluster.api.send("PATCH", path_of(kind, "default", name), marks, content_type=MERGE)
    await cluster.goes_on()


async def test_a_status_that_somebody_else_wrote_is_put_right(cluster: Cluster):
    condition = {"type": "Ready", "status": "True", "reason": "Mine", "message": "", "observedGeneration": 99}
    when = {"lastTransitionTime": "2020-01-01T00:00:00Z"}
    broken: tuple[dict[str, Any], ...] = (
        {"conditions": [{**condition, **when}, {**condition, **when, "type": "Surprise"}]},
        {"conditions": []},
        {"inventory": ["x", "////", "networking.istio.io/VirtualService/kube-system/x"] * 100},
        {"acceptedRevision": "main@0000000000000000000000000000000000000000"},
        {"lastAppliedRevision": "\u202emain@", "lastHandledSync": HUGE},
        {"packedInventory": "bm9uc2Vuc2U="},
        {"findings": [], "effects": [], "skipped": [], "refusals": []},
    )
    where = path_of(TRAFFIC_SOURCE, "default", "mesh", "status")
    for status in broken:
        await cluster.api.send("PATCH", where, {"status": status}, content_type=MERGE)
        await cluster.goes_on()
        inventory = (await cluster.world.status()).owned
        assert {str(key) for key in inventory} >= {
            "VirtualService default/reviews",
            "DestinationRule default/reviews",
        }


async def test_any_shape_of_any_part_stops_nothing(cluster: Cluster):
    await cluster.loosen()
    for number, shape in enumerate(SHAPES):
        for kind in LOOSE:
            await cluster.send(kind, f"spec-{number}", spec=shape)
            await cluster.send(kind, f"status-{number}", spec={}, status=shape)
            await cluster.send(kind, f"part-{number}", spec={"http": shape, "host": shape, "hosts": shape})
            await cluster.send(kind, f"deep-{number}", status={"conditions": shape, "stable": shape})
    await cluster.goes_on()
    for shape in SHAPES:
        where = path_of(TRAFFIC_SOURCE, "default", "mesh", "status")
        await cluster.api.send("PATCH", where, {"status": {"conditions": shape}}, content_type=MERGE)
    await cluster.goes_on()


async def test_services_of_every_kind_stop_nothing(cluster: Cluster):
    for number, ports in enumerate(([], [{"port": 1, "name": HUGE[:60]}], [{"port": 65_535}])):
        await cluster.send(SERVICE, f"odd-{number}", spec={"ports": ports, "selector": {}})
    await cluster.send(SERVICE, "outside", spec={"type": "ExternalName", "externalName": "x" * 300})
    await cluster.goes_on()


async def test_a_record_that_makes_no_sense_gives_a_canary_nothing(cluster: Cluster):
    """It is written anew; after a restart nobody knows it any more, and the canary stays where it is."""
    world = cluster.world
    careful = policy((10, "1h"), (100, "0s"))
    await world.wait_applied(world.repository.publish({"policy.yaml": careful}, "Careful"))
    world.repository.publish({"routes.yaml": routes(0, 100)}, "Ramp")

    async def begun() -> bool:
        return await world.weights() == (90, 10)

    await until("the first step", begun)
    before = await record(cluster)
    await cluster.loosen()
    where = path_of(TRAFFIC_ROLLOUT, "default", "reviews", "status")
    for number, shape in enumerate(SHAPES):
        spoilt = {"status": {"stable": shape, "phase": shape}}
        await cluster.api.send("PATCH", where, spoilt, content_type=MERGE)
        await another_rule_is_live(cluster, number)
        assert await world.weights() == (90, 10), shape
        assert (await record(cluster))["stable"] == before["stable"], shape
    (daemon,) = world.all
    await daemon.stop()
    await cluster.api.send("PATCH", where, {"status": {"stable": "text"}}, content_type=MERGE)
    daemon.start()
    await another_rule_is_live(cluster, 99)
    assert await world.weights() == (90, 10)
    assert (await record(cluster))["stable"] == "text", "it is for a person to say what is true"
    ready = next(c for c in (await world.status()).conditions if c.type == "Ready")
    assert (ready.status, ready.reason) == ("False", "PlanRefused")
    assert "delete the TrafficRollout to begin anew" in ready.message


async def record(cluster: Cluster) -> dict[str, Any]:
    return dict((await cluster.api.get(TRAFFIC_ROLLOUT, "default", "reviews")).ok().body["status"])


async def another_rule_is_live(cluster: Cluster, number: int) -> None:
    """Push a rule that is new in Git; it is live soon."""
    text = RULES.replace("reviews", f"other-{number}")
    cluster.world.repository.publish({"other.yaml": text}, f"Another rule {number}")

    async def is_live() -> bool:
        found = (await cluster.world.client.list(DESTINATION_RULE)).items
        return f"other-{number}" in [body["metadata"]["name"] for body in found]

    await until("another rule to be live", is_live)
