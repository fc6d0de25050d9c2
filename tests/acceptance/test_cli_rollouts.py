"""Promises about the commands that steer and show rollouts: rollback, retry, status, plan."""

import getpass
import json
import re
import subprocess

import anyio
import pytest
from fakes.real_loop import RULES, World, clean_environment, gitmesh_command, guard, policy, routes, until

from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.model.rollout import Phase

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.usefixtures("daemon")]

WHO = getpass.getuser()
SLOW = policy((10, "1h"), (50, "1h"), (100, "0s"))
FREEZE = """
apiVersion: gitmesh.dev/v1alpha1
kind: FreezeWindow
metadata: {name: law}
spec: {from: "2020-01-01T00:00Z", to: "2120-01-01T00:00Z", who: legal, why: "a \\e[31msuit"}
"""
FILES = {"rules.yaml": RULES, "routes.yaml": routes(100, 0), "policy.yaml": SLOW}


async def ramping(world: World, files=FILES) -> str:
    """Have a rollout at its first step; return the revision that it is on the way to."""
    revision = await world.publish(files)
    await world.follow()
    await world.wait_applied(revision)
    revision = await world.publish({"routes.yaml": routes(0, 100)})
    await world.wait_weights(90, 10)
    await world.wait_ready("Unknown", "Progressing")
    return revision


async def test_rollback_takes_a_ramp_back_keeps_it_there_and_retry_lets_it_go_again(world: World):
    revision = await ramping(world)
    assert (await world.gitmesh("sync", world.name)).status == 0, "a rollout on its way is no failure"
    ran = await world.gitmesh("rollback", "reviews")
    assert (ran.status, ran.all) == (
        0,
        f"default/reviews is rolled back: v1 100, v2 0 (rolled back on request by {WHO})\n",
    )
    await world.wait_weights(100, 0)
    await world.wait_ready("False", "RolledBack")
    again = await world.gitmesh("rollback", "reviews")
    assert (again.status, again.out) == (
        0,
        f"default/reviews is rolled back already: rolled back on request by {WHO}\n",
    )

    # The same content stays away: also when it is pushed once more, and `sync` says why.
    await world.publish({"other.yaml": RULES.replace("reviews", "ratings")})
    sync = await world.gitmesh("sync", world.name)
    assert sync.status == 1
    assert "RolledBack: VirtualService default/reviews is rolled back: rolled back on request" in sync.out
    assert await world.weights() == (100, 0)
    plan = await world.gitmesh("plan", ".", cwd=world.repository.work)
    assert plan.status == 0, plan
    assert "VirtualService default/reviews is rolled back" in plan.out
    assert "gitmesh retry reviews" in plan.out

    ran = await world.gitmesh("retry", "reviews")
    assert (ran.status, ran.all) == (0, "default/reviews goes out again: Progressing, v1 90, v2 10\n")
    await world.wait_weights(90, 10)
    events = await world.events(VIRTUAL_SERVICE, "reviews")
    assert {"RolloutStep", "RolledBack"} <= {event["reason"] for event in events}
    assert any(revision in event["message"] for event in events if event["reason"] == "RolloutStep")


async def test_new_content_flows_after_a_rollback_and_a_finished_rollout_can_go_back_too(world: World):
    await ramping(world)
    assert (await world.gitmesh("rollback", "reviews")).status == 0
    quick = policy((50, "0s"), (100, "0s"))
    await world.publish({"policy.yaml": quick, "routes.yaml": routes(1, 99)})
    await world.wait_weights(1, 99)
    await world.wait_phase(Phase.SUCCEEDED)
    ran = await world.gitmesh("rollback", "reviews")
    assert ran.status == 0, ran
    await world.wait_weights(100, 0)


async def test_commands_about_what_is_not_there_say_what_is(world: World):
    revision = await world.publish(FILES)
    await world.follow()
    await world.wait_applied(revision)
    refused = {
        ("rollback", "nope"): "Error: no rollout of default/nope; there are: default/reviews\n",
        ("retry", "nope"): "Error: no rollout of default/nope; there are: default/reviews\n",
        ("rollback", "reviews"): (
            "Error: default/reviews has had no rollout yet: there is nothing to go back to\n"
        ),
        ("retry", "reviews"): "Error: default/reviews is not rolled back: it is Succeeded\n",
        ("sync", "nope"): f"Error: no TrafficSource default/nope; there are: default/{world.name}\n",
        ("status", "nope"): (
            f"Error: no TrafficSource and no rollout is called nope; there are: reviews, {world.name}\n"
        ),
    }
    told = {}

    async def ask(command: tuple[str, str]) -> None:
        ran = await world.gitmesh(*command)
        told[command] = (ran.status, ran.out, ran.err)

    async with anyio.create_task_group() as group:
        for command in refused:
            group.start_soon(ask, command)
    assert told == {command: (2, "", said) for command, said in refused.items()}


async def test_status_shows_sources_and_rollouts_for_people_and_for_programs(world: World):
    revision = await ramping(
        world, {**FILES, "policy.yaml": SLOW.replace("analysis: null", f"analysis: {guard()}")}
    )
    ran = await world.gitmesh("status")
    assert ran.status == 0, ran
    lines = ran.out.splitlines()
    assert lines[0].split() == ["SOURCE", "READY", "REVISION", "OBJECTS", "MESSAGE"]
    assert lines[1].split()[:4] == [world.source_name, "Unknown", revision, "2"]
    assert lines[1].endswith("Progressing: VirtualService default/reviews Progressing 10 %")
    assert lines[3].split() == ["ROLLOUT", "PHASE", "STEP", "WEIGHTS", "NEXT", "MESSAGE", "VERDICT"]
    assert lines[4].startswith("default/reviews  Progressing  1/3   v1 90, v2 10  in 3")
    assert not [line for line in lines if line != line.rstrip()]

    read = json.loads((await world.gitmesh("status", "--format", "json")).out)
    assert [source["name"] for source in read["sources"]] == [world.source_name]
    assert read["rollouts"][0]["status"]["weights"] == "v1 90, v2 10"
    one = json.loads((await world.gitmesh("status", "reviews", "--format", "json")).out)
    assert (one["sources"], len(one["rollouts"])) == ([], 1)


