"""The data plane changes what Envoy serves without losing a request, and survives what goes wrong."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from fakes.mesh_objects import pod, service, subsets, to, virtual_service
from fakes.real_envoy import Client, client_of, envoy, eventually, snapshot_of
from fakes.upstreams import upstreams

from gitmesh.playground.envoy.dataplane import Addresses, DataPlane
from gitmesh.playground.envoy.errors import AddressInUseError, EnvoyStartError, NoEnvoyError, Rejected
from gitmesh.playground.envoy.snapshot import Snapshot
from gitmesh.playground.translate.listeners import Address

pytestmark = [pytest.mark.anyio, pytest.mark.real]

V1, V2 = "127.0.22.1", "127.0.22.2"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with upstreams(V1, V2) as number:
        yield number


@pytest.fixture
def pods(port: int) -> list[dict[str, Any]]:
    return [service("reviews", port), pod("reviews", "v1", V1), pod("reviews", "v2", V2)]


def shifted(plane: DataPlane, pods: list[dict[str, Any]], weight: int, **rule: Any) -> Snapshot:
    route = [to("reviews", "v1", weight=100 - weight), to("reviews", "v2", weight=weight)]
    return snapshot_of(
        *pods,
        subsets("reviews", "v1", "v2"),
        virtual_service("reviews", {"route": route, **rule}),
        doors=plane.addresses.doors,
    )


@contextlib.asynccontextmanager
async def load(client: Client, path: str = "/") -> AsyncIterator[Counter[tuple[int, str]]]:
    """Send requests all the time; what came back is counted by status and upstream."""
    answers: Counter[tuple[int, str]] = Counter()

    async def send() -> None:
        while True:
            answer = await client.ask("reviews", path)
            answers[answer.status, answer.by] += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(send)
        yield answers
        tasks.cancel_scope.cancel()


def statuses(answers: Counter[tuple[int, str]]) -> set[int]:
    return {status for status, _ in answers}


async def test_fifty_weight_changes_under_load_lose_no_request(tmp_path: Path, pods: list[Any]):
    async with envoy(tmp_path, *pods) as plane, client_of(plane.addresses.mesh) as client:
        await plane.apply(shifted(plane, pods, 0))
        async with load(client) as answers:
            for change in range(1, 51):
                now, before = (V2, V1) if change % 2 else (V1, V2)
                await plane.apply(shifted(plane, pods, 100 * (change % 2)))
                settled = answers[200, now]

                async def arrived(now: str = now, settled: int = settled) -> bool:
                    return answers[200, now] > settled

                await eventually(arrived)
                # What was acknowledged holds: a request sent from now on goes to the new version.
                assert (await client.ask("reviews")).by == now != before
    assert statuses(answers) == {200}
    assert answers.total() > 300


async def test_subsets_come_and_go_under_load_without_losing_a_slow_request(tmp_path: Path, pods: list[Any]):
    async with (
        envoy(tmp_path, *pods) as plane,
        client_of(plane.addresses.mesh) as client,
        load(client, "/slow/30") as answers,
    ):
        only_service = snapshot_of(*pods, doors=plane.addresses.doors)
        fewer = await clusters(plane)
        for _ in range(10):
            await plane.apply(shifted(plane, pods, 50))
            assert await clusters(plane) == fewer + 2
            await anyio.sleep(0.05)
            await plane.apply(only_service)
            assert await clusters(plane) == fewer
            await anyio.sleep(0.02)
    assert statuses(answers) == {200}


async def clusters(plane: DataPlane) -> int:
    [count] = (await plane.admin.stats(r"^cluster_manager\.active_clusters$")).values()
    return int(count)


async def test_a_refused_configuration_leaves_traffic_as_it_is_and_says_why(tmp_path: Path, pods: list[Any]):
    async with envoy(tmp_path, *pods) as plane, client_of(plane.addresses.mesh) as client:
        await plane.apply(shifted(plane, pods, 100))
        async with load(client) as answers:
            with pytest.raises(Rejected, match=r"missing \]: \["):
                await plane.apply(shifted(plane, pods, 0, match=[{"uri": {"regex": "["}}]))
            await anyio.sleep(0.1)
        assert answers.keys() == {(200, V2)}


async def test_what_only_the_running_envoy_refuses_is_taken_back(
    tmp_path: Path, pods: list[Any], monkeypatch: pytest.MonkeyPatch
):
    async def lets_everything_pass(*_: object) -> None:
        return None

    async with envoy(tmp_path, *pods) as plane, client_of(plane.addresses.mesh) as client:
        await plane.apply(shifted(plane, pods, 100))
        with monkeypatch.context() as patched:
            patched.setattr(plane.precheck, "check", lets_everything_pass)
            with pytest.raises(Rejected, match=r"outbound\|default routes: missing \]: \["):
                await plane.apply(shifted(plane, pods, 0, match=[{"uri": {"regex": "["}}]))
        assert (await client.ask("reviews")).by == V2
        # The refused file must not be what an Envoy that comes back begins with.
        await killed(plane)
        assert (await client.ask("reviews")).by == V2
        await plane.apply(shifted(plane, pods, 0))
        assert (await client.ask("reviews")).by == V1


async def killed(plane: DataPlane) -> None:
    before = plane.process.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)

    async def back() -> bool:
        return plane.process.pid not in (None, before) and await plane.admin.is_ready()

    await eventually(back)


async def test_an_envoy_that_is_killed_comes_back_with_the_same_configuration(
    tmp_path: Path, pods: list[Any]
):
    async with envoy(tmp_path, *pods) as plane:
        await plane.apply(shifted(plane, pods, 100))
        for life in (2, 3):
            await killed(plane)
            assert plane.process.lives == life
            async with client_of(plane.addresses.mesh) as client:
                assert {(await client.ask("reviews")).by for _ in range(10)} == {V2}
        assert any("started again" in line.text for line in plane.process.lines)


async def test_a_change_while_envoy_is_away_is_served_when_it_is_back(tmp_path: Path, pods: list[Any]):
    async with envoy(tmp_path, *pods) as plane:
        await plane.apply(shifted(plane, pods, 100))
        assert plane.process.pid is not None
        os.kill(plane.process.pid, signal.SIGKILL)
        await plane.apply(shifted(plane, pods, 0))
        async with client_of(plane.addresses.mesh) as client:
            assert (await client.ask("reviews")).by == V1


async def test_running_requests_end_before_envoy_does(tmp_path: Path, pods: list[Any]):
    answers = []
    async with anyio.create_task_group() as tasks, envoy(tmp_path, *pods) as plane:
        pid = plane.process.pid
        assert pid is not None

        async def ask() -> None:
            async with client_of(plane.addresses.mesh) as client:
                answers.append((await client.ask("reviews", "/slow/600")).status)

        tasks.start_soon(ask)

        async def arrived() -> bool:
            stats = await plane.admin.stats(r"^http\.outbound\.downstream_rq_active$")
            return set(stats.values()) == {"1"}

        await eventually(arrived)
    assert answers == [200]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


PARENT = """
import anyio, pathlib, sys
from gitmesh.playground.envoy.dataplane import DataPlane

