"""A reference rollout, killed in place of each effect in turn and started again: the end is the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import pytest
from fakes.daemon_world import DaemonWorld, Life, a_policy, a_rule, a_service, files
from fakes.virtual_time import run_virtually

from gitmesh.model.kinds import TRAFFIC_KINDS, TRAFFIC_ROLLOUT
from gitmesh.model.rollout import Phase, RolloutRecord

END_SECONDS = 30.0  # the next commit is seen after 10, and the rollout takes 5
POLICY = a_policy("reviews", steps="20 2s, 100", bake="2s")
BEGIN = files(a_service("reviews", "v1 100, v2 0"), a_rule("reviews"), POLICY, a_service("old", "v1 100"))
# The second commit moves weights to a subset that it adds, brings an object, and deletes another.
NEXT = files(
    a_service("reviews", "v1 0, v3 100"),
    a_rule("reviews", ("v1", "v2", "v3")),
    POLICY,
    a_service("ratings", "v1 100"),
    a_rule("ratings"),
)
KEPT = {
    "phase",
    "source",
    "policy",
    "policy_spec",
    "revision",
    "step",
    "steps",
    "progress",
    "weights",
    "stable",
    "previous",
    "canary_hash",
    "canary",
    "targets",
    "quarantined",
    "retried",
    "failed_checks",
}


class Reference:
    """One rollout from its commit to its end. The daemon dies in place of effect number `dies_at`."""

    def __init__(self, dies_at: int | None, *, fails: bool, keeps_mirror: bool = True) -> None:
        self.dies_at, self.fails, self.keeps_mirror = dies_at, fails, keeps_mirror
        self.died = False
        self.end: Mapping[str, Any] = {}
        self.lines: list[str] = []

    async def play(self) -> None:
        world = DaemonWorld(settle="100ms")
        self.lines = world.lines
        begin = {**BEGIN, **files(a_rule("old"))}
        repository = world.add_source()
        repository.push(begin)
        async with anyio.create_task_group() as group:
            life = world.spawn(group)
            await world.until(lambda: world.ready() == ("True", "Applied"))
            await anyio.sleep(0.5)
            if self.fails:
                world.metrics.error_percent["reviews", "v3"] = 50
            repository.push(NEXT)
            life.effects_left = self.dies_at
            group.start_soon(self._restart, world, group, life)
            await anyio.sleep(END_SECONDS)
            assert not world.crashes, world.crashes[0]
            self.end = outcome(world)
            group.cancel_scope.cancel()

    async def _restart(self, world: DaemonWorld, group: anyio.abc.TaskGroup, life: Life) -> None:
        await life.ended.wait()
        self.died = True
        world.log("the daemon was killed")
        if not self.keeps_mirror:
            world.mirrors.clear()
        await anyio.sleep(0.3)
        world.spawn(group)


def outcome(world: DaemonWorld) -> Mapping[str, Any]:
    """Return everything that a crash must not change: the cluster without moments and measurements."""
    specs = {
        f"{b['kind']} {b['metadata']['name']}": b["spec"] for k in TRAFFIC_KINDS for b in world.cluster.all(k)
    }
    records = {
        body["metadata"]["name"]: settled(RolloutRecord.model_validate(body["status"]))
        for body in world.cluster.all(TRAFFIC_ROLLOUT)
    }
    status = world.status()
    source = {
        "conditions": sorted((c.type, c.status, c.reason) for c in status.conditions),
        "revisions": (status.fetched_revision, status.accepted_revision, status.last_applied_revision),
        "inventory": sorted(status.inventory),
    }
    return {"live": specs, "records": records, "source": source}


def settled(record: RolloutRecord) -> Mapping[str, Any]:
    way = [(entry.phase, entry.progress) for entry in record.history]
    return {**record.model_dump(include=KEPT), "way": way}


def play(dies_at: int | None, **how: Any) -> Reference:
    reference = Reference(dies_at, **how)
    run_virtually(reference.play)
    return reference


def all_crashes(**how: Any) -> int:
    """Play the reference once for each of its effects. Returns how many there were."""
    whole = play(None, **how)
    for number in range(10_000):
        killed = play(number, **how)
        if not killed.died:
            assert killed.end == whole.end
            return number
        assert killed.end == whole.end, f"killed in place of effect {number}\n" + "\n".join(
            killed.lines[-60:]
        )
    raise AssertionError("it never ends")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("fails", "phase"), [(False, Phase.SUCCEEDED), (True, Phase.ROLLED_BACK)], ids=["promotion", "rollback"]
)
def test_wherever_it_is_killed_it_ends_as_if_nothing_had_happened(fails: bool, phase: Phase):
    assert play(None, fails=fails).end["records"]["reviews"]["phase"] is phase
    assert all_crashes(fails=fails) > 40, "so few effects cannot be the whole of a rollout"


@pytest.mark.parametrize("dies_at", range(0, 60, 7))
def test_a_daemon_that_comes_back_on_another_disk_ends_the_same(dies_at: int):
    whole = play(None, fails=False).end
    assert play(dies_at, fails=False, keeps_mirror=False).end == whole