async def test_status_follows_until_it_is_stopped(world: World):
    """Piped it is a line for each change; Ctrl-C ends it without a fuss."""
    await ramping(world)
    command = gitmesh_command(
        "status", "--playground-dir", str(world.play.directory), "reviews", "--watch", "--format", "json"
    )
    async with await anyio.open_process(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment()
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        seen = b""
        with anyio.fail_after(20):
            async for part in process.stdout:
                seen += part
                if b'"v1 90, v2 10"' in seen and b'"RolledBack"' not in seen and seen.count(b"\n") == 1:
                    assert (await world.gitmesh("rollback", "reviews")).status == 0
                if b'"phase": "RolledBack"' in seen:
                    break
            process.send_signal(2)
            assert await process.wait() == 130
        assert b"".join([part async for part in process.stderr]) == b"stopped\n"
    lines = seen.decode().splitlines()
    assert json.loads(lines[0])["rollouts"][0]["status"]["phase"] == "Progressing"


async def test_plan_shows_waves_and_reasons_and_writes_nothing(world: World):
    work = world.repository.work
    revision = await world.publish(FILES)
    await world.follow()
    await world.wait_applied(revision)
    before, head = await world.versions(), world.repository.head

    nothing = await world.gitmesh("plan", ".", cwd=work)
    assert (nothing.status, nothing.out) == (0, "nothing to change; 2 unchanged\n")

    v3 = "    - {name: v3, labels: {version: v3}}\n"
    world.repository.write({"rules.yaml": RULES + v3, "routes.yaml": routes(0, 100).replace("v1}", "v3}")})
    ran = await world.gitmesh("plan", ".", cwd=work)
    assert ran.status == 0, ran
    rule, route = (ran.out.index(f"{kind} default/reviews") for kind in ("DestinationRule", "VirtualService"))
    assert ran.out.index("wave 1 of 2") < rule < ran.out.index("wave 2 of 2") < route, ran.out

    world.repository.write({"rules.yaml": RULES, "routes.yaml": routes(0, 100)})
    stepped = await world.gitmesh("plan", ".", cwd=work)
    assert "spec.http[0].route[0].weight: 100 -> 90" in stepped.out, "the first step of the policy"
    assert "1 to update; 1 unchanged" in stepped.out
    assert "requests that change hands\n  reviews/*: v1 -> v1 90 %, v2 10 %" in stepped.out
    read = json.loads((await world.gitmesh("plan", "--format", "json", ".", cwd=work)).out)
    assert [change["kind"] for wave in read["waves"] for change in wave["changes"]] == ["update"]
    way = r"default/reviews by policy careful: 10 % now, 50 % \w+ \d\d:\d\d, 100 % \w+ \d\d:\d\d, done"
    assert re.search(way, stepped.out), stepped
    assert [stop["label"] for stop in read["rollouts"][0]["stops"]] == ["10 %", "50 %", "100 %", "done"]

    world.repository.write({"freeze.yaml": FREEZE})
    frozen = await world.gitmesh("plan", ".", cwd=work)
    assert "by policy careful: 10 % not within a year" in frozen.out
    assert "it does not begin within a year: freeze law by legal: a [31msuit, until" in frozen.out
    assert "\x1b" not in frozen.all, "what Git says is shown, and not obeyed by a terminal"
    world.repository.write({"freeze.yaml": None})

    world.repository.write({"routes.yaml": routes(0, 100).replace("subset: v2", "subset: v4")})
    wrong = await world.gitmesh("plan", ".", cwd=work)
    assert wrong.status == 1
    assert re.search(r'routes.yaml:11:48: error GM201.*: subset "v4"', wrong.out)
    assert "route to one of: v1, v2" in wrong.out

    world.repository.write({"rules.yaml": None, "routes.yaml": None})
    empty = await world.gitmesh("plan", ".", cwd=work)
    assert empty.status == 1
    assert "holds no traffic configuration" in empty.out
    assert (await world.versions(), world.repository.head) == (before, head)


async def test_kubectl_shows_whether_git_is_live_and_where_a_ramp_is(world: World):
    revision = await ramping(world)
    sources = (await world.kubectl("get", "trafficsources")).splitlines()
    assert sources[0].split() == ["NAME", "URL", "READY", "STATUS", "AGE"]
    assert sources[1].split()[:3] == [world.name, world.repository.url, "Unknown"]
    rollouts = (await world.kubectl("get", "trafficrollouts")).splitlines()
    assert rollouts[0].split() == ["NAME", "PHASE", "WEIGHTS", "STATUS", "AGE"]
    assert rollouts[1].split()[:6] == ["reviews", "Progressing", "v1", "90,", "v2", "10"]
    wide = (await world.kubectl("get", "trafficrollouts", "-o", "wide")).splitlines()
    assert wide[0].split()[-5:] == ["PROGRESS", "NEXT", "POLICY", "REVISION", "AGE"] or "PROGRESS" in wide[0]
    assert revision in wide[1]
    assert "careful" in wide[1]

    async def described() -> bool:
        return "RolloutStep" in await world.kubectl("describe", "virtualservice", "reviews")

    await until("the step among the events of the VirtualService", described)
