"""What the running daemon says of itself: every line of its log, its metrics, its messages, its traces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes.real_loop import RULES, Daemon, Play, World, policy, routes, running_daemon

from gitmesh.cli.log_lines import FIELDS
from gitmesh.model.rollout import Phase

pytestmark = [pytest.mark.anyio, pytest.mark.real]
STAGES = {"fetch", "parse", "validate", "observe", "decide", "plan", "apply", "notify", "engine"}
STEPS = policy((10, "300ms"), (50, "300ms"), (100, "0s"))


def lines(daemon: Daemon) -> list[dict[str, Any]]:
    return [json.loads(line) for line in daemon.log.splitlines()]


async def a_whole_rollout(world: World) -> str:
    """A first commit, a rollout to the other version, and a commit that is refused; return its revision."""
    await world.publish({"rules.yaml": RULES, "routes.yaml": routes(100, 0), "policy.yaml": STEPS})
    await world.follow()
    await world.wait_ready("True")
    revision = await world.publish({"routes.yaml": routes(0, 100)})
    await world.wait_phase(Phase.SUCCEEDED)
    await world.wait_applied(revision)
    await world.publish({"broken.yaml": "kind: ["})
    await world.wait_ready("False", "ValidationFailed")
    return revision


async def test_every_line_of_the_log_says_stage_source_revision_and_rollout(
    play: Play, world: World, tmp_path: Path
):
    with running_daemon(play, tmp_path / "daemon", "--log-level=debug") as daemon:
        revision = await a_whole_rollout(world)
    told = lines(daemon)
    assert all(tuple(line)[: len(FIELDS)] == FIELDS for line in told)
    assert {line["stage"] for line in told} <= STAGES
    ours = [line for line in told if line["source"] == world.source_name]
    by_message: dict[str, list[dict[str, Any]]] = {}
    for line in ours:
        by_message.setdefault(line["message"], []).append(line)
    moved = by_message["rollout moved"]
    rollout = "VirtualService default/reviews"
    assert {(line["stage"], line["rollout"]) for line in moved} == {("decide", rollout)}
    assert {line["revision"] for line in moved} >= {revision}
    assert {line["stage"] for line in by_message["fetched"]} == {"fetch"}
    changed = [line for line in by_message["change applied"] if "VirtualService" in line["resource"]]
    assert all(line["revision"] for line in changed)
    assert changed[-1]["rollout"] == rollout
