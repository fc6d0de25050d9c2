"""The mesh follows the cluster: objects become traffic, and what does not is said on the object."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from fakes.cluster import FakeCluster, a_cluster
from fakes.mesh_objects import istio, pod, service, subsets, to, virtual_service
from fakes.real_envoy import Client, client_of, eventually
from fakes.upstreams import upstreams

from gitmesh.model.kinds import POD, VIRTUAL_SERVICE
from gitmesh.playground.envoy.dataplane import DataPlane
from gitmesh.playground.mesh import Mesh

pytestmark = [pytest.mark.anyio, pytest.mark.real]

UNTRANSLATED = {"delay": {"exponentialDelay": "1s"}}
V1, V2 = "127.0.23.1", "127.0.23.2"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with upstreams(V1, V2) as number:
        yield number


@dataclass
class World:
    cluster: FakeCluster
    mesh: Mesh
    client: Client

    def status(self, name: str) -> dict[str, Any]:
        found = self.cluster.find(VIRTUAL_SERVICE, "default", name)
        return (found or {}).get("status") or {}

    def status_writes(self) -> int:
        return sum(request.verb == "replace_status" for request in self.cluster.requests)


@contextlib.asynccontextmanager
async def a_mesh(directory: Path, port: int, *bodies: dict[str, Any]) -> AsyncIterator[World]:
    pods = [pod("reviews", "v1", V1), pod("reviews", "v2", V2)]
    cluster = a_cluster(
        service("reviews", port), service("ratings", port), subsets("reviews", "v1", "v2"), *bodies
    )
    for body in pods:
        put_pod(cluster, body)
    async with (
        DataPlane(directory / "envoy") as plane,
        Mesh(cluster, plane) as mesh,
        client_of(mesh.addresses.mesh) as client,
    ):
        yield World(cluster, mesh, client)


def put_pod(cluster: FakeCluster, body: dict[str, Any]) -> None:
    cluster.put({name: part for name, part in body.items() if name != "status"})
    cluster.put_status({name: part for name, part in body.items() if name != "spec"})


def all_to(version: str, **rule: Any) -> dict[str, Any]:
    return virtual_service("reviews", {"route": [to("reviews", version)], **rule})


async def served_by(world: World, address: str) -> None:
    async def answers() -> bool:
        return (await world.client.ask("reviews")).by == address

    await eventually(answers)


async def test_objects_become_traffic_and_changes_follow(tmp_path: Path, port: int):
    async with a_mesh(tmp_path, port, all_to("v1")) as world:
        assert (await world.client.ask("reviews")).by == V1  # from the first moment on
        world.cluster.put(all_to("v2"))
        await served_by(world, V2)
        world.cluster.take(VIRTUAL_SERVICE, "default", "reviews")
        await served_by(world, V1)  # the Service itself again: both versions
        await served_by(world, V2)
        world.cluster.take(POD, "default", "reviews-v2")

        async def only_the_first() -> bool:
            return {(await world.client.ask("reviews")).by for _ in range(20)} == {V1}

        await eventually(only_the_first)
        put_pod(world.cluster, pod("reviews", "v2", V2))
        await served_by(world, V2)
        assert world.status_writes() == 0


async def test_a_weight_reaches_traffic_quickly(tmp_path: Path, port: int):
    async with a_mesh(tmp_path, port, all_to("v1")) as world:
        spent = []
        for turn in range(11):
            wanted = ("v2", V2) if turn % 2 == 0 else ("v1", V1)
            route = [to("reviews", wanted[0], weight=100), to("reviews", "v1", weight=0)]
            began = anyio.current_time()
            world.cluster.put(virtual_service("reviews", {"route": route}))
            await served_by(world, wanted[1])
            spent.append(anyio.current_time() - began)
        assert sorted(spent)[5] < 1  # some 15 ms on an idle machine; benchmarks measure it


async def test_a_refused_object_does_not_take_the_others_down(tmp_path: Path, port: int):
    async with a_mesh(tmp_path, port, all_to("v1")) as world:
        rule = {"match": [{"uri": {"regex": "["}}], "route": [to("ratings")], "fault": UNTRANSLATED}
        broken = virtual_service("ratings", rule)
        world.cluster.put(broken)
        world.cluster.put(all_to("v2"))
        await served_by(world, V2)

        async def said() -> bool:
            return any(c["reason"] == "RefusedByEnvoy" for c in world.status("ratings").get("conditions", ()))

        await eventually(said)
        error, warning = world.status("ratings")["validationMessages"]
        assert (error["level"], error["message"]) == ("ERROR", "missing ]: [")
        assert (warning["level"], warning["path"]) == ("WARNING", "spec.http[0].fault.delay.exponentialDelay")
        assert world.mesh.stats().refused == 1
        assert world.status("reviews") == {}

        # Its own last good content goes on being served, and the repaired one is taken.
        world.cluster.put(all_to("v1", match=[{"uri": {"regex": "("}}]))

        async def refused() -> bool:
            return world.mesh.stats().refused == 2

        await eventually(refused)
        await served_by(world, V2)
        world.cluster.put(all_to("v1", match=[{"uri": {"regex": "/.*"}}]))
        await served_by(world, V1)

        async def cleared() -> bool:
            return not world.status("reviews").get("conditions")

        await eventually(cleared)


async def test_an_untranslated_field_is_said_once_on_the_object(tmp_path: Path, port: int):
    patch = istio("EnvoyFilter", "patch", {"configPatches": []})
    patch["apiVersion"] = "networking.istio.io/v1alpha3"
    async with a_mesh(tmp_path, port, all_to("v1", fault=UNTRANSLATED), patch) as world:

        async def both_said() -> bool:
            return world.status_writes() == 2

        await eventually(both_said)
        [condition] = world.status("reviews")["conditions"]
        assert (condition["type"], condition["status"]) == ("Programmed", "True")
        assert "spec.http[0].fault.delay.exponentialDelay" in condition["message"]

        passes = world.mesh.stats().passes
        for number in range(5):  # other news come; our own writes are among the mesh's events
            world.cluster.put(subsets("reviews", "v1", "v2", f"v{number}-more"))
            await anyio.sleep(0.05)

        async def passed() -> bool:
            return world.mesh.stats().passes > passes

        await eventually(passed)
        assert world.status_writes() == 2
        assert world.mesh.stats().untranslated == 2
