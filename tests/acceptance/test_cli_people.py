"""Promises about the commands, and the annotations, by which people steer a rollout on its way."""

from __future__ import annotations

import pytest
from fakes.real_loop import RULES, World, policy, routes, until

from gitmesh.model.rollout import Phase

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.usefixtures("daemon")]

SLOW = policy((10, "1h"), (50, "1h"), (100, "0s"))
FREEZE = """
apiVersion: gitmesh.dev/v1alpha1
kind: FreezeWindow
metadata: {name: sale, namespace: default}
spec:
  {from: "2020-01-01T00:00Z", to: "2120-01-01T00:00Z", who: sre, why: Black Friday, overrule: allowed}
"""
FILES = {"rules.yaml": RULES, "routes.yaml": routes(100, 0), "policy.yaml": SLOW}


async def ramping(world: World) -> None:
    """Have a rollout at its first step."""
    revision = await world.publish(FILES)
    await world.follow()
    await world.wait_applied(revision)
    await world.publish({"routes.yaml": routes(0, 100)})
    await world.wait_weights(90, 10)


async def test_people_pause_resume_and_promote_by_command_and_by_annotation(world: World):
    await ramping(world)
    who = ("--as", "ada", "--why", "lunch")
    ran = await world.gitmesh("pause", "reviews", *who)
    assert (ran.status, ran.all) == (
        0,
        "default/reviews stays at 10 % (v1 90, v2 10): paused by ada (lunch)\n",
    )
    ran = await world.gitmesh("resume", "reviews", *who)
    assert (ran.status, ran.all) == (0, "default/reviews goes on from 10 % (v1 90, v2 10)\n")
    ran = await world.gitmesh("promote", "reviews", *who)
    assert ran.status == 0, ran
    assert ran.out.startswith("default/reviews is at 50 % (v1 50, v2 50): Progressing, "), ran
    await world.wait_weights(50, 50)
    await world.kubectl("annotate", "virtualservice", "reviews", "gitmesh.dev/pause=dinner")

    async def paused() -> bool:
        record = await world.rollout()
        return record is not None and record.suspended == "paused by kubectl-annotate (dinner)"

    await until("a pause", paused)
    await world.kubectl("annotate", "trafficrollout", "reviews", "gitmesh.dev/resume=true")
    ran = await world.gitmesh("promote", "reviews", "--full", *who)
    assert ran.status == 0, ran
    await world.wait_weights(0, 100)
    await world.wait_phase(Phase.SUCCEEDED)
    record = await world.rollout()
    assert record
    assert any("promoted by ada (lunch)" in entry.message for entry in record.history)
    await world.kubectl("annotate", "virtualservice", "reviews", "gitmesh.dev/rollback=regret")
    await world.wait_weights(100, 0)


async def test_what_makes_no_sense_is_refused_with_a_reason(world: World):
    revision = await world.publish(FILES)
    await world.follow()
    await world.wait_applied(revision)
    ran = await world.gitmesh("promote", "reviews")
    assert (ran.status, ran.err) == (2, "Error: default/reviews is not on its way: it is Succeeded\n")
    ran = await world.gitmesh("pause", "nope")
    assert (ran.status, ran.err) == (2, "Error: no rollout of default/nope; there are: default/reviews\n")


async def test_a_person_lets_a_fix_past_its_windows_by_command_and_past_a_freeze_by_its_name(world: World):
    closed = SLOW.replace("spec:", "spec:\n  windows: [{cron: '0 0 29 2 *', duration: 1s}]", 1)
    revision = await world.publish({**FILES, "policy.yaml": closed})
    await world.follow()
    await world.wait_applied(revision)
    await world.publish({"routes.yaml": routes(0, 100), "freeze.yaml": FREEZE})
    await world.wait_phase(Phase.WAITING)
    ran = await world.gitmesh("overrule", "reviews")
    assert (ran.status, "--why is missing" in ran.err) == (2, True), ran
    who = ("--as", "ada", "--why", "hotfix")
    ran = await world.gitmesh("overrule", "reviews", *who)
    assert ran.status == 0, ran
    assert ran.out.startswith(
        "default/reviews is Waiting at 0 %: freeze sale by sre: Black Friday, until "
    ), ran
    assert await world.weights() == (100, 0)
    ran = await world.gitmesh("overrule", "reviews", "--freeze", "sale", *who)
    assert ran.status == 0, ran
    assert "although freeze sale by sre: Black Friday" in ran.out
    assert ran.out.endswith("overruled by ada (hotfix)\n")
    await world.wait_weights(90, 10)
    why = await world.gitmesh("why", "reviews")
    assert "waits for no window, past freeze sale: overruled by ada (hotfix)" in why.out
