"""Real replicas share the sources: each is worked on by one, and those of one that dies by the others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from fakes.real_loop import until
from fakes.replicas import Replicas, replicas

from gitmesh.engine.shards import SHARD_LABEL, part_of
from gitmesh.model.kinds import LEASE, TRAFFIC_SOURCE
from gitmesh.playground.repository import GitRepository

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.timeout(400)]
SHARDS = 3
NOBODYS = "of-a-daemon-that-is-not-there"
NAMES = [f"team-{number}" for number in range(5)]
ROUTE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: %s}
spec:
  hosts: [%s]
  http: [{route: [{destination: {host: %s}}], timeout: %ds}]
"""


class Team:
    """One source with a repository of its own."""

    def __init__(self, world: Replicas, directory: Path, name: str) -> None:
        self.world, self.name, self.count = world, name, 0
        self.repository = GitRepository.create(directory / f"git-{name}")

    def publish(self) -> str:
        self.count += 1
        text = ROUTE % (self.name, self.name, self.name, self.count)
        return self.repository.publish({"routes.yaml": text}, f"change {self.count}")

    async def follow(self, label: str = "") -> None:
        labels = {SHARD_LABEL: label} if label else {}
        await self.world.follow(self.name, url=self.repository.url, labels=labels)


async def all_applied(teams: Iterable[Team]) -> None:
    commits = [(team, team.publish()) for team in teams]
    for team, commit in commits:
        await team.world.wait_applied(commit, team.name)


def writers(world: Replicas, name: str, since: int = 0) -> list[str]:
    """Return who wrote the routes of a team, each once in a row."""
    found: list[str] = []
    for seen in world.proxy.writes()[since:]:
        if seen.path.endswith(f"/virtualservices/{name}") and found[-1:] != [seen.agent]:
            found.append(seen.agent)
    return found


async def test_each_source_is_worked_on_by_one_replica_and_by_another_when_that_dies(tmp_path: Path):
    async with replicas(tmp_path, 2, "--shards", str(SHARDS)) as world:
        teams = [Team(world, tmp_path, name) for name in NAMES]
        for team in teams:
            await team.follow()
        await all_applied(teams)

        async def is_spread() -> bool:
            held = [
                lease["spec"].get("holderIdentity")
                for lease in (await world.client.list(LEASE, namespace="default")).items
            ]
            return len(held) == SHARDS and set(held) == {replica.identity for replica in world.all}

        await until("both replicas to lead", is_spread, 60)
        since = len(world.proxy.writes())
        await all_applied(teams)
        by_part = {
            part_of(TRAFFIC_SOURCE.key("default", name), SHARDS): writers(world, name, since)
            for name in NAMES
        }
        assert all(len(found) == 1 for found in by_part.values()), by_part
        for name in NAMES:
            part = part_of(TRAFFIC_SOURCE.key("default", name), SHARDS)
            assert writers(world, name, since) == by_part[part]

        dead = world.all[0]
        identity = dead.identity
        dead.kill()
        since = len(world.proxy.writes())
        await all_applied(teams)
        assert {writer for name in NAMES for writer in writers(world, name, since)} == {
            world.all[1].identity
        }, f"{identity} is dead"


async def test_a_label_is_for_its_own_daemon_alone(tmp_path: Path):
    async with replicas(tmp_path, 1) as world:
        payments = world.add("--shard", "payments")
        mine, theirs = Team(world, tmp_path, "shop"), Team(world, tmp_path, "checkout")
        await mine.follow()
        await theirs.follow("payments")
        await all_applied([mine, theirs])
        assert writers(world, "shop") == [world.all[0].identity]
        assert writers(world, "checkout") == [payments.identity]
        leases = (await world.client.list(LEASE, namespace="default")).items
        assert {lease["metadata"]["name"] for lease in leases} == {"gitmesh", "gitmesh-payments"}


async def test_a_source_whose_label_moves_is_let_go_before_another_daemon_works_on_it(tmp_path: Path):
    """By what the API server answered: nobody writes routes but whom the status names as its worker."""
    async with replicas(tmp_path, 1) as world:
        payments = world.add("--shard", "payments")
        team = Team(world, tmp_path, "shop")
        await team.follow()
        await all_applied([team])
        for label in ("payments", "", "payments", NOBODYS, "payments", ""):
            commit = team.publish()
            await team.follow(label)
            if label != NOBODYS:
                await world.wait_applied(commit, "shop")
        worker, workers = "", set()
        identities = {"default/gitmesh": world.all[0].identity, "default/gitmesh-payments": payments.identity}
        for seen in world.proxy.writes():
            if seen.path.endswith("/trafficsources/shop/status"):
                worker = str(seen.body["status"].get("worker", ""))
            elif seen.path.endswith("/virtualservices/shop"):
                assert seen.agent == identities[worker], f"{worker or 'nobody'} is its worker"
                workers.add(worker)
        assert workers == set(identities)