async def main():
    async with DataPlane(pathlib.Path(sys.argv[1])) as plane:
        print(plane.process.pid, flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


async def test_an_error_inside_stays_what_it_is(tmp_path: Path):
    with pytest.raises(LookupError, match="mine"):
        async with envoy(tmp_path):
            raise LookupError("mine")


async def test_cancelling_ends_envoy_too(tmp_path: Path):
    with anyio.CancelScope() as scope:
        async with envoy(tmp_path) as plane:
            pid = plane.process.pid
            scope.cancel()
            await anyio.sleep_forever()
    assert pid is not None
    assert await gone(pid)


async def test_envoy_goes_with_a_parent_that_is_killed(tmp_path: Path):
    async with await anyio.open_process([sys.executable, "-c", PARENT, str(tmp_path)]) as parent:
        assert parent.stdout is not None
        child = int(await parent.stdout.receive())
        os.kill(child, 0)
        parent.kill()
        await parent.wait()
    await eventually(lambda: gone(child))


async def gone(pid: int) -> bool:
    try:
        return "State:\tZ" in await anyio.Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


async def test_a_port_in_use_is_named(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(AddressInUseError, match=rf"{address} for the gateway.*another port"):
            async with DataPlane(tmp_path, Addresses(gateway=address)):
                pass


async def test_a_second_data_plane_on_the_same_port_does_not_take_half_of_the_traffic(tmp_path: Path):
    async with envoy(tmp_path) as first:
        with pytest.raises(AddressInUseError, match=str(first.addresses.mesh)):
            async with DataPlane(tmp_path / "second", Addresses(mesh=first.addresses.mesh)):
                pass


async def test_a_binary_that_is_no_envoy_is_named_with_what_it_said(tmp_path: Path):
    broken = tmp_path / "envoy"
    broken.write_text("#!/bin/sh\necho 'wrong machine' >&2\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(EnvoyStartError, match=r"envoy.*status 3.*wrong machine"):
        async with DataPlane(tmp_path / "plane", binary=broken):
            pass
    with pytest.raises((EnvoyStartError, NoEnvoyError), match="missing"):
        async with DataPlane(tmp_path / "plane", binary=tmp_path / "missing"):
            pass
